//! A seeder that sends bad data now and then, to show what becomes of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use riverrun::metainfo::BLOCK_LENGTH;
use riverrun::testing::{Content, LocalSwarm, loopback};
use riverrun::{AddTorrent, Session, Settings};

use crate::command::{session, watch};
use crate::exit::Exit;
use crate::failure::{Failure, reason};

/// The share of blocks that are bad.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Loss(f64);

impl std::str::FromStr for Loss {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a percentage from 0 to 100");
        let percent: f64 = text.trim_end_matches('%').parse().map_err(|_| wrong())?;
        if (0.0..=100.0).contains(&percent) { Ok(Self(percent)) } else { Err(wrong()) }
    }
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Loss {
    /// Whether a block is bad: evenly spread, the same ones in each run.
    fn hits(self, block: usize) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a demo has few blocks")]
        let so_far = |blocks: usize| (blocks as f64 * self.0 / 100.0).floor();
        so_far(block + 1) > so_far(block)
    }
}

/// A ban goes by address, so the liar has one of its own, and those who download are told of it.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), 0);

/// Starts it: a session that was told to believe its files, some blocks of which were damaged before.
pub(super) async fn start(swarm: &LocalSwarm, loss: Loss, up_limit: Option<u64>) -> Result<Session, Failure> {
    let cannot = |why: String| Failure::new(Exit::Storage, format!("cannot start the demo: {why}"));
    let dir = swarm.dir().with_file_name("liar");
    let mut damaged: Content = swarm.content().clone();
    for (_, bytes) in &mut damaged.files {
        for (number, block) in bytes.chunks_mut(BLOCK_LENGTH as usize).enumerate() {
            if loss.hits(number) {
                block[0] ^= 1;
            }
        }
    }
    damaged.write_into(&dir).map_err(|error| cannot(reason(&error)))?;
    let session = session::start(Settings { listen: vec![ADDRESS], up_limit, ..loopback() }).await?;
    let add = AddTorrent::new(swarm.torrent()).into_dir(dir).trackers(Vec::new()).read_only(true).trust_resume(true);
    session.add(add).await.map_err(|error| cannot(watch::chain(&error)))?;
    Ok(session)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn as_many_blocks_are_bad_as_asked_for() {
        for (percent, of_thousand) in [("0", 0), ("1%", 10), ("12.5", 125), ("100", 1000)] {
            let loss: Loss = percent.parse().unwrap();
            assert_eq!((0..1000).filter(|block| loss.hits(*block)).count(), of_thousand, "{percent}");
        }
        for text in ["", "-1", "101", "all", "nan"] {
            assert!(text.parse::<Loss>().is_err(), "{text}");
        }
    }
}
