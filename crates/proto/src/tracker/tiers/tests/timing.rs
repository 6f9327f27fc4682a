//! When announces are made, and what is kept of replies.

use super::*;

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
