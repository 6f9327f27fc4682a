//! What a reader of a file will want and when: the policy behind every reader and player.

use std::time::{Duration, Instant};

use riverrun_metainfo::{Layout, PieceIndex, Span};

use crate::limits;
use crate::swarm::Deadline;

/// How far ahead of a reader pieces come before all others, as time at its rate.
const AHEAD: Duration = Duration::from_secs(20);
/// The same in bytes, at least.
const LEAST_AHEAD: u64 = 8 << 20;
/// The same in bytes, at most.
const MOST_AHEAD: u64 = 128 << 20;
/// How much earlier than it is read a piece should be here.
const MARGIN: Duration = Duration::from_millis(500);
/// The rate that is assumed before anything is known, in bytes per second: a high one, for then nobody waits on slow peers.
const FIRST_RATE: u64 = 4 << 20;
/// The least rate that is assumed, in bytes per second.
const LEAST_RATE: u64 = 64 << 10;
/// What is measured over less than this says nothing.
const LEAST_MEASURED: Duration = Duration::from_millis(1500);
/// What was measured counts half after so long.
const MEMORY: Duration = Duration::from_secs(8);
/// How much of the end of a file comes with its first pieces, in bytes: players look for an index there.
const INDEX_BYTES: u64 = 1 << 20;
/// When that should be here.
const INDEX_DUE: Duration = Duration::from_secs(2);

/// Where a reader is, how fast it reads, and from that what it will want.
///
/// Time that the reader spends waiting for data does not count as reading, for then a slow download would look like a slow
/// reader; a reader that does nothing but wait is taken to be at most twice as fast as it gets on.
#[derive(Clone, Debug)]
pub struct ReadAhead {
    /// The file in the byte stream.
    file: Span,
    /// The next byte that is read, in the byte stream.
    position: u64,
    /// The end of the file is wanted early.
    index: bool,
    measured: Measured,
}

/// How much was read in which time, what was long ago counting less.
#[derive(Clone, Debug)]
struct Measured {
    bytes: u64,
    reading: Duration,
    waiting: Duration,
    since: Instant,
    waits: bool,
}

impl ReadAhead {
    /// A reader at the start of a file. With `index` the end of the file comes early too.
    #[must_use]
    pub fn new(now: Instant, file: Span, index: bool) -> Self {
        let (reading, waiting) = (Duration::ZERO, Duration::ZERO);
        let measured = Measured { bytes: 0, reading, waiting, since: now, waits: false };
        Self { file, position: file.offset, index, measured }
    }

    /// It goes on at this place of the file.
    pub fn seek(&mut self, now: Instant, position: u64) {
        self.measured.turn(now, false);
        self.position = self.file.offset + position.min(self.file.length);
    }

    /// It has read so many bytes.
    pub fn read(&mut self, now: Instant, bytes: u64) {
        self.measured.turn(now, false);
        self.measured.bytes += bytes;
        self.position = (self.position + bytes).min(self.file.end());
    }

    /// It wants data that is not here.
    pub fn waits(&mut self, now: Instant) {
        self.measured.turn(now, true);
    }

    /// Its rate, in bytes per second, as far as is known.
    #[must_use]
    pub fn rate(&self) -> u64 {
        self.measured.rate()
    }

    /// What it wants from now on: the pieces ahead that are not had, with the moments by which they should be here.
    /// A piece that is wanted for two reasons is named twice.
    #[must_use]
    pub fn plan(&self, now: Instant, layout: &Layout, had: impl Fn(PieceIndex) -> bool) -> Vec<Deadline> {
        let rate = self.rate();
        let ahead = rate.saturating_mul(AHEAD.as_secs()).clamp(LEAST_AHEAD, MOST_AHEAD);
        let end = (self.position + ahead).min(self.file.end());
        let mut plan = Vec::new();
        let pieces = |from: u64, to: u64| {
            let first = layout.piece_at(from).filter(|_| from < to);
            let last = layout.piece_at(to.saturating_sub(1));
            let range = first.zip(last).map(|(first, last)| first.0..last.0 + 1).unwrap_or_default();
            range.map(PieceIndex)
        };
        for piece in pieces(self.position, end).filter(|piece| !had(*piece)).take(limits::MAX_DEADLINES / 2) {
            let offset = layout.piece_span(piece).map_or(0, |span| span.offset).saturating_sub(self.position);
            let read = Duration::from_millis(offset.saturating_mul(1000) / rate);
            plan.push(Deadline { due: now + read.saturating_sub(MARGIN), piece });
        }
        if self.index {
            let last = self.file.end().saturating_sub(INDEX_BYTES).max(self.file.offset);
            let index = pieces(last, self.file.end()).filter(|piece| !had(*piece)).take(limits::MAX_DEADLINES / 4);
            plan.extend(index.map(|piece| Deadline { due: now + INDEX_DUE, piece }));
        }
        plan
    }
}

impl Measured {
    /// From now on it waits, or reads.
    fn turn(&mut self, now: Instant, waits: bool) {
        let passed = now.saturating_duration_since(std::mem::replace(&mut self.since, now));
        match std::mem::replace(&mut self.waits, waits) {
            true => self.waiting += passed,
            false => self.reading += passed,
        }
        while self.reading + self.waiting > MEMORY {
            (self.bytes, self.reading, self.waiting) = (self.bytes / 2, self.reading / 2, self.waiting / 2);
        }
    }

    fn rate(&self) -> u64 {
        let all = self.reading + self.waiting;
        if all < LEAST_MEASURED {
            return FIRST_RATE;
        }
        let per_second = |time: Duration| {
            let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
            self.bytes.saturating_mul(1000) / milliseconds
        };
        per_second(self.reading).min(per_second(all).saturating_mul(2)).max(LEAST_RATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::tests::birth;

    const PIECE: u64 = 256 << 10;

    fn layout() -> Layout {
        Layout::v1(PIECE, [(100, false), (1000 * PIECE, false)]).expect("a small layout")
    }

    fn reader(index: bool) -> ReadAhead {
        ReadAhead::new(birth(), Span { offset: 100, length: 1000 * PIECE }, index)
    }

    fn pieces(plan: &[Deadline]) -> Vec<u32> {
        plan.iter().map(|deadline| deadline.piece.0).collect()
    }

    #[test]
    fn the_window_is_what_is_read_in_twenty_seconds_and_moves_with_the_reader() {
        let (layout, mut reader) = (layout(), reader(false));
        for step in 1..=100 {
            reader.read(birth() + Duration::from_millis(step * 100), PIECE / 5);
        }
        let now = birth() + Duration::from_secs(10);
        assert!((reader.rate() / (PIECE / 50)).abs_diff(100) < 5, "two pieces a second, {}", reader.rate());
        let plan = reader.plan(now, &layout, |piece| piece.0 == 22);
        let expected: Vec<u32> = (20..60).filter(|piece| *piece != 22).collect();
        assert!(pieces(&plan).starts_with(&expected[..35]), "{:?}", pieces(&plan));
        assert!(plan.len() < 45, "{:?}", pieces(&plan));
        assert!(plan.is_sorted());
        assert_eq!(plan[0].due, now, "late already");
        let tenth = plan.iter().find(|deadline| deadline.piece.0 == 30).map(|deadline| deadline.due - now);
        assert!(tenth.is_some_and(|due| (4100..4700).contains(&due.as_millis())), "{tenth:?}");
        reader.seek(now, 500 * PIECE);
        assert_eq!(pieces(&reader.plan(now, &layout, |_| false))[0], 500);
    }

    #[test]
    fn waiting_is_not_reading() {
        let mut reader = reader(false);
        let mut now = birth();
        for _ in 0..40 {
            now += Duration::from_millis(50);
            reader.waits(now);
            now += Duration::from_millis(50);
            reader.read(now, 100_000);
        }
        assert!((1_900_000..2_100_000).contains(&reader.rate()), "{}", reader.rate());
    }

    #[test]
    fn who_only_waits_is_at_most_twice_as_fast_as_it_gets_on() {
        let mut reader = reader(false);
        let mut now = birth();
        for _ in 0..40 {
            reader.waits(now);
            now += Duration::from_millis(100);
            reader.read(now, 100_000);
        }
        assert!((1_900_000..2_100_000).contains(&reader.rate()), "{}", reader.rate());
    }

    #[test]
    fn the_end_of_the_file_comes_early_when_asked() {
        let (layout, reader) = (layout(), reader(true));
        let plan = reader.plan(birth(), &layout, |_| false);
        assert_eq!(pieces(&plan)[0], 0);
        assert_eq!(pieces(&plan)[plan.len() - 5..], [996, 997, 998, 999, 1000]);
        assert_eq!(plan[plan.len() - 1].due, birth() + INDEX_DUE);
        assert!(!pieces(&self::reader(false).plan(birth(), &layout, |_| false)).contains(&999));
    }

    #[test]
    fn nothing_is_wanted_beyond_the_end() {
        let (layout, mut reader) = (layout(), reader(true));
        reader.seek(birth(), u64::MAX);
        assert_eq!(pieces(&reader.plan(birth(), &layout, |_| false)), [996, 997, 998, 999, 1000]);
        assert!(reader.plan(birth(), &layout, |_| true).is_empty());
        let empty = ReadAhead::new(birth(), Span { offset: 100, length: 0 }, true);
        assert!(empty.plan(birth(), &layout, |_| false).is_empty());
    }
}
