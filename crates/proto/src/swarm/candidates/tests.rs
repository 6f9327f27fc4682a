use super::*;
use crate::swarm::DialError;
use crate::swarm::tests::birth;

const TERMS: Terms = Terms { room: 50, alone: false, finished: false };

fn candidates(private: bool) -> Candidates {
    Candidates::new(birth(), private, AddressRules::default(), Some(6881), fastrand::Rng::with_seed(1))
}

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn seconds(count: u64) -> Instant {
    birth() + Duration::from_secs(count)
}

#[test]
fn addresses_that_are_no_peers_are_left_out() {
    let mut all = candidates(false);
    let bad =
        ["1.2.3.4:0", "0.0.0.0:80", "0.1.2.3:80", "224.0.0.1:80", "255.255.255.255:80", "[::]:80", "[ff02::1]:80"];
    all.add(Source::Tracker, &bad.map(addr));
    assert_eq!(all.len(), 0);
    all.add(Source::Tracker, &["240.0.0.1:80", "[fe80::1]:80"].map(addr));
    assert_eq!(all.len(), 0);
    let on_link = SocketAddr::V6(SocketAddrV6::new("fe80::1".parse().expect("an address"), 80, 7, 2));
    all.add(Source::Lsd, &[on_link]);
    let dialled = all.dial(seconds(0), TERMS);
    assert!(matches!(dialled, Some(SocketAddr::V6(v6)) if v6.scope_id() == 2), "the link belongs to the address");
    all.remove(on_link);
    all.add(Source::Tracker, &[addr("1.2.3.4:80"), addr("[::ffff:1.2.3.4]:80"), addr("[2001:db8::1]:80")]);
    assert_eq!(all.len(), 2, "a mapped address is the same peer");
}

#[test]
fn the_rules_of_the_owner_hold_for_every_source() {
    let rules = AddressRules::new(true, Some("10.0.0.0/8".parse().expect("a list")));
    let mut all = Candidates::new(birth(), false, rules, Some(6881), fastrand::Rng::with_seed(1));
    for source in
        [Source::User, Source::Tracker, Source::Pex, Source::Dht, Source::Lsd, Source::Incoming, Source::Resume]
    {
        all.add(source, &["1.2.3.4:80", "10.0.0.1:80", "[::ffff:10.0.0.1]:81", "[2001:db8::1]:80"].map(addr));
    }
    assert_eq!((all.len(), all.refused()), (0, 3));
    assert_eq!(all.dial(seconds(0), TERMS), None);
    all.add(Source::Tracker, &[addr("192.168.0.1:80")]);
    assert_eq!(all.dial(seconds(0), TERMS), Some(addr("192.168.0.1:80")));
}

#[test]
fn a_private_torrent_takes_peers_from_trackers_and_the_user_alone() {
    let mut all = candidates(true);
    for (source, number) in
        [(Source::Dht, 1), (Source::Pex, 2), (Source::Lsd, 3), (Source::Tracker, 4), (Source::User, 5)]
    {
        all.add(source, &[addr(&format!("10.0.0.{number}:80"))]);
    }
    assert_eq!(all.len(), 2);
}

#[test]
fn candidates_are_bounded_and_better_sources_push_out_worse_ones() {
    let mut all = candidates(false);
    let many = |net: u8| {
        let octets = |n: u16| n.to_be_bytes();
        (0..4000).map(move |n| SocketAddr::from(([10, net, octets(n)[0], octets(n)[1]], 80))).collect::<Vec<_>>()
    };
    all.add(Source::Pex, &many(1));
    assert_eq!(all.len(), limits::MAX_CANDIDATES);
    all.add(Source::Pex, &many(2));
    assert!(all.known.iter().all(|(addr, _)| addr.to_string().starts_with("10.1.")));
    all.add(Source::User, &many(3)[..10]);
    assert_eq!(all.len(), limits::MAX_CANDIDATES);
    assert_eq!(all.known.iter().filter(|(_, known)| known.source == Source::User).count(), 10);
}

#[test]
fn p18_a_peer_that_fails_rests_60_s_then_120_s_then_is_forgotten() {
    let mut all = candidates(false);
    let (bad, others) =
        (addr("10.0.0.1:80"), (2..20).map(|n| SocketAddr::from(([10, 0, 0, n], 80))).collect::<Vec<_>>());
    all.add(Source::User, &[bad]);
    all.known.need().change_all(|_, known| known.source = Source::Tracker);
    assert_eq!(all.dial(seconds(0), TERMS), Some(bad));
    all.add(Source::Tracker, &others);
    all.dial_failed(seconds(0), bad, DialError::Refused);
    let dialled = |all: &mut Candidates, now| std::iter::from_fn(|| all.dial(now, TERMS)).collect::<Vec<_>>();
    assert!(!dialled(&mut all, seconds(59)).contains(&bad));
    assert!(dialled(&mut all, seconds(60)).contains(&bad));
    all.dial_failed(seconds(60), bad, DialError::Refused);
    assert!(!dialled(&mut all, seconds(179)).contains(&bad));
    assert!(dialled(&mut all, seconds(180)).contains(&bad));
    all.dial_failed(seconds(180), bad, DialError::Refused);
    assert!(all.known.get(&bad).is_none());
}

#[test]
fn the_users_peer_is_never_forgotten() {
    let mut all = candidates(false);
    all.add(Source::User, &[addr("10.0.0.1:80")]);
    let mut now = seconds(0);
    for _ in 0..20 {
        assert!(all.dial(now, TERMS).is_some());
        all.dial_failed(now, addr("10.0.0.1:80"), DialError::Refused);
        now = all.next_dial(now, TERMS).expect("another try");
    }
    assert!(now - seconds(0) <= 20 * limits::MAX_DIAL_BACKOFF);
}

#[test]
fn a_lonely_swarm_tries_its_only_seeder_again_after_5_10_and_20_s() {
    let mut all = candidates(false);
    let alone = Terms { alone: true, ..TERMS };
    let seeder = addr("10.0.0.1:80");
    all.add(Source::Tracker, &[seeder]);
    let mut now = seconds(0);
    let mut pauses = Vec::new();
    for _ in 0..5 {
        assert_eq!(all.dial(now, alone), Some(seeder));
        all.dial_failed(now, seeder, DialError::Refused);
        let next = all.next_dial(now, alone).expect("another try");
        pauses.push((next - now).as_secs());
        now = next;
    }
    assert_eq!(pauses, [5, 10, 20, 40, 60]);
}

#[test]
fn p23_one_address_is_dialled_twice_at_once_and_ten_times_a_minute_at_most() {
    let mut all = candidates(false);
    let ports: Vec<_> = (1..=100u16).map(|port| SocketAddr::from(([10, 0, 0, 1], 2000 + port))).collect();
    all.add(Source::Pex, &ports);
    let mut dials = 0;
    for half_second in 0..118 {
        let now = birth() + Duration::from_millis(half_second * 500);
        let under_way: Vec<_> = std::iter::from_fn(|| all.dial(now, TERMS)).collect();
        assert!(under_way.len() <= 2);
        dials += under_way.len();
        under_way.into_iter().for_each(|addr| all.dial_failed(now, addr, DialError::Refused));
    }
    assert_eq!(dials, 10);
    let local: Vec<_> = (1..=15u16).map(|port| SocketAddr::from(([127, 0, 0, 1], 2000 + port))).collect();
    all.add(Source::Tracker, &local);
    assert_eq!(std::iter::from_fn(|| all.dial(seconds(59), TERMS)).filter(|addr| addr.ip().is_loopback()).count(), 15);
}

#[test]
fn p23_ten_dials_in_any_minute_and_not_ten_at_the_end_of_one_and_ten_in_the_next() {
    let mut all = candidates(false);
    let ports: Vec<_> = (1..=100u16).map(|port| SocketAddr::from(([10, 0, 0, 1], 2000 + port))).collect();
    all.add(Source::Pex, &ports);
    let mut dials = Vec::new();
    for half_second in 0..600 {
        let now = birth() + Duration::from_millis(half_second * 500);
        // One long before the others, so that a minute which began with it would end among them.
        let most = if (1..100).contains(&half_second) { 0 } else { 1 };
        for _ in 0..most {
            let Some(addr) = all.dial(now, TERMS) else { break };
            dials.push(now);
            all.dial_failed(now, addr, DialError::Refused);
        }
    }
    assert!(dials.len() > 40, "{}", dials.len());
    assert!(dials.windows(11).all(|eleven| eleven[10] - eleven[0] >= Duration::from_secs(60)));
}

#[test]
fn p23_dials_under_way_and_per_second_are_bounded() {
    let mut all = candidates(false);
    let many: Vec<_> = (0..200u8).map(|n| SocketAddr::from(([10, 0, n, 1], 80))).collect();
    all.add(Source::Tracker, &many);
    assert_eq!(std::iter::from_fn(|| all.dial(seconds(0), TERMS)).count(), 20);
    assert_eq!(all.next_dial(seconds(0), TERMS), Some(birth() + Duration::from_millis(100)));
    assert_eq!(std::iter::from_fn(|| all.dial(seconds(1), TERMS)).count(), 10);
    assert_eq!(std::iter::from_fn(|| all.dial(seconds(60), TERMS)).count(), 10, "40 under way");
    assert_eq!(all.next_dial(seconds(60), TERMS), None);
}

#[test]
fn seeds_are_not_dialled_once_finished_and_ourselves_never_again() {
    let mut all = candidates(false);
    let (seed, own) = (addr("10.0.0.1:80"), addr("10.0.0.2:80"));
    all.add(Source::Tracker, &[seed, own]);
    all.set_seed(seed, true);
    all.is_ourselves(own);
    all.add(Source::Tracker, &[own]);
    assert_eq!(all.dial(seconds(0), Terms { finished: true, ..TERMS }), None);
    assert_eq!(all.next_dial(seconds(0), Terms { finished: true, ..TERMS }), None);
    assert_eq!(all.dial(seconds(0), TERMS), Some(seed));
}

#[test]
fn a_closed_connection_rests_and_counts_as_failure_only_when_it_was_no_good() {
    let mut all = candidates(false);
    let peer = addr("10.0.0.1:80");
    all.add(Source::Tracker, &[peer]);
    all.dial(seconds(0), TERMS);
    assert_eq!(all.connected(peer, ConnectionId(1), Source::Incoming), Source::Tracker);
    assert_eq!((all.dialling(), all.waiting()), (0, 0));
    all.closed(seconds(5), peer, ConnectionId(2), true, false);
    assert_eq!(all.waiting(), 0, "another connection");
    all.closed(seconds(5), peer, ConnectionId(1), true, true);
    assert_eq!((all.waiting(), all.known.get(&peer).map(|known| known.failures)), (1, Some(0)));
    assert_eq!(all.dial(seconds(64), TERMS), None);
    assert_eq!(all.dial(seconds(65), TERMS), Some(peer));
}

#[test]
fn the_highest_canonical_priority_is_dialled_first_once_our_address_is_known() {
    let mut all = candidates(false);
    // By the masks of BEP 40 of our 123.213.32.10; and one of IPv6, of which nothing can be said.
    let mut addrs: Vec<SocketAddr> = (1..30u8).map(|number| SocketAddr::from(([98, 76, number, 1], 6881))).collect();
    all.add(Source::Tracker, &addrs[..15]);
    all.told_outside("123.213.32.10".parse().expect("an address"));
    all.add(Source::Tracker, &addrs[15..]);
    addrs.sort_by_key(|addr| std::cmp::Reverse(all.rank(*addr)));
    let dialled: Vec<_> = (0..20).filter_map(|second| all.dial(seconds(second * 10), TERMS)).collect();
    assert_eq!(dialled, addrs[..20]);
    let v6 = addr("[2001:db8::1]:80");
    all.add(Source::Tracker, &[v6]);
    assert_eq!(all.rank(v6), None);
    assert!(
        (20..30).filter_map(|second| all.dial(seconds(second * 10), TERMS)).any(|addr| addr == v6),
        "not forgotten"
    );
}
