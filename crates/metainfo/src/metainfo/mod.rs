//! Torrent files: the info dictionary and what stands around it.

mod addresses;
mod draft;
mod error;
mod layers;
mod piece_layer;
mod pieces;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

pub use draft::Draft;
pub(crate) use error::warn;
pub use error::{MetainfoError, Warning};
pub use piece_layer::{PieceLayer, ProofError, RUN_LENGTH};
pub use pieces::{ExpectedHash, ExpectedV2, PieceHasher, PieceHashes, RunId, Verdict};

use crate::bencode::{Dict, Value};
use crate::info::{self, Fields, Info, ParseOptions};
use crate::info_hash::InfoHashes;
use crate::merkle::Node;

/// The keys of a torrent file that are read, so that the others can be kept as they are.
const KNOWN_KEYS: [&[u8]; 10] = [
    b"announce",
    b"announce-list",
    b"comment",
    b"comment.utf-8",
    b"created by",
    b"creation date",
    b"info",
    b"nodes",
    b"piece layers",
    b"url-list",
];

/// A checked torrent file (BEP 3, 5, 12, 19, 52). Texts are as their makers wrote them: show them through [`crate::display`].
#[derive(Clone)]
pub struct Metainfo {
    info: Arc<Info>,
    trackers: Vec<Vec<String>>,
    web_seeds: Vec<String>,
    nodes: Vec<(String, u16)>,
    comment: Option<String>,
    created_by: Option<String>,
    creation_date: Option<i64>,
    /// The piece layers by root, each verified against it.
    layers: BTreeMap<Node, Bytes>,
    hashes: Arc<PieceHashes>,
    /// The file has the key for them, if only with nothing in it.
    has_layers: bool,
    /// Entries that are not known here, as key and raw value.
    others: Vec<(Bytes, Bytes)>,
    warnings: Vec<Warning>,
}

impl Metainfo {
    /// Reads and checks a torrent file.
    ///
    /// # Errors
    /// It is not a torrent that can be used; [`MetainfoError::sentence`] says why in words.
    pub fn parse(bytes: Bytes) -> Result<Self, MetainfoError> {
        Self::parse_with(bytes, &ParseOptions::default())
    }

    /// As [`Metainfo::parse`], with other limits.
    ///
    /// # Errors
    /// It is not a torrent that can be used.
    pub fn parse_with(bytes: Bytes, options: &ParseOptions) -> Result<Self, MetainfoError> {
        check_start(&bytes, options)?;
        let (document, files) = info::decode(&bytes, &[b"info", b"files"], options)
            .map_err(|error| MetainfoError::from_decode(error, bytes.len()))?;
        // Some programs end the file with a line end or zeros.
        let rest = &bytes[document.end()..];
        if let Some(at) = rest.iter().position(|byte| !matches!(byte, b'\n' | b'\r' | 0)) {
            return Err(MetainfoError::Trailing { offset: document.end() + at });
        }
        let mut fields = Fields::new("", options);
        let root = document.root().as_dict().ok_or(MetainfoError::NotATorrent { found: bytes[0] })?;
        let info = root.get("info").filter(|info| info.as_dict().is_some()).ok_or(MetainfoError::NoInfo)?;
        let info = info::parse(info, bytes.slice(info.span()), files, &mut fields)?;
        check_form(root, &mut fields)?;
        let hashes = PieceHashes::new(&info);
        let layers = layers::read(root, &bytes, &info, &hashes, &mut fields)?;
        let others = root
            .iter()
            .filter(|(key, _)| !KNOWN_KEYS.contains(key))
            .map(|(key, value)| (bytes.slice_ref(key), bytes.slice(value.span())))
            .collect();
        let warnings = info.warnings().to_vec();
        let comment = root.get("comment.utf-8").and_then(Value::as_str).map(str::to_owned);
        let mut metainfo = Self {
            trackers: addresses::trackers(root, &mut fields),
            web_seeds: addresses::web_seeds(root, &mut fields),
            nodes: addresses::nodes(root, &mut fields),
            comment: comment.or_else(|| fields.text(root, "comment")),
            created_by: fields.text(root, "created by"),
            creation_date: fields.optional(root, "creation date", Value::as_int),
            has_layers: info.hashes().v2().is_some() && root.get("piece layers").is_some(),
            info: Arc::new(info),
            layers,
            hashes: Arc::new(hashes),
            others,
            warnings,
        };
        metainfo.warnings.append(&mut fields.warnings);
        Ok(metainfo)
    }

    /// The info dictionary.
    #[must_use]
    pub fn info(&self) -> &Arc<Info> {
        &self.info
    }

    /// The info-hashes.
    #[must_use]
    pub fn hashes(&self) -> InfoHashes {
        self.info.hashes()
    }

    /// The trackers, tier by tier (BEP 12), in the order of the file. Schemes that we speak only; each address once.
    #[must_use]
    pub fn trackers(&self) -> &[Vec<String>] {
        &self.trackers
    }

    /// The web seeds (BEP 19).
    #[must_use]
    pub fn web_seeds(&self) -> &[String] {
        &self.web_seeds
    }

    /// DHT nodes to begin with, as host and port (BEP 5).
    #[must_use]
    pub fn nodes(&self) -> &[(String, u16)] {
        &self.nodes
    }

    /// What its maker says about it.
    #[must_use]
    pub fn comment(&self) -> Option<&str> {
        self.comment.as_deref()
    }

    /// Whether it names neither trackers nor web seeds, but HTTP seeds of the older kind (BEP 17), which nobody here asks.
    #[must_use]
    pub fn has_only_http_seeds(&self) -> bool {
        let elsewhere = !self.trackers.is_empty() || !self.web_seeds.is_empty() || !self.nodes.is_empty();
        !elsewhere && self.others.iter().any(|(key, _)| key.as_ref() == b"httpseeds")
    }

    /// The program that made it.
    #[must_use]
    pub fn created_by(&self) -> Option<&str> {
        self.created_by.as_deref()
    }

    /// When it was made, in seconds since 1970.
    #[must_use]
    pub fn creation_date(&self) -> Option<i64> {
        self.creation_date
    }

    /// The verified piece layers by root, 32 bytes for each piece (BEP 52).
    #[must_use]
    pub fn piece_layers(&self) -> &BTreeMap<Node, Bytes> {
        &self.layers
    }

    /// What is wrong with it without being fatal, that of the info dictionary included.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The expected hash of every piece. What one of them learns later, others do not know; where there is nothing left to learn, all
    /// are one.
    #[must_use]
    pub fn piece_hashes(&self) -> Arc<PieceHashes> {
        if self.hashes.lacks_layers() { Arc::new(PieceHashes::clone(&self.hashes)) } else { self.hashes.clone() }
    }

    /// Everything that can be changed, to write it again; the info dictionary keeps its bytes.
    #[must_use]
    pub fn draft(&self) -> Draft {
        Draft {
            trackers: self.trackers.clone(),
            web_seeds: self.web_seeds.clone(),
            nodes: self.nodes.clone(),
            comment: self.comment.clone(),
            created_by: self.created_by.clone(),
            creation_date: self.creation_date,
            info: self.info.raw().clone(),
            piece_layers: self.has_layers.then(|| self.layers.clone()),
            others: self.others.clone(),
        }
    }
}

impl fmt::Debug for Metainfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metainfo").field("info", &self.info).finish_non_exhaustive()
    }
}

/// What can be said of bytes that are no torrent at all, better than a decoder can.
fn check_start(bytes: &[u8], options: &ParseOptions) -> Result<(), MetainfoError> {
    const SHOWN: usize = 32;
    if bytes.len() > options.max_bytes {
        return Err(MetainfoError::TooLarge { length: bytes.len(), limit: options.max_bytes });
    }
    let text = bytes.trim_ascii_start();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    match (bytes.first(), text.first()) {
        (None, _) => Err(MetainfoError::Empty),
        (_, Some(b'<')) => {
            let end = text.iter().position(|&byte| byte == b'>').map_or(text.len(), |at| at + 1);
            let start = String::from_utf8_lossy(&text[..end.min(4 * SHOWN)]);
            let start: String = start.chars().take(SHOWN).collect();
            Err(MetainfoError::WebPage { start: crate::display::escaped(&start).to_string() })
        }
        (Some(b'd'), _) => Ok(()),
        (Some(&found), _) => Err(MetainfoError::NotATorrent { found }),
    }
}

/// The form outside of the info dictionary: no key of the outermost dictionary twice, no piece layer twice.
fn check_form(root: Dict<'_>, fields: &mut Fields<'_>) -> Result<(), MetainfoError> {
    let layers = root.get("piece layers").and_then(Value::repeated_key);
    let own = if root.has_repeated_key() { root.value().repeated_key() } else { None };
    if let Some(repeated) = own.or(layers) {
        return Err(MetainfoError::Repeated { key: repeated.path, offset: repeated.offset });
    }
    let inner_unsorted = root.iter().any(|(key, value)| key != b"info" && value.form().unsorted_keys);
    if !root.is_sorted() || inner_unsorted {
        fields.warn(Warning::Unsorted);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
