//! Where hosts are: addresses as providers give them out, and how far it is from there.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use fastrand::Rng;

/// First bytes of networks that belong to providers.
const FIRST: [u8; 32] = [
    2, 5, 24, 31, 37, 46, 50, 62, 66, 71, 77, 78, 79, 81, 82, 83, 84, 86, 87, 88, 89, 90, 91, 93, 94, 95, 109, 176,
    178, 188, 213, 217,
];
/// The networks of the attacker begin with these bytes, where no honest node is.
const ATTACKER: u8 = 45;

/// Providers: networks of 16 bits, some with many more customers than others.
#[derive(Debug)]
pub(super) struct Places {
    providers: Vec<[u8; 2]>,
}

impl Places {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self { providers: (0..400).map(|_| [FIRST[rng.usize(..FIRST.len())], rng.u8(..)]).collect() }
    }

    /// Some address: every hundredth provider has a tenth of all customers.
    pub(super) fn draw(&self, rng: &mut Rng) -> SocketAddr {
        let share = rng.f64();
        let count = self.providers.len();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a few hundred")]
        let at = (share * share * count as f64) as usize;
        let [a, b] = self.providers[at.min(count - 1)];
        SocketAddr::new(Ipv4Addr::new(a, b, rng.u8(..), rng.u8(1..255)).into(), rng.u16(1025..))
    }

    /// From a host to the middle of the network: 5 to 120 ms, mostly little.
    pub(super) fn delay(rng: &mut Rng) -> Duration {
        let share = rng.f64();
        Duration::from_millis(5) + Duration::from_millis(115).mul_f64(share * share)
    }

    /// The attacker's address of this number when its addresses are dealt to so many /24.
    pub(super) fn of_attacker(number: u32, networks: u32) -> SocketAddr {
        let [_, _, high, low] = (number % networks).to_be_bytes();
        let [.., last] = (number / networks % 254 + 1).to_be_bytes();
        SocketAddr::new(Ipv4Addr::new(ATTACKER, high, low, last).into(), 6881)
    }
}
