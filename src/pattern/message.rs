//! msg, the two-phase message: prepared, then asked or submitted, then delivered (protocol,
//! section 5). Every action must succeed in the end; nothing is undone.

use super::{Decided, Run, Target, Tried, prepared_timeout};
use crate::model::{Outcome, REASON_BYTES_MAX, Status, Timestamp, clip};

pub(super) fn next(run: &mut Run, now: Timestamp) -> Decided {
    match run.global.state.status {
        Status::Prepared => ask(run, now),
        Status::Submitted => deliver(run, now),
        // No message is ever aborting: an abort ends it at once. Never drop what cannot be decided.
        Status::Aborting => Decided::EndRound { at_the_latest: None },
        Status::Succeed | Status::Failed => Decided::Again,
    }
}

pub(super) fn answered(run: &mut Run, target: Target, outcome: Outcome, now: Timestamp) {
    match (target, outcome) {
        (Target::Row(row), Outcome::Success) => run.succeeded(row, now),
        // It has to succeed: a refusal is an error like any other.
        (Target::Row(_), Outcome::Failure(text) | Outcome::Unknown(text))
        | (Target::QueryPrepared, Outcome::Unknown(text)) => run.round.erred(target, &text),
        (Target::Row(_), Outcome::Ongoing) | (_, Outcome::Busy) => {}
        (Target::QueryPrepared, Outcome::Success) => {
            run.round.promoted = true;
            run.reset_backoff();
            let delay = run.global.spec.delay;
            run.global.state.not_before = (!delay.is_zero()).then(|| now.plus(delay));
            run.decide(Status::Submitted, None);
        }
        (Target::QueryPrepared, Outcome::Failure(text)) => {
            run.decide(Status::Failed, Some(clip(&text, REASON_BYTES_MAX).to_owned()));
        }
        (Target::QueryPrepared, Outcome::Ongoing) => run.reset_backoff(),
    }
}

fn ask(run: &mut Run, now: Timestamp) -> Decided {
    // First what was begun: the estimate of the time may go back below the due time again.
    match run.round.query_prepared() {
        Tried::InFlight => return Decided::Await,
        Tried::Over => return Decided::EndRound { at_the_latest: None },
        Tried::Not => {}
    }
    let timeout = prepared_timeout(&run.global.spec, &run.policy);
    let due_at = run.global.created_at.plus(timeout);
    if now < due_at {
        return Decided::RestUntil(due_at);
    }
    Decided::Call(vec![Target::QueryPrepared])
}

fn deliver(run: &mut Run, now: Timestamp) -> Decided {
    if run.all_actions_done() {
        return run.sell_and_succeed();
    }
    // Once something was called its time had come, even if the estimate goes back below it again.
    let not_before = run.global.state.not_before.filter(|&at| now < at);
    if let Some(not_before) = not_before.filter(|_| !run.round.has_called_rows()) {
        return Decided::RestUntil(not_before);
    }
    let ready = run.ready_actions();
    if !ready.is_empty() {
        return Decided::Call(ready);
    }
    if run.round.n_in_flight > 0 {
        return Decided::Await;
    }
    Decided::EndRound { at_the_latest: None }
}
