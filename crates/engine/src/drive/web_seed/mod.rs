//! Web seeds (BEP 19): the swarm asks one for blocks like any peer, and here that becomes ranges of files over HTTP.

mod answer;
mod connection;
mod plan;
mod servers;

use std::sync::Arc;

use riverrun_metainfo::{FileIndex, Info, url};
use riverrun_proto::swarm::WebSeedId;
use riverrun_proto::tracker::{TrackerUrl, UrlError};
use riverrun_proto::web_seed::WebSeedUrl;
use tokio::sync::Notify;

use self::connection::Connection;
use super::Core;

pub(crate) use self::servers::WebServers;

/// One web seed of a torrent.
#[derive(Clone, Debug)]
pub(crate) struct WebSeed {
    at: WebSeedUrl,
    /// As it is shown: without user name and password.
    pub(crate) url: String,
    /// The owner named it.
    by_user: bool,
}

impl WebSeed {
    /// Where it has this file of a torrent, which has one.
    fn file(&self, info: &Info, file: FileIndex) -> Result<TrackerUrl, UrlError> {
        let name = info.name().as_str();
        match info.files().get(file.0 as usize) {
            Some(one) if !info.is_single_file() => self.at.one_of(name, one.path.names()),
            _ => self.at.single(name),
        }
    }
}

/// The web seeds that a torrent and its owner name, each once, the owner's first. What is no URL of a web server is left out.
pub(crate) fn named(by_torrent: &[String], by_user: &[String]) -> Vec<WebSeed> {
    let mut seeds: Vec<WebSeed> = Vec::new();
    let all = by_user.iter().map(|text| (text, true)).chain(by_torrent.iter().map(|text| (text, false)));
    for (text, by_user) in all {
        match WebSeedUrl::parse(text) {
            Ok(at) if seeds.iter().all(|known| known.at != at) => {
                seeds.push(WebSeed { at, url: url::without_credentials(text).into_owned(), by_user });
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "a web seed that cannot be asked"),
        }
    }
    seeds
}

/// Makes ready to ask a web seed, and does so as the swarm wants until either has enough.
pub(crate) async fn open(core: Arc<Core>, seed: WebSeedId) {
    let Some(source) = core.decided().and_then(|content| content.web_seeds.get(seed.0 as usize)).cloned() else {
        return;
    };
    // Never closed: the semaphore lives as long as the session.
    let permit = tokio::select! {
        permit = core.engine.connections.clone().acquire_owned() => permit,
        () = core.stopping() => return,
    };
    let (id, wake) = (core.engine.next_connection(), Arc::new(Notify::new()));
    if core.web_seed_opened(seed, id, wake.clone()) {
        let reason = Connection::new(core.clone(), id, source, wake).exchange().await;
        tracing::debug!(connection = id.0, ?reason, "web seed closed");
        core.closed(id, reason);
    }
    drop(permit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_seeds_are_named_once_and_the_owners_word_counts() {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let by_torrent = own(&["http://a/x", "http://u:p@b/", "http://a/x", "udp://c:1", "http://d/"]);
        let seeds = named(&by_torrent, &own(&["http://d/"]));
        let seen: Vec<_> = seeds.iter().map(|seed| (seed.url.as_str(), seed.by_user)).collect();
        assert_eq!(seen, [("http://d/", true), ("http://a/x", false), ("http://b/", false)]);
    }
}
