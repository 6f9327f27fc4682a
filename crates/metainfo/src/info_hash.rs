//! Info-hashes: the name of a torrent on the network.

use std::fmt;

/// The SHA-1 of the raw bytes of a v1 info dictionary (BEP 3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHashV1(pub [u8; 20]);

/// The SHA-256 of the raw bytes of a v2 info dictionary (BEP 52).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHashV2(pub [u8; 32]);

/// The 20 bytes that stand for a torrent in handshakes and announces: the v1 hash, or the v2 hash cut to 20 bytes (BEP 52).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WireHash(pub [u8; 20]);

impl InfoHashV2 {
    /// The first 20 bytes, which stand for the whole where the protocol has room for no more (BEP 52).
    #[must_use]
    pub fn truncated(self) -> WireHash {
        let mut short = [0; 20];
        short.copy_from_slice(&self.0[..20]);
        WireHash(short)
    }
}

impl From<InfoHashV1> for WireHash {
    fn from(hash: InfoHashV1) -> Self {
        Self(hash.0)
    }
}

/// The info-hashes of one torrent: v1, v2, or both for a hybrid.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum InfoHashes {
    /// A v1 torrent.
    V1(InfoHashV1),
    /// A v2 torrent.
    V2(InfoHashV2),
    /// A hybrid torrent, in both swarms at once.
    Hybrid(InfoHashV1, InfoHashV2),
}

impl InfoHashes {
    /// The v1 hash, if the torrent has one.
    #[must_use]
    pub fn v1(self) -> Option<InfoHashV1> {
        match self {
            Self::V1(v1) | Self::Hybrid(v1, _) => Some(v1),
            Self::V2(_) => None,
        }
    }

    /// The v2 hash, if the torrent has one.
    #[must_use]
    pub fn v2(self) -> Option<InfoHashV2> {
        match self {
            Self::V2(v2) | Self::Hybrid(_, v2) => Some(v2),
            Self::V1(_) => None,
        }
    }

    /// The hash to open connections and to announce with: v1 where there is one, so that a hybrid meets both kinds of peer.
    #[must_use]
    pub fn wire(self) -> WireHash {
        match self {
            Self::V1(v1) | Self::Hybrid(v1, _) => v1.into(),
            Self::V2(v2) => v2.truncated(),
        }
    }

    /// Every hash under which a peer may ask for this torrent.
    pub fn wire_all(self) -> impl Iterator<Item = WireHash> {
        self.v1().map(WireHash::from).into_iter().chain(self.v2().map(InfoHashV2::truncated))
    }
}

macro_rules! hex_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}
hex_text!(InfoHashV1);
hex_text!(InfoHashV2);
hex_text!(WireHash);
