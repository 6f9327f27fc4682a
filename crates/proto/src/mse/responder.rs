//! The side that was dialled.

use riverrun_metainfo::WireHash;
use riverrun_metainfo::hash::SHA1_LENGTH;

use super::dh::{KEY_LENGTH, KeyPair};
use super::frame::{Agreed, HEAD, VC, counted_pad, drawn, length_of_pad, numbers, pad};
use super::inbox::Inbox;
use super::keys::{TorrentMark, ciphers, sync_mark};
use super::{Covered, Methods, MseError, RANDOM_LENGTH};
use crate::limits::MAX_MSE_FIRST;

/// What follows the mark at least: the torrent's mark, a head and the length of the first bytes.
const AFTER_MARK: usize = SHA1_LENGTH + HEAD + 2;

/// The handshake of the side that was dialled.
///
/// [`take`](Self::take) says what to send after each [`feed`](Self::feed). Whoever means a torrent that is not here has had our
/// public key and a pad, which everyone gets, and gets nothing more (THREATS P30).
#[derive(Debug)]
pub struct Responder {
    methods: Methods,
    inbox: Inbox,
    out: Vec<u8>,
    state: State,
    rng: fastrand::Rng,
}

enum State {
    /// The other's public key.
    Key(Box<KeyPair>),
    /// The mark behind the other's pad.
    Sync {
        mark: [u8; SHA1_LENGTH],
        secret: Box<[u8; KEY_LENGTH]>,
    },
    /// The torrent and what is offered.
    Offer(Box<[u8; KEY_LENGTH]>),
    /// The second pad and the length of the first bytes.
    Pad(Agreed),
    /// The first bytes.
    First(Agreed),
    Over(Result<(), MseError>),
}

impl Responder {
    /// A handshake that takes these methods.
    #[must_use]
    pub fn new(random: [u8; RANDOM_LENGTH], methods: Methods) -> Self {
        let (pair, rng) = drawn(random);
        let state = State::Key(Box::new(pair));
        Self { methods, inbox: Inbox::new(KEY_LENGTH), out: Vec::new(), state, rng }
    }

    /// What is to be sent now.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// How many more bytes are sure to come; 0 once it is over. Who feeds no more than these takes nothing of what follows.
    #[must_use]
    pub fn missing(&self) -> usize {
        if matches!(self.state, State::Over(_)) { 0 } else { self.inbox.missing() }
    }

    /// Takes what belongs to the handshake from the front of `input`; once it has passed, how the streams go on. `find` knows
    /// our torrents by their marks.
    ///
    /// # Errors
    /// The peer does not speak MSE, or not as it should, or means no torrent of ours; the same for ever after.
    pub fn feed(
        &mut self,
        input: &mut &[u8],
        mut find: impl FnMut(TorrentMark) -> Option<WireHash>,
    ) -> Result<Option<Covered>, MseError> {
        while !matches!(self.state, State::Over(_)) && self.inbox.fill(input) {
            match self.step(&mut find) {
                Ok(None) => {}
                Ok(Some(covered)) => return Ok(Some(covered)),
                Err(error) => {
                    self.out.clear();
                    self.state = State::Over(Err(error));
                }
            }
        }
        if let State::Over(Err(error)) = self.state { Err(error) } else { Ok(None) }
    }

    fn step(&mut self, find: &mut impl FnMut(TorrentMark) -> Option<WireHash>) -> Result<Option<Covered>, MseError> {
        match std::mem::replace(&mut self.state, State::Over(Ok(()))) {
            State::Key(pair) => {
                let theirs = self.inbox.take(SHA1_LENGTH + AFTER_MARK);
                let theirs = theirs.first_chunk().expect("as many as were waited for");
                let secret = Box::new(pair.shared(theirs).ok_or(MseError::WeakKey)?);
                self.out.extend_from_slice(pair.public());
                pad(&mut self.out, &mut self.rng);
                self.state = State::Sync { mark: sync_mark(&secret), secret };
            }
            State::Sync { mark, secret } => {
                let found = self.inbox.seek(&mark, AFTER_MARK)?;
                self.state = if found { State::Offer(secret) } else { State::Sync { mark, secret } };
            }
            State::Offer(secret) => self.state = State::Pad(self.offer(&secret, find)?),
            State::Pad(mut agreed) => {
                let mut bytes = self.inbox.take(0);
                agreed.inbound.apply(&mut bytes);
                let length = bytes.last_chunk::<2>().expect("a length behind the pad");
                let length = usize::from(u16::from_be_bytes(*length));
                if length > MAX_MSE_FIRST {
                    return Err(MseError::First(length));
                }
                self.inbox.take(length);
                self.state = State::First(agreed);
            }
            State::First(mut agreed) => {
                let mut first = self.inbox.take(0);
                agreed.inbound.apply(&mut first);
                self.answer(&mut agreed);
                return Ok(Some(agreed.covered(first)));
            }
            State::Over(result) => self.state = State::Over(result),
        }
        Ok(None)
    }

    /// Which torrent is meant and what is offered.
    fn offer(
        &mut self,
        secret: &[u8; KEY_LENGTH],
        find: &mut impl FnMut(TorrentMark) -> Option<WireHash>,
    ) -> Result<Agreed, MseError> {
        let bytes = self.inbox.take(0);
        let (mark, rest) = bytes.split_first_chunk().expect("as many as were waited for");
        let info_hash = find(TorrentMark(*mark).masked(secret)).ok_or(MseError::UnknownTorrent)?;
        let (mut inbound, outbound) = ciphers(secret, info_hash);
        let (head, after) = rest.split_at(HEAD);
        let mut head = head.to_vec();
        inbound.apply(&mut head);
        if !head.starts_with(&VC) {
            return Err(MseError::WrongConstant);
        }
        let (offered, length) = numbers(&head);
        let cover = self.methods.choose(offered)?;
        // Two bytes of the pad, or of the length behind it, are here already.
        self.inbox.take(length_of_pad(length)? + 2);
        self.inbox.fill(&mut &*after);
        Ok(Agreed { cover, inbound, outbound, info_hash })
    }

    /// Says which method it is.
    fn answer(&mut self, agreed: &mut Agreed) {
        let mut message = VC.to_vec();
        message.extend_from_slice(&agreed.cover.choice().to_be_bytes());
        counted_pad(&mut message, &mut self.rng);
        agreed.outbound.apply(&mut message);
        self.out.append(&mut message);
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key",
            Self::Sync { .. } => "Sync",
            Self::Offer(_) => "Offer",
            Self::Pad(_) => "Pad",
            Self::First(_) => "First",
            Self::Over(_) => "Over",
        })
    }
}
