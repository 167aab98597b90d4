//! Schedules that a store without one of its rules would answer wrongly; found by checking a model
//! of the rules exhaustively.

use std::{sync::Arc, time::Duration};

use tandem::{
    model::{Gid, Mode, Status, Timestamp, Token, Tokens},
    store::{Aborted, Changed, Claimed, Durability, Recorded, Store, Submitted, TakeReply, Taken},
};

use crate::support::{
    model_store::ModelStore,
    samples::{LEASE, abort, next_record, prepare, spec, submit},
    time::ManualTime,
};

/// Starts of two nodes, and one to speak of.
struct Scene {
    store: ModelStore,
    here: Tokens,
    there: Tokens,
    gid: Gid,
}

impl Scene {
    fn new() -> Self {
        let time = ManualTime::starting_at(Timestamp::from_us(1_800_000_000_000_000));
        Self {
            store: ModelStore::new(Arc::new(time), 1),
            here: Tokens::new("here"),
            there: Tokens::new("there"),
            gid: Gid::new("g").unwrap(),
        }
    }

    /// Makes it due, then takes it by `token`.
    async fn claim(&self, token: &Token) -> Box<Taken> {
        assert_eq!(self.store.reset(&self.gid).await, Ok(Changed::Done));
        let claimed = self.store.claim_due(0, LEASE, 10).await.unwrap();
        let Claimed { score, .. } = claimed.due.first().unwrap();
        match self.store.take(&self.gid, *score, token).await.unwrap() {
            TakeReply::Taken(taken) => taken,
            TakeReply::Refused | TakeReply::Missing => panic!("not taken"),
        }
    }

    async fn status(&self) -> Status {
        self.store.query(&self.gid).await.unwrap().unwrap().global.state.status
    }
}

#[tokio::test(start_paused = true)]
async fn a_submit_that_was_finished_meanwhile_knows_its_own_repeat() {
    let scene = Scene::new();
    let message = spec("g", Mode::Message, 1);
    scene.store.prepare(prepare(message.clone(), scene.here.next())).await.unwrap();
    let request = submit(message.clone(), scene.here.next(), false);
    assert_eq!(scene.store.submit(request.clone()).await, Ok(Submitted::NotHeld));

    let other = scene.there.next();
    let taken = scene.claim(&other).await;
    let end = next_record(&taken, &other, Status::Succeed);
    assert_eq!(scene.store.finish(&end).await, Ok(Recorded::Written));

    assert_eq!(scene.store.submit(request.clone()).await, Ok(Submitted::NotHeld));
    assert_eq!(scene.store.promote(request).await, Ok(Submitted::NotHeld));
    let clients_own = submit(message, scene.here.next(), false);
    assert_eq!(scene.store.submit(clients_own).await, Ok(Submitted::Conflict(Status::Succeed)));
}

#[tokio::test(start_paused = true)]
async fn the_first_submit_after_a_query_prepared_said_yes_is_stored() {
    let scene = Scene::new();
    let message = spec("g", Mode::Message, 1);
    scene.store.prepare(prepare(message.clone(), scene.here.next())).await.unwrap();
    let holder = scene.there.next();
    let mut taken = scene.claim(&holder).await;
    let mut promotion = next_record(&taken, &holder, Status::Submitted);
    promotion.promoted = true;
    assert_eq!(scene.store.record(&promotion).await, Ok(Recorded::Written));
    taken.n = promotion.n;
    let end = next_record(&taken, &holder, Status::Succeed);
    assert_eq!(scene.store.finish(&end).await, Ok(Recorded::Written));

    let first = submit(message.clone(), scene.here.next(), true);
    assert_eq!(scene.store.submit(first.clone()).await, Ok(Submitted::NotHeld));
    assert_eq!(scene.store.submit(first).await, Ok(Submitted::NotHeld));
    let second = submit(message, scene.here.next(), true);
    assert_eq!(scene.store.submit(second).await, Ok(Submitted::Conflict(Status::Succeed)));
}

#[tokio::test(start_paused = true)]
async fn a_late_copy_of_a_take_brings_no_dead_hold_back() {
    let scene = Scene::new();
    let message = spec("g", Mode::Message, 1);
    scene.store.prepare(prepare(message.clone(), scene.here.next())).await.unwrap();
    scene.store.reset(&scene.gid).await.unwrap();
    let score = scene.store.claim_due(0, LEASE, 10).await.unwrap().due[0].score;
    let dead = scene.there.next();
    let TakeReply::Taken(taken) = scene.store.take(&scene.gid, score, &dead).await.unwrap() else {
        panic!("not taken");
    };
    // The submit's lease ends at the very score that the claim set.
    let request = submit(message, scene.here.next(), true);
    assert!(matches!(scene.store.submit(request).await, Ok(Submitted::Held(_))));

    assert_eq!(scene.store.take(&scene.gid, score, &dead).await, Ok(TakeReply::Refused));
    let late = next_record(&taken, &dead, Status::Prepared);
    let at = scene.store.time().now();
    assert_eq!(scene.store.rest(&late, at).await, Ok(Recorded::Refused));
    assert_eq!(scene.status().await, Status::Submitted);
}

#[tokio::test(start_paused = true)]
async fn a_reset_while_it_is_held_is_obeyed_when_the_hold_ends() {
    let scene = Scene::new();
    let request = submit(spec("g", Mode::Saga, 2), scene.here.next(), true);
    let token = request.token.clone();
    scene.store.submit(request.clone()).await.unwrap();
    assert_eq!(scene.store.reset(&scene.gid).await, Ok(Changed::Done));

    let created_at = scene.store.time().now();
    let mut rest = next_record(
        &Taken { global: scene.store.query(&scene.gid).await.unwrap().unwrap().global, n: 1 },
        &token,
        Status::Submitted,
    );
    rest.created_at = created_at;
    let later = created_at.plus(Duration::from_secs(100));
    assert_eq!(scene.store.rest(&rest, later).await, Ok(Recorded::Written));
    let stored = scene.store.query(&scene.gid).await.unwrap().unwrap();
    assert_eq!(stored.due_at, Some(scene.store.time().now()));
    assert!(!stored.is_held);
    assert_eq!(scene.store.rest(&rest, later).await, Ok(Recorded::Refused));
}

#[tokio::test(start_paused = true)]
async fn a_record_is_written_once_however_often_it_arrives() {
    let scene = Scene::new();
    let request = submit(spec("g", Mode::Saga, 2), scene.here.next(), true);
    let token = request.token.clone();
    scene.store.submit(request).await.unwrap();
    let global = scene.store.query(&scene.gid).await.unwrap().unwrap().global;
    let record = next_record(&Taken { global, n: 1 }, &token, Status::Submitted);
    assert_eq!(scene.store.record(&record).await, Ok(Recorded::Written));
    let mut other = record.clone();
    other.state.status = Status::Aborting;
    assert_eq!(scene.store.record(&other).await, Ok(Recorded::Written));
    assert_eq!(scene.status().await, Status::Submitted, "a number is written once");
    other.n += 2;
    assert_eq!(scene.store.record(&other).await, Ok(Recorded::Refused));
}

#[tokio::test(start_paused = true)]
async fn what_was_stopped_by_force_takes_no_write_of_its_holder() {
    let scene = Scene::new();
    let request = submit(spec("g", Mode::Saga, 2), scene.here.next(), true);
    let token = request.token.clone();
    scene.store.submit(request.clone()).await.unwrap();
    let global = scene.store.query(&scene.gid).await.unwrap().unwrap().global;
    let stop = scene.there.next();
    for _ in 0..2 {
        let stopped = scene.store.force_stop(&scene.gid, &stop, Durability::Memory).await;
        assert_eq!(stopped, Ok(Changed::Done));
    }
    let record = next_record(&Taken { global, n: 1 }, &token, Status::Submitted);
    assert_eq!(scene.store.record(&record).await, Ok(Recorded::Refused));
    assert_eq!(scene.store.renew(&scene.gid, &token, LEASE).await, Ok(false));
    assert_eq!(scene.store.submit(request).await, Ok(Submitted::Conflict(Status::Failed)));
    assert!(scene.store.due().is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_a_prepared_message_is_aborted() {
    let scene = Scene::new();
    let token = scene.here.next();
    let end = scene.store.abort(abort(&scene.gid, token.clone(), None, false)).await;
    assert_eq!(end, Ok(Aborted::NotFound));
    let message = spec("g", Mode::Message, 1);
    scene.store.prepare(prepare(message.clone(), scene.here.next())).await.unwrap();
    for _ in 0..2 {
        let end = scene.store.abort(abort(&scene.gid, token.clone(), Some("no"), false)).await;
        assert_eq!(end, Ok(Aborted::Done));
    }
    let again = scene.here.next();
    let end = scene.store.abort(abort(&scene.gid, again, None, false)).await;
    assert_eq!(end, Ok(Aborted::Conflict(Mode::Message, Status::Failed)));
}

#[tokio::test(start_paused = true)]
async fn a_delayed_message_that_is_submitted_again_comes_no_sooner() {
    let scene = Scene::new();
    let mut message = spec("g", Mode::Message, 1);
    message.delay = Duration::from_secs(60);
    let request = submit(message.clone(), scene.here.next(), true);
    let created_at = scene.store.time().now();
    let created = Submitted::Created { created_at, held: false };
    assert_eq!(scene.store.submit(request).await, Ok(created));

    let again = submit(message, scene.here.next(), true);
    assert_eq!(scene.store.submit(again).await, Ok(Submitted::NotHeld));
    let stored = scene.store.query(&scene.gid).await.unwrap().unwrap();
    let due_at = created_at.plus(Duration::from_secs(60));
    assert_eq!(stored.due_at, Some(due_at));
    assert_eq!(stored.global.state.not_before, Some(due_at));
}

#[tokio::test(start_paused = true)]
async fn a_delay_in_the_prepare_counts_from_the_promotion() {
    for is_promoted_by_answer in [false, true] {
        let scene = Scene::new();
        let mut message = spec("g", Mode::Message, 1);
        message.delay = Duration::from_secs(60);
        scene.store.prepare(prepare(message.clone(), scene.here.next())).await.unwrap();
        tokio::time::advance(Duration::from_secs(10)).await;
        if is_promoted_by_answer {
            let holder = scene.there.next();
            let taken = scene.claim(&holder).await;
            let mut promotion = next_record(&taken, &holder, Status::Submitted);
            promotion.promoted = true;
            assert_eq!(scene.store.record(&promotion).await, Ok(Recorded::Written));
        } else {
            message.delay = Duration::ZERO;
            let request = submit(message, scene.here.next(), true);
            assert_eq!(scene.store.submit(request).await, Ok(Submitted::NotHeld));
        }
        let stored = scene.store.query(&scene.gid).await.unwrap().unwrap();
        let not_before = scene.store.time().now().plus(Duration::from_secs(60));
        assert_eq!(stored.global.state.not_before, Some(not_before));
    }
}

#[tokio::test(start_paused = true)]
async fn a_submit_takes_over_what_a_node_holds_as_prepared() {
    let scene = Scene::new();
    let mut message = spec("g", Mode::Message, 2);
    scene.store.prepare(prepare(message.clone(), scene.here.next())).await.unwrap();
    let asking = scene.there.next();
    let taken = scene.claim(&asking).await;
    message.options.retry_limit = Some(7);
    let request = submit(message, scene.here.next(), true);
    let Ok(Submitted::Held(held)) = scene.store.submit(request).await else {
        panic!("not held");
    };
    assert_eq!(held.n, taken.n + 1);
    assert_eq!(held.global.spec.options.retry_limit, Some(7));
    let answer = next_record(&taken, &asking, Status::Failed);
    assert_eq!(scene.store.finish(&answer).await, Ok(Recorded::Refused));
    assert_eq!(scene.status().await, Status::Submitted);
}
