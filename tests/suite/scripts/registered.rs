//! `register`, and what it means for a holder that leaves prepared.

use super::{
    calls::{ByHolder, Item},
    rig::Rig,
    transaction::Transaction,
};

/// A prepared xa that `w1` holds, with the number 4.
fn prepared(rig: &mut Rig) -> Transaction {
    let t = Transaction::new();
    rig.seed(&t, "PX4;p1", "w1");
    t
}

#[test]
fn a_branch_is_added_and_the_hold_is_taken_from_nobody() {
    let mut rig = Rig::new();
    let t = prepared(&mut rig);
    let (packed, due) = (rig.field(&t, "s"), rig.due(&t));
    let (first, second) = ("x3:a;b{\"a\":1}", "x0:");
    assert_eq!(rig.one(t.register("b1", first)), ["done"]);
    assert_eq!(rig.one(t.register("b2", second)), ["done"]);
    assert_eq!(rig.field(&t, "#b1"), Some(format!("0;{first}")));
    assert_eq!(rig.field(&t, "#b2"), Some(format!("1;{second}")));
    assert_eq!(rig.field(&t, "k").as_deref(), Some("2"));
    assert_eq!((rig.field(&t, "s"), rig.due(&t)), (packed, due));
}

#[test]
fn each_mode_registers_its_own() {
    let mut rig = Rig::new();
    for mode in ["T", "X", "W", "t", "x", "w"] {
        let t = Transaction::new();
        rig.seed(&t, &format!("P{mode}1;p1"), "");
        assert_eq!(rig.one(t.register_in(&mode.to_uppercase(), "b1", "x0:")), ["done"]);
        for other in ["T", "X", "W"].into_iter().filter(|it| *it != mode.to_uppercase()) {
            let stored = rig.snapshot(&t);
            let told = ["other_mode".to_owned(), mode.to_uppercase()];
            assert_eq!(rig.one(t.register_in(other, "b1", "x0:")), told);
            assert_eq!(rig.one(t.register_in(other, "b2", "x0:")), told);
            assert_eq!(rig.snapshot(&t), stored);
        }
    }
}

#[test]
fn the_same_branch_again_is_done_and_writes_nothing() {
    let mut rig = Rig::new();
    let t = prepared(&mut rig);
    rig.one(t.register("b1", "x1:;;"));
    let stored = rig.snapshot(&t);
    assert_eq!(rig.one(t.register("b1", "x1:;;")), ["done"]);
    for other in ["x1:;", "x1:;;;", "", ";x1:;;", "0;x1:;;"] {
        assert_eq!(rig.one(t.register("b1", other)), ["other_content"], "{other}");
    }
    assert_eq!(rig.snapshot(&t), stored);
}

#[test]
fn no_more_branches_than_may_be() {
    let mut rig = Rig::new();
    let t = prepared(&mut rig);
    rig.seed_branches(&t, 3);
    let stored = rig.snapshot(&t);
    assert_eq!(rig.one(t.register("b3", "x0:")), ["too_many"]);
    assert_eq!(rig.one(t.register("b2", "x0:")), ["done"], "it is there");
    assert_eq!(rig.snapshot(&t), stored);
}

#[test]
fn no_more_bytes_of_branches_than_may_be() {
    let mut rig = Rig::new();
    let t = prepared(&mut rig);
    let x = |bytes: usize| "x".repeat(bytes);
    assert_eq!(rig.one(t.register("b1", &x(101))), ["too_large"]);
    assert_eq!(rig.one(t.register("b1", &x(60))), ["done"]);
    let stored = rig.snapshot(&t);
    assert_eq!(rig.one(t.register("b2", &x(41))), ["too_large"], "both together");
    assert_eq!(rig.one(t.register("b1", &x(60))), ["done"], "it is there");
    assert_eq!(rig.one(t.register("b1", &x(61))), ["other_content"]);
    assert_eq!(rig.snapshot(&t), stored);
    assert_eq!(rig.one(t.register("b2", &x(40))), ["done"]);
    assert_eq!(rig.field(&t, "z").as_deref(), Some("100"));
    assert_eq!(rig.one(t.register("b3", "x")), ["too_large"]);
    assert_eq!(rig.one(t.register("b3", "")), ["done"]);
    assert_eq!(rig.one(t.register("b4", &x(1))), ["too_many"], "whatever its bytes are");
}

#[test]
fn what_is_not_prepared_takes_no_branch() {
    let mut rig = Rig::new();
    for status in ["S", "A", "C", "F"] {
        let t = Transaction::new();
        rig.seed(&t, &format!("{status}X4;r1"), "w1");
        rig.seed_branches(&t, 1);
        let stored = rig.snapshot(&t);
        assert_eq!(rig.one(t.register("b0", "x0:")), ["not_prepared", status], "nor one again");
        assert_eq!(rig.one(t.register("b1", "x0:")), ["not_prepared", status]);
        assert_eq!(rig.snapshot(&t), stored);
    }
    let t = Transaction::new();
    assert_eq!(rig.one(t.register("b1", "x0:")), ["missing"]);
    assert!(rig.snapshot(&t).is_empty());
}

#[test]
fn two_of_one_call_are_registered_in_their_order() {
    let mut rig = Rig::new();
    let t = prepared(&mut rig);
    let items = [t.register("b1", "x0:"), t.register("b2", "x0:"), t.register("b1", "x1:a")];
    let replies = rig.all(&items).items;
    assert_eq!(replies.concat(), ["done", "done", "other_content"]);
    assert_eq!(rig.field(&t, "#b2").as_deref(), Some("1;x0:"));
}

#[test]
fn the_packed_content_is_kept_byte_for_byte() {
    let mut rig = Rig::new();
    let t = prepared(&mut rig);
    let content = "x0:\u{0}\r\n;ü\u{1}";
    assert_eq!(rig.one(t.register("b;1\n", content)), ["done"]);
    assert_eq!(rig.field(&t, "#b;1\n"), Some(format!("0;{content}")));
    assert_eq!(rig.one(t.register("b;1\n", content)), ["done"]);
}

/// The holder's three writes of a state that leaves prepared, knowing of `known` branches.
fn leaving(t: &Transaction, known: Option<usize>) -> [Item; 3] {
    let by = |call: ByHolder<'_>| ByHolder { registered: known, ..call }.into();
    [by(t.record("w1", 5, "A")), by(t.rest("w1", 5, "A", 7)), by(t.finish("w1", 5, "F"))]
}

#[test]
fn a_holder_that_leaves_prepared_and_knows_too_few_is_told_all() {
    let mut rig = Rig::new();
    for number in 0..3 {
        let t = prepared(&mut rig);
        rig.seed_branches(&t, 2);
        let stored = rig.snapshot(&t);
        for known in [0, 1, 3] {
            let [c, s] = ["c", "s"].map(|name| rig.field(&t, name).unwrap());
            let reply = rig.one(leaving(&t, Some(known))[number].clone());
            let told = ["reread", &c, &s, "{}", "nil", "nil", "#b0", "0;x0:", "#b1", "1;x0:"];
            assert_eq!(reply, told);
            assert_eq!(rig.snapshot(&t), stored, "token and number are as they were");
        }
        let again = leaving(&t, Some(2))[number].clone();
        assert_eq!(rig.one(again), ["written"], "the same number, once it knows all");
    }
}

#[test]
fn who_need_not_know_is_not_asked() {
    let mut rig = Rig::new();
    for number in 0..3 {
        let t = prepared(&mut rig);
        rig.seed_branches(&t, 2);
        assert_eq!(rig.one(leaving(&t, None)[number].clone()), ["written"]);
        // Without a branch there is no count.
        let t = prepared(&mut rig);
        assert_eq!(rig.one(leaving(&t, Some(0))[number].clone()), ["written"]);
    }
}

#[test]
fn only_what_leaves_prepared_must_know_all() {
    let mut rig = Rig::new();
    let t = prepared(&mut rig);
    rig.seed_branches(&t, 2);
    let rest = ByHolder { registered: Some(0), ..t.rest("w1", 5, "P", 7) };
    assert_eq!(rig.one(rest), ["written"]);
    let t = Transaction::new();
    rig.seed(&t, "SX4;r1", "w1");
    rig.seed_branches(&t, 2);
    let finish = ByHolder { registered: Some(0), ..t.finish("w1", 5, "C") };
    assert_eq!(rig.one(finish), ["written"]);
}

#[test]
fn who_holds_it_no_more_is_refused_whatever_it_knows() {
    let mut rig = Rig::new();
    let t = prepared(&mut rig);
    rig.seed_branches(&t, 2);
    let by = |token, n| ByHolder { registered: Some(0), ..t.record(token, n, "A") };
    assert_eq!(rig.one(by("w2", 5)), ["refused"]);
    assert_eq!(rig.one(by("w1", 6)), ["refused"]);
    assert_eq!(rig.one(by("w1", 4)), ["written"], "a repeat");
}

#[test]
fn a_new_holder_is_told_the_branches() {
    let mut rig = Rig::new();
    for mode in ["T", "X", "W"] {
        let t = Transaction::new();
        let due = rig.seed(&t, &format!("P{mode}4;p1"), "");
        rig.seed_branches(&t, 1);
        let reply = rig.one(t.take(due, "w1"));
        assert_eq!(
            (reply[0].as_str(), &reply[6..]),
            ("taken", &["#b0", "0;x0:"].map(String::from)[..])
        );
    }
    let t = Transaction::new();
    let due = rig.seed(&t, "PM4;p1", "");
    assert_eq!(rig.one(t.take(due, "w1")).len(), 6, "others have none");
}

#[test]
fn branches_expire_with_their_transaction() {
    let mut rig = Rig::new();
    let t = prepared(&mut rig);
    rig.one(t.register("b1", "x0:"));
    let finish = ByHolder { registered: Some(1), ..t.finish("w1", 5, "F") };
    assert_eq!(rig.one(finish), ["written"]);
    assert!(rig.ttl_ms(&t.hash()) > 0);
}
