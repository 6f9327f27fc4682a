//! Content travels from session to session.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use riverrun::testing::{Content, Format, LocalSwarm, loopback};
use riverrun::{AddTorrent, EventKind, Phase, Session, Settings, Waiting};

use super::{complete, download, join, same, session, until};

#[tokio::test(flavor = "multi_thread")]
async fn one_file_of_every_kind() {
    for format in [Format::V1, Format::Hybrid, Format::V2] {
        for length in [1, 16 * 1024 - 1, 300_000, 3_000_001] {
            let content = Content::file("single.bin", 7, length);
            download(&LocalSwarm::of(content).format(format).piece_length(32 * 1024).start().await.unwrap()).await;
        }
    }
}

fn album() -> Content {
    let files = [
        ("empty", 0),
        ("one byte", 1),
        ("deep/er/still/a.bin", 40_000),
        ("block", 16_384),
        ("crosses.bin", 1_000_003),
        ("deep/empty too", 0),
        ("piece", 65_536),
        ("last", 77),
    ];
    Content::folder("album", 11, files)
}

#[tokio::test(flavor = "multi_thread")]
async fn many_files_of_every_kind() {
    for format in [Format::V1, Format::Hybrid, Format::V2] {
        download(&LocalSwarm::of(album()).format(format).piece_length(65_536).start().await.unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn seeders_that_only_together_have_all() {
    let content = Content::file("parts.bin", 3, 6_000_000);
    let swarm = LocalSwarm::of(content).piece_length(65_536).seeders(4).parts(true).start().await.unwrap();
    for (_, seeder) in swarm.seeders() {
        let status = seeder.status();
        assert!(status.have_pieces < status.pieces, "no seeder has all");
    }
    let (_session, torrent) = join(&swarm).await;
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
    let status = torrent.status();
    assert_eq!(status.have_bytes, status.total_bytes);
    assert_eq!((status.wasted_bytes, status.corrupt_bytes), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_over_ipv6() {
    let swarm = LocalSwarm::of(Content::file("six.bin", 6, 700_000)).start().await.unwrap();
    let (here, there) = (swarm.dir().join("here"), swarm.dir().join("there"));
    std::fs::create_dir_all(&here).unwrap();
    swarm.content().write_into(&here).unwrap();
    let builder = || Session::builder().listen([SocketAddr::from((Ipv6Addr::LOCALHOST, 0))]);
    let alone = || AddTorrent::new(swarm.torrent()).trackers(Vec::new());

    let seeder = builder().start().await.unwrap();
    complete(&seeder.add(alone().into_dir(&here).read_only(true)).await.unwrap()).await;
    let downloader = builder().start().await.unwrap();
    let torrent = downloader.add(alone().into_dir(&there).peers(seeder.listen_addrs())).await.unwrap();
    complete(&torrent).await;
    same(&swarm, &there);
    assert!(torrent.peers().iter().all(|peer| peer.addr.ip() == Ipv6Addr::LOCALHOST));
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_over_a_udp_tracker() {
    let content = Content::file("udp.bin", 3, 500_000);
    let swarm = LocalSwarm::of(content).udp(true).start().await.unwrap();
    download(&swarm).await;
    assert!(swarm.tracker().journal().iter().all(|announced| announced.udp));
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_the_user_names() {
    let swarm = LocalSwarm::of(Content::file("named.bin", 3, 500_000)).start().await.unwrap();
    let session = session().await;
    let wish = AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).trackers(Vec::new()).peers(swarm.addrs());
    let torrent = session.add(wish).await.unwrap();
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
    assert!(torrent.status().trackers.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_content_may_have_another_name() {
    let single = LocalSwarm::of(Content::file("single.bin", 5, 100_000)).start().await.unwrap();
    let session = session().await;
    let path = single.dir().join("new/folders/other.name");
    let torrent = session.add(AddTorrent::new(single.torrent()).at(&path)).await.unwrap();
    complete(&torrent).await;
    assert_eq!(std::fs::read(&path).unwrap(), single.content().files[0].1);
    assert_eq!(torrent.path(), path);

    let many = LocalSwarm::of(album()).start().await.unwrap();
    let path = many.dir().join("other album");
    let torrent = session.add(AddTorrent::new(many.torrent()).at(&path)).await.unwrap();
    complete(&torrent).await;
    let renamed = Content { name: "other album".into(), ..album() };
    renamed.compare(&many.dir()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_wanted_files() {
    let swarm = LocalSwarm::of(album()).format(Format::Hybrid).piece_length(65_536).start().await.unwrap();
    let session = session().await;
    let names: Vec<String> = {
        let metainfo = riverrun::metainfo::metainfo::Metainfo::parse(swarm.torrent().into()).unwrap();
        metainfo.info().files().iter().map(|file| file.path.as_str().to_owned()).collect()
    };
    let piece = names.iter().position(|name| name == "piece").unwrap();
    let wish = AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).wanted_files([piece]);
    let torrent = session.add(wish).await.unwrap();
    complete(&torrent).await;
    assert_eq!(torrent.status().total_bytes, 65_536);
    let expected = &swarm.content().files.iter().find(|(path, _)| path == "piece").unwrap().1;
    assert_eq!(&std::fs::read(swarm.dir().join("album/piece")).unwrap(), expected);
    assert!(!swarm.dir().join("album/crosses.bin").exists());
    assert!(!swarm.dir().join("album/empty").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_torrents_in_one_session() {
    let session = session().await;
    let mut all = Vec::new();
    for seed in 0..6 {
        let content = Content::file(&format!("{seed}.bin"), seed, 200_000 + seed as usize);
        let swarm = LocalSwarm::of(content).start().await.unwrap();
        let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await.unwrap();
        all.push((swarm, torrent));
    }
    for (swarm, torrent) in &all {
        complete(torrent).await;
        same(swarm, &swarm.dir());
    }
    assert_eq!(session.torrents().len(), 6);
    let hashes = all[3].1.info_hashes();
    assert_eq!(session.find(hashes).unwrap().id(), all[3].1.id());
    let again = session.add(AddTorrent::new(all[3].0.torrent()).into_dir(all[3].0.dir())).await;
    assert!(matches!(again, Err(riverrun::AddError::Duplicate(twice)) if twice == hashes));
    all[3].1.remove().await;
    assert!(session.find(hashes).is_none());
    session.add(AddTorrent::new(all[3].0.torrent()).into_dir(all[3].0.dir())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_on_the_rate_is_kept() {
    let swarm = LocalSwarm::of(Content::file("slow.bin", 3, 1_000_000)).start().await.unwrap();
    let settings = Settings { down_limit: Some(1_000_000), ..loopback() };
    let session = Session::builder().settings(settings).start().await.unwrap();
    let start = Instant::now();
    let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await.unwrap();
    complete(&torrent).await;
    // A quarter of a second may have piled up before, and the payload is not all that is counted.
    assert!(start.elapsed() > Duration::from_millis(700), "{:?}", start.elapsed());
    same(&swarm, &swarm.dir());
    assert!(session.status().down_bytes >= 1_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_torrent_rests() {
    let swarm =
        LocalSwarm::of(Content::file("paused.bin", 3, 4_000_000)).up_limit(Some(8_000_000)).start().await.unwrap();
    let session = session().await;
    let wish = AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).paused(true);
    let torrent = session.add(wish).await.unwrap();
    until("paused", || matches!(torrent.status().phase, Phase::Paused)).await;
    assert_eq!(torrent.status().connections, 0);
    torrent.resume();
    until("some bytes", || torrent.status().down_bytes > 0).await;
    torrent.pause();
    until("no connection", || torrent.status().connections == 0).await;
    let paused_at = torrent.status().down_bytes;
    assert!(paused_at < 4_000_000, "the limit made it last");
    torrent.resume();
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_the_story() {
    let swarm = LocalSwarm::of(Content::file("story.bin", 3, 300_000)).piece_length(32 * 1024).start().await.unwrap();
    let session = session().await;
    let mut events = session.events();
    let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await.unwrap();
    complete(&torrent).await;
    let mut seen = Vec::new();
    loop {
        let event = events.next().await.unwrap();
        assert_eq!(event.torrent, torrent.id());
        let last = matches!(event.kind, EventKind::Phase(Phase::Seeding));
        seen.push(match event.kind {
            EventKind::Phase(phase) => phase.word().to_owned(),
            EventKind::PieceDone(_) => continue,
            other => format!("{other:?}").split(['(', ' ']).next().unwrap().to_owned(),
        });
        if last {
            break;
        }
    }
    seen.retain(|word| !word.starts_with("Tracker"));
    assert_eq!(seen, ["Added", "checking", "downloading", "finishing", "Completed", "seeding"]);
    let downloader = swarm.seeders()[0].1.status();
    assert_eq!(downloader.up_bytes, 300_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_comes_and_the_status_says_why() {
    let swarm = LocalSwarm::of(Content::file("alone.bin", 3, 100_000)).start().await.unwrap();
    let session = session().await;
    let wish = AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).trackers(Vec::new());
    let torrent = session.add(wish).await.unwrap();
    until("a reason", || torrent.status().waiting == Some(Waiting::NoTrackers)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superseed_feeds_two_downloaders_and_then_shows_all() {
    let swarm = LocalSwarm::of(Content::file("new.bin", 3, 2_000_000)).piece_length(32 * 1024).start().await.unwrap();
    let seeder = &swarm.seeders()[0].1;
    seeder.set_super_seeding(true);
    assert!(seeder.status().super_seeding);
    let (first, second) = (session().await, session().await);
    let wish = |folder: &str| AddTorrent::new(swarm.torrent()).into_dir(swarm.dir().join(folder));
    let (first, second) = (first.add(wish("first")).await.unwrap(), second.add(wish("second")).await.unwrap());
    complete(&first).await;
    complete(&second).await;
    same(&swarm, &swarm.dir().join("first"));
    same(&swarm, &swarm.dir().join("second"));
    until("the end of superseeding", || !seeder.status().super_seeding).await;
}
