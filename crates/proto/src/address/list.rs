//! Reading lists of addresses: the forms that people have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::AddressRanges;
use crate::limits::{MAX_ADDRESS_LINE, MAX_ADDRESS_RANGES};
use crate::wire::remote_text;

/// What a line of eMule's form means to be let through: levels from this one on.
const FIRST_ALLOWED_LEVEL: u32 = 128;

/// Takes a list line by line. Each line is one of
///
/// - `1.2.3.0/24`, `2001:db8::/32`, a single address, or `FIRST - LAST`;
/// - `001.002.003.000 - 001.002.003.255 , 000 , a name` (ipfilter.dat of eMule; a level of 128 or more lets the range through);
/// - `a name:1.2.3.0-1.2.3.255` (text of `PeerGuardian`, P2P);
///
/// and may be empty or a comment (`#`, `;`, `//`).
#[derive(Clone, Debug, Default)]
pub struct AddressList {
    lines: usize,
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

/// Why a list cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// A line is in none of the forms.
    #[error("line {line}: {text:?} is no range of addresses")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// How it begins. Text of a stranger: escape before display.
        text: String,
    },
    /// The list is longer than any that is of use.
    #[error("line {line}: more than {MAX_ADDRESS_RANGES} ranges")]
    TooMany {
        /// The number of the line that is one too many.
        line: usize,
    },
}

type Range = (IpAddr, IpAddr);

impl AddressList {
    /// Takes the next line, without or with its end.
    ///
    /// # Errors
    /// It is no range, or one too many.
    pub fn line(&mut self, line: &[u8]) -> Result<(), ListError> {
        self.lines += 1;
        // Names may be in any encoding; addresses are ASCII.
        let bad = || ListError::Line { line: self.lines, text: remote_text(line.trim_ascii(), 60) };
        if line.len() > MAX_ADDRESS_LINE {
            return Err(bad());
        }
        let text = String::from_utf8_lossy(line);
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() || text.starts_with(['#', ';']) || text.starts_with("//") {
            return Ok(());
        }
        let Some((first, last)) = range_of(text).ok_or_else(bad)? else { return Ok(()) };
        if self.v4.len() + self.v6.len() >= MAX_ADDRESS_RANGES {
            return Err(ListError::TooMany { line: self.lines });
        }
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => self.v4.push((first.to_bits(), last.to_bits())),
            (IpAddr::V6(first), IpAddr::V6(last)) => self.v6.push((first.to_bits(), last.to_bits())),
            _ => return Err(bad()),
        }
        Ok(())
    }

    /// The addresses of all lines.
    #[must_use]
    pub fn finish(self) -> AddressRanges {
        AddressRanges::new(self.v4, self.v6)
    }
}

/// What a line says; `Some(None)` if it lets its range through.
fn range_of(text: &str) -> Option<Option<Range>> {
    let mut fields = text.split(',');
    if let Some(range) = fields.next().and_then(plain) {
        let level = fields.next().and_then(|level| level.trim().parse::<u32>().ok());
        return Some(Some(range).filter(|_| level.is_none_or(|level| level < FIRST_ALLOWED_LEVEL)));
    }
    named(text).map(Some)
}

/// `FIRST - LAST`, `NETWORK/BITS`, or one address.
fn plain(text: &str) -> Option<Range> {
    if let Some((network, bits)) = text.split_once('/') {
        return cidr(address(network)?, bits.trim().parse().ok()?);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    ordered(address(first)?, address(last)?)
}

/// `NAME:FIRST-LAST`. The name may have colons; the address is as long as it can be.
fn named(text: &str) -> Option<Range> {
    let (front, last) = text.rsplit_once('-')?;
    let last = address(last)?;
    let starts = front.match_indices(':').map(|(at, _)| &front[at + 1..]);
    starts.filter_map(address).find_map(|first| ordered(first, last))
}

fn ordered(first: IpAddr, last: IpAddr) -> Option<Range> {
    (first.is_ipv4() == last.is_ipv4() && first <= last).then_some((first, last))
}

fn cidr(network: IpAddr, bits: u32) -> Option<Range> {
    match network {
        IpAddr::V4(network) if bits <= 32 => {
            let host = u32::MAX.checked_shr(bits).unwrap_or(0);
            let first = network.to_bits() & !host;
            Some((Ipv4Addr::from_bits(first).into(), Ipv4Addr::from_bits(first | host).into()))
        }
        IpAddr::V6(network) if bits <= 128 => {
            let host = u128::MAX.checked_shr(bits).unwrap_or(0);
            let first = network.to_bits() & !host;
            Some((Ipv6Addr::from_bits(first).into(), Ipv6Addr::from_bits(first | host).into()))
        }
        _ => None,
    }
}

/// An address; one of IPv4 may have leading zeros, which do not make it octal.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().ok().map(|address| IpAddr::from(address).to_canonical());
    }
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next().filter(|part| part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *octet = part.parse().ok()?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets).into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn range(line: &str) -> Option<(String, String)> {
        range_of(line)?.map(|(first, last)| (first.to_string(), last.to_string()))
    }

    #[test]
    fn the_forms_that_people_have() {
        for (line, first, last) in [
            ("001.002.003.000 - 001.002.003.255 , 000 , some, name", "1.2.3.0", "1.2.3.255"),
            ("010.000.000.008-010.000.000.009,127,x", "10.0.0.8", "10.0.0.9"),
            ("Some, Inc - and more: part 2:1.2.3.4-1.2.3.5", "1.2.3.4", "1.2.3.5"),
            (":1.2.3.4-1.2.3.4", "1.2.3.4", "1.2.3.4"),
            ("Evil v6:2001:db8::-2001:db8::ff", "2001:db8::", "2001:db8::ff"),
            ("1.2.3.4/24", "1.2.3.0", "1.2.3.255"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
            ("1.2.3.4/32", "1.2.3.4", "1.2.3.4"),
            ("2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fd00::1", "fd00::1", "fd00::1"),
            ("2001:db8::1 - 2001:db8::2", "2001:db8::1", "2001:db8::2"),
            ("1.2.3.4", "1.2.3.4", "1.2.3.4"),
            ("1.2.3.4 - 1.2.3.9", "1.2.3.4", "1.2.3.9"),
        ] {
            assert_eq!(range(line), Some((first.into(), last.into())), "{line}");
        }
        assert_eq!(range_of("1.2.3.4 - 1.2.3.5 , 128 , let through"), Some(None));
    }

    #[test]
    fn what_is_no_range_is_an_error_with_its_line() {
        for line in [
            "nonsense",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "1.2.3.4/33",
            "::/129",
            "1.2.3.9 - 1.2.3.4",
            "1.2.3.4 - ::1",
            "name:1.2.3.4",
            "name:1.2.3.9-1.2.3.4",
            "1.2.3.4-",
            "/24",
            "-",
            "+1.2.3.4",
            "0001.2.3.4",
        ] {
            let text = format!("# a comment\n; another\n// one more\n\n{line}\n");
            let error = text.parse::<AddressRanges>().unwrap_err();
            assert!(matches!(&error, ListError::Line { line: 5, .. }), "{line}: {error}");
        }
        let mut list = AddressList::default();
        assert_eq!(list.line(b"\xef\xbb\xbf1.2.3.4\r\n"), Ok(()));
        assert_eq!(list.line(b"caf\xe9:1.2.3.4-1.2.3.4"), Ok(()));
        let long = list.line(&[b'a'; MAX_ADDRESS_LINE + 1]).unwrap_err().to_string();
        assert!(long.starts_with("line 3: \"aaaa") && long.len() < 150, "{long}");
        assert_eq!(list.finish().len(), 1);
    }
}
