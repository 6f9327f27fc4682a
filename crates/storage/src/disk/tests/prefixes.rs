//! Pieces that are hashed from memory while they come.

use super::*;

/// Far more than need to come together.
const PIECES: u32 = 16;
const PIECE: u64 = 4 * BLOCK as u64;

/// A torrent on a single thread that waits at its first write, so that everything else comes to it in one batch.
struct Held {
    rig: Rig,
    storage: Arc<Gated>,
    sample: Sample,
}

impl Held {
    fn new(sample: Sample) -> Self {
        let storage = Gated::new(&sample);
        let disk = Disk::start(DiskConfig { threads: 1, pool_bytes: 256 * BLOCK as usize });
        let rig = Rig::on(disk, &sample, storage.clone());
        let last = PieceIndex(sample.layout.piece_count() - 1);
        rig.write(last, sample.span_of(last).offset, &[1; 10]);
        storage.wait_for_a_write();
        Self { rig, storage, sample }
    }

    fn of_pieces(format: Format) -> Self {
        Self::new(Sample::new(format, PIECE as u32, &[("a", u64::from(PIECES) * PIECE + 10)]))
    }

    /// Writes these blocks of every piece but the last.
    fn write_blocks(&self, blocks: std::ops::Range<u64>) {
        for piece in (0..PIECES).map(PieceIndex) {
            let offset = self.sample.span_of(piece).offset + blocks.start * u64::from(BLOCK);
            let length = (blocks.end - blocks.start) * u64::from(BLOCK);
            self.rig.write(piece, offset, self.sample.bytes(Span { offset, length }));
        }
    }

    /// Which pieces are good, of all but the last; and how often was read.
    fn outcomes(&self) -> (Vec<bool>, u64) {
        let before = self.storage.inner.counts().reads;
        (0..PIECES).for_each(|piece| self.rig.torrent.verify(PieceIndex(piece), false));
        self.storage.open();
        let mut good = vec![false; PIECES as usize];
        for _ in 0..PIECES {
            let (piece, outcome) = self.rig.next_verified();
            good[piece.0 as usize] = matches!(outcome, VerifyOutcome::Good { .. });
        }
        (good, self.storage.inner.counts().reads - before)
    }
}

#[test]
fn pieces_that_come_side_by_side_are_never_read_back() {
    for format in [Format::V1, Format::V2, Format::Hybrid] {
        let held = Held::of_pieces(format);
        held.write_blocks(0..1);
        held.write_blocks(1..4);
        assert_eq!(held.outcomes(), (vec![true; PIECES as usize], 0), "{format:?}");
    }
}

#[test]
fn only_what_does_not_go_on_where_the_hashing_stopped_is_read_back() {
    let held = Held::of_pieces(Format::V1);
    held.write_blocks(0..2);
    held.write_blocks(3..4);
    held.storage.open();
    held.rig.settle();
    held.write_blocks(2..3);
    let (good, reads) = held.outcomes();
    assert_eq!(good, [true; PIECES as usize]);
    assert_eq!(reads, u64::from(PIECES), "one block of each");
}

#[test]
fn a_block_that_is_written_anew_counts_as_it_was_written_last() {
    for bad_comes_last in [false, true] {
        let held = Held::of_pieces(Format::V1);
        let bad = [9; BLOCK as usize];
        let right = held.sample.bytes(Span { offset: 0, length: BLOCK.into() }).to_vec();
        if !bad_comes_last {
            held.write_blocks(0..1);
            held.rig.write(PieceIndex(0), 0, &bad);
        }
        held.storage.open();
        held.rig.settle();
        held.write_blocks(0..2);
        held.rig.settle();
        held.rig.write(PieceIndex(0), 0, if bad_comes_last { &bad } else { &right });
        held.write_blocks(2..4);
        let mut expected = vec![true; PIECES as usize];
        expected[0] = !bad_comes_last;
        assert_eq!(held.outcomes().0, expected, "the bad block comes last: {bad_comes_last}");
    }
}

#[test]
fn a_bad_block_makes_its_piece_corrupt_and_no_other() {
    let held = Held::of_pieces(Format::Hybrid);
    held.write_blocks(0..3);
    held.storage.open();
    held.rig.settle();
    let at = held.sample.span_of(PieceIndex(5)).offset + 3 * u64::from(BLOCK);
    for piece in (0..PIECES).map(PieceIndex) {
        let offset = held.sample.span_of(piece).offset + 3 * u64::from(BLOCK);
        let mut bytes = held.sample.bytes(Span { offset, length: BLOCK.into() }).to_vec();
        bytes[77] ^= u8::from(offset == at);
        held.rig.write(piece, offset, &bytes);
    }
    let mut expected = vec![true; PIECES as usize];
    expected[5] = false;
    assert_eq!(held.outcomes().0, expected);
}

#[test]
fn what_a_peer_sends_as_padding_is_not_what_counts() {
    // Each file but the last ends in the middle of a piece, and padding follows it.
    let names: Vec<String> = (0..=PIECES).map(|number| format!("{number:02}")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), PIECE - 1000)).collect();
    let held = Held::new(Sample::new(Format::Hybrid, PIECE as u32, &files));
    for piece in (0..PIECES).map(PieceIndex) {
        let span = held.sample.span_of(piece);
        let mut bytes = held.sample.bytes(span).to_vec();
        bytes[PIECE as usize - 1] = 7;
        held.rig.write(piece, span.offset, &bytes);
    }
    assert_eq!(held.outcomes().0, [true; PIECES as usize]);
}

#[test]
fn p9_pieces_that_never_end_are_forgotten_before_they_take_much_memory() {
    let mut prefixes = Prefixes::default();
    let sample = Sample::new(Format::V1, BLOCK, &[("a", 4000 * u64::from(BLOCK))]);
    let rig = Rig::new(&sample, memory(&sample), 64);
    let write = |piece: u32| {
        let mut buffer = rig.disk.pool().try_take().unwrap();
        buffer.append(&[1; 100]);
        let torrent = Arc::clone(&rig.torrent.handle.torrent);
        Write {
            torrent,
            piece: PieceIndex(piece),
            offset: u64::from(piece * BLOCK),
            length: 100,
            run: vec![buffer],
            share: None,
        }
    };
    for batch in 0..250 {
        let writes: Vec<_> = (batch * 16..batch * 16 + 16).map(write).collect();
        prefixes.hash(&writes);
        prefixes.trim();
        assert!(prefixes.held_bytes() <= 512 << 10);
    }
    let kept = |piece| prefixes.is_begun(&rig.torrent.handle.torrent, PieceIndex(piece));
    assert!(kept(3999) && !kept(0), "the ones that wait longest go first");
    prefixes.forget(&rig.torrent.handle.torrent);
    assert_eq!(prefixes.held_bytes(), 0);
}
