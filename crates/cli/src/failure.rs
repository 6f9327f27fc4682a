//! What the user is told when something ends badly: one line of what and why, and at most one line of help.

use serde::Serialize;

use crate::exit::Exit;

/// An end that is not what the user wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    /// How the program ends.
    pub(crate) exit: Exit,
    /// What and why, in one line, lower case, with quoted input.
    pub(crate) message: String,
    /// What to do about it: best a command to run.
    pub(crate) help: Option<String>,
    /// The argument it is about.
    pub(crate) input: Option<String>,
    /// Everything about it was said already.
    pub(crate) silent: bool,
}

/// What a command comes to.
pub(crate) type Outcome = Result<Exit, Failure>;

impl Failure {
    /// A failure that says `message`.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: one_line(&message.into()), help: None, input: None, silent: false }
    }

    /// A bad option or argument.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Something that should not happen: asks for a report.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Exit::Internal, message)
            .help("this is a bug in riverrun: please report it, with what the same command says with -vv")
    }

    /// An option that only a later version brings.
    pub(crate) fn not_yet(what: &str) -> Self {
        Self::usage(format!("{what} is not there yet"))
    }

    /// An end about which nothing is left to say.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self { silent: true, ..Self::new(exit, exit.meaning()) }
    }

    /// With a line of help.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(one_line(&help.into()));
        self
    }

    /// With a line of help, if there is one.
    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// About this argument, if none is named yet.
    pub(crate) fn input(mut self, input: impl Into<String>) -> Self {
        self.input.get_or_insert(input.into());
        self
    }

    /// The lines for people.
    pub(crate) fn text(&self, colour: bool) -> String {
        let (red, green, off) = if colour { ("\x1b[1;31m", "\x1b[1;32m", "\x1b[0m") } else { ("", "", "") };
        let mut text = format!("{red}error:{off} {}\n", self.message);
        if let Some(help) = &self.help {
            text.push_str(&format!("{green}help:{off} {help}\n"));
        }
        text
    }

    /// The document for machines.
    pub(crate) fn json(&self) -> String {
        #[derive(Serialize)]
        struct Document<'a> {
            v: u8,
            error: FailureDocument<'a>,
        }
        crate::render::events::document(&Document { v: 1, error: self.facts() })
    }

    /// The facts for machines.
    pub(crate) fn facts(&self) -> FailureDocument<'_> {
        FailureDocument {
            code: self.exit.name(),
            exit: self.exit.code(),
            message: &self.message,
            help: self.help.as_deref(),
            input: self.input.as_deref(),
        }
    }
}

/// A failure as documents have it.
#[derive(Serialize, Clone, Copy, Debug)]
pub(crate) struct FailureDocument<'a> {
    code: &'static str,
    exit: u8,
    message: &'a str,
    help: Option<&'a str>,
    input: Option<&'a str>,
}

/// Messages are one line whatever they quote.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Writing to a stream of ours went wrong. That the reader has gone is no failure: it has what it wanted.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::silent(Exit::Ok),
            _ => Self::new(Exit::Storage, format!("cannot write the output: {}", reason(&error))),
        }
    }
}

/// What the system said, in lower case and without its number.
pub(crate) fn reason(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => "no such file or folder".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::StorageFull => "the disk is full".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        ErrorKind::NotADirectory => "a part of the path is not a folder".to_owned(),
        ErrorKind::InvalidFilename => "the name is too long for the file system".to_owned(),
        _ => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            let mut chars = text.chars();
            chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
        }
    }
}
