//! What one look at all buckets of a sale showed.

use std::{cmp::Reverse, time::Duration};

use crate::{
    model::flash::{Bucket, ItemId, Line},
    store::{
        StoreError,
        flash::{Books, BucketBooks},
    },
};

/// All buckets of a sale, as far as they answered.
pub(super) struct Seen<'a> {
    /// In the order of their numbers.
    buckets: &'a [Bucket],
    /// The number of the bucket that draws.
    number: usize,
    /// By number; `None` while a bucket has not answered.
    looks: Vec<Option<Look>>,
}

enum Look {
    Books(BucketBooks),
    /// It knows no such sale.
    Nothing,
    Fault(StoreError),
}

/// What a line needs from other buckets.
#[derive(Debug)]
pub(super) struct Need<'a> {
    pub(super) line: &'a Line,
    pub(super) missing: u64,
    /// Who has any that are for sale, with how many: the richest first.
    pub(super) donors: Vec<(u64, &'a Bucket)>,
}

impl Need<'_> {
    /// Whether the donors have all that is missing.
    pub(super) fn is_met(&self) -> bool {
        self.donors.iter().map(|(available, _)| available).sum::<u64>() >= self.missing
    }
}

impl<'a> Seen<'a> {
    /// Before any has answered.
    pub(super) fn new(buckets: &'a [Bucket], number: usize) -> Self {
        Self { buckets, number, looks: buckets.iter().map(|_| None).collect() }
    }

    pub(super) fn put(&mut self, number: usize, look: Result<Option<BucketBooks>, StoreError>) {
        if let Some(place) = self.looks.get_mut(number) {
            *place = Some(match look {
                Ok(Some(books)) => Look::Books(books),
                Ok(None) => Look::Nothing,
                Err(fault) => Look::Fault(fault),
            });
        }
    }

    /// The books of the bucket that draws.
    ///
    /// # Errors
    /// Why it did not answer.
    pub(super) fn own(&self) -> Result<Option<&BucketBooks>, StoreError> {
        match self.looks.get(self.number) {
            Some(Some(Look::Books(books))) => Ok(Some(books)),
            Some(Some(Look::Nothing)) => Ok(None),
            Some(Some(Look::Fault(fault))) => Err(fault.clone()),
            Some(None) | None => Err(silence()),
        }
    }

    /// Whether all have answered.
    ///
    /// # Errors
    /// Why one did not.
    pub(super) fn heard(&self) -> Result<(), StoreError> {
        self.looks.iter().try_for_each(|look| match look {
            None => Err(silence()),
            Some(Look::Fault(fault)) => Err(fault.clone()),
            Some(Look::Books(_) | Look::Nothing) => Ok(()),
        })
    }

    /// What `lines` need from the others, beyond what the bucket has; lines that need nothing are
    /// left out.
    pub(super) fn needs<'b>(&'b self, lines: &'b [Line]) -> Vec<Need<'b>> {
        let need = |line: &'b Line| {
            let own = self.own().ok().flatten();
            let own = own.and_then(|own| books(own, &line.item)).map_or(0, |it| it.available);
            let missing = line.take.saturating_sub(own);
            (missing > 0).then(|| Need { line, missing, donors: self.donors(&line.item) })
        };
        lines.iter().filter_map(need).collect()
    }

    fn donors(&self, item: &ItemId) -> Vec<(u64, &Bucket)> {
        let others = self.known().filter(|(number, _)| *number != self.number);
        let donor = |(number, look): (usize, &BucketBooks)| {
            let books = books(look, item).filter(|books| !is_shut(look, books))?;
            let bucket = self.buckets.get(number)?;
            (books.available > 0).then_some((books.available, bucket))
        };
        let mut donors: Vec<_> = others.filter_map(donor).collect();
        donors.sort_unstable_by_key(|&(available, bucket)| (Reverse(available), bucket.shard));
        donors
    }

    /// Whether the bucket and those that answered have all of `lines`.
    pub(super) fn suffices(&self, lines: &[Line]) -> bool {
        self.own().is_ok() && self.needs(lines).iter().all(Need::is_met)
    }

    /// Whether units of one of `lines` are back in the bucket and for sale in a moment.
    pub(super) fn reopens(&self, lines: &[Line]) -> bool {
        let Ok(Some(own)) = self.own() else { return false };
        lines.iter().any(|line| books(own, &line.item).is_some_and(|books| is_shut(own, books)))
    }

    /// Whether units of one of `lines` came to the bucket, where there were none, within `span` until
    /// it answered.
    pub(super) fn has_got(&self, lines: &[Line], span: Duration) -> bool {
        let Ok(Some(own)) = self.own() else { return false };
        let is_recent =
            |books: &Books| books.reopens_at.is_some_and(|at| own.now.since(at) <= span);
        lines.iter().any(|line| books(own, &line.item).is_some_and(is_recent))
    }

    /// The buckets with units on their way to others.
    pub(super) fn senders(&self) -> impl Iterator<Item = &Bucket> {
        let senders = self.known().filter(|(_, look)| look.in_transit > 0);
        senders.filter_map(|(number, _)| self.buckets.get(number))
    }

    fn known(&self) -> impl Iterator<Item = (usize, &BucketBooks)> {
        self.looks.iter().enumerate().filter_map(|(number, look)| match look {
            Some(Look::Books(books)) => Some((number, books)),
            Some(Look::Nothing | Look::Fault(_)) | None => None,
        })
    }
}

fn books<'a>(look: &'a BucketBooks, item: &ItemId) -> Option<&'a Books> {
    look.items.iter().find(|books| books.item == *item)
}

fn is_shut(look: &BucketBooks, books: &Books) -> bool {
    books.reopens_at > Some(look.now)
}

fn silence() -> StoreError {
    StoreError::Unreachable("a bucket of the sale does not answer".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Timestamp, flash::SaleId};

    const NOW: Timestamp = Timestamp::from_us(9_000_000);

    fn item(id: &str) -> ItemId {
        ItemId::new(id).unwrap()
    }

    fn line(id: &str, take: u64) -> Line {
        Line { item: item(id), take }
    }

    fn buckets(count: usize) -> Vec<Bucket> {
        let sale = SaleId::new("spring").unwrap();
        (0..count).map(|shard| Bucket { sale: sale.clone(), shard }).collect()
    }

    /// A bucket with so many units of each item, which are for sale since, or from, a time.
    fn look(items: &[(&str, u64)], reopens_at: Option<Timestamp>) -> BucketBooks {
        let books = |&(id, available): &(&str, u64)| Books {
            item: item(id),
            share: available,
            supply: available,
            available,
            held: 0,
            sold: 0,
            limit: None,
            reopens_at,
            takes: 0,
        };
        BucketBooks {
            now: NOW,
            version: 1,
            orders_in_work: 0,
            orders: 0,
            in_transit: 0,
            late_takes: 0,
            late_takers: Vec::new(),
            items: items.iter().map(books).collect(),
        }
    }

    #[test]
    fn what_each_line_lacks_is_with_the_richest_first_and_not_where_it_is_shut() {
        let buckets = buckets(4);
        let mut seen = Seen::new(&buckets, 1);
        seen.put(0, Ok(Some(look(&[("hat", 1), ("shoe", 2)], None))));
        seen.put(1, Ok(Some(look(&[("hat", 3), ("shoe", 1)], None))));
        seen.put(2, Ok(Some(look(&[("shoe", 5)], None))));
        let later = NOW.plus(Duration::from_millis(1));
        seen.put(3, Ok(Some(look(&[("shoe", 90)], Some(later)))));
        let lines = [line("hat", 3), line("shoe", 8)];
        let needs = seen.needs(&lines);
        let [need] = &needs[..] else { panic!("{needs:?}") };
        assert_eq!((&need.line.item, need.missing), (&item("shoe"), 7));
        assert_eq!(need.donors, [(5, &buckets[2]), (2, &buckets[0])]);
        assert!(need.is_met() && seen.suffices(&lines) && !seen.reopens(&lines));
        assert!(!seen.suffices(&[line("shoe", 9)]));
        assert_eq!(seen.heard(), Ok(()));
    }

    #[test]
    fn who_does_not_answer_gives_nothing_and_is_not_forgotten() {
        let buckets = buckets(3);
        let mut seen = Seen::new(&buckets, 0);
        seen.put(1, Ok(Some(look(&[("shoe", 2)], None))));
        assert!(seen.own().is_err() && !seen.suffices(&[line("shoe", 1)]));
        seen.put(0, Ok(Some(look(&[("shoe", 1)], None))));
        assert!(seen.suffices(&[line("shoe", 3)]) && !seen.suffices(&[line("shoe", 4)]));
        assert_eq!(seen.heard(), Err(silence()));
        let fault = StoreError::Unanswered("away".to_owned());
        seen.put(2, Err(fault.clone()));
        assert_eq!(seen.heard(), Err(fault));
    }

    #[test]
    fn what_came_to_a_dry_bucket_is_known_by_its_time() {
        let buckets = buckets(1);
        let mut seen = Seen::new(&buckets, 0);
        let at = Timestamp::from_us(NOW.as_us() - 5_000);
        seen.put(0, Ok(Some(look(&[("shoe", 0)], Some(at)))));
        let lines = [line("shoe", 1)];
        assert!(seen.has_got(&lines, Duration::from_millis(5)));
        assert!(!seen.has_got(&lines, Duration::from_millis(4)));
        assert!(!seen.has_got(&[line("hat", 1)], Duration::from_millis(5)));
    }
}
