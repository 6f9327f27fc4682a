//! The metadata of a magnet link, for commands that want nothing else of its peers.

use std::time::{Duration, Instant};

use super::net;
use super::session::{self, Signals};
use super::watch;
use crate::args::{General, Network};
use crate::command::download::ending;
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::progress::Progress;
use crate::torrent_source::{Link, Loaded};
use crate::units;

/// How long the end may take.
const LEAVE: Duration = Duration::from_secs(2);

/// Gets it, within `patience`.
pub(crate) fn metadata(
    env: &mut Env,
    general: &General,
    link: &Link,
    network: &Network,
    patience: Duration,
) -> Result<Loaded, Failure> {
    network.tracker.iter().try_for_each(|url| session::check_tracker(url))?;
    env.net = Some(net::for_fetching(env)?);
    let mut settings = session::settings(env, network, session::state_dir(env, general))?;
    // Nobody is served by a node that is gone in a moment.
    settings.dht.read_only = true;
    let mut progress = Progress::of_one_document(env, general);
    session::block_on(async {
        let mut signals = Signals::listen()?;
        let peers = session::peer_addrs(&env.net(), &network.peer).await?;
        let session = session::start(settings).await?;
        let torrent = session.add(link.wish(network, &peers)).await;
        let torrent = torrent.map_err(|error| ending::add_failure(&error, "the torrent"))?;
        let began = Instant::now();
        let mut tick = tokio::time::interval(Progress::TICK);
        let found = torrent.metadata();
        tokio::pin!(found);
        let result = loop {
            tokio::select! {
                biased;
                exit = signals.next() => break Err(Failure::silent(exit)),
                found = &mut found => break found.map_err(|error| ending::metadata_failure(&error)),
                _ = tick.tick() => {
                    let status = torrent.status();
                    progress.show(env, &[watch::view(&status)], Instant::now());
                    if began.elapsed() >= patience {
                        let why = watch::view(&status).waiting;
                        let why = why.map(|reason| format!(" ({})", reason.text)).unwrap_or_default();
                        let time = units::duration(patience);
                        break Err(Failure::new(Exit::NoProgress, format!("no metadata within {time}{why}"))
                            .help("--peer HOST:PORT names a peer, --tracker URL a tracker"));
                    }
                }
            }
        };
        progress.clear(env);
        session.shutdown(LEAVE).await;
        result.map(|metainfo| Loaded::of_metadata(&metainfo))
    })
}
