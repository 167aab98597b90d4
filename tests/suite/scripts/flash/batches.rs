//! Many items of one bucket in one call: they see each other, and one that fails leaves no trace.

use super::bucket::{Bucket, OPEN, Order};
use crate::scripts::{calls::Item, rig::Rig};

#[test]
fn a_bad_order_in_the_middle_leaves_no_trace() {
    let mut rig = Rig::new();
    for has_ended in [false, true] {
        let bucket = Bucket::open(&mut rig, OPEN, "shoe=9=1,hat=1=0");
        let order =
            |order, buyer| Order { has_ended, ..bucket.order(order, buyer, "shoe=1,hat=1") };
        rig.ask::<()>("SET", &[&bucket.transaction("a").hash(), "a string"]);
        let orders = [
            order("a", "jane"),
            // The same buyer, and the last hat: as if the first one had never been.
            order("b", "jane"),
            Order { units: "shoe=1", ..order("c", "jane") },
            Order { units: "shoe=1", ..order("d", "john") },
        ];
        let replies = rig.all(&orders.map(Item::from)).items;
        assert_eq!(replies[0][0], "error", "{replies:?}");
        assert_eq!(replies[1], ["taken", "8,0"]);
        assert_eq!(replies[2], ["limit_reached", "shoe"]);
        assert_eq!(replies[3], ["taken", "7"]);
        assert_eq!(bucket.row(&mut rig, "a"), None);
        bucket.books(&mut rig);
    }
}

#[test]
fn keys_of_another_type_fail_before_anything_is_written() {
    let mut rig = Rig::new();
    for has_ended in [false, true] {
        let kinds = [Bucket::books_key, Bucket::buyers_key, Bucket::rows_key];
        let mut keys: Vec<fn(&Bucket) -> String> = kinds.to_vec();
        keys.push(if has_ended {
            |bucket| bucket.transaction("a").ended_list()
        } else {
            |bucket| bucket.transaction("a").due_set()
        });
        for key in keys {
            let [bad, good] = [(); 2].map(|()| Bucket::open(&mut rig, OPEN, "shoe=9=0"));
            rig.ask::<()>("SET", &[&key(&bad), "a string"]);
            let stored = bad.snapshot(&mut rig);
            let order = |of, order| Order { of, has_ended, ..good.order(order, "jane", "shoe=1") };
            let orders = [order(&bad, "a"), order(&good, "a"), order(&bad, "b")];
            let replies = rig.all(&orders.map(Item::from)).items;
            assert_eq!((replies[0][0].as_str(), replies[2][0].as_str()), ("error", "error"));
            assert_eq!(replies[1], ["taken", "8"]);
            assert_eq!(bad.snapshot(&mut rig), stored);
            good.books(&mut rig);
        }
    }
}

#[test]
fn bad_books_of_a_branch_or_a_turn_fail_before_anything_is_written() {
    let mut rig = Rig::new();
    for key in [Bucket::books_key, Bucket::buyers_key, Bucket::rows_key] {
        let [bad, good] = [(); 2].map(|()| Bucket::open(&mut rig, OPEN, "shoe=9=0"));
        for bucket in [&bad, &good] {
            rig.one(Order { held: true, ..bucket.order("a", "jane", "shoe=1") });
            rig.one(bucket.hold("1", "jane", "shoe=1"));
        }
        rig.ask::<()>("SET", &[&key(&bad), "a string"]);
        let stored = bad.snapshot(&mut rig);
        let calls: [&dyn Fn(&Bucket) -> Item; 4] = [
            &|it| it.hold("2", "jane", "shoe=1"),
            &|it| it.settle("1", "jane", "R"),
            &|it| it.turn(it.transaction("a").record("a", 2, "A")),
            &|it| it.stop_order("a", "stop"),
        ];
        for call in calls {
            let replies = rig.all(&[call(&bad), call(&good), call(&bad)]).items;
            let words: Vec<_> = replies.iter().map(|reply| reply[0].as_str()).collect();
            assert_eq!((words[0], words[2]), ("error", "error"), "{replies:?}");
            assert_ne!(words[1], "error", "{replies:?}");
            assert_eq!(bad.snapshot(&mut rig), stored);
            good.books(&mut rig);
        }
    }
}

#[test]
fn books_that_cannot_be_read_are_an_error() {
    let mut rig = Rig::new();
    for (field, value) in [("_", "1;2"), ("n", "0;0"), ("i:shoe", "9;9;9"), ("i:shoe", "-1;;;;;;;")]
    {
        let bucket = Bucket::open(&mut rig, OPEN, "shoe=9=0");
        rig.ask::<()>("HSET", &[&bucket.books_key(), field, value]);
        let stored = bucket.snapshot(&mut rig);
        assert_eq!(rig.one(bucket.order("a", "jane", "shoe=1"))[0], "error", "{field}");
        assert_eq!(rig.one(bucket.hold("a", "jane", "shoe=1"))[0], "error", "{field}");
        assert_eq!(bucket.snapshot(&mut rig), stored);
    }
}

#[test]
fn many_orders_of_many_buckets_are_taken_in_one_call() {
    let mut rig = Rig::new();
    let buckets = [(); 3].map(|()| Bucket::open(&mut rig, OPEN, "shoe=30=1,hat=2=0"));
    let names: Vec<(String, String)> = (0..64)
        .map(|number| (format!("order-{number}"), format!("buyer-{}", number / 2)))
        .collect();
    let orders: Vec<Item> = names
        .iter()
        .enumerate()
        .map(|(number, (order, buyer))| {
            let bucket = &buckets[number % 3];
            let units = if number % 5 == 0 { "shoe=1,hat=1" } else { "shoe=1" };
            let has_ended = number % 2 == 0;
            Order { has_ended, ..bucket.order(order, buyer, units) }.into()
        })
        .collect();
    let first = rig.all(&orders);
    let taken = first.items.iter().filter(|reply| reply[0] == "taken").count();
    let mut n_stored = 0;
    for bucket in &buckets {
        let books = bucket.books(&mut rig);
        n_stored += usize::try_from(books["shoe"].takes).unwrap();
        assert_eq!(books["hat"].available, 0);
        let t = bucket.transaction("any");
        let n_due: usize = rig.ask("ZCARD", &[&t.due_set()]);
        assert_eq!(n_due + rig.ended(&t).len(), usize::try_from(books["shoe"].takes).unwrap());
    }
    assert_eq!(taken, n_stored);
    let second = rig.all(&orders);
    for (one, other) in first.items.iter().zip(&second.items) {
        assert_eq!(one[..2], other[..2], "a repeat is answered as the first run was");
    }
}

#[test]
fn orders_that_end_in_one_call_all_leave_the_due_set_for_the_list() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=9=0");
    let names = ["a", "b", "c", "d"];
    for name in names {
        rig.one(Order { held: true, ..bucket.order(name, "jane", "shoe=1") });
    }
    let ends: Vec<Item> = names
        .iter()
        .map(|name| {
            // Another one's hold is refused in the middle.
            let holder = if *name == "b" { "x" } else { name };
            bucket.turn(bucket.transaction(name).finish(holder, 2, "C"))
        })
        .collect();
    for _ in 0..2 {
        let words: Vec<_> =
            rig.all(&ends).items.into_iter().map(|mut reply| reply.remove(0)).collect();
        assert_eq!(words, ["written", "refused", "written", "written"]);
        let t = bucket.transaction("b");
        let due: Vec<String> = rig.ask("ZRANGE", &[&t.due_set(), "0", "-1"]);
        assert_eq!(due.concat(), t.gid);
        let mut ended = rig.ended(&t);
        ended.sort();
        assert_eq!(ended, ["a", "c", "d"].map(|name| bucket.transaction(name).gid));
        assert_eq!(bucket.shoe(&mut rig).units(), (5, 1, 3));
    }
}

#[test]
fn a_bucket_that_stands_twice_in_a_call_is_settled_once() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=9=0,hat=9=0");
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        rig.one(Order { held: true, ..bucket.order(name, "jane", "shoe=1,hat=1") });
    }
    // Some were laid out in one minute, some in the next one.
    let lists = [0, 1].map(|minute| format!("{}{minute}", bucket.transaction("a").ended_list()));
    let end = |name: &str, status: &str, list: &String| {
        let mut item = bucket.turn(bucket.transaction(name).finish(name, 2, status));
        *item.shared.last_mut().unwrap() = list.clone();
        item
    };
    let [first, next] = &lists;
    let ends = [
        end("a", "F", first),
        end("b", "C", next),
        end("c", "F", next),
        end("c", "F", first),
        end("d", "F", first),
        end("e", "F", next),
    ];
    for _ in 0..2 {
        assert_eq!(rig.all(&ends).items, [["written"]; 6]);
        let books = bucket.books(&mut rig);
        assert_eq!((books["shoe"].units(), books["hat"].units()), ((8, 0, 1), (8, 0, 1)));
        assert_eq!(bucket.buyer(&mut rig, "jane").as_deref(), Some("shoe=1,hat=1"));
        let ended = lists.each_ref().map(|list| {
            let mut gids: Vec<String> = rig.ask("LRANGE", &[list, "0", "-1"]);
            gids.sort();
            assert!(rig.ttl_ms(list) > 0, "{list}");
            gids.concat()
        });
        assert_eq!(ended, ["ad", "bce"]);
        assert_eq!(rig.ask::<u64>("ZCARD", &[&bucket.transaction("a").due_set()]), 0);
    }
}

#[test]
fn a_bad_list_of_a_bucket_that_stands_twice_fails_its_own_items_alone() {
    let mut rig = Rig::new();
    for bad in [0, 1] {
        let bucket = Bucket::open(&mut rig, OPEN, "shoe=9=0");
        let names = ["a", "b", "c", "d"];
        for name in names {
            rig.one(Order { held: true, ..bucket.order(name, "jane", "shoe=1") });
        }
        let lists =
            [0, 1].map(|minute| format!("{}{minute}", bucket.transaction("a").ended_list()));
        rig.ask::<()>("SET", &[&lists[bad], "a string"]);
        let ends: Vec<Item> = names
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let mut item = bucket.turn(bucket.transaction(name).finish(name, 2, "F"));
                *item.shared.last_mut().unwrap() = lists[at / 2].clone();
                item
            })
            .collect();
        let words: Vec<_> = rig.all(&ends).items.into_iter().map(|it| it[0].clone()).collect();
        let (failed, written) = words.split_at(2);
        let (failed, written) = if bad == 0 { (failed, written) } else { (written, failed) };
        assert_eq!(
            (failed, written),
            (
                &["error", "error"].map(String::from)[..],
                &["written", "written"].map(String::from)[..]
            )
        );
        assert_eq!(bucket.shoe(&mut rig).units(), (7, 2, 0));
        assert_eq!(bucket.buyer(&mut rig, "jane").as_deref(), Some("shoe=2"));
    }
}

#[test]
fn all_orders_of_a_buyer_are_stopped_in_one_call() {
    let mut rig = Rig::new();
    let bucket = Bucket::open(&mut rig, OPEN, "shoe=9=0,hat=9=0");
    for (name, units) in [("a", "shoe=1"), ("b", "hat=2,shoe=1"), ("c", "shoe=3")] {
        rig.one(bucket.order(name, "jane", units));
    }
    let stops = ["a", "x", "b", "a", "c"].map(|name| bucket.stop_order(name, "stop"));
    for _ in 0..2 {
        assert_eq!(rig.all(&stops).items, [["done"], ["missing"], ["done"], ["done"], ["done"]]);
        let books = bucket.books(&mut rig);
        assert_eq!((books["shoe"].units(), books["hat"].units()), ((9, 0, 0), (9, 0, 0)));
        assert_eq!(bucket.buyer(&mut rig, "jane"), None);
    }
}

#[test]
fn what_is_sold_and_what_is_given_back_in_one_call_stay_apart() {
    let mut rig = Rig::new();
    let [one, other] = [(); 2].map(|()| Bucket::open(&mut rig, OPEN, "shoe=9=0"));
    for bucket in [&one, &other] {
        for branch in ["1", "2", "3"] {
            rig.one(bucket.hold(branch, "jane", "shoe=1"));
        }
    }
    let ends = [
        one.settle("1", "jane", "S"),
        one.settle("2", "jane", "R"),
        // Nothing is given back there, so nobody's units are read.
        other.settle("1", "jane", "S"),
        other.settle("4", "jane", "R"),
        one.settle("3", "jane", "R"),
        one.settle("2", "jane", "S"),
    ];
    let words = [["done"], ["done"], ["done"], ["done"], ["done"], ["otherwise"]];
    assert_eq!(rig.all(&ends).items, words);
    assert_eq!(one.shoe(&mut rig).units(), (8, 0, 1));
    assert_eq!(one.buyer(&mut rig, "jane").as_deref(), Some("shoe=1"));
    assert_eq!(other.shoe(&mut rig).units(), (6, 2, 1));
    assert_eq!(other.buyer(&mut rig, "jane").as_deref(), Some("shoe=3"));
}
