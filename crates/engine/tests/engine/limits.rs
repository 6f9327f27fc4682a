//! Rate limits of a session, a group, a torrent and a connection.

use std::time::{Duration, Instant};

use riverrun::testing::{Content, LocalSwarm, loopback};
use riverrun::{AddTorrent, EventKind, Limits, Phase, SeedLimits, Session, Settings, SharingEnd, resume_record_path};
use tokio::time::timeout;

use super::{PATIENCE, complete, download, same, session, until};

const LENGTH: usize = 1_000_000;

fn down(limit: u64) -> Limits {
    Limits { down: Some(limit), ..Limits::default() }
}

/// How long a download of one megabyte takes with what `wish` says, in a session that `limit` has changed.
async fn time(wish: impl FnOnce(AddTorrent) -> AddTorrent, limit: impl FnOnce(&Session)) -> Duration {
    let swarm = LocalSwarm::of(Content::file("slow.bin", 3, LENGTH)).start().await.unwrap();
    let session = session().await;
    limit(&session);
    let start = Instant::now();
    let torrent = session.add(wish(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()))).await.unwrap();
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_wherever_it_is_set() {
    let rate = 1_000_000;
    let (of_session, of_group, of_torrent, of_peer, none) = tokio::join!(
        time(|wish| wish, |session| session.set_limits(down(rate))),
        time(|wish| wish.group("night"), |session| session.set_group_limits("night", down(rate))),
        time(|wish| wish.limits(down(rate)), |_| {}),
        time(|wish| wish.peer_limits(down(rate)), |_| {}),
        time(|wish| wish.group("day"), |session| session.set_group_limits("night", down(1))),
    );
    // A quarter of a second may have piled up before, and the payload is not all that is counted.
    for elapsed in [of_session, of_group, of_torrent, of_peer] {
        assert!(elapsed > Duration::from_millis(700), "{elapsed:?}");
    }
    // At one byte a second, a limit that is not its own would last eleven days.
    assert!(none < Duration::from_secs(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_while_running_holds_at_once_and_is_shown() {
    let swarm = LocalSwarm::of(Content::file("slow.bin", 3, LENGTH)).start().await.unwrap();
    let session = session().await;
    let wish = AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).limits(down(1000)).group("night");
    let torrent = session.add(wish).await.unwrap();
    until("a connection", || torrent.status().connections > 0).await;
    assert_eq!((torrent.status().limits, torrent.status().group.as_deref()), (down(1000), Some("night")));
    assert!(session.status().groups.contains_key("night"));
    torrent.set_peer_limits(down(900));
    torrent.set_group(None);
    session.set_limits(down(800));
    let status = torrent.status();
    assert_eq!((status.peer_limits, status.group, session.status().limits), (down(900), None, down(800)));
    let before = torrent.status().have_bytes;
    assert!(before < LENGTH as u64 / 2, "{before}");
    // What is left would take a quarter of an hour.
    torrent.set_limits(Limits::default());
    torrent.set_peer_limits(Limits::default());
    session.set_limits(Limits::default());
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_on_this_machine_are_free_of_limits_where_the_owner_says_so() {
    let swarm = LocalSwarm::of(Content::file("near.bin", 3, LENGTH)).start().await.unwrap();
    let settings = Settings { down_limit: Some(1), up_limit: Some(1), lan_unlimited: true, ..loopback() };
    let session = Session::builder().settings(settings).start().await.unwrap();
    let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await.unwrap();
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_share_a_low_limit_and_none_stalls() {
    let seeders = 20;
    let swarm = LocalSwarm::of(Content::file("many.bin", 3, LENGTH))
        .piece_length(16 * 1024)
        .seeders(seeders)
        .parts(true)
        .start()
        .await
        .unwrap();
    let session = session().await;
    session.set_limits(down(500_000));
    // Each has a twentieth that nobody else has, so that one who starves keeps it from its end.
    let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await.unwrap();
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
    assert_eq!(torrent.status().seeds, 0, "nobody had it all");
}

/// Waits until the torrent's sharing has ended, by the event.
async fn sharing_ended(events: &mut riverrun::Events) -> SharingEnd {
    loop {
        if let EventKind::SharingEnded { reason } = events.next().await.unwrap().kind {
            return reason;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sharing_ends_when_nobody_wants_anything() {
    let swarm = LocalSwarm::of(Content::file("idle.bin", 3, 100_000)).start().await.unwrap();
    let seeder = &swarm.seeders()[0].1;
    let mut events = seeder.events();
    seeder.set_seed_limits(SeedLimits { idle: Some(Duration::from_millis(10)), ..SeedLimits::default() });
    assert_eq!(timeout(PATIENCE, sharing_ended(&mut events)).await.unwrap(), SharingEnd::Idle);
    let status = seeder.status();
    assert!(matches!(status.phase, Phase::Paused) && status.sharing_ended == Some(SharingEnd::Idle));
    // Its owner wants it all the same: it goes on, without an end.
    seeder.resume();
    download(&swarm).await;
    assert!(matches!(seeder.status().phase, Phase::Seeding));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ratio_counts_over_restarts_and_the_record_goes_when_it_is_reached() {
    let swarm = LocalSwarm::of(Content::file("ratio.bin", 3, 300_000)).start().await.unwrap();
    let (state, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let settings = || Settings { state_dir: Some(state.path().to_owned()), ..loopback() };
    let wish = || {
        let limits = SeedLimits { ratio: Some(1.5), ..SeedLimits::default() };
        let wish = AddTorrent::new(swarm.torrent()).into_dir(swarm.dir());
        wish.forget_resume_when_complete(true).seed_limits(limits)
    };
    let mut record = None;
    for run in 1..=2 {
        let session = Session::builder().settings(settings()).start().await.unwrap();
        let torrent = session.add(wish()).await.unwrap();
        let mut events = torrent.events();
        complete(&torrent).await;
        let path = resume_record_path(state.path(), torrent.info_hashes(), &torrent.path());
        assert!(path.exists(), "run {run} has more to count");
        // Whoever comes now is to have it from us alone.
        swarm.seeders()[0].1.pause();
        let leech = super::session().await;
        let into = other.path().join(run.to_string());
        let copy = AddTorrent::new(swarm.torrent()).into_dir(&into).trackers(Vec::new()).peers(session.listen_addrs());
        let copy = leech.add(copy).await.unwrap();
        if run == 1 {
            complete(&copy).await;
            until("a whole copy sent", || torrent.status().ratio >= 1.0).await;
            assert_eq!(torrent.status().sharing_ended, None);
        } else {
            // Half a copy is lacking, and then it is enough.
            assert_eq!(timeout(PATIENCE, sharing_ended(&mut events)).await.unwrap(), SharingEnd::Ratio);
            assert!(torrent.status().ratio >= 1.5, "{}", torrent.status().ratio);
        }
        session.shutdown(PATIENCE).await;
        record = Some(path);
    }
    assert!(!record.unwrap().exists(), "nothing is left to count");
}
