//! Each case: what the branches answer in turn, then the calls that were made and how it ended.

use std::{collections::BTreeMap, sync::Arc};

use super::*;
use bytes::Bytes;

use crate::model::{Gid, Options, Orders, State, StepUrls};

pub(super) const T0: Timestamp = Timestamp::from_us(1_000_000_000);

pub(super) fn global(
    mode: Mode,
    status: Status,
    n_steps: usize,
    change: impl FnOnce(&mut Spec),
) -> Global {
    let step = |n: usize| StepUrls { action: format!("a{n}"), compensate: format!("c{n}") };
    let mut spec = Spec {
        steps: (1..=n_steps).map(step).collect(),
        payloads: vec![Bytes::new(); n_steps],
        query_prepared: "q".to_owned(),
        ..Spec::new(Gid::new("g").unwrap(), mode)
    };
    change(&mut spec);
    let rows = spec.row_count();
    Global { spec: Arc::new(spec), created_at: T0, state: State::new(status, rows) }
}

/// Plays one round: every URL answers what `answers` says in turn, then success for ever.
fn play(global: Global, now: Timestamp, answers: &[(&str, &[Outcome])]) -> (String, Step, Global) {
    let (calls, end, run) = play_by(Policy::default(), global, now, answers);
    (calls, end, run.global().clone())
}

pub(super) fn play_by(
    policy: Policy,
    global: Global,
    now: Timestamp,
    answers: &[(&str, &[Outcome])],
) -> (String, Step, Run) {
    let mut left: BTreeMap<String, Vec<Outcome>> = answers
        .iter()
        .map(|(url, list)| ((*url).to_owned(), list.iter().rev().cloned().collect()))
        .collect();
    let (mut run, mut calls) = (Run::new(global, policy), Vec::new());
    loop {
        match run.next(now) {
            Step::Call(targets) => {
                for target in targets {
                    let url = describe(&run.global().spec, target).unwrap().url.to_owned();
                    let outcome = left.get_mut(&url).and_then(Vec::pop);
                    calls.push(url);
                    run.answer(target, outcome.unwrap_or(Outcome::Success), now);
                }
            }
            Step::Await => panic!("awaits with every call answered"),
            end @ (Step::Rest(_) | Step::Finish) => {
                return (calls.join(" "), end, run);
            }
        }
    }
}

pub(super) fn failure() -> Outcome {
    Outcome::Failure("no FAILURE".to_owned())
}

pub(super) fn error() -> Outcome {
    Outcome::Unknown("500".to_owned())
}

#[test]
fn a_saga_whose_steps_all_succeed_calls_each_once_in_order() {
    let (calls, end, after) = play(global(Mode::Saga, Status::Submitted, 3, |_| ()), T0, &[]);
    assert_eq!((calls.as_str(), end), ("a1 a2 a3", Step::Finish));
    assert_eq!(after.state.status, Status::Succeed);
}

#[test]
fn a_refusal_undoes_in_reverse_from_the_refused_step_and_leaves_later_ones_alone() {
    let saga = global(Mode::Saga, Status::Submitted, 3, |_| ());
    let (calls, end, after) = play(saga, T0, &[("a2", &[failure()])]);
    assert_eq!((calls.as_str(), end), ("a1 a2 c2 c1", Step::Finish));
    assert_eq!(after.state.status, Status::Failed);
    assert_eq!(after.state.reason.as_deref(), Some("no FAILURE"));
}

#[test]
fn an_error_is_no_failure_and_doubles_the_interval_once_a_round() {
    let saga = global(Mode::Saga, Status::Submitted, 2, |spec| spec.concurrent = true);
    let (calls, end, after) = play(saga, T0, &[("a1", &[error()]), ("a2", &[error()])]);
    assert_eq!((calls.as_str(), end), ("a1 a2", Step::Rest(T0.plus(Duration::from_secs(20)))));
    assert_eq!((after.state.status, after.state.error_rounds), (Status::Submitted, 1));
}

#[test]
fn ongoing_keeps_the_interval() {
    let saga = global(Mode::Saga, Status::Submitted, 1, |_| ());
    let (_, end, after) = play(saga, T0, &[("a1", &[Outcome::Ongoing])]);
    assert_eq!(end, Step::Rest(T0.plus(Duration::from_secs(10))));
    assert_eq!(after.state.error_rounds, 0);
}

#[test]
fn the_retry_limit_admits_so_many_extra_calls_and_then_undoes() {
    let saga = global(Mode::Saga, Status::Submitted, 1, |spec| spec.options.retry_limit = Some(2));
    let errors = [error(), error(), error()];
    let (calls, _, after) = play(saga, T0, &[("a1", &errors)]);
    assert_eq!(calls, "a1 a1 a1 c1");
    assert_eq!(
        after.state.reason.as_deref(),
        Some("RetryCount is greater than RetryLimit, RetryLimit: 2")
    );
}

#[test]
fn a_saga_past_its_timeout_is_undone_without_another_action() {
    let mut saga = global(Mode::Saga, Status::Submitted, 2, |spec| {
        spec.options.timeout_to_fail = Some(Duration::from_secs(3));
    });
    saga.state.rows[1].progress = Progress::MayHaveRun;
    let (calls, _, after) = play(saga, T0.plus(Duration::from_secs(3)), &[]);
    assert_eq!((calls.as_str(), after.state.status), ("c1", Status::Failed));
    assert_eq!(after.state.reason.as_deref(), Some("Timeout after 3 seconds"));
}

/// A saga of two concurrent steps, both in flight.
fn two_in_flight(change: impl FnOnce(&mut Options)) -> (Run, Target, Target) {
    let saga = global(Mode::Saga, Status::Submitted, 2, |spec| {
        spec.concurrent = true;
        change(&mut spec.options);
    });
    let (first, second) = (Target::Row(1), Target::Row(3));
    let mut run = Run::new(saga, Policy::default());
    assert_eq!(run.next(T0), Step::Call(vec![first, second]));
    (run, first, second)
}

#[test]
fn a_timeout_is_decided_beside_actions_in_flight_and_undone_after_their_answers() {
    let timeout = Duration::from_secs(3);
    let (mut run, first, second) = two_in_flight(|options| options.timeout_to_fail = Some(timeout));
    run.begun(first);
    let times_out_at = T0.plus(timeout);
    assert_eq!((run.next(T0), run.decides_at()), (Step::Await, Some(times_out_at)));
    assert_eq!(run.next(times_out_at), Step::Await);
    assert_eq!((run.global().state.status, run.decides_at()), (Status::Aborting, None));
    assert_eq!(run.gate(), run.version(), "what follows waits until that is stored");
    // What was not begun is not begun any more, and leaves no mark.
    assert!(!run.is_wanted(second));
    assert_eq!(run.global().state.rows[3].progress, Progress::NotStarted);
    assert_eq!(run.next(times_out_at), Step::Await);
    run.answer(first, Outcome::Success, times_out_at);
    assert_eq!(run.global().state.rows[1].progress, Progress::Succeeded);
    assert_eq!(run.next(times_out_at), Step::Call(vec![Target::Row(0)]));
    run.answer(Target::Row(0), Outcome::Success, times_out_at);
    assert_eq!(run.next(times_out_at), Step::Finish);
    assert_eq!(run.global().state.reason.as_deref(), Some("Timeout after 3 seconds"));
}

#[test]
fn the_retry_limit_is_decided_beside_an_action_in_flight() {
    let (mut run, first, second) = two_in_flight(|options| options.retry_limit = Some(1));
    run.answer(first, error(), T0);
    assert_eq!(run.next(T0), Step::Call(vec![first]));
    run.answer(first, error(), T0);
    assert_eq!(run.next(T0), Step::Await);
    assert_eq!(run.global().state.status, Status::Aborting);
    // An error of what is undone is no reason to call it once more.
    run.answer(second, error(), T0);
    assert_eq!(run.next(T0), Step::Call(vec![Target::Row(0), Target::Row(2)]));
}

#[test]
fn orders_hold_forwards_and_backwards() {
    let saga = global(Mode::Saga, Status::Submitted, 3, |spec| {
        spec.concurrent = true;
        spec.orders = Orders::new(vec![vec![], vec![], vec![0, 1]]);
    });
    let (calls, _, _) = play(saga, T0, &[("a3", &[failure()])]);
    assert_eq!(calls, "a1 a2 a3 c3 c1 c2");
}

#[test]
fn empty_urls_end_without_a_call() {
    let saga = global(Mode::Saga, Status::Submitted, 2, |spec| {
        spec.steps = vec![StepUrls::default(); 2];
    });
    assert_eq!(play(saga, T0, &[]).0, "");
}

#[test]
fn a_message_retries_a_refusal_and_never_fails() {
    let message = global(Mode::Message, Status::Submitted, 2, |_| ());
    let (calls, end, after) = play(message, T0, &[("a1", &[failure()])]);
    assert_eq!((calls.as_str(), end), ("a1", Step::Rest(T0.plus(Duration::from_secs(20)))));
    assert_eq!(after.state.status, Status::Submitted);
}

#[test]
fn a_prepared_message_is_asked_only_at_its_timeout() {
    let message = || global(Mode::Message, Status::Prepared, 1, |_| ());
    let times_out_at = T0.plus(Duration::from_secs(35));
    assert_eq!(play(message(), T0, &[]).1, Step::Rest(times_out_at));
    assert_eq!(play(message(), times_out_at, &[]).0, "q a1");
    let (calls, _, after) = play(message(), times_out_at, &[("q", &[failure()])]);
    assert_eq!((calls.as_str(), after.state.status), ("q", Status::Failed));
}

#[test]
fn a_delayed_message_is_never_early() {
    let mut message = global(Mode::Message, Status::Submitted, 1, |_| ());
    let not_before = T0.plus(Duration::from_secs(3));
    message.state.not_before = Some(not_before);
    assert_eq!(play(message.clone(), T0, &[]).1, Step::Rest(not_before));
    assert_eq!(play(message, not_before, &[]).0, "a1");
}

#[test]
fn an_action_is_marked_before_it_is_called_and_the_mark_is_a_gate() {
    let mut run = Run::new(global(Mode::Saga, Status::Submitted, 2, |_| ()), Policy::default());
    assert_eq!(run.next(T0), Step::Call(vec![Target::Row(1)]));
    assert_eq!(run.global().state.rows[1].progress, Progress::MayHaveRun);
    assert_eq!((run.gate(), run.version()), (1, 1));
    assert_eq!(run.next(T0), Step::Await);
}

#[test]
fn a_full_host_is_tried_again_soon_unless_another_branch_must_not() {
    let busy_with = |other: Outcome| {
        let saga = global(Mode::Saga, Status::Submitted, 2, |spec| spec.concurrent = true);
        play(saga, T0, &[("a1", &[other]), ("a2", &[Outcome::Busy])]).1
    };
    assert_eq!(busy_with(Outcome::Success), Step::Rest(T0.plus(Duration::from_millis(500))));
    assert_eq!(busy_with(Outcome::Ongoing), Step::Rest(T0.plus(Duration::from_secs(10))));
    assert_eq!(busy_with(error()), Step::Rest(T0.plus(Duration::from_secs(20))));
}

#[test]
fn what_was_begun_is_awaited_when_the_estimate_of_the_time_goes_back() {
    let due_at = T0.plus(Duration::from_secs(35));
    let mut run = Run::new(global(Mode::Message, Status::Prepared, 1, |_| ()), Policy::default());
    assert_eq!(run.next(due_at), Step::Call(vec![Target::QueryPrepared]));
    assert_eq!(run.next(T0), Step::Await);

    let mut delayed = global(Mode::Message, Status::Submitted, 1, |_| ());
    delayed.state.not_before = Some(due_at);
    let mut run = Run::new(delayed, Policy::default());
    assert_eq!(run.next(due_at), Step::Call(vec![Target::Row(0)]));
    assert_eq!(run.next(T0), Step::Await);
    run.answer(Target::Row(0), error(), T0);
    assert_eq!(run.next(T0), Step::Rest(T0.plus(Duration::from_secs(20))));
}
