//! The listing of many transactions, while others come and end.

use std::{collections::HashSet, time::Duration};

use futures_util::{StreamExt, stream};
use tandem::{
    model::{Gid, Status},
    store::{Durability, Filter, Store},
    telemetry::metrics::Metrics,
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

/// The number of this name on the metrics page.
fn number(metrics: &Metrics, name: &str) -> f64 {
    let page = metrics.render();
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0.0, |number| number.trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn none_of_very_many_is_missed_while_others_end() {
    let server = RedisServer::start(&[]);
    let it = TestStore::with(&server.url(), |_| {}).await;
    let created = stream::iter(0..FINISHED + UNFINISHED).for_each_concurrent(AT_ONCE, |number| {
        let it = &it;
        async move {
            if number < UNFINISHED {
                unfinished(it, &format!("open-{number}")).await;
            } else {
                finished(it, &format!("done-{number}"), Status::Succeed).await;
            }
        }
    });
    created.await;

    let (mut met, mut position) = (HashSet::with_capacity(FINISHED + UNFINISHED), None);
    let reading = async {
        loop {
            let counted = |name| number(&it.metrics, name);
            let [commands, items] =
                ["tandem_listing_commands_total ", "tandem_script_items_total{script=\"query\"} "];
            let before = (counted(commands), counted(items));
            let page = page(&it.store, &Filter::default(), position.as_deref(), 1_000).await;
            let (n_commands, n_items) = (counted(commands) - before.0, counted(items) - before.1);
            assert!(n_commands <= COMMANDS_MAX, "{n_commands} commands for one page");
            assert!(n_items <= TRANSACTIONS_MAX, "{n_items} transactions read for one page");
            met.extend(page.transactions.into_iter().map(|it| it.global.gid().clone()));
            position = page.next;
            if position.is_none() {
                break;
            }
        }
    };
    let writing = async {
        for number in 0.. {
            if number < ENDING {
                let gid = Gid::new(&format!("open-{}", number * 2)).unwrap();
                it.store.force_stop(&gid, &it.token(), Durability::Memory).await.unwrap();
            }
            finished(&it, &format!("new-{number}"), Status::Failed).await;
            unfinished(&it, &format!("new-open-{number}")).await;
            if number > ENDING {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    };
    tokio::select! {
        () = reading => {}
        () = writing => {}
    }
    let names = (0..FINISHED + UNFINISHED).map(|number| {
        let part = if number < UNFINISHED { "open" } else { "done" };
        Gid::new(&format!("{part}-{number}")).unwrap()
    });
    let missed: Vec<_> = names.filter(|gid| !met.contains(gid)).collect();
    assert!(missed.is_empty(), "{} were missed: {:?} …", missed.len(), missed.first());
}
