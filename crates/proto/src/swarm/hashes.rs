//! Asking peers for the piece layers that the torrent came without (BEP 52).
//!
//! Invariants: only peers that speak v2 are asked, each for a few runs at a time; each run is asked of one peer at a time; what
//! comes is proved against the root of its file at once, and nothing else is kept. A piece whose hash is not known is not asked for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use riverrun_metainfo::metainfo::{PieceHashes, PieceLayer, RunId};
use riverrun_metainfo::{InfoHashes, PieceIndex, merkle};

use crate::limits;
use crate::swarm::conduct::Breach;
use crate::swarm::on_demand::{OnDemand, Rested};
use crate::swarm::outbox::Outbox;
use crate::swarm::peer::Peer;
use crate::swarm::pieces::PeerPieces;
use crate::swarm::progress::Progress;
use crate::swarm::{Connected, ConnectionId, Swarm};
use crate::wire::{HashRange, Hashes, Message};

/// Which hashes are missing, and who is asked.
#[derive(Debug)]
pub(super) struct HashExchange {
    info_hashes: InfoHashes,
    known: Option<Arc<PieceHashes>>,
    missing: OnDemand<Missing>,
    /// Requests that wait for an answer.
    outstanding: usize,
}

#[derive(Debug, Default)]
struct Missing {
    /// Runs that are asked of nobody, those that hold up needed pieces first.
    queue: VecDeque<RunId>,
    /// Runs without which some needed pieces cannot be asked for.
    holding_up: BTreeSet<RunId>,
}

impl Rested for Missing {
    const RESTED: &'static Self = &Self { queue: VecDeque::new(), holding_up: BTreeSet::new() };
}

/// What hangs on one peer.
#[derive(Debug)]
pub(super) struct PeerHashes {
    /// It speaks v2.
    v2: bool,
    asked: Vec<Asked>,
    /// There was nothing to ask it for, and nothing is known to have changed.
    starved: bool,
    /// It is not asked before this moment.
    rests_until: Option<Instant>,
    rest: Duration,
    credit: Credit,
}

#[derive(Debug)]
struct Asked {
    run: RunId,
    at: Instant,
    /// It has not waited for too long.
    live: bool,
}

/// How much hashing a peer may still have us do and send.
#[derive(Debug)]
pub(super) struct Credit {
    left: u32,
    at: Instant,
}

impl HashExchange {
    pub(super) fn new(info_hashes: InfoHashes, known: Option<Arc<PieceHashes>>) -> Self {
        Self { info_hashes, known, missing: OnDemand::default(), outstanding: 0 }
    }

    /// Works out anew what is missing: first what holds up needed pieces, then what is had, so that others can be served.
    pub(super) fn plan(&mut self, progress: &Progress, peers: &BTreeMap<ConnectionId, Peer>) {
        self.missing = OnDemand::default();
        let Some(known) = self.known.as_ref().filter(|known| known.lacks_layers()) else { return };
        let in_run = |run: RunId, set: &riverrun_metainfo::Bitfield| {
            known.pieces_of(run).any(|mut pieces| pieces.any(|piece| set.has(PieceIndex(piece))))
        };
        let asked: BTreeSet<RunId> = peers.values().flat_map(|peer| peer.hashes.live()).collect();
        let (missing, mut later) = (self.missing.need(), Vec::new());
        for run in known.missing_runs() {
            let needed = in_run(run, progress.needed());
            if needed && self.info_hashes.v1().is_none() {
                missing.holding_up.insert(run);
            }
            if asked.contains(&run) {
                continue;
            }
            if needed {
                missing.queue.push_back(run);
            } else if in_run(run, progress.have()) {
                later.push(run);
            }
        }
        missing.queue.extend(later);
    }

    /// Whether a piece can be judged once it is here.
    pub(super) fn is_known(&self, piece: PieceIndex) -> bool {
        self.known.as_ref().is_none_or(|known| known.is_known(piece))
    }

    /// The layers under a root.
    pub(super) fn layers_of(&self, root: &merkle::Node) -> &[PieceLayer] {
        self.known.as_ref().map_or(&[], |known| known.layers_of(root))
    }

    /// Whether needed pieces wait for their hashes.
    pub(super) fn holds_up(&self) -> bool {
        !self.missing.holding_up.is_empty()
    }

    /// Whether nothing is asked for and nothing is to be.
    pub(super) fn is_idle(&self) -> bool {
        self.missing.queue.is_empty() && self.outstanding == 0
    }

    /// Whether the connection to a peer speaks v2: it was opened by the v2 hash, or is to be gone on with in v2 (BEP 52). On a v1
    /// torrent no claim counts (THREATS P25).
    pub(super) fn speaks_v2(&self, connected: &Connected) -> bool {
        let Some(v2) = self.info_hashes.v2() else { return false };
        let upgraded = connected.incoming && connected.handshake.reserved.v2();
        connected.handshake.info_hash == v2.truncated() || upgraded
    }

    /// Sends requests to a peer that may have what is missing.
    pub(super) fn ask(&mut self, now: Instant, peer: &mut Peer, out: &mut Outbox) {
        let Some(known) = self.known.as_ref().filter(|_| !self.missing.queue.is_empty()) else { return };
        let (queue, hashes) = (&mut self.missing.need().queue, &mut peer.hashes);
        if !hashes.v2 || hashes.starved || hashes.rests_until.is_some_and(|until| now < until) {
            return;
        }
        while hashes.asked.len() < limits::MAX_HASH_REQUESTS {
            let here = queue.iter().position(|run| has_some(&peer.pieces, known, *run));
            let Some(run) = here.and_then(|at| queue.remove(at)) else {
                hashes.starved = true;
                return;
            };
            let Some(range) = wire_range(known, run) else { continue };
            hashes.asked.push(Asked { run, at: now, live: true });
            self.outstanding += 1;
            peer.spoke = now;
            out.send(peer.who.connection, Message::HashRequest(Box::new(range)));
        }
    }

    /// Hashes came: gives the run that is known from now on, if it was not before.
    ///
    /// # Errors
    /// Nobody asked for them, or they are wrong (THREATS P24).
    pub(super) fn received(&mut self, peer: &mut Peer, hashes: &Hashes) -> Result<Option<RunId>, Breach> {
        let unasked = "hashes that were not asked for";
        let known = self.known.clone().ok_or(unasked)?;
        let (run, live) = peer.hashes.take(&known, &hashes.range).ok_or(unasked)?;
        self.outstanding -= usize::from(live);
        let layer = known.layers().get(run.layer as usize).ok_or(unasked)?;
        if layer.knows(run.run) {
            return Ok(None);
        }
        if let Err(error) = layer.learn(run.run, &hashes.hashes) {
            tracing::debug!(%error, "bad hashes");
            if live {
                self.missing.need().queue.push_front(run);
            }
            return Err("hashes that do not lead to the root of their file");
        }
        // It was late, and is about to be asked of another.
        if !live {
            self.missing.need().queue.retain(|other| *other != run);
        }
        self.missing.need().holding_up.remove(&run);
        peer.hashes.recover();
        Ok(Some(run))
    }

    /// A peer will not answer a request; false if it was not asked.
    pub(super) fn rejected(&mut self, now: Instant, peer: &mut Peer, range: &HashRange) -> bool {
        let Some(known) = &self.known else { return false };
        let Some((run, live)) = peer.hashes.take(known, range) else { return false };
        if live {
            self.outstanding -= 1;
            self.missing.need().queue.push_back(run);
        }
        peer.hashes.let_rest(now);
        true
    }

    /// Requests that waited too long may be asked of others. Their answers are taken even so, if they come.
    pub(super) fn overdue(&mut self, now: Instant, peer: &mut Peer) {
        peer.hashes.starved = false;
        let late = |asked: &&mut Asked| asked.live && now.saturating_duration_since(asked.at) >= limits::HASH_TIMEOUT;
        let mut any = false;
        for asked in peer.hashes.asked.iter_mut().filter(late) {
            asked.live = false;
            any = true;
            self.outstanding -= 1;
            self.missing.need().queue.push_front(asked.run);
        }
        if any {
            peer.hashes.let_rest(now);
        }
    }

    /// A peer is gone: others are asked.
    pub(super) fn closed(&mut self, peer: &Peer) {
        for run in peer.hashes.live() {
            self.outstanding -= 1;
            self.missing.need().queue.push_front(run);
        }
    }
}

/// Whether a peer has one of the pieces whose hashes are in a run: then it must have the hashes (BEP 52).
fn has_some(peer: &PeerPieces, known: &PieceHashes, run: RunId) -> bool {
    let all = peer.is_all();
    peer.count() > 0 && (all || known.pieces_of(run).any(|mut pieces| pieces.any(|piece| peer.has(PieceIndex(piece)))))
}

fn wire_range(known: &PieceHashes, run: RunId) -> Option<HashRange> {
    let layer = known.layers().get(run.layer as usize)?;
    let merkle::HashRange { base, index, length, proof_layers } = layer.range(run.run);
    Some(HashRange { pieces_root: layer.root(), base_layer: base, index, length, proof_layers })
}

impl PeerHashes {
    pub(super) fn new(now: Instant, v2: bool) -> Self {
        let credit = Credit { left: limits::HASH_BURST, at: now };
        let rest = limits::HASH_REST;
        Self { v2, asked: Vec::new(), starved: false, rests_until: None, rest, credit }
    }

    /// Whether it can be asked at all.
    pub(super) fn speaks_v2(&self) -> bool {
        self.v2
    }

    fn live(&self) -> impl Iterator<Item = RunId> + '_ {
        self.asked.iter().filter(|asked| asked.live).map(|asked| asked.run)
    }

    /// Takes out the request that an answer is for.
    fn take(&mut self, known: &PieceHashes, range: &HashRange) -> Option<(RunId, bool)> {
        let at = self.asked.iter().position(|asked| wire_range(known, asked.run).as_ref() == Some(range))?;
        let asked = self.asked.swap_remove(at);
        Some((asked.run, asked.live))
    }

    /// It cannot or will not answer: it is left alone for a while, each time for longer.
    fn let_rest(&mut self, now: Instant) {
        if self.rests_until.is_none_or(|until| until <= now) {
            self.rests_until = Some(now + self.rest);
            self.rest = (self.rest * 2).min(limits::MAX_HASH_REST);
        }
    }

    fn recover(&mut self) {
        (self.rests_until, self.rest) = (None, limits::HASH_REST);
    }
}

impl Credit {
    /// Takes as much; false, and nothing is taken, if there is not enough.
    fn take(&mut self, now: Instant, cost: u32) -> bool {
        let milliseconds = now.saturating_duration_since(self.at).as_millis();
        let grown = milliseconds * u128::from(limits::HASHES_PER_SECOND) / 1000;
        if grown > 0 {
            self.left = self.left.saturating_add(u32::try_from(grown).unwrap_or(u32::MAX)).min(limits::HASH_BURST);
            self.at = now;
        }
        let enough = self.left >= cost;
        self.left -= if enough { cost } else { 0 };
        enough
    }
}

impl Swarm {
    /// Hashes came: pieces may be asked for that could not be.
    pub(super) fn hashes(&mut self, connection: ConnectionId, hashes: &Hashes) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        let Some(run) = self.hashes.received(peer, hashes)? else { return Ok(()) };
        self.requests.held_up = self.hashes.holds_up();
        let Some(known) = self.hashes.known.clone() else { return Ok(()) };
        for piece in known.pieces_of(run).flatten().map(PieceIndex) {
            if self.progress.needed().has(piece) {
                self.requests.pickable(piece);
            }
        }
        Ok(())
    }

    /// A peer will not answer a request for hashes.
    pub(super) fn hashes_rejected(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        range: &HashRange,
    ) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        if self.hashes.rejected(now, peer, range) { Ok(()) } else { peer.conduct.idle_message(now) }
    }

    /// A peer asks for hashes: answered in any choke state, from piece layers alone (BEP 52). Leaves would have to be read and
    /// hashed first: they are refused, as what is not known, and what is too much at once.
    ///
    /// # Errors
    /// No tree has such a range, or the tree of this file has it not, or too much was refused (THREATS P24).
    pub(super) fn hash_request(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        asked: &HashRange,
    ) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        let HashRange { base_layer: base, index, length, proof_layers, .. } = *asked;
        let range = merkle::HashRange { base, index, length, proof_layers };
        let layers = self.hashes.layers_of(&asked.pieces_root);
        let cut = |layer: &PieceLayer| u64::from(index) + u64::from(length) == u64::from(layer.pieces());
        if !range.is_sound() || !(length.is_power_of_two() || layers.iter().any(cut)) {
            return Err("hash request of a range that no tree has");
        }
        let of_base = || layers.iter().filter(|layer| layer.height() == base);
        if of_base().next().is_some() && !of_base().any(|layer| layer.covers(range)) {
            return Err("hash request outside of the file");
        }
        let credit = &mut peer.hashes.credit;
        let answer =
            of_base().find_map(|layer| credit.take(now, layer.cost(range)).then(|| layer.answer(range)).flatten());
        peer.spoke = now;
        match answer {
            Some(nodes) => {
                peer.conduct.served_hashes();
                let hashes = Bytes::from(nodes.into_flattened());
                self.out.send(connection, Message::Hashes(Box::new(Hashes { range: *asked, hashes })));
                Ok(())
            }
            None => {
                self.out.send(connection, Message::HashReject(Box::new(*asked)));
                peer.conduct.refused_hashes()
            }
        }
    }

    /// Looks after requests for hashes, and sends new ones.
    pub(super) fn look_after_hashes(&mut self, now: Instant) {
        if !self.hashes.is_idle() {
            self.peers.values_mut().for_each(|peer| self.hashes.overdue(now, peer));
            self.peers.values_mut().for_each(|peer| self.hashes.ask(now, peer, &mut self.out));
        }
    }

    /// What is needed changed: so does what hashes are wanted for.
    pub(super) fn plan_hashes(&mut self) {
        self.hashes.plan(&self.progress, &self.peers);
        self.peers.values_mut().for_each(|peer| peer.hashes.starved = false);
        self.requests.held_up = self.hashes.holds_up();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::tests::birth;

    #[test]
    fn p24_credit_is_a_burst_that_grows_again() {
        let start = birth();
        let mut credit = PeerHashes::new(start, true).credit;
        assert!(credit.take(start, limits::HASH_BURST));
        assert!(!credit.take(start, 1));
        assert!(!credit.take(start + Duration::from_millis(500), limits::HASHES_PER_SECOND));
        assert!(credit.take(start + Duration::from_secs(1), limits::HASHES_PER_SECOND));
        assert!(!credit.take(start + Duration::from_secs(1), 1));
        assert!(credit.take(start + Duration::from_secs(100), limits::HASH_BURST));
        assert!(!credit.take(start + Duration::from_secs(100), 1));
    }

    #[test]
    fn a_peer_that_has_nothing_rests_for_longer_each_time() {
        let start = birth();
        let mut peer = PeerHashes::new(start, true);
        let mut now = start;
        let rests = [5, 10, 20, 40, 60, 60].map(|_| {
            peer.let_rest(now);
            peer.let_rest(now);
            let until = peer.rests_until.expect("it rests");
            let rest = until - now;
            now = until;
            rest.as_secs()
        });
        assert_eq!(rests, [5, 10, 20, 40, 60, 60]);
        peer.recover();
        assert!(peer.rests_until.is_none());
    }
}
