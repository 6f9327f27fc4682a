//! What has come and is not used yet: never more than the next step needs.

use super::MseError;
use crate::limits::MAX_MSE_PAD;

/// Keeps bytes until there are as many as the next step takes.
#[derive(Debug)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    needed: usize,
}

impl Inbox {
    /// Waits for so many bytes.
    pub(super) fn new(needed: usize) -> Self {
        Self { bytes: Vec::new(), needed }
    }

    /// How many more bytes the next step takes.
    pub(super) fn missing(&self) -> usize {
        self.needed - self.bytes.len()
    }

    /// Takes what the next step lacks; true if it can be made.
    pub(super) fn fill(&mut self, input: &mut &[u8]) -> bool {
        let (front, rest) = input.split_at(self.missing().min(input.len()));
        self.bytes.extend_from_slice(front);
        *input = rest;
        self.missing() == 0
    }

    /// The bytes that were waited for; `next` more are waited for now.
    pub(super) fn take(&mut self, next: usize) -> Vec<u8> {
        self.needed = next;
        std::mem::take(&mut self.bytes)
    }

    /// Looks for `mark` behind a pad. Found: all up to its end is gone, and `next` bytes in all are waited for after it. Else as
    /// many more as are sure to come: the rest of the mark, if the bytes end like its beginning, and `next`.
    ///
    /// # Errors
    /// The mark is not where the longest pad would end, or before.
    pub(super) fn seek(&mut self, mark: &[u8], next: usize) -> Result<bool, MseError> {
        if let Some(at) = self.bytes.windows(mark.len()).position(|window| window == mark) {
            if at > MAX_MSE_PAD {
                return Err(MseError::NoMark(MAX_MSE_PAD));
            }
            self.bytes.drain(..at + mark.len());
            self.needed = next;
            return Ok(true);
        }
        let begun = (0..mark.len()).rev().find(|length| self.bytes.ends_with(&mark[..*length])).unwrap_or(0);
        let pad = self.bytes.len() - begun;
        if pad > MAX_MSE_PAD {
            return Err(MseError::NoMark(MAX_MSE_PAD));
        }
        self.needed = pad + mark.len() + next;
        Ok(false)
    }
}
