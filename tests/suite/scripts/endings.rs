//! `finish`: what a holder's end leaves behind.

use super::{
    calls::{ByHolder, Submit},
    rig::{RETENTION_MS, Rig},
    transaction::{LEASE_US, Transaction},
};

fn assert_kept_for_the_retention(rig: &mut Rig, key: &str) {
    let ttl = rig.ttl_ms(key);
    assert!(
        ttl <= RETENTION_MS.cast_signed() && ttl > RETENTION_MS.cast_signed() - 60_000,
        "{ttl}"
    );
}

#[test]
fn a_finish_ends_it() {
    let mut rig = Rig::new();
    for (status, reason) in [("C", ""), ("F", "no stock")] {
        let t = Transaction::new();
        rig.seed(&t, "SS4;r1", "w1");
        let call = ByHolder { rest: "ss;0.1;0;", reason, ..t.finish("w1", 5, status) };
        assert_eq!(rig.one(call), ["written"]);
        assert_eq!(rig.state(&t), format!("{status}S5;r1;ss;0.1;0;"));
        assert_eq!((rig.token(&t).as_str(), rig.due(&t)), ("w1", None), "its token stays");
        assert_eq!(rig.field(&t, "r").unwrap_or_default(), reason);
        assert_eq!(rig.ended(&t), ["g"]);
        assert_kept_for_the_retention(&mut rig, &t.hash());
    }
}

#[test]
fn a_repeat_is_written_and_writes_nothing() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.seed(&t, "SS4;r1", "w1");
    rig.one(t.finish("w1", 5, "C"));
    let stored = rig.snapshot(&t);
    assert_eq!(rig.one(t.finish("w1", 5, "C")), ["written"]);
    assert_eq!(rig.one(t.finish("w1", 6, "F")), ["refused"], "what is final stays");
    assert_eq!(rig.snapshot(&t), stored);
}

#[test]
fn the_list_outlives_what_it_lists_and_its_time_starts_once() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    let other = t.sibling("h");
    for one in [&t, &other] {
        rig.seed(one, "SS4;r1", "w1");
    }
    rig.one(t.finish("w1", 5, "C"));
    let ttl = rig.ttl_ms(&t.ended_list()) - RETENTION_MS.cast_signed();
    assert!((120_000..=180_000).contains(&ttl), "{ttl}");
    rig.ask::<()>("PEXPIRE", &[&t.ended_list(), "99000"]);
    rig.one(other.finish("w1", 5, "C"));
    assert_eq!(rig.ended(&t), ["g", "h"]);
    assert!(rig.ttl_ms(&t.ended_list()) <= 99_000);
}

#[test]
fn a_large_body_is_asked_for_and_expires_with_the_transaction() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.stage(&t, "r1");
    rig.one(Submit { is_large: true, held: true, ..t.submit("r1") });
    let stored = rig.snapshot(&t);
    let call = t.finish("r1", 2, "C");
    assert_eq!(rig.one(call), ["with_body"]);
    assert_eq!(rig.snapshot(&t), stored);
    let call = ByHolder { with_body: true, ..call };
    assert_eq!(rig.one(call), ["written"]);
    for key in [t.hash(), t.body()] {
        assert_kept_for_the_retention(&mut rig, &key);
    }
    assert_eq!(rig.one(ByHolder { with_body: false, ..call }), ["written"], "a repeat");
}

#[test]
fn a_back_check_that_says_no_ends_it() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.seed(&t, "PM4;p1", "w1");
    let call = ByHolder { promoted: true, ..t.finish("w1", 5, "F") };
    assert_eq!(rig.one(call), ["written"]);
    assert_eq!(&rig.state(&t)[..5], "FM5;;");
    assert_eq!(rig.one(t.submit("r1")), ["conflict", "F"], "and no submit is taken for stored");
}

#[test]
fn nothing_of_what_has_ended_is_changed_by_any_script() {
    let mut rig = Rig::new();
    for status in ["C", "F"] {
        let t = Transaction::new();
        rig.seed(&t, "SS4;r1", "w1");
        rig.one(t.reset());
        rig.one(t.finish("w1", 5, status));
        let stored = rig.snapshot(&t);
        for item in [
            t.prepare("r2").into(),
            Submit { mode: "S", ..t.submit("r2") }.into(),
            t.submit("r2").by_promote().into(),
            t.abort("r2", "x"),
            t.force_stop("r2", "x"),
            t.reset(),
            t.reset_later(0),
            t.claim_due(9),
            t.take(1, "w2"),
            t.renew("w1", LEASE_US),
            t.record("w1", 6, "S").into(),
            t.rest("w1", 6, "S", 7).into(),
            t.finish("w1", 6, "C").into(),
        ] {
            rig.one(item);
            assert_eq!(rig.snapshot(&t), stored);
        }
    }
}

#[test]
fn a_retention_that_is_no_number_is_refused_before_anything_is_written() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.seed(&t, "SS4;r1", "w1");
    let stored = rig.snapshot(&t);
    let source = tandem::store::scripts::ScriptName::ForceStop.source();
    let keys = [t.hash(), t.body(), t.due_set(), t.ended_list()];
    let mut redis = crate::support::redis::connect(crate::support::redis::redis_url());
    let called: redis::RedisResult<redis::Value> = redis::cmd("EVAL")
        .arg(source)
        .arg(keys.len())
        .arg(&keys)
        .arg(&["soon", "g", "r2", ""])
        .query(&mut redis);
    assert!(called.is_err());
    assert_eq!(rig.snapshot(&t), stored);
}
