//! What an end leaves behind: nothing that stays for ever.

use std::time::Duration;

use tandem::{
    model::{Gid, Mode, Status},
    store::{
        Aborted, Changed, Durability, Recorded, RegisterReply, Store, Submitted, WorkflowEnded,
    },
};

use crate::support::samples::{
    abort, branch, end_workflow, next_record, prepare, register, spec, submit,
};

use super::TestStore;

const RETENTION: Duration = Duration::from_secs(40);

/// How much longer than the transactions the lists of ended ones may live.
const LIST_MARGIN: Duration = Duration::from_secs(180);

/// Ends `gid` in the way of `number`, with a body of `bytes` bytes more than usual.
async fn end(it: &TestStore, number: usize, gid: &str, bytes: usize) {
    let mode = match number {
        1 => Mode::Message,
        3 => Mode::Workflow,
        4 => Mode::Tcc,
        _ => Mode::Saga,
    };
    let spec = spec(gid, mode, 1);
    let mut item = submit(spec.clone(), it.token(), false);
    item.body = [&item.body[..], &vec![b' '; bytes]].concat().into();
    match number {
        0 => {
            it.queue(item.clone()).await;
            let token = it.token();
            let taken = it.claim(&item, &token).await;
            let record = next_record(&taken, &token, Status::Succeed);
            assert_eq!(it.store.finish(&record).await.unwrap(), Recorded::Written);
            assert_eq!(it.store.finish(&record).await.unwrap(), Recorded::Written);
        }
        1 => {
            let item = tandem::store::Prepare { body: item.body, ..prepare(spec, it.token()) };
            it.store.prepare(item.clone()).await.unwrap();
            it.store.prepare(item.clone()).await.unwrap();
            let gid = &item.spec.gid;
            let reply = it.store.abort(abort(gid, it.token(), Some("why"), false)).await;
            assert_eq!(reply.unwrap(), Aborted::Done);
        }
        2 => {
            it.queue(item.clone()).await;
            let gid = &item.spec.gid;
            let reply = it.store.force_stop(gid, &it.token(), Durability::Memory).await;
            assert_eq!(reply.unwrap(), Changed::Done);
        }
        3 | 4 => {
            let item = tandem::store::Prepare { body: item.body, ..prepare(spec, it.token()) };
            it.store.prepare(item.clone()).await.unwrap();
            let gid = &item.spec.gid;
            let added = register(gid, mode, branch(mode, "1", b"{}"));
            assert_eq!(it.store.register(added).await, Ok(RegisterReply::Done));
            let token = it.token();
            if mode == Mode::Workflow {
                let reply = it.store.end_workflow(end_workflow(gid, token, Status::Failed)).await;
                assert!(matches!(reply, Ok(WorkflowEnded::Done { .. })), "{reply:?}");
                return;
            }
            let reply = it.store.abort(abort(gid, token.clone(), None, true)).await;
            let Ok(Aborted::Held(taken)) = reply else { panic!("{reply:?}") };
            let record = next_record(&taken, &token, Status::Failed);
            assert_eq!(it.store.finish(&record).await.unwrap(), Recorded::Written);
        }
        _ => {
            item.state.status = Status::Succeed;
            let reply = it.store.submit(item.clone()).await.unwrap();
            assert!(matches!(reply, Submitted::Created { held: false, .. }), "{reply:?}");
            let reply = it.store.submit(item).await.unwrap();
            assert!(matches!(reply, Submitted::Created { held: false, .. }), "{reply:?}");
        }
    }
}

#[tokio::test]
async fn all_keys_of_an_ended_transaction_expire() {
    let it = TestStore::with(crate::support::redis::redis_url(), |settings| {
        settings.retention = RETENTION;
    })
    .await;
    for number in 0..6 {
        for bytes in [0, 5_000] {
            let gid = format!("{number}-{bytes}");
            end(&it, number, &gid, bytes).await;
            let stored = it.store.query(&Gid::new(&gid).unwrap()).await.unwrap();
            let stored = stored.expect("it is kept for the retention");
            assert!(stored.global.state.status.is_final());
            assert_eq!(stored.due_at, None);
        }
    }
    let mut redis = it.redis();
    let (mut transactions, mut bodies, mut ended) = (0, 0, 0);
    for key in it.keys() {
        let left: i64 = redis::cmd("PTTL").arg(&key).query(&mut redis).unwrap();
        let left = u64::try_from(left).map(Duration::from_millis);
        match key.split(':').nth(2) {
            Some("g") => transactions += 1,
            Some("b") => bodies += 1,
            Some("s") => {}
            Some("fin") => {
                let n: i64 = redis::cmd("LLEN").arg(&key).query(&mut redis).unwrap();
                ended += n;
                assert!(left.unwrap() <= RETENTION + LIST_MARGIN, "{key}: {left:?}");
                continue;
            }
            None if key.ends_with(":meta") => continue,
            _ => panic!("{key} stays"),
        }
        // A staged body waits for a minute, and is then gone, too.
        let bound = if key.contains(":s:") { Duration::from_mins(1) } else { RETENTION };
        assert!(left.is_ok_and(|left| left <= bound), "{key}: {left:?}");
    }
    assert_eq!((transactions, bodies, ended), (12, 6, 12));
}

#[tokio::test]
async fn an_ended_one_is_gone_after_the_retention() {
    let it = TestStore::with(crate::support::redis::redis_url(), |settings| {
        // Longer than a repeat of its end takes on a busy machine.
        settings.retention = Duration::from_secs(1);
    })
    .await;
    for bytes in [0, 5_000] {
        let gid = Gid::new(&format!("gone-{bytes}")).unwrap();
        end(&it, 0, gid.as_str(), bytes).await;
        // Ends with an answer that it is missing: never with an error, nor with half of it.
        while it.store.query(&gid).await.unwrap().is_some() {}
    }
    assert!(!it.keys().iter().any(|key| key.contains(":g:") || key.contains(":b:")));
}
