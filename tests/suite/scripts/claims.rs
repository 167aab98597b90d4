//! `claim_due` and `take`, the two steps of a claim, and `renew`.

use super::{
    rig::Rig,
    transaction::{LEASE_US, REST, Transaction},
};

/// Both steps: answers the score and what `take` said.
fn claim(rig: &mut Rig, t: &Transaction, token: &str) -> (u64, Vec<String>) {
    let score = rig.one(t.claim_due(1))[1].parse().unwrap();
    (score, rig.one(t.take(score, token)))
}

#[test]
fn due_ones_are_put_off_by_a_lease_the_longest_due_first() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    let start = rig.now();
    for (gid, at) in [("b", 20), ("a", 10), ("c", start), ("later", start + 60_000_000)] {
        rig.put_due(&t.sibling(gid), at);
    }
    let (now, reply) = rig.one_at(t.claim_due(10));
    let score = (now + LEASE_US).to_string();
    let c_due = start.to_string();
    assert_eq!(reply, ["due", &score, &score, "0", "a", "10", "b", "20", "c", &c_due]);
    for gid in ["a", "b", "c"] {
        assert_eq!(rig.due(&t.sibling(gid)), Some(now + LEASE_US));
    }
    assert_eq!(rig.due(&t.sibling("later")), Some(start + 60_000_000));
    let later = (start + 60_000_000).to_string();
    rig.one(t.claim_due(10));
    rig.ask::<()>("ZREM", &[&t.due_set(), "a", "b", "c"]);
    assert_eq!(rig.one(t.claim_due(10))[2..], [later, "0".to_owned()], "when to look again");
}

#[test]
fn a_claim_takes_no_more_than_its_limit_and_says_how_many_are_left() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    for at in 1..=5 {
        rig.put_due(&t.sibling(&format!("g{at}")), at);
    }
    let reply = rig.one(t.claim_due(2));
    assert_eq!(reply[2..], ["3", "3", "g1", "1", "g2", "2"], "next, left, and the two");
    assert_eq!(rig.one(t.claim_due(3))[3], "0");
    assert_eq!(rig.one(t.claim_due(3)).len(), 4);
}

#[test]
fn an_empty_shard_has_no_next() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    assert_eq!(rig.one(t.claim_due(5))[2..], ["", "0"]);
    assert!(rig.snapshot(&t).is_empty());
}

#[test]
fn the_first_step_does_not_look_at_the_transaction() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.put_due(&t, 1);
    let (now, _) = rig.one_at(t.claim_due(1));
    assert_eq!(rig.due(&t), Some(now + LEASE_US));
}

#[test]
fn take_gives_what_is_stored_with_the_next_number() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    let (created_at, _) = rig.one_at(t.submit("r1"));
    rig.ask::<()>("HSET", &[&t.hash(), "w", "1", "o", "over", "r", "why"]);
    let score = rig.one(t.claim_due(1))[1].parse().unwrap();
    let (now, reply) = rig.one_at(t.take(score, "w1"));
    let state = format!("SMw1;2;r1;;{now};{REST}");
    assert_eq!(reply, ["taken", &created_at.to_string(), &state, "{}", "over", "why"]);
    assert_eq!((rig.token(&t).as_str(), rig.field(&t, "w")), ("w1", None));
    assert_eq!(rig.due(&t), Some(score), "the first step's");
}

#[test]
fn take_takes_from_a_holder_whose_lease_lapsed() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.seed(&t, "SM4;r1", "w1");
    rig.put_due(&t, 1);
    let (_, reply) = claim(&mut rig, &t, "w2");
    assert_eq!(reply[0], "taken");
    assert_eq!(rig.state(&t), format!("SM5;r1;{REST}"));
    assert_eq!(rig.one(t.record("w1", 5, "S")), ["refused"]);
    assert_eq!(rig.one(t.record("w1", 6, "S")), ["refused"]);
}

#[test]
fn a_repeat_of_take_answers_as_the_first_did() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.one(t.submit("r1"));
    let (score, reply) = claim(&mut rig, &t, "w1");
    let stored = rig.snapshot(&t);
    assert_eq!(rig.one(t.take(score, "w1")), reply);
    assert_eq!(rig.snapshot(&t), stored);
    rig.one(t.renew("w1", LEASE_US * 2));
    assert_eq!(rig.one(t.take(score, "w1")), reply, "though it renewed meanwhile");
}

#[test]
fn only_the_first_of_two_takes_gets_it() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.one(t.submit("r1"));
    let (score, _) = claim(&mut rig, &t, "w1");
    let stored = rig.snapshot(&t);
    assert_eq!(rig.one(t.take(score + 1, "w2")), ["refused"]);
    assert_eq!(rig.snapshot(&t), stored);
}

#[test]
fn a_take_that_comes_late_is_refused() {
    // Stuck on an old connection, while another node claimed, took and let it rest.
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.one(t.submit("r1"));
    let (score, _) = claim(&mut rig, &t, "w1");
    assert_eq!(rig.one(t.rest("w1", 3, "S", score)), ["written"]);
    assert_eq!(rig.due(&t), Some(score + 1), "never the present score");
    let stored = rig.snapshot(&t);
    assert_eq!(rig.one(t.take(score, "w1")), ["refused"], "its token does not come back");
    assert_eq!(rig.one(t.take(score, "w2")), ["refused"]);
    assert_eq!(rig.snapshot(&t), stored);
}

#[test]
fn what_has_ended_is_refused_and_what_is_not_there_stays_due() {
    let mut rig = Rig::new();
    for status in ["C", "F"] {
        let t = Transaction::new();
        rig.seed(&t, &format!("{status}M3;r1"), "w1");
        rig.put_due(&t, 7);
        let stored = rig.snapshot(&t);
        assert_eq!(rig.one(t.take(7, "w1")), ["refused"], "of the very token that ended it");
        assert_eq!(rig.one(t.take(7, "w2")), ["refused"]);
        assert_eq!(rig.snapshot(&t), stored);
    }
    let t = Transaction::new();
    rig.put_due(&t, 7);
    assert_eq!(rig.one(t.take(7, "w1")), ["missing"]);
    assert_eq!(rig.due(&t), Some(7));
}

#[test]
fn the_body_of_a_large_one_is_absent() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.stage(&t, "r1");
    rig.one(super::calls::Submit { is_large: true, ..t.submit("r1") });
    let (_, reply) = claim(&mut rig, &t, "w1");
    assert_eq!((reply[0].as_str(), reply[3].as_str()), ("taken", "nil"));
    assert!(reply[2].starts_with("Smw1;2;"), "{reply:?}");
}

#[test]
fn renew_extends_to_a_lease_from_now() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.seed(&t, "SM2;r1", "w1");
    let state = rig.field(&t, "s");
    let (now, reply) = rig.one_at(t.renew("w1", 60_000_000));
    assert_eq!(reply, ["renewed"]);
    assert_eq!((rig.due(&t), rig.field(&t, "s")), (Some(now + 60_000_000), state));
}

#[test]
fn renew_never_shortens_and_always_changes_the_score() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    let due = rig.seed(&t, "SM2;r1", "w1");
    assert_eq!(rig.one(t.renew("w1", 1)), ["renewed"]);
    assert_eq!(rig.due(&t), Some(due + 1));
}

#[test]
fn a_hold_whose_lease_lapsed_unclaimed_is_renewed() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.seed(&t, "SM2;r1", "w1");
    rig.put_due(&t, 7);
    assert_eq!(rig.one(t.renew("w1", LEASE_US)), ["renewed"]);
}

#[test]
fn a_renewal_between_the_steps_of_a_claim_wins() {
    let (mut rig, t) = (Rig::new(), Transaction::new());
    rig.seed(&t, "SM2;r1", "w1");
    rig.put_due(&t, 7);
    let score = rig.one(t.claim_due(1))[1].parse().unwrap();
    assert_eq!(rig.one(t.renew("w1", LEASE_US)), ["renewed"]);
    assert_eq!(rig.one(t.take(score, "w2")), ["refused"]);
    assert_eq!(rig.token(&t), "w1");
}

#[test]
fn renew_refuses_other_tokens_what_has_ended_and_what_is_not_due() {
    let mut rig = Rig::new();
    let [other, at_rest, ended, not_due, missing] = [(); 5].map(|()| Transaction::new());
    rig.seed(&other, "SM2;r1", "w2");
    rig.seed(&at_rest, "SM2;r1", "");
    rig.seed(&ended, "CM2;r1", "w1");
    rig.put_due(&ended, 7);
    rig.seed(&not_due, "SM2;r1", "w1");
    rig.ask::<()>("ZREM", &[&not_due.due_set(), &not_due.gid]);
    for t in [&other, &at_rest, &ended, &not_due, &missing] {
        let stored = rig.snapshot(t);
        assert_eq!(rig.one(t.renew("w1", LEASE_US)), ["refused"]);
        assert_eq!(rig.snapshot(t), stored, "no entry is made");
    }
}
