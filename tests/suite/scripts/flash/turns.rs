//! `turn` and `stop_order`: an order's units end in the write that ends or undoes its transaction.

use super::bucket::{Bucket, OPEN, Order};
use crate::scripts::{calls::ByHolder, rig::Rig, transaction::Transaction};

/// A bucket of nine shoes, with the order `a` of two of them, which `a` holds with the number 1.
fn held(rig: &mut Rig) -> (Bucket, Transaction) {
    let bucket = Bucket::open(rig, OPEN, "shoe=9=0,hat=3=0");
    let order = Order { held: true, ..bucket.order("a", "jane", "shoe=2,hat=1") };
    assert_eq!(rig.one(order)[0], "taken_held");
    let t = bucket.transaction("a");
    (bucket, t)
}

#[test]
fn a_record_of_aborting_gives_the_units_back_and_the_hold_goes_on() {
    let mut rig = Rig::new();
    let (bucket, t) = held(&mut rig);
    let due = rig.due(&t);
    let call = bucket.turn(ByHolder { reason: "late", rest: "sm;;1;x", ..t.record("a", 2, "A") });
    for _ in 0..2 {
        assert_eq!(rig.one(call.clone()), ["written"]);
        assert_eq!(rig.state(&t), "AS2;a;sm;;1;x");
        assert_eq!((rig.token(&t).as_str(), rig.due(&t)), ("a", due));
        assert_eq!(rig.field(&t, "r").as_deref(), Some("late"));
        assert_eq!(bucket.shoe(&mut rig).units(), (9, 0, 0));
        assert_eq!(bucket.row(&mut rig, "a").as_deref(), Some("R;shoe=2,hat=1;7,2;jane"));
        assert_eq!(bucket.buyer(&mut rig, "jane"), None);
    }
    assert_eq!(rig.one(bucket.turn(t.record("a", 3, "A"))), ["written"]);
    assert_eq!(bucket.shoe(&mut rig).units(), (9, 0, 0), "once");
    assert_eq!(rig.one(bucket.turn(t.finish("a", 4, "F"))), ["written"]);
    assert_eq!(bucket.shoe(&mut rig).units(), (9, 0, 0), "once");
}

#[test]
fn a_rest_in_aborting_gives_the_units_back_and_lets_go() {
    let mut rig = Rig::new();
    let (bucket, t) = held(&mut rig);
    let at = rig.now() + 10_000_000;
    let call = bucket.turn(t.rest("a", 2, "A", at));
    assert_eq!(rig.one(call.clone()), ["written"]);
    assert_eq!((rig.token(&t).as_str(), rig.due(&t)), ("", Some(at)));
    assert_eq!(&rig.state(&t)[..5], "AS2;a");
    assert_eq!(bucket.shoe(&mut rig).units(), (9, 0, 0));
    let stored = bucket.snapshot(&mut rig);
    assert_eq!(rig.one(call), ["refused"], "a repeat: the hold is over either way");
    assert_eq!(bucket.snapshot(&mut rig), stored);
}

#[test]
fn a_reset_during_the_hold_makes_such_a_rest_end_at_once() {
    let mut rig = Rig::new();
    let (bucket, t) = held(&mut rig);
    rig.one(t.reset());
    let (now, reply) = rig.one_at(bucket.turn(t.rest("a", 2, "A", u64::pow(10, 15) * 9)));
    assert_eq!(reply, ["written"]);
    assert_eq!((rig.due(&t), rig.field(&t, "w")), (Some(now), None));
}

#[test]
fn an_end_sells_the_units_or_gives_them_back() {
    let mut rig = Rig::new();
    for (status, letter, shoes) in [("C", "S", (7, 0, 2)), ("F", "R", (9, 0, 0))] {
        let (bucket, t) = held(&mut rig);
        let call = bucket.turn(t.finish("a", 2, status));
        for _ in 0..2 {
            assert_eq!(rig.one(call.clone()), ["written"]);
            assert_eq!(rig.state(&t)[..4], format!("{status}S2;"));
            assert_eq!((rig.due(&t), rig.ended(&t)), (None, vec!["a".to_owned()]));
            assert!(rig.ttl_ms(&t.hash()) > 0);
            assert_eq!(bucket.shoe(&mut rig).units(), shoes, "{status}");
            let row = bucket.row(&mut rig, "a").unwrap();
            assert_eq!(row, format!("{letter};shoe=2,hat=1;7,2;jane"));
        }
        for key in [bucket.books_key(), bucket.buyers_key(), bucket.rows_key()] {
            assert!(rig.ttl_ms(&key) < 0, "{key} lives as long as the sale");
        }
    }
}

#[test]
fn who_holds_it_no_more_turns_nothing() {
    let mut rig = Rig::new();
    let (bucket, t) = held(&mut rig);
    let stored = bucket.snapshot(&mut rig);
    for (token, n) in [("b", 2), ("a", 3), ("a", 0), ("", 2)] {
        for call in [t.record(token, n, "A"), t.rest(token, n, "A", 9), t.finish(token, n, "C")] {
            assert_eq!(rig.one(bucket.turn(call)), ["refused"], "{call:?}");
        }
    }
    assert_eq!(bucket.snapshot(&mut rig), stored);
    let missing = bucket.transaction("b");
    assert_eq!(rig.one(bucket.turn(missing.record("a", 2, "A"))), ["refused"]);
}

#[test]
fn a_large_body_is_asked_for_at_the_end_alone() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=9=0");
    let order = Order { held: true, is_large: true, ..bucket.order("a", "jane", "shoe=2") };
    assert_eq!(rig.one(order), ["restage"]);
    assert_eq!(bucket.shoe(&mut rig).units(), (9, 0, 0));
    let t = bucket.transaction("a");
    rig.stage(&t, "a");
    assert_eq!(rig.one(order), ["taken_held", "7"]);
    assert_eq!((rig.ttl_ms(&t.body()), rig.field(&t, "b")), (-1, None));

    assert_eq!(rig.one(bucket.turn(t.record("a", 2, "A"))), ["written"]);
    let stored = bucket.snapshot(&mut rig);
    assert_eq!(rig.one(bucket.turn(t.finish("a", 3, "F"))), ["with_body"]);
    assert_eq!(bucket.snapshot(&mut rig), stored);
    let call = ByHolder { with_body: true, ..t.finish("a", 3, "F") };
    assert_eq!(rig.one(bucket.turn(call)), ["written"]);
    assert!(rig.ttl_ms(&t.body()) > 0);
}

#[test]
fn a_large_order_without_steps_is_kept_as_long_as_its_body() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=9=0");
    let t = bucket.transaction("a");
    rig.stage(&t, "a");
    let order = bucket.order("a", "jane", "shoe=2");
    assert_eq!(rig.one(Order { is_large: true, has_ended: true, ..order })[0], "taken");
    assert!(rig.ttl_ms(&t.body()) > 60_000 && rig.ttl_ms(&t.hash()) > 60_000);
}

#[test]
fn orders_of_one_buyer_are_turned_in_one_call() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=3=0,hat=1=0");
    for (order, units) in [("a", "shoe=1"), ("b", "shoe=1,hat=1"), ("c", "shoe=1")] {
        rig.one(Order { held: true, ..bucket.order(order, "jane", units) });
    }
    let [a, b, c] = ["a", "b", "c"].map(|order| bucket.transaction(order));
    let calls = [
        bucket.turn(a.record("a", 2, "A")),
        bucket.turn(b.finish("b", 2, "F")),
        bucket.turn(c.finish("c", 2, "C")),
        bucket.turn(a.record("a", 2, "A")),
    ];
    let now = rig.all(&calls).now;
    let books = bucket.books(&mut rig);
    assert_eq!((books["shoe"].units(), books["hat"].units()), ((2, 0, 1), (1, 0, 0)));
    assert!(books.values().all(|item| item.reopens > now), "{books:?}");
    assert_eq!(bucket.buyer(&mut rig, "jane").as_deref(), Some("shoe=1"));
}

#[test]
fn a_buyer_of_whom_nothing_is_left_leaves_nothing() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=3=0");
    for order in ["a", "b"] {
        rig.one(Order { held: true, ..bucket.order(order, "jane", "shoe=1") });
    }
    let [a, b] = ["a", "b"].map(|order| bucket.transaction(order));
    let calls = [bucket.turn(a.finish("a", 2, "F")), bucket.turn(b.finish("b", 2, "F"))];
    assert_eq!(rig.all(&calls).items, [["written"], ["written"]]);
    assert_eq!(bucket.buyer(&mut rig, "jane"), None);
    assert_eq!(rig.ask::<u64>("EXISTS", &[&bucket.buyers_key()]), 0);
    bucket.books(&mut rig);
}

#[test]
fn an_order_whose_row_is_gone_ends_all_the_same() {
    let mut rig = Rig::new();
    let (bucket, t) = held(&mut rig);
    rig.ask::<()>("DEL", &[&bucket.books_key(), &bucket.rows_key(), &bucket.buyers_key()]);
    assert_eq!(rig.one(bucket.turn(t.record("a", 2, "A"))), ["written"]);
    assert_eq!(rig.one(bucket.turn(t.finish("a", 3, "F"))), ["written"]);
    assert_eq!(rig.ask::<u64>("EXISTS", &[&bucket.books_key(), &bucket.rows_key()]), 0);
}

#[test]
fn books_that_do_not_have_what_the_row_says_put_the_write_off() {
    let mut rig = Rig::new();
    for (key, field, value) in [
        (Bucket::books_key as fn(&Bucket) -> String, "i:hat", "3;3;3;0;0;0;0;1"),
        (Bucket::rows_key, "oa", "H;shoe=2,hat=1"),
        // Neither has it units, nor has its buyer any.
        (Bucket::rows_key, "oa", "H;;;john"),
    ] {
        let (bucket, t) = held(&mut rig);
        rig.ask::<()>("HSET", &[&key(&bucket), field, value]);
        let stored = bucket.snapshot(&mut rig);
        for call in [t.record("a", 2, "A"), t.rest("a", 2, "A", 9), t.finish("a", 2, "C")] {
            assert_eq!(rig.one(bucket.turn(call))[0], "error", "{value}");
        }
        assert_eq!(rig.one(bucket.stop_order("a", "stop"))[0], "error", "{value}");
        assert_eq!(bucket.snapshot(&mut rig), stored, "{value}");
    }
}

#[test]
fn a_stopped_order_gives_its_units_back_once() {
    let mut rig = Rig::new();
    let (bucket, t) = held(&mut rig);
    for _ in 0..2 {
        assert_eq!(rig.one(bucket.stop_order("a", "stop")), ["done"]);
        assert_eq!(&rig.state(&t)[..7], "FS2;sto");
        assert_eq!(rig.field(&t, "r").as_deref(), Some("why"));
        assert_eq!((rig.due(&t), rig.ended(&t)), (None, vec!["a".to_owned()]));
        assert_eq!(bucket.shoe(&mut rig).units(), (9, 0, 0));
    }
    assert_eq!(rig.one(bucket.stop_order("a", "other")), ["ended", "F"]);
    assert_eq!(rig.one(bucket.turn(t.finish("a", 2, "C"))), ["refused"]);
    assert_eq!(rig.one(bucket.stop_order("b", "other")), ["missing"]);
    assert_eq!(bucket.shoe(&mut rig).units(), (9, 0, 0));
}

#[test]
fn an_order_that_aborts_or_has_ended_is_stopped_without_its_units() {
    let mut rig = Rig::new();
    let (bucket, t) = held(&mut rig);
    rig.one(bucket.turn(ByHolder { reason: "late", ..t.record("a", 2, "A") }));
    assert_eq!(rig.one(bucket.stop_order("a", "stop")), ["done"]);
    assert_eq!(rig.field(&t, "r").as_deref(), Some("late"));
    assert_eq!(bucket.shoe(&mut rig).units(), (9, 0, 0));

    let (bucket, t) = held(&mut rig);
    rig.one(bucket.turn(t.finish("a", 2, "C")));
    assert_eq!(rig.one(bucket.stop_order("a", "stop")), ["ended", "C"]);
    assert_eq!(bucket.shoe(&mut rig).units(), (7, 0, 2));
}

#[test]
fn a_turned_order_is_told_again_as_it_was_taken() {
    let mut rig = Rig::new();
    for (status, letter) in [("A", "R"), ("C", "S")] {
        let (bucket, t) = held(&mut rig);
        let call = if status == "A" { t.record("a", 2, "A") } else { t.finish("a", 2, "C") };
        rig.one(bucket.turn(call));
        let again = Order { request: "x", ..bucket.order("a", "jane", "shoe=2,hat=1") };
        assert_eq!(rig.one(again), ["again", "shoe=2,hat=1", "7,2", letter]);
    }
}

#[test]
fn what_needs_no_bucket_is_told_whatever_state_the_bucket_is_in() {
    let mut rig = Rig::new();
    for damage in [Bucket::books_key, Bucket::rows_key] {
        let bucket = Bucket::open(&mut rig, OPEN, "shoe=9=0");
        for name in ["a", "b", "c"] {
            rig.one(Order { held: true, ..bucket.order(name, "jane", "shoe=1") });
        }
        let [a, c] = ["a", "c"].map(|name| bucket.transaction(name));
        rig.one(bucket.turn(a.finish("a", 2, "C")));
        rig.one(bucket.stop_order("b", "stop"));
        rig.ask::<()>("SET", &[&damage(&bucket), "a string"]);
        let stored = bucket.snapshot(&mut rig);
        let turns = [
            bucket.turn(a.finish("a", 2, "C")),
            bucket.turn(c.finish("c", 2, "C")),
            bucket.turn(c.finish("x", 2, "C")),
        ];
        let replies = rig.all(&turns).items;
        let words: Vec<_> = replies.iter().map(|reply| reply[0].as_str()).collect();
        assert_eq!(words, ["written", "error", "refused"]);
        let stops = ["a", "b", "c", "d"].map(|name| bucket.stop_order(name, "stop"));
        let replies = rig.all(&stops).items;
        let words: Vec<_> = replies.iter().map(|reply| reply[0].as_str()).collect();
        assert_eq!(words, ["ended", "done", "error", "missing"]);
        assert_eq!(bucket.snapshot(&mut rig), stored);
    }
}
