#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::type_complexity)]

use bytes::Bytes;

use super::*;
use crate::bencode::{DictWriter, ListWriter, dict};
use crate::layout::LayoutError;
use crate::path::PathError;
use crate::samples::Folder;

mod form;
mod hybrid;
mod lengths;
mod links;
mod names;
mod tree;

fn read(raw: Vec<u8>) -> Result<Info, MetainfoError> {
    let options = ParseOptions { names: NameRules { windows: false, fold_case: false }, ..ParseOptions::default() };
    Info::from_raw_with(raw.into(), &options)
}

fn read_unsafe(raw: Vec<u8>) -> Result<Info, MetainfoError> {
    let names = NameRules { windows: false, fold_case: false };
    Info::from_raw_with(raw.into(), &ParseOptions { names, accept_unsafe_paths: true, ..ParseOptions::default() })
}

fn message(raw: Vec<u8>) -> String {
    read(raw).unwrap_err().to_string()
}

/// A v1 dictionary of one piece with these files, each `(path, length)`.
fn many(files: &[(&[&[u8]], i64)]) -> Vec<u8> {
    let total: i64 = files.iter().map(|(_, length)| length).sum();
    v1(total, |list| {
        for (path, length) in files {
            list.dict(|file| {
                file.int("length", *length).list("path", |names| path.iter().for_each(|name| put(names, name)));
            });
        }
    })
}

/// A v1 dictionary with this list of files, of this length together.
fn v1(total: i64, files: impl FnOnce(&mut ListWriter<'_>)) -> Vec<u8> {
    let pieces = (total.max(0) as usize).div_ceil(1 << 20);
    dict(|info| {
        info.bytes("name", "root")
            .int("piece length", 1 << 20)
            .bytes("pieces", vec![0; 20 * pieces])
            .list("files", files);
    })
}

fn put(names: &mut ListWriter<'_>, name: &[u8]) {
    names.bytes(name);
}

/// A v1 dictionary of one file, with some keys changed.
fn single(change: impl FnOnce(&mut DictWriter<'_>)) -> Vec<u8> {
    dict(|info| {
        info.bytes("name", "n").int("piece length", 16).bytes("pieces", [0; 20]).int("length", 10);
        change(info);
    })
}

/// A v2 dictionary with this file tree.
fn v2(tree: impl FnOnce(&mut DictWriter<'_>)) -> Vec<u8> {
    dict(|info| {
        info.bytes("name", "root").int("piece length", 16384).int("meta version", 2).dict("file tree", tree);
    })
}

fn leaf(tree: &mut DictWriter<'_>, name: impl AsRef<[u8]>, length: i64) {
    tree.dict(name, |node| {
        node.dict("", |file| {
            file.int("length", length);
            if length > 0 {
                file.bytes("pieces root", [7; 32]);
            }
        });
    });
}

fn paths(info: &Info) -> Vec<&str> {
    info.files().iter().map(|file| file.path.as_str()).collect()
}

/// Ends a chain of writer calls.
fn drop_ref<T>(_: &mut T) {}
