//! The list of files of a v1 torrent, and paths in general.

use crate::bencode::Value;
use crate::display;
use crate::info::{Attributes, Fields, File};
use crate::layout::FileIndex;
use crate::merkle::Node;
use crate::metainfo::MetainfoError;
use crate::path::{PathBuilder, SafePath};

/// The files as one half of a torrent tells them, before they are checked against each other.
#[derive(Default)]
pub(super) struct FileList<'d> {
    pub(super) is_single: bool,
    pub(super) files: Vec<File>,
    /// v2: the roots, beside `files`.
    pub(super) roots: Vec<Option<Node>>,
    /// How many paths are not as they are written, because that would not be safe.
    pub(super) changed: usize,
    /// Links, with their targets as written.
    pub(super) links: Vec<(FileIndex, Value<'d>)>,
}

impl<'d> FileList<'d> {
    /// The v1 half: `length` for one file, `files` for many (BEP 3).
    pub(super) fn v1(
        info: crate::bencode::Dict<'d>,
        name: &SafePath,
        fields: &mut Fields<'_>,
    ) -> Result<Self, MetainfoError> {
        match (info.get("length"), info.get("files")) {
            (Some(length), None) => {
                let attributes = info.get("attr").and_then(Value::as_bytes).map(Attributes::from_letters);
                let file =
                    File { path: name.clone(), length: fields.length(length)?, attributes: Attributes::default() };
                let mut list = Self { is_single: true, ..Self::default() };
                // One file that is padding or a link would be no content at all.
                let attributes = attributes.filter(|attributes| !attributes.is_pad() && !attributes.is_link());
                list.files.push(File { attributes: attributes.unwrap_or_default(), ..file });
                Ok(list)
            }
            (None, Some(files)) => Self::v1_many(files, fields),
            (None, None) => Err(fields.missing(info, "length")),
            (Some(length), Some(_)) => {
                Err(fields.invalid(length, "info.files is there too, only one of them is valid"))
            }
        }
    }

    fn v1_many(files: Value<'d>, fields: &mut Fields<'_>) -> Result<Self, MetainfoError> {
        let entries = files.as_list().ok_or_else(|| fields.kind(files, "a list"))?;
        let mut list = Self { files: Vec::with_capacity(entries.count()), ..Self::default() };
        let mut builder = PathBuilder::new(fields.options.names);
        for entry in entries {
            let Some(keys) = entry.as_dict() else { return Err(fields.kind(entry, "a dictionary")) };
            let (mut length, mut path, mut utf8, mut attr, mut target) = (None, None, None, None, None);
            for (key, value) in keys {
                match key {
                    b"length" => length = Some(value),
                    b"path" => path = Some(value),
                    b"path.utf-8" => utf8 = Some(value),
                    b"attr" => attr = value.as_bytes(),
                    b"symlink path" => target = Some(value),
                    _ => {}
                }
            }
            let attributes = attr.map_or_else(Attributes::default, Attributes::from_letters);
            let length = match length {
                Some(length) => fields.length(length)?,
                None if attributes.is_link() => 0,
                None => return Err(fields.missing(keys, "length")),
            };
            let path = match utf8.filter(|path| is_valid_utf8(*path)).or(path) {
                Some(path) => list.path(path, &mut builder, fields)?,
                None if attributes.is_pad() => SafePath::padding(length),
                None => return Err(fields.missing(keys, "path")),
            };
            list.push(path, length, attributes, target);
        }
        if list.files.is_empty() {
            return Err(MetainfoError::Value {
                key: fields.key(files),
                found: "empty".into(),
                valid: "a torrent has at least one file".into(),
            });
        }
        Ok(list)
    }

    /// Adds a file. A link has no bytes (BEP 47): what has some is taken for a file, whatever its attributes say.
    pub(super) fn push(&mut self, path: SafePath, length: u64, attributes: Attributes, target: Option<Value<'d>>) {
        let mut attributes = attributes;
        if attributes.is_link() && !attributes.is_pad() && length == 0 {
            if let (Some(target), Ok(number)) = (target, u32::try_from(self.files.len())) {
                self.links.push((FileIndex(number), target));
            }
        } else {
            attributes = attributes.without_link();
        }
        self.files.push(File { path, length, attributes });
    }

    /// The path in a v1 list of names.
    fn path(
        &mut self,
        path: Value<'d>,
        builder: &mut PathBuilder,
        fields: &Fields<'_>,
    ) -> Result<SafePath, MetainfoError> {
        let Some(names) = path.as_list() else { return Err(fields.kind(path, "a list")) };
        for name in names {
            let Some(bytes) = name.as_bytes() else { return Err(fields.kind(name, "a string")) };
            builder.push(bytes);
        }
        if builder.climbs() && !fields.options.accept_unsafe_paths {
            let names: Vec<_> = names.filter_map(Value::as_bytes).collect();
            return Err(unsafe_path(Some(self.files.len() + 1), &names));
        }
        self.changed += usize::from(builder.changes());
        builder.finish().map_err(|error| MetainfoError::Path { key: fields.key(path), error })
    }
}

pub(super) fn unsafe_path(file: Option<usize>, names: &[&[u8]]) -> MetainfoError {
    const SHOWN: usize = 200;
    let whole = names.join(&b'/');
    let shown = display::escaped_bytes(&whole[..whole.len().min(SHOWN)]);
    let more = if whole.len() > SHOWN { "..." } else { "" };
    MetainfoError::UnsafePath { file, name: format!("{shown}{more}") }
}

fn is_valid_utf8(path: Value<'_>) -> bool {
    path.as_list().is_some_and(|mut names| !names.is_empty() && names.all(|name| name.as_str().is_some()))
}
