//! Info-hashes: the name of a torrent on the network.

use std::fmt;
use std::str::FromStr;

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

/// Why text is not an info-hash. The text is cut to what fits a message.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InfoHashError {
    /// The number of characters fits no form of an info-hash.
    #[error("info-hash {text:?} has {characters} characters; {valid}")]
    Length {
        /// The text, cut.
        text: String,
        /// How many characters it has.
        characters: usize,
        /// The forms that were possible.
        valid: &'static str,
    },
    /// A character is no digit of the form that the length says.
    #[error("info-hash {text:?} has {found:?}, which is no {form} digit")]
    Digit {
        /// The text, cut.
        text: String,
        /// The wrong character.
        found: String,
        /// `hex` or `base32`.
        form: &'static str,
    },
}

/// The most characters of a wrong info-hash that an error repeats.
const SHOWN: usize = 80;

impl InfoHashError {
    fn length(text: &str, valid: &'static str) -> Self {
        Self::Length { text: cut(text), characters: text.chars().count(), valid }
    }
}

/// 40 hex digits, or 32 base32 digits as older magnet links have them; either case.
impl FromStr for InfoHashV1 {
    type Err = InfoHashError;

    fn from_str(text: &str) -> Result<Self, InfoHashError> {
        match text.chars().count() {
            40 => hex(text).map(Self),
            32 => base32(text).map(Self),
            _ => Err(InfoHashError::length(text, "40 hex, 32 base32 or a v2 hash are valid")),
        }
    }
}

/// 64 hex digits, or the multihash form of magnet links with `1220` before them (BEP 9); either case.
impl FromStr for InfoHashV2 {
    type Err = InfoHashError;

    fn from_str(text: &str) -> Result<Self, InfoHashError> {
        let digits = text.strip_prefix(SHA256_MULTIHASH).filter(|rest| rest.chars().count() == 64).unwrap_or(text);
        match digits.chars().count() {
            64 => hex(digits).map(Self),
            _ => Err(InfoHashError::length(text, "64 hex, with 1220 before them or not, are valid")),
        }
    }
}

/// What stands before the digest in a multihash: SHA-256, 32 bytes.
pub(crate) const SHA256_MULTIHASH: &str = "1220";

/// Any form of a single info-hash: the length tells which.
impl FromStr for InfoHashes {
    type Err = InfoHashError;

    fn from_str(text: &str) -> Result<Self, InfoHashError> {
        match text.chars().count() {
            64 | 68 => text.parse().map(Self::V2),
            _ => text.parse().map(Self::V1),
        }
    }
}

fn hex<const N: usize>(text: &str) -> Result<[u8; N], InfoHashError> {
    digits(text, "hex", 4, |digit| char::from(digit).to_digit(16))
}

/// RFC 4648 section 6, without padding.
fn base32<const N: usize>(text: &str) -> Result<[u8; N], InfoHashError> {
    digits(text, "base32", 5, |digit| match digit.to_ascii_lowercase() {
        letter @ b'a'..=b'z' => Some(u32::from(letter - b'a')),
        number @ b'2'..=b'7' => Some(u32::from(number - b'2') + 26),
        _ => None,
    })
}

/// Reads digits of `bits` bits each; the text has just as many as fill the bytes.
fn digits<const N: usize>(
    text: &str,
    form: &'static str,
    bits: u32,
    value: impl Fn(u8) -> Option<u32>,
) -> Result<[u8; N], InfoHashError> {
    let mut bytes = [0; N];
    let mut places = bytes.iter_mut();
    let (mut held, mut held_bits) = (0, 0);
    for found in text.chars() {
        let digit = u8::try_from(found).ok().and_then(&value);
        held = (held << bits)
            | digit.ok_or_else(|| InfoHashError::Digit { text: cut(text), found: found.into(), form })?;
        held_bits += bits;
        if held_bits >= 8 {
            held_bits -= 8;
            *places.next().expect("the digits just fill the bytes") = (held >> held_bits).to_le_bytes()[0];
        }
    }
    Ok(bytes)
}

fn cut(text: &str) -> String {
    text.char_indices().nth(SHOWN).map_or_else(|| text.to_owned(), |(at, _)| format!("{}...", &text[..at]))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const HEX: &str = "876ea90c4f2b1d9e00ff1234567890abcdef0123";

    #[test]
    fn hex_goes_there_and_back_in_either_case() {
        let hash: InfoHashV1 = HEX.parse().unwrap();
        assert_eq!(hash.to_string(), HEX);
        assert_eq!(hash.0[..4], [0x87, 0x6e, 0xa9, 0x0c]);
        assert_eq!(HEX.to_uppercase().parse(), Ok(hash));
        let long = [HEX, "4567890abcdef01234567890"].concat();
        let v2: InfoHashV2 = long.parse().unwrap();
        assert_eq!(v2.to_string(), long);
        assert_eq!(["1220", &long].concat().parse(), Ok(v2));
        assert_eq!(v2.truncated(), WireHash(hash.0));
    }

    #[test]
    fn base32_is_the_same_hash() {
        // RFC 4648 section 10: "foobar" is MZXW6YTBOI.
        let twenty = *b"foobarfoobarfoobarfo";
        for text in ["MZXW6YTBOJTG633CMFZGM33PMJQXEZTP", "mzxw6ytbojtg633cmfzgm33pmjqxeztp"] {
            assert_eq!(text.parse(), Ok(InfoHashV1(twenty)));
        }
        assert_eq!("7".repeat(32).parse(), Ok(InfoHashV1([0xff; 20])));
        assert_eq!("A".repeat(32).parse(), Ok(InfoHashV1([0; 20])));
    }

    #[test]
    fn the_length_tells_the_form() {
        assert!(matches!(HEX.parse(), Ok(InfoHashes::V1(_))));
        assert!(matches!("a".repeat(32).parse(), Ok(InfoHashes::V1(_))));
        assert!(matches!("a".repeat(64).parse(), Ok(InfoHashes::V2(_))));
        assert!(matches!(["1220", &"a".repeat(64)].concat().parse(), Ok(InfoHashes::V2(_))));
    }

    #[test]
    fn wrong_text_is_named() {
        let message = |text: &str| text.parse::<InfoHashes>().unwrap_err().to_string();
        assert_eq!(message("zzzz"), "info-hash \"zzzz\" has 4 characters; 40 hex, 32 base32 or a v2 hash are valid");
        assert_eq!(message(""), "info-hash \"\" has 0 characters; 40 hex, 32 base32 or a v2 hash are valid");
        let wrong = "g".repeat(40);
        assert_eq!(message(&wrong), format!("info-hash \"{wrong}\" has \"g\", which is no hex digit"));
        assert!(message(&"1".repeat(32)).ends_with("has \"1\", which is no base32 digit"));
        assert!(message(&"é".repeat(64)).ends_with("has \"é\", which is no hex digit"));
        assert!(
            message(&["1221", &"a".repeat(64)].concat()).ends_with("64 hex, with 1220 before them or not, are valid")
        );
        assert_eq!(message("\x1b[2J").matches('\x1b').count(), 0, "escapes are shown, not sent to the terminal");
    }

    #[test]
    fn errors_repeat_only_the_start_of_long_text() {
        let error = "é".repeat(1 << 20).parse::<InfoHashV1>().unwrap_err();
        let InfoHashError::Length { text, characters, .. } = &error else { panic!("{error}") };
        assert_eq!((text.chars().count(), *characters), (83, 1 << 20));
    }

    #[test]
    fn a_hybrid_is_asked_for_by_both_hashes_and_dials_with_v1() {
        let (v1, v2) = (InfoHashV1([1; 20]), InfoHashV2([2; 32]));
        let hybrid = InfoHashes::Hybrid(v1, v2);
        assert_eq!(hybrid.wire(), WireHash([1; 20]));
        assert_eq!(hybrid.wire_all().collect::<Vec<_>>(), [WireHash([1; 20]), WireHash([2; 20])]);
        assert_eq!(InfoHashes::V2(v2).wire(), WireHash([2; 20]));
        assert_eq!(InfoHashes::V2(v2).wire_all().count(), 1);
        assert_eq!((InfoHashes::V1(v1).v2(), InfoHashes::V2(v2).v1()), (None, None));
    }
}
