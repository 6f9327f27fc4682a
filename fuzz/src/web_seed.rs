use std::ops::Range;

use riverrun_proto::limits::{MAX_WEB_SEED_RETRY_AFTER, MAX_WEB_SEED_SKIP};
use riverrun_proto::web_seed::{Body, Head, WebSeedError, WebSeedUrl};

/// The length of the file that is asked for.
const LENGTH: u64 = 10_000;

/// The first line is the number of an answer, the next are its fields: whatever they say, a body is read only as what was asked for.
/// The same bytes as a URL: what is made of it for a file is a URL of the same server.
pub fn web_seed(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let text = |nth: usize| lines.get(nth).copied().filter(|line| !line.is_empty());
    let number = |nth: usize| text(nth).and_then(|line| std::str::from_utf8(line).ok()?.parse::<u64>().ok());
    let head = Head {
        status: number(0).and_then(|status| u16::try_from(status).ok()).unwrap_or(206),
        content_range: text(1),
        content_length: number(2),
        content_encoding: text(3),
        retry_after: text(4),
    };
    for asked in [0..LENGTH, 100..200, LENGTH - 1..LENGTH] {
        match head.judge(&asked, LENGTH) {
            Ok(body) => is_as_asked(&head, &asked, body),
            Err(WebSeedError::Busy { retry_after, .. }) => {
                assert!(retry_after.is_none_or(|rest| rest <= MAX_WEB_SEED_RETRY_AFTER));
            }
            Err(error) => assert!(error.to_string().len() < 200, "messages stay short"),
        }
    }
    let Some(seed) = std::str::from_utf8(data).ok().and_then(|url| WebSeedUrl::parse(url).ok()) else { return };
    for file in [seed.single("a ä/%?#"), seed.one_of("..", ["&+", "\u{202e}"])].into_iter().flatten() {
        assert_eq!(file.authority(), seed.authority());
    }
}

fn is_as_asked(head: &Head<'_>, asked: &Range<u64>, body: Body) {
    let bytes = asked.end - asked.start;
    match head.status {
        206 => {
            assert_eq!((body.skip, body.whole), (0, false));
            assert!(head.content_length.is_none_or(|length| length == bytes));
        }
        200 => {
            assert!(body.skip == asked.start && body.skip <= MAX_WEB_SEED_SKIP);
            assert_eq!(body.whole, asked.end < LENGTH);
            assert!(head.content_length.is_none_or(|length| length == LENGTH));
        }
        status => panic!("{status} has no body for us"),
    }
}
