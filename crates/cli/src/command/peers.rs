//! `riverrun peers`: asks trackers, the DHT, the local network and the peers themselves who has a torrent.

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use riverrun::{
    AnnounceAnswer, Cover, DhtAnswer, DhtQuery, Net, PeerQuery, Probe, ProbeError, TrackerError, TrackerQuery,
};
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

    /// Connect to the peers that were named and ask whom they know, for up to five seconds
    #[arg(long)]
    pex: bool,
}

const EXAMPLES: &str = "\
Examples:
  riverrun peers album.torrent
  riverrun peers --handshake album.torrent
  riverrun peers --lsd album.torrent
  riverrun peers --dht --pex INFOHASH
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
    /// Peers that other peers told of; `None`: they were not asked.
    pex: Option<usize>,
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
    /// Who named it.
    sources: Vec<Source>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake: Option<Greeting>,
}

/// Who named a peer.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Debug)]
#[serde(rename_all = "lowercase")]
enum Source {
    Tracker,
    Dht,
    Lan,
    Pex,
}

/// The peers that were found, each once, in the order in which they were named.
#[derive(Default)]
struct Found {
    peers: Vec<PeerLine>,
    places: HashMap<SocketAddr, usize>,
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
    let pex = options.pex && !asked.private;
    if options.pex && !pex {
        env.say("the torrent is private: its peers are not asked for others");
    }
    if !lan && !dht {
        asked = asked.needs_trackers(argument)?;
    }
    let query = query_of(&asked, options, env.net());
    let greeting = PeerQuery {
        others: pex,
        timeout: query.timeout,
        encryption: options.encryption.map(Into::into).unwrap_or_default(),
        net: query.net.clone(),
        ..PeerQuery::new(query.info_hashes, asked.pieces)
    };
    let far = dht.then(|| dht_query(env, general, options, &query)).transpose()?;
    let (trackers, far, near, told, peers, error) = session::block_on(async {
        let (answers, far, near) = tokio::join!(riverrun::announce_once(&query), far_away(far), near(&query, lan));
        let (trackers, mut found, error) = sort_out(answers);
        found.add(Source::Dht, far.iter().flat_map(|far| far.peers.iter().copied()));
        found.add(Source::Lan, near.iter().flatten().copied());
        if options.handshake || pex {
            let told = greet(&mut found, greeting, options.handshake).await;
            found.add(Source::Pex, told);
        }
        let far = far.map(|far| DhtLine { peers: far.peers.len(), nodes: far.nodes });
        let told = pex.then(|| found.count(Source::Pex));
        Ok((trackers, far, near.map(|near| near.len()), told, found.peers, error))
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
        let info_hash = hash_text(query.info_hashes);
        let document = Document { v: 1, info_hash, trackers, dht: far, lan: near, pex: told, peers };
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
        if let Some(told) = told {
            env.say(format!("PEX: {}", units::counted(told as u64, "peer")));
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
type Sorted = (Vec<TrackerLine>, Found, Option<(String, TrackerError)>);

impl Found {
    fn add(&mut self, source: Source, addrs: impl IntoIterator<Item = SocketAddr>) {
        for addr in addrs {
            let place = *self.places.entry(addr).or_insert(self.peers.len());
            if place == self.peers.len() {
                self.peers.push(PeerLine { addr, sources: Vec::new(), handshake: None });
            }
            let sources = &mut self.peers[place].sources;
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
    }

    fn count(&self, source: Source) -> usize {
        self.peers.iter().filter(|peer| peer.sources.contains(&source)).count()
    }
}

fn sort_out(answers: Vec<AnnounceAnswer>) -> Sorted {
    let mut found = Found::default();
    let mut first = None;
    let lines = answers
        .into_iter()
        .map(|answer| {
            let url = shown(&answer.url).into_owned();
            match answer.result {
                Ok(named) => {
                    let count = named.len();
                    found.add(Source::Tracker, named);
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
    (lines, found, first)
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

/// Shakes hands with all peers that were found; whom they know, if the query is about that. `show`: what they say of themselves
/// is wanted too.
async fn greet(found: &mut Found, query: PeerQuery, show: bool) -> Vec<SocketAddr> {
    let query = Arc::new(query);
    let (mut tasks, mut next, mut told) = (JoinSet::new(), 0, Vec::new());
    while next < found.peers.len() || !tasks.is_empty() {
        while next < found.peers.len() && tasks.len() < GREETINGS {
            let (at, addr, query) = (next, found.peers[next].addr, Arc::clone(&query));
            tasks.spawn(async move { (at, riverrun::probe_peer(addr, &query).await) });
            next += 1;
        }
        if let Some(Ok((at, mut result))) = tasks.join_next().await {
            if let Ok(probe) = &mut result {
                told.append(&mut probe.told);
            }
            found.peers[at].handshake = show.then(|| greeting(result));
        }
    }
    told
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
    fn peers_are_named_once_with_all_who_named_them() {
        let addr: SocketAddr = "[::1]:5000".parse().unwrap();
        let answers = vec![
            AnnounceAnswer { url: "http://a/announce".into(), result: Ok(vec![addr]) },
            AnnounceAnswer { url: "http://b/announce".into(), result: Err(TrackerError::Refused("no\x1b[2J".into())) },
            AnnounceAnswer { url: "http://c/announce".into(), result: Ok(vec![addr]) },
        ];
        let (trackers, mut found, _) = sort_out(answers);
        let told: SocketAddr = "192.0.2.7:1".parse().unwrap();
        found.add(Source::Lan, [addr]);
        found.add(Source::Pex, [told, addr, told]);
        let peers: Vec<_> = found.peers.iter().map(|peer| (peer.addr, &*peer.sources)).collect();
        assert_eq!(peers, [(addr, &[Source::Tracker, Source::Lan, Source::Pex][..]), (told, &[Source::Pex])]);
        assert_eq!((found.count(Source::Pex), found.count(Source::Dht)), (2, 0));
        assert_eq!(note(&trackers[0]), "tracker a: 1 peer");
        assert_eq!(note(&trackers[1]), "tracker b said: \"no\\x1b[2J\"");
        assert_eq!(line(&found.peers[0]), "[::1]:5000");
    }
}
