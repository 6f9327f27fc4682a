//! What the swarm makes of the wish for encryption, and remembers of peers.

use std::time::Duration;

use super::lab::{Lab, handshake, peer_addr};
use super::net::{config, layout};
use crate::mse::{Cover, Encryption, Methods, Way};
use crate::swarm::{Action, Connected, ConnectionId, DialError, Input, Source, SwarmConfig, Waiting};
use crate::wire::extended::ExtendedHandshake;
use crate::wire::{Handshake, Message, Reserved};

const SECOND: Duration = Duration::from_secs(1);
const COVERED: Way = Way::Covered(Methods::Either);

fn leech(encryption: Encryption) -> Lab {
    let layout = layout(10, 4);
    let have = riverrun_metainfo::Bitfield::empty(10);
    Lab::with(SwarmConfig { encryption, ..config(&layout, have, 200) })
}

/// How peer 1 is dialled, if it is.
fn ways(actions: &[Action]) -> Option<&'static [Way]> {
    actions.iter().find_map(|action| match action {
        Action::Dial { addr, ways } if *addr == peer_addr(1) => Some(*ways),
        _ => None,
    })
}

fn named(lab: &mut Lab) -> Vec<Action> {
    lab.feed(Input::Candidates { source: Source::User, addrs: &[peer_addr(1)] })
}

#[test]
fn a_dial_goes_the_ways_that_are_wished_for() {
    for (encryption, expected) in [
        (Encryption::Off, &[Way::Plain][..]),
        (Encryption::Prefer, &[COVERED, Way::Plain]),
        (Encryption::Require, &[Way::Covered(Methods::Rc4)]),
    ] {
        let mut lab = leech(encryption);
        assert_eq!(ways(&named(&mut lab)), Some(expected));
    }
}

#[test]
fn who_took_plaintext_alone_is_dialled_in_plaintext_the_next_time() {
    let mut lab = leech(Encryption::Prefer);
    named(&mut lab);
    let mut dialled_next = |connection, cover| {
        let connection = ConnectionId(connection);
        let addr = peer_addr(1);
        lab.feed(Input::Connected(Connected {
            connection,
            addr,
            incoming: false,
            handshake: handshake(1, true),
            cover,
        }));
        lab.feed(Input::Closed { connection, reason: crate::swarm::CloseReason::Eof });
        lab.done.clear();
        lab.wait(120 * SECOND);
        ways(&lab.done)
    };
    assert_eq!(dialled_next(1, Cover::None), Some(&[Way::Plain, COVERED][..]));
    assert_eq!(dialled_next(2, Cover::Handshake), Some(&[COVERED, Way::Plain][..]), "it has learned");
}

#[test]
fn that_nobody_takes_encrypted_connections_is_said() {
    let mut lab = leech(Encryption::Require);
    named(&mut lab);
    lab.feed(Input::DialFailed { addr: peer_addr(1), error: DialError::Unencrypted });
    lab.wait(4 * SECOND);
    lab.wait(2 * SECOND);
    assert_eq!(lab.swarm.status(lab.now).waiting, Some(Waiting::Unencrypted { peers: 1 }));
    lab.feed(Input::Candidates { source: Source::User, addrs: &[peer_addr(2)] });
    assert_eq!(lab.swarm.status(lab.now).waiting, Some(Waiting::Connecting { candidates: 2 }), "one may yet");
}

#[test]
fn the_wish_is_told_and_the_cover_is_shown() {
    for (encryption, told) in
        [(Encryption::Off, None), (Encryption::Prefer, Some(true)), (Encryption::Require, Some(true))]
    {
        let mut lab = leech(encryption);
        let (peer, addr) = (ConnectionId(3), peer_addr(3));
        let handshake = Handshake { reserved: Reserved::ours(), ..handshake(3, true) };
        let cover = Cover::Stream;
        lab.feed(Input::Connected(Connected { connection: peer, addr, incoming: true, handshake, cover }));
        let hello = lab.done.iter().find_map(|action| match action {
            Action::Send { message: Message::Extended { id: 0, payload }, .. } => Some(payload.clone()),
            _ => None,
        });
        let hello = hello.expect("an extended handshake");
        assert_eq!(ExtendedHandshake::parse(&hello).expect("a dictionary").prefers_encryption, told);
        let status = lab.swarm.peers(lab.now);
        assert_eq!(status.iter().find(|status| status.connection == peer).map(|status| status.cover), Some(cover));
    }
}
