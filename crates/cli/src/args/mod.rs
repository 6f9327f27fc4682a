//! The one definition of the command line: help, man pages, completions and parsing all come from it.

mod config;
mod general;
mod network;
mod route;
mod seed_end;
mod usage;

use std::ffi::OsString;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser};

use crate::command::Command;
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::Failure;

use config::Config;
pub(crate) use general::{ColourChoice, General, LogFormat, ProgressChoice};
#[cfg(test)]
pub(crate) use network::SeedChoker;
pub(crate) use network::{Encryption, Network};
pub(crate) use route::{ProxyChoice, Route};
pub(crate) use seed_end::SeedEnd;
pub(crate) use usage::colour_of;

/// The whole command line.
#[derive(Parser, Debug)]
#[command(
    name = "riverrun",
    bin_name = "riverrun",
    about = "A BitTorrent client: get, share, make, look at and check torrents",
    disable_version_flag = true,
    disable_help_flag = true,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    after_help = EXAMPLES,
    after_long_help = long_after_help(),
    subcommand_help_heading = "Commands"
)]
pub(crate) struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub(crate) general: General,

    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  riverrun demo                         see a whole swarm work on this machine
  riverrun download album.torrent       get what a torrent describes
  riverrun seed album/                  share a folder";

fn long_after_help() -> String {
    format!(
        "{EXAMPLES}\n\n{}\n{}\nEvery option can also be given as an environment variable: --down-limit is RIVERRUN_DOWN_LIMIT. The command \
         line comes before the environment, and that before the configuration file.",
        Exit::table(),
        config::table()
    )
}

/// The definition with everything in it, as help, man pages and completions show it.
#[must_use]
pub fn definition() -> clap::Command {
    with_variables(Cli::command())
}

/// Gives every option that takes part in configuration its environment variable.
fn with_variables(command: clap::Command) -> clap::Command {
    const NEVER: [&str; 4] = ["help", "version", "list", "dry-run"];
    let command = command.mut_args(|arg| match arg.get_long() {
        Some(long) if !NEVER.contains(&long) => {
            let name = format!("RIVERRUN_{}", long.to_uppercase().replace('-', "_"));
            let arg = arg.env(name).hide_env(true);
            match arg.get_action() {
                // A variable may say 1, yes or on as well as true.
                ArgAction::SetTrue => arg.value_parser(FalseyValueParser::new()),
                _ => arg,
            }
        }
        _ => arg,
    });
    command.mut_subcommands(with_variables)
}

/// Reads the command line. `None`: help or the version was asked for and has been printed.
pub(crate) fn parse(env: &mut Env) -> Result<Option<Cli>, Failure> {
    let mut args = env.args.clone();
    let config = Config::find(env)?;
    let definition = config.applied(definition()).term_width(env.columns()).max_term_width(100);
    let first = definition.clone().try_get_matches_from(&args);
    let matches = match first {
        Err(error) if error.kind() == clap::error::ErrorKind::InvalidSubcommand => {
            let Some(at) = torrent_in_place_of_command(&error, &args) else {
                return usage::explain(env, &definition, &error);
            };
            let shown: Vec<_> = args[at..].iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
            env.say(format_args!("note: running \"riverrun download {}\"", crate::render::shown(&shown.join(" "))));
            args.insert(at, OsString::from("download"));
            definition.clone().try_get_matches_from(&args)
        }
        other => other,
    };
    let matches = match matches {
        Ok(matches) => matches,
        Err(error) => {
            let explained = usage::explain(env, &definition, &error);
            return explained.map_err(|failure| config.blamed(&error, failure));
        }
    };
    let cli = Cli::from_arg_matches(&matches).map_err(|error| usage::failure_of(&definition, &error))?;
    env.colours = Some(cli.general.color);
    if cli.general.version {
        print_version(env, cli.general.json)?;
        return Ok(None);
    }
    Ok(Some(cli))
}

/// Where in the arguments a torrent stands at the place of a command.
fn torrent_in_place_of_command(error: &clap::Error, args: &[OsString]) -> Option<usize> {
    let Some(clap::error::ContextValue::String(word)) = error.get(clap::error::ContextKind::InvalidSubcommand) else {
        return None;
    };
    let at = args.iter().skip(1).position(|arg| arg.to_string_lossy() == word.as_str())? + 1;
    crate::torrent_source::looks_like_torrent(&args[at]).then_some(at)
}

/// The version for machines.
#[derive(serde::Serialize)]
struct Version {
    v: u8,
    name: &'static str,
    version: &'static str,
    commit: Option<&'static str>,
    /// Parts that can be left out when the program is built: there are none yet.
    features: [&'static str; 0],
}

fn print_version(env: &mut Env, json: bool) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let commit = option_env!("RIVERRUN_BUILD_COMMIT");
    if json {
        let document = Version { v: 1, name: "riverrun", version, commit, features: [] };
        env.result(crate::render::events::document(&document))?;
    } else {
        match commit {
            Some(commit) => env.result(format_args!("riverrun {version} ({commit})"))?,
            None => env.result(format_args!("riverrun {version}"))?,
        }
    }
    Ok(())
}
