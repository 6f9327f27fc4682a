//! `riverrun peers`: asks trackers and the local network who has a torrent.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use riverrun::{AnnounceAnswer, Cover, DhtAnswer, DhtQuery, Net, Probe, ProbeError, TrackerError, TrackerQuery};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::args::{Encryption, General, Route};
use crate::command::watch::{hash_text, host_of};
use crate::command::{net, session};
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::render::{events, shown};
use crate::torrent_source::{self, Asked};
use crate::units::{self, Span};

/// Options of `peers`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Peers {
    /// The torrent: a path, -, a URL, a magnet link or an info-hash
    #[arg(value_name = "TORRENT", required_unless_present = "torrent_option", conflicts_with = "torrent_option")]
    torrent: Option<OsString>,

    /// The same as TORRENT
    #[arg(short, long = "torrent", value_name = "TORRENT", id = "torrent_option")]
    torrent_option: Option<OsString>,

    /// Ask this tracker too (repeatable)
    #[arg(long, value_name = "URL")]
    tracker: Vec<String>,

    /// How many peers to ask for
    #[arg(long, value_name = "N")]
    numwant: Option<u32>,

    /// How long to wait for each answer
    #[arg(long, value_name = "DUR", default_value = "15s")]
    timeout: Span,

    /// Connect to each peer and add what it says of itself
    #[arg(long)]
    handshake: bool,

    /// With --handshake: make connections look like noise: off, prefer or require [default: prefer]
    #[arg(long, value_name = "HOW", requires = "handshake", hide_short_help = true, hide_possible_values = true)]
    encryption: Option<Encryption>,

    /// Which way, and to whom
    #[command(flatten)]
    route: Route,

    /// Ask the DHT too
    #[arg(long)]
    dht: bool,

    /// Ask this node of the DHT when no other is known, in place of the usual ones (repeatable; none for nobody)
    #[arg(long, value_name = "HOST:PORT", hide_short_help = true)]
    dht_router: Vec<String>,

    /// Ask the local network too, for up to five seconds
    #[arg(long)]
    lsd: bool,
}

const EXAMPLES: &str = "\
Examples:
  riverrun peers album.torrent
  riverrun peers --handshake album.torrent
  riverrun peers --lsd album.torrent
  riverrun peers --dht INFOHASH
  riverrun peers INFOHASH --tracker http://tracker.example/announce";

/// How long the local network is listened to, at most.
const LAN_PATIENCE: Duration = Duration::from_secs(5);

/// How many peers are greeted at once.
const GREETINGS: usize = 50;

#[derive(Serialize)]
struct Document {
    v: u8,
    info_hash: String,
    trackers: Vec<TrackerLine>,
    /// What the DHT said; `None`: it was not asked.
    dht: Option<DhtLine>,
    /// Peers found on the local network; `None`: it was not asked.
    lan: Option<usize>,
    peers: Vec<PeerLine>,
}

/// What the DHT came to.
#[derive(Serialize)]
struct DhtLine {
    peers: usize,
    nodes: usize,
}

/// What a tracker came to.
#[derive(Serialize)]
struct TrackerLine {
    url: String,
    peers: Option<usize>,
    error: Option<String>,
    refused: bool,
}

#[derive(Serialize)]
struct PeerLine {
    addr: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake: Option<Greeting>,
}

/// What a peer said of itself.
#[derive(Serialize)]
struct Greeting {
    ok: bool,
    client: Option<String>,
    peer_id: Option<String>,
    progress: Option<f32>,
    /// The handshake looked like noise.
    obfuscated: bool,
    /// All of the connection did.
    encrypted: bool,
    utp: bool,
    error: Option<String>,
}

/// Asks and prints.
pub(crate) fn run(env: &mut Env, general: &General, options: &Peers) -> Outcome {
    let argument = options.torrent.as_ref().or(options.torrent_option.as_ref());
    let argument = argument.ok_or_else(|| Failure::usage("TORRENT is missing"))?;
    options.tracker.iter().try_for_each(|url| session::check_tracker(url))?;
    net::take(env, general, &options.route)?;
    let mut asked = torrent_source::ask_about(env, argument, &options.tracker)?;
    let net = env.net();
    let hidden = net.proxy.is_some() || net.anonymous || net.addresses.is_local_only();
    if options.dht && hidden {
        return Err(Failure::usage("--dht does not go together with --proxy, --anonymous or --offline"));
    }
    if options.lsd && env.net().proxy.is_some() {
        return Err(Failure::usage("--lsd and --proxy do not go together"));
    }
    if options.lsd && env.net().anonymous {
        return Err(Failure::usage("--lsd and --anonymous do not go together"));
    }
    let (lan, dht) = (options.lsd && !asked.private, options.dht && !asked.private);
    if options.lsd && !lan {
        env.say("the torrent is private: the local network is not asked");
    }
    if options.dht && !dht {
        env.say("the torrent is private: the DHT is not asked");
    }
    if !lan && !dht {
        asked = asked.needs_trackers(argument)?;
    }
    let query = query_of(&asked, options, env.net());
    let pieces = asked.pieces;
    let far = dht.then(|| dht_query(env, general, options, &query)).transpose()?;
    let (trackers, far, near, peers, error) = session::block_on(async {
        let (answers, far, near) = tokio::join!(riverrun::announce_once(&query), far_away(far), near(&query, lan));
        let (trackers, mut addrs, error) = sort_out(answers);
        let others = far.iter().flat_map(|far| &far.peers).chain(near.iter().flatten());
        let others: Vec<_> = others.filter(|addr| !addrs.contains(addr)).copied().collect();
        addrs.extend(others);
        let peers = if options.handshake {
            greet(addrs, &query, pieces, options.encryption).await
        } else {
            addrs.into_iter().map(|addr| PeerLine { addr, handshake: None }).collect()
        };
        let far = far.map(|far| DhtLine { peers: far.peers.len(), nodes: far.nodes });
        Ok((trackers, far, near.map(|near| near.len()), peers, error))
    })?;
    let nobody_answered = trackers.iter().all(|tracker| tracker.error.is_some());
    if nobody_answered
        && peers.is_empty()
        && far.as_ref().is_none_or(|far| far.nodes == 0)
        && let Some((url, error)) = error
    {
        return Err(no_answer(&url, &error));
    }
    if nobody_answered && peers.is_empty() && far.as_ref().is_some_and(|far| far.nodes == 0) && near.is_none() {
        let failure = Failure::new(Exit::NoProgress, "no node of the DHT answers");
        return Err(failure.help("--dht-router HOST:PORT names one"));
    }
    if general.json {
        let document = Document { v: 1, info_hash: hash_text(query.info_hashes), trackers, dht: far, lan: near, peers };
        env.result(events::pretty(&document))?;
        return Ok(Exit::Ok);
    }
    if !general.quiet {
        for tracker in &trackers {
            env.say(note(tracker));
        }
        if let Some(far) = far {
            let (peers, nodes) = (units::counted(far.peers as u64, "peer"), units::counted(far.nodes as u64, "node"));
            env.say(format!("DHT: {peers} ({nodes})"));
        }
        if let Some(near) = near {
            env.say(format!("LAN: {}", units::counted(near as u64, "peer")));
        }
    }
    for peer in &peers {
        env.result(line(peer))?;
    }
    Ok(Exit::Ok)
}

/// What the DHT says, if it is to be asked.
async fn far_away(query: Option<DhtQuery>) -> Option<DhtAnswer> {
    match query {
        Some(query) => Some(riverrun::dht_peers(&query).await),
        None => None,
    }
}

fn dht_query(env: &Env, general: &General, options: &Peers, of: &TrackerQuery) -> Result<DhtQuery, Failure> {
    let mut query = DhtQuery::new(of.info_hashes);
    if let Some(routers) = session::routers(&options.dht_router)? {
        query.routers = routers;
    }
    query.state_dir = session::state_dir(env, general);
    query.timeout = of.timeout;
    query.net = of.net.clone();
    Ok(query)
}

/// Who is on the local network, if it is to be asked.
async fn near(query: &TrackerQuery, ask: bool) -> Option<Vec<SocketAddr>> {
    let patience = query.timeout.min(LAN_PATIENCE);
    if ask { Some(riverrun::lan_peers(query.info_hashes, patience, &query.net).await) } else { None }
}

fn query_of(asked: &Asked, options: &Peers, net: Net) -> TrackerQuery {
    let mut query = TrackerQuery::new(asked.info_hashes, asked.trackers.clone());
    query.left_bytes = asked.length.unwrap_or(1);
    query.num_want = options.numwant;
    query.timeout = options.timeout.0;
    query.net = net;
    query
}

/// What each tracker came to, the peers of all, and the first error.
type Sorted = (Vec<TrackerLine>, Vec<SocketAddr>, Option<(String, TrackerError)>);

fn sort_out(answers: Vec<AnnounceAnswer>) -> Sorted {
    let mut peers = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut first = None;
    let lines = answers
        .into_iter()
        .map(|answer| {
            let url = shown(&answer.url).into_owned();
            match answer.result {
                Ok(named) => {
                    let count = named.len();
                    peers.extend(named.into_iter().filter(|addr| seen.insert(*addr)));
                    TrackerLine { url, peers: Some(count), error: None, refused: false }
                }
                Err(error) => {
                    let refused = matches!(error, TrackerError::Refused(_));
                    let line = TrackerLine { url, peers: None, error: Some(error_text(&error)), refused };
                    first.get_or_insert((answer.url, error));
                    line
                }
            }
        })
        .collect();
    (lines, peers, first)
}

/// A tracker's error as it is shown.
pub(crate) fn error_text(error: &TrackerError) -> String {
    match error {
        TrackerError::Refused(text) => format!("said: \"{}\"", shown(text)),
        other => shown(&other.to_string()).into_owned(),
    }
}

/// No tracker helped: the first one's reason.
pub(crate) fn no_answer(url: &str, error: &TrackerError) -> Failure {
    let exit = if matches!(error, TrackerError::Refused(_)) { Exit::Refused } else { Exit::NoProgress };
    Failure::new(exit, format!("tracker {} {}", host_of(url), error_text(error)))
}

fn note(tracker: &TrackerLine) -> String {
    let host = host_of(&tracker.url);
    match (&tracker.error, tracker.peers) {
        (Some(error), _) => format!("tracker {host} {error}"),
        (None, number) => format!("tracker {host}: {}", units::counted(number.unwrap_or(0) as u64, "peer")),
    }
}

async fn greet(
    addrs: Vec<SocketAddr>,
    query: &TrackerQuery,
    pieces: Option<u32>,
    encryption: Option<Encryption>,
) -> Vec<PeerLine> {
    let encryption = encryption.map(Into::into).unwrap_or_default();
    let mut lines: Vec<PeerLine> = addrs.iter().map(|addr| PeerLine { addr: *addr, handshake: None }).collect();
    let mut tasks = JoinSet::new();
    let mut next = 0;
    while next < lines.len() || !tasks.is_empty() {
        while next < lines.len() && tasks.len() < GREETINGS {
            let (at, addr, hashes, timeout) = (next, addrs[next], query.info_hashes, query.timeout);
            let net = query.net.clone();
            let pieces = pieces.unwrap_or(0);
            tasks.spawn(
                async move { (at, riverrun::probe_peer(addr, hashes, pieces, timeout, &net, encryption).await) },
            );
            next += 1;
        }
        if let Some(Ok((at, result))) = tasks.join_next().await {
            lines[at].handshake = Some(greeting(result));
        }
    }
    lines
}

fn greeting(result: Result<Probe, ProbeError>) -> Greeting {
    match result {
        Ok(probe) => Greeting {
            ok: true,
            client: Some(shown(&probe.client).into_owned()),
            peer_id: Some(shown(&probe.peer_id.0.escape_ascii().to_string()).into_owned()),
            progress: probe.progress,
            obfuscated: probe.cover != Cover::None,
            encrypted: probe.cover == Cover::Stream,
            utp: false,
            error: None,
        },
        Err(error) => Greeting {
            ok: false,
            client: None,
            peer_id: None,
            progress: None,
            obfuscated: false,
            encrypted: false,
            utp: false,
            error: Some(error.to_string()),
        },
    }
}

fn line(peer: &PeerLine) -> String {
    match &peer.handshake {
        None => peer.addr.to_string(),
        Some(Greeting { error: Some(error), .. }) => format!("{}\t({error})", peer.addr),
        Some(greeting) => {
            let progress = greeting.progress.map_or("?".to_owned(), |share| format!("{:.1} %", share * 100.0));
            let how = match (greeting.encrypted, greeting.obfuscated) {
                (true, _) => "encrypted",
                (false, true) => "handshake encrypted",
                (false, false) => "not encrypted",
            };
            format!("{}\t{}\t{progress}\ttcp, {how}", peer.addr, greeting.client.as_deref().unwrap_or("?"))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn peers_of_several_trackers_are_named_once() {
        let addr: SocketAddr = "[::1]:5000".parse().unwrap();
        let answers = vec![
            AnnounceAnswer { url: "http://a/announce".into(), result: Ok(vec![addr]) },
            AnnounceAnswer { url: "http://b/announce".into(), result: Err(TrackerError::Refused("no\x1b[2J".into())) },
            AnnounceAnswer { url: "http://c/announce".into(), result: Ok(vec![addr]) },
        ];
        let (trackers, peers, _) = sort_out(answers);
        assert_eq!(peers, [addr]);
        assert_eq!(note(&trackers[0]), "tracker a: 1 peer");
        assert_eq!(note(&trackers[1]), "tracker b said: \"no\\x1b[2J\"");
        assert_eq!(line(&PeerLine { addr, handshake: None }), "[::1]:5000");
    }
}
