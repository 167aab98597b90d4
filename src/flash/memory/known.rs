//! What looks at the buckets of a sale say of it: which items nobody can have, and until when.

use std::{sync::Arc, time::Duration};

use crate::{
    model::{
        flash::{ItemId, Sale},
        spread, stable_hash,
    },
    store::flash::{BucketBooks, MEMORY_MAX},
};

/// What two looks at all buckets, with nothing taken between them, showed.
pub(super) struct Known {
    pub(super) sale: Arc<Sale>,
    /// In the order of the sale's items: those of which no unit could be taken in any bucket.
    pub(super) dry: Vec<Option<Dry>>,
    /// By bucket: the hashes of all buyers with a reservation, in order.
    pub(super) buyers: Arc<[Box<[u64]>]>,
    /// Until when it may be said, in monotonic time, unless units are for sale again before.
    pub(super) until: Duration,
    /// When the last pass of looks was over.
    pub(super) passed_at: Duration,
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
    pub(super) fn n_dry(&self) -> usize {
        n_some(&self.dry)
    }

    /// What of it one more pass, which showed `dry`, found unchanged; `None` for nothing.
    pub(super) fn narrowed(
        &self,
        sale: &Arc<Sale>,
        dry: &[Option<Dry>],
        pass: &Pass,
    ) -> Option<Self> {
        if self.sale.version != sale.version {
            return None;
        }
        let same = same(&self.dry, dry);
        if n_some(&same) == 0 {
            return None;
        }
        // Of several buckets, all were dry at once between this pass and the one before.
        let true_at = if sale.buckets == 1 { pass.sent_at } else { self.passed_at };
        Some(Self {
            sale: Arc::clone(sale),
            dry: same,
            buyers: Arc::clone(&self.buyers),
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
            if let (None, Some(Some(dry))) = (found, self.dry.get(number)) {
                found = Some((&item.id, dry));
            }
        }
        if self.sale.limit.is_some_and(|limit| units > limit) {
            return None;
        }
        let (item, dry) = found?;
        let buyers = self.buyers.get(spread(buyer, self.buyers.len()))?;
        let is_owed = buyers.binary_search(&stable_hash(buyer)).is_ok();
        let until = dry.shut_until.map_or(self.until, |shut| shut.min(self.until));
        (!is_owed).then_some((item, until))
    }
}

impl Pass {
    /// In the order of the sale's items: those of which no bucket has a unit that can be taken.
    pub(super) fn dry(&self, sale: &Sale) -> Vec<Option<Dry>> {
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
mod tests {
    use super::*;
    use crate::{
        model::{
            Timestamp,
            flash::{Buyer, SaleId, SaleItem},
        },
        store::flash::Books,
    };

    const NOW: Timestamp = Timestamp::from_us(1_000_000_000);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn sale(buckets: usize) -> Arc<Sale> {
        let item = |id: &str, limit| SaleItem { id: ItemId::new(id).unwrap(), supply: 9, limit };
        Arc::new(Sale {
            id: SaleId::new("s").unwrap(),
            version: 3,
            created_at: NOW,
            updated_at: NOW,
            is_closed: false,
            opens_at: None,
            closes_at: None,
            hold: ms(1_000),
            limit: Some(4),
            items: vec![item("hat", None), item("shoe", Some(2))],
            steps: Vec::new(),
            buckets,
            orders_in_work_max: 9,
        })
    }

    /// A look: of each item how many are available, since when they are for sale (ms from the
    /// look), and how often units were taken.
    fn look(items: &[(&str, u64, Option<u64>, u64)]) -> BucketBooks {
        let books = |&(item, available, reopens_ms, takes): &(&str, u64, Option<u64>, u64)| Books {
            item: ItemId::new(item).unwrap(),
            share: 9,
            supply: 9,
            available,
            held: 0,
            sold: 9 - available,
            limit: None,
            reopens_at: reopens_ms.map(|span| NOW.plus(ms(span))),
            takes,
        };
        BucketBooks {
            now: NOW,
            version: 3,
            orders_in_work: 0,
            orders: 0,
            in_transit: 0,
            items: items.iter().map(books).collect(),
        }
    }

    fn pass(sent_ms: u64, looks: Vec<BucketBooks>) -> Pass {
        Pass { sent_at: ms(sent_ms), over_at: ms(sent_ms + 2), looks }
    }

    fn known(sale: &Arc<Sale>, pass: &Pass, owners: &[&str]) -> Known {
        let mut buyers = vec![Vec::new(); sale.buckets];
        for owner in owners {
            let number = sale.bucket_number_of(&Buyer::new(owner).unwrap());
            buyers[number].push(stable_hash(owner));
        }
        Known {
            sale: Arc::clone(sale),
            dry: pass.dry(sale),
            buyers: buyers.into_iter().map(Into::into).collect(),
            until: pass.sent_at + MEMORY_MAX,
            passed_at: pass.over_at,
        }
    }

    fn said(known: &Known, buyer: &str, lines: &[(&str, u64)]) -> Option<(String, Duration)> {
        let said = known.sold_out(buyer, lines.iter().copied());
        said.map(|(item, until)| (item.to_string(), until))
    }

    #[test]
    fn only_what_is_dry_is_said_and_to_nobody_who_has_something() {
        let sale = sale(1);
        let pass = pass(0, vec![look(&[("hat", 3, None, 5), ("shoe", 0, None, 7)])]);
        let known = known(&sale, &pass, &["jane"]);
        let shoe = Some(("shoe".to_owned(), MEMORY_MAX));
        assert_eq!(said(&known, "joe", &[("shoe", 1)]), shoe);
        assert_eq!(said(&known, "joe", &[("hat", 1), ("shoe", 1)]), shoe);
        assert_eq!(said(&known, "joe", &[("hat", 1)]), None);
        assert_eq!(said(&known, "jane", &[("shoe", 1)]), None);
        // Other answers come before the stock: an unknown item, and both limits.
        assert_eq!(said(&known, "joe", &[("shoe", 1), ("sock", 1)]), None);
        assert_eq!(said(&known, "joe", &[("shoe", 3)]), None);
        assert_eq!(said(&known, "joe", &[("hat", 3), ("shoe", 2)]), None);
    }

    #[test]
    fn units_that_are_back_are_none_until_they_are_for_sale() {
        let sale = sale(1);
        let back = |reopens| pass(10, vec![look(&[("hat", 3, None, 5), ("shoe", 2, reopens, 7)])]);
        let until = |reopens| {
            let known = known(&sale, &back(reopens), &[]);
            said(&known, "joe", &[("shoe", 1)]).map(|(_, until)| until)
        };
        assert_eq!(until(Some(90)), Some(ms(100)));
        assert_eq!(until(Some(499)), Some(ms(10) + MEMORY_MAX));
        assert_eq!(until(Some(0)), None);
        assert_eq!(until(None), None);
    }

    #[test]
    fn another_look_extends_what_did_not_change_and_drops_what_did() {
        let sale = sale(1);
        let dry = |sent_ms, takes| {
            let looks = vec![look(&[("hat", 0, None, 5), ("shoe", 0, None, takes)])];
            pass(sent_ms, looks)
        };
        let before = known(&sale, &dry(0, 7), &["jane"]);
        let later = dry(150, 8);
        let now = before.narrowed(&sale, &later.dry(&sale), &later).unwrap();
        let hat = Some(("hat".to_owned(), ms(150) + MEMORY_MAX));
        assert_eq!(said(&now, "joe", &[("hat", 1)]), hat);
        assert_eq!(said(&now, "joe", &[("shoe", 1)]), None);
        assert_eq!(said(&now, "jane", &[("hat", 1)]), None);
    }

    #[test]
    fn of_several_buckets_all_were_dry_at_once_only_between_two_passes() {
        let sale = sale(2);
        let dry =
            |sent_ms| pass(sent_ms, vec![look(&[("hat", 0, None, 5), ("shoe", 0, None, 7)]); 2]);
        let before = known(&sale, &dry(0), &[]);
        let now = before.narrowed(&sale, &dry(150).dry(&sale), &dry(150)).unwrap();
        assert_eq!(said(&now, "joe", &[("hat", 1)]), Some(("hat".to_owned(), ms(2) + MEMORY_MAX)));
        // A unit in one bucket is one for all.
        let looks = vec![
            look(&[("hat", 0, None, 5), ("shoe", 0, None, 7)]),
            look(&[("hat", 1, None, 5), ("shoe", 0, None, 7)]),
        ];
        let later = pass(300, looks);
        let now = now.narrowed(&sale, &later.dry(&sale), &later).unwrap();
        assert_eq!(said(&now, "joe", &[("hat", 1)]), None);
        assert!(said(&now, "joe", &[("shoe", 1)]).is_some());
    }
}
