//! `define` and `look`, and units that go from bucket to bucket.

use super::bucket::{Books, Bucket, OPEN, REOPENS_AFTER_US};
use crate::scripts::rig::Rig;

#[test]
fn a_first_definition_opens_the_books() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, "0;5;7;3;2", "shoe=9=2,hat=0=0");
    let head: String = rig.ask("HGET", &[&bucket.books_key(), "_"]);
    assert_eq!(head, "1;0;5;7;3;2");
    let books = bucket.books(&mut rig);
    let shoe = Books { share: 9, supply: 9, available: 9, limit: 2, ..Books::default() };
    assert_eq!((books["shoe"], books["hat"]), (shoe, Books::default()));
}

#[test]
fn only_a_newer_definition_is_taken_over_and_once() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=9=0");
    rig.one(bucket.hold("1", "jane", "shoe=2"));
    for _ in 0..2 {
        assert_eq!(rig.one(bucket.define(10, "0;;;5;0", "shoe=12=1,hat=1=0")), ["done"]);
        let books = bucket.books(&mut rig);
        assert_eq!((books["shoe"].share, books["shoe"].units()), (12, (10, 2, 0)));
        assert_eq!((books["shoe"].limit, books["hat"].available), (1, 1));
    }
    let stored = bucket.snapshot(&mut rig);
    for version in [1, 9, 10] {
        let reply = rig.one(bucket.define(version, "1;;;1;1", "shoe=99=0"));
        assert_eq!(reply, ["done"]);
    }
    assert_eq!(bucket.snapshot(&mut rig), stored);
}

#[test]
fn a_share_that_would_fall_is_an_error() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=9=0,hat=3=0");
    let stored = bucket.snapshot(&mut rig);
    let reply = rig.one(bucket.define(2, OPEN, "shoe=10=0,hat=2=0"));
    assert_eq!(reply[0], "error");
    assert_eq!(bucket.snapshot(&mut rig), stored);
}

#[test]
fn restocking_what_is_sold_out_reopens_it_after_a_while() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=1=0,hat=1=0");
    assert_eq!(bucket.shoe(&mut rig).reopens, 0, "at first it is open at once");
    rig.one(bucket.hold("1", "jane", "shoe=1"));
    let (now, _) = rig.one_at(bucket.define(2, OPEN, "shoe=3=0,hat=2=0"));
    let books = bucket.books(&mut rig);
    assert_eq!((books["shoe"].available, books["shoe"].reopens), (2, now + REOPENS_AFTER_US));
    assert_eq!((books["hat"].available, books["hat"].reopens), (2, 0), "some were left");
    assert_eq!(rig.one(bucket.order("a", "john", "hat=2"))[0], "taken");
}

#[test]
fn large_numbers_stay_exact() {
    let mut rig = Rig::new();
    let most = (1_u64 << 53) - 1;
    let items = format!("shoe={most}={most}");
    let bucket = Bucket::open(&mut rig, OPEN, &items);
    let units = format!("shoe={}", most - 1);
    let reply = rig.one(bucket.order("a", "jane", &units));
    assert_eq!(reply, ["taken", "1"]);
    assert_eq!(bucket.shoe(&mut rig).units(), (1, most - 1, 0));
    assert_eq!(rig.one(bucket.order("b", "jane", "shoe=2")), ["limit_reached", "shoe"]);
    assert_eq!(rig.one(bucket.order("b", "john", "shoe=2")), ["sold_out", "shoe"]);
    assert_eq!(rig.one(bucket.order("b", "john", "shoe=1")), ["taken", "0"]);
    assert_eq!(rig.one(bucket.stop_order("a", "stop")), ["done"]);
    assert_eq!(bucket.shoe(&mut rig).units(), (most - 1, 1, 0));
}

#[test]
fn a_look_tells_all_books() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=9=0,hat=3=0");
    let mut reply = rig.one(bucket.look());
    assert_eq!(reply.remove(0), "books");
    assert_eq!(reply.remove(0), "0", "no late takers follow");
    let mut pairs: Vec<_> = reply.chunks(2).map(<[String]>::to_vec).collect();
    pairs.sort();
    assert_eq!(pairs[0], ["_", "1;0;;;0;0"]);
    assert_eq!(pairs[1], ["i:hat", "3;3;3;0;0;0;0;0"]);
    assert_eq!(pairs[2], ["i:shoe", "9;9;9;0;0;0;0;0"]);
    assert_eq!(pairs[3], ["n", "0;0;0"]);
    assert_eq!(rig.one(Bucket::new().look()), ["missing"]);
}

#[test]
fn units_are_given_once_and_stay_under_way_until_acknowledged() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=9=0");
    rig.one(bucket.hold("1", "jane", "shoe=2"));
    for _ in 0..2 {
        assert_eq!(rig.one(bucket.give("t1", "shoe", 3)), ["given", "3"]);
        let books = bucket.shoe(&mut rig);
        assert_eq!((books.share, books.supply, books.units()), (9, 6, (4, 2, 0)));
    }
    let under_way: String = rig.ask("HGET", &[&bucket.transfers_key(), "t1"]);
    assert_eq!(under_way, "7;shoe=3");
    assert_eq!(rig.one(bucket.give("t2", "shoe", 30)), ["given", "4"], "what there is");
    assert_eq!(rig.one(bucket.give("t3", "shoe", 1)), ["given", "0"]);
    assert_eq!(rig.one(bucket.give("t3", "tie", 1)), ["unknown_item"]);
    assert_eq!(rig.one(Bucket::new().give("t3", "shoe", 1)), ["unknown_sale"]);
    bucket.books(&mut rig);
    for _ in 0..2 {
        assert_eq!(rig.one(bucket.acknowledge("t1")), ["done"]);
        bucket.books(&mut rig);
    }
    let stored = bucket.snapshot(&mut rig);
    assert_eq!(rig.one(bucket.give("t1", "shoe", 3)), ["given", "3"], "a late copy");
    assert_eq!(rig.one(bucket.acknowledge("t9")), ["done"]);
    assert_eq!(bucket.snapshot(&mut rig), stored);
}

#[test]
fn units_are_received_once_and_are_for_sale_at_once() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=1=0");
    rig.one(bucket.hold("1", "jane", "shoe=1"));
    for _ in 0..2 {
        assert_eq!(rig.one(bucket.receive("t1", "shoe", 3)), ["done"]);
        let books = bucket.shoe(&mut rig);
        assert_eq!((books.share, books.supply, books.units()), (1, 4, (3, 1, 0)));
    }
    assert_eq!(rig.one(bucket.hold("2", "john", "shoe=3")), ["held"]);
    assert_eq!(rig.one(bucket.receive("t2", "tie", 3)), ["unknown_item"]);
    assert_eq!(rig.one(Bucket::new().receive("t2", "shoe", 3)), ["unknown_sale"]);
    bucket.books(&mut rig);
}

#[test]
fn a_definition_adds_what_the_share_rose_by_whatever_was_given() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=9=0");
    rig.one(bucket.give("t1", "shoe", 9));
    rig.one(bucket.define(2, OPEN, "shoe=10=0"));
    let books = bucket.shoe(&mut rig);
    assert_eq!((books.share, books.supply, books.available), (10, 1, 1));
}
