//! The files of a torrent as a list.

use serde::Serialize;

use crate::args::General;
use crate::env::Env;
use crate::failure::Failure;
use crate::render::{events, shown};
use crate::torrent_source::Loaded;

#[derive(Serialize)]
struct Document<'a> {
    v: u8,
    name: &'a str,
    files: Vec<FileLine>,
}

#[derive(Serialize)]
struct FileLine {
    number: usize,
    path: String,
    length: u64,
    wanted: bool,
}

/// Prints the files with the numbers that `--files` takes. Those in `chosen`, which is in order, are marked.
pub(crate) fn files(
    env: &mut Env,
    loaded: &Loaded,
    general: &General,
    chosen: Option<&[usize]>,
) -> Result<(), Failure> {
    let real = loaded.files.iter().enumerate().filter(|(_, file)| !file.pad).zip(1..);
    let lines = real.map(|((index, file), number)| FileLine {
        number,
        path: shown(&file.path).into_owned(),
        length: file.length,
        wanted: chosen.is_none_or(|chosen| chosen.binary_search(&index).is_ok()),
    });
    if general.json {
        let document = Document { v: 1, name: &shown(&loaded.name), files: lines.collect() };
        env.result(events::pretty(&document))?;
        return Ok(());
    }
    let lines: Vec<FileLine> = lines.collect();
    let digits = lines.len().to_string().len();
    for line in &lines {
        let size = general.scale().bytes(line.length);
        let mark = match (chosen.is_some(), line.wanted) {
            (false, _) => "",
            (true, true) => "* ",
            (true, false) => "  ",
        };
        env.result(format_args!("{mark}{:>digits$}  {size:>10}  {}", line.number, line.path))?;
    }
    Ok(())
}
