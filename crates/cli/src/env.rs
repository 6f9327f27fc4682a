//! What the program has around it: arguments, variables, streams and the terminal, as one value that a test can make.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use riverrun::Net;

use crate::args::ColourChoice;

/// Everything the program gets from outside.
pub struct Env {
    /// The arguments, the program's name first.
    pub args: Vec<OsString>,
    /// Environment variables.
    pub vars: BTreeMap<OsString, OsString>,
    /// Standard input.
    pub input: Box<dyn Read + Send>,
    /// Standard output: results.
    pub out: Box<dyn Write + Send>,
    /// Standard error: everything else.
    pub err: Box<dyn Write + Send>,
    /// What standard output is connected to.
    pub out_screen: Screen,
    /// What standard error is connected to.
    pub err_screen: Screen,
    /// What the user wants of colours, once the command line and the configuration are read.
    pub(crate) colours: Option<ColourChoice>,
    /// How others are reached, once the command line is read.
    pub(crate) net: Option<Net>,
}

/// What a stream is connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Screen {
    /// A pipe or a file.
    None,
    /// A terminal that tells its size when asked.
    Terminal,
    /// A terminal of a fixed width, for tests.
    Fixed(u16),
}

impl Screen {
    /// Whether it is a terminal.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self != Self::None
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("args", &self.args).finish_non_exhaustive()
    }
}

impl Env {
    /// What this process has.
    #[must_use]
    pub fn of_process() -> Self {
        let screen = |terminal| if terminal { Screen::Terminal } else { Screen::None };
        Self {
            args: std::env::args_os().collect(),
            vars: std::env::vars_os().collect(),
            input: Box::new(io::stdin()),
            out: Box::new(io::BufWriter::new(io::stdout())),
            err: Box::new(io::stderr()),
            out_screen: screen(io::stdout().is_terminal()),
            err_screen: screen(io::stderr().is_terminal()),
            colours: None,
            net: None,
        }
    }

    /// Only these arguments (the program's name first), and nothing around them: for tests, which then set what they look at.
    #[must_use]
    pub fn isolated<A: Into<OsString>>(args: impl IntoIterator<Item = A>) -> Self {
        Self {
            args: args.into_iter().map(Into::into).collect(),
            vars: BTreeMap::new(),
            input: Box::new(io::empty()),
            out: Box::new(io::sink()),
            err: Box::new(io::sink()),
            out_screen: Screen::None,
            err_screen: Screen::None,
            colours: None,
            net: None,
        }
    }

    /// How others are reached.
    pub(crate) fn net(&self) -> Net {
        self.net.clone().unwrap_or_default()
    }

    /// A variable that is set and not empty.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&OsStr> {
        self.vars.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// The columns of the terminal behind standard error; 80 where nobody says.
    #[must_use]
    pub fn columns(&self) -> usize {
        let named = || self.var("COLUMNS").and_then(|value| value.to_str()?.parse().ok());
        let asked = self.size().map(|(columns, _)| columns).filter(|columns| *columns > 0);
        usize::from(asked.or_else(named).unwrap_or(80))
    }

    /// The rows of the terminal behind standard error; 24 where nobody says.
    #[must_use]
    pub fn rows(&self) -> usize {
        usize::from(self.size().map(|(_, rows)| rows).filter(|rows| *rows > 0).unwrap_or(24))
    }

    fn size(&self) -> Option<(u16, u16)> {
        match self.err_screen {
            Screen::Fixed(columns) => Some((columns, 0)),
            Screen::Terminal => rustix::termios::tcgetwinsize(io::stderr()).ok().map(|size| (size.ws_col, size.ws_row)),
            Screen::None => None,
        }
    }

    /// The user's home folder.
    #[must_use]
    pub fn home(&self) -> Option<&Path> {
        self.var("HOME").map(Path::new)
    }

    /// Writes a line of result. That the reader has gone ends the command quietly.
    ///
    /// # Errors
    /// The stream cannot be written.
    pub fn result(&mut self, line: impl fmt::Display) -> io::Result<()> {
        writeln!(self.out, "{line}")
    }

    /// Writes a line for people who watch. Nobody may be watching: that is no error.
    pub fn say(&mut self, line: impl fmt::Display) {
        let _ = writeln!(self.err, "{line}");
    }
}

/// Where the program keeps what outlives it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Places {
    /// Resume records and the log.
    pub(crate) state: PathBuf,
    /// The configuration file that is read when none is named.
    pub(crate) config: PathBuf,
}

impl Places {
    /// Everything under one folder (`--home`), or where the system wants it.
    #[must_use]
    pub(crate) fn find(env: &Env, home: Option<&Path>) -> Option<Self> {
        if let Some(home) = home {
            return Some(Self { state: home.to_owned(), config: home.join("config.toml") });
        }
        let absolute = |name| env.var(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME").or_else(|| Some(env.home()?.join(".local/state")))?;
        let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(env.home()?.join(".config")))?;
        Some(Self { state: state.join("riverrun"), config: config.join("riverrun/config.toml") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(vars: &[(&str, &str)]) -> Env {
        let vars = vars.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Env { vars, err_screen: Screen::Fixed(100), ..Env::isolated::<&str>([]) }
    }

    #[test]
    fn places_follow_xdg_and_home() {
        let plain = Places::find(&env(&[("HOME", "/h")]), None);
        assert_eq!(plain.map(|places| places.state), Some("/h/.local/state/riverrun".into()));
        let xdg =
            Places::find(&env(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s"), ("XDG_CONFIG_HOME", "relative")]), None);
        let expected = Places { state: "/s/riverrun".into(), config: "/h/.config/riverrun/config.toml".into() };
        assert_eq!(xdg, Some(expected));
        let one = Places::find(&env(&[]), Some(Path::new("/one")));
        assert_eq!(one, Some(Places { state: "/one".into(), config: "/one/config.toml".into() }));
        assert_eq!(Places::find(&env(&[]), None), None);
    }

    #[test]
    fn the_terminal_tells_its_width_before_the_variable() {
        assert_eq!(env(&[("COLUMNS", "50")]).columns(), 100);
    }
}
