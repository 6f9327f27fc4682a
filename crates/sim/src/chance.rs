//! Where all that happens by chance in a world comes from: a seed, or the bytes of a fuzzer and then a seed.

/// What a run is made from: the same seed gives the same run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seed<'a> {
    number: u64,
    bytes: &'a [u8],
    traced: bool,
}

impl<'a> Seed<'a> {
    /// Chance follows these bytes as long as there are any, so that a fuzzer steers what happens.
    #[must_use]
    pub fn steered(bytes: &'a [u8]) -> Self {
        let number = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |digest: u64, byte| {
            (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { number, bytes, traced: false }
    }

    /// Each event is printed as it happens.
    #[must_use]
    pub fn traced(self) -> Self {
        Self { traced: true, ..self }
    }

    /// As `sim-replay` takes it: the number, or the bytes.
    pub(crate) fn name(self) -> String {
        if self.bytes.is_empty() {
            return self.number.to_string();
        }
        self.bytes.iter().fold("0x".to_owned(), |name, byte| format!("{name}{byte:02x}"))
    }

    pub(crate) fn is_traced(self) -> bool {
        self.traced
    }
}

impl From<u64> for Seed<'_> {
    fn from(number: u64) -> Self {
        Self { number, bytes: &[], traced: false }
    }
}

impl From<Seed<'_>> for u64 {
    fn from(seed: Seed<'_>) -> Self {
        seed.number
    }
}

/// A stream of numbers.
#[derive(Debug)]
pub(crate) struct Chance {
    bytes: Vec<u8>,
    taken: usize,
    rng: fastrand::Rng,
}

impl Chance {
    pub(crate) fn new(seed: Seed<'_>) -> Self {
        Self { bytes: seed.bytes.to_vec(), taken: 0, rng: fastrand::Rng::with_seed(seed.number) }
    }

    /// So many bytes of the fuzzer as a number, if there are any left.
    fn steered(&mut self, count: usize) -> Option<u64> {
        let next = self.bytes.get(self.taken..self.taken + count)?;
        self.taken += count;
        Some(next.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Any number.
    pub(crate) fn any(&mut self) -> u64 {
        self.steered(8).unwrap_or_else(|| self.rng.u64(..))
    }

    /// A number below `below`, which is not 0.
    pub(crate) fn below(&mut self, below: u32) -> u32 {
        let count = (32 - (below - 1).leading_zeros()).div_ceil(8) as usize;
        let below = u64::from(below);
        let number = self.steered(count).map_or_else(|| self.rng.u64(..below), |number| number % below);
        u32::try_from(number).expect("below a number of 32 bits")
    }

    /// An index below `below`, which is not 0.
    pub(crate) fn index(&mut self, below: usize) -> usize {
        self.below(u32::try_from(below).expect("no world has so many")) as usize
    }

    /// From 0 to below 1. It is drawn for each packet, so it is not steered: it would use the bytes up.
    pub(crate) fn jitter(&mut self) -> f64 {
        self.rng.f64()
    }

    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            all.swap(last, self.index(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_steer_until_they_are_used_up_and_the_same_bytes_give_the_same() {
        let draw = |bytes: &[u8]| {
            let mut chance = Chance::new(Seed::steered(bytes));
            [chance.below(256).into(), chance.below(1000).into(), chance.any(), chance.below(7).into()]
        };
        let steered = draw(&[7, 3, 232, 0, 0, 0, 0, 0, 0, 1, 0, 9]);
        assert_eq!(steered, [7, 0, 256, 2]);
        assert_eq!(draw(&[7, 3]), draw(&[7, 3]));
        assert_ne!(draw(&[7, 3]), draw(&[7, 4]));
    }

    #[test]
    fn numbers_stay_below_their_bound_and_a_shuffle_loses_nothing() {
        let mut chance = Chance::new(Seed::steered(&[255; 64]));
        for below in [1, 2, 3, 255, 256, 257, 65_536, 1 << 31] {
            assert!((0..40).all(|_| chance.below(below) < below));
        }
        assert!((0..100).all(|_| (0.0..1.0).contains(&chance.jitter())));
        let mut all: Vec<u32> = (0..50).collect();
        chance.shuffle(&mut all);
        assert_ne!(all, (0..50).collect::<Vec<_>>());
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
    }
}
