//! What a shop says of a sale.

use std::time::Duration;

use super::{Bucket, Buyer, ItemId, SaleId};
use crate::model::{StepUrls, Timestamp, spread};

/// The most items of one sale.
pub const ITEMS_MAX: usize = 64;

/// The most buckets of one sale.
pub const BUCKETS_MAX: usize = 64;

/// An item as it is offered in a sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleItem {
    /// Its id.
    pub id: ItemId,
    /// All units that were ever supplied, over all buckets. It only rises.
    pub supply: u64,
    /// The most units that one buyer may hold or have bought.
    pub limit: Option<u64>,
}

/// A sale as its shop defined it. What is left of it is in its buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    /// Its id.
    pub id: SaleId,
    /// 1 when it was made; each change adds 1.
    pub version: u64,
    /// When it was made, by Redis's clock.
    pub created_at: Timestamp,
    /// When it was last changed, by Redis's clock.
    pub updated_at: Timestamp,
    /// Whether it was closed: for good.
    pub is_closed: bool,
    /// No order before, by Redis's clock.
    pub opens_at: Option<Timestamp>,
    /// No order from then on.
    pub closes_at: Option<Timestamp>,
    /// An order that is not completed within this span is rolled back. Whole seconds.
    pub hold: Duration,
    /// The most units of all items together that one buyer may hold or have bought.
    pub limit: Option<u64>,
    /// What is sold.
    pub items: Vec<SaleItem>,
    /// What is called for each order, and to undo it.
    pub steps: Vec<StepUrls>,
    /// Over how many shards it is spread. Fixed for its life, so that a repeat finds its order.
    pub buckets: usize,
    /// With so many orders in work, over all buckets, new ones are turned away for a while.
    pub orders_in_work_max: u64,
}

impl Sale {
    /// The number of `buyer`'s bucket: always the same one.
    pub fn bucket_number_of(&self, buyer: &Buyer) -> usize {
        spread(buyer.as_str(), self.buckets)
    }

    /// `buyer`'s bucket, where `shards` is how many shards there are.
    pub fn bucket_of(&self, buyer: &Buyer, shards: usize) -> Bucket {
        self.bucket(self.bucket_number_of(buyer), shards)
    }

    /// A bucket by its number. Buckets are as far from each other as the number of shards admits.
    pub fn bucket(&self, number: usize, shards: usize) -> Bucket {
        let home = spread(self.id.as_str(), shards);
        let distance = number * shards / self.buckets.max(1);
        Bucket { sale: self.id.clone(), shard: (home + distance) % shards.max(1) }
    }

    /// All its buckets, in the order of their numbers.
    pub fn all_buckets(&self, shards: usize) -> impl Iterator<Item = Bucket> + '_ {
        (0..self.buckets).map(move |number| self.bucket(number, shards))
    }
}

/// What bucket `number` of `buckets` was supplied with, of `supply` units in all: it never falls
/// when `supply` rises.
pub fn share(supply: u64, number: usize, buckets: usize) -> u64 {
    let buckets = buckets.max(1) as u64;
    supply / buckets + u64::from((number as u64) < supply % buckets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sale(buckets: usize) -> Sale {
        Sale {
            id: SaleId::new("spring").unwrap(),
            version: 1,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            is_closed: false,
            opens_at: None,
            closes_at: None,
            hold: Duration::from_mins(15),
            limit: None,
            items: Vec::new(),
            steps: Vec::new(),
            buckets,
            orders_in_work_max: 100_000,
        }
    }

    #[test]
    fn buckets_are_in_shards_of_their_own_as_far_apart_as_can_be() {
        for (buckets, shards) in [(1, 1), (1, 64), (3, 64), (8, 64), (64, 64), (5, 5)] {
            let mut found: Vec<_> = sale(buckets).all_buckets(shards).map(|b| b.shard).collect();
            assert!(found.iter().all(|&shard| shard < shards));
            found.sort_unstable();
            found.dedup();
            assert_eq!(found.len(), buckets, "{buckets} of {shards}");
        }
    }

    #[test]
    fn buyers_are_spread_evenly_over_the_buckets() {
        let sale = sale(4);
        let mut counts = [0_u32; 4];
        for number in 0..4_000 {
            counts[sale.bucket_number_of(&Buyer::new(&format!("buyer-{number}")).unwrap())] += 1;
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
    }

    #[test]
    fn shares_are_all_that_was_supplied_and_never_fall() {
        let mut before = [0; 7];
        for supply in 0..100 {
            let now: Vec<u64> = (0..7).map(|number| share(supply, number, 7)).collect();
            assert_eq!(now.iter().sum::<u64>(), supply);
            assert!(now.iter().zip(before).all(|(now, before)| *now >= before));
            before.copy_from_slice(&now);
        }
    }
}
