//! From a decoded info dictionary to a checked one.

use std::sync::Arc;

use bytes::Bytes;

use crate::bencode::{self, DecodeError, Dict, Document, Value};
use crate::display;
use crate::hash;
use crate::info::files::{FileList, unsafe_path};
use crate::info::{Fields, Info, ParseOptions, hybrid, links, tree};
use crate::info_hash::{InfoHashV1, InfoHashV2, InfoHashes};
use crate::layout::{FileIndex, Layout};
use crate::metainfo::{MetainfoError, Warning};
use crate::path::{self, SafePath, is_climbing};

/// The length of a v1 piece hash in bytes.
const V1_HASH_LENGTH: usize = hash::SHA1_LENGTH;

/// Which halves a torrent has.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Halves {
    v1: bool,
    v2: bool,
}

/// Decodes a document with an info dictionary at `keys`, which has the list of files within it, and reads that list on the way: a
/// long one is gone over once. What is not as it should be is decoded in full and read later, when the version is known.
pub(crate) fn decode<'d>(
    bytes: &'d [u8],
    keys: &[&[u8]],
    options: &ParseOptions,
) -> Result<(Document<'d>, Option<FileList<'d>>), DecodeError> {
    let mut early = None;
    let document = bencode::decode_lifting(bytes, options.bencode, keys, &mut |reader| {
        early = FileList::read(reader, options).ok();
        early.is_some()
    })?;
    Ok((document, early))
}

/// Checks an info dictionary; `raw` is its bytes, `early` its files if they were read already. The version comes first (BEP 52).
pub(crate) fn parse(
    value: Value<'_>,
    raw: Bytes,
    early: Option<FileList<'_>>,
    fields: &mut Fields<'_>,
) -> Result<Info, MetainfoError> {
    let info = fields.dict(value)?;
    let halves = halves(info, fields)?;
    check_form(value, halves, fields)?;
    let (name, climbs) = name(info, fields)?;
    let piece_length = piece_length(info, halves, fields)?;
    let mut list = match halves {
        Halves { v2: false, .. } => FileList::v1(info, &name, early, fields)?,
        Halves { v1: false, .. } => tree::read(info, &name, fields)?,
        Halves { .. } => {
            hybrid::join(FileList::v1(info, &name, early, fields)?, tree::read(info, &name, fields)?, piece_length)?
        }
    };
    if climbs && !fields.options.accept_unsafe_paths {
        return Err(unsafe_path(list.is_single.then_some(1), &[name_bytes(info)]));
    }
    let layout = layout(&list, halves, piece_length, fields)?;
    let pieces = match halves.v1 {
        true => v1_pieces(info, &layout, &raw, value, fields)?,
        false => Bytes::new(),
    };
    let changed_name = name.as_str().as_bytes() != name_bytes(info);
    if list.changed > 0 || changed_name {
        fields.warn(Warning::Names { files: list.changed.max(usize::from(list.is_single)) });
    }
    make_paths_unique(&mut list, fields)?;
    let links = links::resolve(&mut list, fields);
    let v1 = halves.v1.then(|| InfoHashV1(hash::sha1(&raw)));
    let v2 = halves.v2.then(|| InfoHashV2(hash::sha256(&raw)));
    let private = fields.optional(info, "private", Value::as_int).is_some_and(|private| private != 0);
    let source = fields.text(info, "source");
    Ok(Info {
        hashes: match (v1, v2) {
            (Some(v1), Some(v2)) => InfoHashes::Hybrid(v1, v2),
            (None, Some(v2)) => InfoHashes::V2(v2),
            (v1, None) => InfoHashes::V1(v1.expect("a torrent has at least one half")),
        },
        raw,
        name,
        is_single_file: list.is_single,
        files: list.files,
        roots: list.roots,
        links,
        layout: Arc::new(layout),
        pieces,
        private,
        source,
        warnings: std::mem::take(&mut fields.warnings),
    })
}

/// The version that is claimed, before anything else is judged (BEP 52); a v2 torrent with v1 keys is a hybrid.
fn halves(info: Dict<'_>, fields: &Fields<'_>) -> Result<Halves, MetainfoError> {
    let Some(version) = info.get("meta version") else {
        let halves = Halves { v1: true, v2: false };
        return if info.get("pieces").is_none() && info.get("file tree").is_some() {
            Err(fields.missing(info, "meta version"))
        } else {
            Ok(halves)
        };
    };
    match version.as_int() {
        Some(2) => Ok(Halves { v1: ["pieces", "length", "files"].iter().any(|key| info.get(key).is_some()), v2: true }),
        Some(other) => Err(MetainfoError::Version(other)),
        None => Err(fields.kind(version, "an integer")),
    }
}

/// What departs from the canonical form: never a key twice; v2 nothing at all; v1 unsorted keys and leading zeros.
fn check_form(value: Value<'_>, halves: Halves, fields: &mut Fields<'_>) -> Result<(), MetainfoError> {
    let form = value.form();
    if let Some(repeated) = value.repeated_key() {
        let key = fields.prefixed(&repeated.path);
        return Err(MetainfoError::Repeated { key, offset: repeated.offset });
    }
    let refuse = |what| Err(MetainfoError::NotCanonical { key: "info", what });
    if form.minus_zero {
        return refuse("an integer -0");
    }
    if halves.v2 && form.unsorted_keys {
        return refuse("keys that are not sorted, which version 2 forbids");
    }
    if halves.v2 && form.leading_zeros {
        return refuse("numbers with leading zeros, which version 2 forbids");
    }
    if form.unsorted_keys {
        fields.warn(Warning::UnsortedInfo);
    }
    if form.leading_zeros {
        fields.warn(Warning::LeadingZeros);
    }
    Ok(())
}

fn name_bytes(info: Dict<'_>) -> &[u8] {
    let utf8 = info.get("name.utf-8").filter(|name| name.as_str().is_some_and(|name| !name.is_empty()));
    utf8.or_else(|| info.get("name")).and_then(Value::as_bytes).unwrap_or_default()
}

/// The name made safe, and whether it steps up a folder as it is written.
fn name(info: Dict<'_>, fields: &Fields<'_>) -> Result<(SafePath, bool), MetainfoError> {
    fields.bytes(fields.required(info, "name")?)?;
    let raw = name_bytes(info);
    Ok((SafePath::name(raw, fields.options.names), is_climbing(raw)))
}

/// The piece length, within its limits before anything is divided by it.
fn piece_length(info: Dict<'_>, halves: Halves, fields: &Fields<'_>) -> Result<u32, MetainfoError> {
    let value = fields.required(info, "piece length")?;
    if value.digits().is_none() {
        return Err(fields.kind(value, "an integer"));
    }
    let least = if halves.v2 { crate::BLOCK_LENGTH } else { 1 };
    let length = value.as_uint::<u32>().filter(|&n| n >= least && u64::from(n) <= Layout::MAX_PIECE_LENGTH);
    match length {
        Some(length) if !halves.v2 || length.is_power_of_two() => Ok(length),
        _ if halves.v2 => Err(fields.invalid(value, "a power of two from 16 KiB to 512 MiB is valid")),
        _ => Err(fields.invalid(value, "1 to 512 MiB is valid")),
    }
}

fn layout(
    list: &FileList<'_>,
    halves: Halves,
    piece_length: u32,
    fields: &Fields<'_>,
) -> Result<Layout, MetainfoError> {
    let lengths = list.files.iter().map(|file| (file.length, file.attributes.is_pad()));
    let layout = match halves.v1 {
        true => Layout::v1(piece_length.into(), lengths),
        false => Layout::v2(piece_length.into(), lengths.map(|(length, _)| length)),
    };
    let layout = layout.map_err(MetainfoError::Layout)?;
    match layout.piece_count() {
        pieces if pieces > fields.options.max_pieces => {
            Err(MetainfoError::Pieces { pieces, limit: fields.options.max_pieces })
        }
        _ => Ok(layout),
    }
}

/// The v1 hashes as a slice of `raw`, one for each piece.
fn v1_pieces(
    info: Dict<'_>,
    layout: &Layout,
    raw: &Bytes,
    value: Value<'_>,
    fields: &Fields<'_>,
) -> Result<Bytes, MetainfoError> {
    let pieces = fields.required(info, "pieces")?;
    let hashes = fields.bytes(pieces)?;
    if !hashes.len().is_multiple_of(V1_HASH_LENGTH) {
        return Err(MetainfoError::PiecesLength { length: hashes.len() });
    }
    let count = hashes.len() / V1_HASH_LENGTH;
    if count != layout.piece_count() as usize {
        let (pieces, piece_length) = (layout.piece_count(), layout.piece_length());
        return Err(MetainfoError::PieceCount { hashes: count, pieces, piece_length });
    }
    let end = pieces.span().end - value.span().start;
    Ok(raw.slice(end - hashes.len()..end))
}

fn make_paths_unique(list: &mut FileList<'_>, fields: &mut Fields<'_>) -> Result<(), MetainfoError> {
    let mut all = list.files.iter().filter(|file| !file.attributes.is_pad()).map(|file| &file.path);
    if !fields.options.names.fold_case && path::are_ordered(&mut all) {
        return Ok(());
    }
    let on_disk = list.files.iter_mut().enumerate().filter(|(_, file)| !file.attributes.is_pad());
    let (numbers, mut paths): (Vec<_>, Vec<_>) = on_disk.map(|(number, file)| (number, &mut file.path)).unzip();
    let renamed = path::make_unique(&mut paths, fields.options.names);
    let renamed = renamed.map_err(|error| MetainfoError::Path { key: "info.files".into(), error })?;
    for at in renamed {
        let path = display::escaped(paths[at].as_str()).to_string();
        fields.warn(Warning::Renamed { file: numbers[at] + 1, path });
    }
    Ok(())
}

/// The number of a file as the layout has it; files are fewer than `Layout::MAX_FILES`, or they make no layout.
pub(super) fn index(number: usize) -> FileIndex {
    FileIndex(u32::try_from(number).unwrap_or(u32::MAX))
}
