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
    pub(super) buckets: &'a [Bucket],
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

    /// Why not all are known.
    pub(super) fn unheard(&self) -> Option<StoreError> {
        self.looks.iter().find_map(|look| match look {
            None => Some(silence()),
            Some(Look::Fault(fault)) => Some(fault.clone()),
            Some(Look::Books(_) | Look::Nothing) => None,
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
