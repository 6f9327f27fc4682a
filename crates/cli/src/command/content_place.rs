//! Where the content of a torrent stands, when the user names a place: for commands that read it.

use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::shown;
use crate::torrent_source::Loaded;

/// The file or folder that is the content. `named` is the content itself or the folder around it; without it, the content is
/// looked for here, and beside the torrent file.
pub(crate) fn find(loaded: &Loaded, named: Option<&Path>, torrent: &Path) -> Result<PathBuf, Failure> {
    if let Some(named) = named {
        return inside(loaded, named).ok_or_else(|| missing(&missing_in(loaded, named)));
    }
    let beside = torrent.parent().filter(|_| torrent.is_file()).unwrap_or(Path::new(""));
    let own = Path::new(&loaded.name);
    let found = [own.to_owned(), beside.join(own)].into_iter().find(|path| fits(loaded, path));
    found.ok_or_else(|| missing(own).help("name the folder that it is in"))
}

/// As [`find`], for a check, to which content that is not there is a finding: only a place that does not exist at all is refused.
pub(crate) fn find_or_expect(loaded: &Loaded, named: Option<&Path>, torrent: &Path) -> Result<PathBuf, Failure> {
    match named {
        Some(named) if !named.exists() => Err(missing(named)),
        Some(named) if named.is_dir() => {
            let own =
                if has_a_file(loaded, named) && !loaded.single { named.to_owned() } else { named.join(&loaded.name) };
            Ok(inside(loaded, named).unwrap_or(own))
        }
        Some(named) if !loaded.single => {
            let name = shown(&named.to_string_lossy()).into_owned();
            Err(Failure::usage(format!("{name} is a file, and the torrent describes a folder")))
        }
        Some(named) => Ok(named.to_owned()),
        None => find(loaded, None, torrent),
    }
}

fn inside(loaded: &Loaded, named: &Path) -> Option<PathBuf> {
    let within = named.join(&loaded.name);
    if named.is_dir() && fits(loaded, &within) && (loaded.single || !has_a_file(loaded, named)) {
        return Some(within);
    }
    fits(loaded, named).then(|| named.to_owned())
}

/// Whether a path can be the content: a file for one file, else a folder.
fn fits(loaded: &Loaded, path: &Path) -> bool {
    if loaded.single { path.is_file() } else { path.is_dir() }
}

/// Whether some file of the torrent is right inside a folder.
fn has_a_file(loaded: &Loaded, folder: &Path) -> bool {
    loaded.files.iter().any(|file| !file.pad && folder.join(&file.path).is_file())
}

fn missing_in(loaded: &Loaded, named: &Path) -> PathBuf {
    if named.is_dir() { named.join(&loaded.name) } else { named.to_owned() }
}

fn missing(path: &Path) -> Failure {
    let path = shown(&path.to_string_lossy()).into_owned();
    Failure::new(Exit::NotFound, format!("{path}: no such file or folder"))
}
