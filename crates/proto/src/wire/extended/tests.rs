//! Tests over the payloads of all extensions.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::limits::{MAX_METADATA_LENGTH, MAX_PEX_CONTACTS};

fn all_ids() -> ExtensionIds {
    ExtensionIds::ours(Extension::ALL)
}

fn parse(id: u8, payload: &[u8]) -> Result<Option<ExtendedMessage>, ExtendedError> {
    ExtendedMessage::parse(id, &Bytes::copy_from_slice(payload))
}

fn handshake(payload: &[u8]) -> ExtendedHandshake {
    ExtendedHandshake::parse(payload).unwrap()
}

fn golden(message: ExtendedMessage, id: u8, bytes: &[u8]) {
    let sent = message.to_message(&all_ids()).unwrap();
    assert_eq!(sent, Message::Extended { id, payload: Bytes::copy_from_slice(bytes) });
    assert_eq!(parse(id, bytes), Ok(Some(message)));
}

#[test]
fn golden_bytes_of_every_extension() {
    let full = ExtendedHandshake {
        extensions: vec![(Extension::DontHave, 3), (Extension::Metadata, 1), (Extension::Pex, 2)],
        listen_port: Some(6881),
        client: Some("µTorrent 1.2".into()),
        your_ip: Some("1.2.3.4".parse().unwrap()),
        ipv4: Some("5.6.7.8".parse().unwrap()),
        ipv6: Some("::9".parse().unwrap()),
        reqq: Some(500),
        metadata_size: Some(31235),
        upload_only: Some(true),
        prefers_encryption: Some(false),
        complete_ago: Some(-1),
    };
    golden(
        ExtendedMessage::Handshake(Box::new(full)),
        0,
        b"d12:complete_agoi-1e1:ei0e4:ipv44:\x05\x06\x07\x084:ipv616:\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\
          1:md11:lt_donthavei3e11:ut_metadatai1e6:ut_pexi2ee13:metadata_sizei31235e1:pi6881e4:reqqi500e\
          11:upload_onlyi1e1:v13:\xc2\xb5Torrent 1.26:yourip4:\x01\x02\x03\x04e",
    );
    golden(ExtendedMessage::Metadata(MetadataMessage::Request { piece: 0 }), 1, b"d8:msg_typei0e5:piecei0ee");
    golden(
        ExtendedMessage::Metadata(MetadataMessage::Data {
            piece: 0,
            total_size: 34256,
            data: Bytes::from_static(b"d4:name1:xe"),
        }),
        1,
        b"d8:msg_typei1e5:piecei0e10:total_sizei34256eed4:name1:xe",
    );
    golden(ExtendedMessage::Metadata(MetadataMessage::Reject { piece: 7 }), 1, b"d8:msg_typei2e5:piecei7ee");
    golden(
        ExtendedMessage::Pex(PexMessage {
            added: vec![
                PexContact { addr: "1.2.3.4:258".parse().unwrap(), flags: PexFlags(0x12) },
                PexContact { addr: "[::1]:1".parse().unwrap(), flags: PexFlags::UTP },
            ],
            dropped: vec!["5.6.7.8:9".parse().unwrap(), "[::2]:3".parse().unwrap()],
            listed: 2,
        }),
        2,
        b"d5:added6:\x01\x02\x03\x04\x01\x027:added.f1:\x126:added618:\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x01\
          8:added6.f1:\x047:dropped6:\x05\x06\x07\x08\0\x098:dropped618:\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\x03e",
    );
    golden(ExtendedMessage::DontHave(PieceIndex(0x0102_0304)), 3, &[1, 2, 3, 4]);
    golden(ExtendedMessage::UploadOnly(true), 4, &[1]);
    let v4: SocketAddr = "1.2.3.4:258".parse().unwrap();
    golden(ExtendedMessage::HolePunch(HolePunch::Rendezvous(v4)), 5, b"\0\0\x01\x02\x03\x04\x01\x02\0\0\0\0");
    let v6: SocketAddr = "[::1]:2".parse().unwrap();
    golden(
        ExtendedMessage::HolePunch(HolePunch::Error(v6, HolePunchError::NoSelf)),
        5,
        b"\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x02\0\0\0\x04",
    );
}

#[test]
fn the_peers_numbers_are_additive() {
    let mut ids = ExtensionIds::default();
    ids.update(&handshake(b"d1:md11:ut_metadatai3e6:ut_pexi1e3:fooi9eee"));
    assert_eq!((ids.get(Extension::Metadata), ids.get(Extension::Pex)), (Some(3), Some(1)));
    ids.update(&handshake(b"d1:md6:ut_pexi0eee"));
    assert_eq!((ids.get(Extension::Metadata), ids.get(Extension::Pex)), (Some(3), None));
    ids.update(&handshake(b"d1:v1:xe"));
    assert_eq!(ids.get(Extension::Metadata), Some(3));
    assert_eq!(ExtendedMessage::UploadOnly(true).to_message(&ids), None);
}

#[test]
fn ids_that_we_did_not_give_are_ignored() {
    assert_eq!(parse(6, b"anything"), Ok(None));
    assert_eq!(parse(255, b""), Ok(None));
    assert_eq!(parse(1, b"d8:msg_typei3e5:piecei0ee"), Ok(None), "BEP 9: kinds that are not known are ignored");
    assert_eq!(parse(5, b"\x07\0\x01\x02\x03\x04\x01\x02\0\0\0\0"), Ok(None));
}

#[test]
fn p20_wrong_types_are_as_if_not_there() {
    let all_wrong = b"d12:complete_ago0:1:ele4:ipv43:abc4:ipv6i6e1:mi1e13:metadata_sizelee1:pi65536e4:reqqi-1e11:upload_onlyde1:vi1e6:yourip5:abcdee";
    assert_eq!(handshake(all_wrong), ExtendedHandshake::default());
    let inside = handshake(b"d1:md11:ut_metadata1:36:ut_pexi256e11:lt_donthavei-1eee");
    assert_eq!(inside.extensions, vec![]);
}

#[test]
fn p20_depth_and_sixty_thousand_names_are_bounded() {
    assert!(ExtendedHandshake::parse(&b"d1:v".repeat(10_000)).is_err());
    let mut names = b"d1:md".to_vec();
    for name in 0..60_000 {
        names.extend_from_slice(format!("8:{name:08}i1e").as_bytes());
    }
    names.extend_from_slice(b"ee");
    assert!(ExtendedHandshake::parse(&names).is_err());
    assert!(ExtendedHandshake::parse(b"").is_err() && ExtendedHandshake::parse(b"le").is_err());
}

#[test]
fn p20_client_name_cannot_steer_a_terminal() {
    assert_eq!(handshake(b"d1:v5:a\x1b[2Je").client.as_deref(), Some("a\u{fffd}[2J"));
    let long = [b"d1:v1000:", &[b'x'; 1000][..], b"e"].concat();
    assert_eq!(handshake(&long).client.unwrap().len(), 64);
}

#[test]
fn p21_metadata_sizes_out_of_bounds_are_ignored() {
    for (size, kept) in
        [(0, None), (-1, None), (1 << 31, None), (1, Some(1)), (i64::from(MAX_METADATA_LENGTH) + 1, None)]
    {
        assert_eq!(handshake(format!("d13:metadata_sizei{size}ee").as_bytes()).metadata_size, kept);
    }
}

#[test]
fn p21_metadata_messages_that_break_their_form() {
    for payload in [
        &b"d5:piecei0ee"[..],
        b"d8:msg_typei0ee",
        b"d8:msg_typei0e5:piecei-1ee",
        b"d8:msg_typei0e5:piecei4294967296ee",
        b"d8:msg_typei1e5:piecei0eexx",
        b"d8:msg_typei1e5:piecei0e10:total_sizei5ee",
        b"i0e",
    ] {
        assert!(parse(1, payload).is_err(), "{}", String::from_utf8_lossy(payload));
    }
    let mut long = b"d8:msg_typei1e5:piecei0e10:total_sizei99999ee".to_vec();
    long.resize(long.len() + 16_385, 0);
    assert_eq!(parse(1, &long), Err(ExtendedError::Length("metadata piece", 16_385)));
}

#[test]
fn p22_peer_exchange_is_cut_and_says_how_long_it_was() {
    let count = 50_000;
    let payload = [format!("d5:added{}:", count * 6).as_bytes(), &vec![7; count * 6], b"e"].concat();
    let pex = PexMessage::parse(&payload).unwrap();
    assert_eq!((pex.added.len(), pex.listed), (MAX_PEX_CONTACTS, count));
    let ragged = PexMessage::parse(b"d5:added8:\x01\x02\x03\x04\x05\x06xx7:added.f0:7:droppedi1ee").unwrap();
    assert_eq!((ragged.added.len(), ragged.added[0].flags, ragged.dropped.len()), (1, PexFlags(0), 0));
}

#[test]
fn p27_hole_punch_of_wrong_length() {
    let right = HolePunch::Connect("1.2.3.4:5".parse().unwrap()).to_bytes();
    for cut in 0..right.len() - 4 {
        assert!(parse(5, &right[..cut]).is_err(), "{cut}");
    }
    assert!(parse(5, b"\0\x02\x01\x02\x03\x04\x01\x02\0\0\0\0").is_err(), "no such family");
}

#[test]
fn p28_dont_have_of_wrong_length() {
    assert!(parse(3, b"abc").is_err() && parse(3, b"abcde").is_err() && parse(4, b"").is_err());
}

fn any_addr() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        (any::<[u8; 4]>(), any::<u16>()).prop_map(SocketAddr::from),
        (any::<[u8; 16]>(), any::<u16>()).prop_map(SocketAddr::from),
    ]
}

proptest! {
    #[test]
    fn peer_exchange_round_trips(mut added in vec((any_addr(), any::<u8>()), 0..60), mut dropped in vec(any_addr(), 0..60)) {
        added.sort_by_key(|(addr, _)| addr.is_ipv6());
        dropped.sort_by_key(SocketAddr::is_ipv6);
        let listed = added.len();
        let added = added.into_iter().map(|(addr, flags)| PexContact { addr, flags: PexFlags(flags) }).collect();
        let message = PexMessage { added, dropped, listed };
        prop_assert_eq!(PexMessage::parse(&message.to_bytes()), Ok(message));
    }

    #[test]
    fn hole_punch_round_trips(addr in any_addr(), kind in 0..3, code in any::<u32>()) {
        let message = match kind {
            0 => HolePunch::Rendezvous(addr),
            1 => HolePunch::Connect(addr),
            _ => HolePunch::Error(addr, HolePunchError::from_code(code)),
        };
        prop_assert_eq!(HolePunch::parse(&message.to_bytes()), Ok(Some(message)));
    }

    #[test]
    fn no_payload_panics(id in 0u8..8, payload in vec(any::<u8>(), 0..100)) {
        let _ = parse(id, &payload);
    }

    #[test]
    fn no_damaged_payload_panics(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut payload = b"d1:md11:ut_metadatai3ee13:metadata_sizei31235e1:pi6881e1:v3:abc6:yourip4:abcde".to_vec();
        let place = place.index(payload.len());
        payload[place] = byte;
        let _ = parse(0, &payload);
    }
}
