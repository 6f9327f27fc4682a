//! Announcers on one network, with a clock moved by hand.
#![allow(clippy::unwrap_used)]

use super::*;

fn birth() -> Instant {
    static BIRTH: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "a test needs one moment to start from")]
    *BIRTH.get_or_init(Instant::now)
}

fn hash(number: u16) -> WireHash {
    let mut hash = [0; 20];
    hash[..2].copy_from_slice(&number.to_be_bytes());
    WireHash(hash)
}

fn net(text: &str, prefix: u8) -> Network {
    Network { ip: text.parse().unwrap(), prefix }
}

/// One announcer and its clock.
struct Lone {
    announcer: Announcer,
    now: Instant,
}

impl Lone {
    fn new(seed: u64) -> Self {
        let config = AnnouncerConfig { port_v4: Some(7000), port_v6: None, seed };
        let mut lone = Self { announcer: Announcer::new(birth(), config), now: birth() };
        lone.feed(Input::Networks(vec![net("192.168.1.9", 24), net("fd00::9", 64)]));
        lone
    }

    fn feed(&mut self, input: Input<'_>) -> Vec<Action> {
        self.announcer.handle(self.now, input);
        std::iter::from_fn(|| self.announcer.poll()).collect()
    }

    /// What is said while time passes, with when.
    fn wait(&mut self, time: Duration) -> Vec<(Instant, LsdPacket)> {
        let until = self.now + time;
        let mut said = Vec::new();
        while let Some(at) = self.announcer.next_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            for action in self.feed(Input::Timeout) {
                let Action::Send { group: Group::V4, payload } = action else { panic!("{action:?}") };
                said.push((self.now, LsdPacket::parse(&payload).unwrap()));
            }
            assert!(self.announcer.next_timeout().is_none_or(|next| next > at), "a timer that is not set anew");
        }
        self.now = until;
        said
    }

    fn hears(&mut self, from: &str, port: u16, hashes: &[WireHash]) -> Vec<SocketAddr> {
        let packet = LsdPacket { port, info_hashes: hashes.to_vec(), cookie: None };
        self.hears_bytes(from, &packet.to_bytes(Group::V4))
    }

    fn hears_bytes(&mut self, from: &str, payload: &[u8]) -> Vec<SocketAddr> {
        let from = SocketAddr::new(from.parse().unwrap(), 6771);
        let actions = self.feed(Input::Packet { from, payload });
        let peers = actions.into_iter().map(|action| match action {
            Action::Peer { addr, .. } => addr,
            Action::Send { .. } => panic!("nothing is sent at once"),
        });
        peers.collect()
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_torrent_is_said_at_once_and_every_five_minutes_until_it_leaves() {
    let mut lone = Lone::new(1);
    assert_eq!(lone.wait(MINUTE).len(), 0);
    lone.feed(Input::Join(hash(1)));
    let start = lone.now;
    let said: Vec<_> = lone.wait(16 * MINUTE).iter().map(|(at, _)| (*at - start).as_secs()).collect();
    assert_eq!(said, [0, 300, 600, 900]);
    lone.feed(Input::Leave(hash(1)));
    assert_eq!(lone.wait(20 * MINUTE).len(), 0);
    assert_eq!(lone.announcer.next_timeout(), None);
    assert!(lone.announcer.torrents.is_empty());
}

#[test]
fn leaving_and_joining_does_not_say_it_twice_in_a_minute() {
    let mut lone = Lone::new(1);
    for _ in 0..100 {
        lone.feed(Input::Join(hash(1)));
        lone.wait(Duration::from_secs(1));
        lone.feed(Input::Leave(hash(1)));
        lone.wait(Duration::from_secs(1));
    }
    lone.feed(Input::Join(hash(1)));
    let before = lone.now;
    let said = lone.wait(MINUTE);
    assert!(said.len() == 1 && said[0].0 > before);
}

#[test]
fn ten_thousand_torrents_share_packets_and_do_not_storm() {
    let mut lone = Lone::new(1);
    (0..10_000).for_each(|number| _ = lone.feed(Input::Join(hash(number))));
    let said = lone.wait(4 * MINUTE);
    assert_eq!(said.len(), 10_000usize.div_ceil(MAX_HASHES));
    let all: BTreeSet<_> = said.iter().flat_map(|(_, packet)| &packet.info_hashes).collect();
    assert_eq!(all.len(), 10_000);
    assert!(said.windows(2).all(|pair| pair[1].0 - pair[0].0 >= PACKET_PAUSE));
    let later = lone.wait(5 * MINUTE);
    assert!((400..=430).contains(&later.len()), "{} packets", later.len());
}

#[test]
fn two_find_each_other_whoever_comes_first() {
    let (mut one, mut two) = (Lone::new(1), Lone::new(2));
    one.feed(Input::Join(hash(1)));
    assert_eq!(one.wait(2 * MINUTE).len(), 1);
    two.now = one.now;
    two.feed(Input::Join(hash(1)));
    let (_, first) = two.wait(Duration::from_secs(1)).remove(0);
    assert_eq!(one.hears_bytes("192.168.1.2", &first.to_bytes(Group::V4)), ["192.168.1.2:7000".parse().unwrap()]);
    let (at, answer) = one.wait(2 * Duration::from_secs(1)).remove(0);
    assert!(at - birth() >= 2 * MINUTE);
    assert_eq!(two.hears_bytes("192.168.1.1", &answer.to_bytes(Group::V4)), ["192.168.1.1:7000".parse().unwrap()]);
    // Both know each other now: no more than the regular announces.
    let mut count = 0;
    for second in 0..1200 {
        for (lone, other, from) in [(0, 1, "192.168.1.1"), (1, 0, "192.168.1.2")] {
            let pair = &mut [&mut one, &mut two];
            let said = pair[lone].wait(Duration::from_secs(1));
            count += said.len();
            said.iter().for_each(|(_, packet)| _ = pair[other].hears_bytes(from, &packet.to_bytes(Group::V4)));
        }
        assert!(second > 60 || count <= 3, "{count} in the first minute");
    }
    assert!(count <= 10, "{count} in 20 minutes");
}

#[test]
fn l1_only_neighbours_are_believed_and_only_of_torrents_that_we_have() {
    let mut lone = Lone::new(1);
    lone.feed(Input::Join(hash(1)));
    for far in ["192.168.2.1", "8.8.8.8", "127.0.0.1", "fd00:0:0:1::1", "2001:db8::1", "::1"] {
        assert!(lone.hears(far, 5000, &[hash(1)]).is_empty(), "{far}");
    }
    for near in ["192.168.1.77", "fd00::77", "fe80::1"] {
        assert_eq!(lone.hears(near, 5000, &[hash(1), hash(2)]).len(), 1, "{near}");
    }
    lone.feed(Input::Leave(hash(1)));
    assert!(lone.hears("192.168.1.77", 5000, &[hash(1)]).is_empty());
}

#[test]
fn l1_our_own_cookie_is_not_a_neighbour() {
    let mut lone = Lone::new(1);
    lone.feed(Input::Join(hash(1)));
    let (_, own) = lone.wait(MINUTE).remove(0);
    assert!(lone.hears_bytes("192.168.1.9", &own.to_bytes(Group::V4)).is_empty());
    let mut other = Lone::new(2);
    other.feed(Input::Join(hash(1)));
    assert_eq!(other.hears_bytes("192.168.1.9", &own.to_bytes(Group::V4)).len(), 1, "two programs on one machine");
}

#[test]
fn l1_a_flood_is_bounded_by_source_and_in_all_and_makes_us_say_no_more() {
    let mut lone = Lone::new(1);
    lone.feed(Input::Join(hash(1)));
    lone.wait(2 * MINUTE);
    let one: usize = (1..1000).map(|port| lone.hears("192.168.1.2", port, &[hash(1)]).len()).sum();
    assert_eq!(one, limits::MAX_LSD_PACKETS_PER_SOURCE as usize);
    let all: usize = (1..20_000u32)
        .map(|number| lone.hears(&format!("fd00::{:x}:{:x}", number >> 8, number & 255), 9, &[hash(1)]).len())
        .sum();
    assert!(one + all <= limits::MAX_LSD_PACKETS as usize);
    assert!(lone.announcer.neighbours.len() <= limits::MAX_LSD_SOURCES);
    assert!(lone.wait(MINUTE).len() <= 1);
    assert_eq!(lone.hears("192.168.1.2", 1, &[hash(1)]).len(), 1, "the next minute is another");
}

#[test]
fn a_new_network_is_told_as_soon_as_allowed() {
    let mut lone = Lone::new(1);
    lone.feed(Input::Join(hash(1)));
    assert_eq!(lone.wait(Duration::from_secs(10)).len(), 1);
    lone.feed(Input::Networks(vec![net("192.168.1.9", 24), net("10.1.1.1", 8)]));
    let said = lone.wait(MINUTE);
    assert_eq!(said.iter().map(|(at, _)| (*at - birth()).as_secs()).collect::<Vec<_>>(), [60]);
    lone.feed(Input::Networks(vec![net("10.1.1.1", 8)]));
    assert_eq!(lone.wait(2 * MINUTE).len(), 0, "fewer are no news");
}

#[test]
fn both_groups_are_told_the_port_of_their_family() {
    let config = AnnouncerConfig { port_v4: Some(1), port_v6: Some(2), seed: 1 };
    let mut announcer = Announcer::new(birth(), config);
    announcer.handle(birth(), Input::Join(hash(1)));
    announcer.handle(birth() + MINUTE, Input::Timeout);
    for (expected, port) in [(Group::V4, 1), (Group::V6, 2)] {
        let Some(Action::Send { group, payload }) = announcer.poll() else { panic!("nothing for {expected:?}") };
        assert_eq!((group, LsdPacket::parse(&payload).unwrap().port), (expected, port));
    }
    assert_eq!(announcer.poll(), None);
}
