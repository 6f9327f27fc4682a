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
    head_length: usize,
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

/// What the first bytes of a message say.
enum Head {
    /// Nothing before there are this many.
    Need(usize),
    /// All of it.
    Message(Message),
    /// A block, whose payload follows.
    Block(Block),
    /// A body of this many bytes follows.
    Body(Kind, u32),
    /// This many bytes of no interest follow.
    Skip(u32),
}

impl Decoder {
    /// For the bytes that follow the handshake.
    #[must_use]
    pub fn new(config: DecoderConfig) -> Self {
        Self { config, state: State::Head, head: [0; LONGEST_HEAD], head_length: 0 }
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
                State::Head => match self.next_head(input)? {
                    Some(frame) => return Ok(Some(frame)),
                    None if matches!(self.state, State::Head) => return Ok(None),
                    None => {}
                },
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
        let head = if self.head_length == 0 { self.head_of_input(input) } else { self.head_of_pieces(input) };
        match head {
            Ok(Head::Need(_)) => Ok(None),
            Ok(Head::Message(message)) => Ok(Some(Frame::Message(message))),
            Ok(Head::Block(block)) => {
                self.state = State::Block { left: block.length };
                Ok(Some(Frame::BlockStart(block)))
            }
            Ok(Head::Body(kind, length)) => {
                let length = length as usize;
                self.state = State::Body { kind, length, body: Vec::with_capacity(length.min(input.len())) };
                Ok(None)
            }
            Ok(Head::Skip(left)) => {
                self.state = State::Skip { left };
                Ok(None)
            }
            Err(error) => {
                self.state = State::Failed(error);
                Err(error)
            }
        }
    }

    /// The usual way: the head lies whole in the input. If not, its beginning is kept.
    fn head_of_input(&mut self, input: &mut &[u8]) -> Result<Head, WireError> {
        let (head, used) = parse_head(input, self.config)?;
        match head {
            Head::Need(_) => {
                let rest = take(input, LONGEST_HEAD);
                self.head[..rest.len()].copy_from_slice(rest);
                self.head_length = rest.len();
            }
            _ => *input = &input[used..],
        }
        Ok(head)
    }

    /// The other way: the head is put together from the end of earlier inputs and the front of this one.
    fn head_of_pieces(&mut self, input: &mut &[u8]) -> Result<Head, WireError> {
        loop {
            let (head, _) = parse_head(&self.head[..self.head_length], self.config)?;
            match head {
                Head::Need(total) => {
                    let more = take(input, total - self.head_length);
                    if more.is_empty() {
                        return Ok(head);
                    }
                    self.head[self.head_length..][..more.len()].copy_from_slice(more);
                    self.head_length += more.len();
                }
                _ => {
                    self.head_length = 0;
                    return Ok(head);
                }
            }
        }
    }
}

/// Judges the first bytes of a message; how many of them the head took.
///
/// [`Head::Need`] always asks for more than there is, and never for more than belongs to this message.
fn parse_head(bytes: &[u8], config: DecoderConfig) -> Result<(Head, usize), WireError> {
    let Some((prefix, rest)) = bytes.split_first_chunk::<4>() else { return Ok((Head::Need(4), 0)) };
    let length = u32::from_be_bytes(*prefix);
    if length == 0 {
        return Ok((Head::Message(Message::KeepAlive), 4));
    }
    if length > config.longest() {
        return Err(WireError::TooLong(length));
    }
    let Some((&kind, rest)) = rest.split_first() else { return Ok((Head::Need(5), 0)) };
    let exactly =
        |wanted: u32| if length == wanted { Ok(()) } else { Err(WireError::WrongLength { id: kind, length }) };
    let at_most = |most: u32| if length <= most { Ok(()) } else { Err(WireError::TooLong(length)) };

    macro_rules! fields {
        ($count:literal) => {
            match rest.first_chunk::<$count>() {
                Some(fields) => fields,
                None => return Ok((Head::Need(5 + $count), 0)),
            }
        };
    }
    Ok(match kind {
        id::CHOKE..=id::NOT_INTERESTED | id::HAVE_ALL | id::HAVE_NONE => {
            exactly(1)?;
            (Head::Message(bare(kind)), 5)
        }
        id::HAVE | id::SUGGEST | id::ALLOWED_FAST => {
            exactly(5)?;
            let piece = PieceIndex(u32::from_be_bytes(*fields!(4)));
            let message = match kind {
                id::HAVE => Message::Have(piece),
                id::SUGGEST => Message::Suggest(piece),
                _ => Message::AllowedFast(piece),
            };
            (Head::Message(message), 9)
        }
        id::REQUEST | id::CANCEL | id::REJECT => {
            exactly(13)?;
            let fields = fields!(12);
            let block =
                Block { piece: PieceIndex(number(fields, 0)), begin: number(fields, 1), length: number(fields, 2) };
            let message = match kind {
                id::REQUEST => Message::Request(block),
                id::CANCEL => Message::Cancel(block),
                _ => Message::Reject(block),
            };
            (Head::Message(message), 17)
        }
        id::PIECE => {
            let Some(payload) = length.checked_sub(9) else { return Err(WireError::WrongLength { id: kind, length }) };
            at_most(config.max_block.saturating_add(9))?;
            let fields = fields!(8);
            (Head::Block(Block { piece: PieceIndex(number(fields, 0)), begin: number(fields, 1), length: payload }), 13)
        }
        id::PORT => {
            exactly(3)?;
            (Head::Message(Message::Port(u16::from_be_bytes(*fields!(2)))), 7)
        }
        id::BITFIELD => {
            match config.pieces {
                Some(pieces) => exactly(1 + pieces.div_ceil(8))?,
                None => at_most(MAX_MESSAGE_LENGTH)?,
            }
            (Head::Body(Kind::Bitfield, length - 1), 5)
        }
        id::EXTENDED => {
            let Some(payload) = length.checked_sub(2) else { return Err(WireError::WrongLength { id: kind, length }) };
            at_most(MAX_MESSAGE_LENGTH)?;
            let [extended] = *fields!(1);
            if extended == 0 && payload > MAX_EXTENDED_HANDSHAKE_LENGTH {
                return Err(WireError::TooLong(length));
            }
            (Head::Body(Kind::Extended(extended), payload), 6)
        }
        id::HASH_REQUEST | id::HASH_REJECT => {
            exactly(1 + HashRange::LENGTH)?;
            (
                Head::Body(
                    if kind == id::HASH_REQUEST { Kind::HashRequest } else { Kind::HashReject },
                    HashRange::LENGTH,
                ),
                5,
            )
        }
        id::HASHES => {
            at_most(MAX_MESSAGE_LENGTH)?;
            if length <= HashRange::LENGTH || !(length - 1 - HashRange::LENGTH).is_multiple_of(32) {
                return Err(WireError::WrongLength { id: kind, length });
            }
            (Head::Body(Kind::Hashes, length - 1), 5)
        }
        _ => {
            at_most(MAX_MESSAGE_LENGTH)?;
            (Head::Skip(length - 1), 5)
        }
    })
}

/// A message that is nothing but its kind.
fn bare(kind: u8) -> Message {
    match kind {
        id::CHOKE => Message::Choke,
        id::UNCHOKE => Message::Unchoke,
        id::INTERESTED => Message::Interested,
        id::NOT_INTERESTED => Message::NotInterested,
        id::HAVE_ALL => Message::HaveAll,
        _ => Message::HaveNone,
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
