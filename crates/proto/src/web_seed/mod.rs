//! Web seeds (BEP 19): what is asked of a server on the web that has the files of a torrent, and whether its answer is one.
//!
//! A web seed is a peer that has every piece (or those of the files that it has) and takes nothing. The swarm asks it for
//! blocks like any other; whoever drives it turns runs of blocks into ranges of files. This module has the parts of that
//! which need no socket.

mod answer;
mod url;

use std::time::Duration;

pub use answer::{Body, Head};
pub use url::WebSeedUrl;

/// Why a web seed did not give what was asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebSeedError {
    /// The server has not this file, or not for us.
    #[error("answers {0} for a file")]
    Missing(u16),
    /// The server has another file in its place.
    #[error("has a file of {found} bytes in place of one of {expected}")]
    Length {
        /// As the torrent says.
        expected: u64,
        /// As the server says.
        found: u64,
    },
    /// The server can do no more for us at present.
    #[error("is busy (answers {status})")]
    Busy {
        /// The number of its answer.
        status: u16,
        /// When it wants to be asked again, as it says.
        retry_after: Option<Duration>,
    },
    /// Any other answer that brings nothing.
    #[error("answers {0}")]
    Status(u16),
    /// The server sends files from their start alone, and what is needed lies too far behind it.
    #[error("does not serve ranges")]
    NoRanges,
    /// The answer is not to what was asked, or contradicts itself; what is wrong.
    #[error("lies: {0}")]
    Lie(&'static str),
    /// A piece that it alone sent failed its hash, or a block of it did.
    #[error("sent bad data")]
    BadData,
    /// The rules for where we go or whom we trust, or our owner's, say no. May hold text of a stranger.
    #[error("{0}")]
    Refused(String),
    /// The network. May hold text of a stranger.
    #[error("{0}")]
    Network(String),
    /// Nothing came for too long.
    #[error("no answer in time")]
    Timeout,
}

/// What an error means for the use of a web seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// One file is not to be had there; the others are.
    File,
    /// It may work later: after this time, if the server named one.
    Passing(Option<Duration>),
    /// It will not get better soon.
    Lasting,
    /// It lied, or what it has is not the torrent's content.
    Bad,
}

impl WebSeedError {
    /// What follows from it.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Missing(_) | Self::Length { .. } => Fault::File,
            Self::Busy { retry_after, .. } => Fault::Passing(*retry_after),
            Self::Status(_) | Self::Network(_) | Self::Timeout => Fault::Passing(None),
            Self::NoRanges | Self::Refused(_) => Fault::Lasting,
            Self::Lie(_) | Self::BadData => Fault::Bad,
        }
    }
}
