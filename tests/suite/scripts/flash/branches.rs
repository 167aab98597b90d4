//! `hold` and `settle`: the reservations of `stock://` branches.

use super::bucket::{Bucket, OPEN};
use crate::scripts::rig::Rig;

/// Nine shoes.
fn shop(rig: &mut Rig) -> Bucket {
    Bucket::open(rig, OPEN, "shoe=9=0,hat=3=0")
}

fn row(rig: &mut Rig, bucket: &Bucket, branch: &str) -> Option<String> {
    rig.ask("HGET", &[&bucket.rows_key(), &format!("b{}:{branch}g", branch.len())])
}

#[test]
fn a_hold_takes_its_units_once() {
    let mut rig = Rig::new();
    let bucket = shop(&mut rig);
    for _ in 0..2 {
        assert_eq!(rig.one(bucket.hold("01", "jane", "shoe=2")), ["held"]);
        assert_eq!(bucket.shoe(&mut rig).units(), (7, 2, 0));
    }
    let call = [bucket.hold("02", "jane", "shoe=1"), bucket.hold("02", "jane", "shoe=1")];
    assert_eq!(rig.all(&call).items, [["held"], ["held"]]);
    assert_eq!(bucket.shoe(&mut rig).units(), (6, 3, 0));
    assert_eq!(row(&mut rig, &bucket, "01").as_deref(), Some("H;shoe=2;;jane"));
    assert_eq!(bucket.buyer(&mut rig, "jane").as_deref(), Some("shoe=3"));
}

#[test]
fn a_branch_that_holds_something_else_is_told() {
    let mut rig = Rig::new();
    let bucket = shop(&mut rig);
    rig.one(bucket.hold("01", "jane", "shoe=2"));
    for (buyer, units) in [("jane", "shoe=1"), ("jane", "hat=2"), ("john", "shoe=2")] {
        assert_eq!(rig.one(bucket.hold("01", buyer, units)), ["other_content"]);
    }
    assert_eq!(bucket.shoe(&mut rig).units(), (7, 2, 0));
}

#[test]
fn each_end_is_reached_once_and_for_good() {
    let mut rig = Rig::new();
    for (letter, other, units) in [("S", "R", (7, 0, 2)), ("R", "S", (9, 0, 0))] {
        let bucket = shop(&mut rig);
        rig.one(bucket.hold("01", "jane", "shoe=2"));
        for _ in 0..2 {
            assert_eq!(rig.one(bucket.settle("01", "jane", letter)), ["done"]);
            assert_eq!(bucket.shoe(&mut rig).units(), units);
        }
        let stored = bucket.snapshot(&mut rig);
        assert_eq!(rig.one(bucket.settle("01", "jane", other)), ["otherwise"]);
        let late = if letter == "S" { "held" } else { "released" };
        assert_eq!(rig.one(bucket.hold("01", "jane", "shoe=2")), [late]);
        assert_eq!(bucket.snapshot(&mut rig), stored);
        let row_then = format!("{letter};shoe=2;;jane");
        assert_eq!(row(&mut rig, &bucket, "01"), Some(row_then));
        let owned = (letter == "S").then_some("shoe=2");
        assert_eq!(bucket.buyer(&mut rig, "jane").as_deref(), owned);
    }
}

#[test]
fn both_ends_in_one_call_are_told_apart() {
    let mut rig = Rig::new();
    let bucket = shop(&mut rig);
    rig.one(bucket.hold("01", "jane", "shoe=2"));
    let ends = ["S", "R", "S"].map(|letter| bucket.settle("01", "jane", letter));
    assert_eq!(rig.all(&ends).items, [["done"], ["otherwise"], ["done"]]);
    assert_eq!(bucket.shoe(&mut rig).units(), (7, 0, 2));
}

#[test]
fn what_is_given_back_before_it_was_held_is_barred() {
    let mut rig = Rig::new();
    let bucket = shop(&mut rig);
    assert_eq!(rig.one(bucket.settle("01", "jane", "S")), ["missing"]);
    assert_eq!(row(&mut rig, &bucket, "01"), None);
    for _ in 0..2 {
        assert_eq!(rig.one(bucket.settle("01", "jane", "R")), ["done"]);
        assert_eq!(row(&mut rig, &bucket, "01").as_deref(), Some("R;;;jane"));
        assert_eq!(rig.one(bucket.hold("01", "jane", "shoe=2")), ["released"]);
    }
    assert_eq!(rig.one(bucket.settle("01", "jane", "S")), ["otherwise"]);
    assert_eq!(bucket.shoe(&mut rig).units(), (9, 0, 0));
    let ends = [bucket.settle("02", "jane", "R"), bucket.settle("02", "jane", "R")];
    assert_eq!(rig.all(&ends).items, [["done"], ["done"]]);
    bucket.books(&mut rig);
}

#[test]
fn a_sale_that_the_bucket_does_not_know_settles_nothing() {
    let mut rig = Rig::new();
    let bucket = Bucket::new();
    for letter in ["S", "R"] {
        assert_eq!(rig.one(bucket.settle("01", "jane", letter)), ["unknown_sale"]);
    }
    assert!(bucket.snapshot(&mut rig).is_empty());
}

#[test]
fn what_is_held_is_settled_after_the_sale_was_closed() {
    let mut rig = Rig::new();
    let bucket = shop(&mut rig);
    rig.one(bucket.hold("01", "jane", "shoe=2"));
    rig.one(bucket.hold("02", "jane", "shoe=3"));
    rig.one(bucket.define(2, "1;;;0;0", "shoe=9=0,hat=3=0"));
    assert_eq!(rig.one(bucket.hold("01", "jane", "shoe=2")), ["held"]);
    assert_eq!(rig.one(bucket.settle("01", "jane", "S")), ["done"]);
    assert_eq!(rig.one(bucket.settle("02", "jane", "R")), ["done"]);
    assert_eq!(bucket.shoe(&mut rig).units(), (7, 0, 2));
}

#[test]
fn branch_ids_and_gids_are_kept_apart() {
    let mut rig = Rig::new();
    let bucket = shop(&mut rig);
    for branch in ["1", "11", "1g", "", "b1:"] {
        assert_eq!(rig.one(bucket.hold(branch, "jane;=,", "shoe=1")), ["held"]);
    }
    assert_eq!(bucket.shoe(&mut rig).units(), (4, 5, 0));
    assert_eq!(rig.one(bucket.settle("1", "jane;=,", "R")), ["done"]);
    assert_eq!(bucket.buyer(&mut rig, "jane;=,").as_deref(), Some("shoe=4"));
}

#[test]
fn books_that_do_not_have_what_a_row_says_are_an_error_and_stay() {
    let mut rig = Rig::new();
    let bucket = shop(&mut rig);
    rig.one(bucket.hold("01", "jane", "shoe=2"));
    for (key, field, value, letters) in [
        (bucket.books_key(), "i:shoe", "9;9;8;1;0;0;0;1", "RS"),
        // What is sold stays the buyer's: only giving back asks for that.
        (bucket.buyers_key(), "jane", "shoe=1", "R"),
        (bucket.rows_key(), "b2:01g", "?", "RS"),
        (bucket.rows_key(), "b2:01g", "H;shoe=2", "RS"),
        (bucket.rows_key(), "b2:01g", "H;shoe=2;jane", "RS"),
        // All that is held has units.
        (bucket.rows_key(), "b2:01g", "H;;;jane", "RS"),
        (bucket.rows_key(), "b2:01g", "H;;;john", "RS"),
        (bucket.rows_key(), "b2:01g", "H;shoe;;jane", "RS"),
    ] {
        let good: String = rig.ask("HGET", &[&key, field]);
        rig.ask::<()>("HSET", &[&key, field, value]);
        let stored = bucket.snapshot(&mut rig);
        let letters = letters.split_inclusive(|_| true);
        let calls: Vec<_> = letters.map(|it| bucket.settle("01", "jane", it)).collect();
        for reply in rig.all(&calls).items {
            assert_eq!(reply[0], "error", "{field} {value}: {reply:?}");
        }
        assert_eq!(bucket.snapshot(&mut rig), stored);
        rig.ask::<()>("HSET", &[&key, field, &good]);
    }
    assert_eq!(rig.one(bucket.settle("01", "jane", "R")), ["done"]);
    bucket.books(&mut rig);
}
