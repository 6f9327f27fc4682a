//! Items: small values that the DHT keeps (BEP 44), and torrents that their publisher can replace (BEP 46).

use std::fmt;

use bytes::Bytes;
use ed25519_dalek::{Signature, Signer as _, SigningKey, Verifier as _, VerifyingKey};
use riverrun_metainfo::bencode::{self, Limits};
use riverrun_metainfo::hash::Sha1;
use riverrun_metainfo::{WireHash, hash::sha1};

use super::id::Id;
use super::limits::{MAX_ITEM_VALUE, MAX_SALT};

/// What an item is found by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ItemName {
    /// The SHA-1 of the value: the value can be no other.
    Immutable(Id),
    /// A public key and a salt: whoever holds the private key can replace the value.
    Mutable {
        /// The Ed25519 public key.
        key: [u8; 32],
        /// Tells several items of one key apart; at most 64 bytes, often none.
        salt: Vec<u8>,
    },
}

impl ItemName {
    /// Where in the DHT the item is.
    #[must_use]
    pub fn target(&self) -> Id {
        match self {
            Self::Immutable(target) => *target,
            Self::Mutable { key, salt } => mutable_target(key, salt),
        }
    }
}

/// A value with what proves it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// Found by its hash.
    Immutable {
        /// The value in canonical bencode, at most 1000 bytes.
        value: Bytes,
    },
    /// Found by a key, and signed.
    Mutable(MutableItem),
}

/// A signed value. It can only be made whole: by [`MutableItem::sign`] or by [`MutableItem::verify`].
#[derive(Clone, PartialEq, Eq)]
pub struct MutableItem {
    key: [u8; 32],
    salt: Vec<u8>,
    seq: i64,
    value: Bytes,
    signature: [u8; 64],
}

/// Why something is no item.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ItemError {
    /// The value is no bencode, or not in canonical form.
    #[error("the value is not canonical bencode")]
    NotCanonical,
    /// The value is longer than 1000 bytes (BEP 44: 205).
    #[error("the value has {0} bytes; 1000 are allowed")]
    TooLong(usize),
    /// The salt is longer than 64 bytes (BEP 44: 207).
    #[error("the salt has {0} bytes; 64 are allowed")]
    SaltTooLong(usize),
    /// The sequence number is negative.
    #[error("the sequence number {0} is negative")]
    NegativeSeq(i64),
    /// The signature is not by this key over this value (BEP 44: 206).
    #[error("the signature is wrong")]
    BadSignature,
}

impl Item {
    /// An immutable item.
    ///
    /// # Errors
    /// The value is not canonical bencode of at most 1000 bytes.
    pub fn immutable(value: Bytes) -> Result<Self, ItemError> {
        check_value(&value)?;
        Ok(Self::Immutable { value })
    }

    /// What the item is found by.
    #[must_use]
    pub fn name(&self) -> ItemName {
        match self {
            Self::Immutable { value } => ItemName::Immutable(Id(sha1(value))),
            Self::Mutable(item) => ItemName::Mutable { key: item.key, salt: item.salt.clone() },
        }
    }

    /// The value in bencode.
    #[must_use]
    pub fn value(&self) -> &Bytes {
        match self {
            Self::Immutable { value } => value,
            Self::Mutable(item) => &item.value,
        }
    }

    /// The sequence number; `None` for an immutable item.
    #[must_use]
    pub fn seq(&self) -> Option<i64> {
        match self {
            Self::Immutable { .. } => None,
            Self::Mutable(item) => Some(item.seq),
        }
    }
}

impl MutableItem {
    /// Signs a value with a private key (the seed of 32 bytes, RFC 8032). `seq` must grow with every new value.
    ///
    /// # Errors
    /// The value is not canonical bencode of at most 1000 bytes, the salt is longer than 64 bytes, or `seq` is negative.
    pub fn sign(private_key: &[u8; 32], salt: &[u8], seq: i64, value: Bytes) -> Result<Self, ItemError> {
        let key = SigningKey::from_bytes(private_key);
        check_mutable(salt, seq, &value)?;
        let signature = key.sign(&signed_bytes(salt, seq, &value)).to_bytes();
        Ok(Self { key: key.verifying_key().to_bytes(), salt: salt.to_vec(), seq, value, signature })
    }

    /// Takes what somebody says is an item, if it is.
    ///
    /// # Errors
    /// As [`Self::sign`], or the signature is wrong. The signature is looked at last: that costs the most.
    pub fn verify(key: [u8; 32], salt: &[u8], seq: i64, value: Bytes, signature: [u8; 64]) -> Result<Self, ItemError> {
        check_mutable(salt, seq, &value)?;
        let verifier = VerifyingKey::from_bytes(&key).map_err(|_| ItemError::BadSignature)?;
        verifier
            .verify(&signed_bytes(salt, seq, &value), &Signature::from_bytes(&signature))
            .map_err(|_| ItemError::BadSignature)?;
        Ok(Self { key, salt: salt.to_vec(), seq, value, signature })
    }

    /// The public key.
    #[must_use]
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// The salt, often empty.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The sequence number, not negative.
    #[must_use]
    pub fn seq(&self) -> i64 {
        self.seq
    }

    /// The value in bencode.
    #[must_use]
    pub fn value(&self) -> &Bytes {
        &self.value
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &[u8; 64] {
        &self.signature
    }
}

impl fmt::Debug for MutableItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut item = f.debug_struct("MutableItem");
        item.field("target", &mutable_target(&self.key, &self.salt)).field("seq", &self.seq);
        item.field("bytes", &self.value.len()).finish_non_exhaustive()
    }
}

/// Where the mutable items of this key with this salt are (BEP 44).
#[must_use]
pub fn mutable_target(key: &[u8; 32], salt: &[u8]) -> Id {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(salt);
    Id(hash.finish())
}

/// The value that makes an item name a torrent (BEP 46).
#[must_use]
pub fn torrent_value(info_hash: WireHash) -> Bytes {
    bencode::dict(|dict| {
        dict.bytes("ih", info_hash.0);
    })
    .into()
}

/// The torrent that an item's value names, if it names one (BEP 46).
#[must_use]
pub fn torrent_of(value: &[u8]) -> Option<WireHash> {
    let document = bencode::decode(value, Limits::MESSAGE).ok()?;
    document.root().as_dict()?.get("ih")?.as_array().map(WireHash)
}

fn check_mutable(salt: &[u8], seq: i64, value: &[u8]) -> Result<(), ItemError> {
    check_value(value)?;
    if salt.len() > MAX_SALT {
        return Err(ItemError::SaltTooLong(salt.len()));
    }
    if seq < 0 {
        return Err(ItemError::NegativeSeq(seq));
    }
    Ok(())
}

fn check_value(value: &[u8]) -> Result<(), ItemError> {
    if value.len() > MAX_ITEM_VALUE {
        return Err(ItemError::TooLong(value.len()));
    }
    let canonical = bencode::decode(value, Limits::MESSAGE).is_ok_and(|document| document.root().is_canonical());
    if canonical { Ok(()) } else { Err(ItemError::NotCanonical) }
}

/// What the signature is over (BEP 44, Signature Verification).
fn signed_bytes(salt: &[u8], seq: i64, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len() + salt.len() + 50);
    if !salt.is_empty() {
        bytes.extend_from_slice(format!("4:salt{}:", salt.len()).as_bytes());
        bytes.extend_from_slice(salt);
    }
    bytes.extend_from_slice(format!("3:seqi{seq}e1:v").as_bytes());
    bytes.extend_from_slice(value);
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        let bytes: Vec<u8> = (0..N).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect();
        bytes.try_into().unwrap()
    }

    const KEY: &str = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";
    const PLAIN: &str = "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff\
        1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01";
    const SALTED: &str = "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d\
        df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08";
    const VALUE: &[u8] = b"12:Hello World!";

    fn verify(salt: &[u8], seq: i64, value: &'static [u8], signature: &str) -> Result<MutableItem, ItemError> {
        MutableItem::verify(hex(KEY), salt, seq, Bytes::from_static(value), hex(signature))
    }

    #[test]
    fn d5_the_vectors_of_bep_44() {
        let plain = Item::Mutable(verify(b"", 1, VALUE, PLAIN).unwrap());
        assert_eq!(plain.name().target().to_string(), "4a533d47ec9c7d95b1ad75f576cffc641853b750");
        let salted = Item::Mutable(verify(b"foobar", 1, VALUE, SALTED).unwrap());
        assert_eq!(salted.name().target().to_string(), "411eba73b6f087ca51a3795d9c8c938d365e32c1");
        let immutable = Item::immutable(Bytes::from_static(VALUE)).unwrap();
        assert_eq!(immutable.name().target().to_string(), "e5f96f6f38320f0f33959cb4d3d656452117aadb");
        assert_eq!(signed_bytes(b"foobar", 4, VALUE), b"4:salt6:foobar3:seqi4e1:v12:Hello World!");
    }

    #[test]
    fn d5_a_signature_is_for_one_key_salt_number_and_value() {
        assert_eq!(verify(b"foobar", 1, VALUE, PLAIN), Err(ItemError::BadSignature));
        assert_eq!(verify(b"", 2, VALUE, PLAIN), Err(ItemError::BadSignature));
        assert_eq!(verify(b"", 1, b"12:Hello World?", PLAIN), Err(ItemError::BadSignature));
        let other = MutableItem::verify([2; 32], b"", 1, Bytes::from_static(VALUE), hex(PLAIN));
        assert_eq!(other, Err(ItemError::BadSignature));
    }

    #[test]
    fn d5_what_is_signed_here_is_verified_and_bounded() {
        let item = MutableItem::sign(&[7; 32], b"n", 3, Bytes::from_static(VALUE)).unwrap();
        let again = MutableItem::verify(item.key, b"n", 3, item.value.clone(), item.signature);
        assert_eq!(again.as_ref(), Ok(&item));
        let sign = |salt: &[u8], seq, value: &[u8]| {
            MutableItem::sign(&[7; 32], salt, seq, Bytes::copy_from_slice(value)).unwrap_err()
        };
        let long = bencode::list(|list| {
            list.bytes([0; 995]);
        });
        assert_eq!(long.len(), 1001);
        assert_eq!(sign(b"", 1, &long), ItemError::TooLong(1001));
        assert_eq!(sign(&[0; 65], 1, VALUE), ItemError::SaltTooLong(65));
        assert_eq!(sign(b"", -1, VALUE), ItemError::NegativeSeq(-1));
        assert_eq!(sign(b"", 1, b"d1:bi1e1:ai1ee"), ItemError::NotCanonical);
        assert_eq!(Item::immutable(Bytes::from_static(b"i01e")), Err(ItemError::NotCanonical));
        assert_eq!(Item::immutable(Bytes::from_static(b"i1ei2e")), Err(ItemError::NotCanonical));
    }

    #[test]
    fn the_vectors_of_bep_46() {
        let key = hex("8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e");
        assert_eq!(mutable_target(&key, b"").to_string(), "cc3f9d90b572172053626f9980ce261a850d050b");
        assert_eq!(mutable_target(&key, b"n").to_string(), "59ee7c2cb9b4f7eb1986ee2d18fd2fdb8a56554f");
        let hash = WireHash([9; 20]);
        assert_eq!(torrent_of(&torrent_value(hash)), Some(hash));
        assert_eq!(torrent_of(b"d2:ih3:abce"), None);
        assert_eq!(torrent_of(VALUE), None);
    }
}
