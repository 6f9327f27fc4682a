//! Peer exchange (BEP 11).

use std::net::SocketAddr;

use riverrun_metainfo::bencode::{self, Dict, Limits};

use super::ExtendedError;
use crate::compact::{put_addr, v4_addrs, v6_addrs};
use crate::limits::MAX_PEX_CONTACTS;

/// What the sender says of a peer it is connected to (BEP 11).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct PexFlags(pub u8);

impl PexFlags {
    /// It prefers encrypted connections.
    pub const ENCRYPTION: Self = Self(0x01);
    /// It has everything, or wants nothing more.
    pub const SEED: Self = Self(0x02);
    /// It speaks uTP.
    pub const UTP: Self = Self(0x04);
    /// It speaks `ut_holepunch`.
    pub const HOLE_PUNCH: Self = Self(0x08);
    /// The sender dialled it: it can be reached.
    pub const REACHABLE: Self = Self(0x10);

    /// Whether all of these flags are set.
    #[must_use]
    pub fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}

/// A peer in an exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PexContact {
    /// Where it listens, as the sender believes.
    pub addr: SocketAddr,
    /// What the sender says of it.
    pub flags: PexFlags,
}

/// Peers that the sender is connected to, or is no longer, since its last message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PexMessage {
    /// New peers, IPv4 first; at most [`MAX_PEX_CONTACTS`].
    pub added: Vec<PexContact>,
    /// Peers that are gone, IPv4 first; at most [`MAX_PEX_CONTACTS`].
    pub dropped: Vec<SocketAddr>,
    /// How many new peers the message had, kept or not: over 50 is a breach but in the first message (BEP 11).
    pub listed: usize,
}

impl PexMessage {
    /// Reads a payload. Addresses are kept as they are: which can be dialled is for the swarm to judge.
    ///
    /// # Errors
    /// It does not begin with a dictionary within the bounds for messages.
    pub fn parse(payload: &[u8]) -> Result<Self, ExtendedError> {
        const WHAT: &str = "peer exchange";
        let document =
            bencode::decode_prefix(payload, Limits::MESSAGE).map_err(|_| ExtendedError::NotADictionary(WHAT))?;
        let dict = document.root().as_dict().ok_or(ExtendedError::NotADictionary(WHAT))?;
        let flags = bytes(dict, "added.f").iter().chain(std::iter::repeat(&0));
        let flags6 = bytes(dict, "added6.f").iter().chain(std::iter::repeat(&0));
        let added = v4_addrs(bytes(dict, "added")).zip(flags).chain(v6_addrs(bytes(dict, "added6")).zip(flags6));
        let dropped = v4_addrs(bytes(dict, "dropped")).chain(v6_addrs(bytes(dict, "dropped6")));
        Ok(Self {
            added: added
                .take(MAX_PEX_CONTACTS)
                .map(|(addr, flags)| PexContact { addr, flags: PexFlags(*flags) })
                .collect(),
            dropped: dropped.take(MAX_PEX_CONTACTS).collect(),
            listed: bytes(dict, "added").len() / 6 + bytes(dict, "added6").len() / 18,
        })
    }

    /// The payload as it goes over the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (mut added, mut flags, mut added6, mut flags6) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for contact in &self.added {
            let (addrs, flags) =
                if contact.addr.is_ipv4() { (&mut added, &mut flags) } else { (&mut added6, &mut flags6) };
            put_addr(addrs, contact.addr);
            flags.push(contact.flags.0);
        }
        let (mut dropped, mut dropped6) = (Vec::new(), Vec::new());
        for addr in &self.dropped {
            put_addr(if addr.is_ipv4() { &mut dropped } else { &mut dropped6 }, *addr);
        }
        bencode::dict(|dict| {
            for (key, value) in [
                ("added", added),
                ("added.f", flags),
                ("added6", added6),
                ("added6.f", flags6),
                ("dropped", dropped),
                ("dropped6", dropped6),
            ] {
                if !value.is_empty() {
                    dict.bytes(key, value);
                }
            }
        })
    }
}

fn bytes<'d>(dict: Dict<'d>, key: &str) -> &'d [u8] {
    dict.get(key).and_then(|value| value.as_bytes()).unwrap_or_default()
}
