//! `abort` and `force_stop`: the calls that end what has not ended as failed.

use super::{
    rig::{RETENTION_MS, Rig},
    transaction::{LEASE_US, REST, Transaction},
};

#[test]
fn abort_ends_a_prepared_message_over_whoever_held_it() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.seed(&t, "PM4;p1", "w1");
    rig.one(t.reset());
    assert_eq!(rig.one(t.abort("r1", "no stock")), ["done"]);
    assert_eq!(rig.state(&t), format!("FM5;r1;{REST}"));
    assert_eq!((rig.token(&t).as_str(), rig.due(&t)), ("r1", None));
    assert_eq!(rig.field(&t, "r").as_deref(), Some("no stock"));
    assert_eq!(rig.field(&t, "w"), None);
    assert_eq!(rig.ended(&t), ["g"]);
    assert_eq!(rig.one(t.record("w1", 5, "S")), ["refused"]);
    assert_eq!(rig.one(t.renew("w1", LEASE_US)), ["refused"]);
    assert_eq!(rig.one(t.renew("r1", LEASE_US)), ["refused"], "nobody holds what has ended");
}

#[test]
fn force_stop_ends_whatever_has_not_ended() {
    let mut rig = Rig::new();
    for head in ["PM1;p1", "SM2;r0", "SS2;r0", "AS2;r0", "SM3;"] {
        for token in ["", "w1"] {
            let t = Transaction::new();
            rig.seed(&t, head, token);
            assert_eq!(rig.one(t.force_stop("r1", "stopped")), ["done"]);
            let n = head[2..3].parse::<u64>().unwrap() + 1;
            assert_eq!(rig.state(&t), format!("F{}{n};r1;{REST}", &head[1..2]));
            assert_eq!((rig.token(&t).as_str(), rig.due(&t)), ("r1", None));
            assert_eq!(rig.ended(&t), ["g"]);
            assert_eq!(rig.one(t.record("w1", n, "S")), ["refused"]);
        }
    }
}

#[test]
fn a_repeat_is_done_and_writes_nothing() {
    let mut rig = Rig::new();
    for call in [Transaction::abort, Transaction::force_stop] {
        let t = Transaction::new();
        rig.one(t.prepare("p1"));
        rig.one(call(&t, "r1", "x"));
        let stored = rig.snapshot(&t);
        assert_eq!(rig.one(call(&t, "r1", "x")), ["done"]);
        assert_eq!(rig.snapshot(&t), stored);
    }
}

#[test]
fn abort_tells_mode_and_status_of_what_it_does_not_end() {
    let mut rig = Rig::new();
    for head in ["SM2;r0", "SM2;", "PS2;p1", "Ps2;p1", "AS2;r0", "CM2;r0", "FM2;r0", "FM2;"] {
        let t = Transaction::new();
        rig.seed(&t, head, "");
        let stored = rig.snapshot(&t);
        let mode = head[1..2].to_uppercase();
        assert_eq!(rig.one(t.abort("r1", "")), ["conflict", &mode, &head[..1]]);
        assert_eq!(rig.snapshot(&t), stored);
    }
}

#[test]
fn force_stop_tells_how_it_had_ended() {
    let mut rig = Rig::new();
    for status in ["C", "F"] {
        let t = Transaction::new();
        rig.seed(&t, &format!("{status}M2;r0"), "w1");
        let stored = rig.snapshot(&t);
        assert_eq!(rig.one(t.force_stop("r1", "stopped")), ["ended", status]);
        assert_eq!(rig.snapshot(&t), stored);
    }
}

#[test]
fn what_is_not_there_is_missing() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    assert_eq!(rig.one(t.abort("r1", "")), ["missing"]);
    assert_eq!(rig.one(t.force_stop("r1", "")), ["missing"]);
    assert!(rig.snapshot(&t).is_empty());
}

#[test]
fn a_reason_that_is_stored_stays() {
    let mut rig = Rig::new();
    for call in [Transaction::abort, Transaction::force_stop] {
        let t = Transaction::new();
        rig.seed(&t, "PM1;p1", "");
        rig.ask::<()>("HSET", &[&t.hash(), "r", "the first"]);
        let item = call(&t, "r1", "");
        rig.one(item);
        assert_eq!(rig.field(&t, "r").as_deref(), Some("the first"));
    }
    let t = Transaction::new();
    rig.seed(&t, "AS1;p1", "");
    rig.ask::<()>("HSET", &[&t.hash(), "r", "the first"]);
    rig.one(t.force_stop("r1", "stopped"));
    assert_eq!(rig.field(&t, "r").as_deref(), Some("the first"));
}

#[test]
fn what_was_stopped_expires_with_its_body() {
    let mut rig = Rig::new();
    for call in [Transaction::abort, Transaction::force_stop] {
        let t = Transaction::new();
        rig.stage(&t, "p1");
        rig.one(super::calls::Prepare { is_large: true, ..t.prepare("p1") });
        rig.one(call(&t, "r1", ""));
        for key in [t.hash(), t.body()] {
            let ttl = rig.ttl_ms(&key);
            assert!(ttl <= RETENTION_MS.cast_signed() && ttl > 60_000, "{key}: {ttl}");
        }
        assert!(rig.ttl_ms(&t.ended_list()) > RETENTION_MS.cast_signed());
    }
}

#[test]
fn a_claim_that_was_under_way_gets_nothing() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.one(t.submit("r0"));
    let score = rig.one(t.claim_due(1))[1].parse().unwrap();
    rig.one(t.force_stop("r1", ""));
    assert_eq!(rig.one(t.take(score, "w1")), ["refused"]);
    assert_eq!(rig.token(&t), "r1");
}
