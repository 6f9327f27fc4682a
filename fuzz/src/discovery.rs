use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use riverrun_metainfo::{BLOCK_LENGTH, Bitfield, InfoHashV1, InfoHashes, Layout, WireHash};
use riverrun_proto::address::AddressRules;
use riverrun_proto::limits;
use riverrun_proto::lsd::{
    Action as LsdAction, Announcer, AnnouncerConfig, Group, Input as LsdInput, LsdPacket, Network,
};
use riverrun_proto::mse::{Cover, Encryption};
use riverrun_proto::swarm::{Action, Connected, ConnectionId, Input, Swarm, SwarmConfig};
use riverrun_proto::wire::extended::{ExtendedHandshake, Extension, PexMessage};
use riverrun_proto::wire::{Handshake, Message, PeerId, Reserved};

use crate::bits::Bits;

const HASH: [u8; 20] = *b"aaaaabbbbbcccccddddd";

/// A packet of local discovery: what is read is written and read the same; and as input of an announcer that takes part in its
/// torrents, from near and from far.
pub fn lsd(data: &[u8]) {
    let mut bits = Bits::new(data);
    let (near, seconds) = (!bits.byte().is_multiple_of(4), bits.byte());
    let payload = bits.rest();
    let packet = LsdPacket::parse(payload);
    if let Some(packet) = &packet {
        assert!(packet.port != 0 && !packet.info_hashes.is_empty() && payload.len() <= limits::MAX_LSD_PACKET);
        let plain = packet.cookie.as_ref().is_none_or(|cookie| !cookie.contains(['\n', '\r']));
        let bytes = packet.to_bytes(Group::V4);
        if plain && bytes.len() <= limits::MAX_LSD_PACKET {
            assert_eq!(LsdPacket::parse(&bytes).as_ref(), Some(packet));
        }
    }
    let start = Instant::now();
    let mut announcer =
        Announcer::new(start, AnnouncerConfig { port_v4: Some(6881), port_v6: None, seed: seconds.into() });
    let ours: Vec<WireHash> = packet.iter().flat_map(|packet| packet.info_hashes.iter().take(5)).copied().collect();
    let home = IpAddr::from([192, 168, 1, 1]);
    announcer.handle(start, LsdInput::Networks(vec![Network { ip: home, prefix: 24 }]));
    ours.iter().for_each(|hash| announcer.handle(start, LsdInput::Join(*hash)));
    let from = SocketAddr::from((if near { [192, 168, 1, 7] } else { [192, 168, 2, 7] }, 6771));
    let mut now = start;
    let mut said = 0;
    for _ in 0..4 {
        now += Duration::from_secs(seconds.into());
        announcer.handle(now, LsdInput::Packet { from, payload });
        if announcer.next_timeout().is_some_and(|at| at <= now) {
            announcer.handle(now, LsdInput::Timeout);
        }
        while let Some(action) = announcer.poll() {
            match action {
                LsdAction::Peer { info_hash, addr } => {
                    assert!(near && ours.contains(&info_hash) && addr.ip() == from.ip() && addr.port() != 0);
                }
                LsdAction::Send { payload, .. } => {
                    assert!(payload.len() <= limits::MAX_LSD_PACKET && LsdPacket::parse(&payload).is_some());
                    said += 1;
                }
            }
        }
    }
    assert!(said <= 1 + (now - start).as_secs() / 60, "no torrent is said twice in a minute");
}

/// Peer exchange from a peer, message after message: the swarm dials only what can be a peer, stays within its bounds, and the
/// message is written and read the same.
pub fn pex(data: &[u8]) {
    let mut bits = Bits::new(data);
    let flags = bits.byte();
    let (private, far) = (flags & 1 != 0, flags & 2 != 0);
    let start = Instant::now();
    let layout =
        Arc::new(Layout::v1(BLOCK_LENGTH.into(), [(4 * u64::from(BLOCK_LENGTH), false)]).expect("a small layout"));
    let config = SwarmConfig {
        info_hashes: InfoHashes::V1(InfoHashV1(HASH)),
        layout,
        hashes: None,
        metadata: bytes::Bytes::new(),
        have: Bitfield::empty(4),
        private,
        pex: true,
        encryption: Encryption::Off,
        addresses: AddressRules::default(),
        peer_id: PeerId(*b"-RV0100-0123456789ab"),
        listen_port: None,
        max_connections: 50,
        upload_slots: None,
        seed_choker: Default::default(),
        strategy: Default::default(),
        seed: 1,
    };
    let mut swarm = Swarm::new(start, config);
    let connection = ConnectionId(1);
    let from = if far { [8, 8, 8, 8] } else { [10, 0, 0, 1] };
    let handshake =
        Handshake { reserved: Reserved::ours(), info_hash: WireHash(HASH), peer_id: PeerId(*b"-XX0000-abcdefghijkl") };
    let addr = SocketAddr::from((from, 50_000));
    let connected = Connected { connection, addr, incoming: true, handshake, cover: Cover::None };
    swarm.handle(start, Input::Connected(connected));
    let hello = ExtendedHandshake { extensions: vec![(Extension::Pex, 9)], ..ExtendedHandshake::default() };
    say(&mut swarm, start, connection, 0, hello.to_bytes());
    let mut now = start;
    let mut open = drain(&mut swarm, private, far);
    while !bits.is_empty() && open {
        now += Duration::from_secs(u64::from(bits.byte()) / 2);
        let length = usize::from(bits.byte()) * 8;
        let payload: Vec<u8> = (0..length).map_while(|_| (!bits.is_empty()).then(|| bits.byte())).collect();
        if let Ok(message) = PexMessage::parse(&payload) {
            let again = PexMessage::parse(&message.to_bytes()).expect("what is written can be read");
            assert_eq!((again.added, again.dropped), (message.added, message.dropped));
        }
        say(&mut swarm, now, connection, Extension::Pex.number(), payload);
        open = drain(&mut swarm, private, far);
        while swarm.next_timeout().is_some_and(|at| at <= now) && open {
            swarm.handle(now, Input::Timeout);
            open = drain(&mut swarm, private, far);
        }
        let known = swarm.status(now).sources.pex;
        assert!(known <= limits::MAX_CANDIDATES_PER_TELLER && !(private && known > 0), "{known} by one teller");
    }
}

fn say(swarm: &mut Swarm, now: Instant, connection: ConnectionId, id: u8, payload: Vec<u8>) {
    let message = Message::Extended { id, payload: payload.into() };
    swarm.handle(now, Input::Received { connection, messages: &[message] });
}

/// Takes the actions; false once the connection was closed.
fn drain(swarm: &mut Swarm, private: bool, far: bool) -> bool {
    let mut open = true;
    while let Some(action) = swarm.poll() {
        match action {
            Action::Dial { addr, .. } => {
                assert!(!private && addr.port() != 0 && !addr.ip().is_multicast() && !addr.ip().is_unspecified());
                let near = addr.ip().is_loopback() || matches!(addr.ip(), IpAddr::V4(ip) if ip.is_private());
                assert!(!(far && near), "{addr} told by somebody far away");
            }
            Action::Close { .. } => open = false,
            _ => {}
        }
    }
    open
}
