//! `query`.

use super::{
    rig::Rig,
    transaction::{LEASE_US, REST, Transaction},
};

#[test]
fn all_that_is_stored_is_answered() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.one(t.prepare("p1"));
    rig.ask::<()>("HSET", &[&t.hash(), "r", "why"]);
    let (now, _) =
        rig.one_at(super::calls::Submit { held: true, overriding: "o1", ..t.submit("r1") });
    let created_at = rig.field(&t, "c").unwrap();
    let state = format!("SMr1;2;r1;;{now};{REST}");
    let due = (now + LEASE_US).to_string();
    let stored = rig.snapshot(&t);
    let found = ["found", &created_at, &state, "{}", "o1", "why", "nil", &due, "nil"];
    assert_eq!(rig.one(t.query()), found);
    assert_eq!(rig.snapshot(&t), stored);
}

#[test]
fn what_is_not_there_is_absent() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.stage(&t, "r1");
    rig.one(super::calls::Submit { is_large: true, ..t.submit("r1") });
    let reply = rig.one(t.query());
    assert_eq!(reply[3..6], ["nil", "nil", "nil"], "{reply:?}");
    rig.one(t.force_stop("r2", "stopped"));
    let reply = rig.one(t.query());
    assert_eq!(reply[5..], ["stopped", "nil", "nil", "nil"], "no due time once it has ended");
}

#[test]
fn a_gid_that_is_not_there_is_missing() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    assert_eq!(rig.one(t.query()), ["missing"]);
    rig.put_due(&t, 7);
    assert_eq!(rig.one(t.query()), ["missing"], "though there is a due entry");
}

#[test]
fn branches_and_result_are_those_of_the_modes_that_have_them() {
    let mut rig = Rig::new();
    for mode in ["T", "X", "W", "t", "x", "w", "S", "M"] {
        let t = Transaction::new();
        rig.seed(&t, &format!("C{mode}2;r1"), "r1");
        rig.ask::<()>("HSET", &[&t.hash(), "e", "its result"]);
        rig.seed_branches(&t, 2);
        let reply = rig.one(t.query());
        if matches!(mode, "S" | "M") {
            assert_eq!(reply[6..], ["nil", "nil", "nil"], "{mode}");
        } else {
            // A hash of few fields answers them in their order.
            let branches = ["#b0", "0;x0:", "#b1", "1;x0:"];
            assert_eq!(reply[6..10], branches, "{mode}");
            assert_eq!(reply[10..], ["nil", "its result"], "{mode}");
        }
    }
}
