//! Errors of the command line in the program's own form.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{Cli, ColourChoice};
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::lookalike;

/// Prints help when that was asked for; else says what is wrong with the command line.
pub(crate) fn explain(env: &mut Env, definition: &clap::Command, error: &clap::Error) -> Result<Option<Cli>, Failure> {
    let text = error.render();
    match error.kind() {
        ErrorKind::DisplayHelp => {
            let colour = colour(env, env.out_screen.is_terminal());
            let text = if colour { text.ansi().to_string() } else { text.to_string() };
            env.out.write_all(text.as_bytes())?;
            Ok(None)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let colour = colour_of(env);
            let text = if colour { text.ansi().to_string() } else { text.to_string() };
            let _ = env.err.write_all(text.as_bytes());
            Err(Failure::silent(Exit::Usage))
        }
        _ => Err(failure_of(definition, error)),
    }
}

/// What is wrong with the command line.
pub(crate) fn failure_of(definition: &clap::Command, error: &clap::Error) -> Failure {
    let string = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let shown = |text: String| crate::render::shown(&text).into_owned();
    let argument = string(ContextKind::InvalidArg).map(shown);
    let value = string(ContextKind::InvalidValue).map(shown);
    match (error.kind(), argument, value) {
        (ErrorKind::InvalidSubcommand, _, _) => {
            let word = string(ContextKind::InvalidSubcommand).map(shown).unwrap_or_default();
            let names = definition.get_subcommands().flat_map(|command| command.get_name_and_visible_aliases());
            let near = lookalike::nearest(&word, names).map(|name| format!("did you mean \"riverrun {name}\"?"));
            Failure::usage(format!("unknown command {word:?}"))
                .help("riverrun --help lists the commands")
                .maybe_help(near)
        }
        (ErrorKind::UnknownArgument, Some(argument), _) => {
            let near = string(ContextKind::SuggestedArg).map(|near| format!("did you mean \"{near}\"?"));
            let what = if argument.starts_with('-') { "unknown option" } else { "unexpected argument" };
            Failure::usage(format!("{what} \"{argument}\"")).maybe_help(near)
        }
        (ErrorKind::MissingRequiredArgument, Some(argument), _) => {
            let name = argument.trim_start_matches('<').split('>').next().unwrap_or_default().to_owned();
            Failure::usage(format!("{name} is missing"))
        }
        (ErrorKind::ArgumentConflict, Some(argument), _) => {
            let other = string(ContextKind::PriorArg).unwrap_or_default();
            Failure::usage(format!("{} and {} do not go together", bare(&argument), bare(&other)))
        }
        (ErrorKind::InvalidValue, Some(argument), value) => match value.filter(|value| !value.is_empty()) {
            Some(value) => {
                let valid = match error.get(ContextKind::ValidValue) {
                    Some(ContextValue::Strings(valid)) if !valid.is_empty() => {
                        format!(" (one of {})", valid.join(", "))
                    }
                    _ => String::new(),
                };
                let near = string(ContextKind::SuggestedValue).map(|near| format!("did you mean {near:?}?"));
                Failure::usage(format!("{value:?} is not valid for {}{valid}", bare(&argument))).maybe_help(near)
            }
            None => Failure::usage(format!("{} needs a value", bare(&argument))),
        },
        (ErrorKind::ValueValidation, Some(argument), _) => {
            let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            Failure::usage(format!("{}: {}", bare(&argument), crate::render::shown(&why)))
        }
        _ => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            Failure::usage(crate::render::shown(first.trim_start_matches("error: ")))
        }
    }
}

/// An argument without the name of its value.
fn bare(argument: &str) -> &str {
    argument.split([' ', '=']).next().unwrap_or(argument)
}

/// Whether messages on standard error are coloured, from the arguments as they stand.
pub(crate) fn colour_of(env: &Env) -> bool {
    colour(env, env.err_screen.is_terminal())
}

/// Whether a stream is coloured: the option, then `NO_COLOR`, `CLICOLOR_FORCE` and `TERM`, then whether it is a terminal.
pub(crate) fn colour(env: &Env, terminal: bool) -> bool {
    match env.colours {
        Some(ColourChoice::Always) => return true,
        Some(ColourChoice::Never) => return false,
        // Where nothing was read yet, the arguments are looked at as they stand.
        Some(ColourChoice::Auto) | None => {}
    }
    let mut args = env.args.iter().map(|arg| arg.to_string_lossy());
    let mut choice = env.var("RIVERRUN_COLOR").map(|value| value.to_string_lossy());
    while let Some(arg) = args.next() {
        if arg == "--color" {
            choice = args.next().or(choice);
        } else if let Some(value) = arg.strip_prefix("--color=") {
            choice = Some(value.to_owned().into());
        }
    }
    match choice.as_deref() {
        Some("always") => return true,
        Some("never") => return false,
        _ => {}
    }
    let set = |name| env.var(name).is_some_and(|value| value != "0");
    if env.var("NO_COLOR").is_some() {
        false
    } else if set("CLICOLOR_FORCE") {
        true
    } else {
        terminal && env.var("TERM").is_none_or(|term| term != "dumb")
    }
}
