//! Torrents for tests, made by the plainest code that the specifications allow.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::bencode::{DictWriter, dict};
use crate::hash;
use crate::metainfo::Draft;

/// A folder of files with content, sorted by path.
pub(crate) struct Folder {
    pub(crate) piece_length: usize,
    pub(crate) files: BTreeMap<&'static str, Vec<u8>>,
}

/// Bytes that differ from block to block.
pub(crate) fn content(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + seed * 13 + (at >> 10) * 3) as u8).collect()
}

impl Folder {
    pub(crate) fn new(piece_length: usize, files: &[(&'static str, usize)]) -> Self {
        let files = files.iter().zip(1..).map(|((path, length), seed)| (*path, content(*length, seed))).collect();
        Self { piece_length, files }
    }

    fn pad(&self, length: usize) -> usize {
        length.next_multiple_of(self.piece_length) - length
    }

    /// The byte stream with or without padding between files, none after the last.
    pub(crate) fn stream(&self, padded: bool) -> Vec<u8> {
        let mut stream = Vec::new();
        for file in self.files.values() {
            if padded && !file.is_empty() {
                stream.resize(stream.len() + self.pad(stream.len()), 0);
            }
            stream.extend_from_slice(file);
        }
        stream
    }

    fn v1_keys(&self, info: &mut DictWriter<'_>, padded: bool) {
        let mut end = 0;
        info.list("files", |list| {
            for (path, file) in &self.files {
                let pad = self.pad(end);
                if padded && pad > 0 && !file.is_empty() {
                    list.dict(|entry| {
                        entry.bytes("attr", "p").int("length", pad as i64).list("path", |names| {
                            names.bytes(".pad").bytes(pad.to_string());
                        });
                    });
                    end += pad;
                }
                list.dict(|entry| {
                    entry.int("length", file.len() as i64);
                    entry.list("path", |names| path.split('/').for_each(|name| put(names, name)));
                });
                end += file.len();
            }
        });
        let hashes: Vec<u8> = self.stream(padded).chunks(self.piece_length).flat_map(hash::sha1).collect();
        info.bytes("pieces", hashes);
    }

    fn common_keys(&self, info: &mut DictWriter<'_>) {
        info.bytes("name", "folder").int("piece length", self.piece_length as i64);
    }

    pub(crate) fn v1(&self) -> Draft {
        Draft::new(Bytes::from(dict(|info| {
            self.common_keys(info);
            self.v1_keys(info, false);
        })))
    }

    fn v2_keys(&self, info: &mut DictWriter<'_>) {
        info.int("meta version", 2).dict("file tree", |tree| {
            let files: Vec<(&str, &Vec<u8>)> = self.files.iter().map(|(path, file)| (*path, file)).collect();
            put_tree(tree, &files);
        });
    }

    /// The piece layers of files longer than a piece.
    pub(crate) fn layers(&self) -> BTreeMap<[u8; 32], Bytes> {
        let long = self.files.values().filter(|file| file.len() > self.piece_length);
        long.map(|file| (tree_root(file, file.len().div_ceil(BLOCK).next_power_of_two()), self.layer(file))).collect()
    }

    fn layer(&self, file: &[u8]) -> Bytes {
        file.chunks(self.piece_length).flat_map(|piece| tree_root(piece, self.piece_length / BLOCK)).collect()
    }

    pub(crate) fn v2(&self) -> Draft {
        let info = dict(|info| {
            self.common_keys(info);
            self.v2_keys(info);
        });
        Draft { piece_layers: Some(self.layers()), ..Draft::new(info.into()) }
    }

    pub(crate) fn hybrid(&self) -> Draft {
        let info = dict(|info| {
            self.common_keys(info);
            self.v1_keys(info, true);
            self.v2_keys(info);
        });
        Draft { piece_layers: Some(self.layers()), ..Draft::new(info.into()) }
    }
}

const BLOCK: usize = 16 * 1024;

/// The root over the blocks of some bytes and as many zero leaves as are needed to have this many.
pub(crate) fn tree_root(bytes: &[u8], leaves: usize) -> [u8; 32] {
    if leaves == 1 {
        return if bytes.is_empty() { [0; 32] } else { hash::sha256(bytes) };
    }
    let half = (leaves / 2 * BLOCK).min(bytes.len());
    let (left, right) = bytes.split_at(half);
    hash::sha256(&[tree_root(left, leaves / 2), tree_root(right, leaves / 2)].concat())
}

fn put_tree(tree: &mut DictWriter<'_>, files: &[(&str, &Vec<u8>)]) {
    let mut folders: BTreeMap<&str, Vec<(&str, &Vec<u8>)>> = BTreeMap::new();
    for (path, file) in files {
        match path.split_once('/') {
            Some((folder, rest)) => folders.entry(folder).or_default().push((rest, file)),
            None => put_file(tree, path, file),
        }
    }
    for (folder, files) in &folders {
        tree.dict(folder, |tree| put_tree(tree, files));
    }
}

fn put_file(tree: &mut DictWriter<'_>, name: &str, file: &[u8]) {
    tree.dict(name, |node| {
        node.dict("", |entry| {
            entry.int("length", file.len() as i64);
            if !file.is_empty() {
                entry.bytes("pieces root", tree_root(file, file.len().div_ceil(BLOCK).next_power_of_two()));
            }
        });
    });
}

fn put(names: &mut crate::bencode::ListWriter<'_>, name: &str) {
    names.bytes(name);
}
