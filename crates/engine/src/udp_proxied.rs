//! UDP trackers through a SOCKS5 proxy: each exchange has a relay of its own there, so that trackers cannot tell that it is one who asks.
//!
//! Names are looked up by the proxy. A tracker behind a name is asked over IPv4 alone: whether it answers over IPv6, and so with
//! addresses of 16 bytes, would be known too late.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use riverrun_proto::proxy::Target;
use riverrun_proto::tracker::udp::{Action, Client, ExchangeId, Input, Outcome};
use riverrun_proto::tracker::{AnnounceError, TrackerUrl};
use tokio::time::sleep_until;

use crate::net::Net;

/// No answer of a tracker is longer.
const MAX_PACKET: usize = 64 * 1024;
/// The only exchange of its machine.
const ID: ExchangeId = ExchangeId(0);

/// Asks a tracker; `input` makes the question of the exchange's name and the tracker's address. `addr` is that address if the URL
/// says it, judged.
pub(crate) async fn exchange(
    net: &Net,
    url: &TrackerUrl,
    addr: Option<SocketAddr>,
    input: impl FnOnce(ExchangeId, SocketAddr) -> Input<'static>,
) -> Result<Outcome, AnnounceError> {
    let mut relay = net.relay().await.map_err(|error| AnnounceError::Network(format!("is not asked: {error}")))?;
    let target = addr.map_or_else(|| Target::Name(url.host().to_owned(), url.port()), Target::Addr);
    // The machine wants an address; behind a name any will do, as whatever comes out of the relay was asked for.
    let to = addr.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), url.port()));
    let seed = getrandom::u64().map_err(|_| AnnounceError::Network("no randomness".into()))?;
    let mut client = Client::new(seed);
    client.handle(Instant::now(), input(ID, to));
    let mut room = vec![0; MAX_PACKET];
    loop {
        while let Some(action) = client.poll() {
            match action {
                Action::Send { packet, .. } => relay.send(&target, &packet).await,
                Action::Done { outcome, .. } => return outcome,
            }
        }
        let Some(due) = client.next_timeout() else { return Err(AnnounceError::Timeout) };
        tokio::select! {
            received = relay.receive(&mut room) => {
                let (from, packet) = received.map_err(|_| AnnounceError::Network("is cut off by the proxy".into()))?;
                if is_from(&from, to, addr) {
                    client.handle(Instant::now(), Input::Received { from: to, packet });
                }
            }
            () = sleep_until(due.into()) => client.handle(Instant::now(), Input::Timeout),
        }
    }
}

/// Whether that is the tracker's answer.
fn is_from(from: &Target, to: SocketAddr, known: Option<SocketAddr>) -> bool {
    match (from, known) {
        (Target::Addr(from), Some(known)) => *from == known,
        (Target::Addr(from), None) => from.is_ipv4() && from.port() == to.port(),
        (Target::Name(_, port), None) => *port == to.port(),
        (Target::Name(..), Some(_)) => false,
    }
}

/// Why a tracker is not asked where the proxy is none of SOCKS5.
pub(crate) fn no_way() -> AnnounceError {
    AnnounceError::Network("is not asked: UDP does not go through the proxy".into())
}
