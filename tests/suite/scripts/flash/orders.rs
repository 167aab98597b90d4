//! `order`: units are taken and the order is stored, or neither.

use super::bucket::{Bucket, OPEN, Order};
use crate::scripts::{calls::Item, rig::Rig, transaction::LEASE_US};

/// Nine shoes and three hats.
fn shop(rig: &mut Rig) -> Bucket {
    Bucket::open(rig, OPEN, "shoe=9=0,hat=3=0")
}

#[test]
fn an_order_takes_its_units_and_is_stored_as_due() {
    let mut rig = Rig::new();
    let bucket = shop(&mut rig);
    let t = bucket.transaction("a");
    let (now, reply) = rig.one_at(bucket.order("a", "jane", "shoe=2,hat=1"));
    assert_eq!(reply, ["taken", "7,2"]);
    assert_eq!(rig.state(&t), "SS1;a;nn;;0;");
    assert_eq!((rig.token(&t).as_str(), rig.due(&t)), ("", Some(now)));
    assert_eq!(rig.field(&t, "c"), Some(now.to_string()));
    assert_eq!(rig.field(&t, "b").as_deref(), Some("{}"));
    let books = bucket.books(&mut rig);
    assert_eq!((books["shoe"].units(), books["hat"].units()), ((7, 2, 0), (2, 1, 0)));
    assert_eq!((books["shoe"].takes, books["hat"].takes), (1, 1));
    assert_eq!(bucket.row(&mut rig, "a").as_deref(), Some("H;shoe=2,hat=1;7,2;jane"));
    assert_eq!(bucket.buyer(&mut rig, "jane").as_deref(), Some("shoe=2,hat=1"));
    assert_eq!(rig.ttl_ms(&t.hash()), -1);
}

#[test]
fn a_held_order_is_due_at_the_end_of_its_lease() {
    let mut rig = Rig::new();
    let bucket = shop(&mut rig);
    let t = bucket.transaction("a");
    let order = Order { held: true, ..bucket.order("a", "jane", "shoe=2") };
    let (now, reply) = rig.one_at(order);
    assert_eq!(reply, ["taken_held", "7"]);
    assert_eq!((rig.token(&t).as_str(), rig.due(&t)), ("a", Some(now + LEASE_US)));
    assert_eq!(rig.one(t.record("a", 2, "S")), ["written"]);
}

#[test]
fn an_order_without_steps_is_stored_as_ended_and_its_units_as_sold() {
    let mut rig = Rig::new();
    let bucket = shop(&mut rig);
    let t = bucket.transaction("a");
    let order = Order { has_ended: true, ..bucket.order("a", "jane", "shoe=2") };
    assert_eq!(rig.one(order), ["taken", "7"]);
    assert_eq!(bucket.shoe(&mut rig).units(), (7, 0, 2));
    assert_eq!(rig.state(&t), "CS1;a;nn;;0;");
    assert_eq!((rig.due(&t), rig.ended(&t)), (None, vec!["a".to_owned()]));
    assert!(rig.ttl_ms(&t.hash()) > 0 && rig.ttl_ms(&t.ended_list()) > rig.ttl_ms(&t.hash()));
    assert_eq!(bucket.row(&mut rig, "a").as_deref(), Some("S;shoe=2;7;jane"));
}

#[test]
fn the_same_order_again_is_told_what_it_took_and_takes_nothing() {
    let mut rig = Rig::new();
    let bucket = shop(&mut rig);
    let first = bucket.order("a", "jane", "shoe=2,hat=1");
    rig.one(first);
    rig.one(bucket.order("b", "john", "shoe=7"));
    let stored = bucket.snapshot(&mut rig);
    let again = Order { request: "other", ..first };
    assert_eq!(rig.one(again), ["again", "shoe=2,hat=1", "7,2", "H"]);
    let turned_round = Order { units: "hat=1,shoe=2", ..again };
    assert_eq!(rig.one(turned_round), ["again", "shoe=2,hat=1", "7,2", "H"]);
    for units in ["shoe=2", "shoe=1,hat=1", "shoe=2,hat=1,tie=1", "shoe=2,tie=1"] {
        assert_eq!(rig.one(Order { units, ..again }), ["other_cart"]);
    }
    assert_eq!(rig.one(Order { buyer: "john", ..again }), ["other_buyer"]);
    assert_eq!(bucket.snapshot(&mut rig), stored);
}

#[test]
fn a_lost_reply_is_told_again_with_its_time_and_hold() {
    let mut rig = Rig::new();
    let bucket = shop(&mut rig);
    let order = Order { held: true, ..bucket.order("a", "jane", "shoe=2") };
    let (now, _) = rig.one_at(order);
    let stored = bucket.snapshot(&mut rig);
    assert_eq!(rig.one(order), ["taken_held", "7", &now.to_string()]);
    assert_eq!(bucket.snapshot(&mut rig), stored);
    let t = bucket.transaction("a");
    rig.one(t.rest("a", 2, "S", 7));
    assert_eq!(rig.one(order), ["taken", "7", &now.to_string()]);
    rig.ask::<()>("DEL", &[&t.hash()]);
    assert_eq!(rig.one(order), ["again", "shoe=2", "7", "H"], "it expired");
}

#[test]
fn a_double_click_on_the_last_unit_is_told_the_same_twice() {
    let mut rig = Rig::new();
    for is_one_call in [true, false] {
        let bucket = Bucket::open(&mut rig, OPEN, "shoe=1=1");
        let first = bucket.order("a", "jane", "shoe=1");
        let clicks: [Item; 3] = [
            first.into(),
            Order { request: "x", ..first }.into(),
            Order { request: "y", buyer: "john", order: "b", ..first }.into(),
        ];
        let replies = if is_one_call {
            rig.all(&clicks).items
        } else {
            clicks.into_iter().map(|click| rig.one(click)).collect()
        };
        assert_eq!(replies[0], ["taken", "0"]);
        assert_eq!(replies[1], ["again", "shoe=1", "0", "H"]);
        assert_eq!(replies[2], ["sold_out", "shoe"]);
        assert_eq!(bucket.shoe(&mut rig).units(), (0, 1, 0));
    }
}
