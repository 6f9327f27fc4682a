//! Rate limits of a session, a group, a torrent and a connection.

use std::time::{Duration, Instant};

use riverrun::testing::{Content, LocalSwarm, loopback};
use riverrun::{AddTorrent, Limits, Session, Settings};

use super::{complete, same, session, until};

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
