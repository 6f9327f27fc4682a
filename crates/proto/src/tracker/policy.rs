//! Where a tracker's URL and its redirects may lead (THREATS T1, T2).
//!
//! Whoever writes a torrent chooses what our machine connects to. These rules keep that from reaching services on this
//! machine and network that trust whoever can reach them. They are judged at connect, with the address that was resolved,
//! so that a name whose address changes gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::url::{Scheme, TrackerUrl, UrlError};
use crate::address::Refusal;
use crate::limits::MAX_REDIRECTS;

/// How far an address reaches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reach {
    /// This machine.
    Loopback,
    /// This link; metadata services of clouds live there.
    Link,
    /// A private network (RFC 1918, 4193, 6598).
    Private,
    /// The internet.
    Public,
    /// Nobody: unspecified, broadcast, multicast, reserved.
    Nowhere,
}

impl Reach {
    /// How far this address reaches; an IPv4 address inside an IPv6 one is judged by the former.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [first, second, ..] = address.octets();
        if address.is_loopback() {
            Self::Loopback
        } else if address.is_link_local() {
            Self::Link
        } else if address.is_private() || (first == 100 && second & 0xc0 == 64) {
            Self::Private
        } else if first == 0 || first >= 224 {
            Self::Nowhere
        } else {
            Self::Public
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let segments = address.segments();
        match segments {
            // NAT64 and 6to4 lead to the IPv4 address that is in them (RFC 6052, 3056).
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
                let [[a, b], [c, d]] = [high, low].map(u16::to_be_bytes);
                Self::of_v4(Ipv4Addr::new(a, b, c, d))
            }
            [0x64, 0xff9b, 1, ..] => Self::Private,
            _ if address.is_loopback() => Self::Loopback,
            _ if address.is_unicast_link_local() => Self::Link,
            _ if address.is_unique_local() => Self::Private,
            [0, 0, 0, 0, 0, 0, _, _] => Self::Nowhere,
            _ if address.is_multicast() => Self::Nowhere,
            _ => Self::Public,
        }
    }
}

/// Why a tracker's address is not connected to, or its redirect not followed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Something on the internet named an address that is not on the internet.
    #[error("a public server may not send us to {0}")]
    Inward(IpAddr),
    /// A service of this machine that is no tracker's.
    #[error("a tracker on this machine must have the path /announce or /scrape")]
    LoopbackPath,
    /// Nobody is there, or only what is on the same link.
    #[error("{0} cannot be a tracker's address")]
    Unreachable(IpAddr),
    /// More than [`MAX_REDIRECTS`] redirects.
    #[error("more than {MAX_REDIRECTS} redirects")]
    TooManyRedirects,
    /// A redirect away from HTTP, or from TLS to no TLS.
    #[error("redirect from {from} to {to}")]
    Scheme {
        /// The scheme that was left.
        from: &'static str,
        /// The scheme that was named.
        to: &'static str,
    },
    /// The owner's rules refuse the address or the name.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A redirect to something that is no URL of a tracker.
    #[error("redirect: {0}")]
    Url(#[from] UrlError),
}

/// Whether to connect to `to` for `url`, after its host was resolved. `redirected_by` is the address that the last redirect
/// came from, if one led here.
///
/// # Errors
/// A public server sent us inward; a service on this machine is not named as a tracker's; the address is link-local or
/// nobody's. Private addresses in a torrent are allowed: trackers of local networks exist.
pub fn may_connect(url: &TrackerUrl, to: IpAddr, redirected_by: Option<IpAddr>) -> Result<(), PolicyError> {
    let reach = Reach::of(to);
    if redirected_by.is_some_and(|by| Reach::of(by) == Reach::Public) && reach != Reach::Public {
        return Err(PolicyError::Inward(to));
    }
    match reach {
        Reach::Public | Reach::Private => Ok(()),
        // Over UDP nothing that the URL says is sent before the other side has answered as a tracker does.
        Reach::Loopback if url.scheme() == Scheme::Udp => Ok(()),
        Reach::Loopback if matches!(url.path(), "/announce" | "/scrape") => Ok(()),
        Reach::Loopback => Err(PolicyError::LoopbackPath),
        Reach::Link | Reach::Nowhere => Err(PolicyError::Unreachable(to)),
    }
}

/// Where an HTTP redirect leads. `hops` is how many redirects were followed before this one. The address behind the new URL
/// is yet to be judged by [`may_connect`].
///
/// # Errors
/// Too many redirects; a target that is not HTTP, is no URL, or leaves TLS.
pub fn redirect(from: &TrackerUrl, location: &str, hops: u32) -> Result<TrackerUrl, PolicyError> {
    if hops >= MAX_REDIRECTS {
        return Err(PolicyError::TooManyRedirects);
    }
    let to = from.join(location)?;
    match (from.scheme(), to.scheme()) {
        (Scheme::Http, Scheme::Http | Scheme::Https) | (Scheme::Https, Scheme::Https) => Ok(to),
        (left, named) => Err(PolicyError::Scheme { from: left.as_str(), to: named.as_str() }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn url(text: &str) -> TrackerUrl {
        TrackerUrl::parse(text).unwrap()
    }

    #[test]
    fn reach_of_addresses() {
        for (text, reach) in [
            ("127.8.8.8", Reach::Loopback),
            ("::1", Reach::Loopback),
            ("::ffff:127.0.0.1", Reach::Loopback),
            ("64:ff9b::7f00:1", Reach::Loopback),
            ("64:ff9b:1::1", Reach::Private),
            ("2002:a00:1::1", Reach::Private),
            ("169.254.169.254", Reach::Link),
            ("fe80::1", Reach::Link),
            ("10.0.0.1", Reach::Private),
            ("172.31.0.1", Reach::Private),
            ("192.168.1.1", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("fd00::1", Reach::Private),
            ("100.128.0.1", Reach::Public),
            ("172.32.0.1", Reach::Public),
            ("2001:db8::1", Reach::Public),
            ("0.0.0.0", Reach::Nowhere),
            ("0.1.2.3", Reach::Nowhere),
            ("224.0.0.1", Reach::Nowhere),
            ("255.255.255.255", Reach::Nowhere),
            ("::", Reach::Nowhere),
            ("::2", Reach::Nowhere),
            ("ff02::1", Reach::Nowhere),
        ] {
            assert_eq!(Reach::of(ip(text)), reach, "{text}");
        }
    }

    #[test]
    fn t1_redirect_loop_ends_after_five_hops() {
        let mut at = url("http://h/announce");
        for hops in 0..MAX_REDIRECTS {
            at = redirect(&at, "/announce", hops).unwrap();
        }
        assert_eq!(redirect(&at, "/announce", MAX_REDIRECTS), Err(PolicyError::TooManyRedirects));
    }

    #[test]
    fn t1_redirects_stay_with_http() {
        let from = url("http://h/a/announce?x=1");
        for location in ["file:///etc/passwd", "udp://h:80/announce", "gopher://h/", "https:///x", "http://h:x/"] {
            assert!(redirect(&from, location, 0).is_err(), "{location}");
        }
        assert!(redirect(&url("https://h/"), "http://h/", 0).is_err());
        assert!(redirect(&url("http://h/"), "https://h/", 0).is_ok());
    }

    #[test]
    fn t1_redirects_may_be_relative() {
        let from = url("http://h:81/a/announce?x=1");
        for (location, to) in [
            ("b?y=2", "http://h:81/a/b?y=2"),
            ("/b", "http://h:81/b"),
            ("//g/b", "http://g:80/b"),
            ("?y=2", "http://h:81/a/announce?y=2"),
            ("https://g/b?u=http://z/", "https://g:443/b?u=http://z/"),
            ("/b?u=http://z/", "http://h:81/b?u=http://z/"),
        ] {
            assert_eq!(redirect(&from, location, 0).unwrap().to_text(), to);
        }
    }

    #[test]
    fn t2_public_server_may_not_send_us_inward() {
        let target = url("http://rebound.example/announce");
        let public = Some(ip("93.184.216.34"));
        for inward in ["127.0.0.1", "::1", "10.0.0.1", "192.168.0.1", "169.254.169.254", "fd00::1", "::ffff:10.0.0.1"] {
            assert_eq!(may_connect(&target, ip(inward), public), Err(PolicyError::Inward(ip(inward))));
        }
        assert_eq!(may_connect(&target, ip("1.1.1.1"), public), Ok(()));
        assert_eq!(may_connect(&target, ip("1.1.1.1"), Some(ip("10.0.0.1"))), Ok(()));
        assert_eq!(may_connect(&target, ip("10.0.0.2"), Some(ip("10.0.0.1"))), Ok(()));
    }

    #[test]
    fn t2_loopback_tracker_has_the_path_announce() {
        let to = ip("127.0.0.1");
        assert_eq!(may_connect(&url("http://127.0.0.1:80/announce?k=1"), to, None), Ok(()));
        assert_eq!(may_connect(&url("http://127.0.0.1:80/scrape"), to, None), Ok(()));
        assert_eq!(may_connect(&url("udp://127.0.0.1:80"), to, None), Ok(()));
        for path in ["", "/", "/admin/shutdown", "/announce/x", "/ANNOUNCE", "/x?/announce"] {
            let target = url(&format!("http://name.example{path}"));
            assert_eq!(may_connect(&target, to, None), Err(PolicyError::LoopbackPath), "{path}");
        }
    }

    #[test]
    fn t2_private_tracker_in_a_torrent_is_allowed_and_link_local_is_not() {
        let target = url("http://retracker.local/announce");
        assert_eq!(may_connect(&target, ip("10.1.2.3"), None), Ok(()));
        assert!(may_connect(&target, ip("169.254.169.254"), None).is_err());
        assert!(may_connect(&target, ip("0.0.0.0"), None).is_err());
        assert!(may_connect(&target, ip("239.1.1.1"), None).is_err());
    }
}
