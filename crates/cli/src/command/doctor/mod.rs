//! `riverrun doctor`: looks at what downloads need of this machine, and says what to do about what is wrong.

mod dht;
mod network;
mod storage;
mod system;

use std::path::PathBuf;

use serde::Serialize;

use crate::args::General;
use crate::command::session;
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::render::{events, shown};

/// Options of `doctor`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  riverrun doctor
  riverrun doctor --listen 51413 --dir /srv/downloads

A check that fails ends it with the exit code that a download would end with: 2 for the port, 6 for the network and the clock,
8 for disks and open files. Warnings end it with 0.")]
pub(crate) struct Doctor {
    /// The port to look at [default: any free port]
    #[arg(long, value_name = "[IP:]PORT")]
    listen: Option<String>,

    /// The folder for downloads to look at [default: here]
    #[arg(short, long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Look at this machine alone
    #[arg(long)]
    offline: bool,

    /// Do not ask the DHT
    #[arg(long, hide_short_help = true)]
    no_dht: bool,

    /// Ask this node of the DHT when no other is known, in place of the usual ones (repeatable; none for nobody)
    #[arg(long, value_name = "HOST:PORT", hide_short_help = true)]
    dht_router: Vec<String>,
}

/// How something stands.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    /// It works, worse than it could.
    Warn,
    /// A download would fail.
    Fail,
}

/// What was found out about one thing.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
struct Check {
    name: &'static str,
    status: Status,
    /// What is so, in one sentence.
    found: String,
    /// What to do about it, often a command.
    fix: Option<String>,
    /// How it ends when this fails.
    #[serde(skip)]
    exit: Exit,
}

#[derive(Serialize)]
struct Document {
    v: u8,
    /// Nothing failed.
    ok: bool,
    checks: Vec<Check>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, found: found.into(), fix: None, exit: Exit::Ok }
    }

    fn warn(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, status: Status::Warn, found: found.into(), fix: Some(fix.into()), exit: Exit::Ok }
    }

    fn fail(name: &'static str, exit: Exit, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, status: Status::Fail, found: found.into(), fix: Some(fix.into()), exit }
    }
}

/// Looks and prints.
pub(crate) fn run(env: &mut Env, general: &General, options: &Doctor) -> Outcome {
    let checks = look(env, general, options)?;
    let exit = checks.iter().find(|check| check.status == Status::Fail).map_or(Exit::Ok, |check| check.exit);
    if general.json {
        env.result(events::pretty(&Document { v: 1, ok: exit == Exit::Ok, checks }))?;
        return Ok(exit);
    }
    for check in &checks {
        let word = match check.status {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "fail",
        };
        env.result(format_args!("{word:<5} {:<12} {}", check.name, check.found))?;
        if let Some(fix) = &check.fix {
            env.result(format_args!("{:<18} {fix}", ""))?;
        }
    }
    Ok(exit)
}

/// Every check, in the order in which they are shown. A check is a function that gives a [`Check`]; what asks anybody outside of
/// this machine belongs behind `offline`.
fn look(env: &Env, general: &General, options: &Doctor) -> Result<Vec<Check>, Failure> {
    let mut checks = network::port(options.listen.as_deref())?;
    if !options.offline {
        checks.push(network::reach());
        checks.extend(dht::reach(env, general, options)?);
    }
    checks.extend(system::descriptors());
    checks.extend(system::backlog());
    checks.extend(system::udp_buffers());
    checks.push(system::clock());
    let here = options.dir.clone().unwrap_or_else(|| PathBuf::from("."));
    checks.push(storage::folder("downloads", &here, general.scale()));
    checks.push(match session::state_dir(env, general) {
        Some(state) => storage::folder("state", &state, general.scale()),
        None => Check::warn(
            "state",
            "there is no home folder to keep what outlives a run: nothing can be resumed without hashing it again",
            "--home DIR",
        ),
    });
    Ok(checks)
}

/// A path as it is shown.
fn path_text(path: &std::path::Path) -> String {
    shown(&path.to_string_lossy()).into_owned()
}
