//! Who takes units that had come back is put to a list, so that whoever knew all owners when nothing
//! was left can learn of the new ones.

use super::bucket::{Bucket, OPEN};
use crate::scripts::{calls::Item, rig::Rig};

/// How many late takers a bucket keeps.
const LATE_MAX: usize = 4_096;

/// A bucket of a hat and of shoes, of which there was none left until three came from elsewhere.
fn came_back(rig: &mut Rig) -> Bucket {
    let bucket = Bucket::open(rig, OPEN, "shoe=1=0,hat=2=0");
    assert_eq!(rig.one(bucket.hold("early", "jane", "shoe=1")), ["held"]);
    assert_eq!(rig.one(bucket.receive("t", "shoe", 3)), ["done"]);
    bucket
}

/// The late takers behind the first `late_takes`.
fn takers(rig: &mut Rig, bucket: &Bucket, late_takes: &str) -> Vec<String> {
    let reply = rig.one(bucket.look_behind(late_takes));
    let count: usize = reply[1].parse().unwrap();
    reply[2..2 + count].to_vec()
}

#[test]
fn each_late_take_is_told_and_no_other() {
    let mut rig = Rig::new();
    let bucket = came_back(&mut rig);
    let items = [
        Item::from(bucket.order("a", "john", "shoe=1")),
        bucket.order("b", "jack", "hat=1").into(),
        bucket.order("c", "jill", "hat=1,shoe=1").into(),
        bucket.order("c", "jill", "hat=1,shoe=1").into(),
        bucket.order("d", "joan", "shoe=9").into(),
    ];
    for item in items {
        rig.one(item);
    }
    assert_eq!(rig.one(bucket.hold("1", "jean", "shoe=1")), ["held"]);
    assert_eq!(takers(&mut rig, &bucket, "0"), ["john", "jill", "jean"]);
    assert_eq!(takers(&mut rig, &bucket, "2"), ["jean"]);
    assert_eq!(takers(&mut rig, &bucket, "3"), [""; 0]);
    assert_eq!(takers(&mut rig, &bucket, "4"), [""; 0], "more than there are");
    assert_eq!(takers(&mut rig, &bucket, ""), [""; 0], "not asked for");
    bucket.books(&mut rig);
}

#[test]
fn of_very_many_the_last_ones_are_kept() {
    let mut rig = Rig::new();
    let bucket = came_back(&mut rig);
    let earlier = vec!["joan"; LATE_MAX];
    let () = rig.ask("RPUSH", &[&[bucket.late_key().as_str()], &earlier[..]].concat());
    let () = rig.ask("HSET", &[&bucket.books_key(), "l", &LATE_MAX.to_string()]);
    assert_eq!(rig.one(bucket.hold("1", "jean", "shoe=1")), ["held"]);
    let all = takers(&mut rig, &bucket, "0");
    assert_eq!((all.len(), all.last().unwrap().as_str()), (LATE_MAX, "jean"));
    let count: usize = rig.ask("HGET", &[&bucket.books_key(), "l"]);
    assert_eq!(count, LATE_MAX + 1, "so one is missing");
}

#[test]
fn a_list_of_another_type_is_an_error_before_anything_is_written() {
    let mut rig = Rig::new();
    let bucket = came_back(&mut rig);
    let () = rig.ask("SET", &[&bucket.late_key(), "x"]);
    let stored = bucket.snapshot(&mut rig);
    let orders = ["a", "b"].map(|order| bucket.order(order, "john", "shoe=1").into());
    let holds = ["1", "2"].map(|branch| bucket.hold(branch, "jean", "shoe=1"));
    for items in [orders, holds] {
        for reply in rig.all(&items).items {
            assert_eq!(reply[0], "error");
            assert!(reply[1].contains("WRONGTYPE"), "{reply:?}");
        }
    }
    assert_eq!(bucket.snapshot(&mut rig), stored);
}
