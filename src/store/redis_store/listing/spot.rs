//! A place in the listing, and the text that a client carries from page to page.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::model::Gid;

/// With which a text begins, so that another way of paging can be told from this one.
const VERSION: &str = "1";

/// The longest text that is read: no text that is made here is as long.
const TEXT_BYTES_MAX: usize = 512;

/// A place in the listing: what comes after it is still to be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    /// Among the unfinished ones.
    Due(DueSpot),
    /// Among the finished ones.
    Ended(EndedSpot),
}

/// A place among the unfinished ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DueSpot {
    /// The shard; one beyond the last when all are done.
    pub(super) shard: usize,
    /// Where the walk over its due set stands; 0 at its start.
    pub(super) cursor: u64,
    /// The Redis process that gave the cursors.
    pub(super) run: u64,
    /// How much of the walk's next step is listed already.
    pub(super) listed: Option<Partly>,
}

/// A step of a walk that is listed in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partly {
    /// The cursor that the step answered: a step that answers another one covers something else.
    pub(super) end: u64,
    /// The last one that was listed; they are listed in the order of their gids.
    pub(super) last: Gid,
}

impl DueSpot {
    /// The start of `shard`.
    pub(super) fn start_of(shard: usize, run: u64) -> Self {
        Self { shard, run, ..Self::default() }
    }

    /// Whether it means something only to the Redis process that it came from: another one has
    /// another order of its own.
    pub(super) fn needs_run(&self) -> bool {
        self.cursor != 0 || self.listed.as_ref().is_some_and(|listed| listed.end != 0)
    }
}

/// A place among the finished ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndedSpot {
    /// The minute in which they ended, since 1970.
    pub(super) minute: u64,
    /// The shard.
    pub(super) shard: usize,
    /// How many of its list, from its head, are still to be listed; all if it is not known.
    pub(super) left: Option<u64>,
}

impl EndedSpot {
    /// The start of `minute`.
    pub(super) const fn start_of(minute: u64) -> Self {
        Self { minute, shard: 0, left: None }
    }

    /// Whether nothing of its minute is listed yet.
    pub(super) const fn is_start(&self) -> bool {
        self.shard == 0 && self.left.is_none()
    }

    /// The start of the minute before; `None` if there is none.
    pub(super) fn minute_before(self) -> Option<Self> {
        self.minute.checked_sub(1).map(Self::start_of)
    }
}

impl Spot {
    /// The text of it.
    pub(super) fn write(&self) -> String {
        let inner = match self {
            Self::Due(spot) => {
                let (shard, cursor, run) = (spot.shard, spot.cursor, spot.run);
                let mut text = format!("d.{shard}.{cursor}.{run:x}");
                if let Some(Partly { end, last }) = &spot.listed {
                    text.push_str(&format!(".{end}.{last}"));
                }
                text
            }
            Self::Ended(spot) => {
                let left = spot.left.map(|left| left.to_string()).unwrap_or_default();
                format!("e.{}.{}.{left}", spot.minute, spot.shard)
            }
        };
        format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(inner))
    }

    /// The place that `text` names; `None` if it names none of `n_shards` shards.
    pub(super) fn read(text: &str, n_shards: usize) -> Option<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let inner = URL_SAFE_NO_PAD.decode(text.strip_prefix(VERSION)?).ok()?;
        let inner = String::from_utf8(inner).ok()?;
        // A gid is the last, since anything may stand in it.
        let fields: Vec<&str> = inner.splitn(6, '.').collect();
        match fields[..] {
            ["d", shard, cursor, run, ref listed @ ..] => {
                let listed = match *listed {
                    [] => None,
                    [end, last] => {
                        Some(Partly { end: end.parse().ok()?, last: Gid::new(last).ok()? })
                    }
                    _ => return None,
                };
                let spot = DueSpot {
                    shard: shard.parse().ok()?,
                    cursor: cursor.parse().ok()?,
                    run: u64::from_str_radix(run, 16).ok()?,
                    listed,
                };
                (spot.shard <= n_shards).then_some(Self::Due(spot))
            }
            ["e", minute, shard, left] => {
                let left = if left.is_empty() { None } else { Some(left.parse().ok()?) };
                let (minute, shard) = (minute.parse().ok()?, shard.parse().ok()?);
                let spot = EndedSpot { minute, shard, left };
                (shard < n_shards).then_some(Self::Ended(spot))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(shard: usize, cursor: u64, listed: Option<(u64, &str)>) -> Spot {
        let listed = listed.map(|(end, last)| Partly { end, last: Gid::new(last).unwrap() });
        Spot::Due(DueSpot { shard, cursor, run: 0xfedc_ba98_7654_3210, listed })
    }

    #[test]
    fn what_was_written_is_read_again() {
        let longest = "ü".repeat(64);
        for spot in [
            due(0, 0, None),
            due(1_024, u64::MAX, None),
            due(7, 0, Some((0, "a.b/c d&e;\n.."))),
            due(1_023, u64::MAX, Some((u64::MAX, &longest))),
            Spot::Ended(EndedSpot { minute: 30_000_000, shard: 3, left: None }),
            Spot::Ended(EndedSpot { minute: u64::MAX, shard: 1_023, left: Some(u64::MAX) }),
        ] {
            let text = spot.write();
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            assert!(text.bytes().all(is_plain) && text.len() <= TEXT_BYTES_MAX, "{text}");
            assert_eq!(Spot::read(&text, 1_024), Some(spot), "{text}");
        }
    }

    #[test]
    fn no_other_text_is_a_place() {
        let encoded = |inner: &str| format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(inner));
        let good = encoded("e.12.3.4");
        assert!(Spot::read(&good, 4).is_some());
        assert_eq!(Spot::read(&good, 3), None, "a shard that there is not");
        assert_eq!(Spot::read(&good[1..], 4), None, "no version");
        assert_eq!(Spot::read(&good.replacen('1', "2", 1), 4), None, "another version");
        assert_eq!(Spot::read(&format!("{good}="), 4), None);
        for text in ["", "1", "0", "abc", "100", "1é", &"1".repeat(1_000)] {
            assert_eq!(Spot::read(text, 64), None, "{text}");
        }
        for inner in [
            "",
            "d",
            "e",
            "x.1.2.3",
            "e.1.2",
            "e.1.2.3.4",
            "e.1.2.x",
            "e.-1.2.3",
            "e..2.3",
            "d.1.2",
            "d.65.0.a",
            "d.1.2.g",
            "d.1.2.a.3",
            "d.1.2.a.3.",
            "d.1.2.a.x.gid",
        ] {
            assert_eq!(Spot::read(&encoded(inner), 64), None, "{inner}");
        }
        assert_eq!(Spot::read(&encoded(&format!("d.1.2.a.3.{}", "x".repeat(129))), 64), None);
    }
}
