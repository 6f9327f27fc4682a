//! Tests of the machine with a hand-moved clock and trackers that answer as a test says.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::cast_possible_truncation)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::limits::*;
use crate::tracker::Retry;

const MINUTE: Duration = Duration::from_secs(60);
const HALF_HOUR: Duration = Duration::from_secs(1800);

/// The machine, its clock, and what it has asked for.
struct Rig {
    tiers: Tiers,
    now: Instant,
    /// Announces under way, by host name.
    open: BTreeMap<AnnounceId, Announce>,
    /// Everything else since it was last taken.
    other: Vec<Action>,
}

impl Rig {
    fn new(tiers: &[&[&str]]) -> Self {
        Self::with(tiers, |_| ())
    }

    fn with(tiers: &[&[&str]], change: impl FnOnce(&mut TiersConfig)) -> Self {
        let url = |host: &&str| format!("http://{host}/announce");
        let tiers = tiers.iter().map(|tier| tier.iter().map(url).collect()).collect();
        let mut config = TiersConfig { tiers, private: false, announce_to_all: false, listen_port: 6881, seed: 7 };
        change(&mut config);
        Self { tiers: Tiers::new(config), now: Instant::now(), open: BTreeMap::new(), other: Vec::new() }
    }

    fn started(tiers: &[&[&str]]) -> Self {
        let mut rig = Self::new(tiers);
        rig.input(Input::Start { complete: false });
        rig
    }

    fn input(&mut self, input: Input) {
        self.tiers.handle(self.now, input);
        while let Some(action) = self.tiers.poll() {
            match action {
                Action::Announce(announce) => {
                    assert!(self.open.insert(announce.id, announce).is_none());
                }
                Action::Cancel(id) => {
                    self.open.remove(&id).expect("only what is under way is taken back");
                }
                other => self.other.push(other),
            }
        }
    }

    /// The announces under way: whom, and why.
    fn asked(&self) -> Vec<(String, Option<Event>)> {
        self.open.values().map(|announce| (announce.tracker.host().to_owned(), announce.event)).collect()
    }

    /// Asserts that exactly this is under way.
    fn expect(&self, host: &str, event: Option<Event>) {
        assert_eq!(self.asked(), [(host.to_owned(), event)]);
    }

    /// Ends the announce to `host`.
    fn end(&mut self, host: &str, result: Result<AnnounceReply, AnnounceError>) {
        let id = *self.open.iter().find(|(_, announce)| announce.tracker.host() == host).expect(host).0;
        self.open.remove(&id);
        self.input(Input::Reply { id, result });
    }

    fn answer(&mut self, host: &str) {
        self.end(host, Ok(reply()));
    }

    fn fail(&mut self, host: &str) {
        self.end(host, Err(AnnounceError::Timeout));
    }

    /// Moves the clock to the next due moment; how long that was.
    fn sleep(&mut self) -> Duration {
        let due = self.tiers.next_timeout().expect("something is due");
        let slept = due.saturating_duration_since(self.now);
        self.now = self.now.max(due);
        self.input(Input::Timeout);
        slept
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.input(Input::Timeout);
    }

    fn status(&self, host: &str) -> TrackerStatus {
        self.tiers.status().into_iter().find(|status| status.url.contains(&format!("//{host}/"))).unwrap()
    }
}

fn reply() -> AnnounceReply {
    AnnounceReply { interval: HALF_HOUR, ..AnnounceReply::default() }
}

#[test]
fn started_then_by_the_clock_then_completed_then_stopped() {
    let mut rig = Rig::started(&[&["a"]]);
    rig.expect("a", Some(Event::Started));
    let announce = rig.open.values().next().unwrap().clone();
    assert_eq!((announce.num_want, announce.retries), (NUM_WANT, 3));
    rig.answer("a");
    assert_eq!(rig.sleep(), HALF_HOUR);
    rig.expect("a", None);
    assert_eq!(rig.open.values().next().unwrap().key, announce.key);
    rig.answer("a");
    rig.pass(MINUTE);
    assert_eq!(rig.asked(), []);
    rig.input(Input::Completed);
    rig.expect("a", Some(Event::Completed));
    rig.answer("a");
    rig.input(Input::Completed);
    assert_eq!(rig.asked(), [], "only once");
    rig.input(Input::Stop);
    rig.expect("a", Some(Event::Stopped));
    assert_eq!(rig.open.values().next().unwrap().num_want, 0);
    assert_eq!((&rig.other[..], rig.tiers.next_timeout()), (&[][..], None));
    rig.answer("a");
    assert_eq!(rig.other, [Action::Stopped]);
}

#[test]
fn completed_is_not_sent_if_complete_at_the_start() {
    let mut rig = Rig::new(&[&["a"]]);
    rig.input(Input::Start { complete: true });
    rig.answer("a");
    rig.input(Input::Completed);
    assert_eq!(rig.asked(), []);
}

#[test]
fn completed_while_an_announce_is_under_way_follows_at_once() {
    let mut rig = Rig::started(&[&["a"]]);
    rig.input(Input::Completed);
    rig.expect("a", Some(Event::Started));
    rig.answer("a");
    rig.expect("a", Some(Event::Completed));
    rig.fail("a");
    rig.sleep();
    rig.expect("a", Some(Event::Completed));
    rig.answer("a");
    assert_eq!(rig.sleep(), HALF_HOUR);
    rig.expect("a", None);
}

#[test]
fn partial_seed_says_paused_in_every_announce_but_events() {
    let mut rig = Rig::new(&[&["a"]]);
    rig.input(Input::PartialSeed(true));
    rig.input(Input::Start { complete: false });
    rig.expect("a", Some(Event::Started));
    rig.answer("a");
    rig.sleep();
    rig.expect("a", Some(Event::Paused));
    rig.answer("a");
    rig.input(Input::PartialSeed(false));
    rig.sleep();
    rig.expect("a", None);
}

#[test]
fn bep_12_backups_are_tried_in_order_at_each_announce() {
    let mut rig = Rig::started(&[&["a"], &["b"], &["c"]]);
    rig.expect("a", Some(Event::Started));
    rig.fail("a");
    rig.expect("b", Some(Event::Started));
    rig.fail("b");
    rig.expect("c", Some(Event::Started));
    rig.answer("c");
    assert!(rig.open.is_empty());
    assert_eq!(rig.sleep(), HALF_HOUR);
    rig.expect("a", Some(Event::Started));
    assert_eq!(rig.open.values().next().unwrap().retries, 0, "others can be asked in its place");
    rig.answer("a");
    rig.sleep();
    rig.expect("a", None);
}

#[test]
fn bep_12_who_answers_moves_to_the_front_of_its_tier() {
    let mut rig = Rig::started(&[&["a", "b", "c"], &["z"]]);
    let mut shuffled = Vec::new();
    for _ in 0..2 {
        let [(host, _)] = &rig.asked()[..] else { panic!("one at a time") };
        shuffled.push(host.clone());
        let host = host.clone();
        rig.fail(&host);
    }
    let [(third, _)] = &rig.asked()[..] else { panic!("one at a time") };
    let third = third.clone();
    rig.answer(&third);
    rig.sleep();
    rig.expect(&third, None);
    rig.fail(&third);
    rig.expect(&shuffled[0], Some(Event::Started));
    rig.answer(&shuffled[0].clone());
    let order: Vec<String> = rig.tiers.status().into_iter().map(|status| status.url).collect();
    let wanted = [&shuffled[0], &third, &shuffled[1], &"z".to_owned()].map(|host| format!("http://{host}/announce"));
    assert_eq!(order, wanted);
}

#[test]
fn bep_12_tiers_are_shuffled_by_the_seed_and_never_across() {
    let orders: BTreeSet<Vec<String>> = (0..200)
        .map(|seed| {
            let rig = Rig::with(&[&["a", "b", "c"], &["x", "y"]], |config| config.seed = seed);
            let order: Vec<String> = rig.tiers.status().into_iter().map(|status| status.url[7..8].to_owned()).collect();
            assert!(order[..3].iter().all(|host| host.as_str() < "d"), "{order:?}");
            order
        })
        .collect();
    assert_eq!(orders.len(), 12, "every order of both tiers comes up");
}

#[test]
fn a_slow_round_comes_to_its_end() {
    let mut rig = Rig::started(&[&["a"], &["b"], &["c"]]);
    for host in ["a", "b", "c"] {
        rig.expect(host, Some(Event::Started));
        rig.now += MINUTE;
        rig.fail(host);
    }
    assert_eq!(rig.asked(), [], "all have failed in this round");
    assert_eq!(rig.sleep(), Duration::ZERO, "and the first may be asked again");
    rig.expect("a", Some(Event::Started));
}

#[test]
fn failures_wait_twice_as_long_each_time() {
    let mut rig = Rig::started(&[&["a"]]);
    let mut longest = Duration::ZERO;
    for failures in 0..12 {
        rig.fail("a");
        assert_eq!(rig.status("a").state, TrackerState::Failing { failures: failures + 1 });
        let base = (TRACKER_RETRY * (1 << failures.min(10))).min(MAX_TRACKER_RETRY);
        assert_eq!(rig.status("a").next_try, rig.tiers.next_timeout());
        longest = rig.sleep();
        assert!(longest >= base && longest <= base + base / 4, "{failures}: {longest:?}");
    }
    assert!(longest >= MAX_TRACKER_RETRY);
    rig.answer("a");
    rig.sleep();
    rig.fail("a");
    assert!(rig.sleep() < TRACKER_RETRY * 2, "one answer and it counts anew");
}

#[test]
fn bep_31_when_to_ask_again() {
    let refuse = |retry| Err(AnnounceError::Refused { reason: "busy".into(), retry: Some(retry) });
    let mut rig = Rig::started(&[&["a"]]);
    rig.end("a", refuse(Retry::After(HALF_HOUR)));
    assert_eq!(rig.status("a").last_error.as_deref(), Some("busy"));
    assert_eq!(rig.sleep(), HALF_HOUR);
    rig.end("a", refuse(Retry::After(Duration::MAX)));
    assert_eq!(rig.sleep(), MAX_ANNOUNCE_INTERVAL);
    rig.end("a", refuse(Retry::Never));
    assert_eq!((rig.tiers.next_timeout(), rig.status("a").state), (None, TrackerState::GivenUp));
    rig.input(Input::NeedPeers);
    rig.input(Input::Completed);
    assert_eq!(rig.asked(), []);
    rig.input(Input::Stop);
    assert_eq!(rig.other, [Action::Stopped]);
}

#[test]
fn t5_intervals_are_clamped() {
    let seconds = Duration::from_secs;
    for (interval, min_interval, slept) in [
        (Duration::ZERO, None, MIN_ANNOUNCE_INTERVAL),
        (seconds(u64::from(u32::MAX)), None, MAX_ANNOUNCE_INTERVAL),
        (seconds(120), Some(seconds(300)), seconds(300)),
        (seconds(120), Some(seconds(u64::from(u32::MAX))), MAX_MIN_INTERVAL),
        (seconds(120), Some(Duration::ZERO), seconds(120)),
        (Duration::MAX, Some(Duration::MAX), MAX_ANNOUNCE_INTERVAL),
    ] {
        let mut rig = Rig::started(&[&["a"]]);
        rig.end("a", Ok(AnnounceReply { interval, min_interval, ..reply() }));
        assert_eq!(rig.sleep(), slept, "{interval:?} {min_interval:?}");
    }
}

#[test]
fn more_peers_as_far_as_the_tracker_allows() {
    let mut rig = Rig::started(&[&["a"]]);
    rig.input(Input::NeedPeers);
    for wait in [1, 2, 4, 8, 16, 30, 30] {
        rig.answer("a");
        rig.input(Input::NeedPeers);
        rig.input(Input::NeedPeers);
        assert_eq!(rig.sleep(), MINUTE * wait);
        rig.expect("a", None);
    }
    rig.answer("a");
    rig.sleep();
    rig.answer("a");
    rig.input(Input::NeedPeers);
    assert_eq!(rig.sleep(), MINUTE, "after an interval that was kept it counts anew");
    for _ in 0..3 {
        rig.end("a", Ok(AnnounceReply { min_interval: Some(MINUTE * 5), ..reply() }));
        rig.input(Input::NeedPeers);
        assert_eq!(rig.sleep(), MINUTE * 5);
    }
}

#[test]
fn stopped_goes_to_every_tracker_that_knows_us_and_to_no_other() {
    let mut rig = Rig::started(&[&["a"], &["b"], &["c"]]);
    rig.answer("a");
    rig.sleep();
    rig.fail("a");
    rig.answer("b");
    rig.input(Input::Stop);
    assert_eq!(rig.asked(), [("a".to_owned(), Some(Event::Stopped)), ("b".to_owned(), Some(Event::Stopped))]);
    rig.fail("a");
    assert_eq!(rig.other, []);
    rig.answer("b");
    assert_eq!(rig.other, [Action::Stopped]);
}

#[test]
fn stop_takes_back_what_nobody_may_ever_answer() {
    let mut rig = Rig::started(&[&["a"]]);
    rig.input(Input::Stop);
    assert_eq!((rig.asked(), &rig.other[..]), (vec![], &[Action::Stopped][..]));
    rig.input(Input::Stop);
    assert_eq!(rig.other.len(), 2, "nothing to stop is stopped");
}

#[test]
fn stop_lets_completed_arrive_first() {
    let mut rig = Rig::started(&[&["a"]]);
    rig.answer("a");
    rig.input(Input::Completed);
    rig.input(Input::Stop);
    rig.expect("a", Some(Event::Completed));
    rig.answer("a");
    rig.expect("a", Some(Event::Stopped));
    rig.answer("a");
    assert_eq!(rig.other, [Action::Stopped]);

    let mut rig = Rig::started(&[&["a"]]);
    rig.answer("a");
    rig.sleep();
    rig.input(Input::Completed);
    rig.input(Input::Stop);
    rig.expect("a", None);
    rig.answer("a");
    rig.expect("a", Some(Event::Completed));
    rig.fail("a");
    rig.expect("a", Some(Event::Stopped));
    rig.fail("a");
    assert_eq!(rig.other, [Action::Stopped]);
}

#[test]
fn start_again_after_stop_and_while_stopping() {
    let mut rig = Rig::started(&[&["a"], &["b"]]);
    rig.answer("a");
    rig.input(Input::Stop);
    rig.answer("a");
    rig.input(Input::Start { complete: false });
    rig.expect("a", Some(Event::Started));
    rig.answer("a");
    rig.input(Input::Stop);
    rig.expect("a", Some(Event::Stopped));
    rig.input(Input::Start { complete: true });
    rig.expect("a", Some(Event::Started));
    rig.answer("a");
    assert_eq!(rig.other, [Action::Stopped], "the second stop was overtaken");
}

#[test]
fn m18_ten_thousand_trackers_are_asked_fifty_at_a_time() {
    let tiers: Vec<Vec<String>> = (0..5000).map(|n| vec![format!("http://a{n}/"), format!("http://b{n}/")]).collect();
    let mut rig = Rig::with(&[], |config| {
        config.tiers = tiers;
        config.announce_to_all = true;
    });
    rig.input(Input::Start { complete: false });
    let mut asked = 0;
    while let Some(announce) = rig.open.values().next().cloned() {
        assert_eq!(rig.open.len().min(MAX_ANNOUNCES), rig.open.len());
        let lines: BTreeSet<&str> = rig.open.values().map(|announce| &announce.tracker.host()[1..]).collect();
        assert_eq!(lines.len(), rig.open.len(), "one at a time in each tier");
        assert!(rig.open.len() < MAX_ANNOUNCES || rig.tiers.next_timeout().is_none());
        rig.answer(announce.tracker.host());
        asked += 1;
    }
    assert_eq!(asked, 5000);
    rig.input(Input::Stop);
    assert_eq!(rig.open.len(), MAX_ANNOUNCES);
}

#[test]
fn m18_ten_thousand_trackers_by_bep_12_are_asked_one_at_a_time() {
    let tiers = vec![(0..10_000).map(|n| format!("http://a{n}/")).collect()];
    let mut rig = Rig::with(&[], |config| config.tiers = tiers);
    rig.input(Input::Start { complete: false });
    for _ in 0..2000 {
        let [(host, _)] = &rig.asked()[..] else { panic!("one at a time") };
        let host = host.clone();
        rig.fail(&host);
    }
}

#[test]
fn bep_27_private_torrents_use_one_tracker_and_say_when_it_changes() {
    let mut rig = Rig::with(&[&["a"], &["b"]], |config| {
        config.private = true;
        config.announce_to_all = true;
    });
    let peers = vec!["1.2.3.4:5".parse::<SocketAddr>().unwrap()];
    let with_peers = || Ok(AnnounceReply { peers: peers.clone(), ..reply() });
    let handed_out = Action::Peers { addrs: peers.clone(), named: vec![] };
    rig.input(Input::Start { complete: false });
    rig.expect("a", Some(Event::Started));
    rig.end("a", with_peers());
    rig.sleep();
    rig.fail("a");
    rig.expect("b", Some(Event::Started));
    assert_eq!(rig.other, std::slice::from_ref(&handed_out));
    rig.end("b", with_peers());
    assert_eq!(rig.other, [handed_out.clone(), Action::Switched, handed_out]);
}

#[test]
fn t4_our_own_address_is_not_a_peer() {
    let mut rig = Rig::started(&[&["a"]]);
    let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
    let peers = vec![addr("1.2.3.4:6881"), addr("1.2.3.4:6882"), addr("5.6.7.8:6881")];
    let external_ip: IpAddr = "1.2.3.4".parse().unwrap();
    rig.end("a", Ok(AnnounceReply { peers: peers.clone(), external_ip: Some(external_ip), ..reply() }));
    let wanted = Action::Peers { addrs: peers[1..].to_vec(), named: vec![] };
    assert_eq!(rig.other, [Action::ExternalIp(external_ip), wanted]);
}

#[test]
fn t6_errors_that_are_kept_are_short_and_printable() {
    let mut rig = Rig::started(&[&["a"]]);
    rig.end("a", Err(AnnounceError::Network(format!("\x1b[2J{}", "x".repeat(5000)))));
    let error = rig.status("a").last_error.unwrap();
    assert!(error.len() <= MAX_TRACKER_TEXT && error.len() > 1000 && !error.contains('\x1b'));
}

#[test]
fn m24_trackers_that_cannot_be_spoken_to_are_shown_and_not_asked() {
    let mut rig = Rig::with(&[], |config| {
        let urls = ["wss://w/", "nonsense", "", "http://a/", "http://a/"];
        config.tiers = vec![urls.map(str::to_owned).to_vec()];
    });
    rig.input(Input::Start { complete: false });
    rig.expect("a", Some(Event::Started));
    let mut given_up: Vec<String> = rig
        .tiers
        .status()
        .into_iter()
        .filter(|status| status.state == TrackerState::GivenUp)
        .filter_map(|status| status.last_error)
        .collect();
    given_up.sort();
    assert_eq!(given_up, ["no scheme in the url", "scheme wss is not supported"]);
    assert_eq!(rig.tiers.status().len(), 3, "neither blanks nor repetitions");
}

#[test]
fn tracker_ids_are_told_again_and_status_tells_what_was_said() {
    let mut rig = Rig::started(&[&["a"], &["b"]]);
    assert!(matches!(rig.status("a").state, TrackerState::Announcing { since } if since == rig.now));
    let said = AnnounceReply {
        tracker_id: Some(Bytes::from_static(b"id")),
        seeders: Some(3),
        leechers: Some(4),
        downloaded: Some(5),
        warning: Some("old client".into()),
        peers: vec!["1.2.3.4:5".parse().unwrap()],
        ..reply()
    };
    rig.end("a", Ok(said));
    let status = rig.status("a");
    assert_eq!((status.state, status.peers, status.next_try), (TrackerState::Working, 1, Some(rig.now + HALF_HOUR)));
    assert_eq!((status.seeders, status.leechers, status.downloaded), (Some(3), Some(4), Some(5)));
    assert_eq!(status.warning.as_deref(), Some("old client"));
    assert_eq!((rig.status("b").state, rig.status("b").next_try), (TrackerState::Idle, None));
    rig.sleep();
    assert_eq!(rig.open.values().next().unwrap().tracker_id.as_deref(), Some(&b"id"[..]));
    rig.answer("a");
    rig.sleep();
    assert_eq!(rig.open.values().next().unwrap().tracker_id.as_deref(), Some(&b"id"[..]), "until it names another");
}

#[test]
fn no_trackers_are_no_trouble() {
    let mut rig = Rig::started(&[]);
    rig.input(Input::NeedPeers);
    rig.input(Input::Completed);
    assert_eq!((rig.tiers.next_timeout(), rig.tiers.status()), (None, vec![]));
    rig.input(Input::Stop);
    assert_eq!(rig.other, [Action::Stopped]);
}

#[test]
fn the_same_seed_and_inputs_give_the_same_actions() {
    let run = || {
        let mut rig = Rig::started(&[&["a", "b", "c", "d"]]);
        let start = rig.now;
        let mut log = Vec::new();
        for _ in 0..20 {
            log.push((rig.asked(), rig.now - start));
            match rig.asked().first() {
                Some((host, _)) => rig.fail(&host.clone()),
                None => _ = rig.sleep(),
            }
        }
        log
    };
    assert_eq!(run(), run());
}

proptest! {
    /// Whatever happens: what the machine promises in its header, and it always comes to rest.
    #[test]
    fn promises_hold_for_any_inputs(
        shape in vec(1usize..4, 1..5),
        to_all in any::<bool>(),
        private in any::<bool>(),
        steps in vec((0u8..10, any::<u16>()), 0..120),
    ) {
        let tiers = shape.iter().enumerate().map(|(tier, count)| (0..*count).map(|n| format!("http://t{tier}n{n}/")).collect());
        let mut rig = Rig::with(&[], |config| {
            config.tiers = tiers.collect();
            config.announce_to_all = to_all;
            config.private = private;
        });
        let one_line = private || !to_all;
        let mut known = BTreeSet::new();
        let mut running = false;
        for (kind, number) in steps {
            let host = rig.asked().get(usize::from(number) % rig.open.len().max(1)).cloned();
            match (kind, host) {
                (0, _) => { running = true; rig.input(Input::Start { complete: number % 2 == 0 }); }
                (1, _) => { running = false; rig.input(Input::Stop); }
                (2, _) => rig.input(Input::Completed),
                (3, _) => rig.input(Input::NeedPeers),
                (4, _) => rig.pass(Duration::from_secs(number.into())),
                (5, _) => rig.input(Input::PartialSeed(number % 2 == 0)),
                (6, Some((host, _))) => rig.fail(&host),
                (_, Some((host, event))) => {
                    if event == Some(Event::Stopped) { known.remove(&host); } else { known.insert(host.clone()); }
                    rig.answer(&host);
                }
                _ => {}
            }
            for (host, event) in rig.asked() {
                if event != Some(Event::Started) {
                    prop_assert!(known.contains(&host), "{} heard {:?} before started", host, event);
                }
            }
            if running {
                let of_tier = |tier: usize| rig.asked().iter().filter(|(host, _)| host.starts_with(&format!("t{tier}n"))).count();
                prop_assert!((0..shape.len()).all(|tier| of_tier(tier) <= 1));
                prop_assert!(!one_line || rig.open.len() <= 1);
            }
        }
        rig.other.clear();
        rig.input(Input::Stop);
        for _ in 0..100 {
            if let Some((host, _)) = rig.asked().first().cloned() { rig.fail(&host); }
        }
        prop_assert_eq!(rig.asked(), vec![]);
        prop_assert_eq!(rig.tiers.next_timeout(), None);
        prop_assert_eq!(rig.other.iter().filter(|action| **action == Action::Stopped).count(), 1);
    }
}
