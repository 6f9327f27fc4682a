//! What can be bad about a host: a manner for every row of hostile peers that a swarm can meet as a message or as the end of a
//! connection.
//!
//! | row | manner | row | manner |
//! |---|---|---|---|
//! | P1, P2 | [`Garble`](Manner::Garble): the decoder gives up | P16 | [`Noise`](Manner::Noise), [`Flood`](Manner::Flood) |
//! | P3 | [`Misshape`](Manner::Misshape) | P17, P26, P30 | [`Refuse`](Manner::Refuse): no handshake comes about; [`Mirror`](Manner::Mirror) |
//! | P4 | [`Push`](Manner::Push) | P18 | [`Close`](Manner::Close), [`Reset`](Manner::Reset) |
//! | P5, P6 | [`Lie`](Manner::Lie), [`Poison`](Manner::Poison) | P19 | [`Multitude`](Manner::Multitude), behind the handshake |
//! | P7 | [`Bitfields`](Manner::Bitfields) | P20 | [`Babble`](Manner::Babble) |
//! | P8 | [`Haves`](Manner::Haves) | P21 | [`Metadata`](Manner::Metadata) |
//! | P9 | [`BlackHole`](Manner::BlackHole) | P22, P23 | [`Gossip`](Manner::Gossip), [`Decoy`](Manner::Decoy) |
//! | P10 | [`Drip`](Manner::Drip) | P24 | [`Hashes`](Manner::Hashes) |
//! | P11 | [`Flap`](Manner::Flap) | P25 | [`ClaimV2`](Manner::ClaimV2) |
//! | P12 | [`Reject`](Manner::Reject), [`Unasked`](Manner::Unasked) | P27 | [`Punch`](Manner::Punch) |
//! | P13 | [`Hints`](Manner::Hints) | P28 | [`Deny`](Manner::Deny) |
//! | P14 | [`Greed`](Manner::Greed), [`Gulp`](Manner::Gulp) | P29 | [`Sip`](Manner::Sip), [`Greed`](Manner::Greed) |
//! | P15 | [`Grab`](Manner::Grab) | | |
//!
//! The bytes behind P1, P2, P20 and P26 (lengths, depth, the search for a mark) and the timers of P17 and P19 before a
//! handshake are not seen by a swarm: `wire`, `mse` and the engine have their tests, named after the rows.

use std::time::Duration;

use riverrun_proto::swarm::DialError;
use riverrun_proto::wire::WireError;

/// What is bad about a host. Unless its manner says otherwise it says to have everything, unchokes everyone and answers nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// Sends bytes that are no message (P1, P2).
    Garble(WireError),
    /// Answers each request with a block of another length or place (P3).
    Misshape,
    /// Sends blocks that nobody asked for (P4).
    Push,
    /// Answers everything, one block in so many with wrong bytes (P5, P6).
    Lie(u32),
    /// Answers everything, and one block of each piece with wrong bytes (P6).
    Poison,
    /// Sends bitfields that are too long, too short, too late or have spare bits (P7).
    Bitfields,
    /// Says again and again what it has, and at last that it has what does not exist (P8).
    Haves,
    /// Answers nothing (P9).
    BlackHole,
    /// Answers one request in this time (P10).
    Drip(Duration),
    /// Chokes and unchokes, each for this long, and answers nothing (P11).
    Flap(Duration),
    /// Rejects everything (P12).
    Reject,
    /// Rejects what nobody asked for (P12).
    Unasked,
    /// Suggests and allows pieces without end (P13).
    Hints,
    /// Asks for everything and never reads (P14, P29).
    Greed,
    /// Says to have nothing, asks for everything at once when it may, and never reads (P14).
    Gulp,
    /// Asks for what it may not ask for (P15).
    Grab,
    /// Talks without end and without sense (P16).
    Noise,
    /// Sends more empty messages than anyone can read (P16).
    Flood,
    /// Nobody gets a connection to it: each call ends like this (P17, P26, P30).
    Refuse(DialError),
    /// Says it is whoever it talks to (P17).
    Mirror,
    /// Closes at once (P18).
    Close,
    /// Breaks the connection at once (P18).
    Reset,
    /// Comes with so many connections at once, each of which seems to be somebody else (P19).
    Multitude(u32),
    /// Sends extended messages that are deep, long or of wrong types (P20).
    Babble,
    /// Asks for metadata without end and sends some that nobody asked for (P21).
    Metadata,
    /// Names peers that are not there, cannot be or must not be called, too many and too often (P22).
    Gossip,
    /// Names one victim by many ports (P23).
    Decoy,
    /// Asks for hashes that are not there and sends some that nobody asked for (P24).
    Hashes,
    /// Claims to speak of a v2 torrent (P25).
    ClaimV2,
    /// Wants to be brought together with everyone (P27).
    Punch,
    /// Says now that it wants more and now that it does not, and that it lacks what it never had (P28).
    Deny,
    /// Asks for everything and reads one block in this time (P29).
    Sip(Duration),
}

impl Manner {
    /// Every row of hostile peers, with the manners that stand for it.
    pub const ROWS: &[(&str, &[Self])] = &[
        ("p1", &[Self::Garble(WireError::TooLong(u32::MAX))]),
        ("p2", &[Self::Garble(WireError::WrongLength { id: 4, length: 6 })]),
        ("p3", &[Self::Misshape]),
        ("p4", &[Self::Push]),
        ("p5", &[Self::Lie(1)]),
        ("p6", &[Self::Poison, Self::Lie(7)]),
        ("p7", &[Self::Bitfields]),
        ("p8", &[Self::Haves]),
        ("p9", &[Self::BlackHole]),
        ("p10", &[Self::Drip(Duration::from_secs(3)), Self::Drip(Duration::from_secs(19))]),
        ("p11", &[Self::Flap(Duration::from_millis(700)), Self::Flap(Duration::from_secs(4))]),
        ("p12", &[Self::Reject, Self::Unasked]),
        ("p13", &[Self::Hints]),
        ("p14", &[Self::Greed, Self::Gulp]),
        ("p15", &[Self::Grab]),
        ("p16", &[Self::Noise, Self::Flood]),
        ("p17", &[Self::Refuse(DialError::Timeout), Self::Refuse(DialError::Handshake), Self::Mirror]),
        ("p18", &[Self::Close, Self::Reset]),
        ("p19", &[Self::Multitude(100)]),
        ("p20", &[Self::Babble]),
        ("p21", &[Self::Metadata]),
        ("p22", &[Self::Gossip]),
        ("p23", &[Self::Decoy]),
        ("p24", &[Self::Hashes]),
        ("p25", &[Self::ClaimV2]),
        ("p26", &[Self::Refuse(DialError::Unencrypted)]),
        ("p27", &[Self::Punch]),
        ("p28", &[Self::Deny]),
        ("p29", &[Self::Sip(Duration::from_secs(70)), Self::Sip(Duration::from_secs(5))]),
        ("p30", &[Self::Refuse(DialError::WrongTorrent)]),
    ];

    /// Whether it sends wrong bytes.
    pub(crate) fn lies(self) -> bool {
        matches!(self, Self::Lie(_) | Self::Poison | Self::Push | Self::Misshape)
    }

    /// Whether it takes what is sent to it off the socket.
    pub(crate) fn reads(self) -> bool {
        !matches!(self, Self::Greed | Self::Gulp | Self::Sip(_))
    }

    /// Whether it speaks the extension protocol (BEP 10).
    pub(crate) fn is_extended(self) -> bool {
        use Manner::{Babble, Decoy, Deny, Gossip, Metadata, Punch};
        matches!(self, Babble | Metadata | Gossip | Decoy | Punch | Deny)
    }

    /// How often it acts by itself.
    pub(crate) fn period(self) -> Option<Duration> {
        match self {
            Self::Drip(period) | Self::Flap(period) | Self::Sip(period) => Some(period),
            Self::Push | Self::Noise | Self::Flood | Self::Haves | Self::Unasked | Self::Hints | Self::Hashes => {
                Some(Duration::from_millis(100))
            }
            Self::Greed
            | Self::Grab
            | Self::Babble
            | Self::Metadata
            | Self::Gossip
            | Self::Decoy
            | Self::Punch
            | Self::Deny => Some(Duration::from_secs(1)),
            Self::Garble(_)
            | Self::Misshape
            | Self::Lie(_)
            | Self::Poison
            | Self::Bitfields
            | Self::Gulp
            | Self::BlackHole
            | Self::Reject
            | Self::Refuse(_)
            | Self::Mirror
            | Self::Close
            | Self::Reset
            | Self::Multitude(_)
            | Self::ClaimV2 => None,
        }
    }
}
