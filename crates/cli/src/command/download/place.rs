//! Where the content of a torrent goes: the rules of `-o` and `-d`, which are those of `cp -r`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::render::shown;

/// What the user said about the place.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Wish {
    /// `-o`
    pub(crate) output: Option<PathBuf>,
    /// `-d`
    pub(crate) dir: Option<PathBuf>,
    /// How many torrents there are.
    pub(crate) torrents: usize,
    /// What may stand behind the names of files that are not complete.
    pub(crate) part_suffix: Option<String>,
}

/// The content, as far as the rules ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    /// Its own name.
    pub(crate) name: String,
    /// Path under the folder and length of each file that will be on disk; empty for a torrent of one file.
    pub(crate) files: Vec<(PathBuf, u64)>,
    /// How many files are wanted.
    pub(crate) chosen: usize,
}

/// Where the content goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// To standard output.
    Stdout,
    /// Exactly here: this path is the file, or the folder in place of the torrent's own.
    At(PathBuf),
}

impl Place {
    /// Follows the rules. `earlier` knows whether an unfinished run put this very torrent somewhere.
    pub(crate) fn find(wish: &Wish, shape: &Shape, earlier: impl Fn(&Path) -> bool) -> Result<Self, Failure> {
        let dir = wish.dir.as_deref().unwrap_or(Path::new(""));
        let Some(output) = &wish.output else {
            return Ok(Self::At(dir.join(&shape.name)));
        };
        if output == Path::new("-") {
            return match (wish.torrents, shape.chosen) {
                (1, 1) => Ok(Self::Stdout),
                (1, count) => {
                    let name = shown(&shape.name);
                    Err(Failure::usage(format!("\"-o -\" takes one file, and {count} of {name:?} are wanted"))
                        .help("--files takes one of them, by its number in --list or by a pattern"))
                }
                _ => Err(Failure::usage("\"-o -\" takes one torrent")),
            };
        }
        // A path that ends in `/` or `/.` names a folder. `join` keeps the end of its argument.
        let output = dir.join(output);
        let is_folder = ends_as_folder(output.as_os_str()) || output.is_dir();
        if wish.torrents > 1 && !is_folder {
            return Err(Failure::usage(format!(
                "-o {:?} is not a folder, and there are {} torrents",
                shown(&output.to_string_lossy()),
                wish.torrents
            ))
            .help(format!("-o {}/ puts them all into a folder", shown(&output.to_string_lossy()))));
        }
        if !is_folder || is_content_root(&output, shape, wish.part_suffix.as_deref(), earlier) {
            return Ok(Self::At(output));
        }
        Ok(Self::At(output.join(&shape.name)))
    }
}

/// Whether the text of a path says that it is a folder.
fn ends_as_folder(path: &OsStr) -> bool {
    let bytes = path.as_encoded_bytes();
    bytes.ends_with(b"/") || bytes.ends_with(b"/.") || bytes == b"." || bytes.ends_with(b"/..") || bytes == b".."
}

/// Whether an existing folder is where an earlier run put this torrent: then it is the content, not the folder around it.
fn is_content_root(folder: &Path, shape: &Shape, suffix: Option<&str>, earlier: impl Fn(&Path) -> bool) -> bool {
    if shape.files.is_empty() || !folder.is_dir() {
        return false;
    }
    if earlier(folder) {
        return true;
    }
    if folder.join(&shape.name).is_dir() && !shape.files.iter().any(|(path, _)| path.starts_with(&shape.name)) {
        return false;
    }
    let fits = |path: PathBuf, length: u64| {
        path.symlink_metadata().is_ok_and(|found| found.is_file() && found.len() <= length)
    };
    let found = shape.files.iter().filter(|(path, length)| {
        let path = folder.join(path);
        suffix.is_some_and(|suffix| fits(with_suffix(&path, suffix), *length)) || fits(path, *length)
    });
    let found = found.count();
    found > 0 && (found == shape.files.len() || nothing_else_in(folder, shape, suffix))
}

/// Whether every entry of the folder belongs to the torrent.
fn nothing_else_in(folder: &Path, shape: &Shape, suffix: Option<&str>) -> bool {
    let Ok(entries) = folder.read_dir() else { return false };
    let tops: std::collections::HashSet<&OsStr> =
        shape.files.iter().filter_map(|(path, _)| path.iter().next()).collect();
    entries.flatten().map(|entry| entry.file_name()).all(|name| {
        let own = suffix.and_then(|suffix| name.to_str()?.strip_suffix(suffix));
        tops.contains(name.as_os_str()) || own.is_some_and(|own| tops.contains(OsStr::new(own)))
    })
}

/// The path that a file has as long as it is not complete.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// A path as the user would write it: without a leading `./`.
pub(crate) fn as_written(path: &Path) -> String {
    let text = path.to_string_lossy();
    let text = text.strip_prefix("./").unwrap_or(&text);
    shown(if text.is_empty() { "." } else { text }).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn single() -> Shape {
        Shape { name: "single.bin".into(), files: Vec::new(), chosen: 1 }
    }

    fn album() -> Shape {
        Shape { name: "album".into(), files: vec![("01.flac".into(), 10), ("art/front.png".into(), 5)], chosen: 2 }
    }

    fn at(output: Option<&str>, dir: Option<&str>, shape: &Shape) -> PathBuf {
        let wish =
            Wish { output: output.map(PathBuf::from), dir: dir.map(PathBuf::from), torrents: 1, part_suffix: None };
        match Place::find(&wish, shape, |_| false).unwrap() {
            Place::At(path) => path,
            Place::Stdout => PathBuf::from("(stdout)"),
        }
    }

    #[test]
    fn output_is_like_the_target_of_cp() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().to_str().unwrap();
        let path = |rest: &str| PathBuf::from(format!("{dir}/{rest}"));
        for shape in [single(), album()] {
            let name = shape.name.clone();
            assert_eq!(at(None, None, &shape), PathBuf::from(&name));
            assert_eq!(at(None, Some(dir), &shape), path(&name));
            assert_eq!(at(Some("new"), None, &shape), PathBuf::from("new"));
            assert_eq!(at(Some("new/"), None, &shape), PathBuf::from("new").join(&name));
            assert_eq!(at(Some(dir), None, &shape), path(&name));
            assert_eq!(at(Some("new"), Some(dir), &shape), path("new"));
            assert_eq!(at(Some("a/b/new"), Some(dir), &shape), path("a/b/new"));
            assert_eq!(at(Some("."), Some(dir), &shape), path(".").join(&name));
            assert_eq!(at(Some("/elsewhere"), Some(dir), &shape), PathBuf::from("/elsewhere"));
        }
        assert_eq!(at(Some("-"), None, &single()), PathBuf::from("(stdout)"));
    }

    #[test]
    fn a_run_again_finds_the_folder_it_made() {
        let root = tempfile::tempdir().unwrap();
        let made = root.path().join("album2");
        std::fs::create_dir_all(made.join("art")).unwrap();
        let again = || at(Some(made.to_str().unwrap()), None, &album());
        assert_eq!(again(), made.join("album"), "an empty folder is a folder to put things into");
        std::fs::write(made.join("art/front.png"), b"12345").unwrap();
        assert_eq!(again(), made, "a part of the torrent and nothing else");
        std::fs::write(made.join("other"), b"").unwrap();
        assert_eq!(again(), made.join("album"), "a folder with other things");
        std::fs::write(made.join("01.flac"), b"0123456789").unwrap();
        assert_eq!(again(), made, "the whole torrent");
        std::fs::create_dir(made.join("album")).unwrap();
        assert_eq!(again(), made.join("album"), "it was put inside before");
    }

    #[test]
    fn the_resume_record_names_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let wish = Wish { output: Some(root.path().to_owned()), dir: None, torrents: 1, part_suffix: None };
        assert_eq!(Place::find(&wish, &album(), |path| path == root.path()), Ok(Place::At(root.path().to_owned())));
    }

    #[test]
    fn several_torrents_need_a_folder() {
        let wish = Wish { output: Some("file".into()), dir: None, torrents: 2, part_suffix: None };
        assert!(Place::find(&wish, &single(), |_| false).is_err());
        let wish = Wish { output: Some("folder/".into()), ..wish };
        assert_eq!(Place::find(&wish, &single(), |_| false), Ok(Place::At("folder/single.bin".into())));
        let wish = Wish { output: Some("-".into()), dir: None, torrents: 1, part_suffix: None };
        assert!(Place::find(&wish, &album(), |_| false).is_err());
    }
}
