//! (to come)

/// The expected hash of every piece: v1, v2 or both.
#[derive(Debug)]
pub struct PieceHashes {}
