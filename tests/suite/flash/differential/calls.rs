//! Random calls of a sale's store: the same values for every store, but for what only a holder knows.

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use tandem::{
    model::{
        Gid, Mode, State, Status, Timestamp, Token, Tokens,
        flash::{Bucket, Buyer, Cart, ItemId, Line, OrderId, Sale, order_gid},
    },
    store::flash::{Define, Order, Reserve, Settle, Transfer},
};

use crate::{
    flash::property::sale,
    support::{rng::Rng, samples},
};

/// Shards of both stores.
pub(super) const SHARDS: usize = 4;

/// The sale's id.
pub(super) const SALE: &str = "spring";

/// A span that no sequence lasts.
pub(super) const LONG: Duration = Duration::from_hours(1);

const BUYERS: u64 = 4;
const ORDERS: u64 = 12;
const BRANCHES: u64 = 5;
const TRANSFERS: usize = 5;

/// One call, or several that are sent at once.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Define(Define),
    Order(Box<Order>),
    Orders(Vec<Order>),
    Hold(Reserve),
    Holds(Vec<Reserve>),
    Settle(Reserve, Settle),
    Settles(Vec<(Reserve, Settle)>),
    ForceStop(Gid, Token),
    /// Takes all that is due; the tokens of what is taken come from this name.
    Claim(String),
    Record {
        gid: Gid,
        status: Status,
        end: End,
        ahead: u64,
    },
    Give(Transfer, u64),
    Receive(Transfer, u64),
    Acknowledge(Transfer),
    /// What came back is for sale again.
    Reopen,
}

/// What becomes of a hold with a record.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Kept,
    Rest(Duration),
    Finish,
}

/// Calls in order, and of what they are.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) calls: Vec<Call>,
    pub(super) buckets: Vec<Bucket>,
    pub(super) gids: Vec<Gid>,
}

impl Call {
    /// Its name.
    pub(super) fn kind(&self) -> String {
        format!("{self:?}").split([' ', '(', '{']).next().unwrap_or_default().to_owned()
    }
}

impl Script {
    /// The calls of `seed`; `now` is Redis's time.
    pub(super) fn of(seed: u64, length: usize, now: Timestamp) -> Self {
        let mut rng = Rng::of(seed, &["flash calls"]);
        let sale = with_windows(sale::first(&mut rng, now), &mut rng, now);
        let buckets: Vec<_> = sale.all_buckets(SHARDS).collect();
        let tokens = Tokens::new(&format!("d{seed}"));
        let mut maker = Maker { rng, now, sale: Arc::new(sale), tokens, transfers: Vec::new() };
        let mut calls: Vec<_> = (0..buckets.len()).map(|at| maker.define(at)).collect();
        while calls.len() < length {
            let again = maker.rng.happens(120).then(|| {
                let near = calls.len().min(6);
                calls[calls.len() - 1 - maker.rng.index(near)].clone()
            });
            calls.push(again.unwrap_or_else(|| maker.call()));
        }
        let gids = (0..ORDERS)
            .flat_map(|order| buckets.iter().map(move |bucket| (order, bucket)))
            .map(|(order, bucket)| order_gid(bucket, &order_id(order)))
            .collect();
        Self { calls, buckets, gids }
    }
}

/// Windows that no sequence outlasts.
fn with_windows(mut sale: Sale, rng: &mut Rng, now: Timestamp) -> Sale {
    let before = Timestamp::from_us(now.as_us() - 3_600_000_000);
    sale.opens_at = sale.opens_at.map(|_| if rng.happens(300) { now.plus(LONG) } else { before });
    sale.closes_at = sale.closes_at.map(|_| if rng.happens(300) { before } else { now.plus(LONG) });
    sale
}

fn order_id(number: u64) -> OrderId {
    OrderId::new(&format!("o{number}")).unwrap()
}

struct Maker {
    rng: Rng,
    now: Timestamp,
    sale: Arc<Sale>,
    tokens: Tokens,
    transfers: Vec<Transfer>,
}

impl Maker {
    fn call(&mut self) -> Call {
        match self.rng.below(100) {
            0..26 => {
                let has_much = self.rng.happens(80);
                Call::Order(Box::new(self.order(has_much)))
            }
            // A large body takes a way of its own, and may come after those that were sent later.
            26..34 => Call::Orders(self.several(|maker| maker.order(false))),
            34..42 => Call::Hold(self.reserve()),
            42..45 => Call::Holds(self.several(Self::reserve)),
            45..51 => Call::Settle(self.reserve(), self.how()),
            51..54 => Call::Settles(self.several(|maker| (maker.reserve(), maker.how()))),
            54..57 => Call::ForceStop(self.gid(), self.tokens.next()),
            57..63 => Call::Claim(format!("claim{}", self.tokens.next())),
            63..80 => self.record(),
            80..84 => Call::Give(self.transfer(), 1 + self.rng.below(3)),
            84..88 => {
                let transfer = self.transfer();
                // What a repeat says it gave.
                let units = 1 + transfer.id.as_str().len() as u64 % 2;
                Call::Receive(transfer, units)
            }
            88..91 => Call::Acknowledge(self.transfer()),
            91..96 => {
                let changed = sale::changed(&self.sale, &mut self.rng, self.now);
                self.sale = Arc::new(with_windows(changed, &mut self.rng, self.now));
                let at = self.rng.index(self.sale.buckets);
                self.define(at)
            }
            _ => Call::Reopen,
        }
    }

    fn several<T>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..2 + self.rng.below(5)).map(|_| one(self)).collect()
    }

    fn define(&mut self, number: usize) -> Call {
        let bucket = self.sale.bucket(number, SHARDS);
        Call::Define(Define { bucket, number, sale: Arc::clone(&self.sale) })
    }

    fn buyer(&mut self) -> Buyer {
        // Signs that rows and lists are packed with.
        let sign = [";", "=", ",", " ü:"][self.rng.index(4)];
        Buyer::new(&format!("buyer{sign}{}", self.rng.below(BUYERS / 2))).unwrap()
    }

    fn item(&mut self) -> ItemId {
        if self.rng.happens(30) {
            return ItemId::new("nothing").unwrap();
        }
        let at = self.rng.index(self.sale.items.len());
        self.sale.items[at].id.clone()
    }

    fn line(&mut self) -> Line {
        Line { item: self.item(), take: 1 + u64::from(self.rng.happens(250)) }
    }

    fn cart(&mut self) -> Cart {
        let mut lines = vec![self.line()];
        let more = self.line();
        if more.item != lines[0].item && self.rng.happens(400) {
            lines.push(more);
        }
        Cart::new(lines).unwrap()
    }

    fn order(&mut self, has_much: bool) -> Order {
        // Mostly one buyer and cart for an order, so that most repeats are its own.
        let number = self.rng.below(ORDERS);
        let mut own = Rng::of(number, &[self.sale.created_at.as_us().to_string().as_str()]);
        std::mem::swap(&mut self.rng, &mut own);
        let (mut buyer, mut cart) = (self.buyer(), self.cart());
        std::mem::swap(&mut self.rng, &mut own);
        if self.rng.happens(150) {
            buyer = self.buyer();
        }
        if self.rng.happens(100) {
            cart = self.cart();
        }
        let id = order_id(number);
        let bucket = self.sale.bucket_of(&buyer, SHARDS);
        let mut spec = samples::spec(order_gid(&bucket, &id).as_str(), Mode::Saga, 2);
        if has_much {
            spec.payloads[0] = "large".repeat(1_000).into();
        }
        let is_over = self.rng.happens(250);
        let status = if is_over { Status::Succeed } else { Status::Submitted };
        let body: Bytes = samples::body(&spec);
        let state = State::new(status, spec.row_count());
        Order {
            token: self.tokens.next(),
            bucket,
            order: id,
            buyer,
            cart,
            spec: Arc::new(spec),
            body,
            state,
            created_at_estimate: self.now,
            held: self.rng.happens(600),
            lease: if self.rng.happens(500) { LONG } else { Duration::ZERO },
        }
    }

    fn reserve(&mut self) -> Reserve {
        let number = self.rng.below(BRANCHES);
        let buyer = Buyer::new(&format!("buyer{}", number % BUYERS)).unwrap();
        let line = self.line();
        Reserve {
            bucket: self.sale.bucket_of(&buyer, SHARDS),
            gid: Gid::new(&format!("saga;{}", number / 2)).unwrap(),
            branch_id: format!("0{}", number % 2),
            buyer,
            line,
        }
    }

    fn how(&mut self) -> Settle {
        if self.rng.happens(400) { Settle::Sell } else { Settle::Release }
    }

    fn gid(&mut self) -> Gid {
        let number = self.rng.below(ORDERS);
        let at = self.rng.index(self.sale.buckets);
        order_gid(&self.sale.bucket(at, SHARDS), &order_id(number))
    }

    fn record(&mut self) -> Call {
        let rest = End::Rest(if self.rng.happens(500) { LONG } else { Duration::ZERO });
        let (status, end) = match self.rng.below(10) {
            0..3 => (Status::Succeed, End::Finish),
            3 | 4 => (Status::Failed, End::Finish),
            5 => (Status::Aborting, rest),
            6 => (Status::Aborting, End::Kept),
            7 => (Status::Submitted, rest),
            _ => (Status::Submitted, End::Kept),
        };
        let ahead = pick(&[(100, 0), (100, 2), (800, 1)], &mut self.rng);
        Call::Record { gid: self.gid(), status, end, ahead }
    }

    fn transfer(&mut self) -> Transfer {
        if self.transfers.len() < TRANSFERS && self.rng.happens(500) || self.transfers.is_empty() {
            let buckets: Vec<_> = self.sale.all_buckets(SHARDS).collect();
            let from = self.rng.index(buckets.len());
            let to = (from + 1) % buckets.len();
            let (id, item) = (self.tokens.next(), self.sale.items[0].id.clone());
            let (from, to) = (buckets[from].clone(), buckets[to].clone());
            self.transfers.push(Transfer { id, from, to, item });
        }
        let at = self.rng.index(self.transfers.len());
        self.transfers[at].clone()
    }
}

/// One of these values, by their chances per 1,000.
fn pick(of: &[(u64, u64)], rng: &mut Rng) -> u64 {
    let mut at = rng.below(1_000);
    for (chance, value) in of {
        if at < *chance {
            return *value;
        }
        at -= chance;
    }
    1
}

/// Numbers below a bound, for whoever needs each.
pub(super) fn shards() -> Range<usize> {
    0..SHARDS
}
