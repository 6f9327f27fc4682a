//! Names and paths.

use super::*;

#[test]
fn m1_a_path_that_climbs_is_refused_by_name() {
    let climbing: [&[&[u8]]; 5] =
        [&[b"..", b"..", b".bashrc"], &[b"../../.bashrc"], &[b"a", b"..\\x"], &[b".."], &[b"a", b"b/../c"]];
    for path in climbing {
        let raw = many(&[(&[b"a"], 1), (&[b"b"], 1), (path, 1)]);
        let name = path.join(&b'/').escape_ascii().to_string().replace("\\\\", "\\");
        assert_eq!(message(raw), format!("file 3 is named \"{name}\""));
    }
    let error = read(many(&[(&[b"ok"], 1), (&[b"x", b"../..", b"\x1b[2J"], 1)])).unwrap_err();
    assert_eq!(error.sentence("x.torrent"), "x.torrent is unsafe: file 2 is named \"x/../../\\x1b[2J\"");
    assert_eq!(message(single(|info| drop_ref(info.bytes("name", "../up")))), "file 1 is named \"../up\"");
    let raw = String::from_utf8(many(&[(&[b"a"], 1)])).unwrap().replace("4:root", "2:..");
    assert_eq!(message(raw.into_bytes()), "it is named \"..\"");
    assert_eq!(message(v2(|tree| drop_ref(tree.dict("..", |up| leaf(up, "x", 0))))), "file 1 is named \"../x\"");
}

#[test]
fn m1_a_path_that_climbs_can_be_taken_with_safe_names() {
    let info =
        read_unsafe(many(&[(&[b"..", b"..", b".bashrc"], 1), (&[b"../x"], 1), (&[b".", b"", b"y"], 1)])).unwrap();
    assert_eq!(paths(&info), ["_/_/.bashrc", ".._x", "_/_/y"]);
    let info = read_unsafe(single(|info| drop_ref(info.bytes("name", "..")))).unwrap();
    assert_eq!((info.name().as_str(), paths(&info)), ("_", vec!["_"]));
}

#[test]
fn m2_m4_m5_m6_names_come_out_safe() {
    let raw = many(&[
        (&[b"/etc/passwd"], 1),
        (&[b"\\\\?\\C:\\x"], 1),
        (&[b"a\0\x1b[31m"], 1),
        (&[b"\xc0\xae\xc0\xae", b"x"], 1),
        (&["ab\u{202e}gpj.exe".as_bytes()], 1),
    ]);
    let info = read(raw).unwrap();
    assert_eq!(paths(&info), ["_etc_passwd", "__?_C:_x", "a__[31m", "_/x", "abgpj.exe"]);
    assert!(info.files().iter().all(|file| file.path.to_path_buf().is_relative()));
    assert_eq!(info.warnings(), [Warning::Names { files: 5 }]);
}

#[test]
fn m8_long_names_are_cut_and_deep_paths_refused() {
    let long = "x".repeat(300) + ".txt";
    let deep: Vec<&[u8]> = vec![b"d"; 101];
    let info = read(many(&[(&[long.as_bytes()], 1), (&deep[..100], 1)])).unwrap();
    assert_eq!(info.files()[0].path.as_str(), "x".repeat(251) + ".txt");
    let error = read(many(&[(&[b"a"], 1), (&deep, 1)])).unwrap_err();
    assert_eq!(error, MetainfoError::Path { key: "info.files.1.path".into(), error: PathError::Depth });
    let very_deep: Vec<&[u8]> = vec![b"d"; 5000];
    assert!(read(many(&[(&very_deep, 1)])).is_err());
}

#[test]
fn m9_m10_equal_paths_are_told_apart() {
    let raw = many(&[(&[b"a"], 1), (&[b"a"], 2), (&[b"d", b"x\x01"], 3), (&[b"d", b"x\x02"], 4), (&[b"d"], 5)]);
    let info = read(raw).unwrap();
    assert_eq!(paths(&info), ["a", "a.1", "d/x_", "d/x_.1", "d.1"]);
    assert_eq!(info.files().iter().map(|file| file.length).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let renamed: Vec<_> = info.warnings().iter().map(ToString::to_string).collect();
    assert_eq!((renamed.len(), &info.warnings()[0]), (4, &Warning::Names { files: 2 }));
    assert!(renamed.contains(&"file 2 has the path of another and is renamed to \"a.1\"".to_owned()));
}

#[test]
fn m11_utf8_twins_are_preferred_if_valid() {
    let entry = |utf8: &'static [u8]| {
        v1(1, move |list| {
            list.dict(|file| {
                file.int("length", 1).list("path", |names| put(names, b"old")).raw("path.utf-8", utf8);
            });
        })
    };
    for (utf8, path) in [(&b"l3:newe"[..], "new"), (b"l3:ne\xffe", "old"), (b"le", "old"), (b"i1e", "old")] {
        assert_eq!(paths(&read(entry(utf8)).unwrap()), [path]);
    }
    assert!(matches!(read(entry(b"l2:..e")), Err(MetainfoError::UnsafePath { file: Some(1), .. })));
    let name =
        |utf8: &'static [u8]| read(single(|info| drop_ref(info.bytes("name.utf-8", utf8)))).unwrap().name().to_string();
    assert_eq!((name("neü".as_bytes()), name(b"\xff"), name(b"")), ("neü".into(), "n".into(), "n".into()));
}
