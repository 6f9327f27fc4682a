#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const V1: &str = "876ea90c4f2b1d9e00ff1234567890abcdef0123";
const V2: &str = "caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e";

fn parse(query: &str) -> Magnet {
    format!("magnet:?xt=urn:btih:{V1}&{query}").parse().unwrap()
}

fn error(text: &str) -> MagnetError {
    text.parse::<Magnet>().unwrap_err()
}

#[test]
fn all_parameters_are_read() {
    let magnet = parse(
        "dn=a+b%20c%2B&xl=12&tr=udp%3A%2F%2Ft%3A6969&tr.1=http://u/announce?a+b%26c&ws=https%3A%2F%2Fw%2Ff&xs=http://x/t.torrent&xs=urn:btpk:ab\
         &as=http%3A%2F%2Fa%2F&x.pe=1.2.3.4:6881&x.pe=%5B2001%3Adb8%3A%3A1%5D%3A80&x.pe=[::1]:9&x.pe=Host.example:1&so=0,2,4,6-8&kt=x",
    );
    assert_eq!(magnet.info_hashes, InfoHashes::V1(V1.parse().unwrap()));
    assert_eq!(magnet.name.as_deref(), Some("a b c+"));
    assert_eq!(magnet.length, Some(12));
    assert_eq!(magnet.trackers, ["udp://t:6969", "http://u/announce?a+b&c"]);
    assert_eq!(magnet.web_seeds, ["https://w/f"]);
    assert_eq!(magnet.exact_sources, ["http://x/t.torrent", "urn:btpk:ab"]);
    assert_eq!(magnet.acceptable_sources, ["http://a/"]);
    let peers: Vec<String> = magnet.peers.iter().map(ToString::to_string).collect();
    assert_eq!(peers, ["1.2.3.4:6881", "[2001:db8::1]:80", "[::1]:9", "host.example:1"]);
    assert_eq!(magnet.selected, [0..=0, 2..=2, 4..=4, 6..=8]);
    assert!(magnet.selects(7) && !magnet.selects(5));
    assert_eq!(magnet.ignored, []);
    assert!(!magnet.is_bare());
}

#[test]
fn info_hashes_of_all_kinds_are_read() {
    let hashes = |text: &str| text.parse::<Magnet>().unwrap().info_hashes;
    let (v1, v2) = (V1.parse().unwrap(), V2.parse().unwrap());
    assert_eq!(hashes(&format!("magnet:?xt=urn:btih:{V1}")), InfoHashes::V1(v1));
    assert_eq!(hashes(&format!("MAGNET:?xt=URN:BTIH:{}", V1.to_uppercase())), InfoHashes::V1(v1));
    assert_eq!(hashes(&format!("magnet:?xt=urn%3Abtih%3A{V1}")), InfoHashes::V1(v1));
    assert_eq!(hashes(&format!("magnet:?xt=urn:btmh:1220{V2}")), InfoHashes::V2(v2));
    let both =
        format!("magnet:?dn=x&amp;xt.1=urn:btmh:1220{V2}&amp;xt.2=urn:btih:{V1}&xt=urn:btih:{V1}&xt=urn:sha1:ABC");
    assert_eq!(hashes(&both), InfoHashes::Hybrid(v1, v2));
    let base32 = "magnet:?xt=urn:btih:MZXW6YTBOJTG633CMFZGM33PMJQXEZTP";
    assert_eq!(hashes(base32), InfoHashes::V1(InfoHashV1(*b"foobarfoobarfoobarfo")));
}

#[test]
fn m23_bad_hash_refuses_the_link() {
    assert_eq!(
        error("magnet:?xt=urn:btih:zzzz&dn=x").to_string(),
        "bad magnet link: info-hash \"zzzz\" has 4 characters; 40 hex, 32 base32 or a v2 hash are valid"
    );
    for wrong in [
        format!("magnet:?xt=urn:btih:{V1}0"),
        format!("magnet:?xt=urn:btih:g{}", &V1[1..]),
        "magnet:?xt=urn:btih:".into(),
        format!("magnet:?xt=urn:btih:{}1", "a".repeat(31)),
        format!("magnet:?xt=urn:btmh:1120{V2}"),
        format!("magnet:?xt=urn:btmh:1220{}", &V2[1..]),
        format!("magnet:?xt=urn:btih:{V1}&xt=urn:btmh:1220"),
    ] {
        assert!(matches!(error(&wrong), MagnetError::InfoHash(_)), "{wrong}");
    }
    for none in
        ["magnet:?", "magnet:?dn=x", "magnet:?xt=", "magnet:?xt=urn:sha1:x", "magnet:?xt=urn:btih%FF", "magnet:?#xt"]
    {
        assert_eq!(error(none), MagnetError::NoInfoHash, "{none}");
    }
    for other in ["", "magnet", "magnet:", "magnet:xt=urn:btih:x", "http://x", "é magnet:?"] {
        assert_eq!(error(other), MagnetError::Scheme, "{other}");
        assert!(!Magnet::is_magnet(other));
    }
    let two = format!("magnet:?xt=urn:btih:{V1}&xt=urn:btih:{}", "a".repeat(40));
    assert_eq!(error(&two), MagnetError::TwoInfoHashes(V1.into(), "a".repeat(40)));
    let long = format!("magnet:?{}", "x".repeat(Magnet::MAX_LENGTH));
    assert_eq!(error(&long), MagnetError::Length(Magnet::MAX_LENGTH + 8));
}

#[test]
fn m23_so_is_clamped() {
    let last = Magnet::MAX_FILES - 1;
    assert_eq!(parse("so=0-4294967295").selected, [0..=last]);
    assert_eq!(parse("so=5-99999999999999999999").selected, [5..=last]);
    assert_eq!(parse("so=2097151").selected, [last..=last]);
    let past = parse("so=2097152,4294967295,1");
    assert_eq!(past.selected, [1..=1]);
    assert_eq!(past.ignored.len(), 2);
    assert_eq!(parse("so=7,1-3,4,2-2,9,6").selected, [1..=4, 6..=7, 9..=9]);
    assert_eq!(parse("so=3&so=1").selected, [1..=1, 3..=3]);
    let odd = parse("so=8-6,-1,1-,x,+1,1-2-3,,");
    assert_eq!(odd.selected, []);
    assert_eq!(odd.ignored.len(), 6);
    assert!(odd.selects(0) && odd.selects(u32::MAX));
    let many: Vec<String> = (0..300_000).map(|n| (n * 2).to_string()).collect();
    assert_eq!(parse(&format!("so={}", many.join(","))).selected.len(), 300_000);
}

#[test]
fn m23_schemes_are_filtered() {
    let magnet = parse(
        "tr=file:///etc/passwd&tr=ftp://t/&tr=wss://w&ws=file:///x&ws=udp://h:1&xs=file:///y&as=javascript:x&tr=http://ok/",
    );
    assert_eq!(magnet.trackers, ["wss://w", "http://ok/"]);
    assert!(magnet.web_seeds.is_empty() && magnet.exact_sources.is_empty() && magnet.acceptable_sources.is_empty());
    assert_eq!(magnet.ignored.len(), 6);
    assert_eq!(magnet.ignored[0].key, "tr");
    assert_eq!(magnet.ignored[0].value, "file:///etc/passwd");
    assert_eq!(magnet.ignored[0].why, "scheme \"file\" is not one of http, https, udp, ws, wss");
}

#[test]
fn m23_addresses_are_bounded_and_kept_once() {
    let many: Vec<String> = (0..20_000).map(|n| format!("tr=http://t{n}/announce")).collect();
    let magnet = parse(&many.join("&"));
    assert_eq!(magnet.trackers.len(), Magnet::MAX_TRACKERS);
    assert_eq!(magnet.trackers[199], "http://t199/announce");
    assert_eq!(magnet.ignored.len(), Magnet::MAX_IGNORED);
    assert_eq!(parse("tr=http://t/&tr=http://t/&tr=http%3a//t/").trackers.len(), 1);
    let peers: Vec<String> = (1..=20_000).map(|n| format!("x.pe=10.0.0.1:{n}")).collect();
    assert_eq!(parse(&peers.join("&")).peers.len(), Magnet::MAX_ADDRESSES);
    assert_eq!(parse("x.pe=h:1&x.pe=H:1").peers.len(), 1);
}

#[test]
fn m23_dn_is_text_only() {
    assert_eq!(parse("dn=..%2F..%2Fetc").name.as_deref(), Some("../../etc"));
    assert_eq!(parse("dn=100%&dn=second").name.as_deref(), Some("100%"));
    assert_eq!(parse("dn=%E4%BE%8B%zz%4").name.as_deref(), Some("例%zz%4"));
    assert_eq!(parse("dn=").name, None);
    let broken = parse("dn=%FF%FE");
    assert_eq!(broken.name, None);
    assert_eq!(broken.ignored[0].why, "it is not UTF-8");
    assert_eq!(parse(&format!("dn={}", "é".repeat(4000))).name.unwrap().len(), Magnet::MAX_NAME_LENGTH);
}

#[test]
fn peer_addresses_are_checked() {
    let address = |text: &str| text.parse::<PeerAddress>();
    assert_eq!(address("1.2.3.4:80").unwrap().socket_addr(), Some("1.2.3.4:80".parse().unwrap()));
    assert_eq!(address("[2001:DB8::1]:80").unwrap().socket_addr(), Some("[2001:db8::1]:80".parse().unwrap()));
    let name = address("tracker.example:80").unwrap();
    assert_eq!((name.host(), name.port(), name.socket_addr()), ("tracker.example", 80, None));
    assert_eq!(PeerAddress::from("[::1]:7".parse::<SocketAddr>().unwrap()), address("[::1]:7").unwrap());
    assert_eq!(address("host"), Err(PeerAddressError::NoPort));
    for bad in ["h:0", "h:65536", "h:", "h:+1", "h:x"] {
        assert_eq!(address(bad), Err(PeerAddressError::Port), "{bad}");
    }
    for bad in [":1", "::1:80", "[::1:80", "[x]:80", "a b:80", "a/b:80", "é:80", "[1.2.3.4]:80"] {
        assert_eq!(address(bad), Err(PeerAddressError::Host), "{bad}");
    }
    assert_eq!(parse("x.pe=host&x.pe=h:0").ignored.len(), 2);
}

#[test]
fn a_link_cut_by_the_shell_is_bare() {
    let cut: Magnet = format!("magnet:?xt=urn:btih:{V1}").parse().unwrap();
    assert!(cut.is_bare());
    assert!(format!("magnet:?xt=urn:btih:{V1}&").parse::<Magnet>().unwrap().is_bare());
    assert!(format!("magnet:?xt=urn:btih:{V1}&xt=urn:btmh:1220{V2}").parse::<Magnet>().unwrap().is_bare());
    for query in ["dn=x", "tr=http://t/", "tr=file:///x", "x.pe=h:1", "so=1", "ws=http://w/", "xl=1"] {
        assert!(!parse(query).is_bare(), "{query}");
    }
}

#[test]
fn links_are_written_in_one_form() {
    let mut magnet = Magnet::new(InfoHashes::Hybrid(V1.parse().unwrap(), V2.parse().unwrap()));
    magnet.name = Some("a b&c=d/é+".into());
    magnet.length = Some(5);
    magnet.trackers = vec!["http://t:80/announce?k=v".into()];
    magnet.peers = vec!["[::1]:6881".parse().unwrap(), "h:1".parse().unwrap()];
    magnet.selected = vec![0..=0, 6..=8];
    assert_eq!(
        magnet.to_string(),
        format!(
            "magnet:?xt=urn:btih:{V1}&xt=urn:btmh:1220{V2}&dn=a%20b%26c%3Dd%2F%C3%A9%2B&xl=5\
             &tr=http%3A%2F%2Ft%3A80%2Fannounce%3Fk%3Dv&x.pe=%5B%3A%3A1%5D:6881&x.pe=h:1&so=0,6-8"
        )
    );
    assert_eq!(magnet.to_string().parse::<Magnet>().unwrap(), magnet);
}

fn magnets() -> impl Strategy<Value = Magnet> {
    let hashes = prop_oneof![
        any::<[u8; 20]>().prop_map(|v1| InfoHashes::V1(InfoHashV1(v1))),
        any::<[u8; 32]>().prop_map(|v2| InfoHashes::V2(InfoHashV2(v2))),
        any::<([u8; 20], [u8; 32])>().prop_map(|(v1, v2)| InfoHashes::Hybrid(InfoHashV1(v1), InfoHashV2(v2))),
    ];
    let addresses = || proptest::collection::btree_set("https?://[a-z]{1,9}(:[1-9][0-9]{0,3})?/[!-~é]{0,12}", 0..4);
    let peer = any::<(IpAddr, u16)>().prop_map(|(ip, port)| PeerAddress::from(SocketAddr::new(ip, port.max(1))));
    (
        (hashes, proptest::option::of(".{1,40}"), any::<Option<u64>>()),
        (addresses(), addresses(), addresses(), addresses()),
        proptest::collection::btree_set(peer, 0..4),
        proptest::collection::vec((0..Magnet::MAX_FILES, 0u32..9), 0..5),
    )
        .prop_map(|((info_hashes, name, length), (tr, ws, xs, acceptable), peers, so)| Magnet {
            name,
            length,
            trackers: tr.into_iter().collect(),
            web_seeds: ws.into_iter().collect(),
            exact_sources: xs.into_iter().collect(),
            acceptable_sources: acceptable.into_iter().collect(),
            peers: peers.into_iter().collect(),
            selected: joined(so.into_iter().map(|(at, more)| at..=(at + more).min(Magnet::MAX_FILES - 1)).collect()),
            ..Magnet::new(info_hashes)
        })
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(magnet in magnets()) {
        prop_assert_eq!(magnet.to_string().parse::<Magnet>(), Ok(magnet));
    }

    #[test]
    fn any_text_is_read_or_refused_and_settles_when_written(text in ".{0,200}", query in "[a-z.&=%0-9:/+é\\[\\],-]{0,200}") {
        let _ = text.parse::<Magnet>();
        if let Ok(magnet) = format!("magnet:?xt=urn:btih:{V1}&{query}").parse::<Magnet>() {
            let written = magnet.to_string();
            let again: Magnet = written.parse().unwrap();
            prop_assert_eq!(again.to_string(), written);
        }
    }
}
