//! Moments as people write and read them, in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970 as `2026-11-22 14:25:05 UTC`.
pub(crate) fn utc(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date_of(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", rest / 3600, rest / 60 % 60, rest % 60)
}

/// A moment as the user writes it: seconds since 1970, `2026-11-22`, or `2026-11-22T14:25:05Z`.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is not a time: write seconds since 1970, 2026-11-22 or 2026-11-22T14:25:05Z");
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| wrong());
    }
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
    let numbers = |text: &str, by: char, widths: [usize; 3]| -> Option<[i64; 3]> {
        let parts: Vec<&str> = text.split(by).collect();
        let parts: [&str; 3] = parts.try_into().ok()?;
        let mut out = [0; 3];
        for ((part, width), number) in parts.iter().zip(widths).zip(&mut out) {
            if part.len() != width || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            *number = part.parse().ok()?;
        }
        Some(out)
    };
    let time = time.trim_end_matches(" UTC").trim_end_matches('Z');
    let [year, month, day] = numbers(date, '-', [4, 2, 2]).ok_or_else(wrong)?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2]).ok_or_else(wrong)?;
    let days = days_of(year, month, day);
    let sound = (1..=12).contains(&month) && date_of(days) == (year, month, day);
    if !sound || hour > 23 || minute > 59 || second > 59 {
        return Err(wrong());
    }
    Ok(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Now, in seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Days since 1970-01-01 of a date of the Gregorian calendar: whole 400-year eras, and years that begin in March.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The date of a number of days since 1970-01-01.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_shown() {
        for (text, seconds) in [
            ("0", 0),
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400),
            ("2026-11-22T14:25:05Z", 1_795_357_505),
            ("1969-12-31 23:59:59 UTC", -1),
        ] {
            assert_eq!(parse(text), Ok(seconds), "{text}");
        }
        assert_eq!(utc(1_795_357_505), "2026-11-22 14:25:05 UTC");
        assert_eq!(utc(-1), "1969-12-31 23:59:59 UTC");
        for text in ["", "now", "2026-02-30", "2026-13-01", "2026-1-1", "2026-11-22T25:00:00Z", "-5"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_day_of_800_years_survives_the_way_there_and_back() {
        for days in -200_000..100_000 {
            let (year, month, day) = date_of(days);
            assert_eq!(days_of(year, month, day), days);
        }
    }
}
