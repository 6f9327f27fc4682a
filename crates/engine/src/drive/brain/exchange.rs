//! The swarm of a torrent, and its ways to connections and to the disk.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use riverrun_metainfo::{Layout, Span};
use riverrun_proto::swarm::{self, ConnectionId, Pressure, Swarm};
use riverrun_storage::DiskTorrent;
use tokio::sync::{Notify, oneshot};

use super::Effects;
use crate::EventKind;
use crate::drive::link::Link;
use crate::drive::read_runs::{Answer, ReadRuns};
use crate::drive::saver::Saver;
use crate::drive::stage::{Completion, Life};
use crate::drive::write_runs::WriteRuns;

/// The swarm while there is one, with its way to connections and to the disk.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) swarm: Swarm,
    pub(super) links: BTreeMap<ConnectionId, Link>,
    /// The URLs of web seeds, by their numbers.
    pub(crate) web_seeds: Vec<String>,
    /// Where payload goes and comes from; nowhere while the metadata is being fetched.
    pub(crate) files: Option<Files>,
}

/// The swarm's way to the disk.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) disk: DiskTorrent,
    pub(crate) saver: Saver,
    pub(super) layout: Arc<Layout>,
    /// `None` while nobody is served.
    pub(super) reads: Option<Box<ReadRuns>>,
    pub(super) writes: WriteRuns,
    pub(super) pressure: Pressure,
}

impl Exchange {
    pub(crate) fn new(swarm: Swarm, files: Option<Files>) -> Self {
        Self { swarm, links: BTreeMap::new(), web_seeds: Vec::new(), files }
    }

    pub(crate) fn connections(&self) -> usize {
        self.links.len()
    }

    /// Whom to wake so that every connection looks.
    pub(crate) fn wakes(&self) -> impl Iterator<Item = Arc<Notify>> + '_ {
        self.links.values().map(Link::wake)
    }

    /// Notes what happened in the swarm.
    pub(super) fn note(&mut self, life: &mut Life, now: Instant, event: swarm::Event, effects: &mut Effects) {
        effects.events.push(match event {
            swarm::Event::PieceDone(piece) => {
                if let Some(files) = &mut self.files {
                    files.saver.piece_done(now, files.layout.length_of(piece));
                }
                EventKind::PieceDone(piece)
            }
            swarm::Event::PieceCorrupt(piece) => EventKind::PieceCorrupt(piece),
            swarm::Event::Finished => {
                life.completion = Completion::Looking;
                if let Some(files) = &mut self.files {
                    files.finish(&self.swarm);
                }
                EventKind::Phase(life.phase(now, 0))
            }
            swarm::Event::MetadataCorrupt => EventKind::MetadataCorrupt,
            swarm::Event::Banned(ip) => EventKind::Banned(canonical(ip)),
            swarm::Event::WebSeedBanned(seed) => {
                let Some(url) = self.web_seeds.get(seed.0 as usize).cloned() else { return };
                EventKind::WebSeedBanned { url }
            }
            swarm::Event::Downloader(addr) => EventKind::Downloader(addr),
            _ => return,
        });
    }
}

impl Files {
    pub(crate) fn new(disk: DiskTorrent, layout: Arc<Layout>, saver: Saver) -> Self {
        Self { disk, saver, layout, reads: None, writes: WriteRuns::default(), pressure: Pressure::None }
    }

    /// Reads a span of one piece for somebody who is no peer.
    pub(crate) fn read_for_reader(&mut self, span: Span) -> oneshot::Receiver<Answer> {
        self.reads.get_or_insert_default().read_for_reader(&self.disk, span)
    }

    /// Nobody is connected any more: what is held for those who are served goes.
    pub(super) fn rest(&mut self) {
        self.reads.take_if(|reads| reads.is_idle());
    }

    /// Everything wanted is here, as the swarm knows.
    pub(crate) fn finish(&mut self, swarm: &Swarm) {
        self.saver.finish(swarm, &self.disk);
    }
}

fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// Does something with a connection, if it is there yet, and has it woken if need be.
pub(super) fn with_link(
    links: &mut BTreeMap<ConnectionId, Link>,
    connection: ConnectionId,
    effects: &mut Effects,
    act: impl FnOnce(&mut Link),
) {
    if let Some(link) = links.get_mut(&connection) {
        act(link);
        effects.wakes.extend(link.due_wake());
    }
}
