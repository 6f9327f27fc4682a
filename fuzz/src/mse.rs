use riverrun_metainfo::WireHash;
use riverrun_proto::mse::{Cover, Covered, Initiator, Methods, MseError, RANDOM_LENGTH, Responder, TorrentMark};

use crate::bits::Bits;

const OURS: WireHash = WireHash([0x5a; 20]);
/// More than all pads, keys and marks of one direction.
const LONGEST: usize = 2048;

/// Two sides of an MSE handshake with some bytes between them changed (under RC4 that changes the same bits of what they mean), in
/// any cuts: however it is cut it ends the same, and nothing is taken of what follows. Then noise alone, into each side.
pub fn mse(data: &[u8]) {
    let mut bits = Bits::new(data);
    let case = Case::new(&mut bits);
    let whole = case.run(&[LONGEST]);
    if case.strikes.iter().all(|(.., by)| *by == 0) {
        let (Ok(near), Ok(far)) = (&whole[0], &whole[1]) else { panic!("untouched, it fails: {whole:?}") };
        assert_eq!(
            (near.as_ref().map(|end| end.0), far.as_ref().map(|end| end.0)),
            (Some(case.cover()), Some(case.cover()))
        );
        assert_eq!(far.as_ref().map(|end| &end.1), Some(&case.first));
    }
    assert_eq!(whole, case.run(&case.cuts), "cut into {:?}", case.cuts);
    noise(bits.rest(), &case.cuts);
}

/// A handshake to be.
struct Case {
    near_rc4: bool,
    far_rc4: bool,
    random: u8,
    first: Vec<u8>,
    cuts: Vec<usize>,
    /// Direction, place and change.
    strikes: Vec<(bool, usize, u8)>,
}

/// How one side ended: covered how far, with these first bytes; `None`: it waits.
type End = Result<Option<(Cover, Vec<u8>)>, MseError>;

impl Case {
    fn new(bits: &mut Bits<'_>) -> Self {
        let flags = bits.byte();
        let random = bits.byte();
        let first = vec![bits.byte(); usize::from(bits.byte() % 69)];
        let cuts = (0..4).map(|_| usize::from(bits.byte()) + 1).collect();
        let strikes = (0..flags >> 2 & 7).map(|_| {
            let place = usize::from(bits.byte()) << 8 | usize::from(bits.byte());
            (place & 0x8000 != 0, (place & 0x7fff) % LONGEST, bits.byte())
        });
        let strikes = strikes.collect();
        Self { near_rc4: flags & 1 != 0, far_rc4: flags & 2 != 0, random, first, cuts, strikes }
    }

    fn cover(&self) -> Cover {
        if self.near_rc4 || self.far_rc4 { Cover::Stream } else { Cover::Handshake }
    }

    fn run(&self, cuts: &[usize]) -> [End; 2] {
        let methods = |rc4| if rc4 { Methods::Rc4 } else { Methods::Either };
        let mut near = Initiator::new([self.random.max(1); RANDOM_LENGTH], OURS, methods(self.near_rc4), &self.first);
        let mut far = Responder::new([(!self.random).max(1); RANDOM_LENGTH], methods(self.far_rc4));
        let (mut out, mut back) = (Wire::new(self, false), Wire::new(self, true));
        let (mut near_end, mut far_end) = (None, None);
        out.send(near.take());
        let mut cuts = cuts.iter().copied().cycle();
        // Each turn moves a byte at least, or nothing more will ever move.
        loop {
            let cut = cuts.next().expect("there are cuts");
            let moved = out.carry(cut.min(far.missing()), &mut far_end, |part| far.feed(part, known));
            back.send(far.take());
            let moved_back = back.carry(cut.min(near.missing()), &mut near_end, |part| near.feed(part));
            out.send(near.take());
            if !moved && !moved_back {
                break;
            }
        }
        [near_end, far_end].map(|end| match end {
            None => Ok(None),
            Some(Ok(covered)) => Ok(Some((covered.cover, covered.first))),
            Some(Err(error)) => Err(error),
        })
    }
}

/// One direction: what is under way, and what is to be changed of it.
struct Wire<'a> {
    case: &'a Case,
    back: bool,
    sent: usize,
    bytes: Vec<u8>,
}

impl<'a> Wire<'a> {
    fn new(case: &'a Case, back: bool) -> Self {
        Self { case, back, sent: 0, bytes: Vec::new() }
    }

    fn send(&mut self, mut bytes: Vec<u8>) {
        for (_, place, by) in self.case.strikes.iter().filter(|(back, ..)| *back == self.back) {
            if let Some(byte) = place.checked_sub(self.sent).and_then(|place| bytes.get_mut(place)) {
                *byte ^= by;
            }
        }
        self.sent += bytes.len();
        self.bytes.append(&mut bytes);
    }

    /// Feeds the next bytes; false if nothing moves.
    fn carry(
        &mut self,
        most: usize,
        end: &mut Option<Result<Covered, MseError>>,
        feed: impl FnOnce(&mut &[u8]) -> Result<Option<Covered>, MseError>,
    ) -> bool {
        let count = most.min(self.bytes.len());
        if end.is_some() || count == 0 {
            return false;
        }
        let mut part = &self.bytes[..count];
        *end = feed(&mut part).transpose();
        assert!(part.is_empty() || end.is_some(), "what is missing is taken");
        self.bytes.drain(..count);
        true
    }
}

fn known(mark: TorrentMark) -> Option<WireHash> {
    (mark == TorrentMark::of(OURS)).then_some(OURS)
}

/// Bytes with no sense, into both sides: the same however they are cut, and an end within the longest pad.
fn noise(bytes: &[u8], cuts: &[usize]) {
    let ends = [&[LONGEST][..], cuts].map(|cuts| {
        let mut near = Initiator::new([1; RANDOM_LENGTH], OURS, Methods::Either, b"");
        let mut far = Responder::new([2; RANDOM_LENGTH], Methods::Either);
        let (mut rest, mut cuts) = (bytes, cuts.iter().copied().cycle());
        while !rest.is_empty() {
            let (part, after) = rest.split_at(cuts.next().expect("there are cuts").min(rest.len()));
            let _ = near.feed(&mut &*part);
            let _ = far.feed(&mut &*part, known);
            rest = after;
        }
        let near = near.feed(&mut &[][..]).map(|covered| covered.map(|covered| covered.cover));
        let far = far.feed(&mut &[][..], known).map(|covered| covered.map(|covered| covered.cover));
        (near, far)
    });
    assert_eq!(ends[0], ends[1], "cut into {cuts:?}");
    assert!(bytes.len() < LONGEST || (ends[0].0.is_err() && ends[0].1.is_err()), "{ends:?}");
}
