//! Transactions whose branches are registered one by one.

use std::time::Duration;

use bytes::Bytes;
use tandem::{
    model::{Gid, Mode, Progress, Registered, Spec, Status},
    store::{
        Aborted, Prepare, Prepared, Recorded, RegisterReply, Store, StoreError, Submitted,
        WorkflowEnded,
    },
};

use crate::support::{
    redis::RedisServer,
    samples::{abort, branch, end_workflow, next_record, prepare, register, spec, submit},
};

use super::TestStore;

/// Prepares a transaction of `mode` that is due at once, with a body of `bytes` bytes more than
/// usual.
async fn prepared(it: &TestStore, mode: Mode, bytes: usize) -> Spec {
    let spec = spec(&it.name, mode, 0);
    let mut item = Prepare { timeout: Duration::ZERO, ..prepare(spec.clone(), it.token()) };
    item.body = [&item.body[..], &vec![b' '; bytes]].concat().into();
    let reply = it.store.prepare(item).await.unwrap();
    assert_eq!(reply, Prepared::Stored { is_new: true });
    spec
}

async fn add(it: &TestStore, spec: &Spec, added: &Registered) {
    let item = register(&spec.gid, spec.mode, added.clone());
    assert_eq!(it.store.register(item).await, Ok(RegisterReply::Done));
}

#[tokio::test]
async fn branches_are_told_in_the_order_in_which_they_were_registered() {
    for (mode, bytes) in [(Mode::Tcc, 0), (Mode::Xa, 5_000)] {
        let it = TestStore::new().await;
        let spec = prepared(&it, mode, bytes).await;
        // Beyond what Redis keeps in their order, and with ids and data of any kind.
        let data: &[u8] = b"\xff\0;:{}\r\n";
        let branches: Vec<_> =
            (0..200).map(|number| branch(mode, &format!("{};", 999 - number), data)).collect();
        for added in &branches {
            let item = register(&spec.gid, mode, added.clone());
            let item = tandem::store::Register { branches_max: 200, ..item };
            assert_eq!(it.store.register(item.clone()).await, Ok(RegisterReply::Done));
            assert_eq!(it.store.register(item).await, Ok(RegisterReply::Done), "a repeat");
        }
        let stored = it.store.query(&spec.gid).await.unwrap().unwrap();
        assert_eq!(stored.global.spec.registered, branches);
        assert_eq!(stored.global.state.rows.len(), 400);
        let submitted = it.store.submit(submit(spec, it.token(), true)).await.unwrap();
        let Submitted::Held(taken) = submitted else { panic!("{submitted:?}") };
        assert_eq!(taken.global.spec.registered, branches);
    }
}

#[tokio::test]
async fn who_decides_without_a_branch_is_told_of_it_and_goes_on() {
    for bytes in [0, 5_000] {
        let it = TestStore::new().await;
        let spec = prepared(&it, Mode::Tcc, bytes).await;
        let [first, second] = ["1", "2"].map(|id| branch(Mode::Tcc, id, b"{}"));
        add(&it, &spec, &first).await;
        let token = it.token();
        let taken = it.claim(&submit(spec.clone(), it.token(), false), &token).await;
        add(&it, &spec, &second).await;

        let record = next_record(&taken, &token, Status::Aborting);
        let Recorded::Reread(again) = it.store.record(&record).await.unwrap() else {
            panic!("it knows one of two");
        };
        assert_eq!(again.global.spec.registered, [first, second]);
        assert_eq!(again.n, taken.n);
        let mut record = next_record(&again, &token, Status::Aborting);
        record.state.reason = Some("too late".to_owned());
        record.state.rows[2].progress = Progress::Succeeded;
        assert_eq!(it.store.record(&record).await, Ok(Recorded::Written));
        record.n += 1;
        record.state.status = Status::Failed;
        assert_eq!(it.store.finish(&record).await, Ok(Recorded::Written));
        let stored = it.store.query(&spec.gid).await.unwrap().unwrap();
        assert_eq!(stored.global.state, record.state);
        assert_eq!(stored.due_at, None);
    }
}

#[tokio::test]
async fn an_abort_takes_it_from_whoever_holds_it() {
    let it = TestStore::new().await;
    let spec = prepared(&it, Mode::Xa, 5_000).await;
    let added = branch(Mode::Xa, "1", b"{}");
    add(&it, &spec, &added).await;
    let token = it.token();
    let taken = it.claim(&submit(spec.clone(), it.token(), false), &token).await;
    let aborting = it.store.abort(abort(&spec.gid, it.token(), Some("no"), true)).await.unwrap();
    let Aborted::Held(held) = aborting else { panic!("{aborting:?}") };
    assert_eq!((held.global.state.status, held.n), (Status::Aborting, taken.n + 1));
    assert_eq!(held.global.state.reason.as_deref(), Some("no"));
    assert_eq!(held.global.spec.registered, [added]);
    let record = next_record(&taken, &token, Status::Aborting);
    assert_eq!(it.store.record(&record).await, Ok(Recorded::Refused));
}

#[tokio::test]
async fn a_workflow_ends_as_its_client_says_and_keeps_its_result() {
    let it = TestStore::new().await;
    let spec = prepared(&it, Mode::Workflow, 5_000).await;
    let step = branch(Mode::Workflow, "1", b"its answer");
    add(&it, &spec, &step).await;
    let item = end_workflow(&spec.gid, it.token(), Status::Succeed);
    let WorkflowEnded::Done { created_at, is_new: true } =
        it.store.end_workflow(item.clone()).await.unwrap()
    else {
        panic!("it was prepared");
    };
    let again = WorkflowEnded::Done { created_at, is_new: true };
    assert_eq!(it.store.end_workflow(item).await, Ok(again), "a repeat");
    let other = end_workflow(&spec.gid, it.token(), Status::Succeed);
    let there = WorkflowEnded::Done { created_at, is_new: false };
    assert_eq!(it.store.end_workflow(other).await, Ok(there));

    let stored = it.store.query(&spec.gid).await.unwrap().unwrap();
    assert_eq!(stored.result.as_deref(), Some("its result"));
    assert_eq!(stored.global.state.status, Status::Succeed);
    assert_eq!(stored.global.spec.registered, [step]);
    assert_eq!(stored.global.state.rows[0].progress, Progress::Succeeded);
}

#[tokio::test]
async fn a_branch_that_cannot_be_read_is_told_so_and_nothing_is_left_out() {
    let it = TestStore::new().await;
    let spec = prepared(&it, Mode::Tcc, 0).await;
    add(&it, &spec, &branch(Mode::Tcc, "1", b"{}")).await;
    add(&it, &spec, &branch(Mode::Tcc, "2", b"{}")).await;
    let key = it.keys().into_iter().find(|key| key.contains(":g:")).unwrap();
    for damage in [vec!["HSET", &key, "#2", "1;t9999:"], vec!["HDEL", &key, "#1"]] {
        let (command, args) = damage.split_first().unwrap();
        let () = redis::cmd(command).arg(args).query(&mut it.redis()).unwrap();
        let unreadable = it.store.query(&spec.gid).await;
        let is_told =
            matches!(&unreadable, Err(StoreError::Unreadable { gid, .. }) if *gid == spec.gid);
        assert!(is_told, "{unreadable:?}");
    }
}

#[tokio::test]
async fn a_full_redis_takes_no_branch_and_lets_all_come_to_an_end() {
    let server = RedisServer::start(&[]);
    let it = TestStore::with(&server.url(), |_| {}).await;
    let tcc = prepared(&it, Mode::Tcc, 0).await;
    let workflow = Spec { gid: Gid::new("w").unwrap(), ..spec("w", Mode::Workflow, 0) };
    it.store.prepare(prepare(workflow.clone(), it.token())).await.unwrap();
    add(&it, &tcc, &branch(Mode::Tcc, "1", b"{}")).await;
    let () = redis::cmd("CONFIG").arg(&["SET", "maxmemory", "1"]).query(&mut it.redis()).unwrap();

    let second = register(&tcc.gid, Mode::Tcc, branch(Mode::Tcc, "2", b"{}"));
    assert_eq!(it.store.register(second).await, Err(StoreError::Full));
    let aborted = it.store.abort(abort(&tcc.gid, it.token(), None, true)).await;
    assert!(matches!(aborted, Ok(Aborted::Held(_))), "{aborted:?}");
    let item = end_workflow(&workflow.gid, it.token(), Status::Failed);
    let ended = it.store.end_workflow(item).await;
    assert!(matches!(ended, Ok(WorkflowEnded::Done { is_new: true, .. })), "{ended:?}");
}

#[tokio::test]
async fn what_must_be_prepared_first_is_not_there() {
    let it = TestStore::new().await;
    for mode in [Mode::Tcc, Mode::Xa] {
        let mut item = submit(spec(&it.name, mode, 0), it.token(), true);
        assert_eq!(it.store.submit(item.clone()).await, Ok(Submitted::NotFound));
        item.body = Bytes::from([&item.body[..], &[b' '; 5_000]].concat());
        assert_eq!(it.store.submit(item).await, Ok(Submitted::NotFound));
    }
    assert!(it.keys().iter().all(|key| !key.contains(":g:") && !key.contains(":due")));
}
