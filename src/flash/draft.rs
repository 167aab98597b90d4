//! What a request says of a sale, and what is wrong with it.

use std::time::Duration;

use super::{SaleError, digest::Digest};
use crate::model::{
    StepUrls, Timestamp,
    flash::{BUCKETS_MAX, ITEMS_MAX, ItemId, Sale, SaleId, SaleItem, UNITS_MAX},
};

/// The longest id of a request, in bytes: it is kept for the sale's life.
pub const REQUEST_ID_BYTES_MAX: usize = 64;

/// The most steps of an order: with the lines of a cart it is still a small saga.
pub const STEPS_MAX: usize = 32;

/// The longest that units are held for an order: beyond a month it is no flash sale.
pub const HOLD_MAX: Duration = Duration::from_secs(30 * 86_400);

/// How many orders may be in work if it is not said.
pub const ORDERS_IN_WORK_MAX: u64 = 100_000;

/// An item of a new sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewItem {
    /// Its id.
    pub id: ItemId,
    /// How many units there are.
    pub stock: u64,
    /// The most that one buyer may have.
    pub limit: Option<u64>,
}

/// A sale to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSale {
    /// Its id.
    pub id: SaleId,
    /// What is sold.
    pub items: Vec<NewItem>,
    /// The most units of all items that one buyer may have.
    pub limit: Option<u64>,
    /// No order before.
    pub opens_at: Option<Timestamp>,
    /// No order from then on.
    pub closes_at: Option<Timestamp>,
    /// For how long an order holds its units.
    pub hold: Duration,
    /// What is called for each order.
    pub steps: Vec<StepUrls>,
    /// Over how many shards it is spread.
    pub buckets: usize,
    /// The most orders in work.
    pub orders_in_work_max: u64,
}

/// A new limit of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemLimit {
    /// Of which.
    pub id: ItemId,
    /// The most that one buyer may have; `None` takes the limit away.
    pub limit: Option<u64>,
}

/// What is to be changed of a sale: `None` leaves it, `Some(None)` takes it away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SaleChanges {
    /// The most units of all items that one buyer may have.
    pub limit: Option<Option<u64>>,
    /// Limits of items.
    pub items: Vec<ItemLimit>,
    /// No order before.
    pub opens_at: Option<Option<Timestamp>>,
    /// No order from then on.
    pub closes_at: Option<Option<Timestamp>>,
    /// For how long an order holds its units; of orders from then on.
    pub hold: Option<Duration>,
    /// What is called for each order from then on.
    pub steps: Option<Vec<StepUrls>>,
    /// The most orders in work.
    pub orders_in_work_max: Option<u64>,
}

impl NewSale {
    /// The sale, as of a store with `shards` shards. Its version and times are the store's to set.
    ///
    /// # Errors
    /// [`SaleError::Invalid`].
    pub(super) fn into_sale(self, shards: usize) -> Result<Sale, SaleError> {
        check_count("items", self.items.len(), ITEMS_MAX)?;
        if self.items.is_empty() {
            return Err(SaleError::invalid("items", "is empty: a sale has at least one item"));
        }
        for (number, item) in self.items.iter().enumerate() {
            check_units(&format!("items[{number}].stock"), item.stock)?;
            check_twice(number, &item.id, self.items.iter().map(|it| &it.id))?;
        }
        let buckets_max = shards.min(BUCKETS_MAX);
        if !(1..=buckets_max).contains(&self.buckets) {
            let told = format!(
                "is {}, it must be 1 to {buckets_max} (there are {shards} shards, and at most \
                 {BUCKETS_MAX} buckets)",
                self.buckets
            );
            return Err(SaleError::invalid("buckets", told));
        }
        let items = self.items.into_iter();
        let sale = Sale {
            id: self.id,
            version: 0,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            is_closed: false,
            opens_at: self.opens_at,
            closes_at: self.closes_at,
            hold: self.hold,
            limit: self.limit,
            items: items
                .map(|it| SaleItem { id: it.id, supply: it.stock, limit: it.limit })
                .collect(),
            steps: self.steps,
            buckets: self.buckets,
            orders_in_work_max: self.orders_in_work_max,
        };
        checked(sale)
    }

    pub(super) fn digest(&self) -> String {
        let mut digest = Digest::of("create");
        for item in &self.items {
            digest.part("item", &item.id).part("stock", item.stock).maybe("limit", item.limit);
        }
        digest.maybe("of all", self.limit).part("hold", self.hold.as_secs());
        digest.maybe("opens", self.opens_at.map(Timestamp::as_us));
        digest.maybe("closes", self.closes_at.map(Timestamp::as_us));
        digest_steps(&mut digest, &self.steps);
        digest.part("buckets", self.buckets).part("in work", self.orders_in_work_max);
        digest.text()
    }
}

impl SaleChanges {
    /// The sale as these changes leave it.
    ///
    /// # Errors
    /// [`SaleError::Invalid`], [`SaleError::UnknownItem`].
    pub(super) fn apply(&self, sale: &Sale) -> Result<Sale, SaleError> {
        let mut sale = sale.clone();
        for (number, change) in self.items.iter().enumerate() {
            check_twice(number, &change.id, self.items.iter().map(|it| &it.id))?;
            item_of(&mut sale, &change.id)?.limit = change.limit;
        }
        sale.limit = self.limit.unwrap_or(sale.limit);
        sale.opens_at = self.opens_at.unwrap_or(sale.opens_at);
        sale.closes_at = self.closes_at.unwrap_or(sale.closes_at);
        sale.hold = self.hold.unwrap_or(sale.hold);
        sale.orders_in_work_max = self.orders_in_work_max.unwrap_or(sale.orders_in_work_max);
        if let Some(steps) = &self.steps {
            sale.steps.clone_from(steps);
        }
        checked(sale)
    }

    pub(super) fn digest(&self) -> String {
        let or_none = |it: Option<u64>| it.map_or_else(|| "none".to_owned(), |it| it.to_string());
        let us = |it: Option<Timestamp>| or_none(it.map(Timestamp::as_us));
        let mut digest = Digest::of("change");
        for item in &self.items {
            digest.part("item", &item.id).part("limit", or_none(item.limit));
        }
        digest.maybe("of all", self.limit.map(or_none));
        digest.maybe("opens", self.opens_at.map(us)).maybe("closes", self.closes_at.map(us));
        digest.maybe("hold", self.hold.map(|it| it.as_secs()));
        digest.maybe("in work", self.orders_in_work_max);
        if let Some(steps) = &self.steps {
            digest.part("steps", steps.len());
            digest_steps(&mut digest, steps);
        }
        digest.text()
    }
}

/// The sale with `added` units more of each named item.
///
/// # Errors
/// [`SaleError::Invalid`], [`SaleError::UnknownItem`].
pub(super) fn restocked(sale: &Sale, added: &[(ItemId, u64)]) -> Result<Sale, SaleError> {
    let mut sale = sale.clone();
    if added.is_empty() {
        return Err(SaleError::invalid("items", "is empty: name what is added, and how much"));
    }
    for (number, (id, units)) in added.iter().enumerate() {
        let field = format!("items[{number}].add");
        check_units(&field, *units)?;
        check_twice(number, id, added.iter().map(|(id, _)| id))?;
        let item = item_of(&mut sale, id)?;
        let supply = item.supply.checked_add(*units).filter(|supply| *supply <= UNITS_MAX);
        item.supply = supply.ok_or_else(|| {
            let supply = item.supply;
            SaleError::invalid(
                field,
                format!("is, with the {supply} units so far, more than {UNITS_MAX}"),
            )
        })?;
    }
    Ok(sale)
}

pub(super) fn restock_digest(added: &[(ItemId, u64)]) -> String {
    let mut digest = Digest::of("restock");
    for (id, units) in added {
        digest.part("item", id).part("add", units);
    }
    digest.text()
}

fn digest_steps(digest: &mut Digest, steps: &[StepUrls]) {
    for step in steps {
        digest.part("action", &step.action).part("compensate", &step.compensate);
    }
}

fn item_of<'a>(sale: &'a mut Sale, id: &ItemId) -> Result<&'a mut SaleItem, SaleError> {
    let found = sale.items.iter_mut().find(|item| item.id == *id);
    found.ok_or_else(|| SaleError::UnknownItem(id.clone()))
}

/// What holds of every sale, new or changed.
fn checked(sale: Sale) -> Result<Sale, SaleError> {
    if let Some(limit) = sale.limit {
        check_units("limit", limit)?;
    }
    for (number, item) in sale.items.iter().enumerate() {
        if let Some(limit) = item.limit {
            check_units(&format!("items[{number}].limit"), limit)?;
        }
    }
    if let (Some(opens_at), Some(closes_at)) = (sale.opens_at, sale.closes_at)
        && closes_at <= opens_at
    {
        return Err(SaleError::invalid(
            "closes_at",
            "is not later than opens_at: the sale would close before it opens",
        ));
    }
    if sale.hold.as_secs() == 0 || sale.hold > HOLD_MAX {
        let (hold, most) = (sale.hold.as_secs(), HOLD_MAX.as_secs());
        return Err(SaleError::invalid("hold_seconds", out_of(hold, most)));
    }
    check_count("steps", sale.steps.len(), STEPS_MAX)?;
    check_units("orders_in_work_max", sale.orders_in_work_max)?;
    if sale.orders_in_work_max < sale.buckets as u64 {
        let (most, buckets) = (sale.orders_in_work_max, sale.buckets);
        // Each bucket has its part of it, and one that had none would sell nothing.
        let told = format!("is {most}, it must be at least the number of buckets, {buckets}");
        return Err(SaleError::invalid("orders_in_work_max", told));
    }
    Ok(sale)
}

fn check_units(field: &str, units: u64) -> Result<(), SaleError> {
    if (1..=UNITS_MAX).contains(&units) {
        Ok(())
    } else {
        Err(SaleError::invalid(field, out_of(units, UNITS_MAX)))
    }
}

fn out_of(number: u64, most: u64) -> String {
    format!("is {number}, it must be a whole number from 1 to {most}")
}

fn check_count(field: &str, count: usize, most: usize) -> Result<(), SaleError> {
    if count <= most {
        Ok(())
    } else {
        Err(SaleError::invalid(field, format!("has {count} entries, at most {most} are allowed")))
    }
}

fn check_twice<'a>(
    number: usize,
    id: &ItemId,
    mut all: impl Iterator<Item = &'a ItemId>,
) -> Result<(), SaleError> {
    match all.position(|it| it == id) {
        Some(first) if first < number => Err(SaleError::invalid(
            format!("items[{number}].id"),
            format!("is {id} once more: an item stands in the list once"),
        )),
        Some(_) | None => Ok(()),
    }
}
