//! A swarm whose layout is not known yet: it has connections, and gets the info dictionary from them (BEP 9).
//!
//! The connections stay when the metadata is here. What peers said of their pieces meanwhile is kept and judged when the
//! exchange begins.

mod copy;
mod early;
mod gathering;
mod serving;

use std::time::Instant;

use bytes::Bytes;

use self::early::Early;
use self::gathering::Gathering;
pub use self::gathering::MetadataStatus;
pub(super) use self::serving::{Allowance, Serving};
use crate::limits;
use crate::swarm::conduct::Breach;
use crate::swarm::hashes::HashExchange;
use crate::swarm::pieces::PeerPieces;
use crate::swarm::progress::Progress;
use crate::swarm::{Action, CloseReason, ConnectionId, Content, Event, Swarm};
use crate::wire::Message;
use crate::wire::extended::{ExtendedMessage, Extension, MetadataMessage};

/// What there is of a swarm only before its exchange begins.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    /// `None` once the metadata is here and only the files are being opened.
    gathering: Option<Gathering>,
    early: Early,
}

impl Beginning {
    pub(super) fn new() -> Self {
        Self { gathering: Some(Gathering::default()), early: Early::default() }
    }

    /// How far the metadata is; `None` once it is here.
    pub(super) fn status(&self) -> Option<MetadataStatus> {
        self.gathering.as_ref().map(Gathering::status)
    }

    /// A connection is gone.
    pub(super) fn closed(&mut self, connection: ConnectionId) {
        self.early.take(connection);
        if let Some(gathering) = &mut self.gathering {
            gathering.gone(connection);
        }
    }
}

impl Swarm {
    /// The messages of one read before the layout is known.
    pub(super) fn received_early(&mut self, now: Instant, connection: ConnectionId, messages: &[Message]) {
        for message in messages {
            let result = match message {
                Message::Bitfield(_) | Message::HaveAll | Message::HaveNone | Message::Have(_) => {
                    self.keep(now, connection, message)
                }
                Message::AllowedFast(_) | Message::Suggest(_) => self.keep(now, connection, message),
                Message::Extended { id, .. } if *id == Extension::DontHave.number() => {
                    self.keep(now, connection, message)
                }
                // Nothing was asked for and nothing is had: these judge it.
                Message::Piece(_) => self.blocks(now, connection, std::slice::from_ref(message), &mut 0),
                Message::Request(_) => self.requests_of(now, connection, std::slice::from_ref(message), &mut 0),
                other => self.message(now, connection, other),
            };
            if let Err(breach) = result {
                self.close(now, connection, CloseReason::Breach(breach));
                return;
            }
        }
    }

    /// Keeps what cannot be judged yet; who says more than there is room for is connected to again later.
    fn keep(&mut self, now: Instant, connection: ConnectionId, message: &Message) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        peer.conduct.idle_message(now)?;
        if self.beginning.as_mut().is_some_and(|beginning| !beginning.early.keep(connection, message)) {
            self.close(now, connection, CloseReason::TooMany);
        }
        Ok(())
    }

    /// A peer told in its extended handshake whether it has the metadata.
    pub(super) fn claims_metadata(&mut self, now: Instant, connection: ConnectionId) {
        let Some(peer) = self.peers.get(&connection) else { return };
        let (address, size) = (peer.who.addr.ip(), peer.extensions.metadata_size());
        let Some(gathering) = self.gatherer() else { return };
        gathering.claims(connection, address, size);
        self.gather(now);
    }

    fn gatherer(&mut self) -> Option<&mut Gathering> {
        self.beginning.as_mut()?.gathering.as_mut()
    }

    /// A message about the metadata.
    pub(super) fn metadata_message(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        message: MetadataMessage,
    ) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        if let MetadataMessage::Request { piece } = message {
            let answer = self.serving.answer(now, piece, &mut peer.metadata);
            if let Some(message) = peer.extensions.message(&ExtendedMessage::Metadata(answer)) {
                peer.spoke = now;
                self.out.send(connection, message);
            }
            return peer.conduct.idle_message(now);
        }
        // What comes when it is here already was asked for before.
        let Some(gathering) = self.beginning.as_mut().and_then(|beginning| beginning.gathering.as_mut()) else {
            return peer.conduct.idle_message(now);
        };
        match message {
            MetadataMessage::Data { piece, data, .. } => {
                gathering.received(connection, piece, &data)?;
                self.stats.came = now;
            }
            MetadataMessage::Reject { piece } => {
                gathering.rejected(now, connection, piece)?;
                peer.conduct.idle_message(now)?;
            }
            MetadataMessage::Request { .. } => {}
        }
        self.gather(now);
        Ok(())
    }

    /// Once a second: requests that were not answered are given to others.
    pub(super) fn metadata_tick(&mut self, now: Instant) {
        if let Some(gathering) = self.gatherer() {
            gathering.tick(now);
            self.gather(now);
        }
    }

    /// Asks for what is lacking, or has a whole copy judged.
    fn gather(&mut self, now: Instant) {
        let Some(gathering) = self.gatherer() else { return };
        let (requests, whole) = (gathering.requests(now), gathering.whole());
        for (connection, piece) in requests {
            let Some(peer) = self.peers.get_mut(&connection) else { continue };
            let request = ExtendedMessage::Metadata(MetadataMessage::Request { piece });
            if let Some(message) = peer.extensions.message(&request) {
                peer.spoke = now;
                self.out.send(connection, message);
            }
        }
        if let Some(parts) = whole {
            self.out.push(Action::JudgeMetadata { parts });
        }
    }

    /// The hash of a copy is wrong.
    pub(super) fn metadata_wrong(&mut self, now: Instant) {
        let Some(gathering) = self.gatherer() else { return };
        let guilty = gathering.wrong();
        self.out.event(Event::MetadataCorrupt);
        guilty.into_iter().for_each(|address| self.ban(now, address));
        self.gather(now);
    }

    /// The metadata is here: it is given to others from now on, and says whether the torrent is private (BEP 27).
    pub(super) fn metadata_right(&mut self, now: Instant, metadata: Bytes, private: bool) {
        let Some(beginning) = &mut self.beginning else { return };
        let guilty = beginning.gathering.take().map(|mut gathering| gathering.right()).unwrap_or_default();
        self.serving = Serving::new(now, metadata);
        guilty.into_iter().for_each(|address| self.ban(now, address));
        if private {
            self.become_private(now);
        }
        self.tell_upload_only(now, false);
    }

    /// Peers come from trackers and the user alone from now on; the others go.
    fn become_private(&mut self, now: Instant) {
        self.candidates.become_private();
        self.contacts.turn_off();
        let elsewhere = self.peers.values().filter(|peer| peer.who.source.is_elsewhere());
        let elsewhere: Vec<_> = elsewhere.map(|peer| peer.who.connection).collect();
        elsewhere.into_iter().for_each(|connection| self.close(now, connection, CloseReason::Private));
    }

    /// The exchange begins with the connections that there are.
    pub(super) fn begin(&mut self, now: Instant, content: Content) {
        let Some(mut beginning) = self.beginning.take() else { return };
        self.progress = Progress::new(content.layout, content.have);
        content.priorities.into_iter().for_each(|priorities| self.progress.set_priorities(priorities));
        self.hashes = HashExchange::new(content.info_hashes, content.hashes);
        let total = self.progress.layout().piece_count();
        self.requests.sleep();
        self.peers.values_mut().for_each(|peer| peer.pieces = PeerPieces::none(total));
        self.plan_hashes();
        let pieces = self.peers.values().map(|peer| &peer.pieces);
        self.requests.awake(&self.progress, &self.hashes, pieces, &mut self.rng);
        self.stats.came = now;
        self.begin_superseeding();
        for connection in self.peers.keys().copied().collect::<Vec<_>>() {
            self.tell_pieces(now, connection);
            let Some(peer) = self.peers.get_mut(&connection) else { continue };
            // The order of what was not kept is lost: the first word about pieces counts as the first at all.
            peer.conduct.spoken = false;
            for message in beginning.early.take(connection) {
                if let Err(breach) = self.message(now, connection, &message) {
                    self.close(now, connection, CloseReason::Breach(breach));
                    break;
                }
            }
            self.refill(now, connection);
        }
        if self.progress.is_finished() {
            self.tell_upload_only(now, true);
        }
        self.timers.tick_by(now + Self::TICK);
        self.timers.dial_changed = true;
        self.web_seeds.changed = true;
    }

    /// Tells a peer, who was told of nothing, what we have.
    fn tell_pieces(&mut self, now: Instant, connection: ConnectionId) {
        if let Some(shown) = self.superseed_met(now) {
            if let Some(peer) = self.peers.get_mut(&connection) {
                peer.up.shown = Some(shown);
            }
            return;
        }
        if self.progress.have_pieces() > limits::MAX_HAVES_AT_ONCE {
            return self.close(now, connection, CloseReason::TooMany);
        }
        for piece in self.progress.have().iter() {
            self.out.send(connection, Message::Have(piece));
        }
    }
}
