//! SHA-1 and SHA-256 over bytes that come in parts.
//!
//! A state can be cloned, kept and gone on with at any byte; it is plain data, so many of them can wait for their bytes. Several
//! states that have bytes at once go side by side where the machine can ([`Sha1::update_many`], [`Sha256::update_many`]). How, the
//! instructions that it has decide, and what they cost once that was measured ([`calibrate`]).

mod calibration;
mod kernel;
mod lanes;
mod stream;
#[cfg(test)]
mod tests;

pub use calibration::{Calibration, Candidate, calibrate};
pub use lanes::Way;
use stream::Stream;

/// The length of a SHA-1 digest in bytes.
pub const SHA1_LENGTH: usize = 20;

/// The length of a SHA-256 digest in bytes.
pub const SHA256_LENGTH: usize = 32;

/// A SHA-1 (FIPS 180-4) over bytes that come in parts.
#[derive(Clone, Debug)]
pub struct Sha1(Stream<5>);

/// A SHA-256 (FIPS 180-4) over bytes that come in parts.
#[derive(Clone, Debug)]
pub struct Sha256(Stream<8>);

/// The SHA-1 of these bytes.
#[must_use]
pub fn sha1(bytes: &[u8]) -> [u8; SHA1_LENGTH] {
    let mut hash = Sha1::new();
    hash.update(bytes);
    hash.finish()
}

/// The SHA-256 of these bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; SHA256_LENGTH] {
    let mut hash = Sha256::new();
    hash.update(bytes);
    hash.finish()
}

/// The SHA-256 of each of these inputs, in order and side by side.
#[must_use]
pub fn sha256_many<'a>(inputs: impl IntoIterator<Item = &'a [u8]>) -> Vec<[u8; SHA256_LENGTH]> {
    let mut states: Vec<(Sha256, &[u8])> = inputs.into_iter().map(|bytes| (Sha256::new(), bytes)).collect();
    Sha256::update_many(&mut states.iter_mut().map(|(state, bytes)| (state, *bytes)).collect::<Vec<_>>());
    Sha256::finish_many(states.into_iter().map(|(state, _)| state)).collect()
}

impl Sha1 {
    /// The state before the first byte.
    #[must_use]
    pub const fn new() -> Self {
        Self(Stream::new([0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0]))
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes, sha1::block_api::compress);
    }

    /// How many bytes came so far.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.0.length()
    }

    /// The digest of all bytes that came.
    #[must_use]
    pub fn finish(self) -> [u8; SHA1_LENGTH] {
        self.0.finish(sha1::block_api::compress)
    }
}

impl Sha256 {
    /// The state before the first byte.
    #[must_use]
    pub const fn new() -> Self {
        Self(Stream::new([
            0x6a09_e667,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19,
        ]))
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes, sha2::block_api::compress256);
    }

    /// How many bytes came so far.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.0.length()
    }

    /// The digest of all bytes that came.
    #[must_use]
    pub fn finish(self) -> [u8; SHA256_LENGTH] {
        self.0.finish(sha2::block_api::compress256)
    }
}

impl Default for Sha1 {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}
