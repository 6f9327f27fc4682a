//! The log: nothing in normal use, to standard error with `-v`, to a file with `--log`.

use std::fs::OpenOptions;
use std::io;
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::{General, LogFormat};
use crate::exit::Exit;
use crate::failure::{Failure, reason};
use crate::render::shown;

/// Starts the log, if one is asked for.
pub(crate) fn start(general: &General, colour: bool) -> Result<(), Failure> {
    let level = match (general.verbose, &general.log) {
        (0, None) => return Ok(()),
        (0, Some(_)) => LevelFilter::INFO,
        (1, _) => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // Other crates' traces tell of this program only when all of it is wanted.
    let others = if level == LevelFilter::TRACE { LevelFilter::DEBUG } else { LevelFilter::WARN };
    let ours = ["riverrun", "riverrun_proto", "riverrun_storage", "riverrun_metainfo", "riverrun_cli"];
    let targets = Targets::new().with_default(others).with_targets(ours.map(|name| (name, level)));
    let (writer, colour) = match &general.log {
        None => (BoxMakeWriter::new(io::stderr), colour),
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
                let path = shown(&path.to_string_lossy()).into_owned();
                Failure::new(Exit::Storage, format!("cannot write the log to {path}: {}", reason(&error)))
            })?;
            (BoxMakeWriter::new(Mutex::new(file)), false)
        }
    };
    let registry = tracing_subscriber::registry().with(targets);
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colour);
    // A second start in one process, as tests do it, keeps the first log.
    let _ = match general.log_format {
        LogFormat::Text => registry.with(layer).try_init(),
        LogFormat::Json => registry.with(layer.json()).try_init(),
    };
    Ok(())
}
