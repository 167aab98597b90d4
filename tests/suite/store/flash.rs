//! Flash sales through the store: an order's life, reservations, transfers, pages.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tandem::{
    clock::Clock,
    model::{
        Mode, Status, Timestamp,
        flash::{Bucket, Buyer, Cart, ItemId, Line, OrderId, Sale, SaleId, SaleItem, order_gid},
    },
    store::{
        Changed, Durability, Recorded, Store, Taken,
        flash::{
            BucketBooks, Define, FlashStore, Order, Ordered, Refusal, Reserve, Reserved, RowLetter,
            RowOf, Settle, Settled, TakenLine, Transfer,
        },
    },
};

use super::TestStore;
use crate::support::samples::{LEASE, next_record, spec, submit};

fn item(text: &str) -> ItemId {
    ItemId::new(text).unwrap()
}

/// A sale of 9 shoes, two at the most for a buyer, and 4 hats, in two buckets.
fn sale() -> Sale {
    let items = [("shoe", 9, Some(2)), ("hat", 4, None)];
    Sale {
        id: SaleId::new("spring").unwrap(),
        version: 1,
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
        is_closed: false,
        opens_at: None,
        closes_at: None,
        hold: Duration::from_mins(15),
        limit: Some(3),
        items: items.map(|(id, supply, limit)| SaleItem { id: item(id), supply, limit }).to_vec(),
        steps: Vec::new(),
        buckets: 2,
        orders_in_work_max: 100,
    }
}

/// A store that knows the sale, and the sale's buckets.
async fn shop() -> (TestStore, [Bucket; 2]) {
    let it = TestStore::new().await;
    let sale = Arc::new(sale());
    let buckets: Vec<Bucket> = sale.all_buckets(it.store.shard_count()).collect();
    for (number, bucket) in buckets.iter().enumerate() {
        let define = Define { bucket: bucket.clone(), number, sale: Arc::clone(&sale) };
        it.store.define(define).await.unwrap();
    }
    (it, buckets.try_into().unwrap())
}

fn line(id: &str, take: u64) -> Line {
    Line { item: item(id), take }
}

fn order(it: &TestStore, bucket: &Bucket, id: &str, lines: Vec<Line>, body_bytes: usize) -> Order {
    let order = OrderId::new(id).unwrap();
    let gid = order_gid(bucket, &order);
    let submitted = submit(spec(gid.as_str(), Mode::Saga, 1), it.token(), true);
    let mut body = submitted.body.to_vec();
    body.resize(body.len().max(body_bytes), b' ');
    Order {
        token: submitted.token,
        bucket: bucket.clone(),
        order,
        buyer: Buyer::new("jane; of /x=1,").unwrap(),
        cart: Cart::new(lines).unwrap(),
        spec: submitted.spec,
        body: Bytes::from(body),
        state: submitted.state,
        created_at_estimate: submitted.created_at_estimate,
        held: true,
        lease: LEASE,
    }
}

async fn books(it: &TestStore, bucket: &Bucket) -> BucketBooks {
    let books = it.store.look(bucket, None).await.unwrap().expect("it is known");
    for item in &books.items {
        assert_eq!(item.supply, item.available + item.held + item.sold, "{books:?}");
    }
    books
}

/// `(available, held, sold)` of the shoes.
async fn shoes(it: &TestStore, bucket: &Bucket) -> (u64, u64, u64) {
    let books = books(it, bucket).await;
    let shoe = books.items.iter().find(|books| books.item.as_str() == "shoe").unwrap();
    (shoe.available, shoe.held, shoe.sold)
}

#[tokio::test]
async fn a_bucket_that_nobody_defined_is_unknown() {
    let it = TestStore::new().await;
    let bucket = sale().bucket(0, it.store.shard_count());
    assert_eq!(it.store.look(&bucket, None).await.unwrap(), None);
    let order = order(&it, &bucket, "a", vec![line("shoe", 1)], 0);
    assert_eq!(it.store.order(order).await, Ok(Ordered::Refused(Refusal::UnknownSale)));
    assert_eq!(it.keys(), [format!("{}:meta", it.name)], "it leaves nothing");
}

#[tokio::test]
async fn buckets_have_their_shares() {
    let (it, buckets) = shop().await;
    let found = [books(&it, &buckets[0]).await, books(&it, &buckets[1]).await];
    let of = |books: &BucketBooks| -> Vec<(String, u64, Option<u64>)> {
        books.items.iter().map(|it| (it.item.to_string(), it.supply, it.limit)).collect()
    };
    assert_eq!(of(&found[0]), [("hat".to_owned(), 2, None), ("shoe".to_owned(), 5, Some(2))]);
    assert_eq!(of(&found[1]), [("hat".to_owned(), 2, None), ("shoe".to_owned(), 4, Some(2))]);
    assert_eq!((found[0].version, found[0].orders, found[0].in_transit), (1, 0, 0));
    assert!(found[0].now <= it.clock.redis_now());
}

#[tokio::test]
async fn an_order_is_taken_once_and_its_units_end_with_its_transaction() {
    for (status, expected, body_bytes) in [
        (Status::Succeed, (3, 0, 2), 0),
        (Status::Failed, (5, 0, 0), 0),
        (Status::Succeed, (3, 0, 2), 9_000),
        (Status::Aborting, (5, 0, 0), 9_000),
    ] {
        let (it, [bucket, _]) = shop().await;
        let item = order(&it, &bucket, "a", vec![line("shoe", 2)], body_bytes);
        let gid = item.spec.gid.clone();
        let lines = vec![TakenLine { item: self::item("shoe"), take: 2, left: 3 }];
        let Ordered::Taken { created_at, lines: taken, held: true } =
            it.store.order(item.clone()).await.unwrap()
        else {
            panic!("it is new");
        };
        assert_eq!(taken, lines);
        let repeat = it.store.order(item.clone()).await.unwrap();
        assert_eq!(repeat, Ordered::Taken { created_at, lines: lines.clone(), held: true });
        let again = Order { token: it.token(), ..item.clone() };
        let letter = RowLetter::Held;
        assert_eq!(it.store.order(again.clone()).await.unwrap(), Ordered::Again { lines, letter });
        let others = Order { buyer: Buyer::new("john").unwrap(), ..again.clone() };
        assert_eq!(it.store.order(others).await.unwrap(), Ordered::OtherBuyer);
        let more = Order { order: OrderId::new("b").unwrap(), ..again };
        let limit = Refusal::LimitReached(Some(self::item("shoe")));
        assert_eq!(it.store.order(more).await.unwrap(), Ordered::Refused(limit));
        assert_eq!(shoes(&it, &bucket).await, (3, 2, 0));

        let stored = it.store.query(&gid).await.unwrap().expect("it is stored");
        assert_eq!((&stored.global.state, stored.global.created_at), (&item.state, created_at));
        let taken = Taken { global: stored.global, n: 1 };
        let record = next_record(&taken, &item.token, status);
        let write = if status.is_final() {
            it.store.finish(&record).await
        } else {
            it.store.record(&record).await
        };
        assert_eq!(write, Ok(Recorded::Written));
        assert_eq!(shoes(&it, &bucket).await, expected, "{status:?}");
        assert_eq!(books(&it, &bucket).await.orders_in_work, 0);
        let stored = it.store.query(&gid).await.unwrap().expect("it is stored");
        assert_eq!(stored.global.state.status, status);
    }
}

#[tokio::test]
async fn an_order_that_rests_in_aborting_or_is_stopped_gives_its_units_back() {
    let (it, [bucket, _]) = shop().await;
    for is_stopped in [false, true] {
        let name = if is_stopped { "a" } else { "b" };
        let item = order(&it, &bucket, name, vec![line("shoe", 2), line("hat", 1)], 0);
        let gid = item.spec.gid.clone();
        it.store.order(item.clone()).await.unwrap();
        assert_eq!(shoes(&it, &bucket).await, (3, 2, 0));
        if is_stopped {
            let stop = it.store.force_stop(&gid, &it.token(), Durability::Memory).await;
            assert_eq!(stop, Ok(Changed::Done));
        } else {
            let stored = it.store.query(&gid).await.unwrap().expect("it is stored");
            let taken = Taken { global: stored.global, n: 1 };
            let record = next_record(&taken, &item.token, Status::Aborting);
            let due_at = it.clock.redis_now().plus(LEASE);
            assert_eq!(it.store.rest(&record, due_at).await, Ok(Recorded::Written));
            let stored = it.store.query(&gid).await.unwrap().expect("it is stored");
            assert_eq!((stored.is_held, stored.due_at), (false, Some(due_at)));
        }
        assert_eq!(shoes(&it, &bucket).await, (5, 0, 0));
        let rows = it.store.rows(&bucket, None).await.unwrap().rows;
        assert!(rows.iter().all(|row| row.letter == RowLetter::Released), "{rows:?}");
    }
}

fn reserve(bucket: &Bucket, branch_id: &str) -> Reserve {
    Reserve {
        bucket: bucket.clone(),
        gid: tandem::model::Gid::new("any-gid").unwrap(),
        branch_id: branch_id.to_owned(),
        buyer: Buyer::new("jane; of /x=1,").unwrap(),
        line: line("shoe", 1),
    }
}

#[tokio::test]
async fn branches_hold_sell_and_give_back() {
    let (it, [bucket, _]) = shop().await;
    let [sold, released, barred] = ["01", "02", "03"].map(|branch| reserve(&bucket, branch));
    for branch in [&sold, &released, &sold] {
        assert_eq!(it.store.hold(branch.clone()).await, Ok(Reserved::Held));
    }
    let limit = Refusal::LimitReached(Some(item("shoe")));
    assert_eq!(it.store.hold(barred.clone()).await, Ok(Reserved::Refused(limit)));
    assert_eq!(shoes(&it, &bucket).await, (3, 2, 0));
    for (branch, how, expected) in [
        (&barred, Settle::Sell, Settled::Missing),
        (&barred, Settle::Release, Settled::Done),
        (&sold, Settle::Sell, Settled::Done),
        (&sold, Settle::Release, Settled::Otherwise),
        (&released, Settle::Release, Settled::Done),
        (&released, Settle::Sell, Settled::Otherwise),
    ] {
        assert_eq!(it.store.settle(branch.clone(), how).await, Ok(expected));
    }
    assert_eq!(it.store.hold(barred.clone()).await, Ok(Reserved::Released));
    let other = Reserve { line: line("hat", 1), ..sold.clone() };
    assert_eq!(it.store.hold(other).await, Ok(Reserved::OtherContent));
    assert_eq!(shoes(&it, &bucket).await, (4, 0, 1));

    let mut rows = it.store.rows(&bucket, None).await.unwrap().rows;
    rows.sort_by_key(|row| format!("{:?}", row.of));
    let letters = [RowLetter::Sold, RowLetter::Released, RowLetter::Released];
    for (row, (branch, letter)) in
        rows.iter().zip([&sold, &released, &barred].into_iter().zip(letters))
    {
        assert_eq!(row.of, RowOf::Branch(branch.branch_id.clone(), "any-gid".to_owned()));
        assert_eq!((row.letter, row.buyer.as_str()), (letter, branch.buyer.as_str()));
    }
    assert_eq!(rows[0].lines, [("shoe".to_owned(), 1)]);
    assert_eq!(rows[2].lines, []);
    let buyers = it.store.buyers(&bucket, None).await.unwrap();
    assert_eq!((buyers.rows.len(), buyers.next), (1, None));
    assert_eq!(buyers.rows[0].units, [("shoe".to_owned(), 1)]);
}

#[tokio::test]
async fn units_go_from_bucket_to_bucket_once() {
    let (it, [from, to]) = shop().await;
    let transfer =
        Transfer { id: it.token(), from: from.clone(), to: to.clone(), item: item("shoe") };
    for _ in 0..2 {
        assert_eq!(it.store.give(&transfer, 3).await, Ok(3));
        assert_eq!(books(&it, &from).await.in_transit, 1);
        assert_eq!(it.store.transfers(&from, 10).await, Ok(vec![(transfer.clone(), 3)]));
    }
    for _ in 0..2 {
        it.store.receive(&transfer, 3).await.unwrap();
        assert_eq!(shoes(&it, &to).await, (7, 0, 0));
    }
    for _ in 0..2 {
        it.store.acknowledge(&transfer).await.unwrap();
        assert_eq!(it.store.give(&transfer, 3).await, Ok(3), "a late copy");
    }
    assert_eq!(it.store.transfers(&from, 10).await, Ok(Vec::new()));
    assert_eq!((shoes(&it, &from).await, books(&it, &from).await.in_transit), ((2, 0, 0), 0));
    let unknown = Transfer { item: item("tie"), id: it.token(), ..transfer };
    assert_eq!(it.store.give(&unknown, 3).await, Ok(0));
    assert!(it.store.receive(&unknown, 3).await.is_err());
}

#[tokio::test]
async fn pages_have_all_rows_and_all_buyers() {
    let (it, [bucket, _]) = shop().await;
    let mut redis = it.redis();
    let start =
        it.keys().into_iter().find_map(|key| key.strip_suffix("f:spring").map(str::to_owned));
    let start = start.unwrap();
    let mut fill = redis::pipe();
    for number in 0..3_000 {
        let row = format!("R;shoe=1;1;buyer-{number}");
        fill.hset(format!("{start}fr:spring"), format!("oorder-{number}"), row);
        fill.hset(format!("{start}fb:spring"), format!("buyer-{number}"), "shoe=1,hat=2");
    }
    fill.exec(&mut redis).unwrap();
    let shards: Vec<_> = sale().all_buckets(it.store.shard_count()).collect();
    let mut counts = (0, 0);
    for bucket in &shards {
        let mut seen = std::collections::BTreeSet::new();
        let mut position = None;
        loop {
            let page = it.store.rows(bucket, position.as_deref()).await.unwrap();
            assert!(page.rows.len() < 2_000, "a page is bounded");
            seen.extend(page.rows.into_iter().map(|row| format!("{:?}", row.of)));
            position = page.next;
            if position.is_none() {
                break;
            }
        }
        counts.0 += seen.len();
        seen.clear();
        loop {
            let page = it.store.buyers(bucket, position.as_deref()).await.unwrap();
            seen.extend(page.rows.into_iter().map(|row| row.buyer));
            position = page.next;
            if position.is_none() {
                break;
            }
        }
        counts.1 += seen.len();
    }
    assert_eq!(counts, (3_000, 3_000));
    let other_process = it.store.rows(&bucket, Some("1.999")).await.unwrap();
    let first = it.store.rows(&bucket, None).await.unwrap();
    assert_eq!(other_process, first, "it begins anew");
}
