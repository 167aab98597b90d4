//! The listing of many transactions, while others come and end.

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
};

use futures_util::future::{join, join_all};
use tandem::{
    model::{Gid, Mode, Spec, Status, Tokens},
    store::{Durability, Filter, Store, Submit},
};

use crate::support::{
    redis::RedisServer,
    samples::{spec, submit},
};

use super::{TestStore, listing::page};

const FINISHED: usize = 100_000;
const UNFINISHED: usize = 10_000;

/// How many of the unfinished ones end while one page is read.
const ENDING_A_PAGE: usize = 100;

/// How many transactions a page is asked for.
const PAGE: usize = 1_000;

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
                store_open(&it, &format!("open-{number}")).await;
            }
            for number in (part..FINISHED).step_by(AT_ONCE) {
                store_done(&it, &format!("done-{number}")).await;
            }
        })
    });
    for part in join_all(parts).await {
        part.unwrap();
    }
}

/// A request that is made once; only the gid and the token are each one's own.
fn request(it: &TestStore, gid: &str) -> Submit {
    static REQUEST: LazyLock<Submit> =
        LazyLock::new(|| submit(spec("x", Mode::Saga, 0), Tokens::new("x").next(), false));
    let spec = Spec { gid: Gid::new(gid).unwrap(), ..(*REQUEST.spec).clone() };
    Submit { token: it.token(), spec: Arc::new(spec), ..REQUEST.clone() }
}

async fn store_open(it: &TestStore, gid: &str) {
    it.queue(request(it, gid)).await;
}

async fn store_done(it: &TestStore, gid: &str) {
    let mut item = request(it, gid);
    item.state.status = Status::Succeed;
    it.queue(item).await;
}

/// While the page of this number is read, some that were there end, and others come and end.
async fn go_on(it: &TestStore, page: usize) {
    for number in page * ENDING_A_PAGE..(page + 1) * ENDING_A_PAGE {
        if number * 2 < UNFINISHED {
            let gid = Gid::new(&format!("open-{}", number * 2)).unwrap();
            it.store.force_stop(&gid, &it.token(), Durability::Memory).await.unwrap();
        }
        store_done(it, &format!("new-{number}")).await;
        store_open(it, &format!("new-open-{number}")).await;
    }
}

/// The gids of all pages, and that each page was bounded work.
async fn walk(it: &TestStore) -> HashSet<Gid> {
    let (mut met, mut position) = (HashSet::with_capacity(FINISHED + UNFINISHED), None);
    for number in 0.. {
        let [before_commands, before_items] = asked(it);
        let all = Filter::default();
        let page = page(&it.store, &all, position.as_deref(), PAGE);
        let (page, ()) = join(page, go_on(it, number)).await;
        let [commands, items] = asked(it);
        let (n_commands, n_items) = (commands - before_commands, items - before_items);
        assert!(n_commands <= COMMANDS_MAX, "{n_commands} commands for one page");
        assert!(n_items <= TRANSACTIONS_MAX, "{n_items} transactions read for one page");
        met.extend(page.transactions.into_iter().map(|it| it.global.gid().clone()));
        position = page.next;
        if position.is_none() {
            break;
        }
    }
    met
}

#[tokio::test(flavor = "multi_thread")]
async fn none_of_very_many_is_missed_while_others_end() {
    let server = RedisServer::start(&[]);
    let it = Arc::new(TestStore::with(&server.url(), |_| {}).await);
    store_all(&it).await;
    let met = walk(&it).await;
    let open = (0..UNFINISHED).map(|number| format!("open-{number}"));
    let done = (0..FINISHED).map(|number| format!("done-{number}"));
    let missed: Vec<_> =
        open.chain(done).filter(|name| !met.contains(&Gid::new(name).unwrap())).collect();
    assert!(missed.is_empty(), "{} were missed: {:?} …", missed.len(), missed.first());
}
