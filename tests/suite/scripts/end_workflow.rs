//! `end_workflow`.

use super::{
    rig::{RETENTION_MS, Rig},
    transaction::{LEASE_US, REST, Transaction},
};

#[test]
fn a_prepared_workflow_ends_over_whoever_held_it() {
    let mut rig = Rig::new();
    for (status, reason, result) in [("C", None, Some("its result")), ("F", Some("refused"), None)]
    {
        for (mode, token) in [("W", ""), ("W", "w1"), ("w", "w1")] {
            let t = Transaction::new();
            rig.seed(&t, &format!("P{mode}4;p1"), token);
            rig.one(t.reset());
            let created_at = rig.field(&t, "c").unwrap();
            let (now, reply) = rig.one_at(t.end_workflow("r1", status));
            assert_eq!(reply, ["ended", &created_at]);
            assert_eq!(rig.state(&t), format!("{status}{mode}5;r1;{REST}"));
            assert_eq!((rig.written_at(&t), rig.token(&t).as_str()), (now, "r1"));
            assert_eq!((rig.due(&t), rig.field(&t, "w")), (None, None));
            assert_eq!(rig.field(&t, "r").as_deref(), reason);
            assert_eq!(rig.field(&t, "e").as_deref(), result);
            assert_eq!(rig.ended(&t), ["g"]);
            assert_eq!(rig.one(t.record("w1", 5, "P")), ["refused"]);
            assert_eq!(rig.one(t.renew("w1", LEASE_US)), ["refused"]);
        }
    }
}

#[test]
fn a_repeat_ended_it_and_another_request_finds_it_so() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.seed(&t, "PW4;p1", "");
    let created_at = rig.field(&t, "c").unwrap();
    rig.one(t.end_workflow("r1", "C"));
    let stored = rig.snapshot(&t);
    assert_eq!(rig.one(t.end_workflow("r1", "C")), ["ended", &created_at]);
    assert_eq!(rig.one(t.end_workflow("r2", "C")), ["there", &created_at]);
    assert_eq!(rig.one(t.end_workflow("r3", "F")), ["conflict", "C"]);
    assert_eq!(rig.snapshot(&t), stored);
}

#[test]
fn what_is_not_prepared_is_a_conflict() {
    let mut rig = Rig::new();
    for (status, wanted) in [("S", "C"), ("A", "F"), ("C", "F"), ("F", "C")] {
        let t = Transaction::new();
        rig.seed(&t, &format!("{status}W4;r0"), "w1");
        let stored = rig.snapshot(&t);
        assert_eq!(rig.one(t.end_workflow("r1", wanted)), ["conflict", status]);
        assert_eq!(rig.snapshot(&t), stored);
    }
}

#[test]
fn what_is_no_workflow_is_left_alone() {
    let mut rig = Rig::new();
    for head in ["PM1;p1", "Pt1;p1", "PX1;p1", "SS2;r0", "CS2;r0"] {
        let t = Transaction::new();
        rig.seed(&t, head, "");
        let stored = rig.snapshot(&t);
        let mode = head[1..2].to_uppercase();
        assert_eq!(rig.one(t.end_workflow("r1", "C")), ["other_mode", &mode]);
        assert_eq!(rig.snapshot(&t), stored);
    }
    let t = Transaction::new();
    assert_eq!(rig.one(t.end_workflow("r1", "C")), ["missing"]);
    assert!(rig.snapshot(&t).is_empty());
}

#[test]
fn it_expires_with_its_body() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.stage(&t, "p1");
    rig.one(super::calls::Prepare { mode: "W", is_large: true, ..t.prepare("p1") });
    assert!(rig.state(&t).starts_with("Pw1"));
    rig.one(t.end_workflow("r1", "C"));
    for key in [t.hash(), t.body()] {
        let ttl = rig.ttl_ms(&key);
        assert!(ttl <= RETENTION_MS.cast_signed() && ttl > 60_000, "{key}: {ttl}");
    }
    assert!(rig.ttl_ms(&t.ended_list()) > RETENTION_MS.cast_signed());
}

#[test]
fn a_claim_that_was_under_way_gets_nothing() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.seed(&t, "PW4;p1", "");
    rig.put_due(&t, 7);
    let score = rig.one(t.claim_due(1))[1].parse().unwrap();
    rig.one(t.end_workflow("r1", "F"));
    assert_eq!(rig.one(t.take(score, "w1")), ["refused"]);
    assert_eq!(rig.token(&t), "r1");
}
