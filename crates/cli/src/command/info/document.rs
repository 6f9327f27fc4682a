//! `info --json`: one document, in which absent things are null or empty, never missing.

use riverrun::metainfo::magnet::Magnet;
use serde::Serialize;

use crate::render::shown;
use crate::torrent_source::Loaded;

/// What a torrent or a magnet link says.
#[derive(Serialize, Debug)]
pub(crate) struct Document {
    v: u8,
    name: Option<String>,
    info_hash: Option<String>,
    info_hash_v2: Option<String>,
    length: Option<u64>,
    piece_length: Option<u32>,
    pieces: Option<u32>,
    files: Option<Vec<File>>,
    private: Option<bool>,
    trackers: Vec<Vec<String>>,
    web_seeds: Vec<String>,
    comment: Option<String>,
    created_by: Option<String>,
    creation_date: Option<i64>,
    source: Option<String>,
    magnet: String,
    warnings: Vec<String>,
}

#[derive(Serialize, Debug)]
struct File {
    path: String,
    length: u64,
    pad: bool,
    attr: String,
}

fn text(text: &str) -> String {
    shown(text).into_owned()
}

impl Document {
    /// Of a torrent file.
    pub(crate) fn of_torrent(loaded: &Loaded) -> Self {
        let metainfo = &loaded.metainfo;
        let info = metainfo.info();
        let files = info.files().iter().map(|file| File {
            path: text(info.full_path(file).as_str()),
            length: file.length,
            pad: file.attributes.is_pad(),
            attr: file.attributes.to_string(),
        });
        Self {
            v: 1,
            name: Some(text(&loaded.name)),
            info_hash: metainfo.hashes().v1().map(|hash| hash.to_string()),
            info_hash_v2: metainfo.hashes().v2().map(|hash| hash.to_string()),
            length: Some(loaded.length),
            piece_length: Some(loaded.piece_length()),
            pieces: Some(loaded.piece_count()),
            files: Some(files.collect()),
            private: Some(info.is_private()),
            trackers: metainfo.trackers().iter().map(|tier| tier.iter().map(|url| text(url)).collect()).collect(),
            web_seeds: metainfo.web_seeds().iter().map(|url| text(url)).collect(),
            comment: metainfo.comment().map(text),
            created_by: metainfo.created_by().map(text),
            creation_date: metainfo.creation_date(),
            source: info.source().map(text),
            magnet: loaded.magnet().to_string(),
            warnings: loaded.warnings(),
        }
    }

    /// Of a magnet link: what it does not say is null.
    pub(crate) fn of_magnet(magnet: &Magnet) -> Self {
        Self {
            v: 1,
            name: magnet.name.as_deref().map(text),
            info_hash: magnet.info_hashes.v1().map(|hash| hash.to_string()),
            info_hash_v2: magnet.info_hashes.v2().map(|hash| hash.to_string()),
            length: magnet.length,
            piece_length: None,
            pieces: None,
            files: None,
            private: None,
            trackers: magnet.trackers.iter().map(|url| vec![text(url)]).collect(),
            web_seeds: magnet.web_seeds.iter().map(|url| text(url)).collect(),
            comment: None,
            created_by: None,
            creation_date: None,
            source: None,
            magnet: magnet.to_string(),
            warnings: magnet.ignored.iter().map(|ignored| text(&format!("{}: {}", ignored.key, ignored.why))).collect(),
        }
    }
}
