//! What both sides make of the shared secret and the info-hash.

use riverrun_metainfo::WireHash;
use riverrun_metainfo::hash::{SHA1_LENGTH, Sha1};

use super::cipher::Cipher;
use super::dh::KEY_LENGTH;

/// How a torrent is named in the handshake before anything is encrypted: the SHA-1 of "req2" and its info-hash. A session keeps
/// a table of them, for each hash of each torrent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TorrentMark(pub [u8; SHA1_LENGTH]);

impl TorrentMark {
    /// The mark of a torrent.
    #[must_use]
    pub fn of(info_hash: WireHash) -> Self {
        Self(hash(b"req2", &[&info_hash.0]))
    }

    /// Hides the mark under the secret; done twice, it is plain again.
    pub(super) fn masked(self, secret: &[u8; KEY_LENGTH]) -> Self {
        let mask = hash(b"req3", &[secret]);
        Self(std::array::from_fn(|at| self.0[at] ^ mask[at]))
    }
}

/// What the initiator puts behind its first pad.
pub(super) fn sync_mark(secret: &[u8; KEY_LENGTH]) -> [u8; SHA1_LENGTH] {
    hash(b"req1", &[secret])
}

/// The cipher of what the initiator sends, and of what the responder sends.
pub(super) fn ciphers(secret: &[u8; KEY_LENGTH], info_hash: WireHash) -> (Cipher, Cipher) {
    let cipher = |name| Cipher::new(&hash(name, &[secret, &info_hash.0]));
    (cipher(b"keyA"), cipher(b"keyB"))
}

fn hash(name: &[u8; 4], parts: &[&[u8]]) -> [u8; SHA1_LENGTH] {
    let mut sha1 = Sha1::new();
    sha1.update(name);
    parts.iter().for_each(|part| sha1.update(part));
    sha1.finish()
}

#[cfg(test)]
mod tests {
    use super::super::dh::tests::{SHARED, hex};
    use super::*;

    #[test]
    fn golden() {
        let (secret, info_hash) = (hex(SHARED), WireHash([0x5a; 20]));
        assert_eq!(sync_mark(&secret), hex("1a03a6aec2b4e1c0d9737dd1c3132405811e6e57"));
        let mark = TorrentMark::of(info_hash);
        assert_eq!(mark.0, hex("7be06752bce4bb31f0840f8e487d7dc59c426740"));
        assert_eq!(mark.masked(&secret).0, hex("35fb0cebd3d44313632b0d0ae10d2bc5768b06e2"));
        assert_eq!(mark.masked(&secret).masked(&secret), mark);
        let (mut a, mut b) = ciphers(&secret, info_hash);
        let (mut from_a, mut from_b) = ([0; 16], [0; 16]);
        a.apply(&mut from_a);
        b.apply(&mut from_b);
        assert_eq!(from_a, hex("39148e86f8ad6949798e4cbbd984a1b5"));
        assert_eq!(from_b, hex("5c35ff829430e43344957a47baff0288"));
    }
}
