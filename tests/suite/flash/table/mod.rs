//! One bucket of a flash sale as a value: a plain reading of the rules that the scripts are written
//! from. Time comes in as a value, and nothing here can fail.
//!
//! - `taking`: what units are taken for, and how that ends
//! - `supplying`: the definition, and units that come from other buckets or go there

mod supplying;
mod taking;

use std::collections::BTreeMap;

use tandem::{
    model::{
        Gid, Timestamp, Token,
        flash::{Bucket, Buyer, ItemId, OrderId},
    },
    store::flash::{Books, BucketBooks, RowLetter, TakenLine, Transfer},
};

pub(crate) use taking::Took;

/// One shard's part of a sale.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) head: Head,
    /// Orders that are neither sold nor released.
    pub(crate) in_work: u64,
    /// Orders that were ever accepted.
    pub(crate) orders: u64,
    pub(crate) items: BTreeMap<ItemId, Item>,
    /// What each buyer holds or bought; who gave all back has no entry.
    pub(crate) buyers: BTreeMap<Buyer, BTreeMap<ItemId, u64>>,
    /// All that was ever taken, or barred from being taken.
    pub(crate) rows: BTreeMap<RowId, Row>,
    /// Units that left for other buckets and are not acknowledged, by the transfer's id.
    pub(crate) given: BTreeMap<String, Given>,
    /// The same of transfers that are acknowledged, so that a late repeat of one gives nothing.
    pub(crate) acknowledged: BTreeMap<String, u64>,
    /// Of each take of units that had come back, whose it was.
    pub(crate) late_takers: Vec<Buyer>,
    /// Units that came from other buckets, by the transfer's id.
    pub(crate) received: BTreeMap<String, (ItemId, u64)>,
}

/// What the bucket knows of its sale's definition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    /// 0 before the first definition.
    pub(crate) version: u64,
    pub(crate) is_closed: bool,
    pub(crate) opens_at: Option<Timestamp>,
    pub(crate) closes_at: Option<Timestamp>,
    /// The most units of all items together that one buyer may hold or have bought.
    pub(crate) limit: Option<u64>,
    /// The most orders in work; 0 for any number.
    pub(crate) in_work_max: u64,
}

/// One item: `supply = available + held + sold` at every instant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Item {
    pub(crate) share: u64,
    pub(crate) supply: u64,
    pub(crate) available: u64,
    pub(crate) held: u64,
    pub(crate) sold: u64,
    pub(crate) limit: Option<u64>,
    pub(crate) reopens_at: Option<Timestamp>,
    pub(crate) takes: u64,
}

/// What a row belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowId {
    Order(OrderId),
    Branch { gid: Gid, branch_id: String },
}

/// A reservation.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) letter: RowLetter,
    pub(crate) buyer: Buyer,
    /// None for one that was given back before it held.
    pub(crate) lines: Vec<TakenLine>,
}

/// Units that left for another bucket.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) id: Token,
    /// The shard of that bucket.
    pub(crate) to: usize,
    pub(crate) item: ItemId,
    pub(crate) units: u64,
}

impl Item {
    /// What can be taken now: units that just came back are not for sale yet.
    pub(crate) fn for_sale(&self, now: Timestamp) -> u64 {
        if self.reopens_at.is_some_and(|at| now < at) { 0 } else { self.available }
    }
}

impl Table {
    /// The books, all of one instant, with the late takers behind the first `late_takes`.
    pub(crate) fn look(&self, late_takes: Option<u64>, now: Timestamp) -> BucketBooks {
        let n_known = late_takes.map_or(usize::MAX, |known| known.try_into().unwrap());
        let late_takers = self.late_takers.iter().skip(n_known);
        let books = |(id, item): (&ItemId, &Item)| Books {
            item: id.clone(),
            share: item.share,
            supply: item.supply,
            available: item.available,
            held: item.held,
            sold: item.sold,
            limit: item.limit,
            reopens_at: item.reopens_at,
            takes: item.takes,
        };
        BucketBooks {
            now,
            version: self.head.version,
            orders_in_work: self.in_work,
            orders: self.orders,
            in_transit: self.given.len() as u64,
            late_takes: self.late_takers.len() as u64,
            late_takers: late_takers.map(ToString::to_string).collect(),
            items: self.items.iter().map(books).collect(),
        }
    }

    /// How many units of `item` the buyer holds or bought.
    pub(crate) fn units_of(&self, buyer: &Buyer, item: &ItemId) -> u64 {
        self.buyers.get(buyer).and_then(|units| units.get(item)).copied().unwrap_or(0)
    }

    /// The same of all items together.
    pub(crate) fn all_units_of(&self, buyer: &Buyer) -> u64 {
        self.buyers.get(buyer).map_or(0, |units| units.values().sum())
    }

    /// The transfers of this bucket that are not acknowledged, with their units.
    pub(crate) fn transfers(&self, from: &Bucket) -> impl Iterator<Item = (Transfer, u64)> {
        self.given.values().map(move |given| {
            let to = Bucket { sale: from.sale.clone(), shard: given.to };
            let (id, item) = (given.id.clone(), given.item.clone());
            (Transfer { id, from: from.clone(), to, item }, given.units)
        })
    }
}
