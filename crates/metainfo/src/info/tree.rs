//! The file tree of a v2 torrent (BEP 52).

use crate::bencode::{Dict, Entries, Value};
use crate::info::files::{FileList, unsafe_path};
use crate::info::{Attributes, Fields};
use crate::merkle::Node;
use crate::metainfo::MetainfoError;
use crate::path::{PathBuilder, PathError, SafePath};

/// Walks the tree in its order, which is that of the byte stream.
///
/// A tree of one file that has the name of the torrent is that file; any other is a folder of the torrent's name. (Creators leave
/// the name of the folder out of the tree, so one file of another name is a folder with one file.)
pub(super) fn read<'d>(info: Dict<'d>, name: &SafePath, fields: &Fields<'_>) -> Result<FileList<'d>, MetainfoError> {
    let root = fields.required(info, "file tree")?;
    let mut walk =
        Walk { list: FileList::default(), names: Vec::new(), builder: PathBuilder::new(fields.options.names), fields };
    let entries = fields.dict(root)?.iter();
    let mut folders = vec![entries];
    while let Some(folder) = folders.last_mut() {
        match folder.next() {
            Some((name, value)) => {
                let node = fields.dict(value)?;
                folders.extend(walk.enter(name, node, folders.len() == 1)?);
            }
            None => {
                folders.pop();
                walk.names.pop();
            }
        }
    }
    let mut list = walk.list;
    match list.files.as_slice() {
        [] => return Err(MetainfoError::Tree { key: fields.key(root), what: "has no file" }),
        [only] => list.is_single = only.path == *name,
        _ => {}
    }
    Ok(list)
}

struct Walk<'d, 'f, 'o> {
    list: FileList<'d>,
    /// The folders that are open.
    names: Vec<&'d [u8]>,
    builder: PathBuilder,
    fields: &'f Fields<'o>,
}

impl<'d> Walk<'d, '_, '_> {
    /// Takes one node; the entries to go on with if it is a folder.
    fn enter(&mut self, name: &'d [u8], node: Dict<'d>, top: bool) -> Result<Option<Entries<'d>>, MetainfoError> {
        let fault = |what| MetainfoError::Tree { key: self.fields.key(node.value()), what };
        if name.is_empty() {
            // What is known of the folder itself; of a file it was read with the file.
            return match node.get("length") {
                Some(_) if top => Err(fault("makes the whole tree a file")),
                Some(_) => Err(fault("is both a file and a folder")),
                None => Ok(None),
            };
        }
        self.names.push(name);
        if self.names.len() > crate::path::MAX_DEPTH {
            return Err(MetainfoError::Path { key: self.fields.key(node.value()), error: PathError::Depth });
        }
        let Some(file) = node.get("") else { return Ok(Some(node.iter())) };
        let file = self.fields.dict(file)?;
        let attributes =
            file.get("attr").and_then(Value::as_bytes).map_or_else(Attributes::default, Attributes::from_letters);
        let length = match file.get("length") {
            Some(length) => self.fields.length(length)?,
            None if attributes.is_link() => 0,
            None => return Ok(Some(node.iter())),
        };
        if node.iter().nth(1).is_some() {
            return Err(fault("is both a file and a folder"));
        }
        if attributes.is_pad() {
            return Err(fault("is padding, which version 2 does not have"));
        }
        let path = self.path()?;
        let root = self.root(file, length)?;
        self.list.push(path, length, attributes, file.get("symlink path").map(Value::raw));
        self.list.roots.push(root);
        self.names.pop();
        Ok(None)
    }

    fn path(&mut self) -> Result<SafePath, MetainfoError> {
        self.names.iter().for_each(|name| self.builder.push(name));
        if self.builder.climbs() && !self.fields.options.accept_unsafe_paths {
            return Err(unsafe_path(Some(self.list.files.len() + 1), &self.names));
        }
        self.list.changed += usize::from(self.builder.changes());
        self.builder.finish().map_err(|error| MetainfoError::Path { key: "info.file tree".into(), error })
    }

    /// The root of the file's hash tree: there for every file that has bytes, and never zeros.
    fn root(&self, file: Dict<'d>, length: u64) -> Result<Option<Node>, MetainfoError> {
        if length == 0 {
            return Ok(None);
        }
        let value = self.fields.required(file, "pieces root")?;
        let fault = |what| MetainfoError::Tree { key: self.fields.key(value), what };
        match self.fields.bytes(value)?.try_into() {
            Ok(root) if root != [0; 32] => Ok(Some(root)),
            Ok(_) => Err(fault("is all zeros")),
            Err(_) => Err(fault("is not 32 bytes long")),
        }
    }
}
