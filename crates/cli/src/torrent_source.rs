//! What the user names as a torrent: a path, standard input, a URL, a magnet link or an info-hash.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use riverrun::metainfo::InfoHashes;
use riverrun::metainfo::info_hash::InfoHashError;
use riverrun::metainfo::magnet::{Magnet, MagnetError};
use riverrun::metainfo::metainfo::{Metainfo, MetainfoError, Warning};
use riverrun::{AddTorrent, FetchError, Net};

use crate::args::Network;
use crate::command::{net, session};
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::{Failure, reason};
use crate::lookalike;
use crate::render::shown;

/// Where a torrent comes from. The same reading for every command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TorrentSource {
    /// `-`
    Stdin,
    /// A file.
    Path(PathBuf),
    /// `http://` or `https://`
    Url(String),
    /// `magnet:`
    Magnet(String),
    /// 40 or 64 hexadecimal digits, or 32 characters of base32, where no such file exists.
    InfoHash(String),
}

impl TorrentSource {
    /// Reads an argument.
    pub(crate) fn parse(argument: &OsStr) -> Self {
        let path = || Self::Path(PathBuf::from(argument));
        let Some(text) = argument.to_str() else { return path() };
        if text == "-" {
            Self::Stdin
        } else if starts_with(text, "magnet:") {
            Self::Magnet(text.to_owned())
        } else if starts_with(text, "http://") || starts_with(text, "https://") {
            Self::Url(text.to_owned())
        } else if is_info_hash(text) && !Path::new(text).exists() {
            Self::InfoHash(text.to_owned())
        } else {
            path()
        }
    }

    /// As it is named in messages, not yet made fit for display.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::Path(path) => path.to_string_lossy().into_owned(),
            Self::Url(text) | Self::Magnet(text) | Self::InfoHash(text) => text.clone(),
        }
    }
}

/// Whether an argument at the place of a command can only be meant as a torrent to download.
pub(crate) fn looks_like_torrent(argument: &OsStr) -> bool {
    match TorrentSource::parse(argument) {
        TorrentSource::Stdin => false,
        TorrentSource::Path(path) => path.extension().is_some_and(|extension| extension == "torrent") || path.is_file(),
        TorrentSource::Url(_) | TorrentSource::Magnet(_) | TorrentSource::InfoHash(_) => true,
    }
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

fn is_info_hash(text: &str) -> bool {
    let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let base32 = text.bytes().all(|byte| byte.is_ascii_alphabetic() || (b'2'..=b'7').contains(&byte));
    matches!(text.len(), 40 | 64) && hex || text.len() == 32 && base32
}

/// What of a torrent file is looked at, at most.
const MAX_BYTES: u64 = 64 << 20;

/// A torrent with its file's bytes.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// The file as it is.
    pub(crate) bytes: Bytes,
    /// What it says.
    pub(crate) metainfo: Metainfo,
    /// The name of the file or folder, fit for a file system, not for display.
    pub(crate) name: String,
    /// One file, not a folder.
    pub(crate) single: bool,
    /// The files in the torrent's order, padding counted.
    pub(crate) files: Vec<FileEntry>,
    /// The length of all files but padding, in bytes.
    pub(crate) length: u64,
    /// It is what peers gave: only the info dictionary is of the torrent's maker.
    pub(crate) from_peers: bool,
}

/// A file of a torrent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FileEntry {
    /// Its path under the folder, with `/`; the name for a torrent of one file. Not fit for display.
    pub(crate) path: String,
    /// Its length in bytes.
    pub(crate) length: u64,
    /// Padding: never on disk.
    pub(crate) pad: bool,
    /// A symbolic link, which has no bytes.
    pub(crate) link: bool,
}

impl Loaded {
    /// Reads the bytes of a torrent file; `subject` names them in messages.
    pub(crate) fn parse(bytes: Bytes, subject: &str) -> Result<Self, Failure> {
        let metainfo = Metainfo::parse(bytes.clone()).map_err(|error| invalid(&error, subject))?;
        Ok(Self::of(bytes, metainfo))
    }

    /// What peers gave.
    pub(crate) fn of_metadata(metainfo: &Metainfo) -> Self {
        Self { from_peers: true, ..Self::of(metainfo.draft().encode().into(), metainfo.clone()) }
    }

    fn of(bytes: Bytes, metainfo: Metainfo) -> Self {
        let info = metainfo.info();
        let files = info
            .files()
            .iter()
            .map(|file| FileEntry {
                path: file.path.as_str().to_owned(),
                length: file.length,
                pad: file.attributes.is_pad(),
                link: file.attributes.is_link(),
            })
            .collect();
        let (name, single) = (info.name().as_str().to_owned(), info.is_single_file());
        let length = info.layout().content_length();
        Self { bytes, name, single, files, length, metainfo, from_peers: false }
    }

    /// The number of pieces.
    pub(crate) fn piece_count(&self) -> u32 {
        self.metainfo.info().layout().piece_count()
    }

    /// The length of a piece in bytes.
    pub(crate) fn piece_length(&self) -> u32 {
        self.metainfo.info().layout().piece_length()
    }

    /// What is wrong without being fatal, fit for display.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let told = |warning: &&Warning| !(self.from_peers && matches!(warning, Warning::NoLayers { .. }));
        self.metainfo.warnings().iter().filter(told).map(|warning| shown(&warning.to_string()).into_owned()).collect()
    }

    /// The magnet link, with all trackers and web seeds.
    pub(crate) fn magnet(&self) -> Magnet {
        let mut magnet = Magnet::new(self.metainfo.hashes());
        magnet.name = Some(self.name.clone());
        magnet.length = Some(self.length);
        magnet.trackers = self.metainfo.trackers().iter().flatten().cloned().collect();
        magnet.web_seeds = self.metainfo.web_seeds().to_vec();
        magnet
    }
}

/// What names a torrent whose metadata has to come from peers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Link(pub(crate) Magnet);

impl Link {
    /// Reads an argument that is a magnet link or an info-hash; `None` for one that names a torrent as a whole.
    pub(crate) fn parse(env: &mut Env, argument: &OsStr) -> Result<Option<Self>, Failure> {
        let named = |failure: Failure| failure.input(argument.to_string_lossy());
        let magnet = match TorrentSource::parse(argument) {
            TorrentSource::Magnet(link) => {
                let magnet = parse_magnet(&link).map_err(named)?;
                warn_if_cut(env, &magnet);
                magnet
            }
            TorrentSource::InfoHash(text) => Magnet::new(parse_info_hash(&text).map_err(named)?),
            _ => return Ok(None),
        };
        Ok(Some(Self(magnet)))
    }

    /// What to tell a session of it: the metadata, and then nothing until somebody has decided where the content goes.
    pub(crate) fn wish(&self, network: &Network, peers: &[SocketAddr]) -> AddTorrent {
        let add = AddTorrent::magnet(self.0.to_string())
            .add_trackers(network.tracker.iter().map(|url| vec![url.clone()]).collect())
            .peers(peers.iter().copied())
            .fail_on_storage_error(true)
            .metadata_only(true);
        if network.no_trackers { add.trackers(Vec::new()) } else { add }
    }

    /// The files that it selects, by their places; `None`: all. Those that are not there count for nothing.
    pub(crate) fn selected(&self, loaded: &Loaded) -> Option<Vec<usize>> {
        let selects = |file: &usize| u32::try_from(*file).is_ok_and(|file| self.0.selects(file));
        let some = (0..loaded.files.len()).filter(selects).collect::<Vec<_>>();
        (!self.0.selected.is_empty() && !some.is_empty()).then_some(some)
    }
}

/// Why bytes are not a torrent, and what to do about it.
fn invalid(error: &MetainfoError, subject: &str) -> Failure {
    let help = match error {
        MetainfoError::Empty => Some("the download of the .torrent was cut off; get it again"),
        MetainfoError::WebPage { .. } => Some("the site may want a login"),
        MetainfoError::CutOff { .. } => Some("get it again"),
        MetainfoError::UnsafePath { .. } => Some("refused; nothing was written"),
        _ => None,
    };
    Failure::new(Exit::Invalid, error.sentence(subject)).maybe_help(help.map(str::to_owned))
}

/// Reads a torrent that must be whole: a file, standard input or a URL.
pub(crate) fn load(env: &mut Env, argument: &OsStr) -> Result<Loaded, Failure> {
    let source = TorrentSource::parse(argument);
    let subject = shown(&source.name()).into_owned();
    let named = |failure: Failure| failure.input(argument.to_string_lossy());
    let bytes = match source {
        TorrentSource::Stdin => read_all(&mut *env.input, &subject),
        TorrentSource::Path(path) => read_file(&path, &subject),
        TorrentSource::Url(url) => net::for_fetching(env).and_then(|net| fetch(&net, &url)),
        TorrentSource::Magnet(_) | TorrentSource::InfoHash(_) => {
            Link::parse(env, argument)?;
            let failure =
                Failure::usage("this needs the torrent itself, which a magnet link or an info-hash only names");
            return Err(named(
                failure.help("give the .torrent file; download and info --fetch get what is in it from peers"),
            ));
        }
    };
    bytes.and_then(|bytes| Loaded::parse(bytes, &subject)).map_err(named)
}

/// What can be asked of trackers about any kind of torrent argument.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The torrent.
    pub(crate) info_hashes: InfoHashes,
    /// Whom to ask.
    pub(crate) trackers: Vec<String>,
    /// Its name, fit for display, if it is known.
    pub(crate) name: Option<String>,
    /// Its length in bytes, if it is known.
    pub(crate) length: Option<u64>,
    /// Its pieces, if they are known.
    pub(crate) pieces: Option<u32>,
    /// Its peers come from its trackers alone (BEP 27), as far as is known.
    pub(crate) private: bool,
}

impl Asked {
    /// Refuses to go on without a tracker.
    pub(crate) fn needs_trackers(self, argument: &OsStr) -> Result<Self, Failure> {
        if self.trackers.is_empty() {
            let failure = Failure::new(Exit::NoProgress, "no tracker to ask: the torrent names none");
            return Err(failure.help("--tracker URL names one").input(argument.to_string_lossy()));
        }
        Ok(self)
    }
}

/// Finds out what any kind of torrent argument says of its torrent.
pub(crate) fn look_up(env: &mut Env, argument: &OsStr) -> Result<Asked, Failure> {
    let named = |failure: Failure| failure.input(argument.to_string_lossy());
    Ok(match TorrentSource::parse(argument) {
        TorrentSource::Magnet(link) => {
            let magnet = parse_magnet(&link).map_err(named)?;
            warn_if_cut(env, &magnet);
            Asked {
                info_hashes: magnet.info_hashes,
                name: magnet.name.as_deref().map(|name| shown(name).into_owned()),
                length: magnet.length,
                trackers: magnet.trackers,
                pieces: None,
                private: false,
            }
        }
        TorrentSource::InfoHash(text) => {
            let info_hashes = parse_info_hash(&text).map_err(named)?;
            Asked { info_hashes, trackers: Vec::new(), name: None, length: None, pieces: None, private: false }
        }
        _ => {
            let loaded = load(env, argument)?;
            Asked {
                info_hashes: loaded.metainfo.hashes(),
                trackers: loaded.metainfo.trackers().iter().flatten().cloned().collect(),
                name: Some(shown(&loaded.name).into_owned()),
                length: Some(loaded.length),
                pieces: Some(loaded.piece_count()),
                private: loaded.metainfo.info().is_private(),
            }
        }
    })
}

/// Finds out what to ask trackers; `more` are further trackers.
pub(crate) fn ask_about(env: &mut Env, argument: &OsStr, more: &[String]) -> Result<Asked, Failure> {
    let mut asked = look_up(env, argument)?;
    for url in more {
        if !asked.trackers.contains(url) {
            asked.trackers.push(url.clone());
        }
    }
    Ok(asked)
}

/// Reads a magnet link.
pub(crate) fn parse_magnet(link: &str) -> Result<Magnet, Failure> {
    link.parse().map_err(|error: MagnetError| Failure::new(Exit::Invalid, shown(&error.to_string())))
}

/// Reads an info-hash that stands alone.
pub(crate) fn parse_info_hash(text: &str) -> Result<InfoHashes, Failure> {
    let bad = |error: InfoHashError| Failure::new(Exit::Invalid, shown(&error.to_string()));
    match text.len() {
        64 => text.parse().map(InfoHashes::V2).map_err(bad),
        _ => text.parse().map(InfoHashes::V1).map_err(bad),
    }
}

/// Says so when only the info-hash of a link has come through the shell.
pub(crate) fn warn_if_cut(env: &mut Env, magnet: &Magnet) {
    if magnet.is_bare() {
        env.say("warning: magnet link has no tracker and ends at \"&\": the shell cut it");
        env.say("help: put the link in quotes");
    }
    for ignored in &magnet.ignored {
        env.say(format_args!("warning: magnet link: {} is not used: {}", shown(&ignored.key), shown(&ignored.why)));
    }
}

/// How long a torrent file may take to come from the web.
const PATIENCE: Duration = Duration::from_secs(60);

fn fetch(net: &Net, url: &str) -> Result<Bytes, Failure> {
    let fetched = session::block_on(async { Ok(riverrun::fetch_torrent(url, PATIENCE, net).await) })?;
    fetched.map_err(|error| {
        let url = riverrun::metainfo::url::without_credentials(url);
        let exit = if matches!(error, FetchError::Url(_)) { Exit::Usage } else { Exit::NotFound };
        Failure::new(exit, format!("GET {}: {}", shown(&url), shown(&error.to_string())))
    })
}

fn read_all(input: &mut dyn Read, subject: &str) -> Result<Bytes, Failure> {
    let mut bytes = Vec::new();
    input
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::new(Exit::NotFound, format!("cannot read {subject}: {}", reason(&error))))?;
    Ok(bytes.into())
}

fn read_file(path: &Path, subject: &str) -> Result<Bytes, Failure> {
    let failure = |error: &std::io::Error| match error.kind() {
        ErrorKind::NotFound => {
            let near = near_file(path).map(|near| format!("did you mean {near}?"));
            Failure::new(Exit::NotFound, format!("{subject}: no such file")).maybe_help(near)
        }
        _ => Failure::new(Exit::NotFound, format!("{subject}: {}", reason(error))),
    };
    let found = path.metadata().map_err(|error| failure(&error))?;
    if found.is_dir() {
        let name = format!("{}/", subject.trim_end_matches('/'));
        return Err(Failure::new(Exit::Invalid, format!("{name} is a folder, not a torrent"))
            .help(format!("to share it: riverrun seed {name}")));
    }
    let mut file = std::fs::File::open(path).map_err(|error| failure(&error))?;
    read_all(&mut file, subject)
}

/// A file beside the missing one whose name is like its name, as the user would write it.
fn near_file(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let entries = parent.unwrap_or(Path::new(".")).read_dir().ok()?;
    let names: Vec<PathBuf> = entries
        .flatten()
        .take(10_000)
        .map(|entry| PathBuf::from(entry.file_name()))
        .filter(|name| name.extension() == path.extension() && parent.unwrap_or(Path::new(".")).join(name).is_file())
        .collect();
    let stems = names.iter().filter_map(|name| name.file_stem()?.to_str());
    let near = lookalike::nearest_within(stem, stems, |length| (length / 2).min(3))?;
    let name = names.iter().find(|name| name.file_stem().is_some_and(|stem| stem == near))?;
    let whole = parent.map_or_else(|| name.clone(), |parent| parent.join(name));
    Some(shown(&whole.to_string_lossy()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_told_apart() {
        let parse = |text: &str| TorrentSource::parse(OsStr::new(text));
        assert_eq!(parse("-"), TorrentSource::Stdin);
        assert_eq!(parse("a.torrent"), TorrentSource::Path("a.torrent".into()));
        assert_eq!(parse("MAGNET:?xt=x"), TorrentSource::Magnet("MAGNET:?xt=x".into()));
        assert_eq!(parse("https://h/x"), TorrentSource::Url("https://h/x".into()));
        for hash in ["a".repeat(40), "0".repeat(64), "2".repeat(32), "Z".repeat(32)] {
            assert_eq!(parse(&hash), TorrentSource::InfoHash(hash.clone()));
        }
        for path in ["a".repeat(41), "g".repeat(40), "1".repeat(32), "é".into()] {
            assert_eq!(parse(&path), TorrentSource::Path(path.clone().into()));
        }
    }
}
