//! The way out of an encrypted connection.

use std::io::IoSlice;

use riverrun_proto::mse::Cipher;

use super::link::Outbox;

/// What has been encrypted and has not left yet.
///
/// A cipher is a stream: what was put through it must leave in that order, whatever more urgent things come meanwhile. So the
/// next bytes are sealed in place, in the buffers that they lie in, only when all that was sealed before has left.
#[derive(Debug)]
pub(crate) struct Seal {
    cipher: Cipher,
    sealed: Outbox,
}

impl Seal {
    pub(crate) fn new(cipher: Cipher) -> Self {
        Self { cipher, sealed: Outbox::default() }
    }

    /// Whether all that was sealed has left.
    pub(crate) fn is_empty(&self) -> bool {
        self.sealed.is_empty()
    }

    /// Bytes of messages that were sealed and have not left.
    pub(crate) fn control_bytes(&self) -> usize {
        self.sealed.control_bytes()
    }

    /// As [`Outbox::write_with`] of an outbox that is sealed on its way.
    pub(crate) fn write_with<E>(
        &mut self,
        outbox: &mut Outbox,
        most: usize,
        write: impl FnOnce(&[IoSlice<'_>]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        if self.sealed.is_empty() {
            outbox.hand_over(&mut self.sealed, most, |bytes| self.cipher.apply(bytes));
        }
        let written = self.sealed.write_with(most, write)?;
        outbox.served.append(&mut self.sealed.served);
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use riverrun_metainfo::{Block, PieceIndex, WireHash};
    use riverrun_proto::mse::{Initiator, Methods, RANDOM_LENGTH, Responder};
    use riverrun_proto::wire::Message;
    use riverrun_storage::Pool;

    use super::super::link::{Link, Outgoing};
    use super::*;

    /// A cipher as a handshake gives it.
    fn cipher() -> Cipher {
        let hash = WireHash([1; 20]);
        let mut near = Initiator::new([2; RANDOM_LENGTH], hash, Methods::Rc4, b"");
        let mut far = Responder::new([3; RANDOM_LENGTH], Methods::Rc4);
        loop {
            let end = far.feed(&mut &near.take()[..], |_| Some(hash)).unwrap();
            if let Some(covered) = end {
                return covered.outbound.unwrap();
            }
            near.feed(&mut &far.take()[..]).unwrap();
        }
    }

    #[test]
    fn whatever_the_socket_takes_and_whatever_comes_meanwhile_the_stream_can_be_read() {
        let mut random = fastrand::Rng::with_seed(7);
        let cipher = cipher();
        for _ in 0..100 {
            let pool = Pool::new(4 << 20);
            let (mut link, mut outbox, mut seal) =
                (Link::new(Arc::default()), Outbox::default(), Seal::new(cipher.clone()));
            let (mut sent, mut blocks, mut haves) = (Vec::new(), Vec::new(), Vec::new());
            for turn in 0.. {
                for number in 0..random.u32(0..3) {
                    let piece = PieceIndex(turn * 3 + number);
                    if turn < 12 && random.bool() {
                        link.send(&Message::Have(piece));
                        haves.push(piece);
                    } else if turn < 12 {
                        let mut buffer = pool.try_take().unwrap();
                        let length = random.u32(1..=16_384);
                        buffer.append(&vec![u8::try_from(number).unwrap(); length as usize]);
                        let block = Block { piece, begin: 0, length };
                        blocks.push(block);
                        link.send_block(Outgoing::new(block, vec![buffer].into()));
                    }
                }
                assert_eq!(link.take(&mut outbox), None);
                if turn >= 12 && outbox.is_empty() && seal.is_empty() {
                    break;
                }
                if outbox.is_empty() && seal.is_empty() {
                    continue;
                }
                let (most, taken) = (random.usize(1..60_000), random.usize(1..40_000));
                let write = |slices: &[IoSlice<'_>]| {
                    let mut bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
                    assert!(!bytes.is_empty() && bytes.len() <= most);
                    bytes.truncate(taken);
                    sent.extend_from_slice(&bytes);
                    Ok::<_, ()>(bytes.len())
                };
                seal.write_with(&mut outbox, most, write).unwrap();
            }
            cipher.clone().apply(&mut sent);
            let (mut rest, mut blocks_read, mut haves_read) = (&sent[..], Vec::new(), Vec::new());
            while let Some((prefix, _)) = rest.split_first_chunk::<4>() {
                let (message, after) = rest.split_at(4 + u32::from_be_bytes(*prefix) as usize);
                let number = |at: usize| u32::from_be_bytes(message[at..at + 4].try_into().unwrap());
                match message[4] {
                    4 => haves_read.push(PieceIndex(number(5))),
                    7 => {
                        let length = u32::try_from(message.len() - 13).unwrap();
                        assert!(message[13..].iter().all(|byte| *byte == message[13]));
                        blocks_read.push(Block { piece: PieceIndex(number(5)), begin: number(9), length });
                    }
                    other => panic!("no message of kind {other} was sent"),
                }
                rest = after;
            }
            assert_eq!((blocks_read, haves_read), (blocks.clone(), haves));
            assert_eq!(outbox.served, blocks, "all that left is told");
            assert_eq!(pool.out(), 0, "every buffer came back");
        }
    }
}
