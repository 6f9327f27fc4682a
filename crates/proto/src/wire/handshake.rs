//! The 68 bytes that open a connection (BEP 3).

use riverrun_metainfo::{InfoHashV2, InfoHashes, WireHash};

use super::PeerId;

/// The length of a handshake in bytes.
pub const HANDSHAKE_LENGTH: usize = 68;

/// How a handshake begins: the length of the protocol's name, and the name.
pub(crate) const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// The eight reserved bytes: which extensions the sender speaks (BEP 4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Reserved(pub [u8; 8]);

impl Reserved {
    /// What riverrun speaks: the extension protocol (BEP 10) and the fast extension (BEP 6).
    #[must_use]
    pub fn ours() -> Self {
        Self([0, 0, 0, 0, 0, 0x10, 0, 0x04])
    }
    /// The same for one torrent: whoever has its v2 half can go on in v2 (BEP 52).
    #[must_use]
    pub fn of(mut self, torrent: InfoHashes) -> Self {
        if torrent.v2().is_some() {
            self.0[7] |= 0x10;
        }
        self
    }
    /// The same, and the DHT (BEP 5) if `on`.
    #[must_use]
    pub fn with_dht(mut self, on: bool) -> Self {
        self.0[7] |= u8::from(on);
        self
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

impl Handshake {
    /// Our answer to a peer that asked for a torrent by one of its hashes. Who came by the v1 hash of a hybrid and speaks v2 is
    /// answered with the v2 hash: the connection goes on in v2 (BEP 52).
    #[must_use]
    pub fn answer(torrent: InfoHashes, asked: WireHash, theirs: Reserved, peer_id: PeerId) -> Self {
        let upgraded = torrent.v2().map(InfoHashV2::truncated).filter(|_| theirs.v2());
        Self { reserved: Reserved::ours().of(torrent), info_hash: upgraded.unwrap_or(asked), peer_id }
    }
    /// The handshake as it goes over the wire.
    #[must_use]
    pub fn encode(&self) -> [u8; HANDSHAKE_LENGTH] {
        let mut bytes = [0; HANDSHAKE_LENGTH];
        bytes[..20].copy_from_slice(PROTOCOL);
        bytes[20..28].copy_from_slice(&self.reserved.0);
        bytes[28..48].copy_from_slice(&self.info_hash.0);
        bytes[48..].copy_from_slice(&self.peer_id.0);
        bytes
    }
}

/// The bytes are no handshake: another protocol speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("byte {offset} is not of a bittorrent handshake")]
pub struct HandshakeError {
    /// The first byte that is wrong, below 20.
    pub offset: usize,
}

/// Takes a handshake in as it comes.
///
/// A side that was dialled learns the info-hash after 48 bytes, and answers or goes away without a word (THREATS P30)
/// before the peer id is here.
#[derive(Clone, Debug)]
pub struct HandshakeDecoder {
    bytes: [u8; HANDSHAKE_LENGTH],
    length: usize,
}

impl HandshakeDecoder {
    /// Nothing received yet.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: [0; HANDSHAKE_LENGTH], length: 0 }
    }

    /// Takes what belongs to the handshake from the front of `input`; the handshake once it is whole. What follows in `input`
    /// is the first messages.
    ///
    /// # Errors
    /// The protocol's name is wrong, told at its first wrong byte.
    pub fn feed(&mut self, input: &mut &[u8]) -> Result<Option<Handshake>, HandshakeError> {
        let (front, rest) = input.split_at((HANDSHAKE_LENGTH - self.length).min(input.len()));
        self.bytes[self.length..][..front.len()].copy_from_slice(front);
        self.length += front.len();
        *input = rest;
        let received = &self.bytes[..self.length];
        if let Some(offset) = PROTOCOL.iter().zip(received).position(|(right, byte)| right != byte) {
            return Err(HandshakeError { offset });
        }
        Ok(self.handshake())
    }

    /// How many more bytes the handshake has; 0 once it is whole.
    #[must_use]
    pub fn missing(&self) -> usize {
        HANDSHAKE_LENGTH - self.length
    }

    /// The extensions, once they are here.
    #[must_use]
    pub fn reserved(&self) -> Option<Reserved> {
        self.field(20).map(Reserved)
    }

    /// The torrent that is spoken of, once it is here.
    #[must_use]
    pub fn info_hash(&self) -> Option<WireHash> {
        self.field(28).map(WireHash)
    }

    fn handshake(&self) -> Option<Handshake> {
        let peer_id = PeerId(self.field(48)?);
        Some(Handshake { reserved: self.reserved()?, info_hash: self.info_hash()?, peer_id })
    }

    fn field<const N: usize>(&self, from: usize) -> Option<[u8; N]> {
        self.bytes[..self.length].get(from..)?.first_chunk().copied()
    }
}

impl Default for HandshakeDecoder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use riverrun_metainfo::InfoHashV1;

    #[test]
    fn a_hybrid_is_gone_on_with_in_v2_if_both_sides_can() {
        let (v1, v2) = (InfoHashV1([1; 20]), InfoHashV2([2; 32]));
        let answer =
            |torrent, asked: WireHash, theirs: Reserved| Handshake::answer(torrent, asked, theirs, PeerId([3; 20]));
        let hybrid = InfoHashes::Hybrid(v1, v2);
        let new = Reserved::ours().of(hybrid);
        assert!(new.v2() && new.fast() && new.extended() && !Reserved::ours().of(InfoHashes::V1(v1)).v2());
        assert_eq!(answer(hybrid, v1.into(), new).info_hash, v2.truncated());
        assert_eq!(answer(hybrid, v1.into(), Reserved::ours()).info_hash, v1.into());
        assert_eq!(answer(hybrid, v2.truncated(), Reserved::ours()).info_hash, v2.truncated());
        assert!(answer(hybrid, v1.into(), Reserved::ours()).reserved.v2());
    }

    #[test]
    fn p25_a_v2_claim_on_a_v1_torrent_is_ignored() {
        let v1 = InfoHashV1([1; 20]);
        let claim = Reserved([0xff; 8]);
        let ours = Handshake::answer(InfoHashes::V1(v1), v1.into(), claim, PeerId([3; 20]));
        assert_eq!((ours.info_hash, ours.reserved.v2()), (v1.into(), false));
    }

    fn example() -> Handshake {
        Handshake {
            reserved: Reserved::ours(),
            info_hash: WireHash(*b"aaaaabbbbbcccccddddd"),
            peer_id: PeerId(*b"-RV0100-0123456789ab"),
        }
    }

    #[test]
    fn golden_bytes() {
        let bytes = example().encode();
        assert_eq!(&bytes, b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x04aaaaabbbbbcccccddddd-RV0100-0123456789ab");
    }

    #[test]
    fn the_same_at_every_cut() {
        let bytes = example().encode();
        for cut in 0..bytes.len() {
            let mut decoder = HandshakeDecoder::new();
            let (mut first, mut second) = bytes.split_at(cut);
            assert_eq!(decoder.feed(&mut first), Ok(None), "cut at {cut}");
            assert_eq!(decoder.missing(), HANDSHAKE_LENGTH - cut);
            assert_eq!(decoder.feed(&mut second), Ok(Some(example())), "cut at {cut}");
            assert_eq!(decoder.missing(), 0);
        }
    }

    #[test]
    fn what_follows_is_left_in_the_input() {
        let mut bytes = example().encode().to_vec();
        bytes.extend_from_slice(b"\0\0\0\x01\x0f");
        let mut input = &bytes[..];
        assert!(HandshakeDecoder::new().feed(&mut input).unwrap().is_some());
        assert_eq!(input, b"\0\0\0\x01\x0f");
    }

    #[test]
    fn p30_info_hash_is_known_before_the_peer_id() {
        let bytes = example().encode();
        let mut decoder = HandshakeDecoder::new();
        assert_eq!(decoder.feed(&mut &bytes[..47]), Ok(None));
        assert_eq!((decoder.reserved(), decoder.info_hash()), (Some(example().reserved), None));
        assert_eq!(decoder.feed(&mut &bytes[47..48]), Ok(None));
        assert_eq!(decoder.info_hash(), Some(example().info_hash));
    }

    #[test]
    fn p17_garbage_is_told_at_the_first_wrong_byte() {
        for offset in 0..20 {
            let mut bytes = example().encode();
            bytes[offset] ^= 0x20;
            let mut decoder = HandshakeDecoder::new();
            assert_eq!(decoder.feed(&mut &bytes[..offset]), Ok(None));
            assert_eq!(decoder.feed(&mut &bytes[offset..=offset]), Err(HandshakeError { offset }));
        }
        assert_eq!(HandshakeDecoder::new().feed(&mut &b"GET / HTTP/1.1"[..]), Err(HandshakeError { offset: 0 }));
    }

    #[test]
    fn reserved_bits() {
        let ours = Reserved::ours();
        assert!(ours.extended() && ours.fast() && !ours.dht() && !ours.v2());
        let all = Reserved([0xff; 8]);
        assert!(all.extended() && all.fast() && all.dht() && all.v2());
    }
}
