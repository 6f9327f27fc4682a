//! The command line program `riverrun` as one function over one value: [`run`] over [`Env`].
//!
//! Results go to standard output, everything else to standard error. How it ends is an [`Exit`].

mod args;
mod command;
mod crash;
mod env;
mod exit;
mod failure;
mod file_choice;
mod logging;
mod lookalike;
mod render;
mod torrent_source;
mod units;

pub use args::definition;
pub use env::{Env, Screen};
pub use exit::Exit;

use std::io::Write as _;

use failure::Failure;

/// Runs the program to its end.
pub fn run(env: &mut Env) -> Exit {
    let asked_json = env.args.iter().any(|arg| arg == "--json");
    let loud = env.args.iter().any(|arg| arg.to_string_lossy().starts_with("-vv"));
    let ended = crash::guarded(loud, || match args::parse(env)? {
        Some(cli) => command::run(env, cli),
        None => Ok(Exit::Ok),
    });
    let exit = match ended {
        Ok(exit) => exit,
        Err(failure) => {
            tell(env, &failure, asked_json);
            failure.exit
        }
    };
    let flushed = env.out.flush();
    let _ = env.err.flush();
    match flushed {
        Err(error) if exit == Exit::Ok && error.kind() != std::io::ErrorKind::BrokenPipe => {
            let failure = Failure::from(error);
            tell(env, &failure, false);
            failure.exit
        }
        _ => exit,
    }
}

/// Says how it ended badly: to machines on standard output, to people on standard error.
fn tell(env: &mut Env, failure: &Failure, json: bool) {
    if failure.silent {
        return;
    }
    if json {
        let _ = env.result(failure.json());
    } else {
        let colour = args::colour_of(env);
        let _ = env.err.write_all(failure.text(colour).as_bytes());
    }
}
