//! What is shared: torrent files, magnet links, the layout of their bytes and the hashes that prove them.
//!
//! Data and its checks only: nothing here opens a file or a socket, reads a clock or draws a random number. Everything a
//! stranger can send (a torrent file, a magnet link, a name) becomes a checked type here or a precise error.

pub mod bencode;
pub mod bitfield;
pub mod create;
pub mod display;
pub mod hash;
pub mod info;
pub mod info_hash;
pub mod layout;
pub mod magnet;
pub mod merkle;
pub mod metainfo;
pub mod path;
pub mod piece;
pub mod piece_hash;
#[cfg(test)]
mod samples;
pub mod url;

pub use bitfield::Bitfield;
pub use info::{Info, ParseOptions};
pub use info_hash::{InfoHashV1, InfoHashV2, InfoHashes, WireHash};
pub use layout::{Extent, FileIndex, Layout, LayoutError, LayoutFile};
pub use magnet::Magnet;
pub use metainfo::{Metainfo, MetainfoError};
pub use path::SafePath;
pub use piece::{BLOCK_LENGTH, Block, PieceIndex, Span};
