//! A torrent of the engine as it is shown: shared by every command that shows progress.

use riverrun::proto::swarm;
use riverrun::{DhtUse, Phase, SeedLimits, TorrentStatus, TrackerState, Waiting, WebSeedState};

use crate::render::progress::{Reason, Stage, View};
use crate::render::shown;
use crate::units;

/// What sharing goes on until: `1.5 or 2h or 10m idle`.
fn until(limits: SeedLimits) -> Option<String> {
    let ratio = limits.ratio.map(|ratio| ratio.to_string());
    let idle = limits.idle.map(|idle| format!("{} idle", units::duration(idle)));
    let ends: Vec<String> = [ratio, limits.time.map(units::duration), idle].into_iter().flatten().collect();
    (!ends.is_empty()).then(|| ends.join(" or "))
}

/// The torrent as it is shown.
pub(crate) fn view(status: &TorrentStatus) -> View {
    View {
        name: shown(&status.name).into_owned(),
        info_hash: hash_text(status.info_hashes),
        total: status.total_bytes,
        done: status.have_bytes,
        found: status.found_bytes,
        down: status.down_rate,
        up: status.up_rate,
        peers: status.connections,
        known: status.candidates.max(status.connections),
        web_seeds: web_seeds_in_use(status),
        eta: status.eta,
        stage: stage(status),
        waiting: status.waiting.as_ref().map(|waiting| reason(status, waiting)),
    }
}

/// The info-hash that names a torrent in documents: v1 where there is one.
pub(crate) fn hash_text(hashes: riverrun::metainfo::InfoHashes) -> String {
    match (hashes.v1(), hashes.v2()) {
        (Some(v1), _) => v1.to_string(),
        (None, Some(v2)) => v2.to_string(),
        (None, None) => String::new(),
    }
}

fn stage(status: &TorrentStatus) -> Stage {
    match &status.phase {
        Phase::FetchingMetadata { have_blocks, blocks, peers } => {
            Stage::Metadata { have: *have_blocks, blocks: *blocks, peers: *peers, sources: sources(status) }
        }
        Phase::Opening => Stage::Opening,
        Phase::Checking { done_bytes, total_bytes } => Stage::Checking { done: *done_bytes, total: *total_bytes },
        Phase::Downloading if status.connections + web_seeds_in_use(status) == 0 && status.down_rate == 0 => {
            Stage::Looking { sources: sources(status) }
        }
        Phase::Downloading => Stage::Downloading,
        Phase::Finishing => Stage::Finishing,
        Phase::Seeding => Stage::Sharing { ratio: status.ratio, until: until(status.seed_limits) },
        Phase::Failed { error, .. } => Stage::Failed { why: shown(&chain(error)).into_owned() },
        Phase::Paused | Phase::Stopped => Stage::Stopping,
        _ => Stage::Opening,
    }
}

/// Where peers come from so far: `tracker: 34, DHT: 12 (180 nodes), LAN: 0`.
fn sources(status: &TorrentStatus) -> String {
    let named: Vec<usize> = status.trackers.iter().filter_map(|tracker| tracker.peers).collect();
    let asking = status.trackers.iter().any(|tracker| matches!(tracker.state, TrackerState::Asking));
    let tracker = match (named.is_empty(), asking) {
        (false, _) => Some(format!("tracker: {}", named.iter().sum::<usize>())),
        (true, true) => Some("asking the tracker".to_owned()),
        (true, false) => None,
    };
    let lan = status.lsd.then(|| format!("LAN: {}", status.sources.lsd));
    let pex = Some(status.sources.pex).filter(|pex| *pex > 0).map(|pex| format!("PEX: {pex}"));
    let dht = match status.dht {
        DhtUse::On { nodes } => Some(format!("DHT: {} ({})", status.sources.dht, units::counted(nodes as u64, "node"))),
        _ => None,
    };
    [tracker, dht, lan, pex].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The sentence for why nothing comes.
fn reason(status: &TorrentStatus, waiting: &Waiting) -> Reason {
    let of = |code, text: String| Reason { code, text };
    let peers = |number: usize| units::counted(number as u64, "peer");
    match waiting {
        Waiting::Swarm(waiting) => match *waiting {
            swarm::Waiting::NoPeers => of("no_peers", "no peers known yet".into()),
            swarm::Waiting::Refused { addresses } => of(
                "refused",
                format!("your rules (--offline, --ip-filter) refuse every peer that is known ({addresses})"),
            ),
            swarm::Waiting::Connecting { candidates } => {
                of("connecting", format!("connecting to {}", peers(candidates)))
            }
            swarm::Waiting::Unencrypted { peers: number } => of(
                "unencrypted",
                format!("{} took no encrypted connection, and --encryption require wants no other", peers(number)),
            ),
            swarm::Waiting::WebSeeds { .. } => {
                of("web_seeds", format!("no peers, and no web seed works: {}", failed_web_seeds(status)))
            }
            swarm::Waiting::NobodyHasMetadata { peers: number } => {
                of("no_metadata", format!("{} connected, none has the metadata", peers(number)))
            }
            swarm::Waiting::NobodyHas { piece, missing } => {
                let share = units::percent(u64::from(missing), u64::from(status.pieces));
                of(
                    "nobody_has",
                    format!("nobody connected has piece {piece} ({share} % of the content missing from the swarm)"),
                )
            }
            swarm::Waiting::Hashes { peers: 0 } => of(
                "hashes",
                "the torrent came without its piece hashes, and no peer that is connected can give them".into(),
            ),
            swarm::Waiting::Hashes { peers: number } => {
                of("hashes", format!("waiting for piece hashes, which the torrent lacks, from {}", peers(number)))
            }
            swarm::Waiting::Choked { peers: number } => {
                of("choked", format!("{} connected, choking us (peers usually unchoke within 30 s)", peers(number)))
            }
            swarm::Waiting::Slow { peers: number } => {
                of("slow", format!("asked {}, nothing has come for a while", peers(number)))
            }
            swarm::Waiting::Disk => of("disk", "the disk cannot take more yet".into()),
            _ => of("other", "nothing comes".into()),
        },
        Waiting::Tracker { url, error, next_try } => {
            let next = next_try.map(|next| format!("; next try in {} s", next.as_secs())).unwrap_or_default();
            of("tracker", format!("tracker {} {}{next}{}", host_of(url), shown(error), without_dht(status)))
        }
        Waiting::NoWay { why } => of("no_way", shown(why).into_owned()),
        Waiting::Announcing => of("announcing", "asking the trackers for peers".into()),
        Waiting::NoTrackers => match status.dht {
            DhtUse::On { nodes: 0 } => {
                of("no_trackers", "no tracker to ask, and no node of the DHT answers yet".into())
            }
            DhtUse::On { nodes } => of(
                "no_trackers",
                format!("no tracker to ask, and the DHT ({}) knows no peer", units::counted(nodes as u64, "node")),
            ),
            _ => {
                let text = format!("no tracker to ask{}; --peer HOST:PORT names a peer", without_dht(status));
                of("no_trackers", text)
            }
        },
        _ => of("other", "nothing comes".into()),
    }
}

fn web_seeds_in_use(status: &TorrentStatus) -> usize {
    status.web_seeds.iter().filter(|seed| seed.state == WebSeedState::InUse).count()
}

/// What each web seed that does not work said, a few of them; empty if one works or there is none.
pub(crate) fn failed_web_seeds(status: &TorrentStatus) -> String {
    const SHOWN: usize = 3;
    if web_seeds_in_use(status) > 0 {
        return String::new();
    }
    let mut said: Vec<String> = Vec::new();
    for seed in status.web_seeds.iter().take(SHOWN) {
        let error = seed.error.as_deref().unwrap_or("was not asked yet");
        let next = match seed.state {
            WebSeedState::Rests(rest) => format!(" (next try in {})", units::duration(rest)),
            _ => String::new(),
        };
        said.push(format!("{} {}{next}", host_of(&seed.url), shown(error)));
    }
    let more = status.web_seeds.len().saturating_sub(SHOWN);
    if more > 0 {
        said.push(format!("and {more} more"));
    }
    said.join(", ")
}

/// Why the DHT does not help, if somebody decided so.
fn without_dht(status: &TorrentStatus) -> &'static str {
    match status.dht {
        DhtUse::Off => "; DHT off (--no-dht)",
        DhtUse::LocalOnly => "; DHT off (--offline)",
        DhtUse::Proxied => "; DHT off (--proxy)",
        DhtUse::Anonymous => "; DHT off (--anonymous)",
        DhtUse::Private => "; no DHT (the torrent is private)",
        _ => "",
    }
}

/// The host and port of a URL: what names a tracker to people.
pub(crate) fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    shown(host).into_owned()
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = match cause.downcast_ref::<std::io::Error>() {
            Some(io) => crate::failure::reason(io),
            None => cause.to_string(),
        };
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracker_is_named_by_its_host() {
        assert_eq!(host_of("http://user:secret@127.0.0.1:6999/announce?x=1"), "127.0.0.1:6999");
        assert_eq!(host_of("udp://[::1]:6969"), "[::1]:6969");
        assert_eq!(host_of("nonsense"), "nonsense");
    }
}
