//! Tests over URLs and bodies, both sides.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use riverrun_metainfo::WireHash;

use super::*;
use crate::limits::*;
use crate::tracker::*;
use crate::wire::PeerId;

fn request() -> AnnounceRequest {
    AnnounceRequest {
        info_hash: WireHash(*b"\x12\x34\x56\x78\x9a\xbc\xde\xf1\x23\x45\x67\x89\xab\xcd\xef\x12\x34\x56\x78\x9a"),
        peer_id: PeerId(*b"-RV0100-0123456789ab"),
        port: 6881,
        uploaded: 1,
        downloaded: 2,
        left: u64::MAX,
        event: None,
        num_want: None,
        key: 0xbeef,
        ipv4: None,
        ipv6: None,
        tracker_id: None,
    }
}

fn url(text: &str) -> TrackerUrl {
    TrackerUrl::parse(text).unwrap()
}

fn reply(body: &[u8]) -> AnnounceReply {
    parse_announce_reply(200, body).unwrap()
}

const OURS: &str = "info_hash=%124Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%124Vx%9A&peer_id=-RV0100-0123456789ab\
                    &port=6881&uploaded=1&downloaded=2&left=18446744073709551615&key=0000BEEF&compact=1";

#[test]
fn announce_url_keeps_what_the_tracker_has() {
    for (tracker, start) in [
        ("http://h/announce", "http://h:80/announce?"),
        ("http://h", "http://h:80/?"),
        ("https://h/a.php?passkey=1", "https://h:443/a.php?passkey=1&"),
        ("http://h/a?passkey=1&", "http://h:80/a?passkey=1&"),
        ("http://h/a?", "http://h:80/a?"),
        ("http://u:p@[::1]:81/key/announce", "http://u:p@[::1]:81/key/announce?"),
    ] {
        assert_eq!(announce_url(&url(tracker), &request()), format!("{start}{OURS}"));
    }
}

#[test]
fn announce_url_with_everything() {
    let full = AnnounceRequest {
        event: Some(Event::Completed),
        num_want: Some(50),
        ipv4: Some("1.2.3.4".parse().unwrap()),
        ipv6: Some("2001:db8::1".parse().unwrap()),
        tracker_id: Some(Bytes::from_static(b"a&b ")),
        ..request()
    };
    let text = announce_url(&url("http://h/announce"), &full);
    let tail = "&numwant=50&event=completed&ipv4=1.2.3.4&ipv6=2001:db8::1&trackerid=a%26b%20";
    assert_eq!(text, format!("http://h:80/announce?{OURS}{tail}"));
    assert_eq!(
        parse_announce_query(text.split_once('?').unwrap().1),
        Ok(AnnounceQuery { request: full, compact: true })
    );
}

#[test]
fn scrape_url_by_the_convention() {
    let hash = [WireHash([b'x'; 20])];
    let scrape = |text: &str| scrape_url(&url(text), &hash);
    let end = "info_hash=xxxxxxxxxxxxxxxxxxxx";
    assert_eq!(scrape("http://h/announce"), Some(format!("http://h:80/scrape?{end}")));
    assert_eq!(scrape("http://h/x/announce"), Some(format!("http://h:80/x/scrape?{end}")));
    assert_eq!(scrape("http://h/announce.php"), Some(format!("http://h:80/scrape.php?{end}")));
    assert_eq!(scrape("http://h/announce?x2%0644"), Some(format!("http://h:80/scrape?x2%0644&{end}")));
    for none in ["http://h/a", "http://h", "http://h/x%064announce", "http://h/announce/"] {
        assert_eq!(scrape(none), None, "{none}");
    }
}

#[test]
fn golden_replies() {
    let compact = reply(b"d8:intervali1800e5:peers6:\x01\x02\x03\x04\x1a\xe16:peers618:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe1e");
    assert_eq!(compact.interval, Duration::from_secs(1800));
    assert_eq!(compact.peers, ["1.2.3.4:6881".parse().unwrap(), "[2001:db8::1]:6881".parse::<SocketAddr>().unwrap()]);
    let listed = reply(
        b"d8:completei5e11:external ip4:\x09\x08\x07\x0610:incompletei7e8:intervali900e12:min intervali60e\
          5:peersld2:ip7:1.2.3.47:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti6881eed2:ip3:::14:porti1eed2:ip10:seed.local4:porti2eee\
          10:tracker id3:abc15:warning message5:hello\x65",
    );
    assert_eq!((listed.seeders, listed.leechers, listed.downloaded), (Some(5), Some(7), None));
    assert_eq!((listed.interval.as_secs(), listed.min_interval), (900, Some(Duration::from_secs(60))));
    assert_eq!(listed.external_ip, Some("9.8.7.6".parse().unwrap()));
    assert_eq!(listed.peers, ["1.2.3.4:6881".parse().unwrap(), "[::1]:1".parse::<SocketAddr>().unwrap()]);
    assert_eq!(listed.named_peers, [NamedPeer { host: "seed.local".into(), port: 2 }]);
    assert_eq!((listed.tracker_id.as_deref(), listed.warning.as_deref()), (Some(&b"abc"[..]), Some("hello")));
}

#[test]
fn refusals_and_when_to_ask_again() {
    let refused = |body: &[u8]| parse_announce_reply(200, body).unwrap_err();
    let minutes = |count: u64| Some(Retry::After(Duration::from_secs(count * 60)));
    for (tail, retry) in [
        (&b""[..], None),
        (b"8:retry in1:5", minutes(5)),
        (b"8:retry ini5e", minutes(5)),
        (b"8:retry in5:never", Some(Retry::Never)),
        (b"8:retry in4:soon", None),
        (b"8:retry ini-5e", None),
    ] {
        let body = [b"d14:failure reason10:Overloaded", tail, b"e"].concat();
        assert_eq!(refused(&body), AnnounceError::Refused { reason: "Overloaded".into(), retry });
    }
    assert_eq!(
        write_failure("no", Some(Retry::After(Duration::from_secs(61)))),
        b"d14:failure reason2:no8:retry in1:2e"
    );
    assert_eq!(
        refused(&write_failure("no", Some(Retry::Never))),
        AnnounceError::Refused { reason: "no".into(), retry: Some(Retry::Never) }
    );
    assert!(matches!(refused(b"d14:failure reasoni5ee"), AnnounceError::Refused { .. }));
    let body = write_failure("unregistered", None);
    assert!(matches!(parse_announce_reply(403, &body), Err(AnnounceError::Refused { .. })));
    assert_eq!(parse_announce_reply(404, b"<html>"), Err(AnnounceError::Status(404)));
    assert_eq!(parse_announce_reply(500, b"d8:intervali1e5:peers0:e"), Err(AnnounceError::Status(500)));
    assert_eq!(refused(b"<html>"), AnnounceError::Malformed("not bencode"));
    assert_eq!(refused(b"le"), AnnounceError::Malformed("not a dictionary"));
    assert_eq!(refused(b"de"), AnnounceError::Malformed("neither interval nor peers"));
}

#[test]
fn t3_body_over_a_mebibyte_is_refused() {
    let mut body = Body::new();
    for _ in 0..16 {
        body.push(&[b'd'; MAX_TRACKER_REPLY / 16]).unwrap();
    }
    assert_eq!(body.push(b"d"), Err(AnnounceError::TooLong(MAX_TRACKER_REPLY)));
    assert_eq!(body.as_bytes().len(), MAX_TRACKER_REPLY);
    assert_eq!(
        parse_announce_reply(200, &[b'd'; MAX_TRACKER_REPLY + 1]),
        Err(AnnounceError::TooLong(MAX_TRACKER_REPLY))
    );
    assert_eq!((TRACKER_TIMEOUT.as_secs(), MAX_TRACKER_HEADER), (30, 65_536));
}

#[test]
fn t4_of_ever_so_many_peers_five_thousand_are_kept() {
    let count = 170_000u32;
    let mut body = format!("d8:intervali1800e5:peers{}:", count * 6).into_bytes();
    for number in 0..count {
        body.extend_from_slice(&(0x0100_0000 + number).to_be_bytes());
        body.extend_from_slice(&6881u16.to_be_bytes());
    }
    body.push(b'e');
    assert_eq!(reply(&body).peers.len(), MAX_PEERS_PER_REPLY);
    let mut listed = b"d8:intervali1800e5:peersl".to_vec();
    for number in 0..13_000u32 {
        let host = if number % 2 == 0 {
            format!("p{number}.example")
        } else {
            format!("1.1.{}.{}", number >> 8 & 255, number & 255)
        };
        listed.extend_from_slice(format!("d2:ip{}:{host}4:porti1ee", host.len()).as_bytes());
    }
    listed.extend_from_slice(b"ee");
    let listed = reply(&listed);
    assert_eq!((listed.peers.len(), listed.named_peers.len()), (MAX_PEERS_PER_REPLY, MAX_NAMED_PEERS));
}

#[test]
fn t4_peers_that_cannot_be_dialled_are_left_out() {
    let peers: Vec<SocketAddr> =
        ["1.2.3.4:0", "255.255.255.255:1", "224.0.0.1:1", "0.0.0.0:1", "[ff02::1]:1", "[::]:1", "1.2.3.4:5"]
            .map(|text| text.parse().unwrap())
            .to_vec();
    let mapped = "[::ffff:1.2.3.4]:5".parse().unwrap();
    let body = write_announce_reply(&AnnounceReply { peers: vec![mapped], ..AnnounceReply::default() }, true);
    assert_eq!(reply(&body).peers, ["1.2.3.4:5".parse::<SocketAddr>().unwrap()]);
    for compact in [true, false] {
        let body = write_announce_reply(&AnnounceReply { peers: peers.clone(), ..AnnounceReply::default() }, compact);
        assert_eq!(reply(&body).peers, ["1.2.3.4:5".parse::<SocketAddr>().unwrap()], "compact: {compact}");
    }
}

#[test]
fn t4_wrong_types_are_as_if_not_there() {
    let body = b"d8:completele10:incomplete1:x8:interval4:180012:min intervalde5:peersi5e6:peers6le15:warning messagei1e11:external ip3:abce";
    assert_eq!(reply(body), AnnounceReply { interval: DEFAULT_ANNOUNCE_INTERVAL, ..AnnounceReply::default() });
    let odd = reply(b"d8:intervali1e5:peersli1e1:xd2:ip1:xed4:porti1eed2:ipi1e4:porti1eed2:ip1:x4:porti65536eed2:ip3:a/b4:porti1eed2:ip1:b4:porti1eeee");
    assert_eq!((odd.peers, odd.named_peers), (vec![], vec![NamedPeer { host: "b".into(), port: 1 }]));
    assert_eq!(reply(b"d8:intervali1e5:peers8:\x01\x02\x03\x04\x05\x06xxe").peers.len(), 1, "a rest is ignored");
}

#[test]
fn t5_intervals_of_any_size_have_a_duration() {
    for (said, seconds) in [("-1", 0), ("0", 0), ("4611686018427387904", u64::from(u32::MAX)), ("1800", 1800)] {
        let body = format!("d8:intervali{said}e12:min intervali{said}e5:peers0:e");
        assert_eq!(reply(body.as_bytes()).interval.as_secs(), seconds);
        assert_eq!(reply(body.as_bytes()).min_interval, Some(Duration::from_secs(seconds)));
    }
    let over = format!("d8:intervali{}e5:peers0:e", "9".repeat(400));
    assert_eq!(reply(over.as_bytes()).interval, DEFAULT_ANNOUNCE_INTERVAL);
}

#[test]
fn t6_failure_text_is_short_and_cannot_steer_a_terminal() {
    let text = [b"\x1b[31m<script>\r\n", &[b'a'; 900_000][..]].concat();
    let body = [format!("d14:failure reason{}:", text.len()).as_bytes(), &text, b"e"].concat();
    let Err(AnnounceError::Refused { reason, .. }) = parse_announce_reply(200, &body) else { panic!("no refusal") };
    assert!(reason.len() <= MAX_TRACKER_TEXT && reason.len() > 1000);
    assert!(reason.starts_with("\u{fffd}[31m<script>\u{fffd}\u{fffd}aaa"), "HTML is for the web page to escape");
}

#[test]
fn t8_scrape_ignores_other_torrents_and_negative_counts() {
    let (asked, other) = (WireHash([b'x'; 20]), WireHash([b'y'; 20]));
    let body = b"d5:filesd20:xxxxxxxxxxxxxxxxxxxxd8:completei-11e10:downloadedi4611686018427387904e10:incomplete2:19e\
                 20:yyyyyyyyyyyyyyyyyyyyd8:completei21eeee";
    let entry = ScrapeEntry { seeders: 0, leechers: 0, downloaded: u32::MAX, downloaders: None };
    assert_eq!(parse_scrape_reply(200, body, &[asked]), Ok(vec![(asked, entry)]));
    assert_eq!(parse_scrape_reply(200, body, &[WireHash([0; 20])]), Ok(vec![]));
    assert_eq!(parse_scrape_reply(200, body, &[other, asked]).unwrap()[0].1.seeders, 21);
    assert_eq!(parse_scrape_reply(200, b"d5:filesi1ee", &[asked]), Err(AnnounceError::Malformed("no files")));
}

#[test]
fn scrape_of_bep_48_and_back() {
    let hashes = [WireHash([b'x'; 20]), WireHash([b'y'; 20])];
    let entries = [
        (hashes[0], ScrapeEntry { seeders: 11, leechers: 19, downloaded: 13772, downloaders: None }),
        (hashes[1], ScrapeEntry { seeders: 21, leechers: 20, downloaded: 206, downloaders: Some(3) }),
    ];
    let body = write_scrape_reply(&entries);
    assert!(body.starts_with(b"d5:filesd20:xxxxxxxxxxxxxxxxxxxxd8:completei11e10:downloadedi13772e10:incompletei19ee"));
    assert_eq!(parse_scrape_reply(200, &body, &hashes), Ok(entries.to_vec()));
    let asked = scrape_url(&url("http://h/announce"), &hashes).unwrap();
    assert_eq!(parse_scrape_query(asked.split_once('?').unwrap().1), Ok(hashes.to_vec()));
}

#[test]
fn queries_that_a_tracker_refuses() {
    let error = |query: &str| parse_announce_query(query).unwrap_err();
    assert_eq!(error(""), QueryError::Missing("info_hash"));
    assert_eq!(error("info_hash=abc"), QueryError::Invalid("info_hash"));
    assert_eq!(error("info_hash=%zz"), QueryError::Invalid("info_hash"));
    assert_eq!(error(&OURS.replace("port=6881", "port=70000")), QueryError::Invalid("port"));
    assert_eq!(error(&OURS.replace("&left=", "&lift=")), QueryError::Missing("left"));
    assert_eq!(parse_scrape_query("info_hash=abc"), Err(QueryError::Invalid("info_hash")));
    let odd = parse_announce_query(&format!("{OURS}&numwant=-1&event=&compact=0")).unwrap();
    assert_eq!((odd.request, odd.compact), (request(), true), "the first value counts");
}

prop_compose! {
    fn any_reply()(
        interval in any::<u32>(),
        min_interval in proptest::option::of(any::<u32>()),
        v4 in vec(([1u8..224, 1..255, 0..255, 0..255], 1u16..), 0..20),
        v6 in vec((any::<[u8; 14]>(), 1u16..), 0..20),
        counts in any::<[Option<u32>; 3]>(),
        warning in proptest::option::of("[a-z ]{0,20}"),
        external_ip in any::<Option<std::net::IpAddr>>(),
        tracker_id in proptest::option::of(vec(any::<u8>(), 0..20)),
    ) -> AnnounceReply {
        let v6 = v6.into_iter().map(|(rest, port)| {
            let mut ip = [0x20; 16];
            ip[2..].copy_from_slice(&rest);
            SocketAddr::from((ip, port))
        });
        AnnounceReply {
            interval: Duration::from_secs(interval.into()),
            min_interval: min_interval.map(|seconds| Duration::from_secs(seconds.into())),
            peers: v4.into_iter().map(SocketAddr::from).chain(v6).filter(|peer| dialable(*peer)).collect(),
            named_peers: vec![],
            seeders: counts[0],
            leechers: counts[1],
            downloaded: counts[2],
            warning,
            external_ip,
            tracker_id: tracker_id.map(Bytes::from),
        }
    }
}

proptest! {
    #[test]
    fn replies_round_trip(wanted in any_reply(), compact in any::<bool>()) {
        prop_assert_eq!(parse_announce_reply(200, &write_announce_reply(&wanted, compact)), Ok(wanted));
    }

    #[test]
    fn b10_reply_cut_anywhere_is_an_error(wanted in any_reply()) {
        let body = write_announce_reply(&wanted, true);
        for cut in 0..body.len() {
            prop_assert!(parse_announce_reply(200, &body[..cut]).is_err());
        }
    }

    #[test]
    fn no_body_and_no_query_panics(body in vec(any::<u8>(), 0..200), query in any::<String>()) {
        let _ = parse_announce_reply(200, &body);
        let _ = parse_scrape_reply(200, &body, &[WireHash([0; 20])]);
        let _ = parse_announce_query(&query);
        let _ = parse_scrape_query(&query);
    }

    #[test]
    fn no_damaged_body_panics(wanted in any_reply(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = write_announce_reply(&wanted, false);
        let place = place.index(body.len());
        body[place] = byte;
        let _ = parse_announce_reply(200, &body);
    }
}
