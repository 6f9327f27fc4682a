//! What carries inputs to the machines of [`riverrun_proto`] and their actions to sockets and disk threads.
//!
//! Each torrent is one [`Core`]: its machines behind one short lock. Whoever has an input (a connection with the messages of
//! one read, a disk thread with finished jobs, the timer queue) locks, feeds, drains the actions into outboxes and the disk
//! queue, unlocks, and then does what must not be done under the lock: wakes, dials, announces. The lock is never held across
//! an await, a system call, a hash or a copy of payload.

pub(crate) mod add;
mod brain;
pub(crate) mod checks;
pub(crate) mod choice;
mod connection;
mod content;
mod core;
pub(crate) mod device;
pub(crate) mod dht;
pub(crate) mod dial;
pub(crate) mod handshake;
mod holes;
pub(crate) mod leave;
mod link;
pub(crate) mod listen;
mod low_water;
pub(crate) mod lsd;
mod metadata;
mod occupants;
pub(crate) mod open;
pub(crate) mod openings;
mod padding;
mod read_runs;
pub(crate) mod records;
mod saver;
mod seal;
pub(crate) mod stage;
pub(crate) mod store;
pub(crate) mod timer;
mod tracker;
pub(crate) mod web_seed;
mod write_runs;

pub(crate) use self::brain::Brain;
pub(crate) use self::content::Content;
pub(crate) use self::core::Core;
