//! What a torrent is, once its info dictionary is here and its place is decided.

use std::path::PathBuf;
use std::sync::Arc;

use riverrun_metainfo::info::Info;
use riverrun_metainfo::metainfo::PieceHashes;

use super::padding::Padding;
use super::web_seed::WebSeed;

/// The pieces of a torrent, and how its owner wants them. Never changes.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) info: Arc<Info>,
    pub(crate) hashes: Arc<PieceHashes>,
    pub(crate) options: Options,
    pub(crate) padding: Padding,
    /// By their numbers.
    pub(crate) web_seeds: Vec<WebSeed>,
}

impl Content {
    pub(crate) fn new(info: Arc<Info>, hashes: Arc<PieceHashes>, options: Options, web_seeds: Vec<WebSeed>) -> Self {
        let padding = Padding::of(info.layout());
        Self { info, hashes, options, padding, web_seeds }
    }
}

/// How the owner wants it, as far as it does not change.
#[derive(Debug)]
pub(crate) struct Options {
    /// The file or folder that is the content.
    pub(crate) path: PathBuf,
    pub(crate) read_only: bool,
    pub(crate) overwrite: bool,
    pub(crate) trust_resume: bool,
    pub(crate) forget_resume_when_complete: bool,
    pub(crate) sequential: bool,
    pub(crate) super_seeding: bool,
    pub(crate) max_connections: usize,
}
