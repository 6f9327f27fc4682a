use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::swarm::tests::birth;

fn sender(number: u8) -> Contributor {
    Contributor {
        connection: ConnectionId(number.into()),
        sender: Sender::Peer(IpAddr::V4(Ipv4Addr::new(10, 0, 0, number))),
    }
}

fn layout() -> Layout {
    Layout::v1(u64::from(BLOCK_LENGTH) * 70, [(u64::from(BLOCK_LENGTH) * 100 - 10, false)]).expect("a small layout")
}

#[test]
fn blocks_are_asked_in_order_and_released_blocks_again() {
    let layout = layout();
    let mut partials = Partials::default();
    let partial = partials.begin(&layout, PieceIndex(0), Claim::Shared, birth());
    let asked: Vec<_> = std::iter::from_fn(|| partial.ask_next()).collect();
    assert_eq!(asked, (0..70).collect::<Vec<_>>());
    assert_eq!(partial.free(), 0);
    assert!(partial.release(66));
    assert!(!partial.release(66), "free already");
    assert!(partial.release(3));
    assert_eq!((partial.ask_next(), partial.ask_next(), partial.ask_next()), (Some(3), Some(66), None));
}

#[test]
fn runs_of_free_blocks_are_those_that_one_by_one_would_be_asked() {
    let layout = layout();
    for (end, most) in [(70, 1), (70, 3), (70, 64), (70, 500), (u32::MAX, usize::MAX), (8, 100), (66, 7), (0, 5)] {
        let mut partials = Partials::default();
        let partial = partials.begin(&layout, PieceIndex(0), Claim::Shared, birth());
        [0, 3, 4, 9, 63, 65].into_iter().for_each(|number| partial.ask(number));
        let mut asked = Vec::new();
        loop {
            let run = partial.ask_run(end, most);
            assert!(run.len() <= most && run.clone().all(|number| partial.asked(number) == 1));
            if run.is_empty() {
                break;
            }
            asked.extend(run);
        }
        let expected = (0..end.min(70)).filter(|number| ![0, 3, 4, 9, 63, 65].contains(number));
        assert_eq!(asked, expected.collect::<Vec<_>>());
        assert_eq!(partial.free() as usize, 64 - asked.len());
    }
    let mut partials = Partials::default();
    assert!(partials.begin(&layout, PieceIndex(0), Claim::Shared, birth()).ask_run(70, 0).is_empty());
}

#[test]
fn a_piece_is_complete_with_its_last_block_and_counts_its_bytes() {
    let layout = layout();
    let mut partials = Partials::default();
    let partial = partials.begin(&layout, PieceIndex(1), Claim::Shared, birth());
    for number in (1..30).rev() {
        assert_eq!(partial.receive(number, sender(1)), Receipt::Stored);
        assert_eq!(partial.receive(number, sender(2)), Receipt::Useless, "twice");
    }
    assert_eq!(partial.received_bytes(), u64::from(BLOCK_LENGTH) * 29 - 10);
    assert_eq!(partial.receive(0, sender(3)), Receipt::Complete);
    assert!(partial.is_verifying());
    assert_eq!(partial.received_bytes(), u64::from(layout.length_of(PieceIndex(1))));
    assert_eq!(partial.senders().1, [sender(1), sender(3)]);
    assert_eq!(partial.senders().0[..2], [1, 0]);
    assert_eq!(partial.block(29).length, BLOCK_LENGTH - 10);
}

#[test]
fn pieces_with_free_blocks_are_open() {
    let layout = layout();
    let mut partials = Partials::default();
    let open = |partials: &mut Partials| partials.open().map(Partial::piece).collect::<Vec<_>>();
    for piece in [PieceIndex(0), PieceIndex(1)] {
        partials.begin(&layout, piece, Claim::Shared, birth());
    }
    assert_eq!(open(&mut partials), [PieceIndex(0), PieceIndex(1)]);
    while partials.get_mut(PieceIndex(0)).is_some_and(|partial| partial.ask_next().is_some()) {}
    assert_eq!(open(&mut partials), [PieceIndex(1)]);
    partials.get_mut(PieceIndex(0)).into_iter().for_each(|partial| assert!(partial.release(7)));
    partials.reopen(PieceIndex(0));
    partials.reopen(PieceIndex(0));
    assert_eq!(open(&mut partials), [PieceIndex(1), PieceIndex(0)]);
    partials.end(PieceIndex(1));
    assert_eq!(open(&mut partials), [PieceIndex(0)]);
}

#[test]
fn blocks_of_one_sender_are_forgotten_alone() {
    let layout = layout();
    let mut partials = Partials::default();
    let partial = partials.begin(&layout, PieceIndex(1), Claim::Shared, birth());
    (0..30).for_each(|_| assert!(partial.ask_next().is_some()));
    for number in 0..20 {
        partial.receive(number, sender(if number % 2 == 0 { 1 } else { 2 }));
        partial.release(number);
    }
    assert!(!partial.forget_from(|from| from == sender(3).sender));
    assert!(partial.forget_from(|from| from == sender(2).sender));
    assert_eq!(partial.received_bytes(), u64::from(BLOCK_LENGTH) * 10);
    assert_eq!(
        std::iter::from_fn(|| partial.ask_next()).collect::<Vec<_>>(),
        (0..20).filter(|n| n % 2 == 1).collect::<Vec<_>>()
    );
}

#[test]
fn a_piece_on_parole_takes_blocks_of_its_one_peer_alone() {
    let layout = layout();
    let mut partials = Partials::default();
    let partial = partials.begin(&layout, PieceIndex(0), Claim::Parole(Some(ConnectionId(1))), birth());
    assert_eq!(partial.receive(0, sender(2)), Receipt::Useless);
    assert_eq!(partial.receive(0, sender(1)), Receipt::Stored);
}

#[test]
fn ended_pieces_leave_their_memory_to_the_next() {
    let layout = layout();
    let mut partials = Partials::default();
    partials.begin(&layout, PieceIndex(0), Claim::Shared, birth()).receive(5, sender(1));
    assert!(partials.end(PieceIndex(0)) && !partials.end(PieceIndex(0)));
    assert!(partials.get(PieceIndex(0)).is_none());
    let partial = partials.begin(&layout, PieceIndex(1), Claim::Shared, birth());
    assert_eq!((partial.free(), partial.received_bytes(), partial.is_received(5)), (30, 0, false));
    assert_eq!((partials.0.slots.len(), partials.open().count()), (1, 1));
    assert_eq!(partials.pieces(), [PieceIndex(1)]);
}
