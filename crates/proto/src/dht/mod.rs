//! A node of the DHT: peers without a tracker (BEP 5, 32, 33, 42, 43, 44, 46, 51).
//!
//! [`Node`] is the machine. It keeps the contract of the crate: [`Node::handle`], [`Node::poll`], [`Node::next_timeout`]. It sends and
//! receives packets by [`Action::Send`] and [`Input::Packet`], so it shares a socket with whatever else there is; packets of the
//! DHT begin with `d`.
//!
//! To run one: make it with 32 random bytes and what was saved of the last run; give it [`Command::AddNode`] for every saved node
//! and [`Command::AddRouter`] for every router. It comes together with others by itself, keeps its tables fresh and
//! answers. [`Command::GetPeers`] may be given at once: it waits for the first node. When to look again is said by [`Rhythm`]. Save [`Node::snapshot`] and the ids of
//! [`Node::status`] from time to time, and at [`Action::IdChanged`].
//!
//! Who is believed: only nodes that answered are in the table; an id must fit its address to count in a search
//! (BEP 42); one node of each /24 or /64 counts; nobody names nodes further inside than it is itself. Local addresses are exempt
//! from the rules about addresses. Every bound is in [`limits`].

mod bloom;
mod client;
mod command;
mod contact;
mod exchanges;
mod gate;
mod id;
pub mod item;
pub mod krpc;
pub mod limits;
mod lookup;
mod node;
mod pace;
mod rhythm;
mod rounds;
mod search;
mod secrets;
mod security;
mod server;
mod side;
mod status;
mod store;
mod table;
mod token;
mod upkeep;
mod votes;

pub use bloom::BloomFilter;
pub use command::{Action, Command, Input};
pub use contact::{Contact, Family};
pub use id::{Distance, Id};
pub use item::{Item, ItemName, MutableItem};
pub use lookup::{Announce, LookupId, LookupReport, Scrape};
pub use node::{Config, FamilyConfig, Node};
pub use rhythm::Rhythm;
pub use rounds::{Due, Rounds};
pub use security::{is_secure, secure_id};
pub use status::{FamilyStatus, Status, Traffic};
pub use table::Rules;
pub(crate) use votes::Votes;

#[cfg(test)]
mod tests;
