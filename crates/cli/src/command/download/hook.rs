//! The command that `--exec` runs when a download is complete: arguments, never a shell.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};

/// A command with places for what is known only at the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Hook {
    words: Vec<String>,
}

/// What a hook is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Completed<'a> {
    /// Where the content is.
    pub(crate) path: &'a Path,
    /// The torrent's name.
    pub(crate) name: &'a str,
    /// The info-hash in hexadecimal digits.
    pub(crate) hash: &'a str,
    /// Its length in bytes.
    pub(crate) bytes: u64,
}

impl std::str::FromStr for Hook {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = split(text).ok_or_else(|| format!("{text:?} has a quote that does not end"))?;
        if words.is_empty() { Err("the command is empty".into()) } else { Ok(Self { words }) }
    }
}

impl Hook {
    /// Runs the command and waits for it. Its output goes to standard error, so that results stay alone on standard output.
    pub(crate) fn run(&self, completed: Completed<'_>) -> io::Result<std::process::ExitStatus> {
        let mut words = self.words.iter().map(|word| fill(word, completed));
        let program = words.next().unwrap_or_default();
        Command::new(program)
            .args(words)
            .env("RIVERRUN_TORRENT_PATH", completed.path)
            .env("RIVERRUN_TORRENT_NAME", completed.name)
            .env("RIVERRUN_TORRENT_HASH", completed.hash)
            .env("RIVERRUN_TORRENT_BYTES", completed.bytes.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::from(io::stderr().as_fd().try_clone_to_owned()?))
            .status()
    }
}

/// A word with its places filled. What is filled in is not looked at again, and stays one argument.
fn fill(word: &str, completed: Completed<'_>) -> OsString {
    let mut out = OsString::new();
    let mut rest = word;
    while let Some(at) = rest.find('{') {
        out.push(&rest[..at]);
        rest = &rest[at..];
        let places: [(&str, &OsStr); 3] = [
            ("{path}", completed.path.as_os_str()),
            ("{name}", OsStr::new(completed.name)),
            ("{hash}", OsStr::new(completed.hash)),
        ];
        match places.iter().find(|(place, _)| rest.starts_with(place)) {
            Some((place, value)) => {
                out.push(value);
                rest = &rest[place.len()..];
            }
            None => {
                out.push("{");
                rest = &rest[1..];
            }
        }
    }
    out.push(rest);
    out
}

/// Cuts a command into words: blanks divide, quotes and backslashes keep together. `None`: a quote does not end.
fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') => word.get_or_insert_default().push(chars.next()?),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_cut_into_arguments() {
        let words = |text| split(text).unwrap_or_default();
        assert_eq!(words("mv {path} /done/"), ["mv", "{path}", "/done/"]);
        assert_eq!(words(r#"a 'b c' "d \" e" f\ g '' h"i"j"#), ["a", "b c", "d \" e", "f g", "", "hij"]);
        assert_eq!(split("a 'b"), None);
        assert!("  ".parse::<Hook>().is_err());
    }

    #[test]
    fn a_name_of_a_stranger_stays_one_argument() {
        let completed = Completed { path: Path::new("/x/{name}"), name: "$(rm -rf) {hash}; 'q'", hash: "ab", bytes: 1 };
        assert_eq!(fill("{path}:{name}:{hash}:{else}", completed), "/x/{name}:$(rm -rf) {hash}; 'q':ab:{else}");
    }
}
