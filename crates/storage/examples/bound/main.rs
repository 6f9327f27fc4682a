//! The least that this machine needs for the work of a client, to compare whole programs with: the same bytes received, hashed, written
//! and read, with blocking threads and nothing around them. It trusts its peers, asks nobody for anything and survives nothing.
//!
//! `cargo run --release -p riverrun-storage --example bound -- download TORRENT FOLDER PEER…`
//! `cargo run --release -p riverrun-storage --example bound -- check TORRENT FOLDER`

mod check;
mod download;

use std::error::Error;
use std::path::PathBuf;

use riverrun_metainfo::metainfo::Metainfo;

type Failure = Box<dyn Error + Send + Sync>;

/// A torrent, and the folder in which its files are.
struct Content {
    metainfo: Metainfo,
    folder: PathBuf,
}

fn main() -> Result<(), Failure> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let [job, torrent, folder, peers @ ..] = &words[..] else { return Err("JOB TORRENT FOLDER [PEER…]".into()) };
    let metainfo = Metainfo::parse(std::fs::read(torrent)?.into())?;
    let content = Content { metainfo, folder: folder.into() };
    match (job.as_str(), peers) {
        ("download", [_, ..]) => {
            let peers = peers.iter().map(|peer| peer.parse()).collect::<Result<Vec<_>, _>>()?;
            download::run(&content, &peers)
        }
        ("check", []) => check::run(&content),
        _ => Err("download TORRENT FOLDER PEER…, or check TORRENT FOLDER".into()),
    }
}

impl Content {
    /// The place of each file.
    fn paths(&self) -> Vec<PathBuf> {
        let info = self.metainfo.info();
        info.files().iter().map(|file| self.folder.join(info.full_path(file).to_string())).collect()
    }
}
