//! Both sides against each other, and each against a peer that does not do as it should.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use riverrun_metainfo::WireHash;

use super::dh::{KEY_LENGTH, KeyPair, SECRET_LENGTH};
use super::keys::{ciphers, sync_mark};
use super::*;
use crate::limits::{MAX_MSE_FIRST, MAX_MSE_PAD};

const OURS: WireHash = WireHash([0x5a; 20]);

fn known(mark: TorrentMark) -> Option<WireHash> {
    (mark == TorrentMark::of(OURS)).then_some(OURS)
}

fn nobody(_: TorrentMark) -> Option<WireHash> {
    None
}

/// How the two ends of one handshake came out, and what each did not take of what followed.
struct Ended {
    near: Result<Covered, MseError>,
    far: Result<Covered, MseError>,
    near_rest: Vec<u8>,
    far_rest: Vec<u8>,
}

/// Runs a handshake in cuts of these lengths. Each side sends `after` behind its part as soon as it knows how.
fn run(near: &mut Initiator, far: &mut Responder, cuts: &[usize], after: &[u8]) -> Ended {
    let (mut to_far, mut to_near) = (near.take(), Vec::new());
    let (mut near_end, mut far_end) = (Ok(None), Ok(None));
    let mut cuts = cuts.iter().copied().cycle();
    let mut idle = 0;
    while idle < 600 {
        let cut = cuts.next().unwrap_or(usize::MAX);
        idle = if to_far.is_empty() && to_near.is_empty() { 600 } else { idle + 1 };
        if matches!(far_end, Ok(None)) {
            let mut input = &to_far[..cut.min(to_far.len())];
            let offered = input.len();
            far_end = far.feed(&mut input, known);
            let taken = offered - input.len();
            to_far.drain(..taken);
            idle = if taken > 0 { 0 } else { idle };
            to_near.extend(far.take());
            if let Ok(Some(covered)) = &mut far_end {
                let mut bytes = after.to_vec();
                covered.outbound.iter_mut().for_each(|cipher| cipher.apply(&mut bytes));
                to_near.extend(bytes);
            }
        }
        if matches!(near_end, Ok(None)) {
            let mut input = &to_near[..cut.min(to_near.len())];
            let offered = input.len();
            near_end = near.feed(&mut input);
            let taken = offered - input.len();
            to_near.drain(..taken);
            idle = if taken > 0 { 0 } else { idle };
            to_far.extend(near.take());
            if let Ok(Some(covered)) = &mut near_end {
                let mut bytes = after.to_vec();
                covered.outbound.iter_mut().for_each(|cipher| cipher.apply(&mut bytes));
                to_far.extend(bytes);
            }
        }
    }
    let ended =
        |end: Result<Option<Covered>, MseError>| end.map(|covered| covered.expect("it ends one way or the other"));
    Ended { near: ended(near_end), far: ended(far_end), near_rest: to_near, far_rest: to_far }
}

proptest! {
    #[test]
    fn two_sides_agree_whatever_the_cuts(
        near_random: [u8; 28],
        far_random: [u8; 28],
        near_rc4: bool,
        far_rc4: bool,
        first in proptest::collection::vec(any::<u8>(), 0..=MAX_MSE_FIRST),
        cuts in proptest::collection::vec(1usize..200, 1..20),
    ) {
        let methods = |rc4| if rc4 { Methods::Rc4 } else { Methods::Either };
        let mut near = Initiator::new(near_random, OURS, methods(near_rc4), &first);
        let mut far = Responder::new(far_random, methods(far_rc4));
        let after = b"what comes behind the handshake";
        let ended = run(&mut near, &mut far, &cuts, after);
        let (mut near, mut far) = (ended.near.unwrap(), ended.far.unwrap());
        let cover = if near_rc4 || far_rc4 { Cover::Stream } else { Cover::Handshake };
        prop_assert_eq!((near.cover, far.cover), (cover, cover));
        prop_assert_eq!((near.info_hash, far.info_hash), (OURS, OURS));
        prop_assert_eq!(near.inbound.is_some(), cover == Cover::Stream);
        prop_assert_eq!(&far.first, &first);
        let (mut near_rest, mut far_rest) = (ended.near_rest, ended.far_rest);
        near.inbound.iter_mut().for_each(|cipher| cipher.apply(&mut near_rest));
        far.inbound.iter_mut().for_each(|cipher| cipher.apply(&mut far_rest));
        prop_assert_eq!(&near_rest, after, "nothing of what follows was taken");
        prop_assert_eq!(&far_rest, after);
    }

    #[test]
    fn fed_no_more_than_is_missing_it_takes_all_of_it(near_random: [u8; 28], far_random: [u8; 28]) {
        let mut near = Initiator::new(near_random, OURS, Methods::Either, b"first");
        let mut far = Responder::new(far_random, Methods::Either);
        let (mut to_far, mut to_near) = (near.take(), Vec::new());
        let mut reads = 0;
        while near.missing() > 0 || far.missing() > 0 {
            let mut input = &to_far[..far.missing().min(to_far.len())];
            let taken = input.len();
            far.feed(&mut input, known).unwrap();
            prop_assert!(input.is_empty());
            to_far.drain(..taken);
            to_near.extend(far.take());
            let mut input = &to_near[..near.missing().min(to_near.len())];
            let taken = input.len();
            near.feed(&mut input).unwrap();
            prop_assert!(input.is_empty());
            to_near.drain(..taken);
            to_far.extend(near.take());
            reads += 1;
            prop_assert!(reads < 200);
        }
        prop_assert!(to_far.is_empty() && to_near.is_empty());
    }

    #[test]
    fn p26_any_bytes_end_in_an_error_or_wait(bytes in proptest::collection::vec(any::<u8>(), 0..2000), cut in 1usize..700) {
        let mut near = Initiator::new([1; 28], OURS, Methods::Either, b"");
        let mut far = Responder::new([2; 28], Methods::Either);
        for part in bytes.chunks(cut) {
            _ = near.feed(&mut &*part);
            _ = far.feed(&mut &*part, known);
        }
        if bytes.len() >= KEY_LENGTH + MAX_MSE_PAD + 56 {
            prop_assert!(far.feed(&mut &[][..], known).is_err());
            prop_assert!(near.feed(&mut &[][..]).is_err());
        }
    }
}

/// An initiator that a test writes byte by byte, against our responder.
struct Stranger {
    pair: KeyPair,
    far: Responder,
}

impl Stranger {
    fn new() -> Self {
        Self { pair: KeyPair::new([9; SECRET_LENGTH]), far: Responder::new([3; 28], Methods::Either) }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<Option<Covered>, MseError> {
        self.far.feed(&mut &*bytes, known)
    }

    /// Sends its key and so much of a pad; the secret.
    fn begin(&mut self, pad: usize) -> Result<[u8; KEY_LENGTH], MseError> {
        let key = *self.pair.public();
        self.feed(&key)?;
        let theirs = self.far.take();
        assert!((KEY_LENGTH..=KEY_LENGTH + MAX_MSE_PAD).contains(&theirs.len()));
        self.feed(&vec![0xee; pad])?;
        Ok(self.pair.shared(theirs.first_chunk().unwrap()).unwrap())
    }

    /// A whole opening: a pad, then the marks, and `message` encrypted.
    fn opening(&mut self, pad: usize, message: &[u8]) -> Result<Option<Covered>, MseError> {
        let secret = self.begin(pad)?;
        let mut bytes = sync_mark(&secret).to_vec();
        bytes.extend_from_slice(&TorrentMark::of(OURS).masked(&secret).0);
        let mut message = message.to_vec();
        ciphers(&secret, OURS).0.apply(&mut message);
        self.feed(&[bytes, message].concat())
    }
}

/// VC, methods, a pad and first bytes of these lengths.
fn offer(constant: u8, methods: u32, pad: u16, first: u16) -> Vec<u8> {
    let mut bytes = vec![constant; 8];
    bytes.extend_from_slice(&methods.to_be_bytes());
    bytes.extend_from_slice(&pad.to_be_bytes());
    bytes.resize(bytes.len() + usize::from(pad), 0xaa);
    bytes.extend_from_slice(&first.to_be_bytes());
    bytes.resize(bytes.len() + usize::from(first), 0xbb);
    bytes
}

#[test]
fn a_stranger_that_does_as_it_should_is_answered() {
    for (pad, second, first) in [(0, 0, 0), (512, 512, 68), (3, 0, 68), (200, 1, 1)] {
        let covered = Stranger::new().opening(pad, &offer(0, 3, second, first)).unwrap().unwrap();
        assert_eq!((covered.cover, covered.first), (Cover::Handshake, vec![0xbb; usize::from(first)]));
    }
}

#[test]
fn p26_bad_sync() {
    let no_mark = Err(MseError::NoMark(MAX_MSE_PAD));
    assert_eq!(Stranger::new().opening(513, &offer(0, 3, 0, 0)).map(|_| ()), no_mark, "one byte too many");
    let mut endless = Stranger::new();
    let mut taken = 0;
    let end = endless.begin(0).and_then(|_| {
        loop {
            let mut input = &[0x77; 100][..];
            endless.far.feed(&mut input, known)?;
            taken += 100 - input.len();
        }
    });
    let end: Result<(), MseError> = end;
    assert_eq!(end, no_mark);
    assert!(taken <= MAX_MSE_PAD + 100, "{taken} bytes were searched");
}

#[test]
fn p26_pads_over_512() {
    assert_eq!(Stranger::new().opening(0, &offer(0, 3, 513, 0)).map(|_| ()), Err(MseError::Pad(513)));
    assert_eq!(Stranger::new().opening(0, &offer(0, 3, u16::MAX, 0)).map(|_| ()), Err(MseError::Pad(65_535)));
    let mut near = Answerer::new();
    assert_eq!(near.answer(0, 0, 1, 513), Err(MseError::Pad(513)));
}

#[test]
fn p26_wrong_constant() {
    assert_eq!(Stranger::new().opening(5, &offer(1, 3, 0, 0)).map(|_| ()), Err(MseError::WrongConstant));
    // The initiator looks for the constant: a wrong one is never found.
    assert_eq!(Answerer::new().answer(0, 1, 1, 512), Err(MseError::NoMark(MAX_MSE_PAD)));
}

#[test]
fn p26_first_bytes_over_68() {
    assert_eq!(Stranger::new().opening(0, &offer(0, 3, 0, 69)).map(|_| ()), Err(MseError::First(69)));
    assert_eq!(Stranger::new().opening(0, &offer(0, 3, 0, u16::MAX)).map(|_| ()), Err(MseError::First(65_535)));
}

#[test]
fn p26_weak_keys_end_it_on_both_sides() {
    let mut one = [0; KEY_LENGTH];
    one[KEY_LENGTH - 1] = 1;
    for weak in [[0; KEY_LENGTH], one, [0xff; KEY_LENGTH]] {
        let mut far = Responder::new([3; 28], Methods::Either);
        assert_eq!(far.feed(&mut &weak[..], known).map(|_| ()), Err(MseError::WeakKey));
        assert!(far.take().is_empty());
        let mut near = Initiator::new([3; 28], OURS, Methods::Either, b"");
        _ = near.take();
        assert_eq!(near.feed(&mut &weak[..]).map(|_| ()), Err(MseError::WeakKey));
        assert!(near.take().is_empty(), "the torrent is not told");
    }
}

#[test]
fn p26_methods_that_nobody_allows() {
    assert_eq!(Stranger::new().opening(0, &offer(0, 4, 0, 0)).map(|_| ()), Err(MseError::Methods(4)));
    let mut strict = Stranger::new();
    strict.far = Responder::new([3; 28], Methods::Rc4);
    assert_eq!(strict.opening(0, &offer(0, 1, 0, 0)).map(|_| ()), Err(MseError::Methods(1)));
    assert_eq!(Answerer::new().answer(7, 0, 4, 0), Err(MseError::Methods(4)));
}

#[test]
fn p26_an_error_stays() {
    let mut stranger = Stranger::new();
    assert!(stranger.opening(0, &offer(1, 3, 0, 0)).is_err());
    assert_eq!(stranger.feed(&[0; 100]).map(|_| ()), Err(MseError::WrongConstant));
    assert_eq!(stranger.far.missing(), 0);
}

#[test]
fn p30_a_torrent_that_is_not_here_is_not_answered() {
    let mut near = Initiator::new([1; 28], OURS, Methods::Either, b"first bytes");
    let mut far = Responder::new([2; 28], Methods::Either);
    far.feed(&mut &near.take()[..], nobody).unwrap();
    near.feed(&mut &far.take()[..]).unwrap();
    assert_eq!(far.feed(&mut &near.take()[..], nobody).map(|_| ()), Err(MseError::UnknownTorrent));
    assert!(far.take().is_empty(), "not a byte after the public key");
}

/// A responder that a test writes byte by byte, against our initiator.
struct Answerer {
    pair: KeyPair,
    near: Initiator,
}

impl Answerer {
    fn new() -> Self {
        Self { pair: KeyPair::new([9; SECRET_LENGTH]), near: Initiator::new([4; 28], OURS, Methods::Either, b"") }
    }

    /// Answers with a pad, a constant, a choice, and a last pad of this length.
    fn answer(&mut self, pad: usize, constant: u8, choice: u32, last: u16) -> Result<Option<Cover>, MseError> {
        let opening = self.near.take();
        let secret = self.pair.shared(opening.first_chunk().unwrap()).unwrap();
        let mut bytes = self.pair.public().to_vec();
        bytes.resize(bytes.len() + pad, 0xee);
        let mut message = vec![constant; 8];
        message.extend_from_slice(&choice.to_be_bytes());
        message.extend_from_slice(&last.to_be_bytes());
        message.resize(message.len() + usize::from(last), 0);
        ciphers(&secret, OURS).1.apply(&mut message);
        let end = self.near.feed(&mut &[bytes, message].concat()[..]);
        end.map(|covered| covered.map(|covered| covered.cover))
    }
}

#[test]
fn an_answer_as_it_should_be_passes() {
    for (pad, choice, last) in [(0, 1, 0), (512, 2, 512), (511, 1, 3)] {
        let cover = if choice == 1 { Cover::Handshake } else { Cover::Stream };
        assert_eq!(Answerer::new().answer(pad, 0, choice, last), Ok(Some(cover)));
    }
    assert_eq!(Answerer::new().answer(513, 0, 1, 0), Err(MseError::NoMark(MAX_MSE_PAD)));
}

#[test]
fn pads_differ_from_handshake_to_handshake() {
    let lengths: std::collections::BTreeSet<usize> =
        (0..50).map(|seed| Initiator::new([seed; 28], OURS, Methods::Rc4, b"").take().len()).collect();
    assert!(lengths.len() > 20);
    assert!(lengths.iter().all(|length| (KEY_LENGTH..=KEY_LENGTH + MAX_MSE_PAD).contains(length)));
}
