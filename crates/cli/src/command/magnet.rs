//! `riverrun magnet`: the magnet link of a torrent.

use std::ffi::OsString;

use qrcode::{EcLevel, QrCode};
use riverrun::metainfo::magnet::{Magnet as Link, PeerAddress};
use serde::Serialize;

use crate::args::General;
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::file_choice::Choice;
use crate::render::{events, shown};
use crate::torrent_source::{self, TorrentSource};

/// Options of `magnet`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  riverrun magnet album.torrent
  riverrun magnet album.torrent --no-trackers --peer 192.168.1.5:51413
  riverrun magnet album.torrent --select '*.flac' --qr")]
pub(crate) struct Magnet {
    /// The torrent: a path, -, a URL, or a magnet link to be cleaned up
    #[arg(value_name = "TORRENT")]
    torrent: OsString,

    /// Name no tracker
    #[arg(long)]
    no_trackers: bool,

    /// Name this peer (repeatable)
    #[arg(long, value_name = "HOST:PORT")]
    peer: Vec<String>,

    /// Name only these files: numbers (1,3-5) or patterns (*.flac)
    #[arg(long, value_name = "FILES", value_delimiter = ',')]
    select: Vec<String>,

    /// Draw it as a QR code
    #[arg(long)]
    qr: bool,
}

#[derive(Serialize)]
struct Document {
    v: u8,
    info_hash: Option<String>,
    info_hash_v2: Option<String>,
    magnet: String,
}

/// Prints the link.
pub(crate) fn run(env: &mut Env, general: &General, options: &Magnet) -> Outcome {
    let mut link = link(env, options)?;
    if options.no_trackers {
        link.trackers.clear();
    }
    for peer in &options.peer {
        let peer: PeerAddress =
            peer.parse().map_err(|error| Failure::usage(format!("--peer {:?}: {error}", shown(peer))))?;
        link.peers.push(peer);
    }
    let text = link.to_string();
    if general.json {
        let document = Document {
            v: 1,
            info_hash: link.info_hashes.v1().map(|hash| hash.to_string()),
            info_hash_v2: link.info_hashes.v2().map(|hash| hash.to_string()),
            magnet: text,
        };
        env.result(events::pretty(&document))?;
        return Ok(Exit::Ok);
    }
    env.result(&text)?;
    if options.qr {
        print_qr(env, &text)?;
    }
    Ok(Exit::Ok)
}

fn link(env: &mut Env, options: &Magnet) -> Result<Link, Failure> {
    if let TorrentSource::Magnet(text) = TorrentSource::parse(&options.torrent) {
        if !options.select.is_empty() {
            return Err(Failure::usage("--select needs the .torrent file: a magnet link does not name its files"));
        }
        let link = torrent_source::parse_magnet(&text).map_err(|failure| failure.input(text.clone()))?;
        torrent_source::warn_if_cut(env, &link);
        return Ok(link);
    }
    if let TorrentSource::InfoHash(text) = TorrentSource::parse(&options.torrent) {
        return Ok(Link::new(torrent_source::parse_info_hash(&text).map_err(|failure| failure.input(text.clone()))?));
    }
    let loaded = torrent_source::load(env, &options.torrent)?;
    let mut link = loaded.magnet();
    if let Some(chosen) = Choice::parse(&options.select, &[])?.of(&loaded)? {
        for number in chosen.into_iter().filter_map(|number| u32::try_from(number).ok()) {
            match link.selected.last_mut() {
                Some(range) if *range.end() + 1 == number => *range = *range.start()..=number,
                _ => link.selected.push(number..=number),
            }
        }
    }
    Ok(link)
}

/// Draws a QR code in blocks of half a character, dark on light, with the quiet zone that readers need.
pub(crate) fn print_qr(env: &mut Env, text: &str) -> Result<(), Failure> {
    const QUIET: usize = 2;
    let code = QrCode::with_error_correction_level(text, EcLevel::L)
        .map_err(|_| Failure::usage("the link is too long for a QR code").help("--no-trackers makes it shorter"))?;
    let width = code.width();
    let dark = |x: usize, y: usize| {
        let inside = |at: usize| (QUIET..QUIET + width).contains(&at);
        inside(x) && inside(y) && code[(x - QUIET, y - QUIET)] == qrcode::Color::Dark
    };
    for y in (0..width + 2 * QUIET).step_by(2) {
        let line: String = (0..width + 2 * QUIET)
            .map(|x| match (dark(x, y), dark(x, y + 1)) {
                (true, true) => ' ',
                (true, false) => '▄',
                (false, true) => '▀',
                (false, false) => '█',
            })
            .collect();
        env.result(line)?;
    }
    Ok(())
}
