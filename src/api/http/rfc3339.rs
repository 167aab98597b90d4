//! Writes points in time as RFC 3339: in UTC, with microseconds.

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
    fn the_end_of_time_is_written_too() {
        assert!(Rfc3339(Timestamp::from_us(u64::MAX)).to_string().ends_with("Z"));
    }
}
