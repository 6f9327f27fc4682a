//! Which torrents take part in the DHT, and what they tell it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use riverrun_metainfo::WireHash;
use riverrun_proto::dht::LookupReport;
use riverrun_proto::swarm::{Command, Source};
use riverrun_proto::tracker::NamedPeer;
use riverrun_proto::wire::Reserved;

use super::Host;
use crate::ask_tracker;
use crate::drive::Core;
use crate::drive::stage::Completion;
use crate::engine::Engine;

/// Whether a torrent may be spoken of in the DHT: not if it is private (BEP 27). One whose metadata is not here yet may.
fn may_take_part(core: &Core) -> bool {
    !core.is_private()
}

/// Whether our handshake and our messages for this torrent say that we have a node.
pub(crate) fn speaks(core: &Core) -> bool {
    core.engine.dht.is_open() && may_take_part(core)
}

/// The UDP port of our node, if peers of this torrent are told of it. Opens the socket.
pub(crate) fn port(core: &Core) -> Option<u16> {
    speaks(core).then(|| core.engine.dht.port())?
}

/// The extensions that our handshake for this torrent names.
pub(crate) fn reserved(core: &Core) -> Reserved {
    Reserved::ours().of(core.info_hashes()).with_dht(speaks(core))
}

/// Has a torrent take part, or not any more. To be called when it begins to exchange, ends, is complete, or turns out to be private.
/// The torrent's lock must be free.
pub(crate) fn review(core: &Arc<Core>) {
    let dht = &core.engine.dht;
    if !dht.is_on() {
        return;
    }
    let (exchanges, complete) = core.look(|brain| (brain.life.exchanges(), brain.life.completion == Completion::Yes));
    for info_hash in core.info_hashes().wire_all() {
        if exchanges && may_take_part(core) {
            dht.join(info_hash, complete);
        } else {
            dht.leave(info_hash);
        }
    }
}

/// The torrent lacks peers.
pub(crate) fn need_peers(core: &Arc<Core>) {
    core.info_hashes().wire_all().for_each(|info_hash| core.engine.dht.need_peers(info_hash));
}

/// A peer of the torrent has a node. It is sent one ping (THREATS D9).
pub(crate) fn found_node(core: &Arc<Core>, addr: SocketAddr) {
    if may_take_part(core) {
        core.engine.dht.add_node(addr);
    }
}

/// A peer that we dialled says that it has a node: as long as nobody else is known, it is looked for at the port of the peer, where most
/// have it.
pub(crate) fn met_node(core: &Arc<Core>, addr: SocketAddr) {
    if core.engine.dht.nodes() == Some(0) {
        found_node(core, addr);
    }
}

/// A torrent is gone.
pub(crate) fn withdraw(core: &Core) {
    core.info_hashes().wire_all().for_each(|info_hash| core.engine.dht.leave(info_hash));
}

/// Looks up the nodes that a torrent file names, and asks them (BEP 5, Torrent File Extensions).
pub(crate) fn name_nodes(core: &Arc<Core>) {
    let nodes = core.metainfo().map(|metainfo| metainfo.nodes()).unwrap_or_default();
    if nodes.is_empty() || !core.engine.dht.is_on() || !may_take_part(core) {
        return;
    }
    let named = nodes.iter().map(|(host, port)| NamedPeer { host: host.clone(), port: *port }).collect();
    let core = core.clone();
    core.engine.clone().spawn(async move {
        for addr in ask_tracker::resolve(&core.engine.settings.net, named).await {
            core.engine.dht.add_node(addr);
        }
    });
}

impl Host for Engine {
    fn found(&self, info_hash: WireHash, peers: &[SocketAddr]) {
        // Nodes that were kept answer at once: the torrent may still be opening, and takes the peers when it is open.
        let wants = |core: &Arc<Core>| may_take_part(core) && core.look(|brain| brain.life.exchanges());
        if let Some(core) = self.find_wire(info_hash).filter(wants) {
            core.candidates(Source::Dht, peers);
        }
    }

    fn done(&self, info_hash: WireHash, report: &LookupReport) -> Option<bool> {
        let core = self.find_open(info_hash).filter(|core| may_take_part(core))?;
        tracing::debug!(%info_hash, peers = report.peers, stored = report.stored_at, took = ?report.took, "looked up in the DHT");
        let status = core.look(|brain| brain.status(std::time::Instant::now()));
        Some(status.left_bytes > 0 && status.connections == 0)
    }

    fn outside(&self, ip: IpAddr) {
        for core in self.all() {
            core.act(|brain, now, effects| brain.command(now, Command::SetOutside(ip), effects));
        }
    }
}
