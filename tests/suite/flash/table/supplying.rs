//! The definition of a sale as its bucket takes it over, and units that go from bucket to bucket.

use tandem::{
    model::{
        Timestamp,
        flash::{Sale, share},
    },
    store::flash::{REOPENS_AFTER, Transfer},
};

use super::{Given, Head, Item, Table};

impl Item {
    /// Units come back: if there were none left, nobody can take them for a while.
    pub(crate) fn give_back(&mut self, units: u64, now: Timestamp) {
        if self.available == 0 {
            self.reopens_at = Some(now.plus(REOPENS_AFTER));
        }
        self.available += units;
    }
}

impl Table {
    /// Takes over the definition, if it is newer than what the bucket knows. Its share may only
    /// rise; what it rises by can be taken.
    pub(crate) fn define(&mut self, sale: &Sale, number: usize, now: Timestamp) {
        if sale.version <= self.head.version {
            return;
        }
        self.head = Head {
            version: sale.version,
            is_closed: sale.is_closed,
            opens_at: sale.opens_at,
            closes_at: sale.closes_at,
            limit: sale.limit,
            in_work_max: share(sale.orders_in_work_max, number, sale.buckets).max(1),
        };
        for offered in &sale.items {
            let share = share(offered.supply, number, sale.buckets);
            match self.items.get_mut(&offered.id) {
                None => {
                    let fresh = Item { share, supply: share, available: share, ..Item::default() };
                    self.items.insert(offered.id.clone(), Item { limit: offered.limit, ..fresh });
                }
                Some(item) => {
                    item.limit = offered.limit;
                    if share > item.share {
                        let more = share - item.share;
                        item.share = share;
                        item.supply += more;
                        item.give_back(more, now);
                    }
                }
            }
        }
    }

    /// Units leave for another bucket, at most `most`; a repeat is answered as the first time.
    pub(crate) fn give(&mut self, transfer: &Transfer, most: u64, now: Timestamp) -> u64 {
        let id = transfer.id.as_str();
        let earlier = self.given.get(id).map(|given| given.units);
        if let Some(units) = earlier.or_else(|| self.acknowledged.get(id).copied()) {
            return units;
        }
        let Some(item) = self.items.get_mut(&transfer.item) else { return 0 };
        let units = item.for_sale(now).min(most);
        if units > 0 {
            item.available -= units;
            item.takes += 1;
            item.supply -= units;
            let (id, to) = (transfer.id.clone(), transfer.to.shard);
            let given = Given { id, to, item: transfer.item.clone(), units };
            self.given.insert(transfer.id.as_str().to_owned(), given);
        }
        units
    }

    /// Units come from another bucket, once. They can be taken at once: whoever remembers that there
    /// were none looked at the bucket that gave them, too.
    pub(crate) fn receive(&mut self, transfer: &Transfer, units: u64, now: Timestamp) {
        let id = transfer.id.as_str();
        if self.received.contains_key(id) {
            return;
        }
        let Some(item) = self.items.get_mut(&transfer.item) else { return };
        if item.available == 0 {
            item.reopens_at = Some(now);
        }
        item.supply += units;
        item.available += units;
        item.takes += 1;
        self.received.insert(id.to_owned(), (transfer.item.clone(), units));
    }

    /// The units arrived.
    pub(crate) fn acknowledge(&mut self, transfer: &Transfer) {
        if let Some(given) = self.given.remove(transfer.id.as_str()) {
            self.acknowledged.insert(transfer.id.as_str().to_owned(), given.units);
        }
    }
}
