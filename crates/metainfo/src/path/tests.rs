#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const UNIX: NameRules = NameRules { windows: false, fold_case: false };

fn unix(raw: &[u8]) -> String {
    safe_name(raw, UNIX).into_owned()
}

fn windows(raw: &str) -> String {
    safe_name(raw.as_bytes(), NameRules::PORTABLE).into_owned()
}

fn unique(paths: &[&str], rules: NameRules) -> Result<Vec<String>, PathError> {
    let mut paths: Vec<SafePath> = paths.iter().map(|path| SafePath::parse(path, UNIX).unwrap()).collect();
    make_unique(&mut paths.iter_mut().collect::<Vec<_>>(), rules)?;
    Ok(paths.iter().map(ToString::to_string).collect())
}

#[test]
fn plain_names_are_kept() {
    for name in ["a", "...", "a..b", ".hidden", "a b.txt ", "Größe", "漢字.flac", "❤\u{fe0f}.png", "con", "a:b", "C:"]
    {
        assert_eq!(unix(name.as_bytes()), name);
    }
    assert!(matches!(safe_name(b"plain.txt", UNIX), Cow::Borrowed(_)));
}

#[test]
fn m1_dots_empty_names_and_separators_never_join() {
    for bad in [&b"."[..], b"..", b""] {
        assert_eq!(unix(bad), "_");
    }
    assert_eq!(unix(b"../../etc/passwd"), ".._.._etc_passwd");
    assert_eq!(unix(b"..\\x"), ".._x");
    assert_eq!(unix(b"/"), "_");
    let path = SafePath::new([&b".."[..], b"", b"a/b"], UNIX).unwrap();
    assert_eq!(path.as_str(), "_/_/a_b");
    assert_eq!(path.names().collect::<Vec<_>>(), ["_", "_", "a_b"]);
    assert_eq!((path.parent(), path.file_name()), (Some("_/_"), "a_b"));
    assert_eq!(path.to_path_buf(), PathBuf::from("_/_/a_b"));
}

#[test]
fn m2_absolute_paths_become_relative() {
    for (raw, safe) in
        [("/etc/passwd", "_etc_passwd"), ("\\\\?\\C:\\x", "__?_C:_x"), ("\\\\host\\share", "__host_share")]
    {
        let path = SafePath::name(raw.as_bytes(), UNIX);
        assert_eq!(path.as_str(), safe);
        assert!(path.to_path_buf().is_relative());
    }
    assert_eq!(windows("C:\\x"), "C__x");
    assert_eq!(windows("\\\\?\\C:\\x"), "____C__x");
}

#[test]
fn m3_what_is_removed_never_bares_a_new_dot_dot() {
    assert_eq!(unix(".\u{200b}.".as_bytes()), "_");
    assert_eq!(unix("\u{202e}..\u{202c}".as_bytes()), "_");
    assert_eq!(unix(b".\x01."), "._.");
    assert_eq!(unix("\u{feff}".as_bytes()), "_");
}

#[test]
fn m4_control_characters_become_underscores() {
    assert_eq!(unix(b"a\0b\x1b[31m\x7f\n"), "a_b_[31m__");
    assert_eq!(unix("a\u{85}\u{9b}\u{2028}b".as_bytes()), "a___b");
}

#[test]
fn m5_invalid_utf8_becomes_an_underscore_for_each_run() {
    assert_eq!(unix(b"\xc0\xae\xc0\xae"), "_");
    assert_eq!(unix(b"\xe0\x80\xaf"), "_");
    assert_eq!(unix(b"a\xff\xfeb\xed\xa0\x80c"), "a_b_c");
    assert_eq!(unix(b"..\xff/"), "..__");
    assert_eq!(unix(b".\xff."), "._.");
}

#[test]
fn m6_bidi_and_invisible_characters_are_dropped() {
    assert_eq!(unix("photo\u{202e}gpj.exe".as_bytes()), "photogpj.exe");
    assert_eq!(unix("a\u{200b}\u{200d}\u{2066}\u{ad}\u{e0041}b".as_bytes()), "ab");
}

#[test]
fn m7_windows_names_only_by_its_rules() {
    for (raw, safe) in [
        ("con", "_con"),
        ("NUL.txt", "_NUL.txt"),
        ("com1.tar.gz", "_com1.tar.gz"),
        ("LPT\u{b2}", "_LPT\u{b2}"),
        ("aux .x", "_aux .x"),
        ("console", "console"),
        ("com", "com"),
        ("com10", "com10"),
        ("a.", "a_"),
        ("a..", "a._"),
        ("a ", "a_"),
        ("...", ".._"),
        ("file:stream", "file_stream"),
        ("a<b>c\"d|e?f*g", "a_b_c_d_e_f_g"),
    ] {
        assert_eq!(windows(raw), safe);
    }
    assert_eq!(unix(b"nul."), "nul.");
}

#[test]
fn m8_long_names_are_cut_at_a_character_and_keep_the_extension() {
    let long = unix(format!("{}.tar.gz", "x".repeat(300)).as_bytes());
    assert_eq!(long, format!("{}.gz", "x".repeat(252)));
    let umlauts = unix(format!("{}.mkv", "ö".repeat(200)).as_bytes());
    assert_eq!(umlauts, format!("{}.mkv", "ö".repeat(125)));
    let no_extension = unix(format!("a.{}", "y".repeat(300)).as_bytes());
    assert_eq!(no_extension, format!("a.{}", "y".repeat(253)));
    assert_eq!(unix(&[b'z'; 5_000_000]).len(), 255);
    let reserved = windows(&format!("con.{}", "q".repeat(251)));
    assert_eq!((reserved.len(), reserved.starts_with("_con.")), (255, true));
}

#[test]
fn m8_more_than_a_hundred_levels_are_refused() {
    let deep = |levels| SafePath::new(std::iter::repeat_n(&b"a"[..], levels), UNIX);
    assert_eq!(deep(100).unwrap().names().count(), 100);
    assert_eq!(deep(101), Err(PathError::Depth));
    assert_eq!(deep(5000), Err(PathError::Depth));
    assert_eq!(deep(0), Err(PathError::Empty));
}

#[test]
fn m9_equal_paths_are_numbered() {
    assert_eq!(
        unique(&["d/a.txt", "d/a.txt", "d/b", "d/a.txt"], UNIX).unwrap(),
        ["d/a.txt", "d/a.1.txt", "d/b", "d/a.2.txt"]
    );
    assert_eq!(unique(&["a", "a", "a.1"], UNIX).unwrap(), ["a", "a.2", "a.1"]);
    assert_eq!(unique(&["a.1", "a", "a", "a.1"], UNIX).unwrap(), ["a.1", "a", "a.2", "a.1.1"]);
    assert_eq!(unique(&["a", "A", "x/b", "X/B"], UNIX).unwrap(), ["a", "A", "x/b", "X/B"]);
    assert_eq!(unique(&["a", "A", "x/Ö", "X/ö"], NameRules::PORTABLE).unwrap(), ["a", "A.1", "x/Ö", "X/ö.1"]);
    let long = format!("{}.txt", "n".repeat(251));
    let renamed = unique(&[&long, &long], UNIX).unwrap();
    assert_eq!((renamed[1].len(), renamed[1].ends_with("n.1.txt")), (255, true));
}

#[test]
fn m9_five_hundred_equal_paths_are_enough() {
    assert!(unique(&["a"; 501], UNIX).is_ok());
    assert_eq!(unique(&["a"; 502], UNIX), Err(PathError::SameName));
}

#[test]
fn m9_many_clashes_take_linear_time() {
    let mut paths: Vec<SafePath> = (0..200_000)
        .rev()
        .map(|number| SafePath::parse(&format!("folder {}/file {}", number % 1000, number / 500), UNIX).unwrap())
        .collect();
    let renamed = make_unique(&mut paths.iter_mut().collect::<Vec<_>>(), UNIX).unwrap();
    let all: std::collections::BTreeSet<_> = paths.iter().collect();
    assert_eq!((all.len(), renamed.is_empty()), (200_000, true));
}

#[test]
fn m10_a_file_that_is_also_a_folder_is_renamed() {
    assert_eq!(unique(&["a", "a/b"], UNIX).unwrap(), ["a.1", "a/b"]);
    assert_eq!(unique(&["a/b/c", "a/b", "a"], UNIX).unwrap(), ["a/b/c", "a/b.1", "a.1"]);
    assert_eq!(unique(&["A/b", "a"], NameRules::PORTABLE).unwrap(), ["A/b", "a.1"]);
    assert_eq!(unique(&["a", "a b", "a/b"], UNIX).unwrap(), ["a.1", "a b", "a/b"]);
}

fn raw_name() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        prop::sample::select(vec![
            &b"."[..],
            b"..",
            b"/",
            b"\\",
            b" ",
            b":",
            b"con",
            b"NUL",
            b"com1",
            b"\x01",
            b"\xff",
            b"\xc0\xae",
            b"_",
            "\u{200b}".as_bytes(),
            "\u{202e}".as_bytes(),
            "\u{b9}".as_bytes(),
            "ö".as_bytes(),
        ])
        .prop_map(<[u8]>::to_vec),
        any::<char>().prop_map(|char| char.to_string().into_bytes()),
        (any::<u8>(), 1usize..300).prop_map(|(byte, count)| vec![byte; count]),
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn m3_sanitising_is_a_fixed_point(raw in raw_name(), windows: bool) {
        let rules = NameRules { windows, fold_case: false };
        let once = safe_name(&raw, rules).into_owned();
        prop_assert_eq!(&safe_name(once.as_bytes(), rules), &once);
        prop_assert!(!once.is_empty() && once.len() <= MAX_NAME_LENGTH && once != "." && once != "..");
        prop_assert!(!once.contains(['/', '\\', '\0']));
        let path = std::path::Path::new(&once);
        prop_assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
    }

    #[test]
    fn m9_unique_paths_are_unique(names in prop::collection::vec("[abA]{1,2}(\\.1)?(/[ab](\\.1)?){0,2}", 0..40), fold_case: bool) {
        let rules = NameRules { windows: false, fold_case };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let key = |path: &str| if fold_case { path.to_lowercase() } else { path.to_owned() };
        let found = unique(&names, rules).unwrap();
        for (number, path) in found.iter().enumerate() {
            for other in &found[..number] {
                prop_assert_ne!(key(path), key(other));
            }
            let as_folder = key(path) + "/";
            prop_assert!(found.iter().all(|other| !key(other).starts_with(&as_folder)));
            // A path that clashes with none before it and is no folder is kept.
            let free = !names[..number].iter().any(|other| key(other) == key(names[number]))
                && !names.iter().any(|other| key(other).starts_with(&(key(names[number]) + "/")));
            prop_assert_eq!(free, path == names[number]);
        }
    }
}
