//! Redis away: killed, restarted, or silent. Each has a server of its own.

use std::time::Duration;

use futures_util::future::join_all;
use tandem::{
    model::Mode,
    store::{Store, StoreError, Submitted},
};
use tokio::time::Instant;

use crate::support::{
    redis::RedisServer,
    samples::{spec, submit},
};

use super::TestStore;

/// Short, since these tests wait for it.
const TIMEOUT: Duration = Duration::from_millis(600);

/// What a busy machine may add.
const SLACK: Duration = Duration::from_millis(400);

async fn store(server: &RedisServer) -> TestStore {
    TestStore::with(&server.url(), |settings| settings.redis_timeout = TIMEOUT).await
}

/// Submits a new one; answers how long it took, too.
async fn submit_one(it: &TestStore) -> (Result<Submitted, StoreError>, Duration) {
    let token = it.token();
    let item = submit(spec(token.as_str(), Mode::Saga, 1), token, true);
    let started = Instant::now();
    let reply = it.store.submit(item).await;
    (reply, started.elapsed())
}

async fn works(it: &TestStore) {
    let (reply, took) = submit_one(it).await;
    assert!(matches!(reply, Ok(Submitted::Created { held: true, .. })), "{reply:?} after {took:?}");
    // Its body has a key and connections of its own.
    let token = it.token();
    let mut large = submit(spec(token.as_str(), Mode::Saga, 1), token, false);
    large.body = [&large.body[..], &[b' '; 5_000]].concat().into();
    it.queue(large.clone()).await;
    let stored = it.store.query(&large.spec.gid).await.unwrap().expect("it is stored");
    assert_eq!(stored.global.spec, large.spec);
}

/// Both are given up in time: with a large body, and without.
async fn is_given_up(it: &TestStore) {
    let (reply, took) = submit_one(it).await;
    assert!(reply.as_ref().is_err_and(StoreError::is_passing), "{reply:?}");
    assert!(took < TIMEOUT + SLACK, "{took:?}");
    let mut large = submit(spec("large", Mode::Saga, 1), it.token(), false);
    large.body = vec![b' '; 5_000].into();
    let started = Instant::now();
    let reply = it.store.submit(large).await;
    assert!(matches!(reply, Err(StoreError::Unreachable(_))), "it was not sent: {reply:?}");
    assert!(started.elapsed() < TIMEOUT + SLACK, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_restarted_redis_is_used_at_once() {
    let mut server = RedisServer::start(&[]);
    let it = store(&server).await;
    works(&it).await;
    server.kill();
    for _ in 0..3 {
        is_given_up(&it).await;
    }
    let (reply, _) = submit_one(&it).await;
    assert!(matches!(reply, Err(StoreError::Unreachable(_))), "nobody is there: {reply:?}");

    server.start_again();
    // It has forgotten the scripts, too.
    works(&it).await;
}

#[tokio::test]
async fn a_lost_connection_costs_no_call() {
    let server = RedisServer::start(&[]);
    let it = store(&server).await;
    for _ in 0..3 {
        works(&it).await;
        let mut kill = redis::cmd("CLIENT");
        kill.arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]);
        let killed: u64 = kill.query(&mut it.redis()).unwrap();
        assert!(killed > 0);
    }
    works(&it).await;
}

#[tokio::test]
async fn a_silent_redis_is_given_up_in_time_and_used_again_at_once() {
    let server = RedisServer::start(&[]);
    let it = store(&server).await;
    works(&it).await;
    server.pause();
    // Late ones wait behind the first: each is answered in its own time all the same.
    let calls = (0..6).map(async |number| {
        tokio::time::sleep(TIMEOUT / 5 * number).await;
        submit_one(&it).await
    });
    for (reply, took) in join_all(calls).await {
        assert!(reply.as_ref().is_err_and(StoreError::is_passing), "{reply:?}");
        assert!(took < TIMEOUT + SLACK, "{took:?}: {reply:?}");
    }
    is_given_up(&it).await;
    server.go_on();
    works(&it).await;
    // The connections that were given up meanwhile are closed: two lines, the bodies' pool and this
    // test's own are left.
    let mut redis = it.redis();
    let clients = |redis: &mut crate::support::cluster::Routed| {
        let list: String = redis::cmd("CLIENT").arg("LIST").query(redis).unwrap();
        list.lines().count()
    };
    while clients(&mut redis) > 2 + 4 + 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_a_silent_redis_was_told_may_have_happened() {
    let server = RedisServer::start(&[]);
    let it = store(&server).await;
    works(&it).await;
    server.pause();
    let token = it.token();
    let item = submit(spec("maybe", Mode::Saga, 1), token, true);
    let error = it.store.submit(item.clone()).await.unwrap_err();
    assert!(error.maybe_done(), "{error:?}");
    server.go_on();
    // The node's own repeat is answered as the first copy is, whichever of them comes first.
    let reply = it.store.submit(item).await.unwrap();
    assert!(matches!(reply, Submitted::Created { held: true, .. }), "{reply:?}");
}

#[tokio::test]
async fn a_busy_redis_is_told_as_such() {
    let server = RedisServer::start(&["--busy-reply-threshold", "1"]);
    let it = store(&server).await;
    let mut other = it.redis();
    let busy = std::thread::spawn(move || {
        let mut eval = redis::cmd("EVAL");
        eval.arg("while true do end").arg(0);
        eval.query::<()>(&mut other)
    });
    // Until it is busy, and then once more.
    while submit_one(&it).await.0.is_ok() {}
    let (reply, _) = submit_one(&it).await;
    assert!(
        matches!(&reply, Err(StoreError::Unreachable(text)) if text.contains("BUSY")),
        "{reply:?}"
    );
    let () = redis::cmd("SCRIPT").arg("KILL").query(&mut it.redis()).unwrap();
    assert!(busy.join().unwrap().is_err());
    works(&it).await;
}

#[tokio::test]
async fn a_replica_refuses_and_is_used_once_it_is_the_master() {
    let server = RedisServer::start(&[]);
    let it = store(&server).await;
    works(&it).await;
    let mut redis = it.redis();
    let mut replica_of = |master: &[&str]| {
        let () = redis::cmd("REPLICAOF").arg(master).query(&mut redis).unwrap();
    };
    replica_of(&["127.0.0.1", "1"]);
    let (reply, _) = submit_one(&it).await;
    assert!(
        matches!(&reply, Err(StoreError::Unreachable(text)) if text.contains("read only replica")),
        "{reply:?}"
    );
    replica_of(&["NO", "ONE"]);
    works(&it).await;
}

#[tokio::test]
async fn each_failed_call_is_counted() {
    let server = RedisServer::start(&[]);
    let it = store(&server).await;
    server.kill();
    is_given_up(&it).await;
    let page = it.metrics.render();
    let line = page.lines().find(|line| line.starts_with("tandem_redis_errors_total "));
    let count: u32 = line.and_then(|line| line.split(' ').next_back()?.parse().ok()).unwrap();
    assert!(count >= 2, "{count}");
}
