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
    assert_eq!(rig.one(t.query()), ["found", &created_at, &state, "{}", "o1", "why", &due]);
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
    assert_eq!(reply[5..], ["stopped", "nil"], "no due time once it has ended");
}

#[test]
fn a_gid_that_is_not_there_is_missing() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    assert_eq!(rig.one(t.query()), ["missing"]);
    rig.put_due(&t, 7);
    assert_eq!(rig.one(t.query()), ["missing"], "though there is a due entry");
}
