//! What looks at the buckets of a sale say of it: which items nobody can have, and until when.

use std::{sync::Arc, time::Duration};

use crate::{
    model::flash::{ItemId, Sale},
    store::flash::{BucketBooks, MEMORY_MAX},
};

use super::owners::Owners;

/// What a node knows of a sale of which something is sold out.
pub(super) struct Known {
    pub(super) sale: Arc<Sale>,
    /// Who may be owed a stored answer, if it is about covered items: those of which no bucket had a
    /// unit, all at one instant. Who took one since took it late.
    owners: Owners,
    /// In the order of the sale's items, of covered ones: how often units were taken, by bucket, as
    /// of the last pass.
    covered: Vec<Option<Box<[u64]>>>,
    /// Those of them of which the last pass found no unit that could be taken.
    seen: Vec<Option<Dry>>,
    /// Those of them of which no bucket had one, all at one instant of that pass.
    said: Vec<Option<Dry>>,
    /// Until when it may be said, in monotonic time, unless units are for sale again before.
    until: Duration,
    /// When the last pass of looks was over.
    passed_at: Duration,
}

/// An item of which no unit could be taken.
#[derive(Clone)]
pub(super) struct Dry {
    pub(super) marks: Marks,
    /// Units that are back can be taken from then on, in monotonic time; `None` if there are none.
    pub(super) shut_until: Option<Duration>,
}

/// What would have changed if units of an item had been taken, supplied or moved: takes and supply, by
/// bucket.
pub(super) type Marks = Box<[(u64, u64)]>;

/// All buckets, looked at once.
pub(super) struct Pass {
    pub(super) sent_at: Duration,
    pub(super) over_at: Duration,
    pub(super) looks: Vec<BucketBooks>,
}

impl Known {
    /// Nothing is said yet of the items that `pass` found `dry` in all buckets at one instant.
    pub(super) fn new(
        sale: &Arc<Sale>,
        dry: Vec<Option<Dry>>,
        pass: &Pass,
        owners: Owners,
    ) -> Self {
        Self {
            sale: Arc::clone(sale),
            owners,
            covered: dry.iter().map(|dry| Some(dry.as_ref()?.takes())).collect(),
            said: vec![None; dry.len()],
            seen: dry,
            until: pass.over_at,
            passed_at: pass.over_at,
        }
    }

    /// Up to how many late takes the owners are known, of each bucket.
    pub(super) fn late_takes(&self) -> Vec<u64> {
        self.owners.late_takes().collect()
    }

    /// Whether the owners of all these items are known.
    pub(super) fn covers(&self, dry: &[Option<Dry>]) -> bool {
        self.covered.iter().zip(dry).all(|(covered, dry)| covered.is_some() || dry.is_none())
    }

    /// What is known after one more pass, which asked for the late takers behind
    /// [`late_takes`](Self::late_takes); `None` if that is nothing.
    pub(super) fn after(&self, sale: &Arc<Sale>, pass: &Pass) -> Option<Self> {
        if self.sale.version != sale.version {
            return None;
        }
        let owners = self.owners.with(&pass.looks)?;
        let covered = self.covered.iter().zip(&sale.items).map(|(before, item)| match before {
            Some(before) => pass.takes_since(&item.id, before).map(Some),
            None => Some(None),
        });
        let covered: Vec<_> = covered.collect::<Option<_>>()?;
        let dry = pass.dry(sale).into_iter().zip(&covered);
        let seen: Vec<_> = dry.map(|(dry, covered)| dry.filter(|_| covered.is_some())).collect();
        let (said, true_at) = if sale.buckets == 1 {
            (seen.clone(), pass.sent_at)
        } else {
            // Of several buckets, all were dry at once between this pass and the one before.
            (same(&self.seen, &seen), self.passed_at)
        };
        Some(Self {
            sale: Arc::clone(sale),
            owners,
            covered,
            seen,
            said,
            until: true_at + MEMORY_MAX,
            passed_at: pass.over_at,
        })
    }

    pub(super) fn sold_out<'a>(
        &self,
        buyer: &str,
        lines: impl Iterator<Item = (&'a str, u64)>,
    ) -> Option<(&ItemId, Duration)> {
        let mut found = None;
        let mut units = 0_u64;
        for (item, take) in lines {
            let number = self.sale.items.iter().position(|it| it.id.as_str() == item)?;
            let item = self.sale.items.get(number)?;
            // The limit comes before the stock, and is the script's to tell.
            units = units.saturating_add(take);
            if item.limit.is_some_and(|limit| take > limit) {
                return None;
            }
            if let (None, Some(Some(dry))) = (found, self.said.get(number)) {
                found = Some((&item.id, dry));
            }
        }
        if self.sale.limit.is_some_and(|limit| units > limit) {
            return None;
        }
        let (item, dry) = found?;
        let until = dry.shut_until.map_or(self.until, |shut| shut.min(self.until));
        (!self.owners.has(buyer)).then_some((item, until))
    }
}

impl Dry {
    fn takes(&self) -> Box<[u64]> {
        self.marks.iter().map(|(takes, _)| *takes).collect()
    }
}

impl Pass {
    /// How often units of a covered item were taken now, by bucket; `None` unless all that were
    /// taken since `before` can have been taken late. That is so if Redis fell back to an older
    /// state, in which some were left.
    fn takes_since(&self, item: &ItemId, before: &[u64]) -> Option<Box<[u64]>> {
        let since = |(look, before): (&BucketBooks, &u64)| {
            let books = look.items.iter().find(|books| books.item == *item)?;
            let n_taken = books.takes.checked_sub(*before)?;
            let can_be_late = books.reopens_at.is_some() || n_taken == 0 && books.available == 0;
            // Of several buckets, transfers count as takes.
            let n_late = look.late_takers.len() as u64;
            let are_told = self.looks.len() > 1 || n_taken <= n_late;
            (can_be_late && are_told).then_some(books.takes)
        };
        self.looks.iter().zip(before).map(since).collect()
    }

    /// In the order of the sale's items: those of which no bucket has a unit that can be taken, and none
    /// is on its way to one.
    pub(super) fn dry(&self, sale: &Sale) -> Vec<Option<Dry>> {
        if self.looks.iter().any(|look| look.in_transit > 0) {
            return vec![None; sale.items.len()];
        }
        sale.items.iter().map(|item| self.dry_item(&item.id)).collect()
    }

    fn dry_item(&self, item: &ItemId) -> Option<Dry> {
        let mut marks = Vec::with_capacity(self.looks.len());
        let mut shut_until: Option<Duration> = None;
        for look in &self.looks {
            let books = look.items.iter().find(|books| books.item == *item)?;
            if books.available > 0 {
                // When the question was sent, Redis's clock was not ahead of the answer's.
                let shut = books.reopens_at.filter(|&at| at > look.now)?;
                let until = self.sent_at + shut.since(look.now);
                shut_until = Some(shut_until.map_or(until, |earlier| earlier.min(until)));
            }
            marks.push((books.takes, books.supply));
        }
        Some(Dry { marks: marks.into(), shut_until })
    }
}

/// The items that are dry in both, with nothing taken or moved between; as they are now.
pub(super) fn same(before: &[Option<Dry>], now: &[Option<Dry>]) -> Vec<Option<Dry>> {
    let is_same = |before: &Option<Dry>, now: &Dry| {
        before.as_ref().is_some_and(|before| before.marks == now.marks)
    };
    let pairs = before.iter().zip(now);
    pairs.map(|(before, now)| now.clone().filter(|now| is_same(before, now))).collect()
}

pub(super) fn n_some(dry: &[Option<Dry>]) -> usize {
    dry.iter().flatten().count()
}

#[cfg(test)]
#[path = "known_tests.rs"]
mod tests;
