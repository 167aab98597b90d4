//! Slots that are moved from master to master while transactions run.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tandem::{
    model::{Gid, Mode, Status, Subscriber},
    store::{
        Filter, Recorded, RedisStore, Store, StoreError, Submit, Submitted, TopicChange,
        TopicChanged,
    },
};

use crate::{
    store::{TestStore, listing},
    support::{
        cluster::{RedisCluster, slot_of},
        samples::{next_record, spec, submit},
    },
};

const SHARDS: usize = 3;

/// How many clients submit one after the other.
const CLIENTS: usize = 6;

/// Repeats a call whose answer was lost, or that was turned away, as nodes do.
async fn stubborn<T>(call: impl AsyncFn() -> Result<T, StoreError>) -> T {
    for _ in 0..5 {
        match call().await {
            Ok(answer) => return answer,
            Err(error) if error.is_passing() => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("in vain")
}

/// One transaction from its submit to its end; every fifth with a large body.
async fn run_one(it: &TestStore, number: usize) -> Gid {
    let token = it.token();
    let gid = format!("{}~{:02}", token.as_str(), number % SHARDS);
    let mut item: Submit = submit(spec(&gid, Mode::Saga, 2), token.clone(), true);
    if number.is_multiple_of(5) {
        item.body = [&item.body[..], &[b' '; 9_000]].concat().into();
    }
    let gid = item.spec.gid.clone();
    let reply = stubborn(async || it.store.submit(item.clone()).await).await;
    assert!(matches!(reply, Submitted::Created { held: true, .. }), "{reply:?}");
    let stored = stubborn(async || it.store.query(&gid).await).await.expect("it is stored");
    assert_eq!(stored.global.spec, item.spec);

    let taken = tandem::store::Taken { global: stored.global, n: 1 };
    let mut record = next_record(&taken, &token, Status::Submitted);
    assert_eq!(stubborn(async || it.store.record(&record).await).await, Recorded::Written);
    record.n += 1;
    record.state.status = Status::Succeed;
    assert_eq!(stubborn(async || it.store.finish(&record).await).await, Recorded::Written);
    gid
}

async fn subscribe(store: &RedisStore, it: &TestStore, number: u64) {
    let found = stubborn(async || store.topic("news").await).await;
    assert_eq!(found.as_ref().map_or(0, |topic| topic.version), number);
    let subscriber = Subscriber { url: format!("http://busi/{number}"), remark: String::new() };
    let mut all = found.as_ref().map(|topic| topic.subscribers.clone()).unwrap_or_default();
    all.push(subscriber);
    let change = TopicChange::new(it.token(), "news", found.as_ref(), Some(all));
    let changed = stubborn(async || store.change_topic(change.clone()).await).await;
    assert_eq!(changed, TopicChanged::Done);
}

/// The slots of the shards and of the topics, as the keys that are there tell.
fn slots(it: &TestStore) -> BTreeSet<u16> {
    it.keys().iter().filter(|key| !key.ends_with(":meta")).map(|key| slot_of(key)).collect()
}

/// Says that the moves are over when it is dropped, be it by a panic.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_slots_move() {
    let cluster = Arc::new(RedisCluster::start(0));
    let it = TestStore::with(&cluster.url(), |settings| settings.shards = SHARDS).await;
    for number in 0..SHARDS {
        run_one(&it, number).await;
    }
    subscribe(&it.store, &it, 0).await;
    let slots = slots(&it);
    assert_eq!(slots.len(), SHARDS + 1);

    let is_over = Arc::new(AtomicBool::new(false));
    let moving = tokio::task::spawn_blocking({
        let (cluster, slots, is_over) = (Arc::clone(&cluster), slots.clone(), Arc::clone(&is_over));
        move || {
            let _over = Over(is_over);
            // Each slot goes round all masters.
            for round in 0..3 {
                for slot in &slots {
                    let from = (RedisCluster::first_master_of(*slot) + round) % 3;
                    cluster.move_slot(*slot, from, (from + 1) % 3);
                }
            }
        }
    });
    let clients = (0..CLIENTS).map(async |client| {
        let mut gids = Vec::new();
        while !is_over.load(Ordering::Relaxed) || gids.len() < 3 {
            gids.push(run_one(&it, client + gids.len()).await);
        }
        gids
    });
    let subscribing = async {
        let mut number = 1;
        while !is_over.load(Ordering::Relaxed) {
            subscribe(&it.store, &it, number).await;
            number += 1;
        }
        number
    };
    let (all, n_subscribed) = futures_util::future::join(join_all(clients), subscribing).await;
    moving.await.unwrap();

    let gids: Vec<Gid> = all.into_iter().flatten().collect();
    for gid in &gids {
        let stored = it.store.query(gid).await.unwrap().expect("it is kept");
        assert_eq!((stored.global.state.status, stored.due_at), (Status::Succeed, None), "{gid}");
    }
    let listed = listing::walk(&it.store, &Filter::default(), 50).await;
    let listed = listing::set(&listed);
    assert!(gids.iter().all(|gid| listed.contains(gid.as_str())));
    assert_eq!(listed.len(), gids.len() + SHARDS);
    for shard in 0..SHARDS {
        let due = it.store.claim_due(shard, Duration::from_secs(1), 10).await.unwrap();
        assert_eq!(due.due, []);
    }
    let topic = it.store.topic("news").await.unwrap().expect("it is kept");
    assert_eq!((topic.version, topic.subscribers.len() as u64), (n_subscribed, n_subscribed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_on_its_way_is_served_as_far_as_its_keys_allow() {
    let cluster = RedisCluster::start(0);
    let it = TestStore::with(&cluster.url(), |settings| {
        settings.shards = 1;
        settings.redis_timeout = Duration::from_secs(2);
    })
    .await;
    let item = submit(spec("there", Mode::Saga, 1), it.token(), true);
    it.store.submit(item.clone()).await.unwrap();
    let slot = *slots(&it).first().unwrap();
    let from = RedisCluster::first_master_of(slot);
    let to = (from + 1) % 3;
    cluster.begin_move(slot, from, to);
    // All its keys have gone already: the old master points to the new one, once each time.
    while cluster.move_keys(slot, from, to, 1) > 0 {}
    let stored = it.store.query(&item.spec.gid).await.unwrap().expect("it is stored");
    assert_eq!(stored.global.spec, item.spec);
    let due = it.store.claim_due(0, Duration::from_secs(1), 10).await.unwrap();
    assert_eq!(due.left_due, 0);
    // One that is new has no keys there: it must wait for the end of the move.
    let new = submit(spec("new", Mode::Saga, 1), it.token(), true);
    let reply = it.store.submit(new.clone()).await;
    assert!(matches!(reply, Err(StoreError::Unreachable(_))), "{reply:?}");
    cluster.end_move(slot, from, to);
    let reply = it.store.submit(new).await.unwrap();
    assert!(matches!(reply, Submitted::Created { held: true, .. }), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_goes_on_though_its_slot_moved_between_two_pages() {
    let cluster = RedisCluster::start(0);
    let it = TestStore::with(&cluster.url(), |settings| settings.shards = 1).await;
    let gids: Vec<String> = (0..listing::MANY).map(|number| format!("open-{number}")).collect();
    join_all(gids.iter().map(|gid| listing::unfinished(&it, gid))).await;
    let slot = *slots(&it).first().unwrap();
    let from = RedisCluster::first_master_of(slot);

    let (filter, mut found) = (Filter::default(), BTreeSet::new());
    let mut position: Option<String> = None;
    for round in 0.. {
        let page = listing::page(&it.store, &filter, position.as_deref(), 60).await;
        found.extend(page.transactions.iter().map(|it| it.global.gid().to_string()));
        position = page.next;
        if position.is_none() {
            break;
        }
        assert!(round < 100, "it has no end");
        if round == 1 {
            cluster.move_slot(slot, from, (from + 1) % 3);
        }
    }
    assert_eq!(found, gids.into_iter().collect());
}
