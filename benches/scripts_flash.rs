//! Flash sales in the bench of the scripts: orders, holds and refusals, after ten thousand buyers and
//! after a million.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use criterion::{Criterion, Throughput, measurement::Measurement};
use futures_util::future::join_all;
use tandem::{
    model::{
        Gid, Spec, State, Status, Timestamp, Tokens,
        flash::{Bucket, Buyer, Cart, ItemId, Line, OrderId, Sale, SaleId, SaleItem, order_gid},
    },
    store::{
        RedisStore, Store,
        flash::{Define, FlashStore, Order, Ordered, Reserve, Reserved},
    },
    wire::{Limits, read_request},
};
use tokio::runtime::Runtime;

/// As many buyers as there are before the first, and before the second half of the rows.
const BUYERS_BEFORE: [u64; 2] = [10_000, 1_000_000];

/// How many are asked for at once where the store is to fill its calls.
const AT_ONCE: u64 = 1_024;

/// A sale of one item, and what is asked of its bucket.
struct Shop<'a> {
    store: &'a RedisStore,
    tokens: &'a Tokens,
    bucket: Bucket,
    item: ItemId,
    count: AtomicU64,
}

impl<'a> Shop<'a> {
    async fn open(store: &'a RedisStore, tokens: &'a Tokens, id: &str, supply: u64) -> Self {
        let item = ItemId::new("shoe").unwrap_or_else(|error| panic!("{error}"));
        let sale = Sale {
            id: SaleId::new(id).unwrap_or_else(|error| panic!("{error}")),
            version: 1,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            is_closed: false,
            opens_at: None,
            closes_at: None,
            hold: Duration::from_mins(15),
            limit: None,
            items: vec![SaleItem { id: item.clone(), supply, limit: Some(1) }],
            steps: Vec::new(),
            buckets: 1,
            orders_in_work_max: u64::from(u32::MAX),
        };
        let bucket = sale.bucket(0, store.shard_count());
        let define = Define { bucket: bucket.clone(), number: 0, sale: Arc::new(sale) };
        store.define(define).await.unwrap_or_else(|error| panic!("{error}"));
        Self { store, tokens, bucket, item, count: AtomicU64::new(0) }
    }

    fn next(&self) -> (u64, Buyer) {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let buyer = Buyer::new(&format!("buyer-{number}"));
        (number, buyer.unwrap_or_else(|error| panic!("{error}")))
    }

    fn line(&self) -> Line {
        Line { item: self.item.clone(), take: 1 }
    }

    async fn hold(&self) -> Reserved {
        let (number, buyer) = self.next();
        let reserve = Reserve {
            bucket: self.bucket.clone(),
            gid: Gid::new(&format!("saga-{number}")).unwrap_or_else(|error| panic!("{error}")),
            branch_id: "01".to_owned(),
            buyer,
            line: self.line(),
        };
        self.store.hold(reserve).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// An order of one step after the item's own, as a saga.
    async fn order(&self, status: Status) -> Ordered {
        let (number, buyer) = self.next();
        let order = OrderId::new(&format!("order-{number}"));
        let order = order.unwrap_or_else(|error| panic!("{error}"));
        let gid = order_gid(&self.bucket, &order);
        let body = format!(
            r#"{{"gid":"{gid}","trans_type":"saga","steps":[{{"action":"stock://{}/shoe?take=1&buyer=buyer-{number}","compensate":""}}],"payloads":[""],"timeout_to_fail":900}}"#,
            self.bucket.sale
        );
        let spec: Spec = read_request(body.as_bytes())
            .and_then(|request| request.into_spec(gid, &Limits::none()))
            .unwrap_or_else(|error| panic!("{error}"));
        let order = Order {
            token: self.tokens.next(),
            bucket: self.bucket.clone(),
            order,
            buyer,
            cart: Cart::new(vec![self.line()]).unwrap_or_else(|error| panic!("{error}")),
            state: State::new(status, spec.row_count()),
            spec: Arc::new(spec),
            body: Bytes::from(body),
            created_at_estimate: Timestamp::default(),
            held: true,
            lease: super::LEASE,
        };
        self.store.order(order).await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn take(&self, status: Status) {
        let ordered = self.order(status).await;
        assert!(matches!(ordered, Ordered::Taken { .. }), "{ordered:?}");
    }

    async fn be_turned_away(&self) {
        let ordered = self.order(Status::Succeed).await;
        assert!(matches!(ordered, Ordered::Refused(_)), "{ordered:?}");
    }

    /// Holds units for so many buyers in all.
    fn fill(&self, runtime: &Runtime, buyers: u64) {
        while self.count.load(Ordering::Relaxed) < buyers {
            runtime.block_on(join_all((0..AT_ONCE).map(|_| self.hold_one())));
        }
    }

    async fn hold_one(&self) {
        let held = self.hold().await;
        assert_eq!(held, Reserved::Held);
    }
}

/// So many at once that nearly all of the store's calls are full ones.
pub(crate) fn bench_in_full_calls<M: Measurement>(
    criterion: &mut Criterion<M>,
    runtime: &Runtime,
    store: &RedisStore,
    tokens: &Tokens,
) {
    let open = runtime.block_on(Shop::open(store, tokens, "open", u64::from(u32::MAX)));
    for buyers in BUYERS_BEFORE {
        open.fill(runtime, buyers);
        let mut group =
            criterion.benchmark_group(format!("CPU of Redis in full calls, after {buyers} buyers"));
        group.throughput(Throughput::Elements(AT_ONCE));
        group.bench_function("order, stored finished", |bencher| {
            let take = |_| open.take(Status::Succeed);
            bencher.iter(|| runtime.block_on(join_all((0..AT_ONCE).map(take))));
        });
        group.bench_function("hold of a branch", |bencher| {
            let hold = |_| open.hold_one();
            bencher.iter(|| runtime.block_on(join_all((0..AT_ONCE).map(hold))));
        });
        group.finish();
    }
}

pub(crate) fn bench(
    criterion: &mut Criterion,
    runtime: &Runtime,
    store: &RedisStore,
    tokens: &Tokens,
) {
    let open = runtime.block_on(Shop::open(store, tokens, "open", u64::from(u32::MAX)));
    let sold_out = runtime.block_on(Shop::open(store, tokens, "sold-out", 0));
    for buyers in BUYERS_BEFORE {
        open.fill(runtime, buyers);
        for at_once in [1, 64] {
            let name = format!("flash sale after {buyers} buyers, {at_once} at once");
            let mut group = criterion.benchmark_group(name);
            group.throughput(Throughput::Elements(at_once));
            group.bench_function("order, stored finished", |bencher| {
                let take = |_| open.take(Status::Succeed);
                bencher.iter(|| runtime.block_on(join_all((0..at_once).map(take))));
            });
            group.bench_function("order, due", |bencher| {
                let take = |_| open.take(Status::Submitted);
                bencher.iter(|| runtime.block_on(join_all((0..at_once).map(take))));
            });
            group.bench_function("hold of a branch", |bencher| {
                let hold = |_| open.hold_one();
                bencher.iter(|| runtime.block_on(join_all((0..at_once).map(hold))));
            });
            group.bench_function("order, turned away", |bencher| {
                let ask = |_| sold_out.be_turned_away();
                bencher.iter(|| runtime.block_on(join_all((0..at_once).map(ask))));
            });
            group.finish();
        }
    }
}
