//! What each message of a peer means. One batch is what one read of the socket brought.

use std::time::Instant;

use bytes::Bytes;
use riverrun_metainfo::{Bitfield, Block, PieceIndex};

use crate::limits;
use crate::swarm::choker::ROUND;
use crate::swarm::conduct::Breach;
use crate::swarm::pieces::PeerPieces;
use crate::swarm::requests::Use;
use crate::swarm::{CloseReason, ConnectionId, Event, Swarm};
use crate::wire::Message;
use crate::wire::extended::{ExtendedMessage, Extension};

impl Swarm {
    /// The messages of one read, in order. A breach ends the connection and the batch.
    pub(super) fn received(&mut self, now: Instant, connection: ConnectionId, messages: &[Message]) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        peer.heard = now;
        if self.beginning.is_some() {
            return self.received_early(now, connection, messages);
        }
        let mut nth = 0;
        while let Some(message) = messages.get(nth) {
            let result = match message {
                Message::Piece(_) => self.blocks(now, connection, messages, &mut nth),
                Message::Request(_) => self.requests_of(now, connection, messages, &mut nth),
                other => {
                    nth += 1;
                    self.message(now, connection, other)
                }
            };
            if let Err(breach) = result {
                self.close(now, connection, CloseReason::Breach(breach));
                return;
            }
        }
        self.refill(now, connection);
        self.show_first_copy_to(connection);
        if let Some(peer) = self.peers.get_mut(&connection) {
            self.hashes.ask(now, peer, &mut self.out);
        }
    }

    /// A run of blocks: the hot path of a download.
    pub(super) fn blocks(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        messages: &[Message],
        nth: &mut usize,
    ) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        peer.conduct.spoken = true;
        let (mut blocks, mut stored, mut wasted) = (0, 0, 0);
        let mut result = Ok(());
        let mut asked_at = None;
        while let Some(Message::Piece(block)) = messages.get(*nth) {
            match self.requests.received(peer, *block, *nth, &self.progress, &self.blame, &mut self.out) {
                Ok(Use::Stored(at)) => {
                    asked_at = Some(at);
                    blocks += 1;
                    stored += u64::from(block.length);
                }
                Ok(Use::Wasted) => wasted += u64::from(block.length),
                Err(breach) => {
                    wasted += u64::from(block.length);
                    result = Err(breach);
                    break;
                }
            }
            *nth += 1;
        }
        // Whoever answers at all is alive, also if another was sooner.
        peer.down.doubted &= stored + wasted == 0;
        peer.down.rate.add(now, stored + wasted);
        self.stats.down.add(now, stored + wasted);
        self.stats.wasted_bytes += wasted;
        if let Some(asked_at) = asked_at {
            peer.measure_delay(now.saturating_duration_since(asked_at));
            peer.down.window.received(now, blocks, stored, peer.extensions.reqq.min(limits::MAX_REQQ));
            peer.down.progress = now;
            peer.down.snubbed = false;
            peer.conduct.block();
            self.stats.came = now;
            self.timers.progress();
        }
        result
    }

    /// A run of requests: the hot path of an upload.
    pub(super) fn requests_of(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        messages: &[Message],
        nth: &mut usize,
    ) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        peer.conduct.spoken = true;
        if peer.up.queue.is_idle() {
            peer.up.took = now;
        }
        let mut asked = None;
        while let Some(Message::Request(block)) = messages.get(*nth) {
            *nth += 1;
            if block.length > limits::MAX_REQUEST_LENGTH {
                return Err("request of more than 128 KiB");
            }
            let exists = self.progress.layout().served_span(*block).is_some();
            let had = exists && self.progress.have().has(block.piece) && peer.may_see(block.piece);
            let allowed = !peer.up.choking || peer.may_ask_choked(block.piece);
            if had && allowed && !peer.up.queue.is_full() {
                peer.up.queue.push(*block);
                if asked.replace(block.piece) != Some(block.piece) {
                    self.first_copy.asked(connection, block.piece);
                }
                peer.conduct.served_request();
                continue;
            }
            if peer.who.fast {
                self.out.send(connection, Message::Reject(*block));
            }
            if had && allowed {
                peer.conduct.request_over_queue()?;
            } else if allowed || now.saturating_duration_since(peer.up.turned) >= limits::CHOKE_GRACE {
                peer.conduct.refused_request()?;
            }
        }
        peer.up.queue.serve(connection, peer.up.rate.per_second(now), &mut self.out);
        Ok(())
    }

    /// Any other message.
    pub(super) fn message(&mut self, now: Instant, connection: ConnectionId, message: &Message) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        // Some clients send their extended handshake or port before the bitfield; anything else makes a bitfield late: it
        // then has to say more than was known. aria2c sends one in place of several `have`, where that is shorter.
        let opening = matches!(message, Message::KeepAlive | Message::Extended { .. } | Message::Port(_));
        let late = peer.conduct.spoken;
        peer.conduct.spoken |= !opening;
        let fast = peer.who.fast;
        match message {
            Message::KeepAlive => peer.conduct.idle_message(now),
            Message::Port(port) => self.named_node(now, connection, *port),
            Message::Choke => self.choked(now, connection),
            Message::Unchoke => self.unchoked(now, connection),
            Message::Interested => self.interested(now, connection),
            Message::NotInterested => self.not_interested(now, connection),
            Message::Have(piece) => self.one_more(now, connection, *piece),
            Message::Bitfield(bytes) => self.bitfield(now, connection, bytes, late),
            Message::HaveAll if fast => self.has_pieces(now, connection, PeerPieces::all, late),
            Message::HaveNone if fast => self.has_pieces(now, connection, PeerPieces::none, late),
            Message::Cancel(block) => self.cancel(now, connection, *block),
            Message::Reject(block) if fast => self.requests.rejected(peer, *block),
            Message::Suggest(piece) if fast => self.suggested(connection, *piece),
            Message::AllowedFast(piece) if fast => self.allowed_fast(connection, *piece),
            Message::HaveAll
            | Message::HaveNone
            | Message::Reject(_)
            | Message::Suggest(_)
            | Message::AllowedFast(_) => Err("message of the fast extension, which was not agreed on"),
            Message::Extended { id, payload } => self.extended(now, connection, *id, payload),
            Message::HashRequest(range) => self.hash_request(now, connection, range),
            Message::Hashes(hashes) => self.hashes(connection, hashes),
            Message::HashReject(range) => self.hashes_rejected(now, connection, range),
            Message::Piece(_) | Message::Request(_) => Ok(()),
        }
    }

    fn choked(&mut self, now: Instant, connection: ConnectionId) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        if std::mem::replace(&mut peer.down.choked, true) {
            return peer.conduct.idle_message(now);
        }
        peer.conduct.choke(now)?;
        self.requests.choked(peer, &self.progress, &mut self.blame, now);
        Ok(())
    }

    fn unchoked(&mut self, now: Instant, connection: ConnectionId) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        if !std::mem::replace(&mut peer.down.choked, false) {
            return peer.conduct.idle_message(now);
        }
        peer.down.starved = false;
        // What a choke took back was answered before this; who answered nothing will not do so any more.
        self.requests.forget_unanswered(peer, |_| true);
        Ok(())
    }

    fn interested(&mut self, now: Instant, connection: ConnectionId) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        peer.up.interested = true;
        self.line.place(peer);
        self.timers.choke.get_or_insert(now + ROUND);
        self.wanted_since.get_or_insert(now);
        if std::mem::take(&mut peer.up.stranger) {
            self.out.event(Event::Downloader(peer.who.addr));
        }
        peer.conduct.idle_message(now)?;
        self.grant_slots(now);
        Ok(())
    }

    fn not_interested(&mut self, now: Instant, connection: ConnectionId) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        peer.up.interested = false;
        self.line.place(peer);
        peer.conduct.idle_message(now)?;
        self.grant_slots(now);
        Ok(())
    }

    fn one_more(&mut self, now: Instant, connection: ConnectionId, piece: PieceIndex) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        let total = self.progress.layout().piece_count();
        if piece.0 >= total {
            return Err("have of a piece that does not exist");
        }
        if !peer.pieces.insert(piece) {
            peer.conduct.redundant_have(total)?;
            return peer.conduct.idle_message(now);
        }
        if peer.pieces.is_all() {
            self.line.place(peer);
        }
        self.first_copy.spread(std::iter::once(piece));
        if let Some(picker) = &mut self.requests.picker {
            picker.availability().increase(piece);
            if peer.pieces.is_all() {
                picker.availability().became_seed();
            }
        }
        if self.progress.needed().has(piece) {
            peer.down.useful += 1;
            peer.down.starved = false;
        }
        self.superseed_gained(now, connection, piece);
        self.update_interest(now, connection);
        self.close_if_useless(now, connection);
        Ok(())
    }

    fn bitfield(&mut self, now: Instant, connection: ConnectionId, bytes: &[u8], late: bool) -> Result<(), Breach> {
        match Bitfield::from_wire(bytes, self.progress.layout().piece_count()) {
            Ok(bits) => self.has_pieces(now, connection, |_| PeerPieces::of(bits), late),
            Err(_) => Err("bitfield of another length or with spare bits"),
        }
    }

    /// All that a peer has: its first word, or (`late`) in place of several `have`.
    fn has_pieces(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        pieces: impl FnOnce(u32) -> PeerPieces,
        late: bool,
    ) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        let pieces = pieces(self.progress.layout().piece_count());
        if late {
            if !pieces.is_more_than(&peer.pieces) {
                return Err("bitfield after other messages, which says no more than they did");
            }
            if let Some(picker) = &mut self.requests.picker {
                picker.availability().remove_peer(&peer.pieces);
            }
            self.superseed.lost(&peer.pieces, None);
        }
        peer.pieces = pieces;
        self.line.place(peer);
        self.first_copy.spread(peer.pieces.bits().into_iter().flat_map(Bitfield::iter));
        peer.down.useful = peer.pieces.count_common(self.progress.needed());
        peer.down.starved = false;
        if let Some(picker) = &mut self.requests.picker {
            picker.availability().add_peer(&peer.pieces);
        }
        self.superseed_told(now, connection);
        self.update_interest(now, connection);
        if !late {
            self.allow_fast(connection);
        }
        self.close_if_useless(now, connection);
        Ok(())
    }

    fn cancel(&mut self, now: Instant, connection: ConnectionId, block: Block) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        if peer.up.queue.cancel(block) && peer.who.fast {
            self.out.send(connection, Message::Reject(block));
        }
        peer.conduct.idle_message(now)
    }

    fn suggested(&mut self, connection: ConnectionId, piece: PieceIndex) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        peer.conduct.fast_hint()?;
        let suggested = &mut peer.down.suggested;
        if self.progress.needed().has(piece) && !suggested.contains(&piece) {
            if suggested.len() == limits::MAX_SUGGESTED {
                suggested.remove(0);
            }
            suggested.push(piece);
        }
        Ok(())
    }

    fn allowed_fast(&mut self, connection: ConnectionId, piece: PieceIndex) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        peer.conduct.fast_hint()?;
        let allowed = &mut peer.down.allowed_fast;
        let exists = piece.0 < self.progress.layout().piece_count();
        if exists && allowed.len() < limits::MAX_ALLOWED_FAST && !allowed.contains(&piece) {
            allowed.push(piece);
            peer.down.starved = false;
        }
        Ok(())
    }

    fn extended(&mut self, now: Instant, connection: ConnectionId, id: u8, payload: &Bytes) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        match ExtendedMessage::parse(id, payload) {
            Ok(Some(ExtendedMessage::Handshake(handshake))) => {
                let before = peer.extensions.speaks(Extension::Pex);
                peer.extensions.update(&handshake);
                handshake.your_ip.into_iter().for_each(|ip| self.candidates.said_outside(peer.who.addr.ip(), ip));
                let began = !before && peer.extensions.speaks(Extension::Pex);
                if let Some(port) = handshake.listen_port.filter(|_| peer.who.listens.is_none()) {
                    self.learned_port(connection, port);
                }
                if began {
                    self.pex_begin();
                }
                self.claims_metadata(now, connection);
            }
            Ok(Some(ExtendedMessage::Pex(message))) => return self.pex_received(now, connection, &message),
            Ok(Some(ExtendedMessage::Metadata(message))) => return self.metadata_message(now, connection, message),
            Ok(Some(ExtendedMessage::DontHave(piece))) => return self.dont_have(now, connection, piece),
            Ok(Some(ExtendedMessage::UploadOnly(upload_only))) => peer.extensions.upload_only = upload_only,
            Ok(_) => {}
            Err(error) => tracing::debug!(connection = connection.0, %error, "extended message cannot be read"),
        }
        self.peers.get_mut(&connection).map_or(Ok(()), |peer| peer.conduct.idle_message(now))
    }

    /// A peer that dialled us told where it listens: it can be dialled in its turn later.
    fn learned_port(&mut self, connection: ConnectionId, port: u16) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        let mut addr = peer.who.addr;
        addr.set_port(port);
        peer.who.listens = Some(addr);
        peer.who.source = self.candidates.connected(addr, connection, peer.who.source);
        self.pex_list(connection);
    }

    /// A peer lost a piece (BEP 54).
    fn dont_have(&mut self, now: Instant, connection: ConnectionId, piece: PieceIndex) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        if piece.0 >= self.progress.layout().piece_count() {
            return Err("dont-have of a piece that does not exist");
        }
        let was_seed = peer.pieces.is_all();
        if !peer.pieces.remove(piece) {
            return peer.conduct.idle_message(now);
        }
        if was_seed {
            self.line.place(peer);
        }
        self.superseed.lost(&peer.pieces, Some(piece));
        if let Some(picker) = &mut self.requests.picker {
            match was_seed {
                true => picker.availability().seed_lost(piece),
                false => picker.availability().decrease(piece),
            }
        }
        peer.down.useful -= u32::from(self.progress.needed().has(piece));
        if !peer.who.fast {
            self.requests.give_up(peer, |asked| asked.piece == piece, None);
        }
        self.update_interest(now, connection);
        Ok(())
    }

    /// Tells the peer whether it has anything that we need, when that changed.
    pub(super) fn update_interest(&mut self, now: Instant, connection: ConnectionId) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        let wants = peer.down.useful > 0;
        if wants != peer.down.interested {
            peer.down.interested = wants;
            peer.spoke = now;
            self.out.send(connection, if wants { Message::Interested } else { Message::NotInterested });
        }
    }

    /// Two that have everything part.
    pub(super) fn close_if_useless(&mut self, now: Instant, connection: ConnectionId) {
        let seed = self.peers.get(&connection).is_some_and(|peer| peer.pieces.is_all());
        if seed && self.progress.is_complete() {
            self.close(now, connection, CloseReason::NothingToExchange);
        }
    }
}
