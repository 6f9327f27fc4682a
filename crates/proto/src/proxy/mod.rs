//! The way through a proxy: the client's side of SOCKS5 (RFC 1928, 1929) and of HTTP CONNECT (RFC 9110, section 9.3.6).
//!
//! Both machines speak before the other side of a connection can, and take not one byte more than what belongs to them: what follows
//! is the peer's. A proxy is a stranger like others: what it says is bounded.

mod http;
mod socks5;

use std::fmt;
use std::net::SocketAddr;

pub use http::HttpConnect;
pub use socks5::{Socks5, Socks5Command, datagram, undatagram};

/// Where the proxy is to connect to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Target {
    /// An address.
    Addr(SocketAddr),
    /// A name that the proxy looks up, and a port.
    Name(String, u16),
}

/// The user name and the password for a proxy. Never shown, not even for debugging (THREATS A12).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    /// Takes a name and a password of at most 255 bytes each (RFC 1929); `None` if one is longer or the name is empty.
    #[must_use]
    pub fn new(user: String, password: String) -> Option<Self> {
        (!user.is_empty() && user.len() <= 255 && password.len() <= 255).then_some(Self { user, password })
    }

    /// The name. A secret as well: handle with care.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Why a proxy did not bring us through.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// It does not speak the protocol.
    #[error("the proxy does not speak {0}")]
    Protocol(&'static str),
    /// It wants a name and a password, others than those given, or none of what we can.
    #[error("the proxy wants another user name or password")]
    Credentials,
    /// Its rules do not let us.
    #[error("the proxy does not allow it")]
    NotAllowed,
    /// It cannot do what is asked, such as UDP.
    #[error("the proxy cannot do it")]
    Unsupported,
    /// It is in trouble itself.
    #[error("the proxy is in trouble (code {0})")]
    Failed(u16),
    /// The target refused the connection.
    #[error("refused behind the proxy")]
    Refused,
    /// The target is not reached.
    #[error("not reached from the proxy")]
    Unreachable,
    /// A name that is too long to be asked for.
    #[error("the name is too long for the proxy")]
    Name,
}

impl ProxyError {
    /// Whether the proxy itself is the trouble, not what lies behind it.
    #[must_use]
    pub fn is_of_proxy(&self) -> bool {
        matches!(self, Self::Protocol(_) | Self::Credentials | Self::Unsupported)
    }
}
