//! What the owner of the torrent wants.

use std::time::Instant;

use riverrun_metainfo::PieceIndex;

use crate::swarm::{CloseReason, Command, ConnectionId, Deadline, Priorities, Swarm};
use crate::wire::Message;

impl Swarm {
    pub(super) fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Pause => self.pause(now),
            Command::Resume => self.resume(now),
            Command::SetMaxConnections(most) => self.set_max_connections(now, most),
            Command::SetPriorities(priorities) => self.set_priorities(now, priorities),
            Command::SetSequential(sequential) => self.requests.sequential = sequential,
            Command::SetDeadlines { reader, deadlines } => self.set_deadlines(now, reader, deadlines),
            Command::SetDownLimit(limit) => self.requests.down_limit.set(limit),
            Command::SetDownShare(share) => self.requests.down_limit.tell_share(share),
            Command::SetSuperseeding(wished) => self.set_superseeding(now, wished),
            Command::SetDhtPort(port) => self.identity.dht_port = port,
            Command::SetOutside(ip) => self.candidates.told_outside(ip),
            Command::AddWebSeeds(more) => self.add_web_seeds(more),
            Command::Forget(pieces) => self.forget(now, &pieces),
        }
    }

    fn pause(&mut self, now: Instant) {
        self.paused = true;
        let all: Vec<ConnectionId> = self.peers.keys().copied().collect();
        all.into_iter().for_each(|connection| self.close(now, connection, CloseReason::Stopped));
        self.timers.dial_changed = true;
    }

    fn resume(&mut self, now: Instant) {
        self.paused = false;
        self.stats.came = now;
        self.candidates.wake();
        self.web_seeds.wake();
        self.timers.dial_changed = true;
    }

    /// The youngest connections go first when there are too many.
    fn set_max_connections(&mut self, now: Instant, most: usize) {
        self.identity.max_connections = most;
        let peers = self.peers.values().filter(|peer| peer.who.web_seed.is_none());
        let mut order: Vec<_> = peers.map(|peer| (!peer.is_useless(), peer.who.since, peer.who.connection)).collect();
        order.sort_unstable_by_key(|(useful, since, connection)| (*useful, std::cmp::Reverse((*since, *connection))));
        let excess = self.connections().saturating_sub(most);
        order.into_iter().take(excess).for_each(|(.., connection)| self.close(now, connection, CloseReason::TooMany));
        self.timers.dial_changed = true;
    }

    fn set_priorities(&mut self, now: Instant, priorities: Priorities) {
        let finished = self.progress.is_finished();
        self.progress.set_priorities(priorities);
        self.needs_changed(now, finished);
    }

    /// Somebody waits for other pieces than before. What was asked for and is not urgent gives way to what is new and soon.
    fn set_deadlines(&mut self, now: Instant, reader: u64, deadlines: Vec<Deadline>) {
        let on = self.requests.strategy.deadlines;
        if on && self.requests.set_deadlines(reader, deadlines, &self.progress, now) {
            self.requests.make_way(&mut self.peers, &mut self.out);
        }
    }

    fn forget(&mut self, now: Instant, pieces: &[PieceIndex]) {
        let finished = self.progress.is_finished();
        for piece in pieces {
            if self.progress.forget(*piece) {
                self.lose(*piece);
            }
        }
        self.needs_changed(now, finished);
    }

    /// A piece is not had any more: peers are told (BEP 54), what waits for it is rejected.
    fn lose(&mut self, piece: PieceIndex) {
        for (connection, peer) in &mut self.peers {
            if let Some(message) = peer.extensions.dont_have(piece) {
                self.out.send(*connection, message);
            }
            let fast = peer.who.fast;
            peer.up.queue.take_where(
                |block| block.piece == piece,
                |block| {
                    if fast {
                        self.out.send(*connection, Message::Reject(block));
                    }
                },
            );
        }
    }

    /// What is needed changed as a whole: requests, interest and who is of use are worked out anew.
    fn needs_changed(&mut self, now: Instant, finished: bool) {
        let needed = self.progress.needed();
        for piece in self.requests.unneeded(needed) {
            self.requests.cancel_piece(&mut self.peers, piece, &mut self.out);
        }
        self.requests.needs_changed(needed);
        self.plan_hashes();
        for connection in self.peers.keys().copied().collect::<Vec<_>>() {
            if let Some(peer) = self.peers.get_mut(&connection) {
                peer.down.useful = peer.pieces.count_common(self.progress.needed());
                self.update_interest(now, connection);
            }
        }
        if !self.peers.is_empty() {
            self.requests.awake(
                &self.progress,
                &self.hashes,
                self.peers.values().map(|peer| &peer.pieces),
                &mut self.rng,
            );
        }
        match (finished, self.progress.is_finished()) {
            (false, true) => self.finished(now),
            (true, false) => {
                self.end_superseeding(now);
                self.stats.came = now;
                self.tell_upload_only(now, false);
                // Whoever let go of us when we needed nothing rests; and if too few can be dialled, more are asked for however lately they
                // were.
                self.candidates.wake();
                self.timers.needed_peers = None;
            }
            _ => {}
        }
        self.timers.tick_by(now + Self::TICK);
        self.timers.dial_changed = true;
        self.web_seeds.changed = true;
    }
}
