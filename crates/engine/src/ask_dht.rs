//! Asking the DHT who has a torrent, without joining its swarm.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use riverrun_metainfo::{InfoHashes, WireHash};
use riverrun_proto::dht::LookupReport;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::drive::dht::{Dht, Host};
use crate::udp_hub::UdpHub;
use crate::{DhtSettings, Net};

/// What to ask the DHT.
#[derive(Clone, Debug)]
pub struct DhtQuery {
    /// The torrent, which must not be private (BEP 27).
    pub info_hashes: InfoHashes,
    /// Whom to ask when no other node is known, as [`DhtSettings::routers`].
    pub routers: Vec<(String, u16)>,
    /// Where a session with the same folder has kept the nodes that it met.
    pub state_dir: Option<PathBuf>,
    /// How long to wait. Default 15 s.
    pub timeout: Duration,
    /// How nodes are reached, and which of them and of the peers are of interest.
    pub net: Net,
}

impl DhtQuery {
    /// A question about one torrent, to the usual routers.
    #[must_use]
    pub fn new(info_hashes: InfoHashes) -> Self {
        Self {
            info_hashes,
            routers: DhtSettings::default().routers,
            state_dir: None,
            timeout: Duration::from_secs(15),
            net: Net::default(),
        }
    }
}

/// What the DHT said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DhtAnswer {
    /// The peers, in order.
    pub peers: Vec<SocketAddr>,
    /// Nodes that answered us; 0: the DHT was not reached.
    pub nodes: usize,
}

/// Who collects what is found.
#[derive(Debug, Default)]
struct Basket {
    state: Mutex<Collected>,
    done: Notify,
}

#[derive(Debug, Default)]
struct Collected {
    peers: BTreeSet<SocketAddr>,
    /// Hashes whose lookups have come to an end.
    done: BTreeSet<WireHash>,
}

impl Host for Basket {
    fn found(&self, _: WireHash, peers: &[SocketAddr]) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).peers.extend(peers);
    }

    fn done(&self, info_hash: WireHash, report: &LookupReport) -> Option<bool> {
        if report.answered == 0 {
            // Nobody was there yet: once more, soon.
            return Some(true);
        }
        self.state.lock().unwrap_or_else(PoisonError::into_inner).done.insert(info_hash);
        self.done.notify_one();
        None
    }
}

/// A node that asks and answers nobody (BEP 43). `None`: the system has no random numbers.
fn reader(routers: &[(String, u16)], state_dir: Option<&Path>, net: &Net) -> Option<Arc<Dht>> {
    let wish = DhtSettings { on: true, read_only: true, routers: routers.to_vec() };
    let (seed, udp_seed) = (getrandom::u64().ok()?, getrandom::u64().ok()?);
    let hub = Arc::new(UdpHub::new(udp_seed, net.clone(), Vec::new()));
    Some(Arc::new(Dht::new(wish, net.clone(), hub, Vec::new(), state_dir, seed)))
}

/// How many are enough to see that the DHT is reached: a full bucket.
const ENOUGH_NODES: usize = 8;
/// When no more nodes have come for so long, the DHT has no more for us.
const STEADY: Duration = Duration::from_millis(1500);
/// How often it is seen who has come.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Comes together with the DHT and tells how many nodes answer; 0: it is not reached within `patience`. It ends with the first eight,
/// or when no more come. Nothing is looked up, and nobody is answered (BEP 43). The rest as in [`DhtQuery`].
pub async fn dht_nodes(routers: &[(String, u16)], state_dir: Option<&Path>, patience: Duration, net: &Net) -> usize {
    let Some(dht) = reader(routers, state_dir, net) else { return 0 };
    dht.start();
    let start = Instant::now();
    let (mut known, mut since) = (0, start);
    while start.elapsed() < patience && known < ENOUGH_NODES && (known == 0 || since.elapsed() < STEADY) {
        sleep(LOOK_AGAIN).await;
        let nodes = dht.nodes().unwrap_or_default();
        if nodes != known {
            (known, since) = (nodes, Instant::now());
        }
    }
    known
}

/// Asks the DHT for peers of a torrent. Nothing is announced, and nobody is answered (BEP 43). The hashes of a hybrid torrent are looked
/// up both.
pub async fn dht_peers(query: &DhtQuery) -> DhtAnswer {
    let Some(dht) = reader(&query.routers, query.state_dir.as_deref(), &query.net) else { return DhtAnswer::default() };
    let basket = Arc::new(Basket::default());
    dht.set_host(Arc::downgrade(&basket) as Weak<dyn Host>);
    let hashes: BTreeSet<WireHash> = query.info_hashes.wire_all().collect();
    hashes.iter().for_each(|info_hash| dht.join(*info_hash, false));
    let all = async {
        while basket.state.lock().unwrap_or_else(PoisonError::into_inner).done.len() < hashes.len() {
            basket.done.notified().await;
        }
    };
    // What was found in time is used.
    let _ = timeout(query.timeout, all).await;
    let nodes = dht.nodes().unwrap_or_default();
    let may_meet = |peer: &SocketAddr| query.net.addresses.may_meet(peer.ip()).is_ok();
    let collected = std::mem::take(&mut *basket.state.lock().unwrap_or_else(PoisonError::into_inner));
    DhtAnswer { peers: collected.peers.into_iter().filter(may_meet).collect(), nodes }
}
