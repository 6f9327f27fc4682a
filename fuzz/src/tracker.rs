use std::net::SocketAddr;
use std::time::{Duration, Instant};

use riverrun_metainfo::WireHash;
use riverrun_proto::limits::{MAX_PEERS_PER_REPLY, MAX_TRACKER_TEXT};
use riverrun_proto::tracker::http::{
    announce_url, parse_announce_query, parse_announce_reply, parse_scrape_query, parse_scrape_reply, scrape_url,
    write_announce_reply, write_scrape_reply,
};
use riverrun_proto::tracker::udp::{Action, Client, ExchangeId, Input, Request, Response, ResponseBody};
use riverrun_proto::tracker::{
    AnnounceError, AnnounceReply, AnnounceRequest, Event, MAX_URL_LENGTH, TrackerUrl, dialable, redirect,
};
use riverrun_proto::wire::PeerId;

use crate::bits::Bits;

/// What comes over HTTP: replies to announces and scrapes, queries, URLs and where they lead.
pub fn tracker_http(data: &[u8]) {
    let mut bits = Bits::new(data);
    let status = 196 + u16::from(bits.byte() % 8);
    let body = bits.rest();
    match parse_announce_reply(status, body) {
        Ok(reply) => {
            check_reply(&reply);
            let written = write_announce_reply(&reply, false);
            let again = parse_announce_reply(200, &written).expect("what is written can be read");
            assert_eq!(sorted(again), sorted(reply.clone()));
            let _ = parse_announce_reply(200, &write_announce_reply(&reply, true)).expect("in the compact form too");
        }
        Err(error) => check_error(&error),
    }
    let asked: Vec<WireHash> =
        body.windows(20).take(100).map(|hash| WireHash(hash.try_into().expect("20 bytes"))).collect();
    match parse_scrape_reply(status, body, &asked) {
        Ok(entries) => {
            assert!(entries.len() <= asked.len());
            let again = parse_scrape_reply(200, &write_scrape_reply(&entries), &asked);
            assert_eq!(again.expect("what is written can be read"), entries);
        }
        Err(error) => check_error(&error),
    }
    if let Ok(text) = std::str::from_utf8(body) {
        let _ = (parse_announce_query(text), parse_scrape_query(text));
        let (first, second) = text.split_once('\n').unwrap_or((text, text));
        if let Ok(url) = TrackerUrl::parse(first) {
            check_url(&url);
            if let Ok(next) = redirect(&url, second, 0) {
                check_url(&next);
            }
        }
    }
}

fn check_reply(reply: &AnnounceReply) {
    assert!(reply.peers.len() + reply.named_peers.len() <= MAX_PEERS_PER_REPLY);
    assert!(reply.peers.iter().all(|peer| dialable(*peer)));
    assert!(reply.named_peers.iter().all(|peer| peer.port != 0 && !peer.host.is_empty()));
    check_text(reply.warning.as_deref().unwrap_or_default());
}

fn check_error(error: &AnnounceError) {
    check_text(&error.to_string());
}

fn check_text(text: &str) {
    assert!(text.len() <= MAX_TRACKER_TEXT + 100 && !text.contains(char::is_control), "{text:?}");
}

fn sorted(mut reply: AnnounceReply) -> AnnounceReply {
    reply.peers.sort();
    reply.named_peers.sort();
    reply
}

fn check_url(url: &TrackerUrl) {
    assert!(url.port() != 0 && !url.host().is_empty());
    assert!(url.path().is_empty() || url.path().starts_with('/'));
    let text = url.to_text();
    let again = TrackerUrl::parse(&text).map(|again| again.to_text());
    assert!(again.as_ref() == Ok(&text) || text.len() > MAX_URL_LENGTH, "{again:?} from {text:?}");
    let asked = announce_url(url, &request(7));
    assert!(TrackerUrl::parse(&asked).is_ok_and(|asked| asked.same_origin(url)) || asked.len() > MAX_URL_LENGTH);
    let _ = scrape_url(url, &[WireHash([0xff; 20])]);
}

fn request(seed: u8) -> AnnounceRequest {
    AnnounceRequest {
        info_hash: WireHash([seed; 20]),
        peer_id: PeerId([seed; 20]),
        port: u16::from(seed) + 1,
        uploaded: 0,
        downloaded: 1 << (seed % 64),
        left: u64::MAX,
        event: [None, Some(Event::Started), Some(Event::Stopped), Some(Event::Completed)][usize::from(seed % 4)],
        num_want: Some(seed.into()),
        key: seed.into(),
        ipv4: None,
        ipv6: None,
        tracker_id: None,
    }
}

/// What comes over UDP: packets of both sides, and a client that is fed answers right and wrong while its clock is moved by hand.
pub fn tracker_udp(data: &[u8]) {
    let from: [SocketAddr; 3] = [([10, 0, 0, 1], 80).into(), ([10, 0, 0, 2], 80).into(), ([0u16; 8], 80).into()];
    if let Some(request) = Request::decode(data) {
        assert_eq!(Request::decode(&request.encode()).as_ref(), Some(&request));
    }
    for to in [from[0], from[2]] {
        if let Some(response) = Response::decode(data, to) {
            if let ResponseBody::Error(text) = &response.body {
                check_text(text);
            }
            if let ResponseBody::Announce(reply) = &response.body {
                check_reply(reply);
            }
            assert_eq!(Response::decode(&response.encode(to), to).as_ref(), Some(&response));
        }
    }
    drive(Bits::new(data), &from);
}

fn drive(mut bits: Bits<'_>, trackers: &[SocketAddr]) {
    let mut now = Instant::now();
    let mut client = Client::new(7);
    let (mut started, mut done) = (0u64, 0u64);
    let mut sent: Vec<(SocketAddr, Vec<u8>)> = Vec::new();
    while !bits.is_empty() {
        let step = bits.byte();
        let to = trackers[usize::from(step >> 4) % trackers.len()];
        match step % 6 {
            0 => {
                let (request, retries) = (request(bits.byte()), bits.byte());
                let path_and_query = "/announce?key".into();
                client.handle(now, Input::Announce { id: ExchangeId(started), to, request, path_and_query, retries });
                started += 1;
            }
            1 => {
                let (info_hashes, retries) = (vec![WireHash([1; 20]); usize::from(bits.byte())], bits.byte());
                client.handle(now, Input::Scrape { id: ExchangeId(started), to, info_hashes, retries });
                started += 1;
            }
            2 => {
                now = client.next_timeout().map_or(now, |due| due.max(now));
                client.handle(now, Input::Timeout);
            }
            3 => now += Duration::from_secs(bits.byte().into()),
            // An answer to the last packet that was sent: its transaction id, whatever follows.
            4 => {
                let Some((to, packet)) = sent.last() else { continue };
                let mut answer = vec![0, 0, 0, bits.byte() % 4];
                answer.extend_from_slice(&packet[12..16]);
                answer.extend((0..bits.byte()).map(|_| bits.byte()));
                client.handle(now, Input::Received { from: *to, packet: &answer });
            }
            _ => {
                let packet: Vec<u8> = (0..bits.byte()).map(|_| bits.byte()).collect();
                client.handle(now, Input::Received { from: to, packet: &packet });
            }
        }
        while let Some(action) = client.poll() {
            match action {
                Action::Send { to, packet } => {
                    assert!(packet.len() >= 16 && packet.len() < 2000 && Request::decode(&packet).is_some());
                    sent.push((to, packet));
                }
                Action::Done { id, .. } => {
                    assert!(id.0 < started);
                    done += 1;
                }
            }
        }
        assert!(done <= started, "each exchange ends once");
        assert!(client.next_timeout().is_some() == (done < started), "what is pending has its time");
        sent.drain(..sent.len().saturating_sub(4));
    }
}
