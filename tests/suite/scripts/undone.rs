//! What a tcc or an xa has of its own in `abort`, `submit` and `promote`.

use tandem::store::scripts::ScriptName;

use super::{
    calls::Submit,
    rig::Rig,
    transaction::{LEASE_US, REST, Transaction},
};

/// A transaction of `mode` that `token` holds, with two branches and the number 4.
fn seeded(rig: &mut Rig, status: &str, mode: &str, token: &str) -> Transaction {
    let t = Transaction::new();
    rig.seed(&t, &format!("{status}{mode}4;p1"), token);
    rig.seed_branches(&t, 2);
    t
}

/// What a holder is told after its first word.
fn told(rig: &mut Rig, t: &Transaction, reason: &str) -> Vec<String> {
    let [c, s] = ["c", "s"].map(|name| rig.field(t, name).unwrap());
    let told = [&c, &s, "{}", "nil", reason, "#b0", "0;x0:", "#b1", "1;x0:"];
    told.map(str::to_owned).to_vec()
}

#[test]
fn abort_turns_a_prepared_one_over_whoever_held_it() {
    let mut rig = Rig::new();
    for mode in ["T", "X", "t", "x"] {
        for token in ["", "w1"] {
            let t = seeded(&mut rig, "P", mode, token);
            rig.one(t.reset());
            let (now, reply) = rig.one_at(t.abort_held("r1", "no stock"));
            assert_eq!(rig.state(&t), format!("A{mode}5;r1;{REST}"));
            assert_eq!((rig.token(&t).as_str(), rig.due(&t)), ("r1", Some(now + LEASE_US)));
            assert_eq!((rig.written_at(&t), rig.field(&t, "w")), (now, None));
            assert_eq!(
                (reply[0].as_str(), &reply[1..]),
                ("held", &told(&mut rig, &t, "no stock")[..])
            );
            assert_eq!(rig.one(t.record("w1", 5, "P")), ["refused"]);
        }
    }
}

#[test]
fn an_abort_that_does_not_hold_makes_it_due() {
    let mut rig = Rig::new();
    let t = seeded(&mut rig, "P", "T", "w1");
    let (now, reply) = rig.one_at(t.abort("r1", ""));
    assert_eq!(reply, ["not_held"]);
    assert_eq!(rig.state(&t), format!("AT5;r1;{REST}"));
    assert_eq!((rig.token(&t).as_str(), rig.due(&t)), ("", Some(now)));
    assert_eq!(rig.field(&t, "r"), None);
}

#[test]
fn a_repeat_of_an_abort_is_told_what_its_first_run_was() {
    let mut rig = Rig::new();
    let t = seeded(&mut rig, "P", "X", "");
    rig.one(t.abort_held("r1", "why"));
    let stored = rig.snapshot(&t);
    let reply = rig.one(t.abort_held("r1", "why"));
    assert_eq!((reply[0].as_str(), &reply[1..]), ("held", &told(&mut rig, &t, "why")[..]));
    assert_eq!(rig.snapshot(&t), stored);

    rig.one(t.rest("r1", 6, "A", 7));
    let stored = rig.snapshot(&t);
    assert_eq!(rig.one(t.abort_held("r1", "why")), ["not_held"], "its hold is over");
    assert_eq!(rig.snapshot(&t), stored);
}

#[test]
fn what_is_aborting_is_made_due_and_taken_from_nobody() {
    let mut rig = Rig::new();
    for mode in ["T", "X"] {
        let t = seeded(&mut rig, "A", mode, "w1");
        let stored = rig.snapshot(&t);
        assert_eq!(rig.one(t.abort_held("r1", "why")), ["not_held"]);
        assert_eq!(rig.snapshot(&t), stored);

        let t = seeded(&mut rig, "A", mode, "");
        let packed = rig.field(&t, "s");
        let (now, reply) = rig.one_at(t.abort_held("r1", "why"));
        assert_eq!(reply, ["not_held"]);
        assert_eq!((rig.field(&t, "s"), rig.due(&t)), (packed, Some(now)));
        assert_eq!(rig.field(&t, "r"), None, "the reason is that of the decision");
    }
}

#[test]
fn what_is_decided_otherwise_is_not_aborted() {
    let mut rig = Rig::new();
    for mode in ["T", "X", "t"] {
        for status in ["S", "C", "F"] {
            let t = seeded(&mut rig, status, mode, "");
            let stored = rig.snapshot(&t);
            let conflict = ["conflict", &mode.to_uppercase(), status];
            assert_eq!(rig.one(t.abort_held("r1", "")), conflict);
            assert_eq!(rig.snapshot(&t), stored);
        }
    }
    let t = seeded(&mut rig, "P", "W", "");
    assert_eq!(rig.one(t.abort_held("r1", "")), ["conflict", "W", "P"]);
}

#[test]
fn a_claim_that_was_under_way_gets_nothing() {
    let mut rig = Rig::new();
    for held in [true, false] {
        let t = seeded(&mut rig, "P", "T", "");
        rig.put_due(&t, 7);
        let score: u64 = rig.one(t.claim_due(1))[1].parse().unwrap();
        rig.one(if held { t.abort_held("r1", "") } else { t.abort("r1", "") });
        assert_eq!(rig.one(t.take(score, "w1")), ["refused"]);
    }
}

#[test]
fn a_submit_creates_none() {
    let mut rig = Rig::new();
    for mode in ["T", "X", "W"] {
        for (is_large, status, held) in
            [(false, "S", true), (false, "S", false), (true, "S", true), (false, "C", false)]
        {
            let t = Transaction::new();
            let submit = Submit { mode, is_large, status, held, ..t.submit("r1") };
            assert_eq!(rig.one(submit), ["missing"]);
            assert_eq!(rig.one(submit.by_promote()), ["not_prepared"]);
            assert!(rig.snapshot(&t).is_empty());
        }
    }
}

#[test]
fn a_submit_takes_over_what_is_prepared_with_its_branches() {
    let mut rig = Rig::new();
    for script in [ScriptName::Submit, ScriptName::Promote] {
        for mode in ["T", "X"] {
            let t = seeded(&mut rig, "P", mode, "w1");
            let submit = Submit { script, mode, held: true, ..t.submit("r1") };
            let (now, reply) = rig.one_at(submit);
            assert_eq!(rig.state(&t), format!("S{mode}5;r1;{REST}"));
            assert_eq!((rig.token(&t).as_str(), rig.due(&t)), ("r1", Some(now + LEASE_US)));
            assert_eq!((reply[0].as_str(), &reply[1..]), ("held", &told(&mut rig, &t, "nil")[..]));
            let again = rig.one(submit);
            assert_eq!(again, reply, "a repeat");

            let t = seeded(&mut rig, "P", mode, "w1");
            let submit = Submit { script, mode, ..t.submit("r1") };
            let (now, reply) = rig.one_at(submit);
            assert_eq!((reply, rig.due(&t)), (vec!["not_held".to_owned()], Some(now)));
            assert_eq!(rig.token(&t), "");
        }
    }
}

#[test]
fn a_submit_after_the_decision_is_told_so() {
    let mut rig = Rig::new();
    for mode in ["T", "X"] {
        let t = seeded(&mut rig, "S", mode, "");
        let (now, reply) = rig.one_at(Submit { mode, ..t.submit("r1") });
        assert_eq!((reply, rig.due(&t)), (vec!["not_held".to_owned()], Some(now)));
        for status in ["A", "C", "F"] {
            // Without a request, too: no back-check promotes these.
            for request in ["p1", ""] {
                let t = Transaction::new();
                rig.seed(&t, &format!("{status}{mode}4;{request}"), "");
                let stored = rig.snapshot(&t);
                let reply = rig.one(Submit { mode, ..t.submit("r1") });
                assert_eq!(reply, ["conflict", status]);
                assert_eq!(rig.snapshot(&t), stored);
            }
        }
        let t = seeded(&mut rig, "P", mode, "");
        assert_eq!(rig.one(t.submit("r1")), ["other_mode", mode]);
    }
}
