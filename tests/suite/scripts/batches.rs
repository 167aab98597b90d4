//! Many items in one call: each is done as if it were alone, whatever the others are.

use tandem::store::scripts::ScriptName;

use super::{
    calls::{Item, Submit},
    flash,
    rig::Rig,
    transaction::Transaction,
};

/// Makes `t` such that `script` does its work on it, and answers the call and the word that it says.
pub(crate) fn scene(rig: &mut Rig, script: ScriptName, t: &Transaction) -> (Item, &'static str) {
    use ScriptName as S;
    match script {
        S::Prepare => (t.prepare("r1").into(), "created"),
        S::Submit => (t.submit("r1").into(), "created"),
        S::Promote => {
            rig.seed(t, "PM1;p1", "");
            (t.submit("r1").by_promote().into(), "not_held")
        }
        S::Register => {
            rig.seed(t, "PX1;p1", "w1");
            (t.register("b1", "x0:"), "done")
        }
        S::EndWorkflow => {
            rig.seed(t, "PW1;p1", "w1");
            (t.end_workflow("r1", "C"), "ended")
        }
        S::Abort => {
            rig.seed(t, "PM1;p1", "w1");
            (t.abort("r1", "why"), "done")
        }
        S::ForceStop => {
            rig.seed(t, "SM2;r0", "w1");
            (t.force_stop("r1", "why"), "done")
        }
        S::Reset => {
            rig.seed(t, "SM2;r0", "");
            (t.reset(), "done")
        }
        S::ResetLater => {
            rig.seed(t, "SM2;r0", "");
            (t.reset_later(0), "done")
        }
        S::ListLater => {
            rig.seed(t, "SM2;r0", "");
            (t.list_later(0, 0, 9), "later")
        }
        S::Query => {
            rig.seed(t, "SM2;r0", "");
            (t.query(), "found")
        }
        S::ClaimDue => {
            rig.put_due(t, 7);
            (t.claim_due(9), "due")
        }
        S::Take => {
            let due = rig.seed(t, "SM2;r0", "");
            (t.take(due, "w1"), "taken")
        }
        S::Renew => {
            rig.seed(t, "SM2;r0", "w1");
            (t.renew("w1", 9_000_000), "renewed")
        }
        S::Record => {
            rig.seed(t, "SM2;r0", "w1");
            (t.record("w1", 3, "A").into(), "written")
        }
        S::Rest => {
            rig.seed(t, "SM2;r0", "w1");
            (t.rest("w1", 3, "S", 7).into(), "written")
        }
        S::FindEntry => {
            rig.one(t.change_topic("r0", "", "[]"));
            (t.find_entry(), "found")
        }
        S::ListEntries => {
            rig.one(t.change_topic("r0", "", "[]"));
            (t.list_entries("-", 9), "entries")
        }
        S::ChangeTopic => (t.change_topic("r1", "", "[]"), "done"),
        S::ChangeSale => (t.change_sale("r1", "", "{}"), "done"),
        S::Finish => {
            rig.seed(t, "SM2;r0", "w1");
            (t.finish("w1", 3, "C").into(), "written")
        }
        S::Define
        | S::Order
        | S::Hold
        | S::Settle
        | S::Turn
        | S::StopOrder
        | S::Look
        | S::Give
        | S::Receive
        | S::Acknowledge => flash::scene(rig, script, t),
    }
}

/// Whether it knows no transactions, but topics, or sales and their buckets.
fn is_of_others(script: ScriptName) -> bool {
    use ScriptName as S;
    let reads_registry = matches!(script, S::FindEntry | S::ListEntries);
    let changes_registry = matches!(script, S::ChangeTopic | S::ChangeSale);
    let is_of_bucket = matches!(script, S::Define | S::Hold | S::Settle | S::Look);
    reads_registry
        || changes_registry
        || is_of_bucket
        || matches!(script, S::Give | S::Receive | S::Acknowledge)
}

/// Calls `script` for three transactions, of which the second one is damaged by `damage`.
fn check_damage(script: ScriptName, fault: &str, damage: impl Fn(&mut Rig, &Transaction)) {
    let mut rig = Rig::new();
    let transactions = [(); 3].map(|()| Transaction::new());
    let mut items = Vec::new();
    let mut good = "";
    for t in &transactions {
        let (item, word) = scene(&mut rig, script, t);
        items.push(item);
        good = word;
    }
    let before = transactions.clone().map(|t| rig.snapshot(&t));
    damage(&mut rig, &transactions[1]);
    let damaged = rig.snapshot(&transactions[1]);

    let replies = rig.all(&items).items;
    assert_eq!(replies.len(), 3);
    assert_eq!((replies[0][0].as_str(), replies[2][0].as_str()), (good, good), "{script:?}");
    assert_eq!(replies[1][0], "error", "{script:?} with {fault}: {replies:?}");
    assert!(replies[1][1].contains(fault), "{script:?}: {:?}", replies[1]);
    assert_eq!(rig.snapshot(&transactions[1]), damaged, "{script:?} with {fault} wrote");
    if !matches!(script, ScriptName::ListLater | ScriptName::Query) {
        assert_ne!(rig.snapshot(&transactions[0]), before[0], "{script:?}");
        assert_ne!(rig.snapshot(&transactions[2]), before[2], "{script:?}");
    }
}

#[test]
fn the_first_the_last_and_neighbours_may_fail() {
    let mut rig = Rig::new();
    for failing in [&[0][..], &[3], &[0, 1], &[1, 2], &[2, 3], &[0, 3], &[0, 1, 2, 3]] {
        let transactions = [(); 4].map(|()| Transaction::new());
        let items = transactions.clone().map(|t| scene(&mut rig, ScriptName::Record, &t).0);
        for number in failing {
            make_a_string(&mut rig, &transactions[*number].hash());
        }
        let replies = rig.all(&items).items;
        assert_eq!(replies.len(), 4, "{failing:?}");
        for (number, reply) in replies.iter().enumerate() {
            let expected = if failing.contains(&number) { "error" } else { "written" };
            assert_eq!(reply[0], expected, "{failing:?}: {replies:?}");
        }
    }
}

fn make_a_string(rig: &mut Rig, key: &str) {
    rig.ask::<()>("SET", &[key, "a string"]);
}

#[test]
fn a_state_that_cannot_be_read_harms_no_other() {
    use ScriptName as S;
    for script in S::ALL {
        // They look at no state, or leave it to the node. A new order's row would be there.
        let looks_at_none = matches!(script, S::ClaimDue | S::ListLater | S::Query | S::Order);
        if looks_at_none || is_of_others(script) {
            continue;
        }
        check_damage(script, "packed state", |rig, t| {
            rig.ask::<()>("HSET", &[&t.hash(), "s", "garbage"]);
        });
    }
}

#[test]
fn a_transaction_of_another_type_harms_no_other() {
    for script in ScriptName::ALL {
        let is_of_shard = matches!(script, ScriptName::ClaimDue | ScriptName::ListLater);
        if !is_of_shard && !is_of_others(script) {
            check_damage(script, "WRONGTYPE", |rig, t| make_a_string(rig, &t.hash()));
        }
    }
}

#[test]
fn a_due_set_of_another_type_harms_no_other_and_leaves_no_half() {
    for script in ScriptName::ALL {
        let is_of_hash = matches!(script, ScriptName::Record | ScriptName::Register);
        if !is_of_hash && !is_of_others(script) {
            check_damage(script, "WRONGTYPE", |rig, t| make_a_string(rig, &t.due_set()));
        }
    }
}

#[test]
fn a_list_of_another_type_harms_no_other_and_leaves_no_half() {
    use ScriptName as S;
    for script in [S::Abort, S::EndWorkflow, S::ForceStop, S::Finish, S::Turn, S::StopOrder] {
        check_damage(script, "WRONGTYPE", |rig, t| make_a_string(rig, &t.ended_list()));
    }
    let (mut rig, t) = (Rig::new(), Transaction::new());
    make_a_string(&mut rig, &t.ended_list());
    let stored = rig.snapshot(&t);
    assert_eq!(rig.one(Submit { status: "C", ..t.submit("r1") })[0], "error");
    assert_eq!(rig.snapshot(&t), stored);
}

#[test]
fn a_delivery_that_comes_twice_changes_nothing_more() {
    use ScriptName as S;
    for script in S::ALL {
        // A second reset or renewal counts from its own moment.
        if matches!(script, S::Reset | S::Renew) {
            continue;
        }
        let (mut rig, t) = (Rig::new(), Transaction::new());
        let (item, word) = scene(&mut rig, script, &t);
        assert_eq!(rig.one(item.clone())[0], word, "{script:?}");
        let stored = rig.snapshot(&t);
        let second = if script == S::Rest {
            "refused"
        } else if script == S::ResetLater {
            "passed"
        } else if script == S::ChangeSale {
            "repeated"
        } else {
            word
        };
        assert_eq!(rig.one(item)[0], second, "{script:?}");
        assert_eq!(rig.snapshot(&t), stored, "{script:?}");
    }
}

#[test]
fn the_same_item_twice_in_one_call_is_a_repeat() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    let item: Item = Submit { held: true, ..t.submit("r1") }.into();
    let replies = rig.all(&[item.clone(), item]).items;
    assert_eq!((replies[0][0].as_str(), replies[1][0].as_str()), ("created_held", "created_held"));
    assert_eq!(rig.ask::<u64>("ZCARD", &[&t.due_set()]), 1);
}

#[test]
fn items_of_one_call_are_done_in_their_order() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    let [first, second]: [Item; 2] = [t.submit("r1").into(), t.submit("r2").into()];
    let replies = rig.all(&[first, second]).items;
    assert_eq!((replies[0][0].as_str(), replies[1][0].as_str()), ("created", "not_held"));
    assert!(rig.state(&t).starts_with("SM1;r1;"));
}

#[test]
fn large_and_small_ended_and_open_ones_go_together() {
    let mut rig = Rig::new();
    let [a, b, c, d] = [(); 4].map(|()| Transaction::new());
    rig.stage(&a, "r1");
    rig.stage(&d, "r1");
    let replies = rig.all(&[
        Submit { is_large: true, ..a.submit("r1") }.into(),
        b.submit("r1").into(),
        Submit { status: "F", ..c.submit("r1") }.into(),
        Submit { is_large: true, status: "C", ..d.submit("r1") }.into(),
    ]);
    assert!(replies.items.iter().all(|words| words[0] == "created"), "{replies:?}");
    for (t, body, ended) in [(&a, -1, 0), (&b, -2, 0), (&c, -2, 1), (&d, 1, 1)] {
        assert_eq!(rig.ttl_ms(&t.body()).min(1), body);
        assert_eq!(rig.ended(t).len(), ended);
        assert_eq!(rig.due(t).is_some(), ended == 0);
    }
}
