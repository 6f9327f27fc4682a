//! `riverrun completions`: scripts with which shells complete commands and options.

use clap_complete::Shell;

use crate::env::Env;
use crate::exit::Exit;
use crate::failure::Outcome;

/// Options of `completions`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  riverrun completions bash > ~/.local/share/bash-completion/completions/riverrun")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(env: &mut Env, args: &Completions) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::args::definition(), "riverrun", &mut script);
    env.out.write_all(&script)?;
    Ok(Exit::Ok)
}
