//! The exit codes: one table for the program, its help, its man page and its tests.

/// How the program ends.
///
/// The numbers 10 (daemon) and 11 (no match) belong to commands that do not exist yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// A bug or something unforeseen.
    Internal = 1,
    /// A bad option, argument or configuration file.
    Usage = 2,
    /// An input is missing or unreadable.
    NotFound = 3,
    /// An input is not what it should be.
    Invalid = 4,
    /// Data on disk does not match its torrent.
    Mismatch = 5,
    /// Nobody could be reached, or nothing came for too long.
    NoProgress = 6,
    /// A limit that the user set ended it.
    Incomplete = 7,
    /// The disk said no.
    Storage = 8,
    /// Something else is in the way.
    Exists = 9,
    /// A tracker said no.
    Refused = 12,
    /// Ctrl-C, after saving state.
    Interrupted = 130,
    /// SIGTERM, after saving state.
    Terminated = 143,
}

impl Exit {
    /// Every way to end, in the order of the numbers.
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::Internal,
        Self::Usage,
        Self::NotFound,
        Self::Invalid,
        Self::Mismatch,
        Self::NoProgress,
        Self::Incomplete,
        Self::Storage,
        Self::Exists,
        Self::Refused,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number that the system gets.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The name in documents for machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Invalid => "invalid",
            Self::Mismatch => "mismatch",
            Self::NoProgress => "no_progress",
            Self::Incomplete => "incomplete",
            Self::Storage => "storage",
            Self::Exists => "exists",
            Self::Refused => "refused",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
        }
    }

    /// When it is used, in one line.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done (also \"already complete\")",
            Self::Internal => "a bug or an unforeseen error",
            Self::Usage => "bad option, argument or configuration file",
            Self::NotFound => "input file, URL or content path missing or unreadable",
            Self::Invalid => "not a torrent, damaged torrent, bad magnet link, unsafe path in a torrent",
            Self::Mismatch => "missing or damaged data was found",
            Self::NoProgress => "no tracker or peer reachable, or stalled longer than allowed",
            Self::Incomplete => "stopped by a limit of yours before the end",
            Self::Storage => "disk full, permission, read-only, name too long, input/output error",
            Self::Exists => "would overwrite something that is not this torrent",
            Self::Refused => "the tracker said no (its reason is shown)",
            Self::Interrupted => "stopped by Ctrl-C after saving state",
            Self::Terminated => "stopped by SIGTERM after saving state",
        }
    }

    /// The table as lines of text.
    #[must_use]
    pub fn table() -> String {
        use std::fmt::Write as _;
        Self::ALL.iter().fold(String::from("Exit codes:\n"), |mut text, exit| {
            let _ = writeln!(text, "  {:>3}  {:<12} {}", exit.code(), exit.name(), exit.meaning());
            text
        })
    }
}
