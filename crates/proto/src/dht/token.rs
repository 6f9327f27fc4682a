//! Tokens: who wants to store here shows first that it receives at its address (BEP 5; THREATS D3).

use std::net::IpAddr;
use std::time::Instant;

use riverrun_metainfo::hash::Sha256;

use super::id::Id;
use super::limits::TOKEN_PERIOD;

/// The length of our tokens in bytes: nobody guesses 64 bits within ten minutes.
const LENGTH: usize = 8;

/// Makes tokens and knows them again, without keeping any: a token is a keyed hash of the address, of what is to be stored
/// and of the time, cut into periods of five minutes. The one before counts too.
#[derive(Debug)]
pub(super) struct Tokens {
    key: [u8; 32],
    start: Instant,
}

impl Tokens {
    pub(super) fn new(now: Instant, key: [u8; 32]) -> Self {
        Self { key, start: now }
    }

    /// The token for this address and this target.
    pub(super) fn make(&self, now: Instant, ip: IpAddr, target: Id) -> Vec<u8> {
        self.of_period(self.period(now), ip, target).to_vec()
    }

    /// Whether the token was made here for this address and this target, in this period or the one before.
    pub(super) fn is_valid(&self, now: Instant, ip: IpAddr, target: Id, token: &[u8]) -> bool {
        let period = self.period(now);
        [Some(period), period.checked_sub(1)]
            .into_iter()
            .flatten()
            .any(|period| self.of_period(period, ip, target) == token)
    }

    fn period(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs() / TOKEN_PERIOD.as_secs()
    }

    /// Everything that is hashed has its length fixed, so a hash with the key in front is as good as an HMAC.
    fn of_period(&self, period: u64, ip: IpAddr, target: Id) -> [u8; LENGTH] {
        let ip = match ip.to_canonical() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let mut hash = Sha256::new();
        hash.update(&self.key);
        hash.update(&period.to_be_bytes());
        hash.update(&ip.octets());
        hash.update(&target.0);
        let mut token = [0; LENGTH];
        token.copy_from_slice(&hash.finish()[..LENGTH]);
        token
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "one moment to start from")]
    fn d3_a_token_is_for_one_address_one_target_and_ten_minutes() {
        let start = Instant::now();
        let tokens = Tokens::new(start, [1; 32]);
        let (ip, other): (IpAddr, IpAddr) = ("1.2.3.4".parse().unwrap(), "1.2.3.5".parse().unwrap());
        let at = start + Duration::from_secs(299);
        let token = tokens.make(at, ip, Id([2; 20]));
        let valid =
            |after: u64, ip, target| tokens.is_valid(start + Duration::from_secs(after), ip, Id([target; 20]), &token);
        assert!(valid(299, ip, 2) && valid(301, ip, 2) && valid(599, ip, 2));
        assert!(!valid(600, ip, 2), "two generations, no more");
        assert!(!valid(299, other, 2) && !valid(299, ip, 3));
        assert!(!tokens.is_valid(at, ip, Id([2; 20]), &token[..7]) && !tokens.is_valid(at, ip, Id([2; 20]), b""));
        assert!(!Tokens::new(start, [9; 32]).is_valid(at, ip, Id([2; 20]), &token), "the key matters");
        let mapped: IpAddr = "::ffff:1.2.3.4".parse().unwrap();
        assert!(valid(299, mapped, 2), "one address in two spellings");
    }
}
