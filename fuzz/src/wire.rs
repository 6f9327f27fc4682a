use bytes::Bytes;
use riverrun_metainfo::Block;
use riverrun_proto::wire::extended::{ExtendedHandshake, ExtendedMessage, Extension, ExtensionIds};
use riverrun_proto::wire::{Decoder, DecoderConfig, Frame, HandshakeDecoder, Message, WireError, piece_header};

use crate::bits::Bits;

/// The bytes of a connection, cut in any way: the same handshake and messages come out as from one read, and each message is
/// written back to bytes that read the same.
pub fn wire(data: &[u8]) {
    let mut bits = Bits::new(data);
    let pieces = match bits.byte() {
        0 => None,
        flags => Some(u32::from(flags) * u32::from(bits.byte())),
    };
    let cuts: Vec<usize> = (0..8).map(|_| usize::from(bits.byte())).collect();
    let config = DecoderConfig::new(pieces);
    let stream = bits.rest();

    let whole = decoded(config, std::iter::once(stream), false);
    assert_eq!(whole, decoded(config, split(stream, &cuts), false), "cut into {cuts:?}");
    assert_eq!(
        whole,
        decoded(config, split(stream, &cuts), true),
        "cut into {cuts:?}, payload received past the decoder"
    );
    assert_eq!(whole, decoded(config, stream.chunks(1), false), "byte by byte");
    for item in &whole {
        if let Item::Message(message) = item {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            let again = decoded(config, std::iter::once(&bytes[..]), false);
            assert_eq!(again, [Item::Message(message.clone())], "written and read again");
        }
        if let Item::Block(block, payload) = item {
            let bytes = [&piece_header(*block)[..], payload].concat();
            assert_eq!(decoded(config, std::iter::once(&bytes[..]), false), std::slice::from_ref(item));
        }
    }

    let (mut at_once, mut in_parts) = (HandshakeDecoder::new(), HandshakeDecoder::new());
    let expected = at_once.feed(&mut &stream[..]);
    let mut found = Ok(None);
    for mut part in split(stream, &cuts) {
        found = in_parts.feed(&mut part);
        if !matches!(found, Ok(None)) {
            break;
        }
    }
    assert_eq!(found, expected);
    if let Ok(Some(handshake)) = expected {
        assert_eq!(HandshakeDecoder::new().feed(&mut &handshake.encode()[..]), Ok(Some(handshake)));
    }
}

/// What came out of a decoder, blocks with their payload joined.
#[derive(PartialEq, Debug)]
enum Item {
    Message(Message),
    Block(Block, Vec<u8>),
    CutBlock(Block, Vec<u8>),
    Failed(WireError),
}

fn decoded<'a>(config: DecoderConfig, parts: impl Iterator<Item = &'a [u8]>, past: bool) -> Vec<Item> {
    let mut decoder = Decoder::new(config);
    let mut items = Vec::new();
    let mut open: Option<(Block, Vec<u8>)> = None;
    for mut part in parts {
        let offered = part.len();
        loop {
            if past && decoder.payload_left() > 0 {
                let (payload, rest) = part.split_at(part.len().min(decoder.payload_left() as usize));
                open.as_mut().expect("a block is open").1.extend_from_slice(payload);
                decoder.payload_received(payload.len() as u32);
                part = rest;
            }
            match decoder.next(&mut part) {
                Ok(Some(Frame::Message(message))) => items.push(Item::Message(message)),
                Ok(Some(Frame::BlockStart(block))) => {
                    assert!(open.is_none() && block.length <= config.max_block);
                    open = Some((block, Vec::new()));
                }
                Ok(Some(Frame::BlockData(payload))) => {
                    assert!(!payload.is_empty());
                    open.as_mut().expect("a block is open").1.extend_from_slice(payload);
                }
                Ok(Some(Frame::BlockEnd)) => {
                    let (block, payload) = open.take().expect("a block is open");
                    assert_eq!(payload.len(), block.length as usize);
                    items.push(Item::Block(block, payload));
                }
                Ok(None) => {
                    assert!(part.is_empty(), "all input is used up");
                    break;
                }
                Err(error) => {
                    let mut more: &[u8] = &[0; 8];
                    assert_eq!(decoder.next(&mut more), Err(error), "an error stays");
                    items.push(Item::Failed(error));
                    return items;
                }
            }
        }
        assert!(decoder.kept_bytes() <= 2 * offered.max(1 << 21), "memory grows only as bytes come");
    }
    items.extend(open.map(|(block, payload)| Item::CutBlock(block, payload)));
    items
}

/// Cuts the stream into parts of these lengths, over and over; a length of 0 is an empty read.
fn split<'a>(mut stream: &'a [u8], cuts: &[usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut cuts = cuts.iter().chain([&100]).copied().cycle();
    std::iter::from_fn(move || {
        let cut = cuts.next().filter(|_| !stream.is_empty())?.min(stream.len());
        let (part, rest) = stream.split_at(cut);
        stream = rest;
        Some(part)
    })
}

/// The payload of an extended message under any of our numbers.
pub fn extended(data: &[u8]) {
    let Some((id, payload)) = data.split_first() else { return };
    let id = id % 8;
    let payload = Bytes::copy_from_slice(payload);
    match ExtendedMessage::parse(id, &payload) {
        Ok(Some(message)) => {
            let ids = ExtensionIds::ours(Extension::ALL);
            let sent = message.to_message(&ids).expect("all extensions are spoken");
            let Message::Extended { id: sent_id, payload } = sent else { panic!("{sent:?}") };
            assert_eq!(sent_id, id);
            let again = ExtendedMessage::parse(id, &payload).expect("what is written can be read");
            assert_eq!(again.map(settled), Some(settled(message)));
        }
        Ok(None) => assert_ne!(id, 0),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The message with what has no order put in order, and without what is not written.
fn settled(message: ExtendedMessage) -> ExtendedMessage {
    match message {
        ExtendedMessage::Handshake(mut handshake) => {
            let ExtendedHandshake { extensions, .. } = &mut *handshake;
            extensions.sort();
            ExtendedMessage::Handshake(handshake)
        }
        ExtendedMessage::Pex(mut pex) => {
            pex.listed = pex.added.len();
            ExtendedMessage::Pex(pex)
        }
        other => other,
    }
}
