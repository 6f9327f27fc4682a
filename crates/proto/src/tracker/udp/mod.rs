//! Trackers over UDP (BEP 15, 41): the packets, and the client as a machine.

mod client;
mod packet;
#[cfg(test)]
mod tests;

pub use client::{Action, Client, ExchangeId, Input, Outcome};
pub(super) use packet::{ANNOUNCE_HEAD, announce_head};
pub use packet::{Request, Response, ResponseBody};
