//! saga: steps that are each done, or undone in reverse (protocol, section 5).

use super::{Decided, Run, Target, Tried, prepared_timeout, timeout_reason};
use crate::model::{Op, Outcome, Progress, REASON_BYTES_MAX, Status, Timestamp, clip};

pub(super) fn next(run: &mut Run, now: Timestamp) -> Decided {
    match run.global.state.status {
        Status::Prepared => wait_for_submit(run, now),
        Status::Submitted => go_forward(run, now),
        Status::Aborting => go_back(run),
        Status::Succeed | Status::Failed => Decided::Again,
    }
}

pub(super) fn answered(run: &mut Run, target: Target, outcome: Outcome, now: Timestamp) {
    let Target::Row(row) = target else { return };
    let is_action = run.global.spec.op(row) == Op::Action;
    match outcome {
        Outcome::Success => run.succeeded(row, now),
        Outcome::Failure(text) if is_action => {
            run.set_progress(row, Progress::Failed, Some(now));
            run.reset_backoff();
            // Whoever failed first says why.
            if run.global.state.status == Status::Submitted {
                let reason = clip(&text, REASON_BYTES_MAX).to_owned();
                run.decide(Status::Aborting, Some(reason));
            }
        }
        Outcome::Failure(text) | Outcome::Unknown(text) => {
            run.round.erred(target, &text);
            try_again(run, target, is_action);
        }
        Outcome::Ongoing => try_again(run, target, is_action),
        Outcome::Busy => {}
    }
}

/// An action that neither succeeded nor failed is called again at once while the retry limit (if
/// the transaction has one) admits it.
fn try_again(run: &mut Run, target: Target, is_action: bool) {
    let limit = run.global.spec.options.retry_limit.filter(|&limit| limit > 0);
    let Some(limit) = limit.filter(|_| is_action) else { return };
    if run.round.extra_calls < limit {
        run.round.extra_calls += 1;
        run.round.again(target);
    } else {
        run.round.limit_reached = true;
    }
}

/// A prepared saga of which no submit comes ends at its timeout: none of its branches was called.
fn wait_for_submit(run: &mut Run, now: Timestamp) -> Decided {
    let timeout = prepared_timeout(&run.global.spec, &run.policy);
    let due_at = run.global.created_at.plus(timeout);
    if now < due_at {
        return Decided::RestUntil(due_at);
    }
    run.decide(Status::Failed, Some(timeout_reason(timeout)));
    Decided::Again
}

fn go_forward(run: &mut Run, now: Timestamp) -> Decided {
    if run.all_actions_done() {
        return run.sell_and_succeed();
    }
    let times_out_at = times_out_at(run);
    let must_stop = match (times_out_at, run.global.spec.options.timeout_to_fail) {
        (Some(at), Some(timeout)) if now >= at => Some(timeout_reason(timeout)),
        _ if run.round.limit_reached => Some(limit_reason(run)),
        _ => None,
    };
    if let Some(reason) = must_stop {
        // At once, also beside an action in flight: an order's units are given back from now on. Only
        // compensations wait for its answer.
        run.decide(Status::Aborting, Some(reason));
        return Decided::Again;
    }
    let ready = run.ready_actions();
    if !ready.is_empty() {
        return Decided::Call(ready);
    }
    if run.round.n_in_flight > 0 {
        return Decided::Await;
    }
    Decided::EndRound { at_the_latest: times_out_at }
}

/// When a saga that goes forward turns back whatever its branches do, if it has a timeout. With all
/// actions done it never does.
pub(super) fn times_out_at(run: &Run) -> Option<Timestamp> {
    if run.global.state.status != Status::Submitted || run.all_actions_done() {
        return None;
    }
    let timeout = run.global.spec.options.timeout_to_fail?;
    Some(run.global.created_at.plus(timeout))
}

fn limit_reason(run: &Run) -> String {
    let limit = run.global.spec.options.retry_limit.unwrap_or_default();
    format!("RetryCount is greater than RetryLimit, RetryLimit: {limit}")
}

/// Compensates every step that may have run, in the reverse of the order in which they may run.
fn go_back(run: &mut Run) -> Decided {
    let spec = &run.global.spec;
    let is_open = |step: &usize| {
        run.progress(spec.action_row(*step)) != Progress::NotStarted
            && run.progress(spec.compensate_row(*step)) != Progress::Succeeded
    };
    let action_in_flight = |step: usize| run.round.tried(spec.action_row(step)) == Tried::InFlight;
    if (0..spec.steps.len()).any(action_in_flight) {
        return Decided::Await;
    }
    let open: Vec<usize> = (0..spec.steps.len()).filter(is_open).collect();
    if open.is_empty() {
        run.decide(Status::Failed, None);
        return Decided::Again;
    }
    let candidates: Vec<usize> = if spec.concurrent {
        let mut must_wait = vec![false; spec.steps.len()];
        for step in open.iter().flat_map(|&step| spec.orders.before(step)) {
            if let Some(waits) = must_wait.get_mut(*step as usize) {
                *waits = true;
            }
        }
        open.into_iter().filter(|&step| must_wait.get(step) == Some(&false)).collect()
    } else {
        open.last().copied().into_iter().collect()
    };
    let ready: Vec<Target> = candidates
        .into_iter()
        .map(|step| spec.compensate_row(step))
        .filter(|&row| run.round.tried(row) == Tried::Not)
        .map(Target::Row)
        .collect();
    if !ready.is_empty() {
        return Decided::Call(ready);
    }
    if run.round.n_in_flight > 0 {
        return Decided::Await;
    }
    Decided::EndRound { at_the_latest: None }
}
