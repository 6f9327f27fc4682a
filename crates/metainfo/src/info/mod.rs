//! The info dictionary: the hashed part of a torrent, which says what the content is.

mod fields;
mod files;
mod hybrid;
mod links;
mod parse;
mod tree;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::bencode::{self, Limits};
use crate::info_hash::InfoHashes;
use crate::layout::{FileIndex, Layout};
use crate::merkle::Node;
use crate::metainfo::{MetainfoError, PieceHashes, Warning};
use crate::path::{NameRules, SafePath};

pub(crate) use fields::Fields;
pub(crate) use parse::{decode, parse};

/// What of a stranger's torrent is accepted, and how its names are made safe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParseOptions {
    /// The longest torrent file or info dictionary, in bytes.
    pub max_bytes: usize,
    /// The depth and number of its values.
    pub bencode: Limits,
    /// The most pieces; [`Layout::MAX_PIECES`] is never exceeded.
    pub max_pieces: u32,
    /// The rules for names.
    pub names: NameRules,
    /// Takes a torrent that has `..` in a path, with `_` in place of it. Otherwise it is refused: no honest program makes one.
    pub accept_unsafe_paths: bool,
}

impl Default for ParseOptions {
    /// 64 MiB, depth 100, 3 million values, 2^21 pieces, names for this system, unsafe paths refused.
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            bencode: Limits::METAINFO,
            max_pieces: 1 << 21,
            names: NameRules::NATIVE,
            accept_unsafe_paths: false,
        }
    }
}

/// A checked info dictionary (BEP 3, 47, 52) with the very bytes that its hashes were taken over.
#[derive(Clone)]
pub struct Info {
    raw: Bytes,
    hashes: InfoHashes,
    name: SafePath,
    is_single_file: bool,
    files: Vec<File>,
    /// v2 and hybrid: the root of each file's hash tree, beside `files`; `None` for empty files and padding.
    roots: Vec<Option<Node>>,
    /// Targets of symbolic links, sorted by file.
    links: Vec<(FileIndex, SafePath)>,
    layout: Arc<Layout>,
    /// The v1 hashes, 20 bytes each; empty for v2.
    pieces: Bytes,
    private: bool,
    source: Option<String>,
    warnings: Vec<Warning>,
}

/// A file of a torrent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Its safe path. In a torrent of many files it lies in the folder [`Info::name`], which is not part of it.
    pub path: SafePath,
    /// Its length in bytes.
    pub length: u64,
    /// What is special about it (BEP 47).
    pub attributes: Attributes,
}

/// What is special about a file (BEP 47). Displays as in torrents: letters of `p`, `h`, `x`, `l`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Attributes(u8);

impl Attributes {
    const LETTERS: [u8; 4] = *b"phxl";

    /// Reads the letters, in any order; unknown ones are ignored.
    #[must_use]
    pub fn from_letters(letters: &[u8]) -> Self {
        let bit = |letter: &u8| Self::LETTERS.iter().position(|known| known == letter).map_or(0, |at| 1 << at);
        Self(letters.iter().fold(0, |bits, letter| bits | bit(letter)))
    }

    /// Padding: zeros between files, never on disk.
    #[must_use]
    pub fn is_pad(self) -> bool {
        self.0 & 1 != 0
    }

    /// Hidden from directory listings.
    #[must_use]
    pub fn is_hidden(self) -> bool {
        self.0 & 2 != 0
    }

    /// A program.
    #[must_use]
    pub fn is_executable(self) -> bool {
        self.0 & 4 != 0
    }

    /// A symbolic link; [`Info::link_target`] tells where to.
    #[must_use]
    pub fn is_link(self) -> bool {
        self.0 & 8 != 0
    }

    fn without_link(self) -> Self {
        Self(self.0 & !8)
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = Self::LETTERS.iter().zip(0u8..).filter(|(_, at)| self.0 & 1 << at != 0);
        set.into_iter().try_for_each(|(letter, _)| write!(f, "{}", char::from(*letter)))
    }
}

impl Info {
    /// Reads an info dictionary that came alone, from peers (BEP 9). Whether it is the one that was wanted, its hashes tell.
    ///
    /// # Errors
    /// It is not one that can be used.
    pub fn from_raw(raw: Bytes) -> Result<Self, MetainfoError> {
        Self::from_raw_with(raw, &ParseOptions::default())
    }

    /// As [`Info::from_raw`], with other limits.
    ///
    /// # Errors
    /// It is not one that can be used.
    pub fn from_raw_with(raw: Bytes, options: &ParseOptions) -> Result<Self, MetainfoError> {
        if raw.len() > options.max_bytes {
            return Err(MetainfoError::TooLarge { length: raw.len(), limit: options.max_bytes });
        }
        let (document, files) =
            decode(&raw, &[b"files"], options).map_err(|error| MetainfoError::from_decode(error, raw.len()))?;
        if document.end() < raw.len() {
            return Err(MetainfoError::Trailing { offset: document.end() });
        }
        parse(document.root(), raw.clone(), files, &mut Fields::new("info.", options))
    }

    /// The bytes of the dictionary as they were received: what peers ask for (BEP 9) and what the hashes are of.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The info-hashes, over the raw bytes.
    #[must_use]
    pub fn hashes(&self) -> InfoHashes {
        self.hashes
    }

    /// The name: of the file, or of the folder that the files are in. One safe name.
    #[must_use]
    pub fn name(&self) -> &SafePath {
        &self.name
    }

    /// Whether the content is one file called [`Info::name`], and not a folder of that name.
    #[must_use]
    pub fn is_single_file(&self) -> bool {
        self.is_single_file
    }

    /// The files in the torrent's order, padding included: file 0 is [`FileIndex`] 0 of the layout.
    #[must_use]
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The path of a file with the torrent's name before it, as people are shown it.
    #[must_use]
    pub fn full_path(&self, file: &File) -> SafePath {
        if self.is_single_file { file.path.clone() } else { file.path.within(&self.name) }
    }

    /// The root of a file's hash tree (BEP 52); `None` for v1, for empty files and for padding.
    #[must_use]
    pub fn root(&self, file: FileIndex) -> Option<&Node> {
        self.roots.get(file.0 as usize)?.as_ref()
    }

    /// The roots beside [`Info::files`]; empty for v1.
    pub(crate) fn roots(&self) -> &[Option<Node>] {
        &self.roots
    }

    /// Where a symbolic link leads: a file or folder of this torrent, from the torrent's folder.
    #[must_use]
    pub fn link_target(&self, file: FileIndex) -> Option<&SafePath> {
        let at = self.links.binary_search_by_key(&file, |(link, _)| *link).ok()?;
        Some(&self.links[at].1)
    }

    /// The map between bytes, pieces and files.
    #[must_use]
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Whether peers may come from its trackers only (BEP 27).
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// The tag that sets the torrents of one site apart, so that their hashes differ. Not fit for display as it is.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The v1 piece hashes, 20 bytes each; empty for v2.
    #[must_use]
    pub fn v1_pieces(&self) -> &Bytes {
        &self.pieces
    }

    /// What was wrong with the dictionary without being fatal.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The expected hashes as far as the dictionary alone has them: all of v1; of v2 those of files of at most one piece.
    #[must_use]
    pub fn piece_hashes(&self) -> PieceHashes {
        PieceHashes::new(self)
    }

    /// The bytes of this dictionary with other values for `private` and `source`; everything else stays. The outcome has another
    /// info-hash, unless nothing changed. An empty source takes the key out.
    #[must_use]
    pub fn edited(&self, private: Option<bool>, source: Option<&str>) -> Vec<u8> {
        let document = bencode::decode(&self.raw, Limits { depth: usize::MAX, tokens: usize::MAX })
            .expect("these bytes were decoded when the info dictionary was read");
        let changed = |key: &[u8]| key == b"private" && private.is_some() || key == b"source" && source.is_some();
        bencode::dict(|dict| {
            for (key, value) in document.root().as_dict().into_iter().flatten().filter(|(key, _)| !changed(key)) {
                dict.raw(key, value.raw());
            }
            if private == Some(true) {
                dict.int("private", 1);
            }
            if let Some(source) = source.filter(|source| !source.is_empty()) {
                dict.bytes("source", source);
            }
        })
    }
}

impl fmt::Debug for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Info");
        debug.field("hashes", &self.hashes).field("name", &self.name).field("files", &self.files.len());
        debug.field("pieces", &self.layout.piece_count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
