//! The listing of many transactions, while others come and end.

use std::{collections::HashSet, sync::Arc};

use futures_util::future::join_all;
use tandem::{
    model::{Gid, Status},
    store::{Durability, Filter, Store},
};

use crate::support::redis::RedisServer;

use super::{
    TestStore,
    listing::{finished, page, unfinished},
};

const FINISHED: usize = 100_000;
const UNFINISHED: usize = 10_000;

/// Of the unfinished ones, those that end while the pages are read.
const ENDING: usize = 5_000;

/// How many requests are under way at the same time.
const AT_ONCE: usize = 256;

/// What one page may ask of Redis, with 64 shards: a step looks at each shard twice at the most.
const COMMANDS_MAX: f64 = 32.0 * 128.0 + 2.0 * 1_250.0;
const TRANSACTIONS_MAX: f64 = 1_250.0;

/// How many commands the pages sent so far, and how many transactions they read.
fn asked(it: &TestStore) -> [f64; 2] {
    let page = it.metrics.render();
    ["tandem_listing_commands_total ", "tandem_script_items_total{script=\"query\"} "].map(|name| {
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        line.expect(name).trim().parse().expect("a number")
    })
}

/// Stores all of them; each task has its part.
async fn store_all(it: &Arc<TestStore>) {
    let parts = (0..AT_ONCE).map(|part| {
        let it = Arc::clone(it);
        tokio::spawn(async move {
            for number in (part..UNFINISHED).step_by(AT_ONCE) {
                unfinished(&it, &format!("open-{number}")).await;
            }
            for number in (part..FINISHED).step_by(AT_ONCE) {
                finished(&it, &format!("done-{number}"), Status::Succeed).await;
            }
        })
    });
    for part in join_all(parts).await {
        part.unwrap();
    }
}

/// Ends some that were there, and lets others come and end, for ever.
async fn go_on(it: &TestStore) {
    for number in 0.. {
        if number < ENDING {
            let gid = Gid::new(&format!("open-{}", number * 2)).unwrap();
            it.store.force_stop(&gid, &it.token(), Durability::Memory).await.unwrap();
        }
        finished(it, &format!("new-{number}"), Status::Failed).await;
        unfinished(it, &format!("new-open-{number}")).await;
    }
}

/// The gids of all pages, and that each page was bounded work.
async fn walk(it: &TestStore) -> HashSet<Gid> {
    let (mut met, mut position) = (HashSet::with_capacity(FINISHED + UNFINISHED), None);
    loop {
        let [before_commands, before_items] = asked(it);
        let page = page(&it.store, &Filter::default(), position.as_deref(), 1_000).await;
        let [commands, items] = asked(it);
        let (n_commands, n_items) = (commands - before_commands, items - before_items);
        assert!(n_commands <= COMMANDS_MAX, "{n_commands} commands for one page");
        assert!(n_items <= TRANSACTIONS_MAX, "{n_items} transactions read for one page");
        met.extend(page.transactions.into_iter().map(|it| it.global.gid().clone()));
        position = page.next;
        if position.is_none() {
            return met;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn none_of_very_many_is_missed_while_others_end() {
    let server = RedisServer::start(&[]);
    let it = Arc::new(TestStore::with(&server.url(), |_| {}).await);
    store_all(&it).await;
    let others = Arc::clone(&it);
    let others = tokio::spawn(async move { go_on(&others).await });
    let met = walk(&it).await;
    others.abort();
    assert!(others.await.is_err_and(|error| error.is_cancelled()), "the others went on till then");

    let open = (0..UNFINISHED).map(|number| format!("open-{number}"));
    let done = (0..FINISHED).map(|number| format!("done-{number}"));
    let missed: Vec<_> =
        open.chain(done).filter(|name| !met.contains(&Gid::new(name).unwrap())).collect();
    assert!(missed.is_empty(), "{} were missed: {:?} …", missed.len(), missed.first());
}
