//! The tracker's packets: all that wait are read, answered under one hold of the lock, and sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::UdpSocket;

use super::Desk;

/// Packets that are answered together.
const BATCH: usize = 64;
/// The longest packet that is looked at, in bytes: a scrape has 1,496, an announce 98 and its URL.
const MAX_PACKET: usize = 2048;

/// A packet and its answer.
struct Exchange {
    packet: Vec<u8>,
    length: usize,
    from: SocketAddr,
    answer: Vec<u8>,
}

pub(super) async fn run(socket: UdpSocket, desk: Arc<Desk>) {
    let nowhere = SocketAddr::from(([0; 4], 0));
    let new = || Exchange { packet: vec![0; MAX_PACKET], length: 0, from: nowhere, answer: Vec::new() };
    let mut batch: Vec<Exchange> = (0..BATCH).map(|_| new()).collect();
    loop {
        if socket.readable().await.is_err() {
            // Only when the runtime ends.
            return;
        }
        let count = receive(&socket, &mut batch);
        let came = &mut batch[..count];
        {
            let (now, mut server) = (Instant::now(), desk.lock());
            for Exchange { packet, length, from, answer } in &mut *came {
                server.udp(now, *from, &packet[..*length], answer);
            }
        }
        for Exchange { from, answer, .. } in came.iter().filter(|exchange| !exchange.answer.is_empty()) {
            // An answer that has no room is lost, as on any way; the client asks again.
            let _ = socket.try_send_to(answer, *from);
        }
        if count == BATCH {
            tokio::task::yield_now().await;
        }
    }
}

/// How many packets there were.
fn receive(socket: &UdpSocket, batch: &mut [Exchange]) -> usize {
    let mut count = 0;
    for exchange in batch {
        match socket.try_recv_from(&mut exchange.packet) {
            Ok((length, from)) => (exchange.length, exchange.from) = (length, from),
            // Nothing more, or news of an answer that did not arrive.
            Err(_) => break,
        }
        count += 1;
    }
    count
}
