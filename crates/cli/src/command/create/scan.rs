//! What there is to share: the files below a path, chosen and in order.

use std::io;
use std::path::{Path, PathBuf};

use glob::Pattern;
use riverrun::metainfo::create::SourceFile;

use crate::exit::Exit;
use crate::failure::{Failure, reason};
use crate::file_choice;
use crate::render::shown;

/// Which files are taken.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
    hidden: bool,
    /// The torrent file that is being written: never a part of its own content.
    not: Option<PathBuf>,
}

/// The files of a torrent to be, and where they are.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    /// What the torrent says of each file.
    pub(crate) sources: Vec<SourceFile>,
    /// Where each of them is.
    pub(crate) paths: Vec<PathBuf>,
    /// What was left out, and why.
    pub(crate) warnings: Vec<String>,
}

/// The deepest folder that is looked into.
const MAX_DEPTH: usize = riverrun::metainfo::create::Plan::MAX_DEPTH;

impl Filter {
    /// Takes files that fit one of `include` (all, if there is none) and none of `exclude`.
    pub(crate) fn new(
        include: &[String],
        exclude: &[String],
        hidden: bool,
        not: Option<&Path>,
    ) -> Result<Self, Failure> {
        let read = |texts: &[String]| texts.iter().map(|text| file_choice::pattern(text)).collect::<Result<_, _>>();
        let not = not.and_then(|path| path.canonicalize().ok());
        Ok(Self { include: read(include)?, exclude: read(exclude)?, hidden, not })
    }

    fn takes(&self, path: &str) -> bool {
        let fits = |patterns: &[Pattern]| patterns.iter().any(|pattern| file_choice::fits(pattern, path));
        (self.include.is_empty() || fits(&self.include)) && !fits(&self.exclude)
    }

    /// A folder that is excluded by its own name or path is not looked into.
    fn enters(&self, path: &str) -> bool {
        !self.exclude.iter().any(|pattern| file_choice::fits(pattern, path))
    }
}

/// Why content cannot be read.
pub(crate) fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::NotFound, format!("{}: {}", shown(&path.to_string_lossy()), reason(error)))
}

impl Content {
    /// Looks at a file, or at everything below a folder.
    pub(crate) fn scan(path: &Path, filter: &Filter) -> Result<Self, Failure> {
        let found = path.metadata().map_err(|error| cannot_read(path, &error))?;
        let mut content = Self { sources: Vec::new(), paths: Vec::new(), warnings: Vec::new() };
        if found.is_file() {
            content.sources.push(source(Vec::new(), found.len()));
            content.paths.push(path.to_owned());
        } else if found.is_dir() {
            let mut names = Vec::new();
            content.folder(path, &mut names, filter)?;
            if content.sources.is_empty() {
                let path = shown(&path.to_string_lossy()).into_owned();
                return Err(Failure::new(Exit::Invalid, format!("{path} has no files to share"))
                    .help("--hidden takes hidden files too"));
            }
        } else {
            let path = shown(&path.to_string_lossy()).into_owned();
            return Err(Failure::new(Exit::Invalid, format!("{path} is neither a file nor a folder")));
        }
        Ok(content)
    }

    fn folder(&mut self, folder: &Path, names: &mut Vec<String>, filter: &Filter) -> Result<(), Failure> {
        if names.len() >= MAX_DEPTH {
            let folder = shown(&folder.to_string_lossy()).into_owned();
            return Err(Failure::new(Exit::Invalid, format!("{folder} is more than {MAX_DEPTH} folders deep")));
        }
        let cannot = |error: io::Error| cannot_read(folder, &error);
        let entries: Vec<_> = folder.read_dir().map_err(cannot)?.collect::<Result<_, _>>().map_err(cannot)?;
        let mut entries: Vec<_> = entries.into_iter().map(|entry| (entry.file_name(), entry.path())).collect();
        entries.sort();
        for (name, path) in entries {
            let Some(name) = name.to_str() else {
                let path = shown(&path.to_string_lossy()).into_owned();
                return Err(Failure::new(Exit::Invalid, format!("the name of {path:?} is not UTF-8"))
                    .help("--exclude leaves it out, or give it another name"));
            };
            if name.starts_with('.') && !filter.hidden {
                continue;
            }
            names.push(name.to_owned());
            self.entry(&path, names, filter)?;
            names.pop();
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, names: &mut Vec<String>, filter: &Filter) -> Result<(), Failure> {
        let joined = names.join("/");
        let displayed = shown(&joined).into_owned();
        let is_link = path.is_symlink();
        let found = match path.metadata() {
            Ok(found) => found,
            Err(_) if is_link => {
                self.warnings.push(format!("{displayed} is a link that leads nowhere and is left out"));
                return Ok(());
            }
            Err(error) => return Err(cannot_read(path, &error)),
        };
        if found.is_dir() && is_link {
            self.warnings.push(format!("{displayed} is a link to a folder and is left out"));
        } else if found.is_dir() && filter.enters(&joined) {
            self.folder(path, names, filter)?;
        } else if found.is_file() && filter.takes(&joined) {
            let own = filter.not.as_ref().is_some_and(|not| path.canonicalize().is_ok_and(|path| path == *not));
            if !own {
                self.sources.push(source(names.clone(), found.len()));
                self.paths.push(path.to_owned());
            }
        } else if !found.is_file() && !found.is_dir() {
            self.warnings.push(format!("{displayed} is neither a file nor a folder and is left out"));
        }
        Ok(())
    }
}

/// A plain file. Permission bits are not told: the same content is the same torrent on every machine.
fn source(path: Vec<String>, length: u64) -> SourceFile {
    SourceFile { path, length, executable: false, hidden: false, symlink: None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn scan(root: &Path, include: &[&str], exclude: &[&str], hidden: bool) -> Vec<String> {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let filter = Filter::new(&texts(include), &texts(exclude), hidden, None).unwrap();
        Content::scan(root, &filter).unwrap().sources.iter().map(|file| file.path.join("/")).collect()
    }

    #[test]
    fn files_are_chosen_by_patterns() {
        let root = tempfile::tempdir().unwrap();
        for path in ["b/2.txt", "b/c/3.log", "a.txt", ".hidden", "b/.git/x"] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"x").unwrap();
        }
        assert_eq!(scan(root.path(), &[], &[], false), ["a.txt", "b/2.txt", "b/c/3.log"]);
        assert_eq!(scan(root.path(), &["*.txt"], &[], false), ["a.txt", "b/2.txt"]);
        assert_eq!(scan(root.path(), &[], &["c"], false), ["a.txt", "b/2.txt"]);
        assert_eq!(scan(root.path(), &["b/*"], &["*.log"], false), ["b/2.txt"]);
        assert_eq!(scan(root.path(), &[], &["b"], true), [".hidden", "a.txt"]);
    }

    #[test]
    fn links_out_of_the_content_and_special_files_are_told_of() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("file"), b"x").unwrap();
        std::os::unix::fs::symlink("/", root.path().join("folder-link")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.path().join("dead-link")).unwrap();
        std::os::unix::fs::symlink("file", root.path().join("file-link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.path().join("socket")).unwrap();
        let content = Content::scan(root.path(), &Filter::new(&[], &[], false, None).unwrap()).unwrap();
        assert_eq!(content.sources.len(), 2);
        assert_eq!(content.warnings.len(), 3, "{:?}", content.warnings);
    }
}
