#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn id(text: &[u8; 20]) -> Id {
    Id(*text)
}

fn read(packet: &[u8]) -> Message {
    Message::decode(packet).unwrap()
}

/// The examples of BEP 5, which our own encoder must give back byte for byte.
#[test]
fn the_examples_of_bep_5() {
    let asker = id(b"abcdefghij0123456789");
    let target = id(b"mnopqrstuvwxyz123456");
    let want = Want::default();
    let token = b"aoeusnth".to_vec();
    let queries: [(&[u8], Query); 4] = [
        (b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe", Query::Ping),
        (
            b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
            Query::FindNode { target, want },
        ),
        (
            b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
            Query::GetPeers { info_hash: target, want, no_seed: false, scrape: false },
        ),
        (
            b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e\
              5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
            Query::AnnouncePeer { info_hash: target, port: 6881, implied_port: true, seed: false, token },
        ),
    ];
    for (packet, query) in queries {
        let body = Body::Query { id: asker, read_only: false, query };
        let message = Message { transaction: b"aa".as_slice().into(), version: None, ip: None, body };
        assert_eq!(read(packet), message);
        assert_eq!(message.encode(), packet);
    }
    let packet = b"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re";
    let message = read(packet);
    let Body::Response(response) = &message.body else { panic!("{message:?}") };
    assert_eq!(response.values, ["97.120.106.101:11893".parse().unwrap(), "105.100.104.116:28269".parse().unwrap()]);
    assert_eq!(message.encode(), packet);
    let packet = b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee";
    let message = read(packet);
    assert_eq!(message.body, Body::Error { code: 201, text: "A Generic Error Ocurred".into() });
    assert_eq!(message.encode(), packet);
}

#[test]
fn mixed_values_and_rests_are_read_as_far_as_they_go() {
    let mut packet = b"d1:rd2:id20:abcdefghij01234567895:nodes30:".to_vec();
    packet.extend_from_slice(&[7; 30]);
    packet.extend_from_slice(b"6:nodes637:");
    packet.extend_from_slice(&[7; 37]);
    packet.extend_from_slice(b"6:valuesl6:axje.u3:abci7e18:");
    packet.extend_from_slice(&[0x20; 18]);
    packet.extend_from_slice(b"ee1:t1:x1:y1:re");
    let Body::Response(response) = read(&packet).body else { panic!("an answer") };
    assert_eq!((response.nodes.unwrap().len(), response.nodes6.unwrap().len()), (1, 0));
    assert_eq!(response.values.len(), 2);
    assert!(response.values[1].is_ipv6());
}

#[test]
fn d7_what_is_wrong_with_a_query_is_told() {
    let reason = |packet: &[u8]| match Message::decode(packet) {
        Err(Refusal::Query { transaction, reason }) => {
            assert_eq!(transaction.as_slice(), b"aa");
            reason
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(b"d1:ad2:id19:abcdefghij012345678e1:q4:ping1:t2:aa1:y1:qe"), "an id has 20 bytes");
    assert_eq!(reason(b"d1:ade1:q4:ping1:t2:aa1:y1:qe"), "an id has 20 bytes");
    assert_eq!(reason(b"d1:q4:ping1:t2:aa1:y1:qe"), "no arguments");
    assert_eq!(reason(b"d1:ad2:id20:abcdefghij0123456789e1:t2:aa1:y1:qe"), "no method");
    assert_eq!(
        reason(b"d1:ad2:id20:abcdefghij01234567896:target3:abce1:q9:find_node1:t2:aa1:y1:qe"),
        "a target has 20 bytes"
    );
    let announce = |rest: &str| {
        let start = "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456";
        reason(format!("{start}{rest}e1:q13:announce_peer1:t2:aa1:y1:qe").as_bytes())
    };
    assert_eq!(announce("5:token1:x"), "a port is 1 to 65535");
    assert_eq!(announce("4:porti0e5:token1:x"), "a port is 1 to 65535");
    assert_eq!(announce("4:porti65536e5:token1:x"), "a port is 1 to 65535");
    assert_eq!(announce("4:porti-1e5:token1:x"), "a port is 1 to 65535");
    assert_eq!(announce("4:porti1e"), "no token");
    assert_eq!(announce(&format!("4:porti1e5:token129:{}", "x".repeat(129))), "no token");
}

#[test]
fn d7_junk_is_junk() {
    let nested = [b"d1:a".as_slice(), &b"l".repeat(900), &b"e".repeat(900), b"1:t2:aa1:y1:qe"].concat();
    let many = [b"d1:al".as_slice(), &b"le".repeat(900), b"ee".as_slice()].concat();
    let long = [b"d1:t2:aa1:x2048:".as_slice(), &[b'x'; 2048], b"1:y1:ee"].concat();
    let name = [b"d1:t33:".as_slice(), &[b'x'; 33], b"1:y1:ee"].concat();
    let junk: [&[u8]; 14] = [
        b"",
        b"d",
        b"de",
        b"le",
        b"i1e",
        b"4:spam",
        b"d1:t2:aae",
        b"d1:t0:1:y1:ee",
        b"d1:ti1e1:y1:ee",
        b"d1:t2:aa1:y1:xe",
        &nested,
        &many,
        &long,
        &name,
    ];
    for packet in junk {
        assert_eq!(Message::decode(packet), Err(Refusal::Junk), "{}", packet[..packet.len().min(40)].escape_ascii());
    }
    for packet in [b"d1:t2:aa1:y1:re".as_slice(), b"d1:rd2:id2:abe1:t2:aa1:y1:re", b"d1:rle1:t2:aa1:y1:re"] {
        assert!(matches!(Message::decode(packet), Err(Refusal::Reply { .. })));
    }
    assert_eq!(read(b"d1:ele1:t2:aa1:y1:ee").body, Body::Error { code: 201, text: String::new() });
    let text = read(b"d1:eli7e5:a\x1b[2me1:t2:aa1:y1:ee").body;
    assert_eq!(text, Body::Error { code: 7, text: "a[2m".into() });
}

#[test]
fn an_item_keeps_its_bytes_and_says_whether_they_are_canonical() {
    let put = |value: &str| {
        let packet = format!("d1:ad2:id20:abcdefghij01234567895:token1:x1:v{value}e1:q3:put1:t2:aa1:y1:qe");
        match read(packet.as_bytes()).body {
            Body::Query { query: Query::Put(put), .. } => (put.value, put.canonical),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(put("d1:ai1e1:bi2ee"), ("d1:ai1e1:bi2ee".into(), true));
    assert_eq!(put("d1:bi1e1:ai2ee"), ("d1:bi1e1:ai2ee".into(), false));
    assert_eq!(put("i007e"), ("i007e".into(), false));
}

#[test]
fn a_put_names_its_target_too() {
    let packet = b"d1:ad2:id20:abcdefghij01234567895:token1:x1:v12:Hello World!e1:q3:put1:t2:aa1:y1:qe";
    let message = read(packet);
    let Body::Query { query: Query::Put(put), .. } = &message.body else { panic!("{message:?}") };
    assert_eq!(put.target().to_string(), "e5f96f6f38320f0f33959cb4d3d656452117aadb");
    let named = [b"6:target20:".as_slice(), &put.target().0, b"5:token1:x"].concat();
    assert!(message.encode().windows(named.len()).any(|bytes| bytes == named));
}

fn any_id() -> impl Strategy<Value = Id> {
    any::<[u8; 20]>().prop_map(Id)
}

fn any_v4() -> impl Strategy<Value = SocketAddr> {
    any::<([u8; 4], u16)>().prop_map(|(ip, port)| (ip, port).into())
}

fn any_v6() -> impl Strategy<Value = SocketAddr> {
    let mapped = |addr: &SocketAddr| addr.ip().to_canonical().is_ipv6();
    any::<([u8; 16], u16)>().prop_map(|(ip, port)| (ip, port).into()).prop_filter("IPv4", mapped)
}

fn any_contacts(addr: impl Strategy<Value = SocketAddr>) -> impl Strategy<Value = Option<Vec<Contact>>> {
    let contact = (any_id(), addr).prop_map(|(id, addr)| Contact { id, addr });
    prop::option::of(prop::collection::vec(contact, 0..8))
}

fn any_signed() -> impl Strategy<Value = Signed> {
    (any::<[u8; 32]>(), any::<i64>(), any::<[[u8; 32]; 2]>()).prop_map(|(key, seq, signature)| {
        let signature = signature.concat().try_into().unwrap();
        Signed { key, salt: Vec::new(), seq, signature }
    })
}

fn any_query() -> impl Strategy<Value = Query> {
    let want = || any::<(bool, bool)>().prop_map(|(v4, v6)| Want { v4, v6 });
    let token = || prop::collection::vec(any::<u8>(), 0..20);
    prop_oneof![
        Just(Query::Ping),
        (any_id(), want()).prop_map(|(target, want)| Query::FindNode { target, want }),
        (any_id(), want(), any::<(bool, bool)>())
            .prop_map(|(info_hash, want, (no_seed, scrape))| { Query::GetPeers { info_hash, want, no_seed, scrape } }),
        (any_id(), 1u16.., any::<(bool, bool)>(), token()).prop_map(
            |(info_hash, port, (implied_port, seed), token)| {
                Query::AnnouncePeer { info_hash, port, implied_port, seed, token }
            }
        ),
        (any_id(), any::<Option<i64>>(), want()).prop_map(|(target, seq, want)| Query::Get { target, seq, want }),
        (any_id(), want()).prop_map(|(target, want)| Query::SampleInfohashes { target, want }),
        (prop::option::of(any_id()), want()).prop_map(|(target, want)| Query::Unknown { target, want }),
        (token(), prop::option::of(any_signed()), any::<u16>(), any::<Option<i64>>()).prop_map(
            |(token, signed, value, cas)| {
                let cas = cas.filter(|_| signed.is_some());
                Query::Put(Box::new(Put { token, value: format!("i{value}e").into(), canonical: true, signed, cas }))
            }
        ),
    ]
}

fn any_response() -> impl Strategy<Value = Response> {
    let nodes = (any_contacts(any_v4()), any_contacts(any_v6()));
    let values = prop::collection::vec(prop_oneof![any_v4(), any_v6()], 0..6);
    let samples = prop::option::of((prop::collection::vec(any_id(), 0..5), 0u32..21_600, any::<u16>()));
    (any_id(), nodes, values, prop::option::of(any_signed()), samples, any::<(bool, bool)>()).prop_map(
        |(id, (nodes, nodes6), values, signed, samples, (filters, token))| Response {
            nodes,
            nodes6,
            values,
            token: token.then(|| vec![1, 2, 3]),
            seeds: filters.then(Box::default),
            downloaders: filters.then(Box::default),
            value: signed.is_some().then(|| "3:abc".into()),
            seq: signed.as_ref().map(|signed| signed.seq),
            signed,
            samples: samples.map(|(info_hashes, interval, total)| Samples {
                info_hashes,
                interval,
                total: total.into(),
            }),
            ..Response::new(id)
        },
    )
}

fn any_message() -> impl Strategy<Value = Message> {
    let body = prop_oneof![
        (any_id(), any::<bool>(), any_query()).prop_map(|(id, read_only, query)| Body::Query { id, read_only, query }),
        any_response().prop_map(|response| Body::Response(Box::new(response))),
        (any::<i64>(), "[ -~]{0,100}").prop_map(|(code, text)| Body::Error { code, text }),
    ];
    let transaction = prop::collection::vec(any::<u8>(), 1..32);
    (transaction, any::<Option<[u8; 4]>>(), prop::option::of(any_v4()), body)
        .prop_map(|(transaction, version, ip, body)| Message { transaction: transaction.into(), version, ip, body })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(message in any_message()) {
        let packet = message.encode();
        if packet.len() <= crate::dht::limits::MAX_PACKET {
            prop_assert_eq!(read(&packet), message);
        }
    }

    #[test]
    fn d7_no_packet_cut_short_is_a_message(message in any_message()) {
        let packet = message.encode();
        for end in 0..packet.len() {
            prop_assert_eq!(Message::decode(&packet[..end]), Err(Refusal::Junk));
        }
    }
}
