//! The listing of the model store: the unfinished ones by gid, then the finished ones from the last
//! to the first.

use std::cmp::Reverse;

use tandem::store::{Filter, Listed, Page, Stored};

use super::model_rules::Tables;

/// A page from `position` on, which says of which part, and after whom: `u<gid>` or `f<µs>.<gid>`.
pub(crate) fn list(
    tables: &Tables,
    filter: &Filter,
    position: Option<&str>,
    limit: usize,
) -> Listed {
    let Some(after) = read(position) else { return Listed::BadPosition };
    let mut all: Vec<(Place, Stored)> = tables
        .entries
        .keys()
        .filter_map(|gid| tables.query(gid))
        .map(|stored| (place(&stored), stored))
        .filter(|(place, stored)| {
            filter.takes_stored(stored) && after.as_ref().is_none_or(|after| place > after)
        })
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    let has_more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| has_more).map(|(place, _)| write(place));
    Listed::Page(Page { transactions: all.into_iter().map(|(_, stored)| stored).collect(), next })
}

/// What the order goes by: whether it has ended, when, and its gid.
type Place = (bool, Reverse<u64>, String);

fn place(stored: &Stored) -> Place {
    let has_ended = stored.global.state.status.is_final();
    let ended_at = if has_ended { stored.updated_at.as_us() } else { 0 };
    (has_ended, Reverse(ended_at), stored.global.gid().to_string())
}

fn write((has_ended, Reverse(ended_at), gid): &Place) -> String {
    if *has_ended { format!("f{ended_at}.{gid}") } else { format!("u{gid}") }
}

/// The place that `position` names; `None` inside for the start, outside for what is no position.
fn read(position: Option<&str>) -> Option<Option<Place>> {
    let Some(text) = position else { return Some(None) };
    if let Some(gid) = text.strip_prefix('u') {
        return Some(Some((false, Reverse(0), gid.to_owned())));
    }
    let (ended_at, gid) = text.strip_prefix('f')?.split_once('.')?;
    Some(Some((true, Reverse(ended_at.parse().ok()?), gid.to_owned())))
}
