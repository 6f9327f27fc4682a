//! Options that every command has.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use crate::units::{Scale, Span};

/// Options of every command, at any position.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "General")]
pub(crate) struct General {
    /// Say more: -v decisions, -vv every message
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Say errors and results only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Print documents for machines
    ///
    /// Commands that go on for a while print one line per event, the others one document.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Colours: auto, always or never
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub(crate) color: ColourChoice,

    /// How progress is shown: auto, bar, plain, json or none
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "HOW",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub(crate) progress: ProgressChoice,

    /// Time between two lines of plain progress
    #[arg(long, global = true, value_name = "DUR", default_value = "10s", hide_short_help = true)]
    pub(crate) progress_interval: Span,

    /// Show sizes in powers of ten (MB) in place of powers of two (MiB)
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) si: bool,

    /// Write a log to this file
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) log: Option<PathBuf>,

    /// The form of the log: text or json
    #[arg(
        long,
        global = true,
        value_name = "FORM",
        default_value = "text",
        hide_short_help = true,
        hide_possible_values = true
    )]
    pub(crate) log_format: LogFormat,

    /// Read this configuration file
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) config: Option<PathBuf>,

    /// Keep all state in this folder
    #[arg(long, global = true, value_name = "DIR", hide_short_help = true)]
    pub(crate) home: Option<PathBuf>,

    /// Print the version
    #[arg(short = 'V', long, global = true, hide_short_help = true)]
    pub(crate) version: bool,

    /// Print help: -h in short, --help with examples
    #[arg(short, long, global = true, action = ArgAction::Help)]
    pub(crate) help: Option<bool>,
}

impl General {
    /// How sizes are shown.
    pub(crate) fn scale(&self) -> Scale {
        if self.si { Scale::Decimal } else { Scale::Binary }
    }
}

/// When to use colours.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ColourChoice {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How progress is shown.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ProgressChoice {
    /// A bar on a terminal, lines elsewhere.
    Auto,
    /// A bar that is redrawn.
    Bar,
    /// One line now and then.
    Plain,
    /// Events for machines on standard output.
    Json,
    /// Nothing.
    None,
}

/// The form of the log.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One document per line.
    Json,
}
