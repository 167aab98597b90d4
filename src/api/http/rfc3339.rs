//! Writes points in time as RFC 3339: in UTC, with microseconds. Reads them with any offset.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::model::Timestamp;

const SECONDS_PER_DAY: u64 = 86_400;

/// A point in time that shows itself as `2026-11-20T09:08:07.123456Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rfc3339(pub(super) Timestamp);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.0.as_us();
        let (seconds, us) = (us / 1_000_000, us % 1_000_000);
        let (year, month, day) = civil(seconds / SECONDS_PER_DAY);
        let second_of_day = seconds % SECONDS_PER_DAY;
        let (hour, minute, second) =
            (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{us:06}Z")
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads a point in time as RFC 3339 (section 5.6) writes it; what is finer than a microsecond is cut
/// off. `None` for any other text, and for a time that no [`Timestamp`] is exact at: before 1970 or
/// after 2255-06-05T23:47:34.740991Z.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    const LAST_US: i64 = (1 << 53) - 1;
    let (date, rest) = (text.get(..10)?, text.get(11..)?);
    let (time, rest) = (rest.get(..8)?, rest.get(8..)?);
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    // 60 is a leap second.
    let is_time = matches!(text.as_bytes()[10], b'T' | b't')
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && (hour < 24 && minute < 60 && second <= 60);
    if !is_time {
        return None;
    }
    let (us, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let end = rest.find(|it: char| !it.is_ascii_digit())?;
            let (digits, zone) = rest.split_at(end);
            let digits: String = digits.chars().chain("000000".chars()).take(6).collect();
            (digits.parse::<i64>().ok().filter(|_| end > 0)?, zone)
        }
        None => (0, rest),
    };
    let ahead_s = match zone.as_bytes().first()? {
        b'Z' | b'z' if zone.len() == 1 => 0,
        sign @ (b'+' | b'-') => {
            let [hours, minutes] = numbers(zone.get(1..)?, ':', [2, 2])?;
            let span = (hours < 24 && minutes < 60).then_some((hours * 60 + minutes) * 60)?;
            if *sign == b'-' { -span } else { span }
        }
        _ => return None,
    };
    let second_of_day = (hour * 60 + minute) * 60 + second;
    let seconds = days_since_1970(year, month, day) * 86_400 + second_of_day - ahead_s;
    let us = seconds * 1_000_000 + us;
    (0..=LAST_US).contains(&us).then(|| Timestamp::from_us(us.unsigned_abs()))
}

/// The numbers between the separators, each of exactly so many digits.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(between);
    let mut found = [0; N];
    for (number, n_digits) in found.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == n_digits)?;
        let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
        *number = part.parse().ok().filter(|_| is_number)?;
    }
    parts.next().is_none().then_some(found)
}

fn days_in(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The way back from [`civil`]; negative before 1970.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // January and February are the last months of the year before.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// The year, month and day that lie `days` after 1970-01-01.
///
/// Counts from 0000-03-01, so that a leap day is the last of its year: then every 400 years, every
/// century and every four years within them have a fixed length but for that last day.
fn civil(days: u64) -> (u64, u64, u64) {
    const TO_MARCH_OF_YEAR_0: u64 = 719_468;
    const IN_400_YEARS: u64 = 146_097;
    const IN_100_YEARS: u64 = 36_524;
    const IN_4_YEARS: u64 = 1_461;
    const IN_YEAR: u64 = 365;

    let days = days + TO_MARCH_OF_YEAR_0;
    let (eras, days) = (days / IN_400_YEARS, days % IN_400_YEARS);
    let centuries = (days / IN_100_YEARS).min(3);
    let days = days - centuries * IN_100_YEARS;
    let (fours, days) = (days / IN_4_YEARS, days % IN_4_YEARS);
    let years = (days / IN_YEAR).min(3);
    let day_of_year = days - years * IN_YEAR;

    // From March on, five months in a row have 153 days.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let is_next_year = month_from_march >= 10;
    let month = if is_next_year { month_from_march - 9 } else { month_from_march + 3 };
    let year = eras * 400 + centuries * 100 + fours * 4 + years + u64::from(is_next_year);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points_are_written_as_people_write_them() {
        for (us, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399_999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (1_234_567_890_000_001, "2009-02-13T23:31:30.000001Z"),
            (1_709_164_800_000_000, "2024-02-29T00:00:00.000000Z"),
            (1_709_251_200_000_000, "2024-03-01T00:00:00.000000Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
            (9_007_199_254_740_991, "2255-06-05T23:47:34.740991Z"),
        ] {
            assert_eq!(Rfc3339(Timestamp::from_us(us)).to_string(), text);
        }
    }

    #[test]
    fn each_day_of_400_years_follows_the_one_before() {
        let is_leap = |year| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let mut expected = (1970, 1, 1);
        for days in 0..146_097 {
            assert_eq!(civil(days), expected, "{days} days after 1970-01-01");
            let (year, month, day) = expected;
            let last = match month {
                2 => 28 + u64::from(is_leap(year)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, day) if day == last => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for us in (0..9_007_199_254_740_991).step_by(7_777_777_777_777) {
            let at = Timestamp::from_us(us);
            assert_eq!(read(&Rfc3339(at).to_string()), Some(at), "{us}");
        }
    }

    #[test]
    fn any_offset_and_any_fraction_is_read() {
        for (text, us) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t00:00:00.5z", 500_000),
            ("2009-02-13T23:31:30.0000019Z", 1_234_567_890_000_001),
            ("2009-02-14T01:01:30+01:30", 1_234_567_890_000_000),
            ("2009-02-13T18:31:30-05:00", 1_234_567_890_000_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
            ("2000-02-29T00:00:00-00:00", 951_782_400_000_000),
            ("2255-06-05T23:47:34Z", 9_007_199_254_000_000),
        ] {
            assert_eq!(read(text), Some(Timestamp::from_us(us)), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_points_in_time() {
        for text in [
            "",
            "2026-11-20",
            "2026-11-20T09:08:07",
            "2026-11-20 09:08:07Z",
            "2026-11-20T09:08Z",
            "2026-11-20T09:08:07.Z",
            "2026-11-20T09:08:07.1",
            "2026-13-20T09:08:07Z",
            "2026-00-20T09:08:07Z",
            "2026-11-31T09:08:07Z",
            "2026-02-29T09:08:07Z",
            "1900-02-29T09:08:07Z",
            "2026-11-20T24:00:00Z",
            "2026-11-20T09:60:00Z",
            "2026-11-20T09:08:61Z",
            "2026-11-20T09:08:07+1:00",
            "2026-11-20T09:08:07+24:00",
            "2026-11-20T09:08:07ZZ",
            "2026-11-2\u{fc}T09:08:07Z",
            "+026-11-20T09:08:07Z",
            "1969-12-31T23:59:59Z",
            "2255-06-05T23:47:35Z",
            "2300-01-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "1700000000",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn the_end_of_time_is_written_too() {
        assert!(Rfc3339(Timestamp::from_us(u64::MAX)).to_string().ends_with("Z"));
    }
}
