//! How long a complete torrent is shared.

use std::time::{Duration, Instant};

/// How often a torrent with limits is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What sharing goes on until, counted from the moment everything was here and over restarts, as far as a resume record is kept. The
/// first that is reached ends it; none is for ever.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct SeedLimits {
    /// Bytes sent for each byte received; for each byte that is here, if less than a hundredth of that was received.
    pub ratio: Option<f64>,
    /// Time of sharing, pauses not counted.
    pub time: Option<Duration>,
    /// Time in which nothing was sent, in this run.
    pub idle: Option<Duration>,
}

impl SeedLimits {
    /// Whether sharing has an end.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.ratio.is_some() || self.time.is_some() || self.idle.is_some()
    }
}

/// Why sharing ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum SharingEnd {
    /// So much was sent.
    Ratio,
    /// So long was shared.
    Time,
    /// Nobody wanted anything for so long.
    Idle,
}

/// What went over the wire in all runs, and what is here, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Volume {
    pub(crate) down: u64,
    pub(crate) up: u64,
    pub(crate) have: u64,
}

impl Volume {
    /// Bytes sent for each byte received, or that is here.
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    pub(crate) fn ratio(self) -> f64 {
        let base = if self.down < self.have / 100 { self.have } else { self.down };
        self.up as f64 / base.max(1) as f64
    }
}

/// Watches the sharing of one torrent.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    pub(crate) limits: SeedLimits,
    pub(crate) ended: Option<SharingEnd>,
    /// Time of sharing before `since`.
    earlier: Duration,
    since: Option<Instant>,
    /// The last time that something was seen to have gone, and how much had gone by then.
    sent: Option<(Instant, u64)>,
    looked: Option<Instant>,
}

impl Sharing {
    /// What an earlier run came to.
    pub(crate) fn go_on(&mut self, earlier: Duration) {
        self.earlier = earlier;
    }

    /// Time of sharing in all runs.
    pub(crate) fn time(&self, now: Instant) -> Duration {
        self.earlier + self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Whether it is watched, and has not come to its end.
    pub(crate) fn goes_on(&self) -> bool {
        self.limits.is_set() && self.ended.is_none()
    }

    /// When to look next.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.looked.filter(|_| self.since.is_some() && self.goes_on()).map(|looked| looked + LOOK)
    }

    /// It is shared now, or is not. Why that has to end, if it has.
    pub(crate) fn look(&mut self, now: Instant, shares: bool, volume: Volume) -> Option<SharingEnd> {
        if !shares {
            self.earlier = self.time(now);
            (self.since, self.sent) = (None, None);
            return None;
        }
        self.since.get_or_insert(now);
        self.looked = Some(now);
        let (sent, up) = self.sent.get_or_insert((now, volume.up));
        if *up != volume.up {
            (*sent, *up) = (now, volume.up);
        }
        let idle = now.saturating_duration_since(*sent);
        if self.ended.is_some() {
            return None;
        }
        let SeedLimits { ratio, time, idle: most_idle } = self.limits;
        let end = if ratio.is_some_and(|ratio| volume.ratio() >= ratio) {
            SharingEnd::Ratio
        } else if time.is_some_and(|time| self.time(now) >= time) {
            SharingEnd::Time
        } else if most_idle.is_some_and(|most| idle >= most) {
            SharingEnd::Idle
        } else {
            return None;
        };
        self.ended = Some(end);
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn volume(down: u64, up: u64) -> Volume {
        Volume { down, up, have: 1000 }
    }

    #[test]
    fn the_ratio_counts_what_came_or_what_is_here() {
        assert!((volume(2000, 1000).ratio() - 0.5).abs() < 1e-9);
        assert!((volume(9, 1000).ratio() - 1.0).abs() < 1e-9, "next to nothing came: it was here before");
        assert!((volume(10, 1000).ratio() - 100.0).abs() < 1e-9);
        assert!(Volume::default().ratio().abs() < 1e-9);
    }

    #[test]
    fn each_limit_ends_it_and_pauses_do_not_count() {
        let start = Instant::now();
        let limits = SeedLimits { ratio: Some(2.0), time: Some(seconds(60)), idle: Some(seconds(20)) };
        let sharing = || Sharing { limits, ..Sharing::default() };
        let mut by_ratio = sharing();
        assert_eq!(by_ratio.look(start, true, volume(1000, 1999)), None);
        assert_eq!(by_ratio.next_timeout(), Some(start + LOOK));
        assert_eq!(by_ratio.look(start, true, volume(1000, 2000)), Some(SharingEnd::Ratio));
        assert!(!by_ratio.goes_on() && by_ratio.next_timeout().is_none());
        let mut by_idle = sharing();
        assert_eq!(by_idle.look(start, true, volume(1000, 5)), None);
        assert_eq!(by_idle.look(start + seconds(15), true, volume(1000, 6)), None);
        assert_eq!(by_idle.look(start + seconds(34), true, volume(1000, 6)), None);
        assert_eq!(by_idle.look(start + seconds(35), true, volume(1000, 6)), Some(SharingEnd::Idle));
        let mut by_time = sharing();
        by_time.go_on(seconds(30));
        for second in 0..20 {
            assert_eq!(by_time.look(start + seconds(second), true, volume(1000, second)), None);
        }
        assert_eq!(by_time.look(start + seconds(20), false, volume(1000, 20)), None);
        assert_eq!((by_time.time(start + seconds(500)), by_time.next_timeout()), (seconds(50), None));
        assert_eq!(by_time.look(start + seconds(500), true, volume(1000, 21)), None);
        assert_eq!(by_time.look(start + seconds(510), true, volume(1000, 22)), Some(SharingEnd::Time));
    }
}
