//! The one packet of local service discovery (BEP 14): lines like those of an HTTP request.

use std::fmt::Write;

use riverrun_metainfo::WireHash;

use super::Group;
use crate::limits::{MAX_LSD_COOKIE, MAX_LSD_PACKET};

/// What a packet says: somebody takes part in these torrents and listens on this port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LsdPacket {
    /// Where the sender of the packet listens for peers; not 0.
    pub port: u16,
    /// The torrents, at least one.
    pub info_hashes: Vec<WireHash>,
    /// By what the sender knows its own packets; at most [`MAX_LSD_COOKIE`] bytes.
    pub cookie: Option<String>,
}

impl LsdPacket {
    /// Reads a packet. Lines that are not known are passed over, as are info-hashes that are none.
    ///
    /// `None`: it is longer than [`MAX_LSD_PACKET`], no announce, or without a port or a torrent.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_LSD_PACKET {
            return None;
        }
        let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let version = lines.next()?.strip_prefix(b"BT-SEARCH * HTTP/1.")?;
        if version.len() != 1 || !version[0].is_ascii_digit() {
            return None;
        }
        let (mut port, mut info_hashes, mut cookie) = (None, Vec::new(), None);
        for line in lines.take_while(|line| !line.is_empty()) {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"port") {
                port = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).filter(|port| *port != 0);
            } else if name.eq_ignore_ascii_case(b"infohash") {
                info_hashes.extend(hash(value));
            } else if name.eq_ignore_ascii_case(b"cookie") && value.len() <= MAX_LSD_COOKIE {
                cookie = String::from_utf8(value.to_vec()).ok();
            }
        }
        Some(Self { port: port?, info_hashes, cookie }).filter(|packet| !packet.info_hashes.is_empty())
    }

    /// The packet for this group, as it goes over the wire.
    #[must_use]
    pub fn to_bytes(&self, group: Group) -> Vec<u8> {
        let mut text = format!("BT-SEARCH * HTTP/1.1\r\nHost: {}\r\nPort: {}\r\n", group.addr(), self.port);
        let unfailing = "writing to a string cannot fail";
        for WireHash(hash) in &self.info_hashes {
            text.push_str("Infohash: ");
            hash.iter().for_each(|byte| write!(text, "{byte:02x}").expect(unfailing));
            text.push_str("\r\n");
        }
        if let Some(cookie) = &self.cookie {
            write!(text, "cookie: {cookie}\r\n").expect(unfailing);
        }
        text.push_str("\r\n\r\n");
        text.into_bytes()
    }
}

fn hash(hex: &[u8]) -> Option<WireHash> {
    let mut hash = [0; 20];
    let (pairs, rest) = hex.as_chunks::<2>();
    if pairs.len() != hash.len() || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(pairs) {
        let digit = |character: u8| char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(WireHash(hash))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::lsd::MAX_HASHES;

    #[test]
    fn golden_bytes() {
        let packet = LsdPacket {
            port: 6881,
            info_hashes: vec![WireHash([0xab; 20]), WireHash([1; 20])],
            cookie: Some("0123abcd".into()),
        };
        let bytes = "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\n\
                     Infohash: abababababababababababababababababababab\r\n\
                     Infohash: 0101010101010101010101010101010101010101\r\ncookie: 0123abcd\r\n\r\n\r\n";
        assert_eq!(packet.to_bytes(Group::V4), bytes.as_bytes());
        assert_eq!(LsdPacket::parse(bytes.as_bytes()), Some(packet.clone()));
        assert!(packet.to_bytes(Group::V6).starts_with(b"BT-SEARCH * HTTP/1.1\r\nHost: [ff15::efc0:988f]:6771\r\n"));
    }

    #[test]
    fn the_longest_packet_fits() {
        let packet = LsdPacket {
            port: u16::MAX,
            info_hashes: vec![WireHash([0xff; 20]); MAX_HASHES],
            cookie: Some("f".repeat(16)),
        };
        assert!(packet.to_bytes(Group::V6).len() <= MAX_LSD_PACKET);
        assert_eq!(LsdPacket::parse(&packet.to_bytes(Group::V6)), Some(packet));
    }

    #[test]
    fn other_programs_write_it_otherwise() {
        let hash = "0101010101010101010101010101010101010101";
        for text in [
            format!("BT-SEARCH * HTTP/1.1\r\nport:7\r\nINFOHASH:{}\r\n\r\n", hash.to_uppercase()),
            format!("BT-SEARCH * HTTP/1.0\nPort: 7\nX-Other: y\nno colon\nInfohash: zz\nInfohash:   {hash}  \n\n"),
            format!("BT-SEARCH * HTTP/1.1\r\nInfohash: {hash}\r\nPort: 7"),
        ] {
            let packet = LsdPacket::parse(text.as_bytes()).unwrap();
            assert_eq!((packet.port, packet.info_hashes, packet.cookie), (7, vec![WireHash([1; 20])], None), "{text}");
        }
    }

    #[test]
    fn l1_what_is_no_announce_or_too_long_is_not_read() {
        let hash = "0101010101010101010101010101010101010101";
        for text in [
            String::new(),
            format!("M-SEARCH * HTTP/1.1\r\nPort: 7\r\nInfohash: {hash}\r\n\r\n"),
            format!("BT-SEARCH * HTTP/1.1\r\nPort: 0\r\nInfohash: {hash}\r\n\r\n"),
            format!("BT-SEARCH * HTTP/1.1\r\nPort: 65536\r\nInfohash: {hash}\r\n\r\n"),
            format!("BT-SEARCH * HTTP/1.1\r\nInfohash: {hash}\r\n\r\n"),
            format!("BT-SEARCH * HTTP/1.1\r\nPort: 7\r\n\r\nInfohash: {hash}\r\n\r\n"),
            format!("BT-SEARCH * HTTP/1.1\r\nPort: 7\r\nInfohash: {}\r\n\r\n", &hash[1..]),
            format!("BT-SEARCH * HTTP/1.1\r\nPort: 7\r\nInfohash: {hash}\r\nX: {}\r\n\r\n", "y".repeat(MAX_LSD_PACKET)),
        ] {
            assert_eq!(LsdPacket::parse(text.as_bytes()), None, "{text}");
        }
        let long = format!("BT-SEARCH * HTTP/1.1\r\nPort: 7\r\nInfohash: {hash}\r\ncookie: {}\r\n\r\n", "c".repeat(65));
        assert_eq!(LsdPacket::parse(long.as_bytes()).unwrap().cookie, None);
    }

    proptest! {
        #[test]
        fn packets_round_trip(port in 1u16.., hashes in vec(any::<[u8; 20]>(), 1..=MAX_HASHES), cookie in "[a-z0-9]{0,16}") {
            let cookie = Some(cookie);
            let packet = LsdPacket { port, info_hashes: hashes.into_iter().map(WireHash).collect(), cookie };
            prop_assert_eq!(LsdPacket::parse(&packet.to_bytes(Group::V4)), Some(packet));
        }

        #[test]
        fn no_bytes_panic(bytes in vec(any::<u8>(), 0..200)) {
            let _ = LsdPacket::parse(&[b"BT-SEARCH * HTTP/1.1\r\n", &bytes[..]].concat());
        }
    }
}
