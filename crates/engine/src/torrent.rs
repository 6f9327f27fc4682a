//! The handle of one torrent.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use riverrun_metainfo::{Bitfield, InfoHashes, Metainfo};
use riverrun_proto::swarm::{Command, PeerStatus, Priority, Source};

use crate::drive::{Core, checks, leave, open};
use crate::{
    EventError, Events, FileReader, FileStatus, Limits, SeedLimits, TorrentError, TorrentStatus, TrackerState, status,
};

/// Names one torrent of a session; never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TorrentId(pub u64);

/// One torrent of a session. Cheap to clone; dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct Torrent {
    core: Arc<Core>,
}

impl Torrent {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// Its number in the session.
    #[must_use]
    pub fn id(&self) -> TorrentId {
        self.core.id
    }

    /// Its hashes.
    #[must_use]
    pub fn info_hashes(&self) -> InfoHashes {
        self.core.info_hashes()
    }

    /// Where its content stands: the file, or the folder; empty while that is not decided.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.core.decided().map(|content| content.options.path.clone()).unwrap_or_default()
    }

    /// The torrent file, or what stands for it once the metadata is here.
    #[must_use]
    pub fn metainfo(&self) -> Option<Arc<Metainfo>> {
        self.core.metainfo().cloned()
    }

    /// Waits for the metadata: at once there for what was added as a torrent file, from peers for a magnet link.
    ///
    /// # Errors
    /// It ended before that.
    pub async fn metadata(&self) -> Result<Arc<Metainfo>, TorrentError> {
        let ended = self.core.outcome();
        tokio::pin!(ended);
        loop {
            let changed = self.core.quiet.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(metainfo) = self.metainfo() {
                return Ok(metainfo);
            }
            tokio::select! {
                () = changed => {}
                ended = &mut ended => return Err(ended.err().unwrap_or(TorrentError::Stopped)),
            }
        }
    }

    /// How it is now.
    #[must_use]
    pub fn status(&self) -> TorrentStatus {
        status::of(&self.core)
    }

    /// Its connections.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.core.look(|brain| {
            brain.exchange.as_ref().map(|exchange| exchange.swarm.peers(Instant::now())).unwrap_or_default()
        })
    }

    /// The pieces that are verified and stored.
    #[must_use]
    pub fn have(&self) -> Bitfield {
        let pieces = self.metainfo().map_or(0, |metainfo| metainfo.info().layout().piece_count());
        self.core.look(|brain| {
            let had = brain.exchange.as_ref().map(|exchange| exchange.swarm.have());
            // A swarm that got the metadata knows of no pieces until the files are open.
            had.filter(|had| had.pieces() == pieces).cloned().unwrap_or_else(|| Bitfield::empty(pieces))
        })
    }

    /// What happens in it from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.core.engine.events.all(Some(self.core.id))
    }

    /// The same without [`EventKind::PieceDone`](crate::EventKind::PieceDone): a fast download has thousands, and whom nobody
    /// wakes for each costs it less.
    #[must_use]
    pub fn events_but_pieces(&self) -> Events {
        self.core.engine.events.but_pieces(Some(self.core.id))
    }

    /// Waits until everything wanted is here, verified, synced and looked at once more.
    ///
    /// # Errors
    /// It ended before that; a full disk only does so with
    /// [`AddTorrent::fail_on_storage_error`](crate::AddTorrent::fail_on_storage_error).
    pub async fn completed(&self) -> Result<(), TorrentError> {
        self.core.outcome().await
    }

    /// Closes its connections and exchanges nothing until [`resume`](Self::resume).
    pub fn pause(&self) {
        self.core.pause(true);
    }

    /// Exchanges again.
    pub fn resume(&self) {
        self.core.pause(false);
    }

    /// Names peers to try.
    pub fn add_peers(&self, addrs: &[SocketAddr]) {
        self.core.candidates(Source::User, addrs);
    }

    /// Waits until one of its trackers has answered. Does not return if none ever does.
    pub async fn announced(&self) {
        let mut events = self.events();
        while !self.status().trackers.iter().any(|tracker| tracker.state == TrackerState::Working) {
            if matches!(events.next().await, Err(EventError::Closed)) {
                return;
            }
        }
    }

    /// Asks its trackers now, as far as they allow.
    pub fn announce(&self) {
        self.core.act(|brain, now, effects| {
            brain.announcer.need_peers(now);
            brain.announce(now, effects);
        });
    }

    /// Hashes everything on disk again. Pieces that are damaged or missing are not had any more and are fetched again; the
    /// exchange goes on meanwhile. How many there were.
    ///
    /// # Errors
    /// The disk cannot be read, or the torrent is gone.
    pub async fn check(&self) -> Result<u32, TorrentError> {
        if self.core.decided().is_none() {
            return Ok(0);
        }
        checks::again(&self.core).await
    }

    /// Changes what sharing goes on until. What was shared before counts. One that has come to its end stays paused until
    /// [`resume`](Self::resume).
    pub fn set_seed_limits(&self, limits: SeedLimits) {
        self.core.set_seed_limits(limits);
    }

    /// Changes the rate limits of this torrent, at once. Those of its group and of the session hold as well.
    pub fn set_limits(&self, limits: Limits) {
        self.core.rates.set(limits);
        self.core.limits_changed();
    }

    /// Changes the rate limits of each connection of this torrent, at once; those to come have them, too.
    pub fn set_peer_limits(&self, limits: Limits) {
        self.core.rates.set_each(limits);
        self.core.limits_changed();
    }

    /// Moves it into the group of this name, whose rate limits hold from now on
    /// ([`Session::set_group_limits`](crate::Session::set_group_limits)); `None`: into no group.
    pub fn set_group(&self, name: Option<&str>) {
        self.core.rates.set_group(name);
        self.core.limits_changed();
    }

    /// Reads one of its files, by its place in the torrent, from any place and while it comes.
    ///
    /// # Errors
    /// The metadata is not here yet, or there is no such file.
    pub fn file_reader(&self, file: usize) -> Result<FileReader, TorrentError> {
        FileReader::new(self.core.clone(), file)
    }

    /// Superseeds (BEP 16), or not: as [`AddTorrent::super_seeding`](crate::AddTorrent::super_seeding), and what peers that are
    /// connected already were told stays told.
    pub fn set_super_seeding(&self, super_seeding: bool) {
        self.core.act(|brain, now, effects| brain.command(now, Command::SetSuperseeding(super_seeding), effects));
    }

    /// Asks for pieces in order, or not.
    pub fn set_sequential(&self, sequential: bool) {
        self.core.act(|brain, now, effects| brain.command(now, Command::SetSequential(sequential), effects));
    }

    /// Its files but padding, with how far each is and how much it is wanted; nothing while they are not known.
    #[must_use]
    pub fn files(&self) -> Vec<FileStatus> {
        status::files(&self.core)
    }

    /// Wants these files more or less from now on, by their place in the torrent, padding counted; the others stay as they are.
    /// Requests for what is not wanted any more are taken back, and what is there of such files stays. What is wanted from now
    /// on is fetched; [`completed`](Self::completed) waits for it, too. It holds for later runs as well.
    ///
    /// # Errors
    /// There is no such file, or they are not known yet; a file that is wanted cannot be made ready; something else stands in its place
    /// ([`TorrentError::Occupied`], unless the torrent was added with [`overwrite`](crate::AddTorrent::overwrite)); the torrent is read-only.
    /// Nothing has changed then.
    pub async fn set_file_priorities(
        &self,
        changes: impl IntoIterator<Item = (usize, Priority)>,
    ) -> Result<(), TorrentError> {
        let changes: Vec<_> = changes.into_iter().collect();
        open::choose(&self.core, &changes).await
    }

    /// Stops it, flushes, writes its resume record, tells its trackers, and takes it out of the session. Its files stay.
    pub async fn remove(&self) {
        leave::leave(self.core.clone()).await;
    }
}
