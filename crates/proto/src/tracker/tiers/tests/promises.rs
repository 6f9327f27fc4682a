//! What holds for any inputs.

use super::*;

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
