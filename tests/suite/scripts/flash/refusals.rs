//! Why an order or a hold takes nothing: window, limits, the waiting room, stock, reopening; in this
//! order, and nothing is left behind.

use super::bucket::{Bucket, OPEN, Order, REOPENS_AFTER_US};
use crate::scripts::rig::Rig;

/// What an order and a hold of the same units are refused with, if both are alike and leave nothing.
fn refused(rig: &mut Rig, bucket: &Bucket, buyer: &str, units: &str) -> Vec<String> {
    let stored = bucket.snapshot(rig);
    let of_order = rig.one(bucket.order("new", buyer, units));
    let of_ended = Order { has_ended: true, ..bucket.order("new", buyer, units) };
    assert_eq!(rig.one(of_ended), of_order);
    assert_eq!(rig.one(bucket.hold("new", buyer, units)), of_order);
    assert_eq!(bucket.snapshot(rig), stored, "{of_order:?} leaves nothing");
    of_order
}

#[test]
fn a_sale_that_the_bucket_does_not_know_is_told() {
    let mut rig = Rig::new();
    let bucket = Bucket::new();
    assert_eq!(refused(&mut rig, &bucket, "jane", "shoe=1"), ["unknown_sale"]);
    assert!(bucket.snapshot(&mut rig).is_empty());
}

#[test]
fn only_known_items_are_sold_and_the_whole_cart_or_nothing() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=9=0,hat=3=0");
    let reply = refused(&mut rig, &bucket, "jane", "shoe=1,tie=1");
    assert_eq!(reply, ["unknown_item", "tie"]);
    let reply = refused(&mut rig, &bucket, "jane", "shoe=1,hat=4");
    assert_eq!(reply, ["sold_out", "hat"]);
    assert_eq!(rig.one(bucket.order("a", "jane", "shoe=9,hat=3")), ["taken", "0,0"]);
}

#[test]
fn nothing_is_sold_before_after_or_when_closed() {
    let mut rig = Rig::new();
    let now = rig.now();
    let (past, coming) = (now - 1, now + 60_000_000);
    for (head, expected) in [
        (format!("0;{coming};;0;0"), Some("not_open")),
        (format!("0;;{past};0;0"), Some("closed")),
        (format!("0;{past};{past};0;0"), Some("closed")),
        (format!("1;{coming};;0;0"), Some("closed")),
        ("1;;;0;0".to_owned(), Some("closed")),
        (format!("0;{past};{coming};0;0"), None),
    ] {
        let bucket = Bucket::open(&mut rig, &head, "shoe=9=0");
        match expected {
            Some(word) => {
                // Before all that depends on the items.
                assert_eq!(refused(&mut rig, &bucket, "jane", "shoe=99,tie=1"), [word], "{head}");
            }
            None => assert_eq!(rig.one(bucket.order("a", "jane", "shoe=1"))[0], "taken"),
        }
    }
}

#[test]
fn the_window_opens_and_closes_at_its_microsecond() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=900=0");
    let opens = rig.now() + 4_000;
    rig.one(bucket.define(2, &format!("0;{opens};;0;0"), "shoe=900=0"));
    let mut answers = Vec::new();
    for number in 0.. {
        let (now, reply) = rig.one_at(bucket.order(&number.to_string(), "jane", "shoe=1"));
        let expected = if now < opens { "not_open" } else { "taken" };
        assert_eq!(reply[0], expected, "{now} of {opens}");
        answers.push(expected);
        if now > opens {
            break;
        }
    }
    let closes = rig.now() + 4_000;
    rig.one(bucket.define(3, &format!("0;{opens};{closes};0;0"), "shoe=900=0"));
    for number in answers.len().. {
        let (now, reply) = rig.one_at(bucket.order(&number.to_string(), "jane", "shoe=1"));
        let expected = if now < closes { "taken" } else { "closed" };
        assert_eq!(reply[0], expected, "{now} of {closes}");
        if now > closes {
            break;
        }
    }
    bucket.books(&mut rig);
}

#[test]
fn a_buyer_has_no_more_of_an_item_than_its_limit() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=90=2,hat=90=0");
    assert_eq!(refused(&mut rig, &bucket, "jane", "hat=1,shoe=3"), ["limit_reached", "shoe"]);
    assert_eq!(rig.one(bucket.order("a", "jane", "shoe=1"))[0], "taken");
    assert_eq!(refused(&mut rig, &bucket, "jane", "shoe=2"), ["limit_reached", "shoe"]);
    assert_eq!(rig.one(bucket.hold("b1", "jane", "shoe=1")), ["held"]);
    assert_eq!(refused(&mut rig, &bucket, "jane", "shoe=1"), ["limit_reached", "shoe"]);
    // What is sold counts, what was given back does not.
    assert_eq!(rig.one(bucket.settle("b1", "jane", "S")), ["done"]);
    assert_eq!(refused(&mut rig, &bucket, "jane", "shoe=1"), ["limit_reached", "shoe"]);
    assert_eq!(rig.one(bucket.stop_order("a", "stop")), ["done"]);
    assert_eq!(rig.one(bucket.order("c", "jane", "shoe=1,hat=50"))[0], "taken");
    assert_eq!(rig.one(bucket.order("d", "john", "shoe=2"))[0], "taken");
    assert_eq!(bucket.buyer(&mut rig, "jane").as_deref(), Some("shoe=2,hat=50"));
    assert_eq!(bucket.shoe(&mut rig).units(), (86, 3, 1));
}

#[test]
fn a_buyer_has_no_more_of_a_sale_than_its_limit() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, "0;;;4;0", "shoe=90=2,hat=90=0");
    assert_eq!(refused(&mut rig, &bucket, "jane", "hat=5"), ["limit_reached"]);
    assert_eq!(refused(&mut rig, &bucket, "jane", "hat=5,shoe=3"), ["limit_reached", "shoe"]);
    assert_eq!(rig.one(bucket.order("a", "jane", "hat=2,shoe=1"))[0], "taken");
    assert_eq!(refused(&mut rig, &bucket, "jane", "hat=1,shoe=1"), ["limit_reached"]);
    assert_eq!(rig.one(bucket.order("b", "jane", "hat=1"))[0], "taken");
    assert_eq!(refused(&mut rig, &bucket, "jane", "hat=1"), ["limit_reached"]);
    assert_eq!(rig.one(bucket.order("c", "john", "hat=4"))[0], "taken");
}

#[test]
fn limits_hold_between_the_items_of_one_call() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, "0;;;3;0", "shoe=90=2,hat=90=0");
    let calls = [
        bucket.order("a", "jane", "shoe=1"),
        bucket.order("b", "jane", "shoe=2"),
        bucket.order("c", "jane", "shoe=1,hat=1"),
        bucket.order("d", "jane", "hat=1"),
        bucket.order("e", "john", "hat=1"),
    ];
    let replies = rig.all(&calls.map(Into::into)).items;
    let words = replies.iter().map(|reply| reply.join(" ")).collect::<Vec<_>>();
    let expected = ["taken 89", "limit_reached shoe", "taken 88,89"];
    assert_eq!(words[..3], expected);
    assert_eq!(words[3..], ["limit_reached", "taken 88"]);
    assert_eq!(bucket.buyer(&mut rig, "jane").as_deref(), Some("shoe=2,hat=1"));
    bucket.books(&mut rig);
}

#[test]
fn a_limit_comes_before_the_stock_so_that_waiting_is_no_use() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=1=1");
    assert_eq!(rig.one(bucket.order("a", "jane", "shoe=1"))[0], "taken");
    assert_eq!(refused(&mut rig, &bucket, "jane", "shoe=1"), ["limit_reached", "shoe"]);
    assert_eq!(refused(&mut rig, &bucket, "john", "shoe=1"), ["sold_out", "shoe"]);
}

#[test]
fn with_too_many_orders_in_work_the_next_ones_wait_outside() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, "0;;;0;2", "shoe=2=0,hat=9=0");
    assert_eq!(rig.one(bucket.order("a", "jane", "shoe=1"))[0], "taken");
    let ended = Order { has_ended: true, ..bucket.order("b", "john", "hat=1") };
    assert_eq!(rig.one(ended)[0], "taken", "it is in work no more");
    assert_eq!(rig.one(bucket.hold("b1", "jane", "hat=1")), ["held"], "it is no order");
    assert_eq!(rig.one(bucket.order("c", "june", "shoe=1"))[0], "taken");
    assert_eq!(refused(&mut rig, &bucket, "jack", "shoe=1"), ["crowded"], "before the stock");
    assert_eq!(rig.one(bucket.stop_order("a", "stop")), ["done"]);
    assert_eq!(rig.one(bucket.order("d", "jack", "hat=1"))[0], "taken");
    bucket.books(&mut rig);
}

#[test]
fn units_that_come_back_where_none_were_left_are_for_sale_after_a_while() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=1=0,hat=2=0");
    assert_eq!(rig.one(bucket.order("a", "jane", "shoe=1,hat=1"))[0], "taken");
    let (stopped, _) = rig.one_at(bucket.stop_order("a", "stop"));
    let books = bucket.books(&mut rig);
    assert_eq!(books["shoe"].units(), (1, 0, 0));
    assert_eq!(books["shoe"].reopens, stopped + REOPENS_AFTER_US);
    assert_eq!(books["hat"].reopens, 0, "some were left");
    assert_eq!(rig.one(bucket.order("b", "john", "hat=2"))[0], "taken");
    for number in 0.. {
        let (now, reply) = rig.one_at(bucket.order(&format!("c{number}"), "john", "shoe=1"));
        if now >= stopped + REOPENS_AFTER_US {
            assert_eq!(reply, ["taken", "0"]);
            break;
        }
        assert_eq!(reply, ["sold_out", "shoe"]);
    }
    assert_eq!(bucket.shoe(&mut rig).units(), (0, 1, 0));
}

#[test]
fn units_that_are_not_for_sale_yet_go_to_no_other_bucket() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=1=0");
    rig.one(bucket.hold("b1", "jane", "shoe=1"));
    let (released, _) = rig.one_at(bucket.settle("b1", "jane", "R"));
    let (now, given) = rig.one_at(bucket.give("t", "shoe", 1));
    let is_early = now < released + REOPENS_AFTER_US;
    assert_eq!(given, ["given", if is_early { "0" } else { "1" }]);
}

#[test]
fn a_second_unit_that_comes_back_does_not_put_the_reopening_off() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=2=0");
    rig.one(bucket.hold("b1", "jane", "shoe=1"));
    rig.one(bucket.hold("b2", "jane", "shoe=1"));
    let (first, _) = rig.one_at(bucket.settle("b1", "jane", "R"));
    assert_eq!(rig.one(bucket.settle("b2", "jane", "R")), ["done"]);
    let books = bucket.shoe(&mut rig);
    assert_eq!((books.available, books.reopens), (2, first + REOPENS_AFTER_US));
}
