//! The 68 bytes that open a connection (BEP 3).

use riverrun_metainfo::WireHash;

/// The 20 bytes by which a client names itself (BEP 20).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerId(pub [u8; 20]);

/// The eight reserved bytes: which extensions the sender speaks (BEP 4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Reserved(pub [u8; 8]);

impl Reserved {
    /// What riverrun speaks: the extension protocol (BEP 10) and the fast extension (BEP 6).
    #[must_use]
    pub fn ours() -> Self {
        Self([0, 0, 0, 0, 0, 0x10, 0, 0x04])
    }
    /// The extension protocol (BEP 10).
    #[must_use]
    pub fn extended(self) -> bool {
        self.0[5] & 0x10 != 0
    }
    /// The fast extension (BEP 6).
    #[must_use]
    pub fn fast(self) -> bool {
        self.0[7] & 0x04 != 0
    }
    /// The DHT (BEP 5).
    #[must_use]
    pub fn dht(self) -> bool {
        self.0[7] & 0x01 != 0
    }
    /// The sender came by the v1 hash of a hybrid and can go on in v2 (BEP 52).
    #[must_use]
    pub fn v2(self) -> bool {
        self.0[7] & 0x10 != 0
    }
}

/// The message that opens a connection, both ways.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handshake {
    /// Extensions.
    pub reserved: Reserved,
    /// Which torrent.
    pub info_hash: WireHash,
    /// Who speaks.
    pub peer_id: PeerId,
}
