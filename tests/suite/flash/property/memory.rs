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

/// An item that is sold out in every bucket.
#[derive(Debug)]
struct Known {
    until: Timestamp,
    /// Of each bucket, how often units were taken.
    takes: Vec<u64>,
    holders: BTreeSet<Buyer>,
}

/// A look that is under way.
#[derive(Debug)]
struct Looking {
    item: ItemId,
    stage: Stage,
    /// When the question was sent that finds nothing left.
    sent_at: Timestamp,
    takes: Vec<u64>,
    holders: BTreeSet<Buyer>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    First(usize),
    Scan(usize),
    /// The second look is not sent yet.
    Between,
    Second(usize),
    /// Of what is known already, where there is one bucket.
    Again,
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
        let several = tables.len() > 1;
        let Some(mut looking) = self.looking.take() else {
            let stage = match self.known.get(item) {
                Some(_) if !several => Stage::Again,
                Some(_) | None => Stage::First(0),
            };
            self.looking = Some(Looking {
                item: item.clone(),
                stage,
                sent_at: now,
                takes: Vec::new(),
                holders: BTreeSet::new(),
            });
            return;
        };
        let found = |at: usize| {
            let table = tables[at];
            let found = table.items.get(&looking.item)?;
            let is_dry = found.available == 0 && (!several || table.given.is_empty());
            is_dry.then_some(found.takes)
        };
        let stage = match looking.stage {
            Stage::First(at) => found(at).map(|takes| {
                looking.takes.push(takes);
                if at + 1 < tables.len() {
                    return Stage::First(at + 1);
                }
                if several {
                    looking.sent_at = now;
                }
                Stage::Scan(0)
            }),
            Stage::Scan(at) => {
                let holders = tables[at].buyers.iter();
                let of_item = holders.filter(|(_, units)| units.contains_key(&looking.item));
                if flaw != Flaw::MemoryForgetsHolders {
                    looking.holders.extend(of_item.map(|(buyer, _)| buyer.clone()));
                }
                let is_last = at + 1 == tables.len();
                Some(if is_last { Stage::Between } else { Stage::Scan(at + 1) })
            }
            Stage::Between => {
                if !several {
                    looking.sent_at = now;
                }
                Some(Stage::Second(0))
            }
            Stage::Second(at) => {
                let ignores = flaw == Flaw::MemoryIgnoresTakes;
                let is_same = |takes: &u64| ignores || looking.takes.get(at) == Some(takes);
                match found(at).filter(is_same) {
                    None => None,
                    Some(_) if at + 1 < tables.len() => Some(Stage::Second(at + 1)),
                    Some(_) => {
                        let until = until(looking.sent_at, flaw);
                        let known = Known { until, takes: looking.takes, holders: looking.holders };
                        self.known.insert(looking.item, known);
                        return;
                    }
                }
            }
            Stage::Again => {
                let takes = found(0);
                if let Some(known) = self.known.get_mut(&looking.item)
                    && takes.is_some_and(|takes| known.takes == [takes])
                {
                    known.until = until(looking.sent_at, flaw);
                    return;
                }
                None
            }
        };
        match stage {
            Some(stage) => self.looking = Some(Looking { stage, ..looking }),
            None => drop(self.known.remove(&looking.item)),
        }
    }
}

fn until(sent_at: Timestamp, flaw: Flaw) -> Timestamp {
    let is_too_long = flaw == Flaw::MemoryLastsTooLong;
    sent_at.plus(if is_too_long { Duration::from_secs(2) } else { MEMORY_MAX })
}
