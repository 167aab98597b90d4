//! What is counted in one bucket, and how it compares to the books.

use std::{
    collections::{BTreeMap, HashSet, hash_map::RandomState},
    hash::BuildHasher,
};

use super::{Difference, RowCounts, buyers::Sums};
use crate::{
    model::{Status, flash::Sale},
    store::flash::{Books, BucketBooks, ReservationRow, RowLetter, RowOf, row_letter_at},
};

/// What was met before: a walk may come to a row twice. Hashes, so that millions fit.
#[derive(Debug, Default)]
pub(super) struct Seen {
    hashes: HashSet<u64>,
    hasher: RandomState,
}

impl Seen {
    /// Whether it is met for the first time.
    pub(super) fn is_new(&mut self, name: &str) -> bool {
        self.hashes.insert(self.hasher.hash_one(name))
    }
}

/// The rows of a bucket, counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// By item.
    units: BTreeMap<String, Units>,
    pub(super) orders: RowCounts,
    pub(super) branches: RowCounts,
    /// Held and sold units by their buyers.
    pub(super) buyers: Sums,
    seen: Seen,
}

#[derive(Clone, Copy, Debug, Default)]
struct Units {
    held: u64,
    sold: u64,
}

/// Of numbers that were stored: a recount is for those, too, that are not as they should be.
fn sum(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers.into_iter().fold(0, u64::saturating_add)
}

/// Whether the row's units are held or sold.
pub(super) fn counts(row: &ReservationRow) -> bool {
    row.letter != RowLetter::Released
}

impl Tally {
    /// Counts a row; answers whether it is met for the first time.
    pub(super) fn add(&mut self, row: &ReservationRow) -> bool {
        let name = match &row.of {
            RowOf::Order(order) => format!("o{order}"),
            RowOf::Branch(branch_id, gid) => format!("b{branch_id}\n{gid}"),
        };
        if !self.seen.is_new(&name) {
            return false;
        }
        let counts = match row.of {
            RowOf::Order(_) => &mut self.orders,
            RowOf::Branch(..) => &mut self.branches,
        };
        match row.letter {
            RowLetter::Held => counts.held += 1,
            RowLetter::Sold => counts.sold += 1,
            RowLetter::Released => counts.released += 1,
        }
        for (item, n) in row.lines.iter().filter(|_| self::counts(row)) {
            let units = self.units.entry(item.clone()).or_default();
            match row.letter {
                RowLetter::Held => units.held = units.held.saturating_add(*n),
                RowLetter::Sold => units.sold = units.sold.saturating_add(*n),
                RowLetter::Released => {}
            }
            self.buyers.add(&row.buyer, item, *n);
        }
        true
    }

    /// Where the books of bucket `number` differ.
    pub(super) fn compare(
        &self,
        number: usize,
        books: &BucketBooks,
        in_transit: u64,
    ) -> Vec<Difference> {
        let orders = self.orders.held + self.orders.sold + self.orders.released;
        let mut found = vec![
            ("orders in work", books.orders_in_work, self.orders.held),
            ("orders", books.orders, orders),
            ("transfers on their way", books.in_transit, in_transit),
        ]
        .into_iter()
        .filter(|(_, books, counted)| books != counted)
        .map(|(what, books, counted)| Difference::of(number, what, books, counted))
        .collect::<Vec<_>>();
        for item in &books.items {
            let Books { supply, available, held, sold, .. } = *item;
            let counted = self.units.get(item.item.as_str()).copied().unwrap_or_default();
            let pairs = [
                ("held units", held, counted.held),
                ("sold units", sold, counted.sold),
                ("supply = available + held + sold", supply, sum([available, held, sold])),
            ];
            for (what, books, counted) in pairs {
                if books != counted {
                    let told = Difference::of(number, what, books, counted);
                    found.push(told.of_item(item.item.as_str()));
                }
            }
        }
        for (item, units) in &self.units {
            if !books.items.iter().any(|it| it.item.as_str() == item) {
                let told = "units of an item that the books do not have";
                let counted = sum([units.held, units.sold]);
                found.push(Difference::of(number, told, 0, counted).of_item(item));
            }
        }
        found
    }
}

/// What is wrong with a row whose transaction stands so.
pub(super) fn misfit(
    number: usize,
    row: &ReservationRow,
    status: Option<Status>,
) -> Option<Difference> {
    let is = match row.letter {
        RowLetter::Held => "held",
        RowLetter::Sold => "sold",
        RowLetter::Released => "given back",
    };
    let (who, fits) = match &row.of {
        // An unfinished one never goes; an ended one goes when its retention is over.
        RowOf::Order(order) => {
            let fits = match status {
                Some(status) => row_letter_at(status) == row.letter,
                None => row.letter != RowLetter::Held,
            };
            (format!("the order {order}"), fits)
        }
        // Its transaction may be another coordinator's.
        RowOf::Branch(branch_id, gid) => {
            let ended = match row.letter {
                RowLetter::Held => status.is_some_and(Status::is_final),
                RowLetter::Sold => status == Some(Status::Failed),
                RowLetter::Released => false,
            };
            (format!("branch {branch_id} of {gid}"), !ended)
        }
    };
    if fits {
        return None;
    }
    let status = status.map_or("not there", Status::as_str);
    let units = sum(row.lines.iter().map(|(_, units)| *units));
    let told = format!("the units of {who} are {is}, its transaction is {status}");
    Some(Difference::of(number, told, units, 0))
}

/// Whether nothing happened to a bucket between two looks. What was taken is counted up for ever, so
/// nothing comes and goes unseen.
pub(super) fn is_same(before: &BucketBooks, after: &BucketBooks) -> bool {
    let counts = |it: &BucketBooks| (it.version, it.orders_in_work, it.orders, it.in_transit);
    let items = |it: &BucketBooks| -> Vec<_> {
        let item = |it: &Books| (it.supply, it.available, it.held, it.sold, it.takes);
        it.items.iter().map(item).collect()
    };
    counts(before) == counts(after) && items(before) == items(after)
}

/// Where what the buckets were supplied with, taken together, is not the definition's.
pub(super) fn compare_supplies(sale: &Sale, buckets: &[&BucketBooks]) -> Vec<Difference> {
    let mut found = Vec::new();
    for item in &sale.items {
        let of = buckets.iter().flat_map(|it| &it.items).filter(|it| it.item == item.id);
        let books = sum(of.map(|it| it.supply));
        if books != item.supply {
            found.push(Difference {
                bucket: None,
                item: Some(item.id.to_string()),
                what: "the supply of all buckets".to_owned(),
                books,
                counted: item.supply,
            });
        }
    }
    found
}
