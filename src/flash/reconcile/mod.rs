//! Recounts a sale from its reservations and transactions, and says where the books differ.
//!
//! - `tally`: what is counted in one bucket, and how it compares; pure
//! - `buyers`: whether buyers have what the reservations say, in memory that does not grow with them

mod buyers;
mod tally;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::join_all;

use self::{
    buyers::{Part, Sums},
    tally::Tally,
};
use super::{SaleError, Sales};
use crate::{
    clock::Clock,
    model::{
        Gid, Status,
        flash::{Bucket, Sale, SaleId, order_gid, share},
    },
    store::{
        Store, StoreError,
        flash::{BucketBooks, FlashStore, ReservationRow, RowOf},
    },
};

/// How often a bucket is counted anew since it changed meanwhile.
const TRIES_MAX: usize = 8;

/// Between two tries.
const AGAIN_AFTER: Duration = Duration::from_millis(150);

/// So many transactions are asked for at once.
const AT_ONCE: usize = 64;

/// The most differences that are told one by one.
const TOLD_MAX: usize = 100;

/// The most transfers of a bucket that are listed.
const TRANSFERS_MAX: usize = 10_000;

/// Something that the books say otherwise than a recount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The number of the bucket; `None` for the sale as a whole.
    pub bucket: Option<usize>,
    /// Which item, if it is about one.
    pub item: Option<String>,
    /// What was compared.
    pub what: String,
    /// What the books say.
    pub books: u64,
    /// What was counted.
    pub counted: u64,
}

/// How many reservations stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Their units are held.
    pub held: u64,
    /// Their units are sold.
    pub sold: u64,
    /// Their units were given back.
    pub released: u64,
}

/// What a recount found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciled {
    /// Of which sale.
    pub sale: SaleId,
    /// Whether all of it was compared; otherwise a part changed again and again while it was counted,
    /// and nothing is said of that.
    pub is_exact: bool,
    /// The first hundred differences.
    pub differences: Vec<Difference>,
    /// How many there are.
    pub n_differences: usize,
    /// Over how many buckets the sale is spread.
    pub buckets: usize,
    /// How many of them could be counted; the others changed again and again.
    pub buckets_counted: usize,
    /// The orders in the buckets that were counted.
    pub orders: RowCounts,
    /// The branches of other transactions there.
    pub branches: RowCounts,
}

/// What was found in one bucket.
#[derive(Debug, Default)]
struct Recount {
    differences: Vec<Difference>,
    orders: RowCounts,
    branches: RowCounts,
}

impl<S: Store + FlashStore, K: Clock> Sales<S, K> {
    /// Recounts the sale of this id. Reads everything that is stored of it, page by page, and writes
    /// nothing.
    ///
    /// # Errors
    /// [`SaleError::Unknown`], [`SaleError::Store`].
    pub async fn reconcile(&self, id: &SaleId) -> Result<Reconciled, SaleError> {
        let sale = self.read(id).await?.ok_or_else(|| SaleError::Unknown(id.clone()))?;
        // Never closed.
        let _turn = self.recounts.acquire().await;
        let mut found = Reconciled {
            sale: id.clone(),
            is_exact: true,
            differences: Vec::new(),
            n_differences: 0,
            buckets: sale.buckets,
            buckets_counted: 0,
            orders: RowCounts::default(),
            branches: RowCounts::default(),
        };
        for (number, bucket) in sale.all_buckets(self.store.shard_count()).enumerate() {
            match self.settled(&sale, number, &bucket).await? {
                Some(recount) => {
                    found.buckets_counted += 1;
                    found.orders = found.orders.plus(recount.orders);
                    found.branches = found.branches.plus(recount.branches);
                    found.n_differences += recount.differences.len();
                    let room = TOLD_MAX - found.differences.len();
                    found.differences.extend(recount.differences.into_iter().take(room));
                }
                None => found.is_exact = false,
            }
        }
        match self.supplies(id).await? {
            Some(differences) => {
                found.n_differences += differences.len();
                let room = TOLD_MAX - found.differences.len();
                found.differences.extend(differences.into_iter().take(room));
            }
            None => found.is_exact = false,
        }
        Ok(found)
    }

    /// Counts a bucket until it did not change meanwhile, and, where it differs, twice alike: the end
    /// of a reservation may be on its way. `None` if it changes all the time.
    async fn settled(
        &self,
        sale: &Arc<Sale>,
        number: usize,
        bucket: &Bucket,
    ) -> Result<Option<Recount>, StoreError> {
        let mut before: Option<Vec<Difference>> = None;
        for _ in 0..TRIES_MAX {
            if let Some(recount) = self.recount(sale, number, bucket).await? {
                if recount.differences.is_empty() || before.as_ref() == Some(&recount.differences) {
                    return Ok(Some(recount));
                }
                before = Some(recount.differences);
            }
            self.clock.sleep(AGAIN_AFTER).await;
        }
        Ok(None)
    }

    /// Counts a bucket; `None` if it changed meanwhile.
    async fn recount(
        &self,
        sale: &Sale,
        number: usize,
        bucket: &Bucket,
    ) -> Result<Option<Recount>, StoreError> {
        let Some(books) = self.store.look(bucket, None).await? else {
            let told = Difference::of(number, "the bucket's books are not there", 1, 0);
            return Ok(Some(Recount { differences: vec![told], ..Recount::default() }));
        };
        let mut tally = Tally::default();
        let mut misfits = Vec::new();
        let mut position = None;
        loop {
            let page = self.store.rows(bucket, position.as_deref()).await?;
            let rows: Vec<_> = page.rows.into_iter().filter(|row| tally.add(row)).collect();
            for (row, status) in self.statuses(bucket, rows).await? {
                misfits.extend(tally::misfit(number, &row, status));
            }
            position = page.next;
            if position.is_none() {
                break;
            }
            // Who asks for a busy sale is to hear soon that it cannot be counted now.
            if !self.is_still(bucket, &books).await? {
                return Ok(None);
            }
        }
        let buyers = self.buyer_sums(bucket).await?;
        let in_transit = self.store.transfers(bucket, TRANSFERS_MAX).await?.len();
        let parts = buyers.unlike(&tally.buyers);
        let mut differences = tally.compare(number, &books, in_transit as u64);
        for item in &sale.items {
            let own = share(item.supply, number, sale.buckets);
            let stored = books.items.iter().find(|it| it.item == item.id).map_or(0, |it| it.share);
            if books.version == sale.version && stored != own {
                let told = Difference::of(number, "the bucket's share", stored, own);
                differences.push(told.of_item(item.id.as_str()));
            }
        }
        differences.extend(misfits);
        if !parts.is_empty() {
            differences.extend(self.unlike_buyers(number, bucket, &parts).await?);
        }
        let is_still = self.is_still(bucket, &books).await?;
        let (orders, branches) = (tally.orders, tally.branches);
        Ok(is_still.then_some(Recount { differences, orders, branches }))
    }

    /// Whether nothing was taken, ended or moved in the bucket since these were its books.
    async fn is_still(&self, bucket: &Bucket, books: &BucketBooks) -> Result<bool, StoreError> {
        let now = self.store.look(bucket, None).await?;
        Ok(now.is_some_and(|now| tally::is_same(books, &now)))
    }

    /// Each row with its transaction's status, `None` if that is not there (any more).
    async fn statuses(
        &self,
        bucket: &Bucket,
        rows: Vec<ReservationRow>,
    ) -> Result<Vec<(ReservationRow, Option<Status>)>, StoreError> {
        let mut found = Vec::with_capacity(rows.len());
        for rows in rows.chunks(AT_ONCE) {
            let asked = rows.iter().map(async |row| {
                let gid = match &row.of {
                    RowOf::Order(order) => Some(order_gid(bucket, order)),
                    RowOf::Branch(_, gid) => Gid::new(gid).ok(),
                };
                let Some(gid) = gid else { return Ok(None) };
                let stored = self.store.query(&gid).await?;
                Ok::<_, StoreError>(stored.map(|it| it.global.state.status))
            });
            for (row, status) in rows.iter().zip(join_all(asked).await) {
                found.push((row.clone(), status?));
            }
        }
        Ok(found)
    }

    /// What the buyers' hash says, summed up.
    async fn buyer_sums(&self, bucket: &Bucket) -> Result<Sums, StoreError> {
        let (mut sums, mut seen) = (Sums::default(), tally::Seen::default());
        let mut position = None;
        loop {
            let page = self.store.buyers(bucket, position.as_deref()).await?;
            for row in page.rows.iter().filter(|row| seen.is_new(&row.buyer)) {
                for (item, units) in &row.units {
                    sums.add(&row.buyer, item, *units);
                }
            }
            position = page.next;
            if position.is_none() {
                return Ok(sums);
            }
        }
    }

    /// The buyers of these parts who have something else than the reservations say.
    async fn unlike_buyers(
        &self,
        number: usize,
        bucket: &Bucket,
        parts: &[Part],
    ) -> Result<Vec<Difference>, StoreError> {
        // Buyer and item: what the books say, what was counted.
        let mut units: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
        let is_asked = |buyer: &str, item: &str| parts.contains(&Part::of(buyer, item));
        let (mut seen, mut position) = (tally::Seen::default(), None);
        loop {
            let page = self.store.buyers(bucket, position.as_deref()).await?;
            for row in page.rows.iter().filter(|row| seen.is_new(&row.buyer)) {
                for (item, n) in row.units.iter().filter(|(item, _)| is_asked(&row.buyer, item)) {
                    let (books, _) = units.entry((row.buyer.clone(), item.clone())).or_default();
                    *books = books.saturating_add(*n);
                }
            }
            position = page.next;
            if position.is_none() {
                break;
            }
        }
        let mut tally = Tally::default();
        loop {
            let page = self.store.rows(bucket, position.as_deref()).await?;
            for row in page.rows.iter().filter(|row| tally.add(row) && tally::counts(row)) {
                for (item, n) in row.lines.iter().filter(|(item, _)| is_asked(&row.buyer, item)) {
                    let (_, counted) = units.entry((row.buyer.clone(), item.clone())).or_default();
                    *counted = counted.saturating_add(*n);
                }
            }
            position = page.next;
            if position.is_none() {
                break;
            }
        }
        let unlike = units.into_iter().filter(|(_, (books, counted))| books != counted);
        let told = |((buyer, item), (books, counted)): ((String, String), (u64, u64))| {
            Difference::of(number, format!("the units of the buyer {buyer}"), books, counted)
                .of_item(&item)
        };
        Ok(unlike.map(told).collect())
    }

    /// Compares what all buckets together were supplied with to the definition; `None` while units
    /// are on their way from one to another.
    async fn supplies(&self, id: &SaleId) -> Result<Option<Vec<Difference>>, SaleError> {
        for _ in 0..TRIES_MAX * 2 {
            let sale = self.read(id).await?.ok_or_else(|| SaleError::Unknown(id.clone()))?;
            let first = self.books(&sale).await?;
            let second = self.books(&sale).await?;
            let all: Vec<_> = first.iter().flatten().collect();
            let is_still = first.iter().zip(&second).all(|pair| match pair {
                (Some(first), Some(second)) => is_settled(first, second, &sale),
                // It is told where the bucket is counted.
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            });
            if is_still && all.len() == sale.buckets {
                return Ok(Some(tally::compare_supplies(&sale, &all)));
            } else if is_still {
                return Ok(Some(Vec::new()));
            }
            self.clock.sleep(AGAIN_AFTER).await;
        }
        Ok(None)
    }
}

/// Whether the bucket's supplies are those of `sale`, with none on the way.
fn is_settled(first: &BucketBooks, second: &BucketBooks, sale: &Sale) -> bool {
    let supplies = |books: &BucketBooks| books.items.iter().map(|it| it.supply).collect::<Vec<_>>();
    let is_quiet = first.in_transit == 0 && second.in_transit == 0;
    is_quiet && first.version == sale.version && supplies(first) == supplies(second)
}

impl Difference {
    fn of(bucket: usize, what: impl Into<String>, books: u64, counted: u64) -> Self {
        Self { bucket: Some(bucket), item: None, what: what.into(), books, counted }
    }

    fn of_item(self, item: &str) -> Self {
        Self { item: Some(item.to_owned()), ..self }
    }
}

impl RowCounts {
    fn plus(self, other: Self) -> Self {
        Self {
            held: self.held + other.held,
            sold: self.sold + other.sold,
            released: self.released + other.released,
        }
    }
}
