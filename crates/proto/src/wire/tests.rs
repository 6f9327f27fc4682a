//! Tests over encoder and decoder together.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use riverrun_metainfo::{BLOCK_LENGTH, Block, PieceIndex};

use super::*;
use crate::limits::{MAX_EXTENDED_HANDSHAKE_LENGTH, MAX_MESSAGE_LENGTH};

const PIECES: u32 = 77;

/// A frame with payload put together again.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Whole {
    Message(Message),
    Block(Block, Vec<u8>),
}

/// What comes out when the bytes go in as these pieces; whatever came before an error, and the error.
fn decode<'a>(config: DecoderConfig, inputs: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Whole>, Option<WireError>) {
    let mut decoder = Decoder::new(config);
    let (mut out, mut open) = (Vec::new(), None);
    for mut input in inputs {
        loop {
            match decoder.next(&mut input) {
                Ok(Some(Frame::Message(message))) => out.push(Whole::Message(message)),
                Ok(Some(Frame::BlockStart(block))) => open = Some((block, Vec::new())),
                Ok(Some(Frame::BlockData(data))) => {
                    assert!(!data.is_empty());
                    open.as_mut().unwrap().1.extend_from_slice(data);
                    let (block, payload) = open.as_ref().unwrap();
                    assert_eq!(decoder.payload_left() as usize, block.length as usize - payload.len());
                }
                Ok(Some(Frame::BlockEnd)) => {
                    let (block, payload) = open.take().unwrap();
                    assert_eq!(block.length as usize, payload.len());
                    out.push(Whole::Block(block, payload));
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next(&mut &b"\0\0\0\0"[..]), Err(error), "an error stays");
                    return (out, Some(error));
                }
            }
        }
        assert!(input.is_empty(), "None means that the input is used up");
    }
    (out, None)
}

fn config() -> DecoderConfig {
    DecoderConfig::new(Some(PIECES))
}

fn encode(wholes: &[Whole]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for whole in wholes {
        match whole {
            Whole::Message(message) => message.encode(&mut bytes),
            Whole::Block(block, payload) => {
                Message::Piece(*block).encode(&mut bytes);
                bytes.extend_from_slice(payload);
            }
        }
    }
    bytes
}

fn block(piece: u32, begin: u32, length: u32) -> Block {
    Block { piece: PieceIndex(piece), begin, length }
}

fn range() -> HashRange {
    HashRange { pieces_root: [0xab; 32], base_layer: 1, index: 512, length: 256, proof_layers: 7 }
}

#[test]
fn golden_bytes_of_every_message() {
    let root = "ab".repeat(32);
    let golden: Vec<(Message, String)> = vec![
        (Message::KeepAlive, "00000000".into()),
        (Message::Choke, "0000000100".into()),
        (Message::Unchoke, "0000000101".into()),
        (Message::Interested, "0000000102".into()),
        (Message::NotInterested, "0000000103".into()),
        (Message::Have(PieceIndex(0x1234_5678)), "000000050412345678".into()),
        (Message::Bitfield(Bytes::from_static(b"\xff\x80")), "0000000305ff80".into()),
        (Message::Request(block(1, 0x4000, 0x4000)), "0000000d06000000010000400000004000".into()),
        (Message::Piece(block(1, 0x8000, 0x4000)), "00004009070000000100008000".into()),
        (Message::Cancel(block(1, 0x4000, 0x4000)), "0000000d08000000010000400000004000".into()),
        (Message::Port(6881), "00000003091ae1".into()),
        (Message::Suggest(PieceIndex(9)), "000000050d00000009".into()),
        (Message::HaveAll, "000000010e".into()),
        (Message::HaveNone, "000000010f".into()),
        (Message::Reject(block(2, 0, 1)), "0000000d10000000020000000000000001".into()),
        (Message::AllowedFast(PieceIndex(1059)), "000000051100000423".into()),
        (Message::Extended { id: 3, payload: Bytes::from_static(b"de") }, "0000000414036465".into()),
        (Message::HashRequest(Box::new(range())), format!("0000003115{root}00000001000002000000010000000007")),
        (
            Message::Hashes(Box::new(Hashes { range: range(), hashes: Bytes::from_static(&[0xcd; 32]) })),
            format!("0000005116{root}00000001000002000000010000000007{}", "cd".repeat(32)),
        ),
        (Message::HashReject(Box::new(range())), format!("0000003117{root}00000001000002000000010000000007")),
    ];
    let sixteen = DecoderConfig::new(Some(16));
    for (message, hex) in golden {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        assert_eq!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), hex, "{message:?}");
        if !matches!(message, Message::Piece(_)) {
            assert_eq!(decode(sixteen, [&bytes[..]]), (vec![Whole::Message(message)], None));
        }
    }
}

#[test]
fn payload_may_go_past_the_decoder() {
    let bytes = encode(&[Whole::Block(block(3, 0, 100), vec![7; 100])]);
    let mut decoder = Decoder::new(config());
    let mut input = &bytes[..33];
    assert_eq!(decoder.next(&mut input), Ok(Some(Frame::BlockStart(block(3, 0, 100)))));
    assert_eq!(decoder.next(&mut input), Ok(Some(Frame::BlockData(&[7; 20]))));
    assert_eq!(decoder.next(&mut input), Ok(None));
    assert_eq!(decoder.payload_left(), 80);
    decoder.payload_received(80);
    assert_eq!(decoder.payload_left(), 0);
    assert_eq!(decoder.next(&mut &[][..]), Ok(Some(Frame::BlockEnd)));
    assert_eq!(decoder.next(&mut &[0, 0, 0, 1, 1][..]), Ok(Some(Frame::Message(Message::Unchoke))));
}

#[test]
#[should_panic(expected = "payload outside a block")]
fn payload_received_outside_a_block_is_a_bug() {
    Decoder::new(config()).payload_received(1);
}

#[test]
fn unknown_kinds_are_skipped() {
    let mut bytes = b"\0\0\0\x06\x0babcde\0\0\0\x01\xff".to_vec();
    Message::Unchoke.encode(&mut bytes);
    assert_eq!(decode(config(), bytes.chunks(1)), (vec![Whole::Message(Message::Unchoke)], None));
}

#[test]
fn p1_lengths_over_the_limit_drop_at_the_prefix() {
    for length in [u32::MAX, 1 << 31, (1 << 31) - 1, MAX_MESSAGE_LENGTH + 1] {
        assert_eq!(decode(config(), [&length.to_be_bytes()[..]]), (vec![], Some(WireError::TooLong(length))));
    }
}

#[test]
fn p1_nothing_is_allocated_by_the_prefix() {
    let mut decoder = Decoder::new(DecoderConfig::new(None));
    let mut bytes = MAX_MESSAGE_LENGTH.to_be_bytes().to_vec();
    bytes.extend_from_slice(&[20, 1, b'd']);
    assert_eq!(decoder.next(&mut &bytes[..]), Ok(None));
    assert!(decoder.kept_bytes() <= 64, "{}", decoder.kept_bytes());
}

#[test]
fn p1_unknown_messages_of_a_megabyte_are_not_kept() {
    let mut decoder = Decoder::new(config());
    let mut bytes = MAX_MESSAGE_LENGTH.to_be_bytes().to_vec();
    bytes.resize(4 + MAX_MESSAGE_LENGTH as usize, 99);
    for chunk in bytes.chunks(1000) {
        assert_eq!(decoder.next(&mut &*chunk), Ok(None));
        assert_eq!(decoder.kept_bytes(), 0);
    }
    assert_eq!(decoder.next(&mut &[0, 0, 0, 0][..]), Ok(Some(Frame::Message(Message::KeepAlive))));
}

#[test]
fn p1_extended_handshake_over_its_limit_drops() {
    for (payload, error) in [(MAX_EXTENDED_HANDSHAKE_LENGTH, false), (MAX_EXTENDED_HANDSHAKE_LENGTH + 1, true)] {
        let mut bytes = (payload + 2).to_be_bytes().to_vec();
        bytes.extend_from_slice(&[20, 0]);
        assert_eq!(decode(config(), [&bytes[..]]).1.is_some(), error);
        bytes[5] = 1;
        assert_eq!(decode(config(), [&bytes[..]]).1, None, "other extended messages may be longer");
    }
}

#[test]
fn p2_fixed_messages_of_wrong_size_drop() {
    let right: &[(u8, u32)] = &[
        (0, 1),
        (1, 1),
        (2, 1),
        (3, 1),
        (4, 5),
        (5, 1 + PIECES.div_ceil(8)),
        (6, 13),
        (8, 13),
        (9, 3),
        (13, 5),
        (14, 1),
        (15, 1),
        (16, 13),
        (17, 5),
        (21, 49),
        (23, 49),
    ];
    for &(id, right) in right {
        for length in (1..60).filter(|length| *length != right) {
            let mut bytes = length.to_be_bytes().to_vec();
            bytes.push(id);
            assert_eq!(decode(config(), [&bytes[..]]), (vec![], Some(WireError::WrongLength { id, length })));
        }
    }
    for (id, length) in [(7, 1), (7, 8), (20, 1), (22, 1), (22, 48), (22, 50), (22, 49 + 31)] {
        let mut bytes = u32::to_be_bytes(length).to_vec();
        bytes.push(id);
        assert_eq!(decode(config(), [&bytes[..]]), (vec![], Some(WireError::WrongLength { id, length })));
    }
}

#[test]
fn p3_block_longer_than_we_ask_for_drops_at_the_prefix() {
    let mut bytes = (9 + BLOCK_LENGTH + 1).to_be_bytes().to_vec();
    bytes.push(7);
    assert_eq!(decode(config(), [&bytes[..]]).1, Some(WireError::TooLong(9 + BLOCK_LENGTH + 1)));
    let wide = DecoderConfig { max_block: 128 * 1024, ..config() };
    assert_eq!(decode(wide, [&bytes[..]]).1, None);
}

#[test]
fn p7_bitfield_of_wrong_length_drops_at_the_prefix() {
    for length in [0u32, 1, 9, 11, 1 << 20] {
        let mut bytes = (1 + length).to_be_bytes().to_vec();
        bytes.push(5);
        let (out, error) = decode(config(), [&bytes[..]]);
        assert!(out.is_empty() && error.is_some(), "{length}");
    }
    let sixteen_mib = (1u32 + (16 << 20)).to_be_bytes();
    assert!(decode(config(), [&sixteen_mib[..]]).1.is_some());
}

#[test]
fn p7_long_bitfield_of_a_torrent_that_has_so_many_pieces_passes() {
    let pieces = 1 << 26;
    let bits = Bytes::from(vec![0x55; 1 << 23]);
    let mut bytes = Vec::new();
    Message::Bitfield(bits.clone()).encode(&mut bytes);
    let (out, error) = decode(DecoderConfig::new(Some(pieces)), bytes.chunks(65_536));
    assert_eq!((out, error), (vec![Whole::Message(Message::Bitfield(bits))], None));
}

#[test]
fn a_message_stays_small() {
    assert!(size_of::<Message>() <= 40, "{}", size_of::<Message>());
    assert!(size_of::<Frame<'_>>() <= 48, "{}", size_of::<Frame<'_>>());
}

fn any_block() -> impl Strategy<Value = Block> {
    (any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(piece, begin, length)| block(piece, begin, length))
}

fn any_range() -> impl Strategy<Value = Box<HashRange>> {
    (any::<[u8; 32]>(), any::<[u32; 4]>()).prop_map(|(pieces_root, [base_layer, index, length, proof_layers])| {
        Box::new(HashRange { pieces_root, base_layer, index, length, proof_layers })
    })
}

fn any_whole() -> impl Strategy<Value = Whole> {
    let bitfield = vec(any::<u8>(), PIECES.div_ceil(8) as usize);
    let message = prop_oneof![
        Just(Message::KeepAlive),
        Just(Message::Choke),
        Just(Message::Unchoke),
        Just(Message::Interested),
        Just(Message::NotInterested),
        Just(Message::HaveAll),
        Just(Message::HaveNone),
        any::<u32>().prop_map(|piece| Message::Have(PieceIndex(piece))),
        any::<u32>().prop_map(|piece| Message::Suggest(PieceIndex(piece))),
        any::<u32>().prop_map(|piece| Message::AllowedFast(PieceIndex(piece))),
        bitfield.prop_map(|bits| Message::Bitfield(bits.into())),
        any_block().prop_map(Message::Request),
        any_block().prop_map(Message::Cancel),
        any_block().prop_map(Message::Reject),
        any::<u16>().prop_map(Message::Port),
        (any::<u8>(), vec(any::<u8>(), 0..300))
            .prop_map(|(id, payload)| Message::Extended { id, payload: payload.into() }),
        any_range().prop_map(Message::HashRequest),
        any_range().prop_map(Message::HashReject),
        (any_range(), 0usize..5).prop_map(|(range, count)| Message::Hashes(Box::new(Hashes {
            range: *range,
            hashes: vec![9; count * 32].into()
        }))),
    ];
    prop_oneof![
        3 => message.prop_map(Whole::Message),
        1 => (any::<u32>(), any::<u32>(), vec(any::<u8>(), 0..500))
            .prop_map(|(piece, begin, payload)| Whole::Block(block(piece, begin, payload.len() as u32), payload)),
    ]
}

/// Cuts bytes at the given places, in any order, out of range or not.
fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut from = 0;
    let mut slices = Vec::new();
    for place in places.into_iter().chain([bytes.len()]) {
        slices.push(&bytes[from..place]);
        from = place;
    }
    slices
}

proptest! {
    #[test]
    fn decoding_gives_back_what_was_encoded(wholes in vec(any_whole(), 0..20), cuts in vec(any::<prop::sample::Index>(), 0..30)) {
        let bytes = encode(&wholes);
        prop_assert_eq!(decode(config(), [&bytes[..]]), (wholes.clone(), None));
        prop_assert_eq!(decode(config(), cut(&bytes, &cuts)), (wholes.clone(), None));
        prop_assert_eq!(decode(config(), bytes.chunks(1)), (wholes, None));
    }

    #[test]
    fn any_bytes_decode_the_same_however_they_are_cut(
        wholes in vec(any_whole(), 0..6),
        garbage in vec(any::<u8>(), 0..60),
        flip in any::<prop::sample::Index>(),
        cuts in vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let mut bytes = encode(&wholes);
        bytes.extend_from_slice(&garbage);
        if !bytes.is_empty() {
            let place = flip.index(bytes.len());
            bytes[place] ^= 1 << (place % 8);
        }
        let whole = decode(config(), [&bytes[..]]);
        prop_assert_eq!(&decode(config(), cut(&bytes, &cuts)), &whole);
        prop_assert_eq!(&decode(config(), bytes.chunks(1)), &whole);
    }
}
