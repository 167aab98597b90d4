//! What a node remembers of items that are sold out, by the rules of the house: looks and scans are
//! commands of their own, between which anything may happen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tandem::{
    model::{
        Timestamp,
        flash::{Buyer, ItemId},
    },
    store::flash::MEMORY_MAX,
};

use crate::flash::table::Table;

use super::flaw::Flaw;

/// What one node remembers, and what it is finding out.
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: BTreeMap<ItemId, Known>,
    looking: Option<Looking>,
}

/// An item that was sold out in every bucket at some instant.
#[derive(Clone, Debug)]
struct Known {
    /// Nobody is turned away from then on.
    until: Timestamp,
    last: Pass,
    /// Who held some at that instant, and who took some late until the last pass.
    holders: BTreeSet<Buyer>,
}

/// A look at each bucket.
#[derive(Clone, Debug)]
struct Pass {
    sent_at: Timestamp,
    over_at: Timestamp,
    looks: Vec<Look>,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    /// How often units were taken, if there are none left.
    dry_at: Option<u64>,
    late_takes: usize,
}

/// A pass of looks that is under way, or a scan.
#[derive(Debug)]
struct Looking {
    item: ItemId,
    stage: Stage,
    known: Known,
    pass: Pass,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    First(usize),
    /// Of several buckets.
    Second(usize),
    Scan(usize),
    Again(usize),
}

impl Memory {
    /// Whether `buyer` is turned away who asks for `item`.
    pub(super) fn turns_away(&self, buyer: &Buyer, item: &ItemId, now: Timestamp) -> bool {
        self.known
            .get(item)
            .is_some_and(|known| now < known.until && !known.holders.contains(buyer))
    }

    /// Does the next part of a look; `item` is wanted where none is under way.
    pub(super) fn advance(&mut self, item: &ItemId, tables: &[&Table], now: Timestamp, flaw: Flaw) {
        let Some(mut looking) = self.looking.take() else {
            self.looking = Some(match self.known.get(item) {
                Some(known) => Looking::at(Stage::Again(0), item, known.clone(), now),
                None => Looking::at(Stage::First(0), item, Known::new(now), now),
            });
            return;
        };
        let several = tables.len() > 1;
        let stage = looking.stage;
        let next = match stage {
            Stage::First(at) if !looking.look(tables, at, now) => looking.known_if_dry(|it| {
                // What was taken since is told by the look after the scan.
                it.known.last = it.pass.clone();
                if several { Stage::Second(0) } else { Stage::Scan(0) }
            }),
            Stage::Second(at) if !looking.look(tables, at, now) => {
                let is_same = looking.pass.is_as(&looking.known.last);
                let late: Vec<_> = looking.known.last.late_takes().collect();
                looking
                    .known_if_dry(|it| {
                        it.known.last = it.pass.clone();
                        for (look, late_takes) in it.known.last.looks.iter_mut().zip(late) {
                            look.late_takes = late_takes;
                        }
                        Stage::Scan(0)
                    })
                    .filter(|_| is_same)
            }
            Stage::Scan(at) => {
                if flaw != Flaw::MemoryForgetsHolders {
                    looking.scan(tables[at]);
                }
                let is_last = at + 1 == tables.len();
                Some(if is_last { Stage::Again(0) } else { Stage::Scan(at + 1) })
            }
            Stage::Again(at) => {
                let late_takes = looking.known.last.looks[at].late_takes;
                if flaw != Flaw::MemoryForgetsLateTakers {
                    let late = tables[at].late_takers.iter().skip(late_takes).cloned();
                    looking.known.holders.extend(late);
                }
                if !looking.look(tables, at, now) {
                    let known = looking.known.after(looking.pass, flaw);
                    self.known.insert(looking.item, known);
                    return;
                }
                Some(Stage::Again(at + 1))
            }
            Stage::First(at) => Some(Stage::First(at + 1)),
            Stage::Second(at) => Some(Stage::Second(at + 1)),
        };
        if let Some(stage) = next {
            if matches!(stage, Stage::Second(0) | Stage::Again(0)) {
                looking.pass = Pass::new(now);
            }
            self.looking = Some(Looking { stage, ..looking });
        }
    }
}

impl Looking {
    fn at(stage: Stage, item: &ItemId, known: Known, now: Timestamp) -> Self {
        Self { item: item.clone(), stage, known, pass: Pass::new(now) }
    }

    /// Looks at a bucket, and answers whether more are to come.
    fn look(&mut self, tables: &[&Table], at: usize, now: Timestamp) -> bool {
        let table = tables[at];
        let found = table.items.get(&self.item);
        let is_dry = |available| available == 0 && (tables.len() == 1 || table.given.is_empty());
        let dry_at = found.filter(|it| is_dry(it.available)).map(|it| it.takes);
        self.pass.looks.push(Look { dry_at, late_takes: table.late_takers.len() });
        self.pass.over_at = now;
        at + 1 < tables.len()
    }

    /// The next stage, if the pass found nothing left anywhere.
    fn known_if_dry(&mut self, next: impl FnOnce(&mut Self) -> Stage) -> Option<Stage> {
        self.pass.is_dry().then(|| next(self))
    }

    fn scan(&mut self, table: &Table) {
        let of_item = table.buyers.iter().filter(|(_, units)| units.contains_key(&self.item));
        self.known.holders.extend(of_item.map(|(buyer, _)| buyer.clone()));
    }
}

impl Known {
    fn new(now: Timestamp) -> Self {
        Self { until: now, last: Pass::new(now), holders: BTreeSet::new() }
    }

    /// What is known after one more pass; its late takers are put in before.
    fn after(self, pass: Pass, flaw: Flaw) -> Self {
        let true_at = if pass.looks.len() == 1 {
            pass.is_dry().then_some(pass.sent_at)
        } else {
            // Of several buckets, nothing moved between two passes.
            pass.is_as(&self.last).then_some(self.last.over_at)
        };
        let is_too_long = flaw == Flaw::MemoryLastsTooLong;
        let span = if is_too_long { Duration::from_secs(2) } else { MEMORY_MAX };
        let until = true_at.map_or(pass.sent_at, |at| at.plus(span));
        Self { until, last: pass, ..self }
    }
}

impl Pass {
    fn new(sent_at: Timestamp) -> Self {
        Self { sent_at, over_at: sent_at, looks: Vec::new() }
    }

    fn is_dry(&self) -> bool {
        self.looks.iter().all(|look| look.dry_at.is_some())
    }

    /// Whether both found nothing left, and nothing was taken or moved between them.
    fn is_as(&self, other: &Self) -> bool {
        let pairs = self.looks.iter().zip(&other.looks);
        self.is_dry() && pairs.into_iter().all(|(one, other)| one.dry_at == other.dry_at)
    }

    fn late_takes(&self) -> impl Iterator<Item = usize> {
        self.looks.iter().map(|look| look.late_takes)
    }
}
