//! What a bucket has: its books, its reservations, its buyers.

use crate::model::{
    Status, Timestamp, Token,
    flash::{Bucket, ItemId, OrderId},
};

/// One item's books in one bucket: `supply = available + held + sold` at every instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Books {
    /// Which item.
    pub item: ItemId,
    /// What the definition gave this bucket.
    pub share: u64,
    /// That, and what came from other buckets, less what went to them.
    pub supply: u64,
    /// What can be taken.
    pub available: u64,
    /// What unfinished orders and branches hold.
    pub held: u64,
    /// What was sold.
    pub sold: u64,
    /// The most that one buyer may hold or have bought.
    pub limit: Option<u64>,
    /// Nobody can take any before.
    pub reopens_at: Option<Timestamp>,
    /// How many times units were taken, or went to another bucket or came from one; it never falls.
    pub takes: u64,
}

/// A bucket at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketBooks {
    /// Redis's time.
    pub now: Timestamp,
    /// The version of the definition that it knows.
    pub version: u64,
    /// Orders that are neither sold nor released.
    pub orders_in_work: u64,
    /// Orders that were ever accepted.
    pub orders: u64,
    /// Transfers to other buckets that are not acknowledged.
    pub in_transit: u64,
    /// How many takes were late: of items of which units had come back, when there were none left. It
    /// never falls.
    pub late_takes: u64,
    /// Of late takes behind the number that was asked for, whose they were; of very many the last ones
    /// only.
    pub late_takers: Vec<String>,
    /// A row for each item.
    pub items: Vec<Books>,
}

/// Units that go from one bucket to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Its id; a repeat has the same.
    pub id: Token,
    /// Who gives.
    pub from: Bucket,
    /// Who gets.
    pub to: Bucket,
    /// Which item.
    pub item: ItemId,
}

/// What a reservation's row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservationRow {
    /// Whose row it is.
    pub of: RowOf,
    /// Where it stands.
    pub letter: RowLetter,
    /// Who buys.
    pub buyer: String,
    /// What it took: item and units; none for one that was released before it held.
    pub lines: Vec<(String, u64)>,
}

/// Whose row a reservation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowOf {
    /// An order of the sale.
    Order(OrderId),
    /// A `stock://` branch: branch id and gid.
    Branch(String, String),
}

/// Where a reservation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowLetter {
    /// Its units are held.
    Held,
    /// They are sold.
    Sold,
    /// They are given back, or were never taken.
    Released,
}

/// What a buyer holds or bought in one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuyerRow {
    /// Who.
    pub buyer: String,
    /// Which items, and how many units of each.
    pub units: Vec<(String, u64)>,
}

/// A page of rows, or of buyers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned<T> {
    /// What it has.
    pub rows: Vec<T>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<String>,
}

/// How an order's row stands when its transaction has `status`.
pub fn row_letter_at(status: Status) -> RowLetter {
    match status {
        Status::Prepared | Status::Submitted => RowLetter::Held,
        Status::Succeed => RowLetter::Sold,
        Status::Aborting | Status::Failed => RowLetter::Released,
    }
}
