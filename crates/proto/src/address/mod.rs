//! Who may be talked to: the one rule for addresses, asked wherever one comes in or is about to be used.
//!
//! A swarm asks it for every candidate, whoever named it; the driver asks it before it accepts, dials or asks a tracker. Whoever
//! meets other machines in another way (nodes of the DHT, the local network) asks [`AddressRules::may_meet`] for each address that it
//! is about to send to or has received from.

mod list;
mod ranges;

use std::net::IpAddr;
use std::sync::Arc;

pub use list::{AddressList, ListError};
pub use ranges::AddressRanges;

/// Who may be talked to. The default is everybody. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AddressRules {
    local_only: bool,
    blocked: Option<Arc<AddressRanges>>,
}

/// Why somebody is not talked to.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The owner's list has the address.
    #[error("{0} is on the list of refused addresses")]
    Blocked(IpAddr),
    /// The owner wants to stay on the local network.
    #[error("{0} is not on the local network (offline)")]
    NotLocal(IpAddr),
    /// The owner wants to stay on the local network, and asking for the address of such a name would leave it. Text of a stranger.
    #[error("{0} is no name of the local network (offline)")]
    NotLocalName(String),
}

impl AddressRules {
    /// Rules with these refusals. `local_only`: nobody outside of this machine and its local networks. `blocked`: peers that are
    /// never met.
    #[must_use]
    pub fn new(local_only: bool, blocked: Option<AddressRanges>) -> Self {
        Self { local_only, blocked: blocked.map(Arc::new) }
    }

    /// Whether nobody outside of the local network is talked to.
    #[must_use]
    pub fn is_local_only(&self) -> bool {
        self.local_only
    }

    /// Whether a peer or a node with this address may be dialled, accepted, sent to or heard. An IPv4 address inside an IPv6 one is
    /// judged by the former.
    ///
    /// # Errors
    /// It may not.
    pub fn may_meet(&self, address: IpAddr) -> Result<(), Refusal> {
        let address = address.to_canonical();
        self.may_ask(address)?;
        match &self.blocked {
            Some(blocked) if blocked.contains(address) => Err(Refusal::Blocked(address)),
            _ => Ok(()),
        }
    }

    /// Whether a tracker or a web server with this address may be asked: lists of bad peers do not count for them.
    ///
    /// # Errors
    /// It may not.
    pub fn may_ask(&self, address: IpAddr) -> Result<(), Refusal> {
        let address = address.to_canonical();
        if self.local_only && !is_local(address) { Err(Refusal::NotLocal(address)) } else { Ok(()) }
    }

    /// Whether the system may be asked for the address of this name. On the local network alone, only names that belong to one are:
    /// those without a dot, and those under `localhost`, `local`, `lan`, `internal`, `home.arpa` and `test` (RFC 2606, 6761, 6762,
    /// 8375).
    ///
    /// # Errors
    /// It may not.
    pub fn may_look_up(&self, name: &str) -> Result<(), Refusal> {
        let plain = name.trim_end_matches('.').to_ascii_lowercase();
        let under = |zone: &str| plain.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        let zones = ["localhost", "local", "lan", "internal", "home.arpa", "test"];
        if !self.local_only || !plain.contains('.') || zones.into_iter().any(under) {
            return Ok(());
        }
        match plain.parse() {
            Ok(address) => self.may_ask(address),
            Err(_) => Err(Refusal::NotLocalName(name.chars().take(256).collect())),
        }
    }
}

/// This machine, this link, and private networks (RFC 1918, 3927, 4193, 4291). Translated addresses (NAT64, 6to4, shared space of
/// carriers) lead out, whatever is in them.
#[must_use]
pub fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn by_default_everybody_may_be_talked_to() {
        let all = AddressRules::default();
        for text in ["1.2.3.4", "127.0.0.1", "::1", "2001:db8::1"] {
            assert_eq!((all.may_meet(ip(text)), all.may_ask(ip(text))), (Ok(()), Ok(())));
        }
        assert_eq!(all.may_look_up("tracker.example"), Ok(()));
    }

    #[test]
    fn offline_is_this_machine_and_its_local_networks() {
        let rules = AddressRules::new(true, None);
        for local in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.1.1",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!((rules.may_meet(ip(local)), rules.may_ask(ip(local))), (Ok(()), Ok(())), "{local}");
        }
        for outside in [
            "1.2.3.4",
            "172.32.0.1",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "2001:db8::1",
            "::",
            "::ffff:1.2.3.4",
            "64:ff9b::10.0.0.1",
            "2002:a00:1::",
        ] {
            assert!(matches!(rules.may_meet(ip(outside)), Err(Refusal::NotLocal(_))), "{outside}");
            assert!(rules.may_ask(ip(outside)).is_err(), "{outside}");
        }
    }

    #[test]
    fn offline_looks_up_names_of_the_local_network_alone() {
        let rules = AddressRules::new(true, None);
        for name in ["nas", "localhost", "nas.local", "NAS.LAN.", "a.b.home.arpa", "192.168.1.1", "tracker.test"] {
            assert_eq!(rules.may_look_up(name), Ok(()), "{name}");
        }
        for name in ["tracker.example", "nolocal.org", "xlocal.com", "a.notlan", "1.2.3.4"] {
            assert!(rules.may_look_up(name).is_err(), "{name}");
        }
    }

    #[test]
    fn lists_count_for_peers_not_for_trackers() {
        let rules = AddressRules::new(false, Some("10.0.0.0/8".parse().unwrap()));
        assert_eq!(rules.may_meet(ip("::ffff:10.1.2.3")), Err(Refusal::Blocked(ip("10.1.2.3"))));
        assert_eq!(rules.may_ask(ip("10.1.2.3")), Ok(()));
        assert_eq!(rules.may_meet(ip("11.0.0.0")), Ok(()));
    }
}
