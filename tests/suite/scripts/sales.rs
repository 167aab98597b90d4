//! `change_sale`; `find_entry` and `list_entries` of sales.

use super::{rig::Rig, transaction::Transaction};

/// What a node that read the sale says that it found.
fn found(rig: &mut Rig, t: &Transaction) -> String {
    let stored: String = rig.ask("HGET", &[&t.entries(), &t.gid]);
    let parts: Vec<&str> = stored.splitn(3, ';').collect();
    format!("{};{};", parts[0], parts[1])
}

#[test]
fn a_sale_is_made_and_changed() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    assert_eq!(rig.one(t.find_entry()), ["missing"]);
    let (made_at, reply) = rig.one_at(t.change_sale("r1", "", "{1}"));
    assert_eq!(reply, ["done", "1"]);
    assert_eq!(rig.one(t.find_entry()), ["found", &format!("1;{made_at};{made_at};{{1}}")]);

    let (changed_at, reply) =
        rig.one_at(t.change_sale("r2", &format!("1;{made_at};"), "{\"a\":\";2;\"}"));
    assert_eq!(reply, ["done", "2"]);
    let stored = format!("2;{made_at};{changed_at};{{\"a\":\";2;\"}}");
    assert_eq!(rig.one(t.find_entry()), ["found", &stored]);
}

#[test]
fn whoever_found_it_otherwise_changes_nothing() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    assert_eq!(rig.one(t.change_sale("r1", "1;7;", "{1}")), ["changed"]);
    assert!(rig.snapshot(&t).is_empty());
    rig.one(t.change_sale("r2", "", "{2}"));
    let first = found(&mut rig, &t);
    let before = rig.snapshot(&t);
    for other in ["", "1;7;", "2;7;", "0;0;"] {
        assert_eq!(rig.one(t.change_sale("r3", other, "{3}")), ["changed"]);
    }
    assert_eq!(rig.snapshot(&t), before);
    assert_eq!(rig.one(t.change_sale("r4", &first, "{4}")), ["done", "2"]);
    assert_eq!(rig.one(t.change_sale("r5", &first, "{5}")), ["changed"]);
}

#[test]
fn a_request_takes_effect_once_for_ever() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.one(t.change_sale("r1", "", "{1}"));
    let first = found(&mut rig, &t);
    rig.one(t.change_sale("r2", &first, "{2}"));
    let second = found(&mut rig, &t);
    let before = rig.snapshot(&t);
    for (request, digest) in [("r1", "{1}"), ("r2", "{2}")] {
        for head in ["", &first, &second] {
            let reply = rig.one(t.change_sale(request, head, "{another}"));
            assert_eq!(reply, ["repeated", digest], "{request} {head}");
        }
    }
    assert_eq!(rig.snapshot(&t), before);
    assert_eq!(rig.ttl_ms(&t.key("requests")), -1);
}

#[test]
fn two_that_found_the_same_do_not_both_write_though_in_one_call() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    let items = ["r1", "r2", "r1"].map(|request| t.change_sale(request, "", request));
    assert_eq!(rig.all(&items).items, [vec!["done", "1"], vec!["changed"], vec!["repeated", "r1"]]);
}

#[test]
fn sales_are_listed_by_their_ids_from_behind_one_on() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    for id in ["b", "a", "a.b", "Z"] {
        let sibling = t.sibling(id);
        rig.ask::<()>("DEL", &[&t.key("requests")]);
        assert_eq!(rig.one(sibling.change_sale("r", "", id)), ["done", "1"]);
    }
    let mut ids = |from: &str, limit| {
        let reply = rig.one(t.list_entries(from, limit));
        assert_eq!(reply[0], "entries");
        reply[1..].chunks(2).map(|pair| pair[0].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids("-", 9), ["Z", "a", "a.b", "b"]);
    assert_eq!(ids("-", 2), ["Z", "a"]);
    assert_eq!(ids("(a", 2), ["a.b", "b"]);
    assert_eq!(ids("(b", 2), [""; 0]);
}

#[test]
fn what_is_no_registry_is_not_written_over() {
    for damage in ["all", "names", "requests"] {
        let (mut rig, t) = (Rig::new(), Transaction::new());
        rig.ask::<()>("SET", &[&t.key(damage), "a string"]);
        let before = rig.snapshot(&t);
        let reply = rig.one(t.change_sale("r1", "", "{}"));
        assert_eq!(reply[0], "error", "{damage}: {reply:?}");
        assert_eq!(rig.snapshot(&t), before, "{damage}");
    }
}
