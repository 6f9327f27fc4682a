//! The side that dialled.

use riverrun_metainfo::WireHash;

use super::dh::{KEY_LENGTH, KeyPair};
use super::frame::{Agreed, HEAD, VC, counted_pad, drawn, length_bytes, length_of_pad, numbers, pad};
use super::inbox::Inbox;
use super::keys::{TorrentMark, ciphers, sync_mark};
use super::{Cipher, Covered, Methods, MseError, RANDOM_LENGTH};
use crate::limits::MAX_MSE_FIRST;

/// The handshake of the side that dialled.
///
/// [`take`](Self::take) says what to send, at the start and after each [`feed`](Self::feed).
#[derive(Debug)]
pub struct Initiator {
    info_hash: WireHash,
    methods: Methods,
    first: Vec<u8>,
    inbox: Inbox,
    out: Vec<u8>,
    state: State,
    rng: fastrand::Rng,
}

enum State {
    /// The other's public key.
    Key(Box<KeyPair>),
    /// VC as the other encrypts it, behind its pad.
    Sync {
        mark: [u8; VC.len()],
        inbound: Cipher,
        outbound: Cipher,
    },
    /// The method and the length of the last pad.
    Choice {
        inbound: Cipher,
        outbound: Cipher,
    },
    /// The last pad.
    Pad(Agreed),
    Over(Result<(), MseError>),
}

impl Initiator {
    /// A handshake about this torrent, which offers these methods. `first` goes with it as the first bytes of our stream: at most
    /// 68, BitTorrent's handshake, which saves a round trip.
    ///
    /// # Panics
    /// `first` is longer.
    #[must_use]
    pub fn new(random: [u8; RANDOM_LENGTH], info_hash: WireHash, methods: Methods, first: &[u8]) -> Self {
        assert!(first.len() <= MAX_MSE_FIRST, "no more than a handshake goes with it");
        let (pair, mut rng) = drawn(random);
        let mut out = pair.public().to_vec();
        pad(&mut out, &mut rng);
        let state = State::Key(Box::new(pair));
        Self { info_hash, methods, first: first.to_vec(), inbox: Inbox::new(KEY_LENGTH), out, state, rng }
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

    /// Takes what belongs to the handshake from the front of `input`; once it has passed, how the streams go on.
    ///
    /// # Errors
    /// The peer does not speak MSE, or not as it should; the same for ever after.
    pub fn feed(&mut self, input: &mut &[u8]) -> Result<Option<Covered>, MseError> {
        while !matches!(self.state, State::Over(_)) && self.inbox.fill(input) {
            match self.step() {
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

    fn step(&mut self) -> Result<Option<Covered>, MseError> {
        match std::mem::replace(&mut self.state, State::Over(Ok(()))) {
            State::Key(pair) => {
                let theirs = self.inbox.take(HEAD);
                let theirs = theirs.first_chunk().expect("as many as were waited for");
                self.state = self.answer(&pair.shared(theirs).ok_or(MseError::WeakKey)?);
            }
            State::Sync { mark, inbound, outbound } => {
                let found = self.inbox.seek(&mark, HEAD - VC.len())?;
                self.state =
                    if found { State::Choice { inbound, outbound } } else { State::Sync { mark, inbound, outbound } };
            }
            State::Choice { mut inbound, outbound } => {
                let mut head = self.inbox.take(0);
                inbound.apply(&mut head);
                let (choice, length) = numbers(&head);
                let cover = self.methods.chosen(choice)?;
                self.inbox.take(length_of_pad(length)?);
                self.state = State::Pad(Agreed { cover, inbound, outbound, info_hash: self.info_hash });
            }
            State::Pad(mut agreed) => {
                agreed.inbound.apply(&mut self.inbox.take(0));
                return Ok(Some(agreed.covered(Vec::new())));
            }
            State::Over(result) => self.state = State::Over(result),
        }
        Ok(None)
    }

    /// Sends what proves that we know the torrent, and the first bytes of the stream.
    fn answer(&mut self, secret: &[u8; KEY_LENGTH]) -> State {
        let (mut outbound, mut inbound) = ciphers(secret, self.info_hash);
        self.out.extend_from_slice(&sync_mark(secret));
        self.out.extend_from_slice(&TorrentMark::of(self.info_hash).masked(secret).0);
        let mut message = VC.to_vec();
        message.extend_from_slice(&self.methods.bits().to_be_bytes());
        counted_pad(&mut message, &mut self.rng);
        message.extend_from_slice(&length_bytes(self.first.len()));
        message.extend_from_slice(&self.first);
        outbound.apply(&mut message);
        self.out.append(&mut message);
        let mut mark = VC;
        inbound.apply(&mut mark);
        State::Sync { mark, inbound, outbound }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key",
            Self::Sync { .. } => "Sync",
            Self::Choice { .. } => "Choice",
            Self::Pad(_) => "Pad",
            Self::Over(_) => "Over",
        })
    }
}
