//! What strangers send, thrown at the parsers: one body for each, which panics when something that must hold does not.
//!
//! Every body takes any bytes. A search runs them by `cargo fuzz`; `tests/corpus.rs` runs them over the committed corpus on any
//! toolchain. A crash that a search finds becomes a file of the corpus.

mod address_list;
mod bencode;
mod bits;
mod dht;
mod discovery;
mod file_request;
mod hash;
mod hashes;
mod layout;
mod magnet;
mod merkle;
mod metadata;
mod metainfo;
mod mse;
mod path;
mod proxy;
mod sim;
mod tracker;
mod tracker_server;
mod web_seed;
mod wire;

pub use address_list::address_list;
pub use bencode::bencode;
pub use dht::{dht_node, krpc};
pub use discovery::{lsd, pex};
pub use file_request::file_request;
pub use hash::hash;
pub use hashes::hashes;
pub use layout::layout;
pub use magnet::magnet;
pub use merkle::merkle;
pub use metadata::metadata;
pub use metainfo::metainfo;
pub use mse::mse;
pub use path::safe_path;
pub use proxy::proxy;
pub use sim::sim;
pub use tracker::{tracker_http, tracker_udp};
pub use tracker_server::{tracker_server_http, tracker_server_udp};
pub use web_seed::web_seed;
pub use wire::{extended, wire};

/// A body: must return, whatever the bytes are.
pub type Body = fn(&[u8]);

/// Every body by the name of its target and of its folder in `corpus`.
pub const BODIES: &[(&str, Body)] = &[
    ("address_list", address_list),
    ("bencode", bencode),
    ("dht_node", dht_node),
    ("extended", extended),
    ("file_request", file_request),
    ("hash", hash),
    ("hashes", hashes),
    ("krpc", krpc),
    ("layout", layout),
    ("lsd", lsd),
    ("magnet", magnet),
    ("merkle", merkle),
    ("metadata", metadata),
    ("metainfo", metainfo),
    ("mse", mse),
    ("pex", pex),
    ("proxy", proxy),
    ("safe_path", safe_path),
    ("sim", sim),
    ("tracker_http", tracker_http),
    ("tracker_server_http", tracker_server_http),
    ("tracker_server_udp", tracker_server_udp),
    ("tracker_udp", tracker_udp),
    ("web_seed", web_seed),
    ("wire", wire),
];
