//! Some files of a torrent are wanted, more or less, and others not; and that changes while it runs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use riverrun::testing::{Content, Format, LocalSwarm, loopback};
use riverrun::{AddError, AddTorrent, FileStatus, Phase, Priority, Session, Settings, Torrent, TorrentError};

use super::{PATIENCE, complete, same, session, until};

const PIECE: u32 = 65_536;

/// Every border of two files lies within a piece.
fn album() -> Content {
    Content::folder("album", 11, [("a", 400_000), ("b", 1_000_003), ("sub/c", 30_000), ("d", 900_000)])
}

async fn swarm(up_limit: Option<u64>) -> LocalSwarm {
    LocalSwarm::of(album()).format(Format::V1).piece_length(PIECE).up_limit(up_limit).start().await.unwrap()
}

fn file(torrent: &Torrent, path: &str) -> FileStatus {
    torrent.files().into_iter().find(|file| file.path == path).unwrap()
}

fn place(torrent: &Torrent, path: &str) -> usize {
    file(torrent, path).file
}

/// The bytes of a file as they are on disk are those of the content.
fn is_right(swarm: &LocalSwarm, path: &str) -> bool {
    let expected = &swarm.content().files.iter().find(|(name, _)| name == path).unwrap().1;
    std::fs::read(swarm.dir().join("album").join(path)).is_ok_and(|found| found == *expected)
}

async fn stateful(dir: PathBuf) -> Session {
    let settings = Settings { state_dir: Some(dir), ..loopback() };
    Session::builder().settings(settings).start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_wanted_later_is_fetched_and_completes_anew() {
    let swarm = swarm(None).await;
    let session = session().await;
    let wish = AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).wanted_files([0]);
    let torrent = session.add(wish).await.unwrap();
    complete(&torrent).await;
    assert!(matches!(torrent.status().phase, Phase::Seeding));
    let first = torrent.files().into_iter().find(|file| file.is_wanted()).unwrap();
    assert!(first.is_complete() && is_right(&swarm, &first.path), "{first:?}");
    assert_eq!(torrent.files().iter().filter(|file| file.is_wanted()).count(), 1);
    let all: Vec<_> = torrent.files().iter().map(|file| (file.file, Priority::Normal)).collect();
    torrent.set_file_priorities(all).await.unwrap();
    assert!(torrent.status().have_bytes < torrent.status().total_bytes);
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
    assert!(torrent.files().iter().all(FileStatus::is_complete));
    assert_eq!(torrent.status().down_bytes, torrent.status().total_bytes, "nothing was fetched twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_more_files_meets_the_seeders_it_knows_at_once() {
    let swarm = swarm(None).await;
    let session = session().await;
    // With so many candidates a swarm dials none a second time within a minute.
    let gone = (2..=12).map(|last| SocketAddr::from(([127, 0, 0, last], 9)));
    let wish = AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).wanted_files([0]).peers(gone);
    let torrent = session.add(wish).await.unwrap();
    complete(&torrent).await;
    // Some programs let go of who needs nothing.
    let seeder = &swarm.seeders()[0].1;
    seeder.pause();
    until("the seeder has gone", || torrent.peers().is_empty()).await;
    seeder.resume();
    let began = Instant::now();
    let all: Vec<_> = torrent.files().iter().map(|file| (file.file, Priority::Normal)).collect();
    torrent.set_file_priorities(all).await.unwrap();
    complete(&torrent).await;
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    same(&swarm, &swarm.dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_skipped_while_it_runs_is_fetched_no_further() {
    let swarm = swarm(Some(600_000)).await;
    let session = session().await;
    let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await.unwrap();
    let skipped = place(&torrent, "b");
    torrent.set_file_priorities([(place(&torrent, "a"), Priority::High), (skipped, Priority::Low)]).await.unwrap();
    until("the first file", || file(&torrent, "a").is_complete()).await;
    torrent.set_file_priorities([(skipped, Priority::Skip)]).await.unwrap();
    complete(&torrent).await;
    let files = torrent.files();
    assert!(files.iter().all(|file| file.is_complete() == (file.file != skipped)), "{files:?}");
    assert!(file(&torrent, "b").have_bytes < 700_000, "{files:?}");
    assert!(is_right(&swarm, "a") && is_right(&swarm, "sub/c") && is_right(&swarm, "d"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wanted_is_remembered_until_something_else_is_said() {
    let swarm = swarm(None).await;
    let state = swarm.dir().join("state");
    let wish = || AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).peers(swarm.addrs());
    let session = stateful(state.clone()).await;
    let torrent = session.add(wish().wanted_files([1]).file_priorities([(1, Priority::High)])).await.unwrap();
    complete(&torrent).await;
    let before: Vec<_> = torrent.files().iter().map(|file| file.priority).collect();
    assert_eq!(before.iter().filter(|priority| **priority == Priority::Skip).count(), 3);
    session.shutdown(PATIENCE).await;

    let session = stateful(state.clone()).await;
    let torrent = session.add(wish()).await.unwrap();
    complete(&torrent).await;
    assert_eq!(torrent.files().iter().map(|file| file.priority).collect::<Vec<_>>(), before);
    assert_eq!(torrent.status().down_bytes, 0);
    torrent.set_file_priorities([(0, Priority::Low)]).await.unwrap();
    complete(&torrent).await;
    session.shutdown(PATIENCE).await;

    let session = stateful(state).await;
    let torrent = session.add(wish()).await.unwrap();
    complete(&torrent).await;
    assert_eq!(torrent.files()[0].priority, Priority::Low);
    torrent.remove().await;
    let all = torrent.files().len();
    let torrent = session.add(wish().wanted_files(0..all)).await.unwrap();
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn l6_a_file_of_somebody_else_is_not_replaced_when_it_is_wanted_later() {
    let swarm = swarm(None).await;
    let foreign = swarm.dir().join("album/b");
    std::fs::create_dir_all(foreign.parent().unwrap()).unwrap();
    std::fs::write(&foreign, vec![7; 1_000_003]).unwrap();
    let session = session().await;
    let wish = || AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).peers(swarm.addrs());
    let torrent = session.add(wish().wanted_files([0])).await.unwrap();
    complete(&torrent).await;
    let b = place(&torrent, "b");
    let before = torrent.files();
    let error = torrent.set_file_priorities([(b, Priority::High), (place(&torrent, "d"), Priority::Low)]).await;
    let Err(TorrentError::Occupied { path, pieces: 16 }) = error else { panic!("{error:?}") };
    assert_eq!(path, foreign);
    assert_eq!(torrent.files(), before, "nothing has changed");
    assert_eq!(std::fs::read(&foreign).unwrap(), vec![7; 1_000_003], "not a byte was touched");
    session.shutdown(PATIENCE).await;
    let session = super::session().await;
    let torrent = session.add(wish().wanted_files([0]).overwrite(true)).await.unwrap();
    torrent.set_file_priorities([(b, Priority::High)]).await.unwrap();
    complete(&torrent).await;
    assert!(is_right(&swarm, "b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn l6_what_was_begun_and_put_off_goes_on_without_a_whole_piece() {
    let swarm = swarm(Some(500_000)).await;
    let state = swarm.dir().join("state");
    let session = stateful(state.clone()).await;
    let wish = || AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).peers(swarm.addrs());
    let torrent = session.add(wish()).await.unwrap();
    until("it begins", || torrent.status().down_bytes > 0).await;
    let (a, b) = (place(&torrent, "a"), place(&torrent, "b"));
    torrent.set_file_priorities([(b, Priority::Skip)]).await.unwrap();
    // As a block that came leaves it.
    std::fs::write(swarm.dir().join("album/b"), vec![7; 500_000]).unwrap();
    session.shutdown(PATIENCE).await;
    let session = stateful(state).await;
    let torrent = session.add(wish()).await.unwrap();
    until("it goes on", || matches!(torrent.status().phase, Phase::Downloading | Phase::Finishing | Phase::Seeding))
        .await;
    torrent.set_file_priorities([(a, Priority::Skip), (b, Priority::Normal)]).await.unwrap();
    complete(&torrent).await;
    assert!(is_right(&swarm, "b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_chosen_is_an_error_and_changes_nothing() {
    let swarm = swarm(None).await;
    let (_, seeder) = &swarm.seeders()[0];
    let session = session().await;
    let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await.unwrap();
    let error = torrent.set_file_priorities([(0, Priority::Skip), (99, Priority::Low)]).await.unwrap_err();
    assert!(matches!(error, TorrentError::NotOpened(ref why) if matches!(**why, AddError::NoSuchFile(99))), "{error}");
    assert!(torrent.files().iter().all(|file| file.priority == Priority::Normal));
    complete(&torrent).await;
    assert_eq!(seeder.files().len(), 4);
    let read_only = AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).read_only(true);
    torrent.remove().await;
    let torrent = session.add(read_only).await.unwrap();
    complete(&torrent).await;
    let error = torrent.set_file_priorities([(0, Priority::Skip)]).await.unwrap_err();
    assert!(matches!(error, TorrentError::Storage(_)), "{error}");
}

/// Everything in the torrent's folder, hidden or not.
fn names(swarm: &LocalSwarm) -> Vec<String> {
    let entries = std::fs::read_dir(swarm.dir().join("album")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn part_file(swarm: &LocalSwarm) -> String {
    format!(".{}.parts", &swarm.hashes().wire().to_string()[..8])
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_appears_that_is_not_wanted_and_what_is_shared_with_it_is_shared() {
    let swarm = swarm(None).await;
    let state = swarm.dir().join("state");
    let wish = || AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).peers(swarm.addrs());
    let session = stateful(state.clone()).await;
    let torrent = session.add(wish().wanted_files([1])).await.unwrap();
    complete(&torrent).await;
    let had = torrent.have();
    let wanted = torrent.files().into_iter().find(FileStatus::is_wanted).unwrap();
    assert!(is_right(&swarm, &wanted.path));
    assert_eq!(names(&swarm), [part_file(&swarm), wanted.path.clone()]);
    session.shutdown(PATIENCE).await;

    // A seeder of the part gives every piece that it has to one that wants the same.
    let session = stateful(state.clone()).await;
    let torrent = session.add(wish()).await.unwrap();
    complete(&torrent).await;
    assert_eq!((torrent.have(), torrent.status().down_bytes), (had.clone(), 0));
    let addr = session.listen_addrs().into_iter().find(|addr| addr.is_ipv4()).unwrap();
    let other = super::session().await;
    let copy = swarm.dir().join("copy");
    let taken = AddTorrent::new(swarm.torrent()).into_dir(&copy).trackers(vec![]).peers([addr]).wanted_files([1]);
    let taken = other.add(taken).await.unwrap();
    complete(&taken).await;
    assert_eq!(taken.have(), had);
    other.shutdown(PATIENCE).await;

    // Lost with the part file is only what was in it.
    std::fs::remove_file(swarm.dir().join("album").join(part_file(&swarm))).unwrap();
    assert_eq!(torrent.check().await.unwrap(), 2, "a piece at each end");
    complete(&torrent).await;
    assert_eq!(names(&swarm), [part_file(&swarm), wanted.path.clone()]);
    session.shutdown(PATIENCE).await;

    let session = stateful(state).await;
    let torrent = session.add(wish().wanted_files(0..4)).await.unwrap();
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
    assert!(!names(&swarm).contains(&part_file(&swarm)));
    assert!(torrent.status().down_bytes < torrent.status().total_bytes - u64::from(PIECE) * u64::from(had.count() - 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn l7_a_crash_with_a_part_file_loses_nothing_that_was_verified() {
    let swarm = swarm(Some(900_000)).await;
    let state = swarm.dir().join("state");
    let wish = || AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).peers(swarm.addrs());
    let session = stateful(state.clone()).await;
    let torrent = session.add(wish().wanted_files([0, 2])).await.unwrap();
    until("some of it", || torrent.status().have_pieces >= 5).await;
    let had = torrent.have();
    drop((session, torrent));
    let session = stateful(state).await;
    let again = async {
        loop {
            match session.add(wish()).await {
                Err(AddError::Storage(riverrun::storage::StorageError::InUse { .. })) => tokio::task::yield_now().await,
                added => return added.unwrap(),
            }
        }
    };
    let torrent = tokio::time::timeout(PATIENCE, again).await.unwrap();
    complete(&torrent).await;
    assert!(had.iter().all(|piece| torrent.have().has(piece)));
    let (fetched, wanted) = (torrent.status().down_bytes, torrent.have().count());
    let most = u64::from(PIECE) * u64::from(wanted - had.count());
    assert!(fetched <= most, "{fetched} bytes were fetched, and {} of {wanted} pieces had been there", had.count());
    assert!(names(&swarm).iter().all(|name| !["b", "sub"].contains(&name.as_str())), "{:?}", names(&swarm));
}
