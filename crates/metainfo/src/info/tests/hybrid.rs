//! Hybrids: both halves say the same.

use super::*;

/// A hybrid dictionary from v1 entries `(path, length, is padding)` and the v2 files of `tree`.
fn hybrid(entries: &[(&str, i64, bool)], tree: impl FnOnce(&mut DictWriter<'_>)) -> Vec<u8> {
    let total: i64 = entries.iter().map(|(_, length, _)| length).sum();
    dict(|info| {
        info.bytes("name", "root").int("piece length", 16384).int("meta version", 2).dict("file tree", tree);
        info.bytes("pieces", vec![0; 20 * (total as usize).div_ceil(16384)]);
        info.list("files", |list| {
            for (path, length, pad) in entries {
                list.dict(|file| {
                    file.bytes("attr", if *pad { "p" } else { "" }).int("length", *length);
                    file.list("path", |names| put(names, path.as_bytes()));
                });
            }
        });
    })
}

#[test]
fn m21_hybrid_halves_must_agree() {
    let tree = |tree: &mut DictWriter<'_>| {
        leaf(tree, "a", 100);
        leaf(tree, "b", 0);
        leaf(tree, "c", 5);
    };
    let pad = ("pad", 16284, true);
    let good = [("a", 100, false), pad, ("b", 0, false), ("c", 5, false)];
    assert!(read(hybrid(&good, tree)).is_ok());
    let ended = [("a", 100, false), ("b", 0, false), pad, ("c", 5, false), ("end", 16379, true)];
    assert_eq!(read(hybrid(&ended, tree)).unwrap().layout().piece_count(), 2);
    let says = |entries: &[(&str, i64, bool)]| {
        let error = read(hybrid(entries, tree)).unwrap_err();
        assert_eq!(error.verdict(), "contradicts itself");
        error.to_string().replace("its v1 and v2 halves differ: ", "")
    };
    assert_eq!(
        says(&[("x", 100, false), pad, ("b", 0, false), ("c", 5, false)]),
        "file 1 \"x\" has another path in the second"
    );
    assert_eq!(
        says(&[("a", 99, false), ("b", 0, false), ("c", 5, false)]),
        "file 1 \"a\" has another length in the second"
    );
    assert_eq!(says(&[("a", 100, false), ("b", 0, false), ("c", 5, false)]), "file 3 \"c\" does not start a piece");
    assert_eq!(
        says(&[("a", 100, false), pad, ("c", 5, false), ("b", 0, false)]),
        "file 3 \"c\" has another path in the second"
    );
    assert_eq!(says(&[("a", 100, false), pad, ("b", 0, false)]), "\"c\" is only in the second");
    let more = [("a", 100, false), pad, ("b", 0, false), ("c", 5, false), ("d", 0, false)];
    assert_eq!(says(&more), "file 5 \"d\" is only in the first");
    let far = [("a", 100, false), ("pad", 32668, true), ("b", 0, false), ("c", 5, false)];
    assert_eq!(says(&far), "file 2 \"pad\" is padding past the end of a piece");
    let first = [("pad", 16384, true), ("a", 100, false), pad, ("b", 0, false), ("c", 5, false)];
    assert_eq!(says(&first), "file 1 \"pad\" is padding past the end of a piece");
}

#[test]
fn m21_a_v2_torrent_with_a_part_of_the_v1_keys_is_refused() {
    let raw = dict(|info| {
        info.bytes("name", "n")
            .int("piece length", 16384)
            .int("meta version", 2)
            .dict("file tree", |tree| leaf(tree, "n", 5));
        info.bytes("pieces", [0; 20]);
    });
    assert_eq!(message(raw), "info.length is missing");
}
