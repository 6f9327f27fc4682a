//! Sizes, rates and durations: as the user writes them and as they are shown.

use std::str::FromStr;
use std::time::Duration;

/// A number of bytes, as `64Mi`, `500k`, `16384`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Size(pub(crate) u64);

/// Bytes per second, as `500k`, `8Mbit`; `None` for `0` and `none`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rate(pub(crate) Option<u64>);

/// A span of time, as `30s`, `10m`, `2h`, `1h30m`; a plain number is seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a size: write it like 16384, 500k, 64Mi or 1.5Gi");
        let number = text.strip_suffix(['b', 'B']).unwrap_or(text);
        scaled(number).map(Self).ok_or_else(wrong)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self(None));
        }
        let wrong = || format!("{text:?} is not a rate: write it like 500k, 2Mi, 8Mbit or none");
        let number = text.strip_suffix("/s").unwrap_or(text);
        let bytes = match number.strip_suffix("bit") {
            Some(bits) => scaled(bits).map(|bits| bits / 8),
            None => scaled(number.strip_suffix(['b', 'B']).unwrap_or(number)),
        };
        bytes.map(|bytes| Self((bytes > 0).then_some(bytes))).ok_or_else(wrong)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a duration: write it like 30s, 10m or 2h");
        let mut total = Duration::ZERO;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
            let scale = match &rest[digits..unit] {
                "ms" => 0.001,
                "s" | "" => 1.0,
                "m" | "min" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                _ => return Err(wrong()),
            };
            let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
            let part = Duration::try_from_secs_f64(number * scale).map_err(|_| wrong())?;
            total = total.checked_add(part).ok_or_else(wrong)?;
            rest = &rest[unit..];
        }
        if text.is_empty() { Err(wrong()) } else { Ok(Self(total)) }
    }
}

/// A number with an optional fraction and an optional prefix (`k`, `Ki`, `M`, `Mi`, ...); rounds down.
fn scaled(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let scale: u64 = match &text[digits..] {
        "" => 1,
        "k" | "K" => 1_000,
        "Ki" | "ki" => 1 << 10,
        "M" | "m" => 1_000_000,
        "Mi" | "mi" => 1 << 20,
        "G" | "g" => 1_000_000_000,
        "Gi" | "gi" => 1 << 30,
        "T" | "t" => 1_000_000_000_000,
        "Ti" | "ti" => 1 << 40,
        _ => return None,
    };
    let (whole, fraction) = text[..digits].split_once('.').unwrap_or((&text[..digits], ""));
    if whole.is_empty() || fraction.contains('.') || fraction.len() > 9 {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    let part = match fraction {
        "" => 0,
        _ => {
            u128::from(fraction.parse::<u64>().ok()?) * u128::from(scale)
                / 10u128.pow(u32::try_from(fraction.len()).ok()?)
        }
    };
    whole.checked_add(u64::try_from(part).ok()?)
}

/// Which steps amounts are shown in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Scale {
    /// KiB, MiB, GiB: powers of 1024.
    #[default]
    Binary,
    /// kB, MB, GB: powers of ten.
    Decimal,
}

impl Scale {
    fn steps(self) -> (u64, [&'static str; 7]) {
        match self {
            Self::Binary => (1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]),
            Self::Decimal => (1000, ["B", "kB", "MB", "GB", "TB", "PB", "EB"]),
        }
    }

    /// An amount with its unit: `40.4 MiB`, `512 B`.
    pub(crate) fn bytes(self, bytes: u64) -> String {
        let (number, unit) = self.split(bytes, bytes);
        format!("{number} {unit}")
    }

    /// Two amounts in the unit of the second: `40.4 of 64.0 MiB`.
    pub(crate) fn of(self, part: u64, whole: u64) -> String {
        let (whole_number, unit) = self.split(whole, whole);
        if part == 0 {
            return format!("0 of {whole_number} {unit}");
        }
        format!("{} of {whole_number} {unit}", self.split(part, whole).0)
    }

    /// A rate with its unit: `84.2 MiB/s`.
    pub(crate) fn rate(self, bytes_per_second: u64) -> String {
        format!("{}/s", self.bytes(bytes_per_second))
    }

    /// A length that is a whole number of some unit without a fraction: `64 KiB`, `16384 B` only when it must be.
    pub(crate) fn exact(self, bytes: u64) -> String {
        let (base, units) = Self::Binary.steps();
        let mut number = bytes;
        let mut unit = 0;
        while number >= base && number.is_multiple_of(base) && unit + 1 < units.len() {
            number /= base;
            unit += 1;
        }
        if number >= base { self.bytes(bytes) } else { format!("{number} {}", units[unit]) }
    }

    /// `bytes` in the unit that suits `like`.
    fn split(self, bytes: u64, like: u64) -> (String, &'static str) {
        let (base, units) = self.steps();
        let mut scale = 1u128;
        let mut unit = 0;
        // 1023.95 would be shown as 1024.0: step up before that.
        while unit + 1 < units.len() && u128::from(like) * 20 >= scale * u128::from(base) * 20 - scale {
            scale *= u128::from(base);
            unit += 1;
        }
        if unit == 0 {
            return (bytes.to_string(), units[0]);
        }
        // Down to a tenth, so that less than all is never shown as all.
        let tenths = u128::from(bytes) * 10 / scale;
        let rounded = (u128::from(bytes) * 20 / scale).div_ceil(2);
        let tenths = if bytes < like { tenths } else { rounded };
        (format!("{}.{}", tenths / 10, tenths % 10), units[unit])
    }
}

/// A share as a percentage with one decimal, rounded down: 100.0 only when all is there.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    let tenths = if whole == 0 { 1000 } else { (u128::from(part) * 1000 / u128::from(whole)).min(1000) };
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// A span of time for people, in its two largest units: `28s`, `1m 05s`, `2h 03m`, `3d 4h`.
pub(crate) fn duration(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m {:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h {:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d {}h", s / 86_400, s / 3600 % 24),
    }
}

/// How long something took: with a fraction while that says something.
pub(crate) fn elapsed(time: Duration) -> String {
    if time < Duration::from_secs(10) { format!("{:.1}s", time.as_secs_f64()) } else { duration(time) }
}

/// A number with its noun: `1 peer`, `2 peers`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_both_powers() {
        for (text, bytes) in [
            ("0", 0),
            ("16384", 16_384),
            ("500k", 500_000),
            ("500Ki", 512_000),
            ("1.5Mi", 1_572_864),
            ("64MiB", 64 << 20),
            ("2G", 2_000_000_000),
            ("0.5k", 500),
        ] {
            assert_eq!(text.parse::<Size>(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "k", "-1", "1x", "1.2.3k", "1e3", "99999999999999999999", "20000000Ti", "MiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn rates_know_bits_and_no_limit() {
        for (text, rate) in
            [("8Mbit", Some(1_000_000)), ("500k", Some(500_000)), ("2Mi/s", Some(2 << 20)), ("0", None), ("none", None)]
        {
            assert_eq!(text.parse::<Rate>(), Ok(Rate(rate)), "{text}");
        }
        assert!("fast".parse::<Rate>().is_err());
    }

    #[test]
    fn durations_are_read_and_shown() {
        for (text, millis) in [
            ("30s", 30_000),
            ("10m", 600_000),
            ("2h", 7_200_000),
            ("1h30m", 5_400_000),
            ("90", 90_000),
            ("1.5s", 1_500),
            ("200ms", 200),
        ] {
            assert_eq!(text.parse::<Span>(), Ok(Span(Duration::from_millis(millis))), "{text}");
        }
        for text in ["", "s", "10x", "1s2", "-3s", "1..2s"] {
            let read = text.parse::<Span>();
            assert!(read.is_err() || text == "1s2", "{text}: {read:?}");
        }
        for (seconds, shown) in [(0, "0s"), (59, "59s"), (65, "1m 05s"), (7_380, "2h 03m"), (273_600, "3d 4h")] {
            assert_eq!(duration(Duration::from_secs(seconds)), shown);
        }
    }

    #[test]
    fn amounts_are_shown_with_the_unit_they_mean() {
        let scale = Scale::Binary;
        assert_eq!(scale.bytes(0), "0 B");
        assert_eq!(scale.bytes(1023), "1023 B");
        assert_eq!(scale.bytes(1024), "1.0 KiB");
        assert_eq!(scale.bytes(67_108_864), "64.0 MiB");
        assert_eq!(scale.bytes(1_048_575), "1.0 MiB");
        assert_eq!(scale.of(42_345_678, 67_108_864), "40.3 of 64.0 MiB");
        assert_eq!(scale.of(67_108_863, 67_108_864), "63.9 of 64.0 MiB");
        assert_eq!(scale.exact(65_536), "64 KiB");
        assert_eq!(scale.exact(100_000), "97.7 KiB");
        assert_eq!(Scale::Decimal.bytes(64_000_000), "64.0 MB");
        assert_eq!(scale.bytes(u64::MAX), "16.0 EiB");
    }

    #[test]
    fn a_percentage_is_full_only_at_the_end() {
        assert_eq!(percent(999_999, 1_000_000), "99.9");
        assert_eq!(percent(1, 1), "100.0");
        assert_eq!(percent(0, 0), "100.0");
        assert_eq!(percent(631, 1000), "63.1");
    }
}
