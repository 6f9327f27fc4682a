//! What to add to a session, and how.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use riverrun_metainfo::metainfo::Metainfo;
use riverrun_metainfo::{Bitfield, InfoHashes};
use riverrun_proto::swarm::Priority;
use riverrun_storage::{PartSuffix, Storage};

use crate::rate::RateWish;
use crate::{Limits, SeedLimits};

/// Where the description of a torrent comes from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Source {
    /// The bytes of a .torrent file.
    Bytes(Bytes),
    /// A torrent file that was read already.
    Metainfo(Arc<Metainfo>),
    /// A magnet link (BEP 9): the rest comes from peers.
    Magnet(String),
    /// An info-hash alone. Peers must be named by [`AddTorrent::peers`] or by trackers of the owner.
    InfoHash(InfoHashes),
}

impl From<Bytes> for Source {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Source {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<Arc<Metainfo>> for Source {
    fn from(metainfo: Arc<Metainfo>) -> Self {
        Self::Metainfo(metainfo)
    }
}

impl From<Metainfo> for Source {
    fn from(metainfo: Metainfo) -> Self {
        Self::Metainfo(Arc::new(metainfo))
    }
}

impl From<InfoHashes> for Source {
    fn from(hashes: InfoHashes) -> Self {
        Self::InfoHash(hashes)
    }
}

/// How much of the disk is taken before the first byte comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Preallocate {
    /// Files are made and grow as blocks come.
    None,
    /// Files of a MiB and more have their full length from the start, and holes; smaller ones are made when their first blocks come.
    #[default]
    Sparse,
    /// The disk's blocks are taken at the start.
    Full,
}

/// Where the content of a torrent stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// In a folder, under the torrent's own name.
    Into(PathBuf),
    /// Exactly here.
    At(PathBuf),
}

/// A torrent to add, with its options.
#[derive(Clone, Debug)]
pub struct AddTorrent {
    pub(crate) source: Source,
    pub(crate) place: Place,
    pub(crate) trackers: Option<Vec<Vec<String>>>,
    pub(crate) more_trackers: Vec<Vec<String>>,
    pub(crate) peers: Vec<SocketAddr>,
    pub(crate) web_seeds: Vec<String>,
    pub(crate) metadata_only: bool,
    pub(crate) selected: Vec<RangeInclusive<u32>>,
    pub(crate) paused: bool,
    pub(crate) read_only: bool,
    pub(crate) overwrite: bool,
    pub(crate) trust_resume: bool,
    pub(crate) sequential: bool,
    pub(crate) super_seeding: bool,
    pub(crate) forget_resume_when_complete: bool,
    pub(crate) fail_on_storage_error: bool,
    pub(crate) preallocate: Preallocate,
    pub(crate) part_suffix: Option<PartSuffix>,
    pub(crate) max_connections: Option<usize>,
    pub(crate) rates: RateWish,
    pub(crate) seed_limits: SeedLimits,
    pub(crate) wanted_files: Option<Vec<usize>>,
    pub(crate) priorities: Vec<(usize, Priority)>,
    pub(crate) wanted_pieces: Option<Bitfield>,
    pub(crate) storage: Option<Arc<dyn Storage>>,
}

impl AddTorrent {
    /// A torrent whose content goes into the current folder.
    #[must_use]
    pub fn new(source: impl Into<Source>) -> Self {
        Self {
            source: source.into(),
            place: Place::Into(PathBuf::from(".")),
            trackers: None,
            more_trackers: Vec::new(),
            peers: Vec::new(),
            web_seeds: Vec::new(),
            metadata_only: false,
            selected: Vec::new(),
            paused: false,
            read_only: false,
            overwrite: false,
            trust_resume: false,
            sequential: false,
            super_seeding: false,
            forget_resume_when_complete: false,
            fail_on_storage_error: false,
            preallocate: Preallocate::default(),
            part_suffix: None,
            max_connections: None,
            rates: RateWish::default(),
            seed_limits: SeedLimits::default(),
            wanted_files: None,
            priorities: Vec::new(),
            wanted_pieces: None,
            storage: None,
        }
    }

    /// A magnet link (BEP 9). [`Session::add`](crate::Session::add) gives the torrent at once; its info dictionary comes from
    /// peers, or from the state folder if an earlier run got it, and then it goes on like any other. The files that the link
    /// selects (BEP 53) are wanted, unless [`wanted_files`](Self::wanted_files) says otherwise.
    #[must_use]
    pub fn magnet(link: impl Into<String>) -> Self {
        Self::new(Source::Magnet(link.into()))
    }

    /// Puts the content into this folder, under the torrent's own name: `dir/name`. The folder is made if it is missing.
    #[must_use]
    pub fn into_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.place = Place::Into(dir.into());
        self
    }

    /// Makes this path the content itself: the file of a torrent of one file, else the folder in place of the torrent's own.
    #[must_use]
    pub fn at(mut self, path: impl Into<PathBuf>) -> Self {
        self.place = Place::At(path.into());
        self
    }

    /// Uses these tiers of tracker URLs (BEP 12) in place of the torrent's own; none at all with an empty list.
    #[must_use]
    pub fn trackers(mut self, tiers: Vec<Vec<String>>) -> Self {
        self.trackers = Some(tiers);
        self
    }

    /// Adds tiers of tracker URLs after the torrent's own.
    #[must_use]
    pub fn add_trackers(mut self, tiers: Vec<Vec<String>>) -> Self {
        self.more_trackers.extend(tiers);
        self
    }

    /// Peers to begin with.
    #[must_use]
    pub fn peers(mut self, addrs: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.peers.extend(addrs);
        self
    }

    /// Web servers that have the files (BEP 19), besides those that the torrent or the link names: `http` or `https`; what is neither is
    /// left out. They may be on this machine, which those of a torrent may not (THREATS T2).
    #[must_use]
    pub fn web_seeds(mut self, urls: impl IntoIterator<Item = String>) -> Self {
        self.web_seeds.extend(urls);
        self
    }

    /// Of a magnet link or an info-hash, gets the metadata and then waits: [`Torrent::metadata`](crate::Torrent::metadata) gives it,
    /// and adding that torrent to the session says where its content goes. It goes on with the connections that there are.
    #[must_use]
    pub fn metadata_only(mut self, only: bool) -> Self {
        self.metadata_only = only;
        self
    }

    /// Checks what is there and then exchanges nothing until [`Torrent::resume`](crate::Torrent::resume).
    #[must_use]
    pub fn paused(mut self, paused: bool) -> Self {
        self.paused = paused;
        self
    }

    /// Shares what is there and never writes. Content that is damaged or missing ends the torrent with
    /// [`TorrentError::Incomplete`](crate::TorrentError::Incomplete).
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Writes over files that stand in the place of the content and are something else, and cuts longer ones.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Believes the resume record, even where files changed after it was written, and believes complete files of a read-only
    /// torrent: nothing is hashed at the start.
    #[must_use]
    pub fn trust_resume(mut self, trust: bool) -> Self {
        self.trust_resume = trust;
        self
    }

    /// Asks for pieces in order.
    #[must_use]
    pub fn sequential(mut self, sequential: bool) -> Self {
        self.sequential = sequential;
        self
    }

    /// Superseeds (BEP 16) once everything is here: each peer is shown one piece after the other, so that little more than one copy
    /// leaves before the others hold one together. It ends by itself then. For the only seed of a torrent that is new.
    #[must_use]
    pub fn super_seeding(mut self, super_seeding: bool) -> Self {
        self.super_seeding = super_seeding;
        self
    }

    /// Removes the resume record once everything is there; if only some files were wanted it stays, as it says which.
    #[must_use]
    pub fn forget_resume_when_complete(mut self, forget: bool) -> Self {
        self.forget_resume_when_complete = forget;
        self
    }

    /// Lets [`Torrent::completed`](crate::Torrent::completed) end with an error when the disk fails, a full one included,
    /// instead of trying again.
    #[must_use]
    pub fn fail_on_storage_error(mut self, fail: bool) -> Self {
        self.fail_on_storage_error = fail;
        self
    }

    /// How much of the disk is taken before the first byte comes.
    #[must_use]
    pub fn preallocate(mut self, preallocate: Preallocate) -> Self {
        self.preallocate = preallocate;
        self
    }

    /// Gives files this suffix until all their pieces are verified and synced. Files that stand under either name are found; those of
    /// which only some pieces are wanted keep it. Give the same suffix when the torrent is added again.
    #[must_use]
    pub fn part_suffix(mut self, suffix: PartSuffix) -> Self {
        self.part_suffix = Some(suffix);
        self
    }

    /// The most connections at once of this torrent, in place of the session's setting.
    #[must_use]
    pub fn max_connections(mut self, max: usize) -> Self {
        self.max_connections = Some(max);
        self
    }

    /// What sharing goes on until, once everything is here. With
    /// [`forget_resume_when_complete`](Self::forget_resume_when_complete) the resume record is kept until then.
    #[must_use]
    pub fn seed_limits(mut self, limits: SeedLimits) -> Self {
        self.seed_limits = limits;
        self
    }

    /// The rate limits of this torrent, beneath those of its group and of the session.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.rates.limits = limits;
        self
    }

    /// The rate limits of each connection of this torrent.
    #[must_use]
    pub fn peer_limits(mut self, limits: Limits) -> Self {
        self.rates.each = limits;
        self
    }

    /// Puts it into the group of this name, whose torrents share rate limits
    /// ([`Session::set_group_limits`](crate::Session::set_group_limits)).
    #[must_use]
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.rates.group = Some(name.into());
        self
    }

    /// Keeps the bytes in a storage of the caller's, made for this torrent's layout, in place of files.
    #[must_use]
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = Some(storage);
        self
    }

    /// Wants only these files, by their place in the torrent, padding counted. Pieces that they share with others are fetched whole.
    /// Without this, [`file_priorities`](Self::file_priorities) and a link that selects, what the resume record says is wanted, or
    /// all files if there is none.
    #[must_use]
    pub fn wanted_files(mut self, files: impl IntoIterator<Item = usize>) -> Self {
        self.wanted_files = Some(files.into_iter().collect());
        self
    }

    /// Wants these files more or less than as usual, by their place in the torrent, padding counted.
    /// [`Torrent::set_file_priorities`](crate::Torrent::set_file_priorities) changes it later.
    #[must_use]
    pub fn file_priorities(mut self, priorities: impl IntoIterator<Item = (usize, Priority)>) -> Self {
        self.priorities.extend(priorities);
        self
    }

    /// Wants only these pieces.
    pub(crate) fn wanted_pieces(mut self, pieces: Bitfield) -> Self {
        self.wanted_pieces = Some(pieces);
        self
    }
}
