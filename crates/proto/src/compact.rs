//! Addresses in compact form, as trackers and peer exchange send them (BEP 7, 10, 11, 23).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The addresses of a list of 6 bytes each: IPv4 address and port. A rest of less is ignored.
pub(crate) fn v4_addrs(list: &[u8]) -> impl Iterator<Item = SocketAddr> {
    list.as_chunks::<6>()
        .0
        .iter()
        .map(|&[a, b, c, d, high, low]| SocketAddr::from((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low]))))
}

/// The addresses of a list of 18 bytes each: IPv6 address and port. A rest of less is ignored.
pub(crate) fn v6_addrs(list: &[u8]) -> impl Iterator<Item = SocketAddr> {
    list.as_chunks::<18>()
        .0
        .iter()
        .map(|&[ref ip @ .., high, low]| SocketAddr::from((Ipv6Addr::from(*ip), u16::from_be_bytes([high, low]))))
}

/// Appends address and port, 6 or 18 bytes.
pub(crate) fn put_addr(out: &mut Vec<u8>, addr: SocketAddr) {
    put_ip(out, addr.ip());
    out.extend_from_slice(&addr.port().to_be_bytes());
}

/// An address of 4 or 16 bytes, without port.
pub(crate) fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// Appends an address without port, 4 or 16 bytes.
pub(crate) fn put_ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
}
