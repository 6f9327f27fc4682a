//! Who is asked, and after whom.

use super::*;

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
fn no_trackers_are_no_trouble() {
    let mut rig = Rig::started(&[]);
    rig.input(Input::NeedPeers);
    rig.input(Input::Completed);
    assert_eq!((rig.tiers.next_timeout(), rig.tiers.status()), (None, vec![]));
    rig.input(Input::Stop);
    assert_eq!(rig.other, [Action::Stopped]);
}

#[test]
fn m25_more_trackers_come_behind_and_never_to_a_private_torrent() {
    let urls = |hosts: &[&str]| hosts.iter().map(|host| format!("http://{host}/announce")).collect::<Vec<_>>();
    let mut rig = Rig::started(&[&["a"]]);
    rig.fail("a");
    rig.input(Input::Add(urls(&["a", "b"])));
    rig.expect("b", Some(Event::Started));
    rig.answer("b");
    rig.input(Input::Add(urls(&["c"])));
    assert!(rig.open.is_empty(), "one has answered: the others are backups");
    rig.input(Input::Add((0..20_000).map(|number| format!("http://h{number}/announce")).collect()));
    assert_eq!(rig.tiers.status().len(), MAX_TRACKERS);
    let mut none = Rig::started(&[]);
    none.input(Input::Add(urls(&["x"])));
    none.expect("x", Some(Event::Started));
    let mut private = Rig::started(&[&["a"]]);
    private.input(Input::Private);
    private.input(Input::Add(urls(&["evil"])));
    assert_eq!(private.tiers.status().len(), 1);
}
