//! `riverrun man`: the manual pages, made from the definition of the command line.

use crate::env::Env;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::lookalike;

/// Options of `man`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  riverrun man download | man -l -")]
pub(crate) struct Man {
    /// The command; without it, the page of the whole program
    command: Option<String>,
}

/// Prints the page.
pub(crate) fn run(env: &mut Env, args: &Man) -> Outcome {
    let page = page(args.command.as_deref())?;
    env.out.write_all(&page)?;
    Ok(Exit::Ok)
}

/// The page in roff.
fn page(command: Option<&str>) -> Result<Vec<u8>, Failure> {
    let mut definition = crate::args::definition();
    definition.build();
    let chosen = match command {
        None => definition,
        Some(name) => {
            let names = || definition.get_subcommands().map(clap::Command::get_name);
            let unknown = || {
                let near =
                    lookalike::nearest(name, names()).map(|near| format!("did you mean \"riverrun man {near}\"?"));
                Failure::usage(format!("no manual page for {name:?}")).maybe_help(near)
            };
            let found = definition.find_subcommand(name).ok_or_else(unknown)?;
            // A page of its own is named riverrun-download, as git does.
            let title = format!("riverrun-{}", found.get_name());
            found.clone().name(title)
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(chosen).render(&mut page)?;
    Ok(page)
}
