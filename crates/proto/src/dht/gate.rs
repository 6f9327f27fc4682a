//! How much strangers can make us do: rates of addresses, and sizes of replies (THREATS D1, D9).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::contact::{Family, is_local};
use super::limits::{
    LARGE_REPLIES_PER_SECOND, MAX_AMPLIFICATION, MAX_COUNTED, MAX_PROVEN, MAX_REPLY, MAX_REPLY_V6, MIN_REPLY_SPACE,
    PACKETS_PER_SECOND, PINGS_PER_SECOND, PROVEN_PERIOD, RATE_SPAN, SILENCE,
};

/// A rate with a burst of ten seconds.
#[derive(Debug)]
pub(super) struct Credit {
    per_second: u32,
    /// In millionths.
    left: u64,
    at: Instant,
}

impl Credit {
    const BURST: u64 = 10;

    pub(super) fn new(now: Instant, per_second: u32) -> Self {
        Self { per_second, left: Self::most(per_second), at: now }
    }

    /// Takes so much, if it is there.
    pub(super) fn take(&mut self, now: Instant, amount: usize) -> bool {
        let passed = now.saturating_duration_since(self.at).min(Duration::from_secs(Self::BURST));
        let grown = u64::try_from(passed.as_micros()).unwrap_or(u64::MAX).saturating_mul(u64::from(self.per_second));
        self.left = self.left.saturating_add(grown).min(Self::most(self.per_second));
        self.at = self.at.max(now);
        let amount = u64::try_from(amount).unwrap_or(u64::MAX).saturating_mul(1_000_000);
        let enough = self.left >= amount;
        if enough {
            self.left -= amount;
        }
        enough
    }

    fn most(per_second: u32) -> u64 {
        u64::from(per_second) * Self::BURST * 1_000_000
    }
}

/// Who may send, and how much may be sent back.
#[derive(Debug)]
pub(super) struct Gate {
    span_start: Instant,
    counts: BTreeMap<IpAddr, u32>,
    silenced: BTreeMap<IpAddr, Instant>,
    /// Addresses that were shown to receive what is sent to them, and since when.
    proven: BTreeMap<SocketAddr, Instant>,
    replies: Credit,
    large: Credit,
    pings: Credit,
}

impl Gate {
    pub(super) fn new(now: Instant, reply_bytes_per_second: u32) -> Self {
        Self {
            span_start: now,
            counts: BTreeMap::new(),
            silenced: BTreeMap::new(),
            proven: BTreeMap::new(),
            replies: Credit::new(now, reply_bytes_per_second),
            large: Credit::new(now, LARGE_REPLIES_PER_SECOND),
            pings: Credit::new(now, PINGS_PER_SECOND),
        }
    }

    /// Whether this sender is ignored.
    pub(super) fn is_silenced(&mut self, now: Instant, ip: IpAddr) -> bool {
        let Some(until) = self.silenced.get(&counted(ip)) else { return false };
        if now < *until {
            return true;
        }
        self.silenced.remove(&counted(ip));
        false
    }

    /// Counts a packet that nobody asked for. False: it was one too many, and the sender is ignored from now on.
    pub(super) fn admit(&mut self, now: Instant, ip: IpAddr) -> bool {
        if is_local(ip) {
            return true;
        }
        if now.saturating_duration_since(self.span_start) >= RATE_SPAN {
            self.span_start = now;
            self.counts.clear();
        }
        let ip = counted(ip);
        if self.counts.len() >= MAX_COUNTED && !self.counts.contains_key(&ip) {
            // A flood from everywhere, which the rate of all replies bounds.
            return true;
        }
        let count = self.counts.entry(ip).or_default();
        *count += 1;
        if u64::from(*count) <= u64::from(PACKETS_PER_SECOND) * RATE_SPAN.as_secs() {
            return true;
        }
        if self.silenced.len() >= MAX_COUNTED {
            self.silenced.retain(|_, until| now < *until);
        }
        if self.silenced.len() < MAX_COUNTED {
            self.silenced.insert(ip, now + SILENCE);
        }
        false
    }

    /// Whoever is at this address receives what is sent there.
    pub(super) fn prove(&mut self, now: Instant, addr: SocketAddr) {
        if self.proven.len() >= MAX_PROVEN && !self.proven.contains_key(&addr) {
            self.proven.retain(|_, since| now.saturating_duration_since(*since) < PROVEN_PERIOD);
            if self.proven.len() >= MAX_PROVEN {
                return;
            }
        }
        self.proven.insert(addr, now);
    }

    /// How long a reply to this address may be, in bytes, when the query had `asked` bytes and the reply could be of use with
    /// `wanted` bytes.
    pub(super) fn space(&mut self, now: Instant, to: SocketAddr, asked: usize, wanted: usize) -> usize {
        let most = match Family::of(to.ip()) {
            Family::V4 => MAX_REPLY,
            Family::V6 => MAX_REPLY_V6,
        };
        let small = (asked * MAX_AMPLIFICATION).clamp(MIN_REPLY_SPACE, most);
        let proven = is_local(to.ip())
            || self.proven.get(&to).is_some_and(|since| now.saturating_duration_since(*since) < PROVEN_PERIOD);
        if wanted <= small || !(proven || self.large.take(now, 1)) { small } else { most }
    }

    /// Whether a reply of so many bytes may leave.
    pub(super) fn may_reply(&mut self, now: Instant, bytes: usize) -> bool {
        self.replies.take(now, bytes)
    }

    /// Whether an address that nobody vouches for may be sent a ping.
    pub(super) fn may_ping(&mut self, now: Instant) -> bool {
        self.pings.take(now, 1)
    }
}

/// What is counted as one sender: an address of IPv4, a /64 of IPv6.
fn counted(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "one moment to start from")]
    fn d1_an_address_that_sends_too_much_is_ignored_for_five_minutes() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut gate = Gate::new(start, 8000);
        let (loud, other) = (addr("1.2.3.4:1").ip(), addr("1.2.3.5:1").ip());
        assert!((0..50).all(|_| gate.admit(at(1), loud)));
        assert!(!gate.is_silenced(at(1), loud));
        assert!(!gate.admit(at(1), loud) && gate.is_silenced(at(1), loud));
        assert!(gate.admit(at(1), other) && !gate.is_silenced(at(1), other));
        assert!(gate.is_silenced(at(300), loud) && !gate.is_silenced(at(301), loud));
        assert!((0..500).all(|_| gate.admit(at(301), addr("127.0.0.1:1").ip())), "this machine is exempt");
        let v6 = |last: u16| addr(&format!("[2001:db8::{last:x}]:1")).ip();
        assert!((0..50).all(|last| gate.admit(at(302), v6(last))));
        assert!(!gate.admit(at(302), v6(99)), "a /64 is one sender");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "one moment to start from")]
    fn d1_replies_are_short_until_an_address_is_proven() {
        let start = Instant::now();
        let mut gate = Gate::new(start, 8000);
        let to = addr("1.2.3.4:1");
        let large = (0..1000).filter(|_| gate.space(start, to, 100, 1400) == MAX_REPLY).count();
        assert_eq!(large, 40, "a burst, then no more");
        assert_eq!(gate.space(start, to, 100, 1400), MIN_REPLY_SPACE);
        assert_eq!(gate.space(start, to, 300, 1400), 900);
        gate.prove(start, to);
        assert_eq!(gate.space(start, to, 100, 1400), MAX_REPLY);
        assert_eq!(gate.space(start, addr("1.2.3.4:2"), 100, 1400), MIN_REPLY_SPACE, "the port counts");
        assert_eq!(gate.space(start + PROVEN_PERIOD, to, 100, 300), MIN_REPLY_SPACE);
        let v6 = addr("[2001:db8::1]:1");
        gate.prove(start, v6);
        assert_eq!(gate.space(start, v6, 100, 1400), MAX_REPLY_V6);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "one moment to start from")]
    fn d1_all_replies_together_have_a_rate() {
        let start = Instant::now();
        let mut gate = Gate::new(start, 1000);
        assert_eq!((0..100).filter(|_| gate.may_reply(start, 1000)).count(), 10);
        assert!(gate.may_reply(start + Duration::from_secs(1), 1000));
        assert!(!gate.may_reply(start + Duration::from_secs(1), 1));
    }
}
