//! Bodies with a key of their own.

use tandem::{
    model::{Gid, Mode, Status},
    store::{Prepare, Recorded, Store, Submit, Submitted},
};

use crate::support::samples::{body, next_record, prepare, spec, submit};

use super::TestStore;

/// A saga whose body has some 3 MB.
fn large(gid: &str, it: &TestStore) -> Submit {
    let mut spec = spec(gid, Mode::Saga, 2);
    spec.payloads = vec![format!("\"{}\"", "ü".repeat(750_000)).into(); 2];
    submit(spec, it.token(), false)
}

#[tokio::test]
async fn three_megabytes_are_stored_claimed_and_finished() {
    let it = TestStore::new().await;
    let item = large(&it.name, &it);
    assert!(item.body.len() > 3_000_000);
    it.queue(item.clone()).await;
    let reply = it.store.submit(item.clone()).await.unwrap();
    assert!(matches!(reply, Submitted::Created { .. }), "a repeat: {reply:?}");

    let token = it.token();
    let taken = it.claim(&item, &token).await;
    assert_eq!(taken.global.spec, item.spec);
    let mut record = next_record(&taken, &token, Status::Submitted);
    assert_eq!(it.store.record(&record).await.unwrap(), Recorded::Written);
    record.n += 1;
    record.state.status = Status::Failed;
    assert_eq!(it.store.finish(&record).await.unwrap(), Recorded::Written);
    let stored = it.store.query(&item.spec.gid).await.unwrap().expect("it is kept");
    assert_eq!((stored.global.spec, stored.global.state), (item.spec, record.state));
}

#[tokio::test]
async fn a_large_prepared_message_is_promoted_by_a_small_submit() {
    let it = TestStore::new().await;
    let mut message = spec(&it.name, Mode::Message, 1);
    message.payloads = vec![format!("\"{}\"", "x".repeat(10_000)).into()];
    let item: Prepare = prepare(message.clone(), it.token());
    it.store.prepare(item).await.unwrap();
    let small = submit(spec(&it.name, Mode::Message, 1), it.token(), true);
    let Submitted::Held(taken) = it.store.submit(small).await.unwrap() else {
        panic!("it is promoted");
    };
    assert_eq!(*taken.global.spec, message);
}

#[tokio::test]
async fn the_longest_inline_body_and_the_next_one_are_read_alike() {
    let it = TestStore::new().await;
    for more in [0, 1] {
        let gid = format!("{}-{more}", it.name);
        let mut item = submit(spec(&gid, Mode::Saga, 1), it.token(), false);
        let padding = 4_096 + more - body(&item.spec).len();
        item.body = [&item.body[..], &vec![b' '; padding]].concat().into();
        it.queue(item.clone()).await;
        let stored = it.store.query(&item.spec.gid).await.unwrap().expect("it is stored");
        assert_eq!(stored.global.spec, item.spec);
    }
    let bodies = it.keys().iter().filter(|key| key.contains(":b:")).count();
    assert_eq!(bodies, 1);
}

#[tokio::test]
async fn a_missing_body_is_told_as_unreadable() {
    let it = TestStore::new().await;
    let item = large(&it.name, &it);
    it.queue(item.clone()).await;
    let key = it.keys().into_iter().find(|key| key.contains(":b:")).unwrap();
    let () = redis::cmd("DEL").arg(key).query(&mut it.redis()).unwrap();
    let error = it.store.query(&Gid::new(&it.name).unwrap()).await.unwrap_err();
    assert!(matches!(error, tandem::store::StoreError::Unreadable { .. }), "{error:?}");
}
