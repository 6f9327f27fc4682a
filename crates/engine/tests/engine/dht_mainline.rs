//! The DHT with nodes of another implementation, the crate `mainline`, over loopback: each side stores for the other and finds
//! what the other has stored.
#![expect(
    deprecated,
    reason = "the calls of mainline that block need no crate more; those that do not are one more feature"
)]

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use bytes::Bytes;
use mainline::{Dht, Id, SigningKey, Testnet};
use riverrun::DhtSettings;
use riverrun::metainfo::WireHash;
use riverrun::metainfo::metainfo::Metainfo;
use riverrun::proto::dht::{Action, Command, Config, Input, Item, ItemName, LookupId, LookupReport, MutableItem, Node};
use riverrun::testing::{Content, Format, LocalDht};
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::task::spawn_blocking;
use tokio::time::{Instant as TokioInstant, timeout, timeout_at};

use super::PATIENCE;
use super::dht::seeder;

/// Nodes to begin with, and a node of the other implementation among them that asks and stores.
struct Place {
    routers: Vec<SocketAddr>,
    other: Dht,
}

impl Place {
    /// All nodes that answer are of mainline.
    async fn of_mainline() -> (Testnet, Self) {
        spawn_blocking(|| {
            let testnet = Testnet::builder(8).bind_address(Ipv4Addr::LOCALHOST).build().unwrap();
            let routers = testnet.bootstrap.iter().map(|addr| addr.parse().unwrap()).collect();
            let place = Self::with(routers);
            (testnet, place)
        })
        .await
        .unwrap()
    }

    /// All nodes that answer are ours.
    async fn of_ours() -> (LocalDht, Self) {
        let dht = LocalDht::start(8).await.unwrap();
        let routers = dht.addrs().to_vec();
        (dht, spawn_blocking(|| Self::with(routers)).await.unwrap())
    }

    fn with(routers: Vec<SocketAddr>) -> Self {
        let named: Vec<String> = routers.iter().map(SocketAddr::to_string).collect();
        let other = Dht::builder().bind_address(Ipv4Addr::LOCALHOST).bootstrap(&named).build().unwrap();
        assert!(other.bootstrapped(), "mainline finds no node");
        Self { routers, other }
    }

    /// Has mainline do something that blocks.
    async fn other<R: Send + 'static>(&self, act: impl FnOnce(Dht) -> R + Send + 'static) -> R {
        let other = self.other.clone();
        let done = spawn_blocking(move || act(other));
        timeout(PATIENCE, done).await.expect("mainline is stuck").unwrap()
    }

    fn settings(&self) -> DhtSettings {
        let routers = self.routers.iter().map(|addr| (addr.ip().to_string(), addr.port())).collect();
        DhtSettings { on: true, routers, ..DhtSettings::default() }
    }
}

/// A node of ours that asks and stores, and answers nobody.
struct Asker {
    node: Node,
    socket: UdpSocket,
    lookups: u64,
    /// Peers found by the last lookup.
    found: BTreeSet<SocketAddr>,
}

impl Asker {
    async fn start(routers: &[SocketAddr]) -> Self {
        let now = Instant::now();
        let config = Config { v6: None, read_only: true, ..Config::new([7; 32]) };
        let mut node = Node::new(now, &config);
        for addr in routers {
            node.handle(now, Input::Command(Command::AddRouter { addr: *addr }));
        }
        Self { node, socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(), lookups: 0, found: BTreeSet::new() }
    }

    /// Runs a lookup to its end; the items that it found, and what it came to.
    async fn look_up(&mut self, command: impl FnOnce(LookupId) -> Command) -> (Vec<Item>, LookupReport) {
        let (mut items, mut packet) = (Vec::new(), [0; 2048]);
        let (start, name) = (Instant::now(), LookupId(self.lookups));
        self.lookups += 1;
        self.found.clear();
        self.node.handle(start, Input::Command(command(name)));
        loop {
            while let Some(action) = self.node.poll() {
                match action {
                    Action::Send { to, bytes } => _ = self.socket.send_to(&bytes, to).await.unwrap(),
                    Action::Item { item, .. } => items.push(item),
                    Action::Peers { peers, .. } => self.found.extend(peers),
                    Action::LookupDone { id, report } if id == name => return (items, *report),
                    _ => {}
                }
            }
            assert!(start.elapsed() < PATIENCE, "the lookup does not end: {:?}", self.node.status(Instant::now()));
            let due = self.node.next_timeout().unwrap_or(start + PATIENCE).min(start + PATIENCE);
            match timeout_at(TokioInstant::from_std(due), self.socket.recv_from(&mut packet)).await {
                Ok(received) => {
                    let (length, from) = received.unwrap();
                    self.node.handle(Instant::now(), Input::Packet { from, bytes: &packet[..length] });
                }
                Err(_) => self.node.handle(Instant::now(), Input::Timeout),
            }
        }
    }

    async fn peers(&mut self, info_hash: WireHash) -> Vec<SocketAddr> {
        let lookup = |id| Command::GetPeers { id, info_hash, announce: None, scrape: false, no_seed: false };
        let (_, report) = self.look_up(lookup).await;
        assert!(report.answered >= 4, "{report:?}");
        self.found.iter().copied().collect()
    }

    async fn put(&mut self, item: &Item) {
        let (_, report) = self.look_up(|id| Command::PutItem { id, item: item.clone(), cas: None }).await;
        assert!(report.stored_at >= 4 && report.refused.is_none(), "{report:?}");
    }

    async fn get(&mut self, name: ItemName) -> Item {
        let (items, report) = self.look_up(|id| Command::GetItem { id, name }).await;
        items.last().unwrap_or_else(|| panic!("{report:?}")).clone()
    }
}

/// A session announces itself and mainline finds it; mainline announces itself and is found by us.
async fn announces(place: &Place, seed: u64) {
    let content = Content::file("both.bin", seed, 50_000);
    let torrent = content.torrent(Format::V1, None, &[]);
    let hashes = Metainfo::parse(torrent.clone().into()).unwrap().hashes();
    let dir = TempDir::new().unwrap();
    let (session, _torrent) = seeder(place.settings(), &content, &torrent, dir.path()).await;
    let (ours, name) = (session.listen_addrs()[0], Id::from_bytes(hashes.wire().0).unwrap());
    let start = Instant::now();
    loop {
        let found: Vec<SocketAddr> =
            place.other(move |dht| dht.get_peers(name).flatten().map(SocketAddr::from).collect()).await;
        if found.contains(&ours) {
            assert!(found.iter().all(|peer| *peer == ours), "nobody else is there: {found:?}");
            break;
        }
        assert!(start.elapsed() < PATIENCE, "mainline does not find {ours}: {found:?}");
    }
    place.other(move |dht| dht.announce_peer(name, Some(4567))).await.unwrap();
    let mut asker = Asker::start(&place.routers).await;
    assert_eq!(asker.peers(hashes.wire()).await, [SocketAddr::from((Ipv4Addr::LOCALHOST, 4567)), ours]);
    // The port may also be the one that the packets come from (BEP 5, implied_port).
    let other = Id::from_bytes([seed as u8; 20]).unwrap();
    place.other(move |dht| dht.announce_peer(other, None)).await.unwrap();
    let own = place.other(|dht| dht.info().local_addr()).await;
    assert_eq!(asker.peers(WireHash([seed as u8; 20])).await, [SocketAddr::from(own)]);
}

/// Items of each kind, stored by one side and read by the other (BEP 44).
async fn items(place: &Place) {
    let mut asker = Asker::start(&place.routers).await;
    let ours = Item::immutable(text("fixed, by us")).unwrap();
    asker.put(&ours).await;
    let target = Id::from_bytes(ours.name().target().0).unwrap();
    let found = place.other(move |dht| dht.get_immutable(target)).await;
    assert_eq!(found.as_deref(), Some(&b"fixed, by us"[..]));

    let target = place.other(|dht| dht.put_immutable(b"fixed, by mainline")).await.unwrap();
    let name = ItemName::Immutable(riverrun::proto::dht::Id(*target.as_bytes()));
    assert_eq!(asker.get(name).await.value(), &text("fixed, by mainline"));

    for salt in [&b""[..], b"salt"] {
        let named = (!salt.is_empty()).then_some(salt);
        // We write, mainline reads, and writes what comes next; we read that.
        let ours = MutableItem::sign(&[3; 32], salt, 1, text("first, by us")).unwrap();
        asker.put(&Item::Mutable(ours.clone())).await;
        let key = *ours.key();
        let found = place.other(move |dht| dht.get_mutable_most_recent(&key, named)).await.expect("mainline finds it");
        assert_eq!((found.seq(), found.value(), found.key()), (1, &b"first, by us"[..], &key));
        let next = mainline::MutableItem::new(SigningKey::from_bytes(&[3; 32]), b"second, by mainline", 2, named);
        place.other(move |dht| dht.put_mutable(next, Some(1))).await.unwrap();
        let name = ItemName::Mutable { key, salt: salt.to_vec() };
        let found = asker.get(name).await;
        assert_eq!((found.seq(), found.value()), (Some(2), &text("second, by mainline")));
        // Who comes too late is refused, by nodes of both.
        let late = Item::Mutable(ours);
        let (_, report) = asker.look_up(|id| Command::PutItem { id, item: late, cas: None }).await;
        assert!(report.stored_at == 0 && report.refused == Some(302), "{report:?}");
    }
}

/// A text as a value.
fn text(text: &str) -> Bytes {
    format!("{}:{text}", text.len()).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn bep_5_peers_are_announced_and_found_among_nodes_of_mainline() {
    let (_testnet, place) = Place::of_mainline().await;
    announces(&place, 41).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bep_5_mainline_announces_and_finds_peers_among_our_nodes() {
    let (_dht, place) = Place::of_ours().await;
    announces(&place, 42).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bep_44_items_are_kept_by_nodes_of_mainline() {
    let (_testnet, place) = Place::of_mainline().await;
    items(&place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bep_44_items_of_mainline_are_kept_by_our_nodes() {
    let (_dht, place) = Place::of_ours().await;
    items(&place).await;
}
