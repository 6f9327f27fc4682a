use riverrun_metainfo::display;
use riverrun_metainfo::path::{MAX_DEPTH, MAX_NAME_LENGTH, NameRules, SafePath, make_unique, safe_name};

/// Names of any bytes: safe, the same when made safe again, and told apart.
pub fn safe_path(data: &[u8]) {
    let (flags, names) = data.split_first().map_or((0, data), |(flags, names)| (*flags, names));
    let rules = NameRules { windows: flags & 1 == 1, fold_case: flags & 2 == 2 };
    let safe = safe_name(names, rules);
    check(&safe, rules);
    let paths: Vec<SafePath> = names.split(|byte| *byte == b'\n').filter_map(|line| path(line, rules)).collect();
    let mut unique = paths.clone();
    if make_unique(&mut unique.iter_mut().collect::<Vec<_>>(), rules).is_ok() {
        assert_eq!(unique.len(), paths.len());
        let mut seen: Vec<String> = unique.iter().map(|path| folded(path.as_str(), rules)).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), paths.len(), "no two files have one path");
        unique.iter().flat_map(SafePath::names).for_each(|name| check(name, rules));
    }
    let shown = display::escaped_bytes(data).to_string();
    assert!(!shown.contains(|char: char| char.is_control() || matches!(char, '\u{202a}'..='\u{202e}')));
}

fn path(line: &[u8], rules: NameRules) -> Option<SafePath> {
    let path = SafePath::new(line.split(|byte| *byte == b'/'), rules).ok()?;
    assert!(path.names().count() <= MAX_DEPTH);
    path.names().for_each(|name| check(name, rules));
    assert_eq!(SafePath::parse(path.as_str(), rules).as_ref(), Ok(&path));
    assert!(path.to_path_buf().is_relative());
    Some(path)
}

fn check(name: &str, rules: NameRules) {
    assert!(!name.is_empty() && name.len() <= MAX_NAME_LENGTH, "{name:?}");
    assert!(name != "." && name != ".." && !name.contains(['/', '\\', '\0']), "{name:?}");
    assert!(!name.contains(char::is_control), "{name:?}");
    assert_eq!(safe_name(name.as_bytes(), rules), name, "a safe name stays as it is");
}

fn folded(path: &str, rules: NameRules) -> String {
    if rules.fold_case { path.to_lowercase() } else { path.to_owned() }
}
