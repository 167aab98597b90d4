//! `prepare`.

use super::{
    calls::Prepare,
    rig::Rig,
    transaction::{REST, Transaction},
};

#[test]
fn a_new_gid_is_prepared_and_due_after_its_timeout() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    let (now, reply) = rig.one_at(t.prepare("r1"));
    assert_eq!(reply, ["created"]);
    assert_eq!(rig.state(&t), format!("PM1;r1;{REST}"));
    assert_eq!((rig.written_at(&t), rig.not_before(&t)), (now, None));
    assert_eq!(rig.token(&t), "");
    assert_eq!(rig.field(&t, "c"), Some(now.to_string()));
    assert_eq!(rig.field(&t, "b").as_deref(), Some("{}"));
    assert_eq!(rig.field(&t, "d"), None);
    assert_eq!(rig.due(&t), Some(now + 35_000_000));
    assert_eq!(rig.ttl_ms(&t.hash()), -1);
}

#[test]
fn a_repeat_is_told_so_and_writes_nothing() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.one(t.prepare("r1"));
    let stored = rig.snapshot(&t);
    assert_eq!(rig.one(t.prepare("r1")), ["created"], "by this very request");
    assert_eq!(rig.one(t.prepare("r2")), ["ok"], "by another one");
    assert_eq!(rig.snapshot(&t), stored);
}

#[test]
fn what_is_not_prepared_any_more_is_a_conflict() {
    let mut rig = Rig::new();
    for status in ["S", "A", "C", "F"] {
        let t = Transaction::new();
        rig.seed(&t, &format!("{status}M2;r1"), "");
        let stored = rig.snapshot(&t);
        assert_eq!(rig.one(t.prepare("r2")), ["conflict", status]);
        assert_eq!(rig.snapshot(&t), stored);
    }
}

#[test]
fn a_delay_is_kept_for_the_promotion() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.one(Prepare { delay_us: 5_000_000, ..t.prepare("r1") });
    assert_eq!(rig.field(&t, "d").as_deref(), Some("5000000"));
    assert_eq!(rig.not_before(&t), None);
}

#[test]
fn a_staged_body_becomes_the_transactions_own_and_stays() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.stage(&t, "r1");
    let call = Prepare { is_large: true, delay_us: 1, ..t.prepare("r1") };
    assert_eq!(rig.one(call), ["created"]);
    assert_eq!(rig.state(&t), format!("Pm1;r1;{REST}"));
    assert_eq!(rig.ask::<String>("GET", &[&t.body()]), "a large body");
    assert_eq!((rig.ttl_ms(&t.body()), rig.ttl_ms(&t.staged("r1"))), (-1, -2));
    assert_eq!((rig.field(&t, "b"), rig.field(&t, "d").as_deref()), (None, Some("1")));
    assert_eq!(rig.one(call), ["created"], "a repeat, when nothing is staged any more");
}

#[test]
fn a_body_that_is_staged_no_more_is_asked_for_again() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    assert_eq!(rig.one(Prepare { is_large: true, ..t.prepare("r1") }), ["restage"]);
    assert!(rig.snapshot(&t).is_empty());
}

#[test]
fn the_staged_body_of_a_refused_one_expires_and_touches_nothing() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.seed(&t, "FM2;r1", "r1");
    rig.stage(&t, "r2");
    let call = Prepare { is_large: true, ..t.prepare("r2") };
    assert_eq!(rig.one(call), ["conflict", "F"]);
    assert!(rig.ttl_ms(&t.staged("r2")) > 0);
    assert_eq!(rig.ttl_ms(&t.body()), -2);
}

#[test]
fn what_the_node_says_of_a_state_is_free_text() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    let rest = "nn;;3;a\r\nline; and\u{0}another: µ";
    rig.one(Prepare { rest, ..t.prepare("r1") });
    rig.one(t.force_stop("r2", "enough"));
    assert_eq!(rig.state(&t), format!("FM2;r2;{rest}"));
}
