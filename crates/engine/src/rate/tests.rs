#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;
use std::time::Duration;

use super::*;

const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const NEAR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 0, 1));

fn rates(settings: Settings) -> Arc<Rates> {
    Arc::new(Rates::new(&settings))
}

fn up(limit: u64) -> Limits {
    Limits { up: Some(limit), ..Limits::default() }
}

#[test]
fn without_a_limit_all_is_granted_and_no_connection_is_in_a_tree() {
    let rates = rates(Settings::default());
    let torrent = TorrentRates::new(&rates);
    let mut meter = torrent.meter(FAR, Arc::default());
    assert_eq!(meter.take(Way::Down, 1 << 20), Grant::Bytes(1 << 20));
    meter.settle(Way::Down, 1 << 20, 5);
    assert_eq!(rates.totals(), (5, 0));
    assert!(meter.lanes.iter().all(|lane| lane.leaf.is_none()));
}

#[test]
fn limits_of_all_levels_are_set_shown_and_gone_with_who_had_them() {
    let rates = rates(Settings { up_limit: Some(7), ..Settings::default() });
    assert_eq!(rates.limits(), up(7));
    rates.set(Limits::default());
    let torrent = TorrentRates::new(&rates);
    torrent.set(up(5));
    torrent.set_each(up(3));
    torrent.set_group(Some("night"));
    rates.set_group("night", up(9));
    assert_eq!((torrent.limits(), torrent.each(), torrent.group()), (up(5), up(3), Some("night".into())));
    assert_eq!(rates.groups().get("night"), Some(&up(9)));
    let mut meter = torrent.meter(FAR, Arc::default());
    // An empty bucket and nobody to serve us: what comes next is told by a wake.
    assert_eq!(meter.take(Way::Up, 100), Grant::Wait);
    assert!(meter.waits(Way::Up) && !meter.waits(Way::Down));
    assert_eq!(meter.take(Way::Down, 100), Grant::Bytes(100));
    drop((meter, torrent));
    assert!(rates.up.limited.load(Ordering::Relaxed), "the group is still limited");
    rates.set_group("night", Limits::default());
    assert!(!rates.up.limited.load(Ordering::Relaxed));
}

#[tokio::test]
async fn who_waits_is_woken_when_the_limit_goes() {
    let rates = rates(Settings { up_limit: Some(1), ..Settings::default() });
    let torrent = TorrentRates::new(&rates);
    let wake = Arc::<Notify>::default();
    let mut meter = torrent.meter(FAR, wake.clone());
    assert_eq!(meter.take(Way::Up, 100_000), Grant::Wait);
    rates.set(Limits::default());
    wake.notified().await;
    meter.look_again();
    assert_eq!(meter.take(Way::Up, 100_000), Grant::Bytes(100_000));
}

#[test]
fn each_connection_is_sure_of_its_part_of_a_limit_that_torrents_share() {
    let down = |limit: u64| Limits { down: Some(limit), ..Limits::default() };
    let rates = rates(Settings { down_limit: Some(9000), ..Settings::default() });
    let torrents = [TorrentRates::new(&rates), TorrentRates::new(&rates)];
    assert_eq!(torrents[0].down_share(), Some(9000), "nobody else is there");
    let mut meters: Vec<_> = [0, 0, 1].map(|torrent: usize| torrents[torrent].meter(FAR, Arc::default())).into();
    for meter in &mut meters {
        while meter.take(Way::Down, 9000) != Grant::Wait {}
    }
    assert_eq!(torrents.each_ref().map(TorrentRates::down_share), [Some(3000); 2]);
    torrents[0].set_each(down(1000));
    assert_eq!(torrents.each_ref().map(TorrentRates::down_share), [Some(1000), Some(9000)], "two wait for their own");
    meters.pop();
    torrents[0].set_each(Limits::default());
    rates.set(Limits::default());
    assert_eq!(torrents.each_ref().map(TorrentRates::down_share), [None; 2]);
    let rates = Arc::new(Rates::new(&Settings { down_limit: Some(9), lan_unlimited: true, ..Settings::default() }));
    assert_eq!(TorrentRates::new(&rates).down_share(), None, "it does not hold for everybody");
}

#[test]
fn peers_of_the_local_network_are_limited_unless_the_owner_exempts_them() {
    for (lan_unlimited, near) in [(false, Grant::Wait), (true, Grant::Bytes(100))] {
        let rates = rates(Settings { up_limit: Some(1), lan_unlimited, ..Settings::default() });
        let torrent = TorrentRates::new(&rates);
        assert_eq!(torrent.meter(NEAR, Arc::default()).take(Way::Up, 100), near);
        assert_eq!(torrent.meter(FAR, Arc::default()).take(Way::Up, 100), Grant::Wait);
    }
}

#[test]
fn the_heads_of_packets_count_both_ways_where_the_owner_wants_it() {
    for (count_overhead, expected) in [(false, true), (true, false)] {
        let rates = rates(Settings { down_limit: Some(8000), count_overhead, ..Settings::default() });
        let torrent = TorrentRates::new(&rates);
        let mut meter = torrent.meter(FAR, Arc::default());
        // What goes up costs as much down, in acknowledgements: 1 MB has 685 packets.
        meter.settle(Way::Up, 1_000_000, 1_000_000);
        let leaf = meter.lanes[0].leaf(&meter.wake);
        let queue = &mut *rates.down.lock();
        let later = Instant::now() + Duration::from_secs(2);
        assert_eq!(matches!(queue.tree.take(later, leaf, 1000), riverrun_proto::rate::Grant::Bytes(_)), expected);
    }
}
