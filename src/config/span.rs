//! Spans and sizes as people write them: `3s`, `1h30m`, `8MiB`.

use std::time::Duration;

/// Units of spans in milliseconds; the longer name first, since `ms` begins with `m`.
const SPAN_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Units of sizes in bytes.
const SIZE_UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("B", 1),
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];

/// Reads a span: one or more whole numbers, each with its unit, such as `500ms` or `1h30m`.
pub(super) fn parse_span(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let unit_len = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_len);
        total_ms = total_ms.checked_add(number.checked_mul(factor(&SPAN_UNITS, unit)?)?)?;
        rest = next;
    }
    (!text.is_empty()).then(|| Duration::from_millis(total_ms))
}

/// Reads a size: a whole number of bytes, or of the unit that follows it, such as `8MiB`.
pub(super) fn parse_size(text: &str) -> Option<usize> {
    let (number, unit) = split_number(text)?;
    let bytes = number.checked_mul(factor(&SIZE_UNITS, unit.trim_start())?)?;
    usize::try_from(bytes).ok()
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

fn factor(units: &[(&str, u64)], unit: &str) -> Option<u64> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_people_write_them() {
        for (text, ms) in [
            ("0s", 0),
            ("500ms", 500),
            ("3s", 3_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("1h30m", 5_400_000),
            ("1s5ms", 1_005),
        ] {
            assert_eq!(parse_span(text), Some(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn a_span_without_a_unit_or_beyond_64_bits_is_refused() {
        for text in ["", "3", "s", "3 s", "-1s", "1.5s", "3S", "1h30", "99999999999999999999s"] {
            assert_eq!(parse_span(text), None, "{text}");
        }
        assert_eq!(parse_span("18446744073709551615d"), None);
    }

    #[test]
    fn sizes_read_with_and_without_a_unit() {
        for (text, bytes) in
            [("0", 0), ("17", 17), ("17B", 17), ("8MiB", 8 << 20), ("8 MB", 8_000_000)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "8Mib", "-1", "1.5MiB", "18446744073709551615GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
