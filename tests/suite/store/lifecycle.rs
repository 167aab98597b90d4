//! A transaction's life in Redis: stored, held, recorded, ended.

use std::time::Duration;

use tandem::{
    clock::Clock,
    model::{Mode, Progress, Status},
    store::{Prepared, Recorded, Store, Submitted, TakeReply},
};

use crate::support::samples::{LEASE, abort, next_record, prepare, spec, submit};

use super::TestStore;

#[tokio::test]
async fn a_held_saga_is_recorded_and_finished() {
    let it = TestStore::new().await;
    let token = it.token();
    let item = submit(spec(&it.name, Mode::Saga, 2), token.clone(), true);
    let gid = item.spec.gid.clone();
    let Submitted::Created { created_at, held: true } = it.store.submit(item).await.unwrap() else {
        panic!("it is new");
    };
    let stored = it.store.query(&gid).await.unwrap().expect("it is stored");
    assert!(stored.is_held);
    assert_eq!(stored.due_at, Some(created_at.plus(LEASE)));
    assert_eq!(stored.updated_at, created_at);
    assert_eq!(*stored.global.spec, spec(&it.name, Mode::Saga, 2));
    assert_eq!(stored.global.state.rows[1].progress, Progress::MayHaveRun);

    let taken = tandem::store::Taken { global: stored.global, n: 1 };
    let mut record = next_record(&taken, &token, Status::Submitted);
    record.state.rows[1].progress = Progress::Succeeded;
    record.state.rows[1].finished_at = Some(created_at.plus(Duration::from_millis(5)));
    assert_eq!(it.store.record(&record).await.unwrap(), Recorded::Written);
    assert_eq!(it.store.record(&record).await.unwrap(), Recorded::Written, "a repeat");
    assert!(it.store.renew(&gid, &token, LEASE * 2).await.unwrap());

    record.n += 1;
    record.state.status = Status::Succeed;
    assert_eq!(it.store.finish(&record).await.unwrap(), Recorded::Written);
    assert_eq!(it.store.finish(&record).await.unwrap(), Recorded::Written, "a repeat");
    assert!(!it.store.renew(&gid, &token, LEASE).await.unwrap());
    let stored = it.store.query(&gid).await.unwrap().expect("it is kept");
    assert_eq!(stored.global.state, record.state);
    assert_eq!((stored.due_at, stored.is_held), (None, false));
}

#[tokio::test]
async fn a_queued_one_is_claimed_rests_and_is_claimed_again() {
    let it = TestStore::new().await;
    let item = submit(spec(&it.name, Mode::Saga, 1), it.token(), false);
    let gid = item.spec.gid.clone();
    it.queue(item.clone()).await;
    let token = it.token();
    let taken = it.claim(&item, &token).await;
    assert_eq!((taken.n, &taken.global.state), (2, &item.state));
    assert!(it.clock.redis_now() >= taken.global.created_at);

    let record = next_record(&taken, &token, Status::Submitted);
    let reply = it.store.rest(&record, it.clock.redis_now()).await.unwrap();
    assert_eq!(reply, Recorded::Written);
    assert_eq!(it.store.rest(&record, it.clock.redis_now()).await.unwrap(), Recorded::Refused);
    let next = it.token();
    assert_eq!(it.claim(&item, &next).await.n, 4);
    assert_eq!(it.store.record(&record).await.unwrap(), Recorded::Refused, "a late copy");
    assert!(it.store.query(&gid).await.unwrap().expect("it is stored").is_held);
}

#[tokio::test]
async fn a_prepared_message_is_promoted_with_what_its_submit_says() {
    let it = TestStore::new().await;
    let message = spec(&it.name, Mode::Message, 1);
    let gid = message.gid.clone();
    let reply = it.store.prepare(prepare(message.clone(), it.token())).await.unwrap();
    assert_eq!(reply, Prepared::Stored { is_new: true });
    let mut item = submit(message, it.token(), true);
    item.override_options = Some(r#"{"retry_interval":7}"#.to_owned());
    let Submitted::Held(taken) = it.store.submit(item.clone()).await.unwrap() else {
        panic!("it is promoted");
    };
    assert_eq!(taken.global.state.status, Status::Submitted);
    assert_eq!(taken.global.spec.options.retry_interval, Some(Duration::from_secs(7)));
    let again = it.store.submit(item).await.unwrap();
    assert_eq!(again, Submitted::Held(taken), "a repeat");
    let reply = it.store.abort(abort(&gid, it.token(), None, false)).await.unwrap();
    assert_eq!(reply, tandem::store::Aborted::Conflict(Mode::Message, Status::Submitted));
}

#[tokio::test]
async fn what_is_not_there_is_missing() {
    let it = TestStore::new().await;
    let gid = spec(&it.name, Mode::Saga, 1).gid;
    assert_eq!(it.store.query(&gid).await.unwrap(), None);
    let reply = it.store.take(&gid, it.clock.redis_now(), &it.token()).await.unwrap();
    assert_eq!(reply, TakeReply::Missing);
    let reply = it.store.reset(&gid).await.unwrap();
    assert_eq!(reply, tandem::store::Changed::NotFound);
}
