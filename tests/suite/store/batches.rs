//! Calls at the same time: they share calls of their script, and nothing else.

use std::{pin::pin, task::Poll};

use futures_util::future::{join_all, poll_fn};
use tandem::{
    model::{Gid, Mode},
    store::{Store, StoreError, Submit, Submitted, TakeReply},
};

use crate::support::{
    redis::RedisServer,
    samples::{next_record, prepare, spec, submit},
};

use super::TestStore;

const COUNT: usize = 300;

fn items(it: &TestStore, held: bool) -> Vec<Submit> {
    let gid = |number| format!("{}-{number}", it.name);
    (0..COUNT).map(|n| submit(spec(&gid(n), Mode::Saga, 1), it.token(), held)).collect()
}

/// The value of a metric's line that begins with `start`.
fn metric(it: &TestStore, start: &str) -> usize {
    let page = it.metrics.render();
    let line = page.lines().find(|line| line.starts_with(start)).unwrap_or_default();
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn calls_at_the_same_time_share_script_calls() {
    // On a Cluster those of one slot do.
    let it = TestStore::with(crate::support::redis::redis_url(), |it| it.shards = 1).await;
    let replies = join_all(items(&it, true).into_iter().map(|item| it.store.submit(item))).await;
    for reply in replies {
        assert!(matches!(reply, Ok(Submitted::Created { held: true, .. })), "{reply:?}");
    }
    assert_eq!(metric(&it, "tandem_script_items_total{script=\"submit\"}"), COUNT);
    let calls = metric(&it, "tandem_script_calls_total{script=\"submit\"}");
    assert!(calls <= COUNT / 64 + 2, "{calls} calls");
}

#[tokio::test]
async fn each_gets_its_own_answer() {
    let it = TestStore::new().await;
    let items = items(&it, false);
    // Large and small ones, new and known ones, good and bad ones in turns.
    let large = |mut item: Submit| {
        item.body = [&item.body[..], &vec![b' '; 5_000]].concat().into();
        item
    };
    let kinds = items.iter().enumerate().map(|(number, item)| match number % 3 {
        0 => large(item.clone()),
        _ => item.clone(),
    });
    join_all(kinds.map(|item| it.queue(item))).await;
    for item in items.iter().step_by(7) {
        let key = it.keys().into_iter().find(|key| key.ends_with(&format!("g:{}", item.spec.gid)));
        let () = redis::cmd("HSET")
            .arg(key.unwrap())
            .arg("s")
            .arg("garbage")
            .query(&mut it.redis())
            .unwrap();
    }
    let replies = join_all(items.iter().map(async |item| {
        let gid = item.spec.gid.clone();
        let claimed = it.store.claim_due(it.store.shard_of(&gid), item.lease, 0).await.unwrap();
        assert!(claimed.left_due > 0 && claimed.due.is_empty());
        it.store.query(&gid).await
    }))
    .await;
    for (number, (item, reply)) in items.iter().zip(replies).enumerate() {
        match reply {
            Ok(Some(stored)) if number % 7 > 0 => assert_eq!(stored.global.spec, item.spec),
            Err(StoreError::Unreadable { gid, .. }) if number % 7 == 0 => {
                assert_eq!(gid, item.spec.gid);
            }
            reply => panic!("{number}: {reply:?}"),
        }
    }
    // In a script that writes, the bad ones harm no others either.
    let replies = join_all(items.iter().map(|item| it.store.reset(&item.spec.gid))).await;
    for (number, reply) in replies.into_iter().enumerate() {
        let is_bad = matches!(reply, Err(StoreError::Script { script: "reset", .. }));
        assert_eq!(is_bad, number % 7 == 0, "{number}: {reply:?}");
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_its_batch_whole() {
    let it = TestStore::new().await;
    let items = items(&it, true);
    let calls = items.iter().enumerate().map(async |(number, item)| {
        let mut call = pin!(it.store.submit(item.clone()));
        if number % 2 == 0 {
            // Asks, and is gone before there is an answer.
            poll_fn(|context| {
                assert!(call.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
            return None;
        }
        Some(call.await)
    });
    for reply in join_all(calls).await.into_iter().flatten() {
        assert!(matches!(reply, Ok(Submitted::Created { held: true, .. })), "{reply:?}");
    }
}

#[tokio::test]
async fn a_full_redis_refuses_new_work_and_lets_the_stored_go_on() {
    let server = RedisServer::start(&[]);
    let it = TestStore::with(&server.url(), |_| {}).await;
    let message = spec("m", Mode::Message, 1);
    it.store.prepare(prepare(message.clone(), it.token())).await.unwrap();
    let known = submit(spec("known", Mode::Saga, 1), it.token(), false);
    it.queue(known.clone()).await;
    let () = redis::cmd("CONFIG").arg(&["SET", "maxmemory", "1"]).query(&mut it.redis()).unwrap();

    let new = submit(spec("new", Mode::Saga, 1), it.token(), true);
    assert_eq!(it.store.submit(new).await, Err(StoreError::Full));
    let mut large = submit(spec("large", Mode::Saga, 1), it.token(), true);
    large.body = vec![b' '; 5_000].into();
    assert_eq!(it.store.submit(large).await, Err(StoreError::Full));
    let new = prepare(spec("new", Mode::Message, 1), it.token());
    assert_eq!(it.store.prepare(new).await, Err(StoreError::Full));

    let token = it.token();
    let taken = it.claim(&known, &token).await;
    let record = next_record(&taken, &token, tandem::model::Status::Succeed);
    assert_eq!(it.store.finish(&record).await, Ok(tandem::store::Recorded::Written));
    let reply = it.store.promote(submit(message, it.token(), true)).await.unwrap();
    assert!(matches!(reply, Submitted::Held(_)), "{reply:?}");
}

#[tokio::test]
async fn due_entries_that_are_no_gids_keep_nobody_from_the_others() {
    let it = TestStore::new().await;
    let item = submit(spec(&it.name, Mode::Saga, 1), it.token(), false);
    it.queue(item.clone()).await;
    let due = it.keys().into_iter().find(|key| key.ends_with(":due")).unwrap();
    let mut zadd = redis::cmd("ZADD");
    zadd.arg(due).arg(1).arg(&b"\xff\xfe"[..]).arg(2).arg("lost");
    let () = zadd.query(&mut it.redis()).unwrap();

    let shard = it.store.shard_of(&item.spec.gid);
    let claimed = it.store.claim_due(shard, item.lease, 10).await.unwrap();
    let gids: Vec<_> = claimed.due.iter().map(|it| it.gid.as_str()).collect();
    assert_eq!(gids, ["lost", item.spec.gid.as_str()]);
    assert_eq!(metric(&it, "tandem_unreadable_transactions_total"), 1);
    let lost = Gid::new("lost").unwrap();
    let reply = it.store.take(&lost, claimed.due[0].score, &it.token()).await.unwrap();
    assert_eq!(reply, TakeReply::Missing);
}

#[tokio::test]
async fn many_are_made_due_within_a_limit() {
    let it =
        TestStore::with(crate::support::redis::redis_url(), |settings| settings.shards = 3).await;
    let long = std::time::Duration::from_hours(1);
    join_all((0..COUNT).map(async |number| {
        let message = spec(&format!("{}-{number}", it.name), Mode::Message, 1);
        let mut item = prepare(message, it.token());
        item.timeout = long;
        it.store.prepare(item).await.unwrap();
    }))
    .await;
    let half = long / 2;
    assert_eq!(it.store.reset_later_than(half, 0).await, Ok((0, true)));
    assert_eq!(it.store.reset_later_than(half, 250).await, Ok((250, true)));
    assert_eq!(it.store.reset_later_than(half, 50).await, Ok((50, false)));
    assert_eq!(it.store.reset_later_than(half, 50).await, Ok((0, false)));
}
