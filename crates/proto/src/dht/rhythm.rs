//! When a torrent is looked up again.

use std::time::Duration;

use super::lookup::LookupReport;

/// Decides for one torrent when it is looked up again: soon while it has no peers or could be announced nowhere, regularly
/// otherwise.
///
/// ```
/// # use riverrun_proto::dht::{LookupReport, Rhythm};
/// # fn done(report: &LookupReport) {
/// let mut rhythm = Rhythm::default();
/// let pause = rhythm.pause(report, true);
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Rhythm {
    /// Lookups in a row that brought nothing.
    vain: u32,
}

impl Rhythm {
    /// The time between lookups that bring what they should. Nodes keep peers for at least twice that.
    pub const INTERVAL: Duration = Duration::from_secs(15 * 60);
    /// The first pause after a lookup that nobody answered: the tables are filling.
    pub const UNANSWERED: Duration = Duration::from_secs(5);
    /// The first pause after a lookup that found no peer although peers are wanted.
    pub const PEERLESS: Duration = Duration::from_secs(10);

    /// How long to wait after a lookup. `hungry`: the torrent has no peer to get what it lacks from.
    pub fn pause(&mut self, report: &LookupReport, hungry: bool) -> Duration {
        let first = match report {
            LookupReport { answered: 0, .. } => Self::UNANSWERED,
            // One that is of no use: it may be ourselves.
            LookupReport { peers: 0 | 1, .. } if hungry => Self::PEERLESS,
            _ => {
                self.vain = 0;
                return if hungry { Self::INTERVAL / 3 } else { Self::INTERVAL };
            }
        };
        let pause = first.saturating_mul(1 << self.vain.min(16)).min(Self::INTERVAL);
        self.vain = self.vain.saturating_add(1);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dht::Id;

    fn report(answered: u32, peers: u32) -> LookupReport {
        LookupReport {
            target: Id([0; 20]),
            took: Duration::ZERO,
            asked: 9,
            answered,
            peers,
            stored_at: 0,
            refused: None,
            closest: Vec::new(),
            scrape: None,
            newest: None,
        }
    }

    #[test]
    fn the_pauses_grow_while_nothing_is_found() {
        let mut rhythm = Rhythm::default();
        let mut seconds = |answered, peers, hungry| rhythm.pause(&report(answered, peers), hungry).as_secs();
        assert_eq!([seconds(0, 0, true), seconds(0, 0, true), seconds(9, 0, true)], [5, 10, 40]);
        assert_eq!([seconds(9, 3, true), seconds(9, 3, false), seconds(9, 0, false)], [300, 900, 900]);
        let last = (0..100).map(|_| seconds(9, 0, true)).last();
        assert_eq!(last, Some(900));
        assert_eq!(seconds(0, 0, false), 900, "without nodes too");
    }
}
