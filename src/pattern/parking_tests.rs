//! When a transaction is parked, what is told of it, and how it goes on.

use super::{tests::*, *};

const AFTER_2: Policy = Policy {
    retry_interval: Duration::from_secs(10),
    request_timeout: Duration::from_secs(3),
    timeout_to_fail: Duration::from_secs(35),
    backoff_max: Duration::from_secs(3_600),
    busy_retry: Duration::from_millis(500),
    dead_letter_after: 2,
};

/// The rounds of `global`, each with what its first URL answers: until when it rests, how many errors
/// in a row were told, and whether it is parked.
fn rounds(mut global: Global, url: &str, answers: &[Outcome]) -> Vec<(u64, u32, bool)> {
    let mut told = Vec::new();
    for answer in answers {
        let (_, end, run) = play_by(AFTER_2, global, T0, &[(url, std::slice::from_ref(answer))]);
        let Step::Rest(due_at) = end else { panic!("ended") };
        let erred = run.erred().map(|erred| (erred.rounds, erred.is_parked));
        let (n, is_parked) = erred.unwrap_or_default();
        told.push((due_at.since(T0).as_secs(), n, is_parked));
        global = run.global().clone();
    }
    told
}

#[test]
fn so_many_errors_in_a_row_park_and_whoever_goes_on_counts_anew() {
    let saga = global(Mode::Saga, Status::Submitted, 1, |_| ());
    let parked = PARKED_FOR.as_secs();
    assert_eq!(
        rounds(saga, "a1", &[error(), error(), error(), Outcome::Ongoing, error()]),
        [(20, 1, false), (parked, 2, true), (20, 1, false), (20, 0, false), (parked, 2, true)]
    );
}

#[test]
fn ongoing_and_a_full_host_park_nothing() {
    let saga = || global(Mode::Saga, Status::Submitted, 1, |_| ());
    assert_eq!(rounds(saga(), "a1", &vec![Outcome::Ongoing; 5]), [(10, 0, false); 5]);
    assert_eq!(rounds(saga(), "a1", &vec![Outcome::Busy; 5]), [(0, 0, false); 5]);
}

#[test]
fn a_workflow_is_parked_too_although_its_interval_stays_and_any_answer_counts_anew() {
    let workflow = || global(Mode::Workflow, Status::Prepared, 0, |_| ());
    let parked = (PARKED_FOR.as_secs(), 2, true);
    assert_eq!(rounds(workflow(), "q", &[error(), error()]), [(10, 1, false), parked]);
    let answers = [error(), Outcome::Ongoing, error(), Outcome::Success, error()];
    let told = [(10, 1, false), (10, 0, false), (10, 1, false), (10, 0, false), (10, 1, false)];
    assert_eq!(rounds(workflow(), "q", &answers), told);
}

#[test]
fn a_parked_saga_is_undone_at_its_timeout() {
    let timeout = Duration::from_secs(60);
    let saga = global(Mode::Saga, Status::Submitted, 1, |spec| {
        spec.options.timeout_to_fail = Some(timeout);
    });
    assert_eq!(rounds(saga.clone(), "a1", &[error(), error()]), [(20, 1, false), (60, 2, true)]);
    let (_, _, run) = play_by(AFTER_2, saga, T0, &[("a1", &[error()])]);
    let (calls, end, _) = play_by(AFTER_2, run.global().clone(), T0.plus(timeout), &[]);
    assert_eq!((calls.as_str(), end), ("c1", Step::Finish));
}

#[test]
fn an_error_is_told_with_the_url_that_erred() {
    let saga = global(Mode::Saga, Status::Submitted, 2, |spec| spec.concurrent = true);
    let (_, _, run) = play_by(AFTER_2, saga, T0, &[("a2", &[error()])]);
    let told = Erred { url: "a2", message: "500", rounds: 1, is_parked: false };
    assert_eq!(run.erred(), Some(told));
    let message = global(Mode::Message, Status::Prepared, 1, |_| ());
    let late = T0.plus(Duration::from_secs(35));
    let (_, _, run) = play_by(AFTER_2, message.clone(), late, &[("q", &[error()])]);
    assert_eq!(run.erred(), Some(Erred { url: "q", ..told }));
    // It rests, and nothing erred.
    assert_eq!(play_by(AFTER_2, message, T0, &[]).2.erred(), None);
}

#[test]
fn what_ended_is_not_changed() {
    let mut ended = global(Mode::Saga, Status::Failed, 1, |_| ());
    ended.state.error_rounds = 7;
    assert_eq!(*Run::new(ended.clone(), AFTER_2).global(), ended);
}
