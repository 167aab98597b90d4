//! What is asked of the store about flash sales, and what it answers.
//!
//! Every function is one script, and may run twice without harm. What a bucket has is in `books`.

mod books;

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;

use super::StoreError;
use crate::model::{
    Gid, Spec, State, Timestamp, Token,
    flash::{Bucket, Buyer, Cart, ItemId, Line, OrderId, Sale, SaleId},
};
pub use books::{
    Books, BucketBooks, BuyerRow, ReservationRow, RowLetter, RowOf, Scanned, Transfer,
    row_letter_at,
};

/// After units of an item that had none left come back, nobody can take them for this span.
///
/// So each node that says "sold out" from memory has looked again by then (see [`MEMORY_MAX`]). In
/// µs it stands in `lua/lib/books.lua`.
pub const REOPENS_AFTER: Duration = Duration::from_millis(500);

/// For so long after it sent the question that was answered "none left", a node may say "sold out"
/// from memory. Shorter than [`REOPENS_AFTER`].
pub const MEMORY_MAX: Duration = Duration::from_millis(400);

const _: () = assert!(MEMORY_MAX.as_millis() < REOPENS_AFTER.as_millis());

/// A change of a sale's definition, from what was found of it.
#[derive(Clone, Debug)]
pub struct SaleChange {
    /// The sale as it shall be. Its version and times are the store's to set.
    pub sale: Sale,
    /// The version that was found; `None` if there was no such sale.
    pub found: Option<(u64, Timestamp)>,
    /// The client's id of this request.
    pub request_id: String,
    /// A digest of all that the request asks for, to know its repeat from another one of that id.
    pub digest: String,
}

/// What became of a [`SaleChange`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaleChanged {
    /// It is so, since now.
    Done {
        /// The version that it has now.
        version: u64,
    },
    /// A request of this id took effect before: nothing was written.
    Repeated {
        /// That request's digest.
        digest: String,
    },
    /// It is not as it was found: nothing was written.
    Changed,
}

/// What a bucket is to know of its sale.
#[derive(Clone, Debug)]
pub struct Define {
    /// Which bucket.
    pub bucket: Bucket,
    /// Its number, for its share.
    pub number: usize,
    /// The definition; a bucket that knows a newer one keeps that.
    pub sale: Arc<Sale>,
}

/// Units of one line, as they were taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenLine {
    /// Which item.
    pub item: ItemId,
    /// How many units this order took.
    pub take: u64,
    /// How many the bucket had left right after it.
    pub left: u64,
}

/// Why nothing was taken. Nothing is stored of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The bucket knows no such sale.
    UnknownSale,
    /// The sale has no such item.
    UnknownItem(ItemId),
    /// The sale has not begun.
    NotOpen,
    /// It is over, or was closed.
    Closed,
    /// The buyer's limit would be exceeded: of this item, or (`None`) of the whole sale.
    LimitReached(Option<ItemId>),
    /// Too many orders of the sale are in work.
    Crowded,
    /// This bucket has too few units of this item, or they just came back and are not for sale yet.
    SoldOut(ItemId),
}

/// An order to store, with what it takes.
#[derive(Clone, Debug)]
pub struct Order {
    /// This request's id, and the token of the hold if it is to be held.
    pub token: Token,
    /// The buyer's bucket; the gid of `spec` names its shard.
    pub bucket: Bucket,
    /// Which order of the sale.
    pub order: OrderId,
    /// Whose.
    pub buyer: Buyer,
    /// What it takes.
    pub cart: Cart,
    /// The saga that it is.
    pub spec: Arc<Spec>,
    /// The saga's request, stored as a submit's is.
    pub body: Bytes,
    /// Submitted, its stock rows done and the steps that are called first marked if it is to be held; or
    /// succeed, where the sale has no steps.
    pub state: State,
    /// For the state's times.
    pub created_at_estimate: Timestamp,
    /// Whether this node starts on it at once.
    pub held: bool,
    /// The hold's first lease.
    pub lease: Duration,
}

/// What became of an [`Order`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// It is stored, by this request (or an earlier copy of it).
    Taken {
        /// When.
        created_at: Timestamp,
        /// What it took.
        lines: Vec<TakenLine>,
        /// Whether this request holds it.
        held: bool,
    },
    /// An earlier request of the same order id, buyer and cart took it: this is what it took then.
    Again {
        /// What it took.
        lines: Vec<TakenLine>,
        /// What became of it; known for the sale's life, while the transaction itself expires.
        letter: RowLetter,
    },
    /// The order id is another buyer's.
    OtherBuyer,
    /// The buyer's order of this id has another cart.
    OtherCart,
    /// Nothing was taken.
    Refused(Refusal),
}

/// What a branch `stock://…` takes: its row.
#[derive(Clone, Debug)]
pub struct Reserve {
    /// The buyer's bucket.
    pub bucket: Bucket,
    /// The transaction.
    pub gid: Gid,
    /// Which of its branches.
    pub branch_id: String,
    /// Who buys.
    pub buyer: Buyer,
    /// What it takes.
    pub line: Line,
}

/// What became of the hold of a [`Reserve`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// The units are held (or sold by now), by this call or an earlier one.
    Held,
    /// It was given back before: it holds nothing any more.
    Released,
    /// The branch holds something else.
    OtherContent,
    /// Nothing was taken.
    Refused(Refusal),
}

/// How a reservation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Settle {
    /// The buyer has bought the units.
    Sell,
    /// The units are given back.
    Release,
}

/// What became of the end of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is so, by this call or an earlier one. A release of what never held bars it for good.
    Done,
    /// It ended the other way before: nothing was written.
    Otherwise,
    /// There is nothing to sell.
    Missing,
    /// The bucket knows no such sale.
    UnknownSale,
}

/// The state of all flash sales, shared by all nodes.
pub trait FlashStore: Send + Sync + 'static {
    /// The sale of this id.
    fn sale(&self, id: &SaleId) -> impl Future<Output = Result<Option<Sale>, StoreError>> + Send;

    /// Writes a sale's definition anew, if it is still as it was found. Its buckets are not touched.
    fn change_sale(
        &self,
        change: SaleChange,
    ) -> impl Future<Output = Result<SaleChanged, StoreError>> + Send;

    /// The next `limit` sales in the order of their ids, from behind `after` (the first if `None`).
    fn sales(
        &self,
        after: Option<&SaleId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Sale>, StoreError>> + Send;

    /// Tells a bucket its sale's definition.
    fn define(&self, define: Define) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes units and stores the order that they are for, or does neither.
    fn order(&self, order: Order) -> impl Future<Output = Result<Ordered, StoreError>> + Send;

    /// Takes units for a branch of any transaction.
    fn hold(&self, reserve: Reserve) -> impl Future<Output = Result<Reserved, StoreError>> + Send;

    /// Ends the reservation of a branch.
    fn settle(
        &self,
        reserve: Reserve,
        how: Settle,
    ) -> impl Future<Output = Result<Settled, StoreError>> + Send;

    /// A bucket's books, all of one instant, with the late takers behind the first `late_takes`, if
    /// that is given; `None` if it knows no such sale.
    fn look(
        &self,
        bucket: &Bucket,
        late_takes: Option<u64>,
    ) -> impl Future<Output = Result<Option<BucketBooks>, StoreError>> + Send;

    /// Takes at most `most` available units out of a bucket, to be received by another one; answers
    /// how many. A repeat of the same transfer answers the same.
    fn give(
        &self,
        transfer: &Transfer,
        most: u64,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Puts given units into the bucket that they were given to, once.
    fn receive(
        &self,
        transfer: &Transfer,
        units: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Tells the giving bucket that its units were received.
    fn acknowledge(
        &self,
        transfer: &Transfer,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Transfers that a bucket gave and that are not acknowledged, with their units; at most `limit`.
    fn transfers(
        &self,
        bucket: &Bucket,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(Transfer, u64)>, StoreError>> + Send;

    /// A page of the reservations of a bucket; one that is there all the while is met at least once.
    fn rows(
        &self,
        bucket: &Bucket,
        position: Option<&str>,
    ) -> impl Future<Output = Result<Scanned<ReservationRow>, StoreError>> + Send;

    /// A page of the buyers of a bucket.
    fn buyers(
        &self,
        bucket: &Bucket,
        position: Option<&str>,
    ) -> impl Future<Output = Result<Scanned<BuyerRow>, StoreError>> + Send;
}
