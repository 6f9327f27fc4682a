//! File trees of v2.

use super::*;

#[test]
fn m19_file_trees_that_are_none_are_refused() {
    let tree = |tree: fn(&mut DictWriter<'_>)| message(v2(tree));
    assert_eq!(tree(|_| {}), "info.file tree has no file");
    assert_eq!(tree(|tree| drop_ref(tree.dict("a", |_| {}))), "info.file tree has no file");
    assert_eq!(
        tree(|tree| drop_ref(tree.dict("", |file| drop_ref(file.int("length", 1))))),
        "info.file tree. makes the whole tree a file"
    );
    assert_eq!(
        tree(|tree| {
            tree.dict("a", |node| {
                node.dict("", |file| drop_ref(file.int("length", 0)));
                leaf(node, "b", 0);
            });
        }),
        "info.file tree.a is both a file and a folder"
    );
    assert_eq!(tree(|tree| drop_ref(tree.int("a", 1))), "info.file tree.a is an integer, not a dictionary");
    let root = |root: &[u8]| {
        message(v2(|tree| {
            tree.dict("a", |node| {
                drop_ref(node.dict("", |file| drop_ref(file.int("length", 1).bytes("pieces root", root))))
            });
        }))
    };
    assert_eq!(root(&[0; 32]), "info.file tree.a..pieces root is all zeros");
    assert_eq!(root(&[1; 31]), "info.file tree.a..pieces root is not 32 bytes long");
    let missing =
        v2(|tree| drop_ref(tree.dict("a", |node| drop_ref(node.dict("", |file| drop_ref(file.int("length", 1)))))));
    assert_eq!(message(missing), "info.file tree.a..pieces root is missing");
    let negative = v2(|tree| leaf(tree, "a", -1));
    assert_eq!(message(negative), "info.file tree.a..length is -1; 0 to 2^60 are valid");
}

#[test]
fn m19_deep_trees_are_refused() {
    fn down(tree: &mut DictWriter<'_>, levels: usize) {
        if levels == 0 { leaf(tree, "f", 0) } else { drop_ref(tree.dict("d", |tree| down(tree, levels - 1))) }
    }
    assert!(read(v2(|tree| down(tree, 90))).is_ok());
    assert!(matches!(read(v2(|tree| down(tree, 300))), Err(MetainfoError::Bencode(_))));
    let options = ParseOptions { bencode: Limits { depth: 1000, ..Limits::METAINFO }, ..ParseOptions::default() };
    let error = Info::from_raw_with(v2(|tree| down(tree, 101)).into(), &options).unwrap_err();
    assert!(matches!(error, MetainfoError::Path { error: PathError::Depth, .. }), "{error}");
}

#[test]
fn v2_of_one_file_is_a_file_only_under_its_own_name() {
    let info = read(v2(|tree| leaf(tree, "root", 1))).unwrap();
    assert_eq!((info.is_single_file(), info.full_path(&info.files()[0]).to_string()), (true, "root".into()));
    let info = read(v2(|tree| leaf(tree, "other", 1))).unwrap();
    assert_eq!((info.is_single_file(), info.full_path(&info.files()[0]).to_string()), (false, "root/other".into()));
}

#[test]
fn m22_an_unknown_version_comes_before_any_other_error() {
    for version in [3, 1, 0, -1] {
        let raw = dict(|info| drop_ref(info.int("meta version", version).int("name", 1).int("file tree", 2)));
        assert_eq!(read(raw).unwrap_err(), MetainfoError::Version(version));
    }
    let error = MetainfoError::Version(3);
    assert_eq!(error.sentence("x"), "x is of an unknown version: meta version 3; versions 1 and 2 are known");
    let missing = dict(|info| {
        drop_ref(info.bytes("name", "n").int("piece length", 16384).dict("file tree", |t| leaf(t, "a", 0)))
    });
    assert_eq!(message(missing), "info.meta version is missing");
}
