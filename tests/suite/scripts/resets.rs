//! `reset`, and `list_later` with `reset_later`.

use super::{rig::Rig, transaction::Transaction};

#[test]
fn reset_makes_what_is_at_rest_due_now() {
    let mut rig = Rig::new();
    for head in ["PM1;p1", "SM2;r0", "AS3;r0"] {
        let t = Transaction::new();
        rig.seed(&t, head, "");
        let state = rig.field(&t, "s");
        let (now, reply) = rig.one_at(t.reset());
        assert_eq!(reply, ["done"]);
        assert_eq!((rig.due(&t), rig.field(&t, "s"), rig.field(&t, "w")), (Some(now), state, None));
    }
}

#[test]
fn reset_wakes_what_is_held_and_leaves_its_lease() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    let due = rig.seed(&t, "SM2;r0", "w1");
    assert_eq!(rig.one(t.reset()), ["done"]);
    assert_eq!((rig.due(&t), rig.field(&t, "w").as_deref()), (Some(due), Some("1")));
    let stored = rig.snapshot(&t);
    assert_eq!(rig.one(t.reset()), ["done"]);
    assert_eq!(rig.snapshot(&t), stored);
}

#[test]
fn reset_changes_nothing_of_what_has_ended_or_is_not_there() {
    let mut rig = Rig::new();
    for (head, token) in [("CM2;r0", "w1"), ("FM2;r0", "")] {
        let t = Transaction::new();
        rig.seed(&t, head, token);
        let stored = rig.snapshot(&t);
        assert_eq!(rig.one(t.reset()), ["ended", &head[..1]]);
        assert_eq!(rig.snapshot(&t), stored);
    }
    let t = Transaction::new();
    assert_eq!(rig.one(t.reset()), ["missing"]);
    assert!(rig.snapshot(&t).is_empty());
}

#[test]
fn later_ones_are_listed_the_earliest_first() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    let now = rig.now();
    for (gid, seconds) in [("past", 0), ("soon", 50), ("later", 300), ("last", 400), ("mid", 350)] {
        rig.put_due(&t.sibling(gid), now + seconds * 1_000_000);
    }
    assert_eq!(rig.one(t.list_later(200_000_000, 0, 10)), ["later", "later", "mid", "last"]);
    assert_eq!(rig.one(t.list_later(200_000_000, 0, 1)), ["later", "later"]);
    assert_eq!(rig.one(t.list_later(200_000_000, 1, 1)), ["later", "mid"]);
    assert_eq!(rig.one(t.list_later(200_000_000, 3, 1)), ["later"]);
    assert_eq!(rig.one(Transaction::new().list_later(0, 0, 1)), ["later"]);
}

#[test]
fn reset_later_makes_due_what_rests_until_later() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.seed(&t, "SM2;r0", "");
    let (now, reply) = rig.one_at(t.reset_later(1_000));
    assert_eq!((reply.as_slice(), rig.due(&t)), (["done".to_owned()].as_slice(), Some(now)));
    assert_eq!(rig.one(t.reset_later(1_000)), ["passed"], "it is not later any more");
}

#[test]
fn reset_later_passes_what_is_held_earlier_ended_or_missing() {
    let mut rig = Rig::new();
    let [held, earlier, ended, missing, dangling] = [(); 5].map(|()| Transaction::new());
    rig.seed(&held, "SM2;r0", "w1");
    rig.seed(&earlier, "SM2;r0", "");
    rig.seed(&ended, "FM2;r0", "");
    rig.put_due(&dangling, u64::pow(10, 15) * 9);
    for t in [&held, &earlier, &ended, &missing, &dangling] {
        let stored = rig.snapshot(t);
        let after_us = if t.due_set() == earlier.due_set() { 60_000_000 } else { 0 };
        assert_eq!(rig.one(t.reset_later(after_us)), ["passed"]);
        assert_eq!(rig.snapshot(t), stored);
    }
}
