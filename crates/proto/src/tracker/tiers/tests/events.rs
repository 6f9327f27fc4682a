//! What trackers are told, and when the last of them is.

use super::*;

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
fn what_was_there_before_the_metadata_is_no_completed_download() {
    let mut rig = Rig::started(&[&["a"]]);
    rig.answer("a");
    rig.input(Input::Start { complete: true });
    rig.input(Input::Completed);
    assert!(rig.open.is_empty(), "{:?}", rig.asked());
}
