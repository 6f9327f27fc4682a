//! The tracker's UDP side (BEP 15).

use std::net::SocketAddr;
use std::sync::Arc;

use riverrun_proto::tracker::udp::{Request, Response, ResponseBody};
use tokio::net::UdpSocket;

use super::Swarms;

/// The longest request that is looked at, in bytes.
const MAX_PACKET: usize = 4096;

pub(super) async fn run(socket: UdpSocket, swarms: Arc<Swarms>) {
    let mut packet = vec![0; MAX_PACKET];
    // A tracker on the internet would make these from a secret and the address; here nobody lies about addresses.
    let connection = fastrand::Rng::with_seed(u64::from(std::process::id())).u64(..);
    loop {
        let Ok((length, from)) = socket.recv_from(&mut packet).await else {
            tokio::task::yield_now().await;
            continue;
        };
        if let Some(request) = Request::decode(&packet[..length])
            && let Some(response) = answer(&swarms, connection, request, from)
        {
            // An answer that is lost is asked for again.
            let _ = socket.send_to(&response.encode(from), from).await;
        }
    }
}

fn answer(swarms: &Swarms, known: u64, request: Request, from: SocketAddr) -> Option<Response> {
    let (transaction, body) = match request {
        Request::Connect { transaction } => (transaction, ResponseBody::Connect(known)),
        Request::Announce { connection, transaction, request, .. } if connection == known => {
            let body = match swarms.announce(&request, from.ip(), true) {
                Ok(reply) => ResponseBody::Announce(reply),
                Err(reason) => ResponseBody::Error(reason),
            };
            (transaction, body)
        }
        Request::Scrape { connection, transaction, info_hashes } if connection == known => {
            let entries = info_hashes.into_iter().map(|hash| swarms.scrape(hash).unwrap_or_default());
            (transaction, ResponseBody::Scrape(entries.collect()))
        }
        Request::Announce { transaction, .. } | Request::Scrape { transaction, .. } => {
            (transaction, ResponseBody::Error("connection id is not known".into()))
        }
    };
    Some(Response { transaction, body })
}
