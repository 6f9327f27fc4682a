//! Peers, disks and files that fail.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use riverrun::metainfo::metainfo::Metainfo;
use riverrun::storage::MemoryStorage;
use riverrun::storage::memory::Faults;
use riverrun::testing::{Content, Format, LocalSwarm, loopback};
use riverrun::{AddTorrent, EventKind, Phase, Session, Settings, Torrent, TorrentError};
use tokio::time::timeout;

use super::{PATIENCE, complete, join, same, session, until};

/// A seeder whose bytes are wrong wherever `spoil` changed them.
async fn liar(swarm: &LocalSwarm, spoil: impl Fn(&mut [u8])) -> (Session, Torrent) {
    let dir = swarm.dir().join("liar");
    let mut content = swarm.content().clone();
    content.files.iter_mut().for_each(|(_, bytes)| spoil(bytes));
    content.write_into(&dir).unwrap();
    let settings = Settings { listen: vec!["127.0.0.2:0".parse().unwrap()], ..loopback() };
    let session = Session::builder().settings(settings).start().await.unwrap();
    let wish = AddTorrent::new(swarm.torrent()).into_dir(&dir).trackers(Vec::new()).read_only(true).trust_resume(true);
    let torrent = session.add(wish).await.unwrap();
    complete(&torrent).await;
    (session, torrent)
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_a_peer_whose_data_is_all_bad_is_banned_and_the_rest_comes_from_others() {
    let content = Content::file("lied.bin", 3, 2_000_000);
    let swarm = LocalSwarm::of(content).piece_length(65_536).up_limit(Some(2_000_000)).start().await.unwrap();
    let (liar, _lies) = liar(&swarm, |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 1)).await;
    let (session, torrent) = join(&swarm).await;
    let mut events = torrent.events();
    torrent.add_peers(&liar.listen_addrs());
    let banned = timeout(PATIENCE, async {
        loop {
            if let EventKind::Banned(ip) = events.next().await.unwrap().kind {
                return ip;
            }
        }
    });
    assert_eq!(banned.await.unwrap(), liar.listen_addrs()[0].ip());
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
    assert!(torrent.status().corrupt_bytes > 0);
    drop(session);
}

#[tokio::test(flavor = "multi_thread")]
async fn p6_a_bad_block_in_shared_pieces_names_the_liar() {
    let content = Content::file("lied.bin", 3, 3_000_000);
    let swarm = LocalSwarm::of(content).piece_length(131_072).up_limit(Some(3_000_000)).start().await.unwrap();
    let (liar, _lies) = liar(&swarm, |bytes| bytes.iter_mut().step_by(50_000).for_each(|byte| *byte ^= 1)).await;
    let (_session, torrent) = join(&swarm).await;
    let mut events = torrent.events();
    torrent.add_peers(&liar.listen_addrs());
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
    let mut banned = Vec::new();
    while let Ok(Ok(event)) = timeout(Duration::from_millis(100), events.next()).await {
        if let EventKind::Banned(ip) = event.kind {
            banned.push(ip);
        }
    }
    assert_eq!(banned, [liar.listen_addrs()[0].ip()], "the liar and nobody else");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_seeder_dies_and_comes_back() {
    let content = Content::file("comeback.bin", 3, 6_000_000);
    let swarm = LocalSwarm::of(content.clone()).piece_length(65_536).seeders(0).start().await.unwrap();
    let dir = swarm.dir().join("seeder");
    content.write_into(&dir).unwrap();
    let seed = |settings: Settings| {
        let wish = AddTorrent::new(swarm.torrent()).into_dir(&dir).read_only(true);
        async move {
            let session = Session::builder().settings(settings).start().await.unwrap();
            let torrent = session.add(wish).await.unwrap();
            complete(&torrent).await;
            torrent.announced().await;
            session
        }
    };
    let seeder = seed(Settings { up_limit: Some(6_000_000), ..loopback() }).await;
    let addr = seeder.listen_addrs()[0];
    let (_session, torrent) = join(&swarm).await;
    until("a third", || torrent.status().have_bytes > 2_000_000).await;
    // No courtesies: as if it was killed.
    drop(seeder);
    until("the connection is gone", || torrent.status().connections == 0).await;
    let had = torrent.status().have_bytes;
    assert!(had < 6_000_000);
    let _seeder = seed(Settings { listen: vec![addr], ..loopback() }).await;
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
    let status = torrent.status();
    assert!(status.down_bytes < 6_000_000 + 3_000_000, "what was there is not fetched again: {}", status.down_bytes);
}

/// A torrent in memory, and the memory.
async fn in_memory(swarm: &LocalSwarm, session: &Session, fail: bool) -> (Torrent, Arc<MemoryStorage>) {
    let metainfo = Metainfo::parse(swarm.torrent().into()).unwrap();
    let memory = Arc::new(MemoryStorage::new(metainfo.info().layout().clone()));
    memory.set_faults(Faults { room_bytes: Some(300_000), ..Faults::default() });
    let wish = AddTorrent::new(metainfo).storage(memory.clone()).fail_on_storage_error(fail);
    (session.add(wish).await.unwrap(), memory)
}

#[tokio::test(flavor = "multi_thread")]
async fn l2_a_full_disk_stops_one_torrent_and_it_goes_on_when_there_is_room() {
    let full = LocalSwarm::of(Content::file("full.bin", 3, 40_000_000)).piece_length(65_536).start().await.unwrap();
    let other = LocalSwarm::of(Content::file("other.bin", 4, 2_000_000)).piece_length(65_536).start().await.unwrap();
    let settings = Settings { storage_retry: Duration::from_millis(200), ..loopback() };
    let session = Session::builder().settings(settings).start().await.unwrap();
    let (torrent, memory) = in_memory(&full, &session, false).await;
    until("the disk is full", || matches!(torrent.status().phase, Phase::Failed { retry_in: Some(_), .. })).await;
    let Phase::Failed { error: TorrentError::Storage(error), needed_bytes, .. } = torrent.status().phase else {
        panic!("a full disk is a storage error")
    };
    assert!(error.is_full(), "{error}");
    assert!(needed_bytes > 39_000_000, "{needed_bytes}");

    let unaffected = session.add(AddTorrent::new(other.torrent()).into_dir(other.dir())).await.unwrap();
    complete(&unaffected).await;
    same(&other, &other.dir());
    let waiting = timeout(Duration::from_millis(300), torrent.completed()).await;
    assert!(waiting.is_err(), "neither complete nor failed for good");
    // What had been requested has come by now.
    let downloaded = torrent.status().down_bytes;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let more = torrent.status().down_bytes - downloaded;
    assert!(more < 1_000_000, "{more} bytes were requested that there is no room for");

    memory.set_faults(Faults::default());
    complete(&torrent).await;
    assert_eq!(memory.file(riverrun::metainfo::FileIndex(0)).unwrap(), full.content().files[0].1);
    until("all is well", || matches!(torrent.status().phase, Phase::Seeding)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l2_a_full_disk_ends_the_wait_of_those_who_asked_for_it() {
    let swarm = LocalSwarm::of(Content::file("full.bin", 3, 2_000_000)).piece_length(65_536).start().await.unwrap();
    let session = session().await;
    let (torrent, _memory) = in_memory(&swarm, &session, true).await;
    let ended = timeout(PATIENCE, torrent.completed()).await.unwrap();
    assert!(matches!(ended, Err(TorrentError::Storage(error)) if error.is_full()));
}

#[tokio::test(flavor = "multi_thread")]
async fn l3_a_disk_that_fails_is_not_tried_in_a_tight_loop() {
    let swarm = LocalSwarm::of(Content::file("eio.bin", 3, 2_000_000)).piece_length(65_536).start().await.unwrap();
    let session = session().await;
    let (torrent, memory) = in_memory(&swarm, &session, false).await;
    memory.set_faults(Faults { write: Some(std::io::ErrorKind::PermissionDenied), ..Faults::default() });
    until("it failed", || matches!(torrent.status().phase, Phase::Failed { .. })).await;
    let before = memory.counts().writes;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let tries = memory.counts().writes - before;
    assert!(tries < 20, "{tries} tries in half a second");
}

/// Downloads half, does something to the files, and lets the rest come.
async fn meddle(content: Content, meddle: impl FnOnce(&Path)) {
    let length = content.length();
    let swarm =
        LocalSwarm::of(content).format(Format::V1).piece_length(65_536).up_limit(Some(length)).start().await.unwrap();
    let (_session, torrent) = join(&swarm).await;
    until("half of it", || torrent.status().have_bytes > length / 2).await;
    meddle(&swarm.dir().join(&swarm.content().name));
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_a_file_that_is_deleted_before_the_end_comes_again() {
    meddle(Content::file("deleted.bin", 3, 2_000_000), |path| std::fs::remove_file(path).unwrap()).await;
    let files = [("a", 700_000), ("empty", 0), ("b", 700_000), ("c", 700_000)];
    meddle(Content::folder("deleted", 3, files), |path| std::fs::remove_dir_all(path).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_a_file_that_is_replaced_before_the_end_comes_again() {
    meddle(Content::file("replaced.bin", 3, 2_000_000), |path| {
        let other = path.with_extension("other");
        std::fs::write(&other, vec![7; 2_000_000]).unwrap();
        std::fs::rename(other, path).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_a_file_that_is_cut_before_the_end_is_made_whole() {
    meddle(Content::file("cut.bin", 3, 2_000_000), |path| {
        std::fs::File::options().write(true).open(path).unwrap().set_len(1000).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l15_shutdown_saves_and_says_farewell() {
    let content = Content::file("farewell.bin", 3, 4_000_000);
    let swarm = LocalSwarm::of(content).piece_length(65_536).up_limit(Some(4_000_000)).start().await.unwrap();
    let state = swarm.dir().join("state");
    let settings = Settings { state_dir: Some(state.clone()), ..loopback() };
    let session = Session::builder().settings(settings.clone()).start().await.unwrap();
    let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await.unwrap();
    until("a part", || torrent.status().have_bytes > 1_000_000).await;
    let listening = session.listen_addrs()[0];
    let start = Instant::now();
    assert!(session.shutdown(PATIENCE).await);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(matches!(torrent.completed().await, Err(TorrentError::Stopped)));
    assert!(tokio::net::TcpStream::connect(listening).await.is_err(), "nobody is accepted any more");
    let refused = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await;
    assert!(matches!(refused, Err(riverrun::AddError::Stopped)));
    let stopped = swarm
        .tracker()
        .journal()
        .into_iter()
        .filter(|announced| announced.event == Some(riverrun::proto::tracker::Event::Stopped));
    let stopped: Vec<_> = stopped.collect();
    assert_eq!(stopped.len(), 1, "{stopped:?}");
    assert!(stopped[0].downloaded >= 1_000_000 && stopped[0].left > 0);

    let before = torrent.status();
    let session = Session::builder().settings(settings).start().await.unwrap();
    let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await.unwrap();
    let mut events = torrent.events();
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
    drop((before, events.next()));
    assert!(torrent.status().down_bytes <= 3_000_000, "what was saved is not fetched again");
}

#[tokio::test(flavor = "multi_thread")]
async fn l15_a_tracker_that_does_not_answer_does_not_hold_us_up_for_long() {
    let swarm = LocalSwarm::of(Content::file("mute.bin", 3, 100_000)).start().await.unwrap();
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/announce", mute.local_addr().unwrap());
    let session = session().await;
    let wish = AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).trackers(vec![vec![url]]).peers(swarm.addrs());
    let torrent = session.add(wish).await.unwrap();
    complete(&torrent).await;
    let start = Instant::now();
    assert!(session.shutdown(PATIENCE).await);
    assert!(start.elapsed() < Duration::from_secs(7), "{:?}", start.elapsed());
}
