use riverrun_proto::limits::MAX_PROXY_HEADER;
use riverrun_proto::proxy::{Credentials, HttpConnect, Socks5, Socks5Command, Target, datagram, undatagram};

/// A proxy that says anything, in any cuts: the same end whatever the cuts, and not a byte more taken than belongs to it.
pub fn proxy(data: &[u8]) {
    let Some((kind, said)) = data.split_first() else { return };
    let credentials = Credentials::new("user".into(), "password".into()).filter(|_| kind & 1 == 1);
    let target = || Target::Name("peer.example".into(), 6881);
    if kind & 2 == 0 {
        let start = || Socks5::new(Socks5Command::Connect, target(), credentials.clone()).expect("a good name");
        let (mut whole, mut slow) = (start(), start());
        let mut rest = said;
        let end = whole.feed(&mut rest);
        let mut slow_end = Ok(None);
        for byte in said {
            slow_end = slow.feed(&mut &[*byte][..]);
            if slow_end != Ok(None) {
                break;
            }
        }
        assert_eq!(end, slow_end);
        if end == Ok(None) {
            assert!(rest.is_empty(), "all is taken until it is done");
        }
    } else {
        let start = || HttpConnect::new(&target(), credentials.as_ref()).expect("a good name");
        let (mut whole, mut slow) = (start(), start());
        let mut rest = said;
        let end = whole.feed(&mut rest);
        assert!(said.len() - rest.len() <= MAX_PROXY_HEADER);
        let mut slow_end = Ok(false);
        for byte in said {
            slow_end = slow.feed(&mut &[*byte][..]);
            if slow_end != Ok(false) {
                break;
            }
        }
        assert_eq!(end, slow_end);
    }
    if let Some((target, packet)) = undatagram(said)
        && let Some(again) = datagram(&target, packet)
        && let Some((found, found_packet)) = undatagram(&again)
    {
        assert_eq!((found, found_packet), (target, packet));
    }
}
