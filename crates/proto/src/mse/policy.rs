//! What is wished for, and what came of it.

use super::MseError;
use crate::wire::PROTOCOL;

/// How much the user wants connections to look like noise.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Encryption {
    /// Plaintext alone, both ways.
    Off,
    /// The handshake is covered where the peer can, the rest where the peer insists; plaintext is taken from whoever has only that.
    #[default]
    Prefer,
    /// Everything is encrypted, or there is no connection.
    Require,
}

/// How a connection is opened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Way {
    /// By BitTorrent's own handshake.
    Plain,
    /// By an MSE handshake that offers these methods.
    Covered(Methods),
}

/// The methods that one side allows for the stream after the handshake.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Methods {
    /// Plaintext or RC4.
    Either,
    /// RC4 alone.
    Rc4,
}

/// How much of a connection is covered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Cover {
    /// Nothing.
    #[default]
    None,
    /// The handshake; the rest is plaintext.
    Handshake,
    /// The handshake, and all that follows it by RC4.
    Stream,
}

/// What the first bytes of an incoming connection are the beginning of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Opening {
    /// Too few bytes to tell.
    Undecided,
    /// BitTorrent's own handshake.
    Plain,
    /// A public key of MSE, or something else altogether.
    Noise,
}

const PLAINTEXT_BIT: u32 = 1;
const RC4_BIT: u32 = 2;

impl Encryption {
    /// How to dial a peer, the first way first; the next is for a peer that closes or talks nonsense before the MSE handshake has
    /// passed. `plain`: it took plaintext alone the last time.
    #[must_use]
    pub fn ways(self, plain: bool) -> &'static [Way] {
        const COVERED: Way = Way::Covered(Methods::Either);
        match (self, plain) {
            (Self::Off, _) => &[Way::Plain],
            (Self::Prefer, false) => &[COVERED, Way::Plain],
            (Self::Prefer, true) => &[Way::Plain, COVERED],
            (Self::Require, _) => &[Way::Covered(Methods::Rc4)],
        }
    }

    /// What an incoming MSE handshake may choose from; `None`: it is refused.
    #[must_use]
    pub fn methods(self) -> Option<Methods> {
        match self {
            Self::Off => None,
            Self::Prefer => Some(Methods::Either),
            Self::Require => Some(Methods::Rc4),
        }
    }

    /// Whether an incoming connection may begin in plaintext.
    #[must_use]
    pub fn takes_plaintext(self) -> bool {
        self != Self::Require
    }

    /// Whether peers are told that we like to be dialled by MSE (`e` of BEP 11).
    #[must_use]
    pub fn is_wished(self) -> bool {
        self != Self::Off
    }
}

impl Methods {
    pub(super) fn bits(self) -> u32 {
        match self {
            Self::Either => PLAINTEXT_BIT | RC4_BIT,
            Self::Rc4 => RC4_BIT,
        }
    }

    /// One of the methods that the peer offers: plaintext where both allow it, as RC4 costs time and hides nothing.
    pub(super) fn choose(self, offered: u32) -> Result<Cover, MseError> {
        match (self, self.bits() & offered) {
            (Self::Either, bits) if bits & PLAINTEXT_BIT != 0 => Ok(Cover::Handshake),
            (_, bits) if bits & RC4_BIT != 0 => Ok(Cover::Stream),
            _ => Err(MseError::Methods(offered)),
        }
    }

    /// The method that the peer chose of these.
    pub(super) fn chosen(self, choice: u32) -> Result<Cover, MseError> {
        match choice {
            PLAINTEXT_BIT if self == Self::Either => Ok(Cover::Handshake),
            RC4_BIT => Ok(Cover::Stream),
            _ => Err(MseError::Methods(choice)),
        }
    }
}

impl Cover {
    /// The choice as it goes over the wire.
    pub(super) fn choice(self) -> u32 {
        if self == Self::Stream { RC4_BIT } else { PLAINTEXT_BIT }
    }
}

impl Opening {
    /// Judges the first bytes of an incoming connection: told at the first byte that is not of BitTorrent's handshake.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let known = &bytes[..bytes.len().min(PROTOCOL.len())];
        match PROTOCOL.strip_prefix(known) {
            None => Self::Noise,
            Some([]) => Self::Plain,
            Some(_) => Self::Undecided,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_and_what_is_taken() {
        let covered = |methods| Way::Covered(methods);
        assert_eq!(Encryption::Off.ways(false), [Way::Plain]);
        assert_eq!(Encryption::Prefer.ways(false), [covered(Methods::Either), Way::Plain]);
        assert_eq!(Encryption::Prefer.ways(true), [Way::Plain, covered(Methods::Either)]);
        assert_eq!(Encryption::Require.ways(true), [covered(Methods::Rc4)]);
        assert_eq!(
            [Encryption::Off, Encryption::Prefer, Encryption::Require].map(Encryption::takes_plaintext),
            [true, true, false]
        );
        assert_eq!(Encryption::Off.methods(), None);
    }

    #[test]
    fn plaintext_is_chosen_where_both_allow_it() {
        assert_eq!(Methods::Either.choose(3), Ok(Cover::Handshake));
        assert_eq!(Methods::Either.choose(2), Ok(Cover::Stream));
        assert_eq!(Methods::Rc4.choose(0xffff_ffff), Ok(Cover::Stream));
        assert_eq!(Methods::Rc4.choose(1), Err(MseError::Methods(1)));
        assert_eq!(Methods::Either.choose(0), Err(MseError::Methods(0)));
        assert_eq!(Methods::Either.chosen(1), Ok(Cover::Handshake));
        for wrong in [0, 3, 4] {
            assert_eq!(Methods::Either.chosen(wrong), Err(MseError::Methods(wrong)));
        }
        assert_eq!(Methods::Rc4.chosen(1), Err(MseError::Methods(1)), "not what was offered");
    }

    #[test]
    fn p17_an_opening_is_told_at_its_first_byte_that_differs() {
        for length in 0..PROTOCOL.len() {
            assert_eq!(Opening::of(&PROTOCOL[..length]), Opening::Undecided);
            let mut wrong = *PROTOCOL;
            wrong[length] ^= 1;
            assert_eq!(Opening::of(&wrong[..=length]), Opening::Noise);
        }
        assert_eq!(Opening::of(&[&PROTOCOL[..], &[0; 8]].concat()), Opening::Plain);
    }
}
