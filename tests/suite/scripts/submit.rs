//! `submit` of gids that are new.

use super::{
    calls::Submit,
    rig::{RETENTION_MS, Rig},
    transaction::{LEASE_US, REST, Transaction},
};

/// The first of two rows may have run.
pub(super) const HOLDING_REST: &str = "mn;;0;";

/// Submits a message that `request` is to hold.
pub(super) fn held<'a>(t: &'a Transaction, request: &'a str) -> Submit<'a> {
    Submit { held: true, rest: HOLDING_REST, ..t.submit(request) }
}

#[test]
fn a_new_gid_is_stored_and_held_for_a_lease() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    let (now, reply) = rig.one_at(held(&t, "r1"));
    assert_eq!(reply, ["created_held"]);
    assert_eq!(rig.state(&t), format!("SM1;r1;{HOLDING_REST}"));
    assert_eq!((rig.token(&t).as_str(), rig.not_before(&t)), ("r1", None));
    assert_eq!(rig.due(&t), Some(now + LEASE_US));
    assert_eq!(rig.ttl_ms(&t.hash()), -1);
}

#[test]
fn a_new_gid_that_is_not_to_be_held_is_due_now() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    let (now, reply) = rig.one_at(Submit { mode: "S", ..t.submit("r1") });
    assert_eq!(reply, ["created"]);
    assert_eq!(rig.state(&t), format!("SS1;r1;{REST}"));
    assert_eq!((rig.token(&t).as_str(), rig.due(&t)), ("", Some(now)));
}

#[test]
fn a_delay_wins_over_a_hold() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    let (now, reply) = rig.one_at(Submit { delay_us: Some(9_000_000), ..held(&t, "r1") });
    assert_eq!(reply, ["created"]);
    assert_eq!(rig.token(&t), "");
    assert_eq!(rig.not_before(&t), Some(now + 9_000_000));
    assert_eq!(rig.due(&t), Some(now + 9_000_000));
}

#[test]
fn what_has_nothing_to_call_is_stored_as_ended() {
    let mut rig = Rig::new();
    for status in ["C", "F"] {
        let t = Transaction::new();
        let call = Submit { status, delay_us: Some(9), ..held(&t, "r1") };
        let (now, reply) = rig.one_at(call);
        assert_eq!(reply, ["created"]);
        assert_eq!(rig.state(&t), format!("{status}M1;r1;{HOLDING_REST}"));
        assert_eq!((rig.due(&t), rig.not_before(&t), rig.token(&t).as_str()), (None, None, ""));
        assert_eq!(rig.ended(&t), ["g"]);
        assert!(rig.ttl_ms(&t.hash()) > 0);
        let stored = rig.snapshot(&t);
        assert_eq!(rig.one(call), ["created", &now.to_string()], "a repeat");
        assert_eq!(rig.snapshot(&t), stored);
    }
}

#[test]
fn a_staged_body_becomes_the_transactions_own() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    let call = Submit { is_large: true, ..held(&t, "r1") };
    assert_eq!(rig.one(call), ["restage"]);
    assert!(rig.snapshot(&t).is_empty());
    rig.stage(&t, "r1");
    assert_eq!(rig.one(call)[0], "created_held");
    assert_eq!(rig.state(&t), format!("Sm1;r1;{HOLDING_REST}"));
    assert_eq!((rig.ttl_ms(&t.body()), rig.ttl_ms(&t.staged("r1"))), (-1, -2));
    assert_eq!(rig.one(call)[0], "created_held", "a repeat, when nothing is staged any more");
}

#[test]
fn the_large_body_of_what_is_stored_as_ended_is_kept_as_long_as_it() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.stage(&t, "r1");
    assert_eq!(rig.one(Submit { is_large: true, status: "C", ..t.submit("r1") })[0], "created");
    let ttl = rig.ttl_ms(&t.body());
    assert!((1..=RETENTION_MS.cast_signed()).contains(&ttl) && ttl > 60_000, "{ttl}");
    assert_eq!(rig.ended(&t), ["g"]);
}

#[test]
fn the_staged_body_of_one_that_exists_expires_and_touches_nothing() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.seed(&t, "FM2;r1", "r1");
    rig.stage(&t, "r2");
    assert_eq!(rig.one(Submit { is_large: true, ..t.submit("r2") }), ["conflict", "F"]);
    assert!(rig.ttl_ms(&t.staged("r2")) > 0);
    assert_eq!(rig.ttl_ms(&t.body()), -2);
}
