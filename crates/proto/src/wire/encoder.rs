//! Messages to bytes.

use riverrun_metainfo::Block;

use super::message::{HashRange, Message, id};

/// The bytes before a block's payload: length prefix, kind, piece, begin (BEP 3).
pub const PIECE_HEADER_LENGTH: usize = 13;

/// The head of the message that carries a block; the block's payload follows it on the wire.
///
/// `block.length` is at most 2^32 - 10: blocks are cut far below that by
/// [`MAX_REQUEST_LENGTH`](crate::limits::MAX_REQUEST_LENGTH).
#[must_use]
pub fn piece_header(block: Block) -> [u8; PIECE_HEADER_LENGTH] {
    let mut header = [0; PIECE_HEADER_LENGTH];
    header[..4].copy_from_slice(&(9 + block.length).to_be_bytes());
    header[4] = id::PIECE;
    header[5..9].copy_from_slice(&block.piece.0.to_be_bytes());
    header[9..].copy_from_slice(&block.begin.to_be_bytes());
    header
}

impl Message {
    /// Appends the message as it goes over the wire, length prefix included. Of [`Message::Piece`] only the head is
    /// appended: the payload must follow.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::KeepAlive => out.extend_from_slice(&[0; 4]),
            Self::Choke => kind_only(out, id::CHOKE),
            Self::Unchoke => kind_only(out, id::UNCHOKE),
            Self::Interested => kind_only(out, id::INTERESTED),
            Self::NotInterested => kind_only(out, id::NOT_INTERESTED),
            Self::Have(piece) => head_and(out, id::HAVE, &[&piece.0.to_be_bytes()]),
            Self::Bitfield(bits) => head_and(out, id::BITFIELD, &[bits]),
            Self::Request(block) => block_name(out, id::REQUEST, *block),
            Self::Piece(block) => out.extend_from_slice(&piece_header(*block)),
            Self::Cancel(block) => block_name(out, id::CANCEL, *block),
            Self::Port(port) => head_and(out, id::PORT, &[&port.to_be_bytes()]),
            Self::Suggest(piece) => head_and(out, id::SUGGEST, &[&piece.0.to_be_bytes()]),
            Self::HaveAll => kind_only(out, id::HAVE_ALL),
            Self::HaveNone => kind_only(out, id::HAVE_NONE),
            Self::Reject(block) => block_name(out, id::REJECT, *block),
            Self::AllowedFast(piece) => head_and(out, id::ALLOWED_FAST, &[&piece.0.to_be_bytes()]),
            Self::Extended { id: extended, payload } => head_and(out, id::EXTENDED, &[&[*extended], payload]),
            Self::HashRequest(range) => head_and(out, id::HASH_REQUEST, &[&range.to_bytes()]),
            Self::Hashes(hashes) => head_and(out, id::HASHES, &[&hashes.range.to_bytes(), &hashes.hashes]),
            Self::HashReject(range) => head_and(out, id::HASH_REJECT, &[&range.to_bytes()]),
        }
    }
}

impl HashRange {
    fn to_bytes(self) -> [u8; Self::LENGTH as usize] {
        let mut bytes = [0; Self::LENGTH as usize];
        bytes[..32].copy_from_slice(&self.pieces_root);
        let numbers = [self.base_layer, self.index, self.length, self.proof_layers];
        for (place, number) in bytes[32..].chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }
}

fn kind_only(out: &mut Vec<u8>, id: u8) {
    out.extend_from_slice(&[0, 0, 0, 1, id]);
}

fn block_name(out: &mut Vec<u8>, id: u8, block: Block) {
    let Block { piece, begin, length } = block;
    head_and(out, id, &[&piece.0.to_be_bytes(), &begin.to_be_bytes(), &length.to_be_bytes()]);
}

fn head_and(out: &mut Vec<u8>, id: u8, parts: &[&[u8]]) {
    let length = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    let prefix = u32::try_from(length).expect("a message of ours is far shorter than 4 GiB");
    out.reserve(4 + length);
    out.extend_from_slice(&prefix.to_be_bytes());
    out.push(id);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}
