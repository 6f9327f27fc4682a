//! The piece layers of a v2 torrent: they stand outside of the info dictionary, so each is verified against its root (BEP 52).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;

use crate::bencode::{Dict, Value};
use crate::info::{Fields, Info};
use crate::merkle::Node;
use crate::metainfo::{MetainfoError, PieceHashes, Warning};

/// Reads and verifies the layers, and has the hashes learn them. None at all, or not all, is no error: peers can be asked for the others as with a magnet link.
pub(super) fn read(
    root: Dict<'_>,
    bytes: &Bytes,
    info: &Info,
    known: &PieceHashes,
    fields: &mut Fields<'_>,
) -> Result<BTreeMap<Node, Bytes>, MetainfoError> {
    let mut layers = BTreeMap::new();
    if info.hashes().v2().is_none() {
        return Ok(layers);
    }
    let wanted = wanted(info);
    if let Some(value) = root.get("piece layers") {
        for (root, layer) in fields.dict(value)? {
            let (node, layer) = verify(root, layer, &wanted, info, fields)?;
            let layer = bytes.slice_ref(layer);
            if !known.learn_layer(&node, &layer) {
                return Err(MetainfoError::Layer { root: start(root), what: "does not lead to its root" });
            }
            layers.insert(node, layer);
        }
    }
    let missing = wanted.iter().filter(|(root, _)| !layers.contains_key(root)).count();
    if missing > 0 {
        fields.warn(Warning::NoLayers { files: missing });
    }
    Ok(layers)
}

/// The root and length of each file that is longer than a piece, sorted. Files with the same bytes have the same root.
fn wanted(info: &Info) -> Vec<(Node, u64)> {
    let piece_length = u64::from(info.layout().piece_length());
    let long = info.files().iter().zip(info.roots()).filter(|(file, _)| file.length > piece_length);
    let mut wanted: Vec<_> = long.filter_map(|(file, root)| Some(((*root)?, file.length))).collect();
    wanted.sort_unstable();
    wanted
}

/// A layer that fits its files by its length, and the root that it is for.
fn verify<'b>(
    root: &[u8],
    layer: Value<'b>,
    wanted: &[(Node, u64)],
    info: &Info,
    fields: &Fields<'_>,
) -> Result<(Node, &'b [u8]), MetainfoError> {
    let fault = |what| MetainfoError::Layer { root: start(root), what };
    let hashes = layer.as_bytes().ok_or_else(|| fields.kind(layer, "a string"))?;
    let Ok(root): Result<Node, _> = root.try_into() else {
        return Err(fault("is for a root that is not 32 bytes long"));
    };
    let from = wanted.partition_point(|(other, _)| *other < root);
    let files = wanted[from..].iter().take_while(|(other, _)| *other == root);
    if files.clone().next().is_none() {
        return Err(fault(match info.roots().contains(&Some(root)) {
            true => "is for a file of one piece, which has none",
            false => "is for no file of the torrent",
        }));
    }
    let (nodes, rest) = hashes.as_chunks::<32>();
    let piece_length = info.layout().piece_length();
    let fits = |length: u64| length.div_ceil(piece_length.into()) == nodes.len() as u64;
    if !rest.is_empty() || !files.clone().all(|(_, length)| fits(*length)) {
        return Err(fault("has not one hash for each piece of its file"));
    }
    Ok((root, hashes))
}

/// The first bytes of a root in hex, enough to find it.
fn start(root: &[u8]) -> String {
    const SHOWN: usize = 8;
    root.iter().take(SHOWN).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
