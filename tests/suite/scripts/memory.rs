//! A Redis whose memory is full refuses new work, and lets work in hand end.

use tandem::store::scripts::ScriptName;

use super::{batches::scene, calls::Submit, rig::Rig, transaction::Transaction};
use crate::support::redis::RedisServer;

/// `maxmemory` in bytes; 1 is full whatever is stored, 0 is no limit.
fn limit(rig: &mut Rig, bytes: &str) {
    rig.ask::<()>("CONFIG", &["SET", "maxmemory", bytes]);
}

#[test]
fn new_work_is_refused_and_work_in_hand_goes_on() {
    let server = RedisServer::start(&[]);
    let mut rig = Rig::on(&server.url());
    for script in ScriptName::ALL {
        let t = Transaction::new();
        let (item, word) = scene(&mut rig, script, &t);
        let stored = rig.snapshot(&t);
        limit(&mut rig, "1");
        let called = rig.try_all(&[item]);
        limit(&mut rig, "0");
        use ScriptName as S;
        let is_new_work = matches!(script, S::Prepare | S::Submit | S::Register | S::ChangeTopic)
            || matches!(script, S::ChangeSale | S::Define | S::Order | S::Hold | S::Give);
        if is_new_work {
            let error = called.unwrap_err();
            assert_eq!(error.code(), Some("OOM"), "{script:?}: {error}");
            assert_eq!(rig.snapshot(&t), stored, "{script:?}");
        } else {
            assert_eq!(called.unwrap().items[0][0], word, "{script:?}");
        }
    }
}

#[test]
fn what_is_prepared_can_be_submitted_run_and_ended_when_redis_is_full() {
    let server = RedisServer::start(&[]);
    let mut rig = Rig::on(&server.url());
    let t = Transaction::new();
    rig.one(t.prepare("p1"));
    limit(&mut rig, "1");
    let submit = Submit { held: true, ..t.submit("r1") };
    assert_eq!(rig.try_all(&[submit.into()]).unwrap_err().code(), Some("OOM"));
    assert_eq!(rig.one(submit.by_promote())[0], "held");
    assert_eq!(rig.one(t.record("r1", 3, "S")), ["written"]);
    assert_eq!(rig.one(t.rest("r1", 4, "S", 7)), ["written"]);
    let score = rig.one(t.claim_due(1))[1].parse().unwrap();
    assert_eq!(rig.one(t.take(score, "w1"))[0], "taken");
    assert_eq!(rig.one(t.finish("w1", 6, "C")), ["written"]);
    assert_eq!(rig.ended(&t), ["g"]);
}
