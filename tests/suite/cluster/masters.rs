//! One master at a time: one that is silent, one that forgot its scripts, and what is where.

use std::time::Duration;

use futures_util::future::join_all;
use tandem::{
    model::Mode,
    store::{Store, StoreError, Submitted, remove_deployment},
};
use tokio::time::Instant;

use crate::{
    store::TestStore,
    support::{
        cluster::{RedisCluster, Routed},
        samples::{spec, submit},
    },
};

/// Short, since a test waits for it.
const TIMEOUT: Duration = Duration::from_millis(800);

/// A store of three shards, each of which is on the master of its number.
async fn store(cluster: &RedisCluster) -> TestStore {
    TestStore::with(&cluster.url(), |settings| {
        settings.shards = 3;
        settings.redis_timeout = TIMEOUT;
    })
    .await
}

/// Submits a new one to the shard; answers how long it took, too.
async fn submit_to(it: &TestStore, shard: usize) -> (Result<Submitted, StoreError>, Duration) {
    let token = it.token();
    let gid = format!("{}~{shard:02}", token.as_str());
    let item = submit(spec(&gid, Mode::Saga, 1), token, true);
    let started = Instant::now();
    let reply = it.store.submit(item).await;
    (reply, started.elapsed())
}

async fn all_work(it: &TestStore) {
    for (reply, _) in join_all((0..3).map(|shard| submit_to(it, shard))).await {
        assert!(matches!(reply, Ok(Submitted::Created { held: true, .. })), "{reply:?}");
    }
}

#[tokio::test]
async fn a_silent_master_holds_up_no_other_ones_shards() {
    let cluster = RedisCluster::start(0);
    let it = store(&cluster).await;
    all_work(&it).await;
    cluster.master(1).pause();
    let replies = join_all((0..3).map(|shard| submit_to(&it, shard))).await;
    for (shard, (reply, took)) in replies.iter().enumerate() {
        if shard == 1 {
            assert!(matches!(reply, Err(StoreError::Unanswered(_))), "{reply:?}");
            assert!(*took < TIMEOUT * 2, "{took:?}");
        } else {
            assert!(reply.is_ok(), "{reply:?}");
            // Sooner than the first try at the silent one is given up.
            assert!(*took < TIMEOUT / 2, "{took:?}");
        }
    }
    cluster.master(1).go_on();
    all_work(&it).await;
}

#[tokio::test]
async fn masters_that_forgot_the_scripts_are_told_them_again() {
    let cluster = RedisCluster::start(0);
    let it = store(&cluster).await;
    let () = redis::cmd("SCRIPT").arg("FLUSH").query(&mut it.redis()).unwrap();
    all_work(&it).await;
}

#[tokio::test]
async fn each_master_is_told_the_password() {
    let cluster = RedisCluster::start(0);
    for number in 0..3 {
        let mut master = cluster.master(number).connect();
        let () =
            redis::cmd("CONFIG").arg(&["SET", "requirepass", "secret"]).query(&mut master).unwrap();
    }
    let url = cluster.url().replace("redis://", "redis://:secret@");
    let it = TestStore::with(&url, |settings| settings.shards = 3).await;
    all_work(&it).await;
}

#[tokio::test]
async fn a_deployment_is_removed_from_all_masters() {
    let url = crate::support::redis::redis_url();
    let cluster = (!crate::support::redis::is_on_cluster()).then(|| RedisCluster::start(0));
    let url = cluster.as_ref().map_or_else(|| url.to_owned(), RedisCluster::url);
    let [it, other] = [TestStore::with(&url, |_| {}).await, TestStore::with(&url, |_| {}).await];
    for store in [&it, &other] {
        for shard in 0..64 {
            let gid = format!("g~{shard:02}");
            store.queue(submit(spec(&gid, Mode::Saga, 1), store.token(), false)).await;
        }
    }
    let (n_keys, n_others) = (it.keys().len(), other.keys().len());
    assert!(n_keys > 128);
    assert_eq!(remove_deployment(&url, &it.name).await, Ok(n_keys as u64));
    assert_eq!((it.keys().len(), other.keys().len()), (0, n_others));
}

#[tokio::test]
async fn any_node_may_be_named_and_each_master_has_its_shards() {
    let cluster = RedisCluster::start(0);
    // By its socket, which is no address that others have.
    let it = TestStore::with(&cluster.master(2).url(), |settings| settings.shards = 3).await;
    all_work(&it).await;
    for shard in 0..3 {
        let mut master = cluster.master(shard).connect();
        let keys: Vec<String> =
            redis::cmd("KEYS").arg(format!("{}:*~*", it.name)).query(&mut master).unwrap();
        assert!(!keys.is_empty());
        assert!(keys.iter().all(|key| key.ends_with(&format!("~{shard:02}"))), "{keys:?}");
    }
    drop(Routed::new(&cluster.url()));
}
