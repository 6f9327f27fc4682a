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

    /// How long to wait after a lookup. `hungry`: the torrent has no peer to get what it lacks from, so those that were found are of
    /// no use.
    pub fn pause(&mut self, report: &LookupReport, hungry: bool) -> Duration {
        match self.vain_pause(report, hungry) {
            Some(pause) => {
                self.vain = self.vain.saturating_add(1);
                pause
            }
            None => {
                self.vain = 0;
                Self::INTERVAL
            }
        }
    }

    /// The shortest time to wait after a lookup, when the torrent comes to lack peers later.
    #[must_use]
    pub fn soonest(self, report: &LookupReport) -> Duration {
        self.vain_pause(report, report.peers <= 1).unwrap_or(Self::INTERVAL / 3)
    }

    /// The pause after a lookup that brought nothing; `None`: it brought what it should.
    fn vain_pause(self, report: &LookupReport, hungry: bool) -> Option<Duration> {
        let (first, longest) = match report {
            LookupReport { answered: 0, .. } => (Self::UNANSWERED, Self::INTERVAL),
            // One that is of no use: it may be ourselves.
            LookupReport { peers: 0 | 1, .. } if hungry => (Self::PEERLESS, Self::INTERVAL),
            // There are many, and all were dead or have not been tried yet.
            _ if hungry => (Self::PEERLESS, Self::INTERVAL / 3),
            _ => return None,
        };
        Some(first.saturating_mul(1 << self.vain.min(16)).min(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_while_nothing_is_found() {
        let mut rhythm = Rhythm::default();
        let mut seconds = |answered, peers, hungry| rhythm.pause(&LookupReport::of(answered, peers), hungry).as_secs();
        assert_eq!([seconds(0, 0, true), seconds(0, 0, true), seconds(9, 0, true)], [5, 10, 40]);
        assert_eq!([seconds(9, 3, true), seconds(9, 3, false), seconds(9, 0, false)], [80, 900, 900]);
        let dead = (0..7).map(|_| seconds(9, 3, true)).collect::<Vec<_>>();
        assert_eq!(dead, [10, 20, 40, 80, 160, 300, 300]);
        let last = (0..100).map(|_| seconds(9, 0, true)).last();
        assert_eq!(last, Some(900));
        assert_eq!(seconds(0, 0, false), 900, "without nodes too");
    }
}
