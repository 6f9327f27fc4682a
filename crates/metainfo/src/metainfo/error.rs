//! Why bytes are not a torrent, in words for people; and what was wrong without being fatal.

use crate::bencode::{DecodeError, DecodeErrorKind, Kind};
use crate::layout::LayoutError;
use crate::path::PathError;
use crate::url::UrlError;

/// Why bytes are not a torrent that can be used.
///
/// Keys are written with the way that leads to them, like `info.files.3.path`, and every text from the torrent is fit for display.
/// [`MetainfoError::sentence`] makes a whole message of it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetainfoError {
    /// There are no bytes at all.
    #[error("0 bytes")]
    Empty,
    /// More bytes than the limit.
    #[error("{length} bytes are more than {limit}")]
    TooLarge {
        /// The length in bytes.
        length: usize,
        /// The most that is read, in bytes.
        limit: usize,
    },
    /// It is HTML or XML.
    #[error("it starts with \"{start}\"")]
    WebPage {
        /// Its first tag, at most 32 characters.
        start: String,
    },
    /// It does not start as a dictionary does.
    #[error("expected \"d\" at byte 0, found \"{}\"", [*.found].escape_ascii())]
    NotATorrent {
        /// The first byte.
        found: u8,
    },
    /// It is a dictionary, of something else.
    #[error("it has no \"info\" dictionary")]
    NoInfo,
    /// The bytes end too early.
    #[error("{}", cut_off(.error, *.length))]
    CutOff {
        /// Where, and inside of what.
        error: DecodeError,
        /// The length of all bytes.
        length: usize,
    },
    /// It is not bencode, or is over a limit of depth or count.
    #[error(transparent)]
    Bencode(DecodeError),
    /// Bytes other than line ends and zeros follow the end.
    #[error("more bytes after the end, at byte {offset}")]
    Trailing {
        /// Where they start.
        offset: usize,
    },
    /// A key that must be there is not.
    #[error("{key} is missing")]
    Missing {
        /// The key.
        key: String,
    },
    /// A value is of another kind than its key wants.
    #[error("{key} is {}, not {expected}", .found.name())]
    Kind {
        /// The key.
        key: String,
        /// What it is.
        found: Kind,
        /// What it should be, with its article.
        expected: &'static str,
    },
    /// A value is outside what its key allows.
    #[error("{key} is {found}; {valid}")]
    Value {
        /// The key.
        key: String,
        /// The value.
        found: String,
        /// What would be valid.
        valid: String,
    },
    /// A dictionary has a key twice, so that two readers may see two values.
    #[error("{key} is there twice, again at byte {offset}")]
    Repeated {
        /// The key.
        key: String,
        /// Where it stands again.
        offset: usize,
    },
    /// The info dictionary is not in canonical form where it must be.
    #[error("{key} has {what}")]
    NotCanonical {
        /// The part that was looked at.
        key: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The piece hashes are cut.
    #[error("info.pieces has {length} bytes, not a multiple of 20")]
    PiecesLength {
        /// Their length in bytes.
        length: usize,
    },
    /// There are more or fewer piece hashes than pieces.
    #[error("{hashes} piece hashes for {pieces} pieces of {}", bytes(*.piece_length))]
    PieceCount {
        /// The hashes that are there.
        hashes: usize,
        /// The pieces that the lengths make.
        pieces: u32,
        /// The piece length in bytes.
        piece_length: u32,
    },
    /// More pieces than asked to accept.
    #[error("{pieces} pieces are more than {limit}")]
    Pieces {
        /// The pieces that there are.
        pieces: u32,
        /// The most that are accepted.
        limit: u32,
    },
    /// A path leads out of the torrent's folder.
    #[error("{} named \"{name}\"", file_or_torrent(.file))]
    UnsafePath {
        /// The number of the file, the first is 1; `None` if it is the name of the torrent.
        file: Option<usize>,
        /// The path, as it is written.
        name: String,
    },
    /// A path is no path.
    #[error("{key}: {error}")]
    Path {
        /// The key.
        key: String,
        /// Why.
        error: PathError,
    },
    /// The lengths make no layout.
    #[error(transparent)]
    Layout(LayoutError),
    /// The version of the format is one that is not known (BEP 52).
    #[error("meta version {0}; versions 1 and 2 are known")]
    Version(i64),
    /// The file tree is not one (BEP 52).
    #[error("{key} {what}")]
    Tree {
        /// Where in the tree.
        key: String,
        /// What is wrong there.
        what: &'static str,
    },
    /// A piece layer does not fit the file it is for (BEP 52).
    #[error("piece layer {root} {what}")]
    Layer {
        /// The start of the root that it is for, in hex.
        root: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The v1 half and the v2 half of a hybrid describe different content (BEP 52).
    #[error("its v1 and v2 halves differ: {0}")]
    Hybrid(String),
}

impl MetainfoError {
    /// The whole message about `subject`, such as a quoted file name: `x.torrent is cut off: ...`.
    #[must_use]
    pub fn sentence(&self, subject: &str) -> String {
        match self {
            Self::Empty => format!("{subject} is empty (0 bytes)"),
            Self::WebPage { .. } => format!("{subject} is a web page, not a torrent ({self})"),
            _ => format!("{subject} {}: {self}", self.verdict()),
        }
    }

    /// What kind of fault it is, as a predicate: `is cut off`, `is damaged`, ...
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match self {
            Self::Empty => "is empty",
            Self::TooLarge { .. } | Self::Pieces { .. } | Self::Layout(_) => "is out of bounds",
            Self::WebPage { .. } => "is a web page, not a torrent",
            Self::NotATorrent { .. } | Self::NoInfo => "is not a torrent",
            Self::CutOff { .. } => "is cut off",
            Self::PieceCount { .. } | Self::Hybrid(_) => "contradicts itself",
            Self::UnsafePath { .. } => "is unsafe",
            Self::Version(_) => "is of an unknown version",
            _ => "is damaged",
        }
    }

    /// Sorts out what a decoder found in `length` bytes.
    pub(crate) fn from_decode(error: DecodeError, length: usize) -> Self {
        match error.kind {
            DecodeErrorKind::Empty => Self::Empty,
            DecodeErrorKind::Ended | DecodeErrorKind::StringPastEnd { .. } => Self::CutOff { error, length },
            _ => Self::Bencode(error),
        }
    }
}

fn cut_off(error: &DecodeError, length: usize) -> String {
    let place = if error.path.is_empty() { "a string".to_owned() } else { format!("\"{}\"", error.path) };
    match error.kind {
        DecodeErrorKind::StringPastEnd { promised, available } => {
            format!("{place} promises {promised} bytes at byte {}, the file has {available}", error.offset)
        }
        _ if error.path.is_empty() => format!("it ends at byte {length}"),
        _ => format!("it ends at byte {length}, within {place}"),
    }
}

fn file_or_torrent(file: &Option<usize>) -> String {
    file.map_or_else(|| "it is".to_owned(), |number| format!("file {number} is"))
}

/// A length in the largest binary unit that divides it.
fn bytes(length: u32) -> String {
    match length.trailing_zeros() {
        20.. if length > 0 => format!("{} MiB", length >> 20),
        10..20 => format!("{} KiB", length >> 10),
        _ => format!("{length} bytes"),
    }
}

/// Something that is wrong with a torrent, and that we can live with.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// Keys of the info dictionary, or of one within it, are not sorted. Its hash is taken over the bytes as they are.
    #[error("keys of the info dictionary are not sorted")]
    UnsortedInfo,
    /// Keys outside of the info dictionary are not sorted.
    #[error("keys outside of the info dictionary are not sorted")]
    Unsorted,
    /// Numbers have leading zeros.
    #[error("numbers have leading zeros")]
    LeadingZeros,
    /// A field of the wrong kind, or out of range, was left out.
    #[error("{key} is not valid and was left out")]
    Dropped {
        /// The key.
        key: String,
    },
    /// The address of a tracker or web seed was left out.
    #[error("{key}: \"{address}\" was left out: {error}")]
    Address {
        /// The key it stands under.
        key: &'static str,
        /// The address, without user and password, fit for display.
        address: String,
        /// Why.
        error: UrlError,
    },
    /// Names were changed, because they are not safe as they are written.
    #[error("names that are not safe were changed, in the paths of {files} files")]
    Names {
        /// How many files; none if it is only the name of the torrent.
        files: usize,
    },
    /// A file was given another name, because its own is that of another file or of a folder.
    #[error("file {file} has the path of another and is renamed to \"{path}\"")]
    Renamed {
        /// The number of the file, the first is 1.
        file: usize,
        /// The new path.
        path: String,
    },
    /// A symbolic link leads nowhere in the torrent: an empty file stands for it.
    #[error("file {file} is a link to \"{target}\", which is not in the torrent: an empty file stands for it")]
    Link {
        /// The number of the file, the first is 1.
        file: usize,
        /// Where it leads, as it is written.
        target: String,
    },
    /// Files without their piece layer (BEP 52): their hashes are not known yet.
    #[error("the piece layers of {files} files are missing")]
    NoLayers {
        /// How many files.
        files: usize,
    },
    /// More warnings than are kept.
    #[error("and more")]
    More,
}

/// A torrent with very much wrong must not cost much to say so.
const MOST_WARNINGS: usize = 100;

/// Keeps a warning, up to a bound.
pub(crate) fn warn(warnings: &mut Vec<Warning>, warning: Warning) {
    match warnings.len() {
        0..MOST_WARNINGS => warnings.push(warning),
        MOST_WARNINGS => warnings.push(Warning::More),
        _ => {}
    }
}
