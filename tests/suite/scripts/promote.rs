//! `submit` of what exists, and `promote`, which is one row of it.

use super::{
    calls::{Prepare, Submit},
    rig::Rig,
    submit::held,
    transaction::{LEASE_US, REST, Transaction},
};

#[test]
fn an_own_repeat_of_a_creation_says_whether_it_is_held() {
    let mut rig = Rig::new();
    for is_held in [true, false] {
        let t = Transaction::new();
        let call = Submit { held: is_held, ..t.submit("r1") };
        let (created_at, reply) = rig.one_at(call);
        let stored = rig.snapshot(&t);
        let repeat = [reply[0].as_str(), &created_at.to_string()];
        assert_eq!(rig.one(call), repeat);
        assert_eq!(rig.one(call.by_promote()), repeat);
        assert_eq!(rig.snapshot(&t), stored);
    }
}

#[test]
fn an_own_repeat_after_records_of_its_hold_answers_what_is_stored_now() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.one(held(&t, "r1"));
    rig.one(t.record("r1", 2, "S"));
    let reply = rig.one(held(&t, "r1"));
    let [word, _, state, body, overriding, reason] = &reply[..] else { panic!("{reply:?}") };
    assert_eq!((word.as_str(), body.as_str()), ("held", "{}"));
    assert!(state.starts_with("SMr1;2;r1;"), "{state}");
    assert_eq!((overriding.as_str(), reason.as_str()), ("nil", "nil"));
}

#[test]
fn an_own_repeat_is_told_apart_before_the_status() {
    // Queued, its reply lost; another node claims, runs and finishes it meanwhile.
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.one(t.submit("r1"));
    let score = rig.one(t.claim_due(1))[1].parse().unwrap();
    rig.one(t.take(score, "w1"));
    assert_eq!(rig.one(t.submit("r1")), ["not_held"], "while it is held by another");
    rig.one(t.finish("w1", 3, "C"));
    let stored = rig.snapshot(&t);
    assert_eq!(rig.one(t.submit("r1")), ["not_held"], "when it has succeeded");
    assert_eq!(rig.one(t.submit("r1").by_promote()), ["not_held"]);
    assert_eq!(rig.one(t.submit("r2")), ["conflict", "C"], "of somebody else");
    assert_eq!(rig.snapshot(&t), stored);
}

#[test]
fn what_is_prepared_is_submitted_as_it_was_prepared() {
    let mut rig = Rig::new();
    for by_promote in [false, true] {
        let t = Transaction::new();
        let (created_at, _) = rig.one_at(Prepare { body: "prepared", ..t.prepare("p1") });
        let call = Submit { overriding: "o1", body: "submitted", ..held(&t, "r1") };
        let call = if by_promote { call.by_promote() } else { call };
        let (now, reply) = rig.one_at(call);
        let state = format!("SMr1;2;r1;;{now};{REST}");
        let expected = ["held", &created_at.to_string(), &state, "prepared", "o1", "nil"];
        assert_eq!(reply, expected);
        assert_eq!((rig.token(&t).as_str(), rig.due(&t)), ("r1", Some(now + LEASE_US)));
        let stored = rig.snapshot(&t);
        assert_eq!(rig.one(call), expected, "a repeat");
        assert_eq!(rig.snapshot(&t), stored);
    }
}

#[test]
fn what_is_prepared_and_not_to_be_held_is_due_now() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.one(t.prepare("p1"));
    let (now, reply) = rig.one_at(t.submit("r1"));
    assert_eq!(reply, ["not_held"]);
    assert_eq!(rig.state(&t), format!("SM2;r1;{REST}"));
    assert_eq!((rig.token(&t).as_str(), rig.due(&t)), ("", Some(now)));
    assert_eq!(rig.field(&t, "o"), None);
    assert_eq!(rig.one(t.submit("r1")), ["not_held"], "a repeat");
}

#[test]
fn a_submit_takes_a_prepared_one_from_whoever_held_it() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.seed(&t, "PM4;p1", "w1");
    rig.one(t.reset());
    assert_eq!(rig.field(&t, "w").as_deref(), Some("1"));
    assert_eq!(rig.one(held(&t, "r1"))[0], "held");
    assert_eq!(rig.state(&t), format!("SM5;r1;{REST}"));
    assert_eq!((rig.token(&t).as_str(), rig.field(&t, "w")), ("r1", None));
    assert_eq!(rig.one(t.record("w1", 5, "P")), ["refused"]);
    assert_eq!(rig.one(t.record("w1", 6, "P")), ["refused"]);
    assert_eq!(rig.one(t.renew("w1", LEASE_US)), ["refused"]);
}

#[test]
fn a_claim_that_was_under_way_at_a_submit_gets_nothing() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.one(t.prepare("p1"));
    rig.put_due(&t, 1);
    let score: u64 = rig.one(t.claim_due(1))[1].parse().unwrap();
    rig.one(t.submit("r1"));
    assert_ne!(rig.due(&t), Some(score));
    assert_eq!(rig.one(t.take(score, "w1")), ["refused"]);
    assert_eq!(rig.token(&t), "");
}

#[test]
fn the_delay_of_the_submit_wins_over_the_prepared_one() {
    let mut rig = Rig::new();
    for (delay_us, expected) in [(None, 7_000_000), (Some(8_000_000), 8_000_000), (Some(0), 0)] {
        let t = Transaction::new();
        rig.one(Prepare { delay_us: 7_000_000, ..t.prepare("p1") });
        let (now, reply) = rig.one_at(Submit { delay_us, ..held(&t, "r1") });
        if expected == 0 {
            assert_eq!(reply[0], "held");
            assert_eq!((rig.not_before(&t), rig.due(&t)), (None, Some(now + LEASE_US)));
        } else {
            assert_eq!(reply, ["not_held"]);
            let at = Some(now + expected);
            assert_eq!((rig.not_before(&t), rig.due(&t)), (at, at));
        }
    }
}

#[test]
fn the_first_submit_after_a_back_check_promoted_it_is_stored() {
    let mut rig = Rig::new();
    for status in ["S", "C"] {
        let t = Transaction::new();
        rig.seed(&t, &format!("{status}M3;"), "w1");
        let (due, before) = (rig.due(&t), rig.written_at(&t));
        assert_eq!(rig.one(held(&t, "r1")), ["not_held"]);
        assert_eq!(rig.state(&t), format!("{status}M3;r1;{REST}"), "only the request is new");
        assert_eq!((rig.due(&t), rig.written_at(&t)), (due, before));
        assert_eq!(rig.token(&t), "w1");
        let reply = rig.one(t.submit("r2"));
        match status {
            "S" => assert_eq!(reply, ["not_held"]),
            _ => assert_eq!(reply, ["conflict", "C"], "a second one is somebody else's"),
        }
    }
}

#[test]
fn a_saga_is_not_taken_for_the_submit_of_a_message_that_succeeded() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.seed(&t, "CM3;", "w1");
    let stored = rig.snapshot(&t);
    assert_eq!(rig.one(Submit { mode: "S", ..t.submit("r1") }), ["conflict", "C"]);
    assert_eq!(rig.snapshot(&t), stored);
}

#[test]
fn a_second_submit_makes_what_is_at_rest_due_now() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.seed(&t, "SM2;r1", "");
    let state = rig.state(&t);
    let (now, reply) = rig.one_at(held(&t, "r2"));
    assert_eq!(reply, ["not_held"]);
    assert_eq!((rig.due(&t), rig.state(&t), rig.token(&t).as_str()), (Some(now), state, ""));
}

#[test]
fn a_second_submit_leaves_a_held_one_alone() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.seed(&t, "SM2;r1", "w1");
    let stored = rig.snapshot(&t);
    assert_eq!(rig.one(t.submit("r2")), ["not_held"]);
    assert_eq!(rig.snapshot(&t), stored);
}

#[test]
fn a_second_submit_does_not_shorten_a_delay() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.one(Submit { delay_us: Some(9_000_000), ..t.submit("r1") });
    let stored = rig.snapshot(&t);
    assert_eq!(rig.one(t.submit("r2")), ["not_held"]);
    assert_eq!(rig.snapshot(&t), stored);

    let past = rig.now() - 1;
    rig.ask::<()>("HSET", &[&t.hash(), "s", &format!("SM;1;r1;{past};{past};{REST}")]);
    let (now, _) = rig.one_at(t.submit("r2"));
    assert_eq!(rig.due(&t), Some(now), "one that is over holds nothing back");
}

#[test]
fn another_mode_is_told() {
    let mut rig = Rig::new();
    for (status, stored_mode, told) in [("P", "S", "S"), ("S", "s", "S")] {
        let t = Transaction::new();
        rig.seed(&t, &format!("{status}{stored_mode}2;r1"), "");
        let stored = rig.snapshot(&t);
        assert_eq!(rig.one(t.submit("r2")), ["other_mode", told]);
        if status == "P" {
            assert_eq!(rig.one(t.submit("r2").by_promote()), ["other_mode", told]);
        }
        assert_eq!(rig.snapshot(&t), stored);
    }
}

#[test]
fn what_no_submit_changes_is_a_conflict() {
    let mut rig = Rig::new();
    for head in ["AS2;r1", "CM2;r1", "FM2;r1", "FM2;", "CS2;r1"] {
        let t = Transaction::new();
        rig.seed(&t, head, "");
        let stored = rig.snapshot(&t);
        assert_eq!(rig.one(t.submit("r2")), ["conflict", &head[..1]]);
        assert_eq!(rig.snapshot(&t), stored);
    }
}

#[test]
fn promote_changes_only_what_is_prepared() {
    let mut rig = Rig::new();
    let t = Transaction::new();
    assert_eq!(rig.one(held(&t, "r1").by_promote()), ["not_prepared"]);
    assert!(rig.snapshot(&t).is_empty());
    for head in ["SM2;r1", "SM2;", "CM2;r1", "FM2;r1", "AS2;r1"] {
        let t = Transaction::new();
        rig.seed(&t, head, "");
        let stored = rig.snapshot(&t);
        assert_eq!(rig.one(held(&t, "r2").by_promote()), ["not_prepared"], "{head}");
        assert_eq!(rig.snapshot(&t), stored);
    }
}
