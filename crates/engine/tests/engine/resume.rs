//! What is there at the start is used, and nothing is fetched twice.

use std::path::PathBuf;

use riverrun::storage::{PartSuffix, StorageError};
use riverrun::testing::{Content, LocalSwarm, loopback};
use riverrun::{AddError, AddTorrent, EventKind, Phase, Session, Settings, TorrentError};
use tokio::time::timeout;

use super::{PATIENCE, complete, same, session, until};

const LENGTH: u64 = 4_000_000;

async fn swarm() -> LocalSwarm {
    let content = Content::file("resume.bin", 3, LENGTH as usize);
    LocalSwarm::of(content).piece_length(65_536).up_limit(Some(LENGTH)).start().await.unwrap()
}

fn state(swarm: &LocalSwarm) -> PathBuf {
    swarm.dir().join("state")
}

fn records(swarm: &LocalSwarm) -> usize {
    std::fs::read_dir(state(swarm).join("resume")).map_or(0, Iterator::count)
}

async fn stateful(swarm: &LocalSwarm) -> Session {
    let settings = Settings { state_dir: Some(state(swarm)), ..loopback() };
    Session::builder().settings(settings).start().await.unwrap()
}

fn wish(swarm: &LocalSwarm) -> AddTorrent {
    AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())
}

/// Waits until it can be added: the files of a session that was dropped are let go of by its threads, a little later.
async fn add_again(session: &Session, wish: AddTorrent) -> riverrun::Torrent {
    timeout(PATIENCE, async {
        loop {
            match session.add(wish.clone()).await {
                Err(AddError::Storage(StorageError::InUse { .. })) => tokio::task::yield_now().await,
                added => return added.unwrap(),
            }
        }
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn l7_what_was_verified_before_a_crash_is_not_fetched_again() {
    let swarm = swarm().await;
    let session = stateful(&swarm).await;
    let torrent = session.add(wish(&swarm)).await.unwrap();
    until("half of it", || torrent.status().have_bytes > LENGTH / 2).await;
    let had = torrent.status().have_bytes;
    // No shutdown: nothing is said, nothing is saved.
    drop((session, torrent));
    let session = stateful(&swarm).await;
    let torrent = add_again(&session, wish(&swarm)).await;
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
    let fetched = torrent.status().down_bytes;
    assert!(fetched <= LENGTH - had, "{had} bytes were there and {fetched} were fetched");
}

#[tokio::test(flavor = "multi_thread")]
async fn l7_a_crash_before_the_first_piece_leaves_nothing_in_the_way() {
    let swarm = swarm().await;
    let session = stateful(&swarm).await;
    let torrent = session.add(wish(&swarm)).await.unwrap();
    until("it has begun", || torrent.status().partial_bytes > 0 || torrent.status().have_bytes > 0).await;
    drop((session, torrent));
    // The bytes that came are no whole piece; to a stranger they are something else.
    std::fs::write(swarm.dir().join("probe"), b"").unwrap();
    let file = std::fs::File::options().write(true).open(swarm.dir().join("resume.bin")).unwrap();
    std::os::unix::fs::FileExt::write_at(&file, &[7; 70_000], 0).unwrap();
    let session = stateful(&swarm).await;
    let torrent = add_again(&session, wish(&swarm)).await;
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn m26_a_forged_record_is_not_believed() {
    let swarm = swarm().await;
    let session = stateful(&swarm).await;
    let torrent = session.add(wish(&swarm)).await.unwrap();
    until("a part", || torrent.status().have_bytes > LENGTH / 4).await;
    session.shutdown(PATIENCE).await;
    let record = std::fs::read_dir(state(&swarm).join("resume")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&record).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&record, bytes).unwrap();
    let session = stateful(&swarm).await;
    let torrent = session.add(wish(&swarm)).await.unwrap();
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
    assert!(torrent.status().down_bytes < LENGTH, "it was hashed instead");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_goes_when_it_is_told_to() {
    let swarm = swarm().await;
    let session = stateful(&swarm).await;
    let torrent = session.add(wish(&swarm).forget_resume_when_complete(true)).await.unwrap();
    until("the record is there", || records(&swarm) == 1).await;
    complete(&torrent).await;
    assert_eq!(records(&swarm), 0);
    session.shutdown(PATIENCE).await;
    assert_eq!(records(&swarm), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn l6_what_is_right_is_used_and_the_rest_is_fetched() {
    let swarm = swarm().await;
    let mut content = swarm.content().clone();
    content.files[0].1[2_000_000..2_100_000].fill(7);
    content.write_into(&swarm.dir()).unwrap();
    let session = session().await;
    let torrent = session.add(wish(&swarm)).await.unwrap();
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
    assert!(torrent.status().down_bytes <= 4 * 65_536, "{}", torrent.status().down_bytes);
    torrent.remove().await;
    let torrent = session.add(wish(&swarm)).await.unwrap();
    complete(&torrent).await;
    assert_eq!(torrent.status().down_bytes, 0, "everything was there");
}

#[tokio::test(flavor = "multi_thread")]
async fn l6_something_else_in_its_place_is_left_alone() {
    let swarm = swarm().await;
    let path = swarm.dir().join("resume.bin");
    std::fs::write(&path, vec![7; 5_000_000]).unwrap();
    let session = session().await;
    let torrent = session.add(wish(&swarm)).await.unwrap();
    let ended = timeout(PATIENCE, torrent.completed()).await.unwrap();
    assert!(matches!(ended, Err(TorrentError::Occupied { path: found, .. }) if found == path));
    assert!(matches!(torrent.status().phase, Phase::Failed { retry_in: None, .. }));
    assert_eq!(std::fs::read(&path).unwrap(), vec![7; 5_000_000], "not a byte was touched");
    torrent.remove().await;
    let torrent = session.add(wish(&swarm).overwrite(true)).await.unwrap();
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn l6_a_longer_file_with_right_pieces_is_cut() {
    let swarm = swarm().await;
    let mut content = swarm.content().clone();
    content.files[0].1.extend_from_slice(&[7; 1000]);
    content.files[0].1[..1000].fill(7);
    content.write_into(&swarm.dir()).unwrap();
    let session = session().await;
    let torrent = session.add(wish(&swarm)).await.unwrap();
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
    assert_eq!(torrent.status().down_bytes, 65_536);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_content_is_not_shared() {
    let swarm = swarm().await;
    let mut content = swarm.content().clone();
    content.files[0].1[100] ^= 1;
    content.write_into(&swarm.dir()).unwrap();
    let session = session().await;
    let torrent = session.add(wish(&swarm).read_only(true)).await.unwrap();
    let ended = timeout(PATIENCE, torrent.completed()).await.unwrap();
    assert!(matches!(ended, Err(TorrentError::Incomplete { bad: 1, pieces: 62 })), "{ended:?}");
}

/// What the owner vouches for is shared at once, with no hash and no second look.
#[tokio::test(flavor = "multi_thread")]
async fn content_that_is_believed_is_shared_without_a_hash() {
    let swarm = swarm().await;
    let mut content = swarm.content().clone();
    content.files[0].1[100] ^= 1;
    content.write_into(&swarm.dir()).unwrap();
    let session = session().await;
    let mut events = session.events();
    let torrent = session.add(wish(&swarm).read_only(true).trust_resume(true)).await.unwrap();
    timeout(PATIENCE, torrent.completed()).await.unwrap().unwrap();
    assert!(matches!(torrent.status().phase, Phase::Seeding));
    let mut phases = Vec::new();
    while let Ok(Ok(event)) = timeout(std::time::Duration::ZERO, events.next()).await {
        if let EventKind::Phase(phase) = event.kind {
            phases.push(phase);
        }
    }
    assert!(!phases.iter().any(|phase| matches!(phase, Phase::Checking { .. })), "{phases:?}");
    assert!(matches!(phases.last(), Some(Phase::Seeding)), "{phases:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_content_that_is_believed_and_ends_in_a_hole_is_not_shared() {
    let swarm = swarm().await;
    std::fs::create_dir_all(swarm.dir()).unwrap();
    let file = std::fs::File::create(swarm.dir().join("resume.bin")).unwrap();
    file.set_len(LENGTH).unwrap();
    let session = session().await;
    let torrent = session.add(wish(&swarm).read_only(true).trust_resume(true)).await.unwrap();
    let ended = timeout(PATIENCE, torrent.completed()).await.unwrap();
    assert!(matches!(ended, Err(TorrentError::Incomplete { bad: 62, pieces: 62 })), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn l10_two_writers_on_one_file() {
    let swarm = swarm().await;
    let first = session().await;
    let torrent = first.add(wish(&swarm)).await.unwrap();
    until("it has begun", || torrent.status().have_bytes > 0).await;
    let second = session().await.add(wish(&swarm)).await;
    assert!(matches!(second, Err(AddError::Storage(StorageError::InUse { .. }))), "{second:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_finds_what_was_damaged() {
    let swarm = swarm().await;
    let session = session().await;
    let torrent = session.add(wish(&swarm)).await.unwrap();
    complete(&torrent).await;
    assert_eq!(torrent.check().await.unwrap(), 0);
    let file = std::fs::File::options().write(true).open(swarm.dir().join("resume.bin")).unwrap();
    std::os::unix::fs::FileExt::write_at(&file, b"damage", 1_000_000).unwrap();
    assert_eq!(torrent.check().await.unwrap(), 1);
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn l7_parts_are_found_after_a_crash_and_named_when_complete() {
    let swarm = swarm().await;
    let part = || wish(&swarm).part_suffix(PartSuffix::new(".part").unwrap());
    let (own, unfinished) = (swarm.dir().join("resume.bin"), swarm.dir().join("resume.bin.part"));
    let session = stateful(&swarm).await;
    let torrent = session.add(part()).await.unwrap();
    until("half of it", || torrent.status().have_bytes > LENGTH / 2).await;
    let had = torrent.status().have_bytes;
    assert!(unfinished.exists() && !own.exists());
    drop((session, torrent));
    let session = stateful(&swarm).await;
    let torrent = add_again(&session, part()).await;
    complete(&torrent).await;
    assert!(own.exists() && !unfinished.exists());
    same(&swarm, &swarm.dir());
    assert!(torrent.status().down_bytes <= LENGTH - had, "what was there was fetched again");
    session.shutdown(PATIENCE).await;
    let session = stateful(&swarm).await;
    let torrent = add_again(&session, part()).await;
    complete(&torrent).await;
    assert_eq!(torrent.status().down_bytes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn l6_a_part_never_takes_the_name_of_something_else() {
    let swarm = swarm().await;
    let session = stateful(&swarm).await;
    let torrent = session.add(wish(&swarm).part_suffix(PartSuffix::new(".part").unwrap())).await.unwrap();
    until("some of it", || torrent.status().have_bytes > 0).await;
    let own = swarm.dir().join("resume.bin");
    std::fs::write(&own, "of somebody else").unwrap();
    let error = timeout(PATIENCE, torrent.completed()).await.unwrap().unwrap_err();
    assert!(
        matches!(&error, TorrentError::Storage(error) if matches!(**error, StorageError::NameTaken { .. })),
        "{error}"
    );
    assert_eq!(std::fs::read(own).unwrap(), b"of somebody else");
}

#[tokio::test(flavor = "multi_thread")]
async fn l6_what_comes_into_the_place_of_a_small_file_meanwhile_is_left_alone() {
    let names: Vec<String> = (0..20).map(|number| format!("f{number}")).collect();
    let content = Content::folder("small", 3, names.iter().map(|name| (name.as_str(), 200_000)));
    let swarm = LocalSwarm::of(content).piece_length(65_536).up_limit(Some(LENGTH)).start().await.unwrap();
    let session = stateful(&swarm).await;
    let torrent = session.add(wish(&swarm).fail_on_storage_error(true)).await.unwrap();
    until("some of it", || torrent.status().have_bytes > 0).await;
    let others = || {
        names.iter().filter_map(|name| {
            let path = swarm.dir().join("small").join(name);
            let made = std::fs::File::options().write(true).create_new(true).open(&path);
            std::io::Write::write_all(&mut made.ok()?, b"of somebody else").unwrap();
            Some(path)
        })
    };
    let others: Vec<PathBuf> = others().collect();
    assert!(!others.is_empty(), "all files were there after the first piece");
    let error = timeout(PATIENCE, torrent.completed()).await.unwrap().unwrap_err();
    assert!(
        matches!(&error, TorrentError::Storage(error) if matches!(&**error, StorageError::NameTaken { path } if others.contains(path))),
        "{error}"
    );
    for other in others {
        assert_eq!(std::fs::read(other).unwrap(), b"of somebody else");
    }
}
