//! The plainest worker that keeps the rules: one step at a time, no hurry. It shows that the
//! simulation passes what is right, and with one of its rules taken out, that it finds what is
//! wrong; a simulation that finds nothing proves nothing.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tandem::{
    branch::Caller,
    clock::Clock,
    model::{
        BranchCall, Gid, Mode, Op, Outcome, Progress, Protocol, State, Status, Timestamp, Token,
        Tokens,
    },
    store::{Durability, Record, Recorded, Store, TakeReply, Taken},
};

use super::{faulty_caller::FaultyCaller, faulty_store::FaultyStore, node::Node};

const LEASE: Duration = Duration::from_secs(3);

/// A rule that the worker may be made to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// Calls before it is stored that the branch may have run.
    NoWriteAhead,
    /// Takes an error of a branch for a refusal of which nothing needs to be undone.
    ErrorIsFailure,
    /// Undoes from the first step on.
    UndoesForwards,
    /// Undoes only what answered success.
    ForgetsWhatMayHaveRun,
    /// Goes on when a record is refused.
    IgnoresRefusals,
    /// Calls a delayed message's branches at once.
    IgnoresDelays,
}

/// Runs one start of one node; ends never.
pub(crate) async fn run(node: Arc<Node>, flaw: Flaw) {
    let worker = Arc::new(PlainWorker {
        store: FaultyStore::new(Arc::clone(&node)),
        caller: FaultyCaller::new(Arc::clone(&node)),
        tokens: Tokens::new(&node.name),
        in_work: Mutex::default(),
        node,
        flaw,
    });
    loop {
        for shard in 0..worker.store.shard_count() {
            let Ok(claimed) = worker.store.claim_due(shard, LEASE, 10).await else { continue };
            for (gid, score) in claimed.due {
                let worker = Arc::clone(&worker);
                tokio::spawn(async move { worker.drive(&gid, score).await });
            }
        }
        worker.node.sleep(Duration::from_millis(700)).await;
    }
}

struct PlainWorker {
    node: Arc<Node>,
    store: FaultyStore,
    caller: FaultyCaller,
    tokens: Tokens,
    in_work: Mutex<BTreeSet<Gid>>,
    flaw: Flaw,
}

/// One hold of one transaction.
struct Hold {
    taken: Box<Taken>,
    token: Token,
    deadline: Duration,
}

/// The hold is over, for whatever reason.
struct Over;

impl PlainWorker {
    async fn drive(&self, gid: &Gid, score: Timestamp) {
        // A node that stood still finds due what it has in work itself.
        if !self.in_work.lock().unwrap_or_else(PoisonError::into_inner).insert(gid.clone()) {
            return;
        }
        let token = self.tokens.next();
        let deadline = self.node.monotonic() + LEASE;
        if let Ok(TakeReply::Taken(taken)) = self.store.take(gid, score, &token).await {
            let mut hold = Hold { taken, token, deadline };
            // An error ends the hold; whoever claims it next goes on.
            while self.step(&mut hold).await.is_ok() {}
        }
        self.in_work.lock().unwrap_or_else(PoisonError::into_inner).remove(gid);
    }

    async fn step(&self, hold: &mut Hold) -> Result<(), Over> {
        let status = hold.taken.global.state.status;
        match (hold.taken.global.spec.mode, status) {
            (_, Status::Succeed | Status::Failed) => Err(Over),
            (Mode::Saga, Status::Prepared) => self.wait_for_submit(hold).await,
            (Mode::Message, Status::Prepared) => self.ask(hold).await,
            (_, Status::Submitted) => self.forwards(hold).await,
            (_, Status::Aborting) => self.backwards(hold).await,
        }
    }

    async fn wait_for_submit(&self, hold: &mut Hold) -> Result<(), Over> {
        let due_at = decided_at(hold);
        if self.node.redis_now() < due_at {
            return self.rest(hold, due_at).await;
        }
        let mut state = hold.taken.global.state.clone();
        state.status = Status::Failed;
        self.record(hold, state, false).await
    }

    async fn ask(&self, hold: &mut Hold) -> Result<(), Over> {
        let spec = Arc::clone(&hold.taken.global.spec);
        let due_at = decided_at(hold);
        if self.node.redis_now() < due_at {
            return self.rest(hold, due_at).await;
        }
        let outcome = if spec.query_prepared.is_empty() {
            Outcome::Success
        } else {
            self.call(hold, "00", Op::QueryPrepared, &spec.query_prepared).await?
        };
        let mut state = hold.taken.global.state.clone();
        match outcome {
            Outcome::Success => {
                state.status = Status::Submitted;
                self.record(hold, state, true).await?;
                if !spec.delay.is_zero() && self.flaw != Flaw::IgnoresDelays {
                    let due_at = self.node.redis_now().plus(spec.delay);
                    return self.rest(hold, due_at).await;
                }
                Ok(())
            }
            Outcome::Failure(reason) => {
                state.status = Status::Failed;
                state.reason = Some(reason);
                self.record(hold, state, false).await
            }
            Outcome::Ongoing | Outcome::Unknown(_) | Outcome::Busy => self.later(hold).await,
        }
    }

    async fn forwards(&self, hold: &mut Hold) -> Result<(), Over> {
        let spec = Arc::clone(&hold.taken.global.spec);
        let mut state = hold.taken.global.state.clone();
        if let Some(at) = state.not_before
            && self.node.redis_now() < at
            && self.flaw != Flaw::IgnoresDelays
        {
            return self.rest(hold, at).await;
        }
        let is_timed_out = spec.mode == Mode::Saga
            && spec.options.timeout_to_fail.is_some_and(|timeout| {
                self.node.redis_now() >= hold.taken.global.created_at.plus(timeout)
            });
        if is_timed_out {
            state.status = Status::Aborting;
            state.reason = Some("timed out".to_owned());
            return self.record(hold, state, false).await;
        }
        let next = (0..spec.steps.len())
            .find(|step| state.rows[spec.action_row(*step)].progress != Progress::Succeeded);
        let Some(step) = next else {
            state.status = Status::Succeed;
            return self.record(hold, state, false).await;
        };
        let row = spec.action_row(step);
        if state.rows[row].progress == Progress::NotStarted && self.flaw != Flaw::NoWriteAhead {
            state.rows[row].progress = Progress::MayHaveRun;
            self.record(hold, state.clone(), false).await?;
        }
        let url = &spec.steps[step].action;
        let outcome = self.call(hold, &branch_id(step), Op::Action, url).await?;
        match outcome {
            Outcome::Success => {
                state.rows[row].progress = Progress::Succeeded;
                self.record(hold, state, false).await
            }
            Outcome::Failure(reason) if spec.mode == Mode::Saga => {
                state.rows[row].progress = Progress::Failed;
                state.status = Status::Aborting;
                state.reason = Some(reason);
                self.record(hold, state, false).await
            }
            Outcome::Unknown(_) if self.flaw == Flaw::ErrorIsFailure => {
                state.status = Status::Failed;
                self.record(hold, state, false).await
            }
            Outcome::Failure(_) | Outcome::Ongoing | Outcome::Unknown(_) | Outcome::Busy => {
                self.later(hold).await
            }
        }
    }

    async fn backwards(&self, hold: &mut Hold) -> Result<(), Over> {
        let spec = Arc::clone(&hold.taken.global.spec);
        let mut state = hold.taken.global.state.clone();
        let is_left = |step: &usize| {
            let action = state.rows[spec.action_row(*step)].progress;
            let is_to_undo = if self.flaw == Flaw::ForgetsWhatMayHaveRun {
                action == Progress::Succeeded
            } else {
                action != Progress::NotStarted
            };
            is_to_undo && state.rows[spec.compensate_row(*step)].progress != Progress::Succeeded
        };
        let mut steps = 0..spec.steps.len();
        let next = if self.flaw == Flaw::UndoesForwards {
            steps.find(is_left)
        } else {
            steps.rev().find(is_left)
        };
        let Some(step) = next else {
            state.status = Status::Failed;
            return self.record(hold, state, false).await;
        };
        let url = &spec.steps[step].compensate;
        match self.call(hold, &branch_id(step), Op::Compensate, url).await? {
            Outcome::Success => {
                state.rows[spec.compensate_row(step)].progress = Progress::Succeeded;
                self.record(hold, state, false).await
            }
            Outcome::Failure(_) | Outcome::Ongoing | Outcome::Unknown(_) | Outcome::Busy => {
                self.later(hold).await
            }
        }
    }

    async fn call(
        &self,
        hold: &mut Hold,
        branch_id: &str,
        op: Op,
        url: &str,
    ) -> Result<Outcome, Over> {
        if url.is_empty() {
            return Ok(Outcome::Success);
        }
        let spec = &hold.taken.global.spec;
        let timeout = spec.options.request_timeout.unwrap_or(LEASE);
        let now = self.node.monotonic();
        if now + timeout > hold.deadline {
            let renewed = self.store.renew(&spec.gid, &hold.token, LEASE + timeout).await;
            if renewed != Ok(true) && self.flaw != Flaw::IgnoresRefusals {
                return Err(Over);
            }
            hold.deadline = now + LEASE + timeout;
        }
        let call = BranchCall {
            gid: &spec.gid,
            mode: spec.mode,
            branch_id,
            op,
            url,
            protocol: Protocol::Http,
            payload: &bytes::Bytes::new(),
            headers: None,
            timeout,
        };
        Ok(self.caller.call(&call).await)
    }

    async fn later(&self, hold: &Hold) -> Result<(), Over> {
        let options = &hold.taken.global.spec.options;
        let interval = options.retry_interval.unwrap_or(Duration::from_secs(1));
        self.rest(hold, self.node.redis_now().plus(interval)).await
    }

    async fn rest(&self, hold: &Hold, due_at: Timestamp) -> Result<(), Over> {
        let record = next(hold, hold.taken.global.state.clone(), false);
        while self.store.rest(&record, due_at).await.is_err() {
            self.node.sleep(Duration::from_millis(100)).await;
        }
        Err(Over)
    }

    async fn record(&self, hold: &mut Hold, state: State, promoted: bool) -> Result<(), Over> {
        let record = next(hold, state, promoted);
        loop {
            let reply = if record.state.status.is_final() {
                self.store.finish(&record).await
            } else {
                self.store.record(&record).await
            };
            match reply {
                Ok(Recorded::Refused) if self.flaw != Flaw::IgnoresRefusals => return Err(Over),
                Ok(_) => break,
                Err(_) => self.node.sleep(Duration::from_millis(100)).await,
            }
        }
        hold.taken.n = record.n;
        hold.taken.global.state = record.state;
        Ok(())
    }
}

/// When what is prepared is decided.
fn decided_at(hold: &Hold) -> Timestamp {
    let global = &hold.taken.global;
    let timeout = global.spec.options.timeout_to_fail.unwrap_or(Duration::from_secs(35));
    global.created_at.plus(timeout)
}

fn next(hold: &Hold, state: State, promoted: bool) -> Record {
    Record {
        gid: hold.taken.global.gid().clone(),
        token: hold.token.clone(),
        n: hold.taken.n + 1,
        created_at: hold.taken.global.created_at,
        state,
        promoted,
        durability: Durability::Memory,
    }
}

fn branch_id(step: usize) -> String {
    format!("{:02}", step + 1)
}
