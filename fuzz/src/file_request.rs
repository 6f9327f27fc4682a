use riverrun_proto::file_request::{BadHead, Head, Wanted, is_loopback, read, wanted};
use riverrun_proto::limits::MAX_FILE_REQUEST_HEAD;

/// Lengths of files that ranges are asked of.
const LENGTHS: [u64; 4] = [0, 1, 1000, u64::MAX];

/// What comes is read as requests, one behind the other: whatever it is, each takes no more than its own head, and no range leaves the file.
/// The same bytes as a range and as a host.
pub fn file_request(data: &[u8]) {
    let mut rest = data;
    loop {
        match read(rest) {
            Ok(None) => {
                assert!(rest.len() < MAX_FILE_REQUEST_HEAD, "the end of a head is not waited for without end");
                break;
            }
            Ok(Some((head, length))) => {
                assert!(rest[..length].ends_with(b"\r\n\r\n") && length <= MAX_FILE_REQUEST_HEAD + 4);
                assert_eq!(read(&rest[..length]), Ok(Some((head.clone(), length))), "what follows does not count");
                let short = &rest[..length - 1];
                assert!(
                    short.len() >= MAX_FILE_REQUEST_HEAD || read(short) == Ok(None),
                    "nor does a head before its end"
                );
                is_sound(&head);
                rest = &rest[length..];
            }
            Err(BadHead::TooLong) => {
                assert!(rest.len() > 64, "what is short is not too long");
                break;
            }
            Err(BadHead::Malformed) => break,
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        lies_within(text);
        assert!(!is_loopback(text) || text.len() < 20, "names of the loopback are short");
    }
}

fn is_sound(head: &Head) {
    let values = [Some(&head.target), head.host.as_ref(), head.range.as_ref(), head.if_range.as_ref()];
    let plain = |text: &&String| !text.contains(['\r', '\n', '\0']);
    assert!(values.iter().flatten().all(plain), "no value has a second line");
    assert!(head.target.starts_with('/') && !head.target.contains(' '));
    head.range.iter().for_each(|range| lies_within(range));
}

fn lies_within(range: &str) {
    for length in LENGTHS {
        match wanted(range, length) {
            Wanted::Part(part) => assert!(part.start < part.end && part.end <= length, "{part:?} of {length}"),
            Wanted::All | Wanted::Beyond => {}
        }
    }
}
