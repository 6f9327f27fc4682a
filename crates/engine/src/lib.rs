//! A BitTorrent engine: sessions, torrents, sockets.
//!
//! A [`Session`] holds the listeners, the disk threads and the budgets; [`Session::add`] gives a [`Torrent`], a cheap handle:
//!
//! ```no_run
//! # async fn example(bytes: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
//! use riverrun::{AddTorrent, Session};
//!
//! let session = Session::builder().start().await?;
//! let torrent = session.add(AddTorrent::new(bytes).into_dir("out")).await?;
//! torrent.completed().await?;
//! # Ok(()) }
//! ```
//!
//! This is the only room with sockets, clocks and tokio. Every decision of the protocol is made in [`proto`], every byte at
//! rest is the business of [`storage`]; the engine carries inputs to the one and jobs to the other.

mod add;
mod ask;
mod ask_tracker;
mod drive;
mod engine;
mod error;
mod events;
mod fetch;
mod http;
mod rate;
mod session;
mod settings;
mod status;
pub mod testing;
mod torrent;
mod udp_hub;

pub use add::{AddTorrent, Preallocate, Source};
pub use ask::{
    AnnounceAnswer, Probe, ProbeError, ScrapeAnswer, ScrapeCounts, TrackerError, TrackerQuery, announce_once,
    probe_peer, scrape,
};
pub use error::{AddError, StartError, TorrentError};
pub use events::{Event, EventError, EventKind, Events};
pub use fetch::{FetchError, fetch_torrent};
pub use riverrun_metainfo as metainfo;
pub use riverrun_proto as proto;
pub use riverrun_storage as storage;
pub use session::{Session, SessionBuilder, SessionStatus, resume_record_path};
pub use settings::Settings;
pub use status::{Phase, TorrentStatus, TrackerState, TrackerStatus, Waiting};
pub use torrent::{Torrent, TorrentId};

pub use riverrun_proto::swarm::PeerStatus;
