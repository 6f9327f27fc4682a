//! Symbolic links.

use super::*;

/// A v1 dictionary with a file, a file in a folder, and links.
fn linked(links: &[(&[&str], &[&[u8]])]) -> Vec<u8> {
    v1(2, |list| {
        for path in [&["file"][..], &["folder", "inner"]] {
            list.dict(|file| {
                file.int("length", 1).list("path", |names| path.iter().for_each(|name| put(names, name.as_bytes())));
            });
        }
        for (path, target) in links {
            list.dict(|file| {
                file.bytes("attr", "l").int("length", 0);
                file.list("path", |names| path.iter().for_each(|name| put(names, name.as_bytes())));
                file.list("symlink path", |names| target.iter().for_each(|name| put(names, name)));
            });
        }
    })
}

#[test]
fn m12_links_lead_into_the_torrent_or_nowhere() {
    let target = |info: &Info, at| info.link_target(FileIndex(at)).map(ToString::to_string);
    let good: [(&[&str], &[&[u8]], &str); 3] = [
        (&["l"], &[b"file"], "file"),
        (&["x", "l"], &[b"folder"], "folder"),
        (&["l"], &[b"folder", b"inner"], "folder/inner"),
    ];
    for (path, to, resolved) in good {
        let info = read(linked(&[(path, to)])).unwrap();
        assert_eq!((target(&info, 2).as_deref(), info.files()[2].attributes.is_link()), (Some(resolved), true));
        assert_eq!(info.warnings(), []);
    }
    let bad: [(&[&str], &[&[u8]]); 9] = [
        (&["l"], &[b"..", b"file"]),
        (&["l"], &[b"/etc/passwd"]),
        (&["l"], &[b"", b"etc"]),
        (&["l"], &[b"none"]),
        (&["l"], &[b"l"]),
        (&["l"], &[]),
        (&["l"], &[b"file", b"x"]),
        (&["folder", "l"], &[b"folder"]),
        (&["l"], &[b"fi\xffle"]),
    ];
    for (path, to) in bad {
        let info = read(linked(&[(path, to)])).unwrap();
        assert_eq!((target(&info, 2), info.files()[2].attributes.is_link(), info.files()[2].length), (None, false, 0));
        assert!(matches!(info.warnings(), [Warning::Link { file: 3, .. }]), "{to:?}");
    }
}

#[test]
fn m12_links_to_links_end_somewhere() {
    let info = read(linked(&[(&["a"], &[b"b"]), (&["b"], &[b"file"]), (&["c"], &[b"d"]), (&["d"], &[b"c"])])).unwrap();
    let targets: Vec<_> = (2..6).map(|at| info.link_target(FileIndex(at)).map(SafePath::as_str)).collect();
    assert_eq!(targets, [Some("b"), Some("file"), None, None]);
    let names: Vec<String> = (0..100).map(|number| format!("l{number}")).collect();
    let paths: Vec<[&str; 1]> = names.iter().map(|name| [name.as_str()]).collect();
    let nexts: Vec<[&[u8]; 1]> =
        (1..=100).map(|at| [names.get(at).map_or(&b"file"[..], |name| name.as_bytes())]).collect();
    let chain: Vec<_> = paths.iter().zip(&nexts).map(|(path, next)| (&path[..], &next[..])).collect();
    let info = read(linked(&chain)).unwrap();
    assert_eq!(info.link_target(FileIndex(2)), None);
    assert!(info.link_target(FileIndex(101)).is_some());
}

#[test]
fn m12_nothing_is_written_through_a_link() {
    let raw = v1(2, |list| {
        for (path, length) in [(&["d", "x"][..], 1), (&["file"], 1)] {
            list.dict(|file| {
                file.int("length", length)
                    .list("path", |names| path.iter().for_each(|name| put(names, name.as_bytes())));
            });
        }
        list.dict(|file| {
            file.bytes("attr", "l")
                .list("path", |names| put(names, b"d"))
                .list("symlink path", |names| put(names, b"file"));
        });
    });
    let info = read(raw).unwrap();
    // The link has the path of a folder, so it is renamed out of the way.
    assert_eq!(paths(&info), ["d/x", "file", "d.1"]);
    assert_eq!(info.link_target(FileIndex(2)).map(SafePath::as_str), Some("file"));
    let with_bytes = v1(1, |list| {
        list.dict(|file| {
            file.bytes("attr", "l").int("length", 1).list("path", |names| put(names, b"a"));
            file.list("symlink path", |names| put(names, b"a"));
        });
    });
    assert!(!read(with_bytes).unwrap().files()[0].attributes.is_link());
}
