//! What the disk and the upload side report, and what follows from it.

use std::net::IpAddr;
use std::time::Instant;

use riverrun_metainfo::{Block, PieceIndex};

use crate::swarm::blame::Sender;
use crate::swarm::extensions::Hello;
use crate::swarm::{CloseReason, ConnectionId, DiskDone, Event, Pressure, Swarm};
use crate::wire::Message;

impl Swarm {
    pub(super) fn disk_done(&mut self, now: Instant, done: DiskDone) {
        match done {
            DiskDone::Verified { piece, digests } => self.verified(now, piece, digests.as_deref()),
            DiskDone::Corrupt { piece, digests } => self.corrupt(now, piece, digests),
            DiskDone::Lost { piece } => self.lost(now, piece),
        }
    }

    /// A piece is right and stored.
    fn verified(&mut self, now: Instant, piece: PieceIndex, digests: Option<&[u64]>) {
        if piece.0 >= self.progress.layout().piece_count() {
            return;
        }
        let guilty = self.blame.verified(piece, digests);
        guilty.into_iter().for_each(|sender| self.convict(now, sender));
        if self.requests.partial(piece).is_some_and(|partial| !partial.is_verifying()) {
            self.requests.cancel_piece(&mut self.peers, piece, &mut self.out);
        }
        self.requests.verified(piece);
        let needed = self.progress.needed().has(piece);
        if self.progress.verified(piece) {
            self.out.event(Event::PieceDone(piece));
            self.tell_have(now, piece, needed);
            if needed && self.progress.is_finished() {
                self.finished(now);
            }
        }
    }

    /// Tells every peer that lacks the piece; the others have one piece less that we need. Who gave us bytes and is no seed is told
    /// all the same: it may superseed, and waits to hear what became of them (BEP 16).
    fn tell_have(&mut self, now: Instant, piece: PieceIndex, needed: bool) {
        for (connection, peer) in &mut self.peers {
            let has = peer.pieces.has(piece);
            if !has || !peer.pieces.is_all() && peer.down.rate.total() > 0 {
                peer.spoke = now;
                self.out.send(*connection, Message::Have(piece));
            }
            if has && needed {
                peer.down.useful -= 1;
                if peer.down.useful == 0 {
                    (peer.down.interested, peer.spoke) = (false, now);
                    self.out.send(*connection, Message::NotInterested);
                }
            }
        }
    }

    /// Every wanted piece is here.
    pub(super) fn finished(&mut self, now: Instant) {
        self.out.event(Event::Finished);
        self.requests.sleep();
        self.begin_superseeding();
        self.tell_upload_only(now, true);
        let seeds: Vec<_> = self.peers.keys().copied().collect();
        seeds.into_iter().for_each(|connection| self.close_if_useless(now, connection));
    }

    /// Tells peers of the extension protocol whether we download (BEP 21).
    pub(super) fn tell_upload_only(&mut self, now: Instant, upload_only: bool) {
        let upload_only = upload_only && !self.superseed.is_active();
        let hello = Hello { upload_only, ..self.hello() };
        for (connection, peer) in self.peers.iter_mut().filter(|(_, peer)| peer.extensions.spoken) {
            peer.spoke = now;
            self.out.send(*connection, hello.to_message(peer.who.addr.ip()));
        }
    }

    /// A piece failed its hash.
    fn corrupt(&mut self, now: Instant, piece: PieceIndex, digests: Vec<u64>) {
        let Some(partial) = self.requests.partial(piece).filter(|partial| partial.is_verifying()) else { return };
        self.stats.corrupt_bytes += partial.received_bytes();
        self.out.event(Event::PieceCorrupt(piece));
        let guilty = self.blame.corrupt(partial, digests);
        self.requests.again(piece, &self.progress, &self.blame, now);
        guilty.into_iter().for_each(|sender| self.convict(now, sender));
    }

    /// All that was received of a piece is lost.
    fn lost(&mut self, now: Instant, piece: PieceIndex) {
        if self.requests.partial(piece).is_some() {
            self.requests.cancel_piece(&mut self.peers, piece, &mut self.out);
            self.requests.again(piece, &self.progress, &self.blame, now);
        }
    }

    /// A sender was proved to send bad data.
    fn convict(&mut self, now: Instant, sender: Sender) {
        match sender {
            Sender::Peer(address) => self.ban(now, address),
            Sender::WebSeed(seed) => self.ban_web_seed(now, seed),
        }
    }

    /// An address was proved to send bad data.
    pub(super) fn ban(&mut self, now: Instant, address: IpAddr) {
        if !self.blame.ban(address) {
            return;
        }
        self.out.event(Event::Banned(address));
        let banned = |sender| matches!(sender, Sender::Peer(address) if self.blame.is_banned(address));
        self.requests.forget_from(banned);
        let banned = self.peers.values().filter(|peer| self.blame.is_banned(peer.who.addr.ip()));
        let banned: Vec<_> = banned.map(|peer| peer.who.connection).collect();
        banned.into_iter().for_each(|connection| self.close(now, connection, CloseReason::Banned));
        self.candidates.remove_where(|address| self.blame.is_banned(address));
    }

    /// Blocks have left for the socket of a peer.
    pub(super) fn served(&mut self, now: Instant, connection: ConnectionId, blocks: &[Block]) {
        let bytes = blocks.iter().map(|block| u64::from(block.length)).sum();
        self.stats.up.add(now, bytes);
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        peer.up.rate.add(now, bytes);
        (peer.up.took, peer.spoke) = (now, now);
        if std::mem::take(&mut peer.up.thief) {
            self.line.place(peer);
        }
        peer.up.queue.done(bytes);
        if self.first_copy.is_under() {
            for run in blocks.chunk_by(|one, next| one.piece == next.piece) {
                let (piece, bytes) = (run[0].piece, run.iter().map(|block| block.length).sum());
                self.first_copy.left(connection, piece, bytes, self.progress.layout().length_of(piece));
            }
        }
        peer.up.shown.iter_mut().for_each(|shown| shown.served(now, blocks));
        peer.up.queue.serve(connection, peer.up.rate.per_second(now), &mut self.out);
    }

    /// A block could not be read: with the fast extension its request is answered all the same (BEP 6).
    pub(super) fn serve_failed(&mut self, now: Instant, connection: ConnectionId, block: Block) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        peer.up.queue.done(block.length.into());
        if peer.who.fast {
            self.out.send(connection, Message::Reject(block));
        }
        peer.up.queue.serve(connection, peer.up.rate.per_second(now), &mut self.out);
    }

    /// The room for what comes changed.
    pub(super) fn pressed(&mut self, now: Instant, pressure: Pressure) {
        self.requests.freed |= pressure < self.requests.pressure;
        if self.requests.pressure == Pressure::Full {
            self.requests.paused_reading = Some(now);
        }
        self.requests.pressure = pressure;
    }
}
