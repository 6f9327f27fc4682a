//! The program `riverrun`: everything is in [`riverrun_cli::run`].

use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = riverrun_cli::run(&mut riverrun_cli::Env::of_process());
    ExitCode::from(exit.code())
}
