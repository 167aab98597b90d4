//! `change_topic`; `find_entry` and `list_entries` of topics.

use super::{rig::Rig, transaction::Transaction};

/// A topic as it is stored, without its times: `<version>;<list>`.
fn stored(rig: &mut Rig, t: &Transaction) -> Option<String> {
    let stored: Option<String> = rig.ask("HGET", &[&t.entries(), &t.gid]);
    stored.map(|stored| {
        let parts: Vec<&str> = stored.splitn(4, ';').collect();
        format!("{};{}", parts[0], parts[3])
    })
}

/// What a node that read the topic says that it found.
fn found(rig: &mut Rig, t: &Transaction) -> String {
    let stored: String = rig.ask("HGET", &[&t.entries(), &t.gid]);
    let parts: Vec<&str> = stored.splitn(3, ';').collect();
    format!("{};{};", parts[0], parts[1])
}

#[test]
fn a_topic_is_made_changed_and_removed() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    assert_eq!(rig.one(t.find_entry()), ["missing"]);
    let (made_at, reply) = rig.one_at(t.change_topic("r1", "", "[1]"));
    assert_eq!(reply, ["done"]);
    assert_eq!(rig.one(t.find_entry()), ["found", &format!("1;{made_at};{made_at};[1]")]);

    let head = format!("1;{made_at};");
    let (changed_at, reply) = rig.one_at(t.change_topic("r2", &head, "[1;2]"));
    assert_eq!(reply, ["done"]);
    assert_eq!(rig.one(t.find_entry()), ["found", &format!("2;{made_at};{changed_at};[1;2]")]);

    assert_eq!(rig.one(t.change_topic("r3", &format!("2;{made_at};"), "")), ["done"]);
    assert_eq!(rig.one(t.find_entry()), ["missing"]);
    assert_eq!(rig.one(t.list_entries("-", 9)), ["entries"]);
    for key in [t.entries(), t.entry_names()] {
        assert_eq!(rig.ask::<u64>("EXISTS", &[&key]), 0, "{key}");
    }
}

#[test]
fn whoever_found_it_otherwise_changes_nothing() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    assert_eq!(rig.one(t.change_topic("r1", "1;7;", "[1]")), ["changed"]);
    rig.one(t.change_topic("r2", "", "[1]"));
    let first = found(&mut rig, &t);
    assert_eq!(rig.one(t.change_topic("r3", "", "[3]")), ["changed"]);
    assert_eq!(rig.one(t.change_topic("r4", &first, "[4]")), ["done"]);
    for list in ["[5]", ""] {
        assert_eq!(rig.one(t.change_topic("r5", &first, list)), ["changed"]);
    }
    assert_eq!(stored(&mut rig, &t).as_deref(), Some("2;[4]"));
    // Of another topic of the same name the version alone would not tell.
    let last = found(&mut rig, &t);
    rig.one(t.change_topic("r6", &last, ""));
    rig.one(t.change_topic("r7", "", "[7]"));
    assert_eq!(rig.one(t.change_topic("r8", &first, "[8]")), ["changed"]);
    assert_eq!(stored(&mut rig, &t).as_deref(), Some("1;[7]"));
}

#[test]
fn a_repeat_is_answered_as_the_first_one_whatever_came_between() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.one(t.change_topic("r1", "", "[1]"));
    let first = found(&mut rig, &t);
    rig.one(t.change_topic("r2", &first, "[2]"));
    let second = found(&mut rig, &t);
    assert_eq!(rig.one(t.change_topic("r1", "", "[1]")), ["done"]);
    assert_eq!(stored(&mut rig, &t).as_deref(), Some("2;[2]"));
    rig.one(t.change_topic("r3", &second, ""));
    assert_eq!(rig.one(t.change_topic("r3", &second, "")), ["done"]);
    assert_eq!(rig.one(t.change_topic("r2", &first, "[2]")), ["done"]);
    assert_eq!(stored(&mut rig, &t), None);
    let kept_ms = rig.ttl_ms(&t.key("r:r3"));
    assert!((50_000..=60_000).contains(&kept_ms), "{kept_ms}");
}

#[test]
fn two_that_found_the_same_do_not_both_write_though_in_one_call() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    let items = ["r1", "r2"].map(|request| t.change_topic(request, "", request));
    assert_eq!(rig.all(&items).items, [["done"], ["changed"]]);
    assert_eq!(stored(&mut rig, &t).as_deref(), Some("1;r1"));
}

#[test]
fn topics_are_listed_by_their_names_from_behind_one_on() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    for name in ["b", "a", "(", "b c", "é"] {
        rig.one(t.sibling(name).change_topic(&format!("r{name}"), "", name));
    }
    let mut names = |from: &str, limit| {
        let reply = rig.one(t.list_entries(from, limit));
        assert_eq!(reply[0], "entries");
        let pairs = reply[1..].chunks(2);
        pairs
            .map(|pair| {
                assert!(pair[1].ends_with(&format!(";{}", pair[0])), "{pair:?}");
                pair[0].clone()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(names("-", 9), ["(", "a", "b", "b c", "é"]);
    assert_eq!(names("-", 2), ["(", "a"]);
    assert_eq!(names("(a", 2), ["b", "b c"]);
    assert_eq!(names("((", 1), ["a"]);
    assert_eq!(names("(é", 2), [""; 0]);
}

#[test]
fn what_is_no_topic_is_not_written_over() {
    for damage in ["all", "names"] {
        let (mut rig, t) = (Rig::new(), Transaction::new());
        rig.ask::<()>("SET", &[&t.key(damage), "a string"]);
        let before = rig.snapshot(&t);
        let reply = rig.one(t.change_topic("r1", "", "[]"));
        assert_eq!(reply[0], "error", "{damage}: {reply:?}");
        assert_eq!(rig.snapshot(&t), before, "{damage}");
    }
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.ask::<()>("HSET", &[&t.entries(), &t.gid, "garbage"]);
    assert_eq!(rig.one(t.change_topic("r1", "", "[]")), ["changed"]);
}
