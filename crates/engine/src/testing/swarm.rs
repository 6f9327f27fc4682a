//! Seeders and a tracker in this process.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use riverrun_metainfo::piece_hash::Format;
use riverrun_metainfo::{InfoHashes, Magnet, Metainfo};

use super::{Content, Tracker};
use crate::{AddTorrent, Encryption, Session, Settings, Torrent};

/// How to start a [`LocalSwarm`].
#[derive(Clone, Debug)]
pub struct LocalSwarmBuilder {
    content: Content,
    format: Format,
    piece_length: Option<u32>,
    seeders: usize,
    parts: bool,
    up_limit: Option<u64>,
    udp: bool,
    encryption: Encryption,
}

/// A tracker and seeders on loopback, each a session of its own with a folder of its own. All stop when it is dropped, and
/// their folders are removed.
#[derive(Debug)]
pub struct LocalSwarm {
    content: Content,
    torrent: Vec<u8>,
    seeders: Vec<(Session, Torrent)>,
    tracker: Tracker,
    folder: Folder,
}

/// A folder for temporary files that is removed with all that is in it.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let random = getrandom::u64().map_err(io::Error::other)?;
        let path = std::env::temp_dir().join(format!("riverrun-{random:016x}"));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now is the system's to clean up.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Settings for a session on loopback: one address of IPv4, a free port.
#[must_use]
pub fn loopback() -> Settings {
    Settings { listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))], ..Settings::default() }
}

impl LocalSwarm {
    /// A swarm that shares this content, one seeder to begin with.
    #[must_use]
    pub fn of(content: Content) -> LocalSwarmBuilder {
        LocalSwarmBuilder {
            content,
            format: Format::Hybrid,
            piece_length: None,
            seeders: 1,
            parts: false,
            up_limit: None,
            udp: false,
            encryption: Encryption::default(),
        }
    }

    /// The bytes of the .torrent file, which names the tracker.
    #[must_use]
    pub fn torrent(&self) -> Vec<u8> {
        self.torrent.clone()
    }

    /// The hashes of the torrent.
    ///
    /// # Panics
    /// Never: the torrent was made here.
    #[must_use]
    pub fn hashes(&self) -> InfoHashes {
        Metainfo::parse(self.torrent().into()).expect("a torrent of our own").hashes()
    }

    /// A magnet link that names the tracker and nothing else.
    #[must_use]
    pub fn magnet(&self) -> String {
        let trackers = vec![self.tracker.http_url()];
        Magnet { trackers, ..Magnet::new(self.hashes()) }.to_string()
    }

    /// The content.
    #[must_use]
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The tracker.
    #[must_use]
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// The seeders' sessions, each with its torrent.
    #[must_use]
    pub fn seeders(&self) -> &[(Session, Torrent)] {
        &self.seeders
    }

    /// Where the seeders listen.
    #[must_use]
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.seeders.iter().flat_map(|(session, _)| session.listen_addrs()).collect()
    }

    /// A folder for a downloader, empty at first; removed with the swarm.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.folder.0.join("out")
    }

    /// The folder of one seeder.
    #[must_use]
    pub fn seeder_dir(&self, seeder: usize) -> PathBuf {
        seeder_dir(&self.folder.0, seeder)
    }
}

fn seeder_dir(folder: &Path, seeder: usize) -> PathBuf {
    folder.join(format!("seeder-{seeder}"))
}

impl LocalSwarmBuilder {
    /// This many seeders.
    #[must_use]
    pub fn seeders(mut self, seeders: usize) -> Self {
        self.seeders = seeders;
        self
    }

    /// Each seeder has only a part of the pieces and wants no more; all together have every piece.
    #[must_use]
    pub fn parts(mut self, parts: bool) -> Self {
        self.parts = parts;
        self
    }

    /// Each seeder sends at most this many bytes a second.
    #[must_use]
    pub fn up_limit(mut self, limit: Option<u64>) -> Self {
        self.up_limit = limit;
        self
    }

    /// The kind of torrent; hybrid to begin with.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// The piece length, in bytes.
    #[must_use]
    pub fn piece_length(mut self, length: u32) -> Self {
        self.piece_length = Some(length);
        self
    }

    /// The torrent names the tracker's UDP side in place of its HTTP side.
    #[must_use]
    pub fn udp(mut self, udp: bool) -> Self {
        self.udp = udp;
        self
    }

    /// What the seeders' connections look like.
    #[must_use]
    pub fn encryption(mut self, encryption: Encryption) -> Self {
        self.encryption = encryption;
        self
    }

    /// Starts it, and waits until every seeder has announced itself.
    ///
    /// # Errors
    /// Loopback or the folder for temporary files cannot be used.
    ///
    /// # Panics
    /// The content can be no torrent of this kind.
    pub async fn start(self) -> io::Result<LocalSwarm> {
        let folder = Folder::new()?;
        std::fs::create_dir(folder.0.join("out"))?;
        let tracker = Tracker::start().await?;
        let url = if self.udp { tracker.udp_url() } else { tracker.http_url() };
        let torrent = self.content.torrent(self.format, self.piece_length, &[url]);
        let mut seeders = Vec::new();
        for number in 0..self.seeders {
            let dir = seeder_dir(&folder.0, number);
            let (count, parts) = (self.seeders, self.parts);
            let part = |piece: riverrun_metainfo::PieceIndex| !parts || piece.as_usize() % count == number;
            let had = self.content.write_part(&dir, self.format, self.piece_length, &part)?;
            let settings = Settings { up_limit: self.up_limit, encryption: self.encryption, ..loopback() };
            let session = Session::builder().settings(settings).start().await.map_err(io::Error::other)?;
            let wish = AddTorrent::new(torrent.clone()).into_dir(&dir).wanted_pieces(had);
            let seeder = session.add(wish).await.map_err(io::Error::other)?;
            seeder.completed().await.map_err(io::Error::other)?;
            seeders.push((session, seeder));
        }
        let swarm = LocalSwarm { content: self.content, torrent, seeders, tracker, folder };
        swarm.announced().await;
        Ok(swarm)
    }
}

impl LocalSwarm {
    /// Waits until the tracker knows every seeder.
    async fn announced(&self) {
        for (_, seeder) in &self.seeders {
            seeder.announced().await;
        }
    }
}
