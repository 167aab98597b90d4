//! `record` and `rest`: what a holder writes while it goes on, or when it lets go.

use super::{
    calls::{ByHolder, Item, Prepare},
    rig::Rig,
    transaction::{LEASE_US, Transaction},
};

/// A transaction that `w1` holds, with the number 4.
fn held(rig: &mut Rig) -> Transaction {
    let t = Transaction::new();
    rig.seed(&t, "SM4;r1", "w1");
    t
}

#[test]
fn a_record_stores_the_state_and_the_hold_goes_on() {
    let mut rig = Rig::new();
    let t = held(&mut rig);
    let due = rig.due(&t);
    let call = ByHolder { rest: "sm;0;1;x", reason: "why", ..t.record("w1", 5, "A") };
    let (now, reply) = rig.one_at(call);
    assert_eq!(reply, ["written"]);
    assert_eq!(rig.state(&t), "AM5;r1;sm;0;1;x");
    assert_eq!((rig.written_at(&t), rig.not_before(&t)), (now, None));
    assert_eq!((rig.token(&t).as_str(), rig.due(&t)), ("w1", due));
    assert_eq!(rig.field(&t, "r").as_deref(), Some("why"));
}

#[test]
fn a_repeat_of_a_record_is_written_and_writes_nothing() {
    let mut rig = Rig::new();
    let t = held(&mut rig);
    rig.one(t.record("w1", 5, "S"));
    let stored = rig.snapshot(&t);
    assert_eq!(rig.one(t.record("w1", 5, "S")), ["written"]);
    assert_eq!(rig.snapshot(&t), stored);
}

#[test]
fn a_reason_is_stored_kept_and_taken_away() {
    let mut rig = Rig::new();
    let t = held(&mut rig);
    for (n, reason) in [(5, "why"), (6, "why"), (7, "more"), (8, ""), (9, "")] {
        rig.one(ByHolder { reason, ..t.record("w1", n, "A") });
        assert_eq!(rig.field(&t, "r").unwrap_or_default(), reason);
    }
}

#[test]
fn only_what_aborts_or_has_ended_has_a_reason() {
    let mut rig = Rig::new();
    for status in ["P", "S"] {
        let t = Transaction::new();
        rig.seed(&t, "PM4;r1", "w1");
        let stored = rig.snapshot(&t);
        let call = ByHolder { reason: "why", ..t.record("w1", 5, status) };
        assert_eq!(rig.one(call)[0], "error");
        assert_eq!(rig.snapshot(&t), stored);
    }
}

#[test]
fn other_tokens_and_other_numbers_are_refused() {
    let mut rig = Rig::new();
    let t = held(&mut rig);
    let stored = rig.snapshot(&t);
    for (token, n) in [("w2", 4), ("w2", 5), ("w1", 3), ("w1", 6), ("w1", 0), ("r1", 5)] {
        let (record, rest) = (t.record(token, n, "S"), t.rest(token, n, "S", 9));
        for call in [record, rest, t.finish(token, n, "C")] {
            assert_eq!(rig.one(call), ["refused"], "{call:?}");
        }
    }
    assert_eq!(rig.snapshot(&t), stored);
}

#[test]
fn a_hold_is_looked_for_in_its_place_alone() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    let texts = "nn;;1;w1;4; w1;5; SSw1;4;";
    rig.seed(&t, "SM6;r1", "w2");
    assert_eq!(rig.one(ByHolder { rest: texts, ..t.record("w2", 7, "S") }), ["written"]);
    let stored = rig.snapshot(&t);
    for n in [4, 5] {
        let (record, rest) = (t.record("w1", n, "S"), t.rest("w1", n, "S", 9));
        for call in [record, rest, t.finish("w1", n, "C")] {
            assert_eq!(rig.one(call), ["refused"], "{call:?}");
        }
    }
    assert_eq!(rig.snapshot(&t), stored);
}

#[test]
fn what_nobody_holds_has_ended_or_is_not_there_is_refused() {
    let mut rig = Rig::new();
    let [at_rest, ended, missing] = [(); 3].map(|()| Transaction::new());
    rig.seed(&at_rest, "SM4;r1", "");
    rig.seed(&ended, "CM4;r1", "w1");
    for t in [&at_rest, &ended, &missing] {
        let stored = rig.snapshot(t);
        for n in [4, 5] {
            let is_own = t.gid == ended.gid && t.hash() == ended.hash() && n == 4;
            for call in [t.record("w1", n, "S"), t.rest("w1", n, "S", 9), t.finish("w1", n, "C")] {
                // The number that ended it is its own repeat, whatever it was sent as.
                assert_eq!(rig.one(call), [if is_own { "written" } else { "refused" }], "{call:?}");
            }
        }
        assert_eq!(rig.snapshot(t), stored);
    }
}

#[test]
fn a_rest_lets_go_until_its_time() {
    let mut rig = Rig::new();
    let t = held(&mut rig);
    let at = rig.now() + 10_000_000;
    let call = t.rest("w1", 5, "S", at);
    assert_eq!(rig.one(call), ["written"]);
    assert_eq!(&rig.state(&t)[..7], "SM5;r1;");
    assert_eq!((rig.token(&t).as_str(), rig.due(&t)), ("", Some(at)));
    let stored = rig.snapshot(&t);
    assert_eq!(rig.one(call), ["refused"], "a repeat: the hold is over either way");
    assert_eq!(rig.snapshot(&t), stored);
}

#[test]
fn a_rest_never_leaves_the_score_as_it_was() {
    let mut rig = Rig::new();
    let t = held(&mut rig);
    let due = rig.due(&t).unwrap();
    assert_eq!(rig.one(t.rest("w1", 5, "S", due)), ["written"]);
    assert_eq!(rig.due(&t), Some(due + 1));
}

#[test]
fn a_reset_during_the_hold_makes_the_rest_end_at_once() {
    let mut rig = Rig::new();
    let t = held(&mut rig);
    rig.one(t.reset());
    let (now, reply) = rig.one_at(t.rest("w1", 5, "S", u64::pow(10, 15) * 9));
    assert_eq!(reply, ["written"]);
    assert_eq!((rig.due(&t), rig.field(&t, "w")), (Some(now), None));
}

#[test]
fn a_record_leaves_the_wake_to_the_rest() {
    let mut rig = Rig::new();
    let t = held(&mut rig);
    rig.one(t.reset());
    rig.one(t.record("w1", 5, "S"));
    assert_eq!(rig.field(&t, "w").as_deref(), Some("1"));
    let (now, _) = rig.one_at(t.rest("w1", 6, "S", u64::pow(10, 15) * 9));
    assert_eq!(rig.due(&t), Some(now));
}

#[test]
fn a_back_check_that_promotes_leaves_the_request_to_the_client() {
    let mut rig = Rig::new();
    for is_rest in [false, true] {
        let t = Transaction::new();
        rig.seed(&t, "PM4;p1", "w1");
        let at = rig.now() + LEASE_US * 9;
        let call = if is_rest { t.rest("w1", 5, "S", at) } else { t.record("w1", 5, "S") };
        assert_eq!(rig.one(ByHolder { promoted: true, ..call }), ["written"]);
        assert_eq!(&rig.state(&t)[..5], "SM5;;");
        assert_eq!(rig.not_before(&t), None);
        assert_eq!(rig.one(t.submit("r1")), ["not_held"]);
        assert_eq!(&rig.state(&t)[..7], "SM5;r1;");
    }
}

#[test]
fn a_prepared_delay_counts_from_the_back_checks_promotion() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.one(Prepare { delay_us: 8_000_000, ..t.prepare("p1") });
    rig.put_due(&t, 7);
    let score = rig.one(t.claim_due(1))[1].parse().unwrap();
    rig.one(t.take(score, "w1"));
    let call = t.rest("w1", 3, "S", score + 8_000_000);
    let (now, reply) = rig.one_at(ByHolder { promoted: true, ..call });
    assert_eq!(reply, ["written"]);
    assert_eq!(rig.not_before(&t), Some(now + 8_000_000));
    assert_eq!(rig.due(&t), Some(score + 8_000_000), "as its holder said");
}

#[test]
fn a_prepared_one_that_stays_prepared_keeps_its_request() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.seed(&t, "PM4;p1", "w1");
    assert_eq!(rig.one(t.rest("w1", 5, "P", 7)), ["written"]);
    assert_eq!(&rig.state(&t)[..7], "PM5;p1;");
}

#[test]
fn until_when_nothing_may_be_called_stays() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    let (now, _) = rig.one_at(super::calls::Submit { delay_us: Some(9_000_000), ..t.submit("r1") });
    rig.put_due(&t, 7);
    let score = rig.one(t.claim_due(1))[1].parse().unwrap();
    let reply = rig.one(t.take(score, "w1"));
    assert!(reply[2].contains(&format!(";{};", now + 9_000_000)), "{reply:?}");
    rig.one(t.rest("w1", 3, "S", now + 9_000_000));
    assert_eq!(rig.not_before(&t), Some(now + 9_000_000));
}

#[test]
fn a_number_grows_beyond_one_digit_as_a_number() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.seed(&t, "SM9;r1", "w1");
    for n in 10..=12 {
        let call: Item = t.record("w1", n, "S").into();
        assert_eq!(rig.one(call), ["written"]);
    }
    assert_eq!(&rig.state(&t)[..4], "SM12");
}
