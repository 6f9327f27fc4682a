//! The commands, one file each. Here they are only listed and started.

mod bench;
mod completions;
mod content_place;
mod create;
mod demo;
mod doctor;
mod download;
mod edit;
mod fetch;
mod hashing;
mod info;
mod magnet;
mod man;
pub(crate) mod net;
mod own_addresses;
mod peers;
mod port_owner;
mod scrape;
mod seed;
pub(crate) mod session;
mod stream;
mod tracker;
mod verify;
mod watch;

use clap::Subcommand;

use crate::args::Cli;
use crate::env::Env;
use crate::failure::{Failure, Outcome};

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Get what torrents describe
    #[command(visible_alias = "get")]
    Download(Box<download::Download>),
    /// Play a file while it comes
    Stream(Box<stream::Stream>),
    /// Show what is in a torrent or magnet link
    #[command(visible_alias = "show")]
    Info(info::Info),
    /// Share a file, a folder or the content of a torrent
    #[command(visible_alias = "share")]
    Seed(Box<seed::Seed>),
    /// Make a .torrent of a file or folder
    Create(Box<create::Create>),
    /// Check files on disk against a torrent
    #[command(visible_alias = "check")]
    Verify(verify::Verify),
    /// Print the magnet link of a torrent
    Magnet(magnet::Magnet),
    /// Change trackers, web seeds, comment ... of a torrent
    Edit(edit::Edit),
    /// Ask trackers, the DHT and the local network who has a torrent
    Peers(peers::Peers),
    /// Ask trackers how many have a torrent
    Scrape(scrape::Scrape),
    /// Run a small tracker, over HTTP and UDP
    Tracker(tracker::Tracker),
    /// Show a whole swarm at work on this machine
    Demo(demo::Demo),
    /// Measure this machine: hashing, disk and a transfer over loopback
    Bench(bench::Bench),
    /// Look whether this machine is ready, and say what to do
    Doctor(doctor::Doctor),
    /// Print a completion script for a shell
    Completions(completions::Completions),
    /// Print a manual page
    Man(man::Man),
}

/// Runs a command to its end.
pub(crate) fn run(env: &mut Env, cli: Cli) -> Outcome {
    let Cli { general, command } = cli;
    let command =
        command.ok_or_else(|| Failure::usage("no command given").help("riverrun --help lists the commands"))?;
    crate::logging::start(&general, crate::args::colour_of(env))?;
    match command {
        Command::Download(args) => download::run(env, &general, &args),
        Command::Stream(args) => stream::run(env, &general, &args),
        Command::Info(args) => info::run(env, &general, &args),
        Command::Seed(args) => seed::run(env, &general, &args),
        Command::Create(args) => create::run(env, &general, &args),
        Command::Verify(args) => verify::run(env, &general, &args),
        Command::Magnet(args) => magnet::run(env, &general, &args),
        Command::Edit(args) => edit::run(env, &general, &args),
        Command::Peers(args) => peers::run(env, &general, &args),
        Command::Scrape(args) => scrape::run(env, &general, &args),
        Command::Tracker(args) => tracker::run(env, &general, &args),
        Command::Demo(args) => demo::run(env, &general, &args),
        Command::Bench(args) => bench::run(env, &general, &args),
        Command::Doctor(args) => doctor::run(env, &general, &args),
        Command::Completions(args) => completions::run(env, &args),
        Command::Man(args) => man::run(env, &args),
    }
}
