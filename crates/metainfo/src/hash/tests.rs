#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use proptest::prelude::*;

use super::*;

/// The reference: the crates' own buffering and padding.
fn reference(bytes: &[u8]) -> ([u8; SHA1_LENGTH], [u8; SHA256_LENGTH]) {
    use sha2::Digest;
    (sha1::Sha1::digest(bytes).into(), sha2::Sha256::digest(bytes).into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn digests_of_the_standard_examples() {
    assert_eq!(hex(&sha1(b"")), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    assert_eq!(hex(&sha1(b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_eq!(hex(&sha256(b"")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(hex(&sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let million = vec![b'a'; 1_000_000];
    assert_eq!(hex(&sha1(&million)), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    assert_eq!(hex(&sha256(&million)), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

#[test]
fn every_length_up_to_four_blocks_agrees_with_the_reference() {
    let bytes: Vec<u8> = (0..256u32).map(|n| (n * 7 + 3) as u8).collect();
    for length in 0..=bytes.len() {
        let part = &bytes[..length];
        assert_eq!((sha1(part), sha256(part)), reference(part), "{length} bytes");
    }
}

proptest! {
    #[test]
    fn parts_hash_like_the_whole(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..12)) {
        let (mut one, mut two) = (Sha1::new(), Sha256::new());
        for part in &parts {
            one.update(part);
            two.update(part);
        }
        let whole = parts.concat();
        prop_assert_eq!(one.length(), whole.len() as u64);
        prop_assert_eq!((one.finish(), two.finish()), reference(&whole));
    }
}
