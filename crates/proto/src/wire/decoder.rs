//! Bytes to messages, as they come from a socket.
//!
//! One pass over the input. Nothing is allocated for the fixed messages and for blocks, whose payload comes out as slices of
//! the input. Every length is judged at its prefix, before a byte is kept; what is kept grows only as it is received.

use bytes::Bytes;
use riverrun_metainfo::{BLOCK_LENGTH, Block, PieceIndex};

use super::message::{HashRange, Hashes, Message, WireError, id};
use crate::limits::{MAX_EXTENDED_HANDSHAKE_LENGTH, MAX_MESSAGE_LENGTH};

/// The longest part of a message that is judged at once: a block's name with its prefix and kind.
const LONGEST_HEAD: usize = 17;

/// What the lengths of messages depend on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecoderConfig {
    /// The number of pieces, which fixes the length of a bitfield; `None` while the metadata is not known.
    pub pieces: Option<u32>,
    /// The longest block that we ask for, in bytes.
    pub max_block: u32,
}

impl DecoderConfig {
    /// For a torrent of so many pieces, asked for in blocks of [`BLOCK_LENGTH`].
    #[must_use]
    pub fn new(pieces: Option<u32>) -> Self {
        Self { pieces, max_block: BLOCK_LENGTH }
    }

    /// The longest message of any kind, so that the prefix alone is enough to drop what can be no message.
    fn longest(self) -> u32 {
        let bitfield = self.pieces.map_or(0, |pieces| 1 + pieces.div_ceil(8));
        MAX_MESSAGE_LENGTH.max(bitfield).max(self.max_block.saturating_add(9))
    }
}

/// One thing found in the bytes of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame<'a> {
    /// A whole message; never [`Message::Piece`].
    Message(Message),
    /// A block begins; `block.length` bytes of payload follow.
    BlockStart(Block),
    /// The next bytes of the block's payload; not empty.
    BlockData(&'a [u8]),
    /// The block's payload is complete.
    BlockEnd,
}

/// Cuts the bytes of one connection after the handshake into messages.
///
/// The same messages come out however the bytes are cut into inputs. After an error it gives the same error for ever.
#[derive(Debug)]
pub struct Decoder {
    config: DecoderConfig,
    state: State,
    /// The first bytes of a message whose head is cut by the end of an input.
    head: [u8; LONGEST_HEAD],
    /// How many they are.
    kept: usize,
}

#[derive(Debug)]
enum State {
    /// Between messages, or inside the head of one.
    Head,
    /// Inside a block's payload; this many bytes are left.
    Block { left: u32 },
    /// Inside a message that is kept until it is whole.
    Body { kind: Kind, length: usize, body: Vec<u8> },
    /// Inside a message of an unknown kind.
    Skip { left: u32 },
    /// The bytes are no messages.
    Failed(WireError),
}

/// The kinds of variable length that are kept whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Bitfield,
    Extended(u8),
    HashRequest,
    Hashes,
    HashReject,
}

impl Decoder {
    /// For the bytes that follow the handshake.
    #[must_use]
    pub fn new(config: DecoderConfig) -> Self {
        Self { config, state: State::Head, head: [0; LONGEST_HEAD], kept: 0 }
    }

    /// Changes what lengths depend on, from the next message on: the metadata came.
    pub fn set_config(&mut self, config: DecoderConfig) {
        self.config = config;
    }

    /// Takes the next frame from the front of `input`; `None` when all of it is used up.
    ///
    /// # Errors
    /// A message is longer than its kind may be, or has not the length of its kind. The connection is of no use then.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, WireError> {
        loop {
            match &mut self.state {
                State::Head => {
                    let frame = self.next_head(input).inspect_err(|error| self.state = State::Failed(*error))?;
                    if frame.is_some() || matches!(self.state, State::Head) {
                        return Ok(frame);
                    }
                }
                State::Block { left: 0 } => {
                    self.state = State::Head;
                    return Ok(Some(Frame::BlockEnd));
                }
                State::Block { left } => {
                    let data = take(input, *left as usize);
                    *left -= received(data);
                    return Ok((!data.is_empty()).then_some(Frame::BlockData(data)));
                }
                State::Body { kind, length, body } => {
                    body.extend_from_slice(take(input, *length - body.len()));
                    if body.len() < *length {
                        return Ok(None);
                    }
                    let message = kind.message(std::mem::take(body).into());
                    self.state = State::Head;
                    return Ok(Some(Frame::Message(message)));
                }
                State::Skip { left } => {
                    *left -= received(take(input, *left as usize));
                    if *left > 0 {
                        return Ok(None);
                    }
                    self.state = State::Head;
                }
                State::Failed(error) => return Err(*error),
            }
        }
    }

    /// How many bytes of the current block's payload have not come yet; 0 outside a block.
    ///
    /// A driver may receive that many straight from the socket to where the block goes, and tell by
    /// [`payload_received`](Self::payload_received).
    #[must_use]
    pub fn payload_left(&self) -> u32 {
        match self.state {
            State::Block { left } => left,
            _ => 0,
        }
    }

    /// Notes payload that went past the decoder. The next [`next`](Self::next) gives [`Frame::BlockEnd`] if it was the last.
    ///
    /// # Panics
    /// `bytes` is more than [`payload_left`](Self::payload_left).
    pub fn payload_received(&mut self, bytes: u32) {
        match &mut self.state {
            State::Block { left } if *left >= bytes => *left -= bytes,
            _ => assert_eq!(bytes, 0, "payload outside a block"),
        }
    }

    /// The memory held for a message that is not whole yet, in bytes.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        match &self.state {
            State::Body { body, .. } => body.capacity(),
            _ => 0,
        }
    }

    /// Reads a message's head and enters the state that it leads to; a frame if it gives one at once.
    fn next_head<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, WireError> {
        if self.kept == 0 {
            // The usual way: the head lies whole in the input. If not, its beginning is kept.
            let length = head_length(input, self.config)?;
            if let Some((head, rest)) = input.split_at_checked(length) {
                *input = rest;
                return Ok(self.enter(head, rest.len()));
            }
        }
        loop {
            let length = head_length(&self.head[..self.kept], self.config)?;
            if self.kept == length {
                let head = self.head;
                self.kept = 0;
                return Ok(self.enter(&head[..length], input.len()));
            }
            let more = take(input, length - self.kept);
            if more.is_empty() {
                return Ok(None);
            }
            self.head[self.kept..][..more.len()].copy_from_slice(more);
            self.kept += more.len();
        }
    }

    /// Enters a message whose head is here and judged. `at_hand`: how much of its body, at most, has been received.
    fn enter<'a>(&mut self, head: &[u8], at_hand: usize) -> Option<Frame<'a>> {
        let Some((&[a, b, c, d, kind], fields)) = head.split_first_chunk::<5>() else {
            return Some(Frame::Message(Message::KeepAlive));
        };
        let length = u32::from_be_bytes([a, b, c, d]);
        let piece = || PieceIndex(number(fields, 0));
        let block = || Block { piece: piece(), begin: number(fields, 1), length: number(fields, 2) };
        let body = |kind, length: u32| {
            let length = length as usize;
            State::Body { kind, length, body: Vec::with_capacity(length.min(at_hand)) }
        };
        let message = match kind {
            id::CHOKE => Message::Choke,
            id::UNCHOKE => Message::Unchoke,
            id::INTERESTED => Message::Interested,
            id::NOT_INTERESTED => Message::NotInterested,
            id::HAVE => Message::Have(piece()),
            id::REQUEST => Message::Request(block()),
            id::PIECE => {
                let left = length - 9;
                self.state = State::Block { left };
                return Some(Frame::BlockStart(Block { piece: piece(), begin: number(fields, 1), length: left }));
            }
            id::CANCEL => Message::Cancel(block()),
            id::PORT => Message::Port(u16::from_be_bytes([fields[0], fields[1]])),
            id::SUGGEST => Message::Suggest(piece()),
            id::HAVE_ALL => Message::HaveAll,
            id::HAVE_NONE => Message::HaveNone,
            id::REJECT => Message::Reject(block()),
            id::ALLOWED_FAST => Message::AllowedFast(piece()),
            _ => {
                self.state = match kind {
                    id::BITFIELD => body(Kind::Bitfield, length - 1),
                    id::EXTENDED => body(Kind::Extended(fields[0]), length - 2),
                    id::HASH_REQUEST => body(Kind::HashRequest, length - 1),
                    id::HASHES => body(Kind::Hashes, length - 1),
                    id::HASH_REJECT => body(Kind::HashReject, length - 1),
                    _ => State::Skip { left: length - 1 },
                };
                return None;
            }
        };
        Some(Frame::Message(message))
    }
}

/// Judges the first bytes of a message by the limits; how many bytes its head has as far as can be told: prefix, kind, and
/// what fields are read at once. If `bytes` has that many, the head is whole. It never reaches into the next message.
fn head_length(bytes: &[u8], config: DecoderConfig) -> Result<usize, WireError> {
    let Some((prefix, rest)) = bytes.split_first_chunk::<4>() else { return Ok(4) };
    let length = u32::from_be_bytes(*prefix);
    if length == 0 {
        return Ok(4);
    }
    if length > config.longest() {
        return Err(WireError::TooLong(length));
    }
    let Some(&kind) = rest.first() else { return Ok(5) };
    let (least, most, fields) = match kind {
        id::CHOKE..=id::NOT_INTERESTED | id::HAVE_ALL | id::HAVE_NONE => (1, 1, 0),
        id::PORT => (3, 3, 2),
        id::HAVE | id::SUGGEST | id::ALLOWED_FAST => (5, 5, 4),
        id::REQUEST | id::CANCEL | id::REJECT => (13, 13, 12),
        id::PIECE => (9, config.max_block.saturating_add(9), 8),
        id::BITFIELD => match config.pieces.map(|pieces| 1 + pieces.div_ceil(8)) {
            Some(exactly) => (exactly, exactly, 0),
            None => (1, MAX_MESSAGE_LENGTH, 0),
        },
        id::EXTENDED if rest.get(1) == Some(&0) => (2, MAX_EXTENDED_HANDSHAKE_LENGTH + 2, 1),
        id::EXTENDED => (2, MAX_MESSAGE_LENGTH, 1),
        id::HASH_REQUEST | id::HASH_REJECT => (1 + HashRange::LENGTH, 1 + HashRange::LENGTH, 0),
        id::HASHES if length % 32 == (1 + HashRange::LENGTH) % 32 => (1 + HashRange::LENGTH, MAX_MESSAGE_LENGTH, 0),
        id::HASHES => return Err(WireError::WrongLength { id: kind, length }),
        _ => (1, MAX_MESSAGE_LENGTH, 0),
    };
    match length {
        _ if length < least => Err(WireError::WrongLength { id: kind, length }),
        _ if length <= most => Ok(5 + fields),
        _ if least == most => Err(WireError::WrongLength { id: kind, length }),
        _ => Err(WireError::TooLong(length)),
    }
}

impl Kind {
    fn message(self, mut body: Bytes) -> Message {
        match self {
            Self::Bitfield => Message::Bitfield(body),
            Self::Extended(id) => Message::Extended { id, payload: body },
            Self::HashRequest => Message::HashRequest(Box::new(HashRange::from_bytes(&body))),
            Self::HashReject => Message::HashReject(Box::new(HashRange::from_bytes(&body))),
            Self::Hashes => {
                let range = HashRange::from_bytes(&body);
                let hashes = body.split_off(HashRange::LENGTH as usize);
                Message::Hashes(Box::new(Hashes { range, hashes }))
            }
        }
    }
}

impl HashRange {
    /// `bytes` has been judged to be long enough.
    fn from_bytes(bytes: &[u8]) -> Self {
        let (root, numbers) = bytes.split_first_chunk::<32>().expect("the length was judged at the prefix");
        Self {
            pieces_root: *root,
            base_layer: number(numbers, 0),
            index: number(numbers, 1),
            length: number(numbers, 2),
            proof_layers: number(numbers, 3),
        }
    }
}

/// The `nth` 32-bit number of `bytes`, which has been judged to be long enough.
fn number(bytes: &[u8], nth: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[nth * 4..][..4]);
    u32::from_be_bytes(number)
}

/// Cuts at most `most` bytes from the front of `input`.
fn take<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (front, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    front
}

/// The length of a slice that was cut to what is left of a message, so that it has 32 bits.
fn received(data: &[u8]) -> u32 {
    u32::try_from(data.len()).expect("no longer than the message it is part of")
}
