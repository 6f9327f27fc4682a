//! Connections between two peers that cannot be dialled, with the help of a third (BEP 55).

use std::net::{IpAddr, SocketAddr};

use super::ExtendedError;
use crate::compact::put_addr;

/// Why a rendezvous does not come about (BEP 55).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum HolePunchError {
    /// The target's address is not valid.
    NoSuchPeer,
    /// The relaying peer is not connected to the target.
    NotConnected,
    /// The target does not speak the extension.
    NoSupport,
    /// The target is the relaying peer itself.
    NoSelf,
    /// A code that is not known here.
    Other(u32),
}

impl HolePunchError {
    fn code(self) -> u32 {
        match self {
            Self::NoSuchPeer => 1,
            Self::NotConnected => 2,
            Self::NoSupport => 3,
            Self::NoSelf => 4,
            Self::Other(code) => code,
        }
    }

    pub(super) fn from_code(code: u32) -> Self {
        match code {
            1 => Self::NoSuchPeer,
            2 => Self::NotConnected,
            3 => Self::NoSupport,
            4 => Self::NoSelf,
            code => Self::Other(code),
        }
    }
}

/// One message; the address is the other peer's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HolePunch {
    /// Bring us together with this peer.
    Rendezvous(SocketAddr),
    /// Dial this peer over uTP now; it does the same.
    Connect(SocketAddr),
    /// It did not come about.
    Error(SocketAddr, HolePunchError),
}

impl HolePunch {
    /// Reads a payload; `Ok(None)` for a kind that is not known.
    ///
    /// # Errors
    /// It has not the length that its kind of address needs, or is of no known kind of address.
    pub fn parse(payload: &[u8]) -> Result<Option<Self>, ExtendedError> {
        let wrong = ExtendedError::Length("hole punch message", payload.len());
        let (&[kind, family], rest) = payload.split_first_chunk::<2>().ok_or(wrong)?;
        let (ip, rest) = match family {
            0 => rest.split_first_chunk::<4>().map(|(ip, rest)| (IpAddr::from(*ip), rest)),
            1 => rest.split_first_chunk::<16>().map(|(ip, rest)| (IpAddr::from(*ip), rest)),
            _ => None,
        }
        .ok_or(wrong)?;
        let (port, rest) = rest.split_first_chunk::<2>().ok_or(wrong)?;
        let addr = SocketAddr::new(ip, u16::from_be_bytes(*port));
        // Some senders leave the code out where there is no error.
        let code = rest.first_chunk::<4>().map(|code| u32::from_be_bytes(*code));
        Ok(match kind {
            0 => Some(Self::Rendezvous(addr)),
            1 => Some(Self::Connect(addr)),
            2 => Some(Self::Error(addr, HolePunchError::from_code(code.ok_or(wrong)?))),
            _ => None,
        })
    }

    /// The payload as it goes over the wire.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let (kind, addr, code) = match self {
            Self::Rendezvous(addr) => (0, addr, 0),
            Self::Connect(addr) => (1, addr, 0),
            Self::Error(addr, error) => (2, addr, error.code()),
        };
        let mut bytes = vec![kind, u8::from(addr.is_ipv6())];
        put_addr(&mut bytes, addr);
        bytes.extend_from_slice(&code.to_be_bytes());
        bytes
    }
}
