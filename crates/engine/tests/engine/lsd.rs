//! Local discovery, as far as it can be seen without leaving loopback; with other clients on a network: `interop/`.

use std::time::Duration;

use riverrun::testing::{Content, LocalSwarm, loopback};
use riverrun::{AddTorrent, Session, Settings};

#[tokio::test]
async fn nothing_is_said_where_we_do_not_listen_and_nothing_waits_for_it() {
    let swarm = LocalSwarm::of(Content::file("a", 1, 200_000)).start().await.unwrap();
    let settings = Settings { lsd: true, ..loopback() };
    let session = Session::builder().settings(settings).start().await.unwrap();
    let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await.unwrap();
    torrent.completed().await.unwrap();
    assert_eq!(session.status().lsd_interfaces, Some(0), "who listens on loopback alone has no network");
    let status = torrent.status();
    assert!(status.lsd && status.sources.lsd == 0 && status.sources.tracker > 0, "{:?}", status.sources);
    assert!(session.shutdown(Duration::from_secs(5)).await);
    let (seeder, _) = &swarm.seeders()[0];
    assert_eq!(seeder.status().lsd_interfaces, None, "it is off unless somebody asks");
}
