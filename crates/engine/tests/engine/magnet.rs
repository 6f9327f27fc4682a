//! From a magnet link to the content: metadata from peers, kept for the next time, and the connections that stay.

use std::path::PathBuf;

use riverrun::metainfo::magnet::PeerAddress;
use riverrun::metainfo::metainfo::Draft;
use riverrun::metainfo::piece_hash::Format;
use riverrun::metainfo::{InfoHashes, Magnet, Metainfo};
use riverrun::testing::{Content, LocalSwarm, loopback};
use riverrun::{AddError, AddTorrent, Phase, Session, Settings, Torrent, TorrentError, Waiting};
use tokio::time::timeout;

use super::{PATIENCE, complete, same, session, until};

async fn swarm(format: Format) -> LocalSwarm {
    let content = Content::folder("album", 5, [("a.bin", 300_000), ("sub/b.bin", 10_000), ("c.bin", 900_000)]);
    LocalSwarm::of(content).format(format).piece_length(1 << 20).start().await.unwrap()
}

/// A link with the seeders' addresses and no tracker.
fn link(hashes: InfoHashes, swarm: &LocalSwarm) -> Magnet {
    Magnet { peers: swarm.addrs().into_iter().map(PeerAddress::from).collect(), ..Magnet::new(hashes) }
}

async fn metadata(torrent: &Torrent) -> std::sync::Arc<Metainfo> {
    timeout(PATIENCE, torrent.metadata()).await.unwrap_or_else(|_| panic!("{:#?}", torrent.status())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_magnet_link_of_any_kind_brings_the_content() {
    for format in [Format::V1, Format::V2, Format::Hybrid] {
        let swarm = swarm(format).await;
        let hashes = swarm.hashes();
        let v1 = hashes.v1().map(InfoHashes::V1);
        let v2 = hashes.v2().map(InfoHashes::V2);
        let kinds: std::collections::BTreeSet<_> = [Some(hashes), v1, v2].into_iter().flatten().collect();
        for (number, kind) in kinds.into_iter().enumerate() {
            let out = swarm.dir().join(number.to_string());
            let session = session().await;
            let add = AddTorrent::magnet(link(kind, &swarm).to_string()).into_dir(&out);
            let torrent = session.add(add).await.unwrap();
            complete(&torrent).await;
            same(&swarm, &out);
            assert_eq!(torrent.info_hashes(), hashes, "the metadata says both");
            assert_eq!(session.find(hashes).unwrap().id(), torrent.id());
            assert_eq!(torrent.status().name, "album");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_alone_with_a_tracker_or_a_peer_is_enough() {
    let swarm = swarm(Format::V1).await;
    let adds = [
        AddTorrent::magnet(swarm.magnet()),
        AddTorrent::new(swarm.hashes()).peers(swarm.addrs()),
        AddTorrent::new(swarm.hashes()).add_trackers(vec![vec![swarm.tracker().http_url()]]),
    ];
    for (number, add) in adds.into_iter().enumerate() {
        let out = swarm.dir().join(number.to_string());
        let session = session().await;
        complete(&session.add(add.into_dir(&out)).await.unwrap()).await;
        same(&swarm, &out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_has_it_from_a_magnet_gives_it_to_another() {
    let swarm = swarm(Format::Hybrid).await;
    let first = session().await;
    let out = swarm.dir().join("first");
    complete(&first.add(AddTorrent::magnet(link(swarm.hashes(), &swarm).to_string()).into_dir(&out)).await.unwrap())
        .await;
    let second = session().await;
    let out = swarm.dir().join("second");
    let add = AddTorrent::new(swarm.hashes()).peers(first.listen_addrs()).into_dir(&out);
    complete(&second.add(add).await.unwrap()).await;
    same(&swarm, &out);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_metadata_the_owner_decides_and_the_connections_stay() {
    let swarm = swarm(Format::Hybrid).await;
    let session = session().await;
    let add = AddTorrent::magnet(link(swarm.hashes(), &swarm).to_string()).metadata_only(true);
    let torrent = session.add(add).await.unwrap();
    let metainfo = metadata(&torrent).await;
    assert_eq!(metainfo.info().files().len(), Metainfo::parse(swarm.torrent().into()).unwrap().info().files().len());
    until("connected", || torrent.status().connections == 1).await;
    let before = torrent.peers()[0].connection;
    assert_eq!(torrent.path(), PathBuf::new());
    let out = swarm.dir();
    let missing = session.add(AddTorrent::new(metainfo.clone()).into_dir(&out).wanted_files([99])).await;
    assert!(matches!(missing, Err(AddError::NoSuchFile(99))));
    let again = session.add(AddTorrent::new(metainfo.clone()).into_dir(&out)).await.unwrap();
    assert_eq!(again.id(), torrent.id(), "the same torrent goes on");
    assert_eq!(torrent.peers()[0].connection, before);
    complete(&torrent).await;
    same(&swarm, &out);
    assert!(matches!(session.add(AddTorrent::new(metainfo).into_dir(&out)).await, Err(AddError::Duplicate(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_kept_and_hashed_again() {
    let swarm = swarm(Format::V1).await;
    let state = swarm.dir().join("state");
    let stateful = || Session::builder().settings(Settings { state_dir: Some(state.clone()), ..loopback() }).start();
    let session = stateful().await.unwrap();
    let only = || AddTorrent::new(swarm.hashes()).metadata_only(true);
    metadata(&session.add(only().peers(swarm.addrs())).await.unwrap()).await;
    drop(session);
    // Nobody is there to ask any more.
    let session = stateful().await.unwrap();
    let metainfo = metadata(&session.add(only()).await.unwrap()).await;
    assert_eq!(metainfo.hashes(), swarm.hashes());
    drop(session);
    let kept: Vec<_> = std::fs::read_dir(state.join("metadata")).unwrap().flatten().map(|entry| entry.path()).collect();
    assert_eq!(kept.len(), 1);
    let other = Content::file("other.bin", 9, 10_000).torrent(Format::V1, None, &[]);
    for damage in [other, b"de".to_vec(), Vec::new()] {
        std::fs::write(&kept[0], damage).unwrap();
        let session = stateful().await.unwrap();
        let torrent = session.add(only()).await.unwrap();
        assert_eq!(torrent.metainfo().map(|metainfo| metainfo.hashes()), None, "what is not right is not believed");
        assert!(matches!(torrent.status().phase, Phase::FetchingMetadata { have_blocks: 0, .. }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_waited_for_is_said() {
    let session = session().await;
    let hashes = InfoHashes::V1(riverrun::metainfo::InfoHashV1([3; 20]));
    let torrent = session.add(AddTorrent::new(hashes)).await.unwrap();
    assert_eq!(torrent.status().name, "03".repeat(20));
    until("a reason", || torrent.status().waiting == Some(Waiting::NoTrackers)).await;
    torrent.pause();
    assert!(matches!(torrent.status().phase, Phase::Paused));
    torrent.remove().await;
    assert!(matches!(torrent.metadata().await, Err(TorrentError::Stopped)));
}

#[tokio::test(flavor = "multi_thread")]
async fn m23_a_link_that_is_none_or_selects_files_that_are_not_there() {
    let content = Content::folder("album", 5, [("a.bin", 300_000), ("b.bin", 10_000), ("c.bin", 900_000)]);
    let swarm = LocalSwarm::of(content).format(Format::V1).piece_length(65_536).start().await.unwrap();
    let session = session().await;
    let bad = session.add(AddTorrent::magnet("magnet:?xt=urn:btih:zzzz&dn=../../etc/passwd")).await;
    assert!(matches!(bad, Err(AddError::Magnet(_))));
    let mut link = link(swarm.hashes(), &swarm);
    link.name = Some("../../evil".to_owned());
    link.selected = vec![1..=1, 7..=u32::MAX];
    let torrent = session.add(AddTorrent::magnet(link.to_string()).into_dir(swarm.dir())).await.unwrap();
    complete(&torrent).await;
    assert_eq!(torrent.path(), swarm.dir().join("album"), "the name of the metadata counts");
    assert_eq!(torrent.status().total_bytes, 65_536, "the one piece of the one file that is selected and there");
}

/// The swarm's torrent, but private, with another hash therefore.
fn private(swarm: &LocalSwarm) -> Metainfo {
    let info = Metainfo::parse(swarm.torrent().into()).unwrap().info().edited(Some(true), None);
    Metainfo::parse(Draft::new(info.into()).encode().into()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_magnet_that_turns_out_private_keeps_to_its_trackers() {
    let swarm = swarm(Format::V1).await;
    let metainfo = private(&swarm);
    let (hashes, seeder) = (metainfo.hashes(), session().await);
    let dir = swarm.dir().join("seed");
    swarm.content().write_into(&dir).unwrap();
    complete(&seeder.add(AddTorrent::new(metainfo).into_dir(dir).read_only(true)).await.unwrap()).await;
    let session = session().await;
    let add = AddTorrent::new(hashes).peers(seeder.listen_addrs()).metadata_only(true);
    let torrent = session.add(add).await.unwrap();
    assert!(metadata(&torrent).await.info().is_private());
    complete(&session.add(AddTorrent::new(metadata(&torrent).await).into_dir(swarm.dir())).await.unwrap()).await;
    same(&swarm, &swarm.dir());
    // M25: its trackers are not for a link to name.
    let mut link = Magnet::new(hashes);
    link.trackers = vec![swarm.tracker().http_url()];
    let added = session.add(AddTorrent::magnet(link.to_string())).await;
    assert!(matches!(added, Err(AddError::Duplicate(_))));
    assert!(torrent.status().trackers.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn m25_a_link_to_a_torrent_that_is_here_brings_its_trackers_and_peers() {
    let swarm = swarm(Format::V1).await;
    let session = session().await;
    let add = AddTorrent::new(swarm.torrent()).trackers(Vec::new()).into_dir(swarm.dir());
    let torrent = session.add(add).await.unwrap();
    until("it knows nobody", || torrent.status().waiting == Some(Waiting::NoTrackers)).await;
    let added = session.add(AddTorrent::magnet(swarm.magnet())).await;
    assert!(matches!(added, Err(AddError::Duplicate(hashes)) if hashes == swarm.hashes()));
    complete(&torrent).await;
    assert_eq!(torrent.status().trackers.len(), 1);
    same(&swarm, &swarm.dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_alone_gets_its_piece_layers_as_well() {
    let content = Content::file("long.bin", 3, 1_000_000);
    let swarm = LocalSwarm::of(content).format(Format::V2).piece_length(16_384).start().await.unwrap();
    let session = session().await;
    let add = AddTorrent::magnet(link(swarm.hashes(), &swarm).to_string()).into_dir(swarm.dir());
    complete(&session.add(add).await.unwrap()).await;
    same(&swarm, &swarm.dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_had_between_the_metadata_and_the_files() {
    let swarm = LocalSwarm::of(Content::file("late.bin", 3, 300_000)).start().await.unwrap();
    let session = session().await;
    let torrent = session.add(AddTorrent::magnet(swarm.magnet()).metadata_only(true)).await.unwrap();
    let metainfo = timeout(PATIENCE, torrent.metadata()).await.unwrap().unwrap();
    let have = torrent.have();
    assert_eq!((have.pieces(), have.count()), (metainfo.info().layout().piece_count(), 0));
}

/// Descriptions that lie in files of this folder which have no name any more.
#[cfg(target_os = "linux")]
fn shelved(state_dir: &std::path::Path) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let file = format!("{}/.shelf-", state_dir.display());
    maps.lines().filter(|line| line.contains(&file) && line.ends_with(" (deleted)")).count()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_long_description_takes_no_memory_and_is_given_to_others() {
    let names: Vec<_> = (0..300).map(|number| format!("{number:0>80}")).collect();
    let content = Content::folder("many", 5, names.iter().map(|name| (&name[..], 100)));
    let swarm = LocalSwarm::of(content).start().await.unwrap();
    let states = ["first", "second"].map(|name| swarm.dir().join(name));
    let [first, second] = &states;
    let session = |state: &PathBuf| {
        Session::builder().settings(Settings { state_dir: Some(state.clone()), ..loopback() }).start()
    };
    let (one, other) = (session(first).await.unwrap(), session(second).await.unwrap());
    let add = AddTorrent::new(swarm.torrent()).into_dir(swarm.dir().join("1"));
    let from_file = one.add(add).await.unwrap();
    complete(&from_file).await;
    let link = AddTorrent::new(swarm.hashes()).peers(one.listen_addrs()).into_dir(swarm.dir().join("2"));
    let from_peers = other.add(link).await.unwrap();
    complete(&from_peers).await;
    same(&swarm, &swarm.dir().join("2"));
    assert_eq!(from_file.metainfo().unwrap().info().raw(), from_peers.metainfo().unwrap().info().raw());
    assert_eq!([shelved(first), shelved(second)], [1, 1]);
    for (session, torrent) in [(one, from_file), (other, from_peers)] {
        drop(torrent);
        session.shutdown(PATIENCE).await;
    }
    until("room given back", || [shelved(first), shelved(second)] == [0, 0]).await;
}
