//! `--files 1,3-5,*.flac` and `--exclude`: some files of a torrent, by their numbers or by patterns.

use glob::{MatchOptions, Pattern};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::shown;
use crate::torrent_source::Loaded;

/// What the user chose.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Choice {
    only: Vec<Which>,
    without: Vec<Which>,
}

/// One way to name files.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Which {
    /// Numbers from one, as lists show them; both ends belong to it.
    Numbers(usize, usize),
    /// A pattern for the path, or for the name alone when it has no `/`.
    Glob(Pattern),
}

const MATCHING: MatchOptions =
    MatchOptions { case_sensitive: false, require_literal_separator: false, require_literal_leading_dot: false };

/// Whether a path fits a pattern: the whole path, or its last name when the pattern has no `/`.
pub(crate) fn fits(pattern: &Pattern, path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let target = if pattern.as_str().contains('/') { path } else { name };
    pattern.matches_with(target, MATCHING)
}

/// Reads a pattern.
pub(crate) fn pattern(text: &str) -> Result<Pattern, Failure> {
    Pattern::new(text).map_err(|error| Failure::usage(format!("bad pattern {:?}: {}", shown(text), error.msg)))
}

impl Which {
    fn parse(text: &str) -> Result<Self, Failure> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if first >= 1 && first <= last => Ok(Self::Numbers(first, last)),
            (Ok(_), Ok::<usize, _>(_)) => {
                Err(Failure::usage(format!("{text:?} is no range of files: numbers begin with 1")))
            }
            _ => Ok(Self::Glob(pattern(text)?)),
        }
    }

    fn names(&self, number: usize, path: &str) -> bool {
        match self {
            Self::Numbers(first, last) => (*first..=*last).contains(&number),
            Self::Glob(pattern) => fits(pattern, path),
        }
    }
}

impl Choice {
    /// Reads `--files` and `--exclude`.
    pub(crate) fn parse(only: &[String], without: &[String]) -> Result<Self, Failure> {
        let read = |texts: &[String]| {
            texts.iter().filter(|text| !text.is_empty()).map(|text| Which::parse(text)).collect::<Result<_, _>>()
        };
        Ok(Self { only: read(only)?, without: read(without)? })
    }

    /// The places of the chosen files in the torrent, padding counted, in order; `None` when all are.
    pub(crate) fn of(&self, loaded: &Loaded) -> Result<Option<Vec<usize>>, Failure> {
        if self.only.is_empty() && self.without.is_empty() {
            return Ok(None);
        }
        let real: Vec<(usize, &str)> = loaded
            .files
            .iter()
            .enumerate()
            .filter(|(_, file)| !file.pad)
            .map(|(at, file)| (at, file.path.as_str()))
            .collect();
        let numbered = || real.iter().zip(1..).map(|((at, path), number)| (*at, *path, number));
        for which in &self.only {
            if !numbered().any(|(_, path, number)| which.names(number, path)) {
                return Err(nothing_fits(which, &real));
            }
        }
        let chosen: Vec<usize> = numbered()
            .filter(|(_, path, number)| {
                self.only.is_empty() || self.only.iter().any(|which| which.names(*number, path))
            })
            .filter(|(_, path, number)| !self.without.iter().any(|which| which.names(*number, path)))
            .map(|(at, ..)| at)
            .collect();
        if chosen.is_empty() {
            Err(Failure::usage("no file is left by --files and --exclude"))
        } else {
            Ok(Some(chosen))
        }
    }
}

fn nothing_fits(which: &Which, files: &[(usize, &str)]) -> Failure {
    let what = match which {
        Which::Numbers(first, last) if first == last => format!("no file has the number {first}"),
        Which::Numbers(first, last) => format!("no file has a number from {first} to {last}"),
        Which::Glob(pattern) => format!("no file matches {:?}", shown(pattern.as_str())),
    };
    let most = 10;
    let mut names: Vec<String> =
        files.iter().zip(1..).take(most).map(|((_, path), number)| format!("{number} {}", shown(path))).collect();
    if files.len() > most {
        names.push(format!("and {} more (--list shows them)", files.len() - most));
    }
    Failure::new(Exit::Usage, what).help(format!("the files are: {}", names.join(", ")))
}
