//! A BitTorrent engine: sessions, torrents, sockets.
//!
//! A [`Session`] holds the listeners, the disk threads and the budgets; [`Session::add`] gives a [`Torrent`], a cheap handle.
//! The examples run on a swarm inside the process ([`testing`]), which programs can use for tests of their own.
//!
//! Download:
//!
//! ```
//! # use riverrun::testing::{Content, LocalSwarm};
//! use riverrun::{AddTorrent, Session};
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let swarm = LocalSwarm::of(Content::file("hello.bin", 1, 100_000)).start().await?;
//! # let (bytes, out) = (swarm.torrent(), swarm.dir());
//! let session = Session::builder().start().await?;
//! let torrent = session.add(AddTorrent::new(bytes).into_dir(&out)).await?;
//! torrent.completed().await?;
//! # assert!(swarm.content().compare(&out).is_ok());
//! # Ok(()) }
//! ```
//!
//! From a magnet link:
//!
//! ```
//! # use riverrun::testing::{Content, LocalSwarm};
//! # use riverrun::{AddTorrent, Session};
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let swarm = LocalSwarm::of(Content::file("hello.bin", 1, 100_000)).start().await?;
//! # let (link, out) = (swarm.magnet(), swarm.dir());
//! # let session = Session::builder().start().await?;
//! let torrent = session.add(AddTorrent::magnet(link).into_dir(&out)).await?;
//! println!("{}", torrent.metadata().await?.info().name());
//! torrent.completed().await?;
//! # assert!(swarm.content().compare(&out).is_ok());
//! # Ok(()) }
//! ```
//!
//! Share what is there, and go on until told otherwise:
//!
//! ```
//! # use riverrun::testing::{Content, LocalSwarm};
//! # use riverrun::{AddTorrent, Phase, Session};
//! # use std::time::Duration;
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let swarm = LocalSwarm::of(Content::file("hello.bin", 1, 100_000)).start().await?;
//! # let (bytes, folder) = (swarm.torrent(), swarm.dir());
//! # swarm.content().write_into(&folder)?;
//! let session = Session::builder().start().await?;
//! let torrent = session.add(AddTorrent::new(bytes).into_dir(folder).read_only(true)).await?;
//! torrent.completed().await?; // everything is there and right, and is shared from now on
//! session.shutdown(Duration::from_secs(5)).await;
//! # Ok(()) }
//! ```
//!
//! Watch:
//!
//! ```
//! # use riverrun::testing::{Content, LocalSwarm};
//! # use riverrun::{AddTorrent, EventKind, Session};
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let swarm = LocalSwarm::of(Content::file("hello.bin", 1, 100_000)).start().await?;
//! # let session = Session::builder().start().await?;
//! # let mut events = session.events();
//! # let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await?;
//! while !matches!(events.next().await?.kind, EventKind::Completed) {
//!     let status = torrent.status();
//!     println!("{:.1} %, {} B/s", 100.0 * status.progress(), status.down_rate);
//! }
//! # Ok(()) }
//! ```
//!
//! Ask trackers for peers without joining the swarm:
//!
//! ```
//! # use riverrun::testing::{Content, LocalSwarm};
//! use riverrun::metainfo::metainfo::Metainfo;
//! use riverrun::{TrackerQuery, announce_once};
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let swarm = LocalSwarm::of(Content::file("hello.bin", 1, 100_000)).start().await?;
//! # let bytes = swarm.torrent();
//! let metainfo = Metainfo::parse(bytes.into())?;
//! let query = TrackerQuery::new(metainfo.hashes(), metainfo.trackers().concat());
//! for answer in announce_once(&query).await {
//!     println!("{}: {:?}", answer.url, answer.result?);
//! }
//! # Ok(()) }
//! ```
//!
//! This is the only room with sockets, clocks and tokio. Every decision of the protocol is made in [`proto`], every byte at
//! rest is the business of [`storage`]; the engine carries inputs to the one and jobs to the other.

mod add;
mod ask;
mod ask_dht;
mod ask_lan;
mod ask_peer;
mod ask_tracker;
mod drive;
mod engine;
mod errands;
mod error;
mod events;
mod fetch;
mod file_reader;
mod http;
mod net;
mod rate;
mod session;
mod settings;
mod sharing;
mod status;
mod stream_server;
pub mod testing;
mod torrent;
mod tracker_server;
mod udp_hub;
mod udp_proxied;

pub use add::{AddTorrent, Preallocate, Source};
pub use ask::{AnnounceAnswer, ScrapeAnswer, ScrapeCounts, TrackerError, TrackerQuery, announce_once, scrape};
pub use ask_dht::{DhtAnswer, DhtQuery, dht_nodes, dht_peers};
pub use ask_lan::lan_peers;
pub use ask_peer::{PeerQuery, Probe, ProbeError, probe_peer};
pub use drive::dht::DEFAULT_ROUTERS;
pub use error::{AddError, StartError, TorrentError};
pub use events::{Event, EventError, EventKind, Events};
pub use fetch::{FetchError, fetch_torrent};
pub use file_reader::FileReader;
pub use net::{AddressListError, BadProxy, Interface, InterfaceError, Net, Proxy, WebProxies, read_address_list};
pub use rate::Limits;
pub use riverrun_metainfo as metainfo;
pub use riverrun_proto as proto;
pub use riverrun_proto::mse::{Cover, Encryption};
pub use riverrun_storage as storage;
pub use session::{Session, SessionBuilder, SessionStatus, part_file_name, resume_record_path};
pub use settings::{DhtSettings, Settings};
pub use sharing::{SeedLimits, SharingEnd};
pub use status::{DhtUse, FileStatus, Phase, TorrentStatus, TrackerState, TrackerStatus, Waiting, WebSeedStatus};
pub use stream_server::{StreamServer, is_playable};
pub use torrent::{Torrent, TorrentId};
pub use tracker_server::{Tracker, TrackerBuilder};

pub use riverrun_proto::dht::Status as DhtStatus;
pub use riverrun_proto::swarm::{PeerStatus, Priority, SeedChoker, Sources, WebSeedId, WebSeedState};
pub use riverrun_proto::tracker::server::{Announced as TrackerAnnounce, Stats as TrackerStats};
