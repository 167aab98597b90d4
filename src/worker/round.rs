//! One round: from a hold to the transaction's rest or end.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{
    FutureExt, StreamExt,
    future::{Fuse, FusedFuture},
    stream::FuturesUnordered,
};

use super::{
    Held, Worker,
    holds::Hold,
    write::{Ending, Written},
};
use crate::{
    branch::Caller,
    clock::Clock,
    model::{BranchCall, Outcome, Spec, Status},
    pattern::{Run, Step, Target, describe},
    store::{Record, Store},
};

/// How a round ended, as its holder knows for certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoundEnd {
    /// The final status is stored.
    Finished {
        /// Which one.
        status: Status,
        /// Why it was undone.
        reason: Option<String>,
    },
    /// It rests until its next round.
    Rested {
        /// Its status.
        status: Status,
        /// What went wrong in this round.
        last_error: Option<String>,
        /// Whether nothing went wrong, and only a host had no room for a call: it is tried again
        /// soon.
        for_room: bool,
    },
    /// The hold was over first, or could not be brought to an end: only what is stored counts.
    Over,
}

/// A write that is not answered yet.
struct Writing {
    version: u64,
    ending: Ending,
}

/// The hold is over.
struct Over;

/// A timer is set so much later than its time: one that goes off before it would be set again and
/// again.
const TIMER_SLACK: Duration = Duration::from_millis(1);

/// What a round waits for.
enum Event {
    Revoked,
    Urged,
    /// It is time to decide without an answer.
    Due,
    Written(Written),
    Stands(Result<(), Over>),
    Answered(Target, Outcome),
}

impl<S: Store, C: Caller, K: Clock> Worker<S, C, K> {
    /// Drives `held` under `hold` to the end of its round.
    ///
    /// At each turn it asks the pattern what is next, sends what is to be stored (one write at a
    /// time), lets out the calls whose state is stored while the hold certainly stands, and waits
    /// for whatever comes first.
    pub(super) async fn round(&self, hold: &Hold, held: Held) -> RoundEnd {
        let Held { mut run, mut first, mut stored_version, mut n } = held;
        let mut spec = Arc::clone(&run.global().spec);
        let mut calls = FuturesUnordered::new();
        // Named by the pattern, and waiting until the state that they follow from is stored.
        let mut to_call: Vec<Target> = Vec::new();
        let mut write = pin!(Fuse::terminated());
        let mut standing = pin!(Fuse::terminated());
        let mut timer = pin!(Fuse::terminated());
        let mut urge = pin!(self.next_urge());
        let mut writing: Option<Writing> = None;
        let mut ending = Ending::None;
        loop {
            to_call.retain(|&target| run.is_wanted(target));
            if self.giving_up.is_cancelled() {
                // Whoever goes on calls them again.
                calls.clear();
            }
            if ending == Ending::None {
                // What was just decided to be over is not handed back: nobody could take it.
                let is_over = run.global().state.status.is_final();
                if self.is_draining() && calls.is_empty() && !is_over {
                    to_call.clear();
                    ending = Ending::Rest(self.clock.redis_now());
                } else {
                    match first.take().unwrap_or_else(|| run.next(self.clock.redis_now())) {
                        Step::Call(targets) => to_call.extend(targets),
                        Step::Await => {}
                        Step::Rest(due_at) => ending = Ending::Rest(due_at),
                        Step::Finish => ending = Ending::Finish,
                    }
                }
            }
            if writing.is_none() && (ending != Ending::None || run.version() > stored_version) {
                n += 1;
                writing = Some(Writing { version: run.version(), ending });
                write.set(self.write(self.record(hold, &run, n), ending).fuse());
            }
            let may_call = stored_version >= run.gate() && !to_call.is_empty();
            if may_call && self.clock.monotonic() < hold.deadline() {
                for target in to_call.drain(..) {
                    run.begun(target);
                    calls.push(self.call(Arc::clone(&spec), &run, target));
                }
            } else if may_call && standing.is_terminated() {
                standing.set(self.stands(hold).fuse());
            }
            if writing.is_none() && calls.is_empty() && standing.is_terminated() {
                tracing::error!(
                    gid = %hold.gid.printable(),
                    "a round waits for nothing; its lease ends, then it is tried again"
                );
                return RoundEnd::Over;
            }
            // Only where there is something to decide by the clock; and after `next`, which has decided
            // what is due already.
            if ending == Ending::None
                && timer.is_terminated()
                && let Some(at) = run.decides_at()
            {
                let left = at.since(self.clock.redis_now());
                timer.set(self.clock.sleep(left + TIMER_SLACK).fuse());
            }

            let event = tokio::select! {
                biased;
                () = hold.revoked() => Event::Revoked,
                written = &mut write, if !write.is_terminated() => Event::Written(written),
                stands = &mut standing, if !standing.is_terminated() => Event::Stands(stands),
                Some((target, outcome)) = calls.next(), if !calls.is_empty() => {
                    Event::Answered(target, outcome)
                }
                () = &mut timer, if !timer.is_terminated() => Event::Due,
                () = &mut urge, if !self.giving_up.is_cancelled() => Event::Urged,
            };
            match event {
                Event::Revoked
                | Event::Written(Written::Refused | Written::Broken)
                | Event::Stands(Err(Over)) => return RoundEnd::Over,
                Event::Urged => urge.set(self.next_urge()),
                Event::Due | Event::Stands(Ok(())) => {}
                // Nothing was called: what is prepared has no calls of this kind.
                Event::Written(Written::Reread(taken)) => {
                    let again = Held::taken(*taken, self.settings.policy);
                    Held { run, first, stored_version, n } = again;
                    spec = Arc::clone(&run.global().spec);
                    to_call.clear();
                    timer.set(Fuse::terminated());
                    (writing, ending) = (None, Ending::None);
                }
                Event::Written(Written::Stored) => {
                    let Some(done) = writing.take() else { continue };
                    stored_version = done.version;
                    match done.ending {
                        Ending::None => {}
                        Ending::Rest(due_at) => {
                            self.expect(&hold.gid, due_at);
                            return self.rested(&run);
                        }
                        Ending::Finish => return self.finished(&run),
                    }
                }
                Event::Answered(target, outcome) => {
                    let gid = hold.gid.printable();
                    tracing::debug!(%gid, branch = ?target, outcome = outcome.as_str(), "a branch answered");
                    run.answer(target, outcome, self.clock.redis_now());
                }
            }
        }
    }

    /// Completes when this node is told to stop; from then on, when it gives up waiting for calls.
    async fn next_urge(&self) {
        if self.is_draining() {
            self.giving_up.cancelled().await;
        } else {
            self.draining.cancelled().await;
        }
    }

    fn record(&self, hold: &Hold, run: &Run, n: u64) -> Record {
        Record {
            gid: hold.gid.clone(),
            token: hold.token.clone(),
            n,
            state: run.global().state.clone(),
            created_at: run.global().created_at,
            promoted: run.promoted(),
            registered: run.registered(),
            durability: self.settings.durability,
        }
    }

    /// Calls `target` once.
    fn call(
        &self,
        spec: Arc<Spec>,
        run: &Run,
        target: Target,
    ) -> impl Future<Output = (Target, Outcome)> + Send + use<'_, S, C, K> {
        let timeout = run.request_timeout();
        async move {
            let Some(described) = describe(&spec, target) else {
                return (target, Outcome::Unknown("no such branch".to_owned()));
            };
            let call = BranchCall {
                gid: &spec.gid,
                mode: spec.mode,
                branch_id: &described.branch_id,
                op: described.op,
                op_word: described.op_word,
                url: described.url,
                protocol: spec.protocol,
                payload: described.payload,
                headers: spec.options.branch_headers.as_ref(),
                timeout,
            };
            // Boxed, so that what gathers the calls moves a pointer and not the whole call.
            (target, Box::pin(self.caller.call(&call)).await)
        }
    }

    /// Past the deadline (this node slept, or Redis was away): asks until it is certain that nobody
    /// else can have claimed it. The answer may itself come after the new deadline.
    async fn stands(&self, hold: &Hold) -> Result<(), Over> {
        while self.clock.monotonic() >= hold.deadline() {
            if self.renew(hold).await {
                continue;
            }
            if hold.is_over() {
                return Err(Over);
            }
            self.clock.sleep(self.settings.lease / 10).await;
        }
        Ok(())
    }

    fn finished(&self, run: &Run) -> RoundEnd {
        let global = run.global();
        let lasted = self.clock.redis_now().since(global.created_at);
        self.metrics.finished(global.spec.mode, global.state.status, lasted);
        RoundEnd::Finished { status: global.state.status, reason: global.state.reason.clone() }
    }

    /// Its rest is stored, so that nobody is told of an error that nobody will find.
    fn rested(&self, run: &Run) -> RoundEnd {
        if let Some(erred) = run.erred() {
            if erred.is_parked {
                self.metrics.parked.increment(1);
                tracing::warn!(
                    gid = %run.global().gid().printable(),
                    n_errors = erred.rounds,
                    "parked: too many rounds in a row ended in an error; a reset resumes it"
                );
            }
            self.alerts.erred(run.global(), &erred);
        }
        let state = &run.global().state;
        let (status, last_error) = (state.status, state.last_error.clone());
        RoundEnd::Rested { status, last_error, for_room: run.rests_for_room() }
    }
}
