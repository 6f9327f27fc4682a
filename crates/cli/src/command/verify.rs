//! `riverrun verify`: checks files on disk against a torrent.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

use riverrun::metainfo::{Bitfield, FileIndex, PieceIndex};
use riverrun::storage::check::{Checked, FileState};
use riverrun::storage::{SourceFiles, check};
use serde::Serialize;

use crate::args::General;
use crate::command::content_place;
use crate::command::hashing::{self, What};
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::file_choice::Choice;
use crate::render::{events, shown};
use crate::torrent_source::{self, FileEntry, Loaded};
use crate::units::{self, Scale};

/// Options of `verify`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  riverrun verify album.torrent                here, or beside the torrent file
  riverrun verify album.torrent music/         music/ itself, or music/album
  riverrun verify --bad-pieces album.torrent music/")]
pub(crate) struct Verify {
    /// The torrent: a path, - or a URL
    #[arg(value_name = "TORRENT")]
    torrent: OsString,

    /// The content, or the folder that it is in [default: here, or beside the torrent]
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,

    /// Only these files: numbers (1,3-5) or patterns (*.flac)
    #[arg(long, value_name = "WHICH", value_delimiter = ',')]
    files: Vec<String>,

    /// Name the pieces that are not right
    #[arg(long)]
    bad_pieces: bool,

    /// Name the files that do not belong to the torrent, too
    #[arg(long)]
    extra: bool,

    /// Threads that hash [default: one per core, up to four]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
}

/// What was found, for machines.
#[derive(Serialize)]
struct Document {
    v: u8,
    ok: bool,
    info_hash: String,
    path: String,
    pieces: u32,
    good_pieces: u32,
    unknown_pieces: u32,
    bytes: u64,
    elapsed_s: f64,
    files: Vec<FileLine>,
    bad_pieces: Option<Vec<u32>>,
}

#[derive(Serialize)]
struct FileLine {
    path: String,
    state: &'static str,
    length: Option<u64>,
    found_length: Option<u64>,
    bad_pieces: Option<u32>,
}

/// Checks.
pub(crate) fn run(env: &mut Env, general: &General, options: &Verify) -> Outcome {
    let loaded = torrent_source::load(env, &options.torrent)?;
    let chosen = Choice::parse(&options.files, &[])?.of(&loaded)?;
    let root = content_place::find_or_expect(&loaded, options.path.as_deref(), Path::new(&options.torrent))?;
    let only = chosen.as_ref().map(|chosen| pieces_of(&loaded, chosen));
    let began = Instant::now();
    let checked = hash(env, general, options, &loaded, &root, only.as_ref())?;
    let elapsed = began.elapsed();
    let mut files = file_lines(&loaded, &checked, chosen.as_deref());
    if options.extra && !loaded.single {
        files.extend(extra(&loaded, &root)?);
    }
    let asked = |piece: PieceIndex| only.as_ref().is_none_or(|only| only.has(piece));
    let bad = checked.have.iter_missing().filter(|piece| asked(*piece) && !checked.unknown.has(*piece));
    let bad: Vec<u32> = bad.map(|piece| piece.0).collect();
    let ok = bad.is_empty() && checked.unknown.is_empty() && files.iter().all(|file| file.state == "ok");
    let document = Document {
        v: 1,
        ok,
        info_hash: crate::command::watch::hash_text(loaded.metainfo.hashes()),
        path: crate::command::download::place::as_written(&root),
        pieces: only.as_ref().map_or(loaded.piece_count(), Bitfield::count),
        good_pieces: checked.have.count(),
        unknown_pieces: checked.unknown.count(),
        bytes: files.iter().filter_map(|file| file.length).sum(),
        elapsed_s: events::seconds(elapsed),
        files,
        bad_pieces: options.bad_pieces.then_some(bad),
    };
    if general.json {
        env.result(events::pretty(&document))?;
    } else {
        print(env, general, &document)?;
    }
    if let Some(piece) = checked.inconsistent {
        env.say(format_args!(
            "warning: piece {piece} is right by one of its hashes and wrong by the other: the torrent contradicts itself"
        ));
    }
    Ok(if ok { Exit::Ok } else { Exit::Mismatch })
}

fn hash(
    env: &mut Env,
    general: &General,
    options: &Verify,
    loaded: &Loaded,
    root: &Path,
    only: Option<&Bitfield>,
) -> Result<Checked, Failure> {
    let layout = loaded.metainfo.info().layout().clone();
    let hashes = loaded.metainfo.piece_hashes();
    let storage =
        SourceFiles::new(layout.clone(), paths(loaded, root)).map_err(|error| Failure::internal(error.to_string()))?;
    let storage = match riverrun::part_file_name(loaded.metainfo.info()) {
        Some(name) => storage
            .with_part_file(&root.join(name))
            .map_err(|error| Failure::new(Exit::Storage, shown(&crate::command::watch::chain(&error)).into_owned()))?,
        None => storage,
    };
    let threads = hashing::threads(options.threads);
    let what = What::Check(shown(&loaded.name).into_owned());
    let result =
        hashing::watched(env, general, &what, |work| check::check(&storage, &layout, &hashes, only, threads, work));
    result.map_err(|error| {
        hashing::failure(&error, |file| storage.path_of(FileIndex(u32::try_from(file).ok()?)).cloned())
    })
}

/// Where each file is; nothing for padding and links.
fn paths(loaded: &Loaded, root: &Path) -> Vec<Option<PathBuf>> {
    let of = |file: &FileEntry| match (file.pad || file.link, loaded.single) {
        (true, _) => None,
        (false, true) => Some(root.to_owned()),
        (false, false) => Some(root.join(&file.path)),
    };
    loaded.files.iter().map(of).collect()
}

fn pieces_of(loaded: &Loaded, files: &[usize]) -> Bitfield {
    let layout = loaded.metainfo.info().layout();
    let mut pieces = Bitfield::empty(layout.piece_count());
    for file in files.iter().filter_map(|file| u32::try_from(*file).ok()) {
        layout.pieces_of(FileIndex(file)).for_each(|piece| _ = pieces.insert(PieceIndex(piece)));
    }
    pieces
}

fn file_lines(loaded: &Loaded, checked: &Checked, chosen: Option<&[usize]>) -> Vec<FileLine> {
    let real = loaded.files.iter().zip(&checked.files).enumerate();
    let real = real.filter(|(at, (file, _))| {
        !file.pad && !file.link && chosen.is_none_or(|chosen| chosen.binary_search(at).is_ok())
    });
    real.map(|(_, (file, state))| {
        let (state, found_length, bad_pieces) = match *state {
            FileState::Ok | FileState::Pad => ("ok", None, None),
            FileState::Damaged { pieces } => ("damaged", None, Some(pieces)),
            FileState::Unknown { .. } => ("unknown", None, None),
            FileState::Missing => ("missing", None, None),
            FileState::WrongSize { found, pieces } => ("wrong_size", Some(found), Some(pieces)),
            FileState::NotAFile => ("not_a_file", None, None),
        };
        FileLine { path: shown(&file.path).into_owned(), state, length: Some(file.length), found_length, bad_pieces }
    })
    .collect()
}

/// The files below the content's folder that are none of the torrent's.
fn extra(loaded: &Loaded, root: &Path) -> Result<Vec<FileLine>, Failure> {
    let part_file = riverrun::part_file_name(loaded.metainfo.info());
    let real = loaded.files.iter().filter(|file| !file.pad).map(|file| file.path.as_str());
    let known: HashSet<&str> = real.chain(part_file.as_deref()).collect();
    let mut lines = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match folder.read_dir() {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(crate::command::create::scan::cannot_read(&folder, &error)),
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            if !known.contains(name.as_str()) {
                let length = path.symlink_metadata().ok().map(|found| found.len());
                let path = shown(&name).into_owned();
                lines.push(FileLine { path, state: "extra", length: None, found_length: length, bad_pieces: None });
            }
        }
    }
    lines.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(lines)
}

fn print(env: &mut Env, general: &General, document: &Document) -> Result<(), Failure> {
    let scale = general.scale();
    for file in &document.files {
        if !general.quiet || file.state != "ok" {
            env.result(line(file))?;
        }
    }
    if let Some(bad) = document.bad_pieces.as_ref().filter(|bad| !bad.is_empty()) {
        env.result(format_args!("bad pieces: {}", ranges(bad)))?;
    }
    if document.unknown_pieces > 0 {
        let pieces = units::counted(document.unknown_pieces.into(), "piece");
        env.say(format_args!(
            "warning: {pieces} cannot be judged: the torrent file lacks their hashes (\"piece layers\"), and only peers have them"
        ));
    }
    if !general.quiet {
        env.say(summary(document, scale));
    }
    Ok(())
}

fn line(file: &FileLine) -> String {
    let name = match file.state {
        "wrong_size" => "wrong size",
        "not_a_file" => "not a file",
        state => state,
    };
    let note = match (file.found_length, file.bad_pieces) {
        (Some(found), Some(_)) => format!("  ({found} of {} bytes)", file.length.unwrap_or(0)),
        (None, Some(pieces)) => format!("  ({})", units::counted(pieces.into(), "piece")),
        _ => String::new(),
    };
    format!("{name:<10}  {}{note}", file.path)
}

fn summary(document: &Document, scale: Scale) -> String {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a speed for display"
    )]
    let speed = scale.rate((document.bytes as f64 / document.elapsed_s.max(0.001)) as u64);
    let bad = document.files.iter().filter(|file| file.state != "ok").count();
    let files = units::counted(document.files.len() as u64, "file");
    let verdict = if document.ok {
        format!("{files}: all good")
    } else {
        format!("{bad} of {files} not right, {} of {} pieces good", document.good_pieces, document.pieces)
    };
    format!("verified {} in {:.1}s ({speed}) · {verdict}", scale.bytes(document.bytes), document.elapsed_s)
}

/// Numbers in order, with ranges: `3, 17-19`.
fn ranges(numbers: &[u32]) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for &number in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => parts.push((number, number)),
        }
    }
    let texts =
        parts.iter().map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") });
    texts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn neighbours_are_shown_as_a_range() {
        assert_eq!(ranges(&[3, 17, 18, 19, 21]), "3, 17-19, 21");
        assert_eq!(ranges(&[0]), "0");
    }
}
