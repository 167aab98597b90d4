//! What must hold of each call at the moment at which a node makes it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tandem::{
    clock::Clock,
    model::{BranchCall, Gid, Mode, Op, Progress, Status, Token},
    pattern::prepared_timeout,
};

use super::{node::Node, server::POLICY, world::World};

/// The calls that one node made.
#[derive(Debug, Default)]
pub(crate) struct OwnCalls(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    /// Those that it waits for.
    under_way: Vec<Call>,
    /// Those of which it knows that they succeeded.
    succeeded: Vec<Call>,
    /// Those by which workflows were resumed, whatever became of them.
    resumed: Vec<Call>,
}

/// One of them: by another hold than before, it may be made again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    gid: Gid,
    token: Option<Token>,
    branch_id: String,
    op: Op,
}

impl Call {
    fn of(node: &Node, call: &BranchCall<'_>) -> Self {
        Self {
            gid: call.gid.clone(),
            token: node.grant(call.gid).map(|grant| grant.token),
            branch_id: call.branch_id.to_owned(),
            op: call.op,
        }
    }
}

impl OwnCalls {
    /// What is wrong with making this call beside those.
    pub(crate) fn fault_of(&self, node: &Node, call: &BranchCall<'_>) -> Option<String> {
        let call = Call::of(node, call);
        let calls = self.calls();
        if calls.under_way.contains(&call) {
            return Some("the same call is under way".to_owned());
        }
        if calls.succeeded.contains(&call) {
            return Some("it has succeeded under the same hold".to_owned());
        }
        if calls.resumed.contains(&call) {
            return Some("it was resumed under the same hold already".to_owned());
        }
        let is_action = |other: &&Call| {
            other.op == Op::Action && other.gid == call.gid && other.token == call.token
        };
        let action =
            calls.under_way.iter().find(is_action).filter(|_| call.op == Op::Compensate)?;
        Some(format!("action {} is under way", action.branch_id))
    }

    /// It is under way until what this answers is dropped.
    pub(crate) fn enter(self: &Arc<Self>, node: &Node, call: &BranchCall<'_>) -> impl Drop + use<> {
        let call = Call::of(node, call);
        let mut calls = self.calls();
        calls.under_way.push(call.clone());
        if call.op == Op::Resume {
            calls.resumed.push(call.clone());
        }
        drop(calls);
        Entered { all: Arc::clone(self), call }
    }

    /// Its node heard that it succeeded.
    pub(crate) fn succeeded(&self, node: &Node, call: &BranchCall<'_>) {
        self.calls().succeeded.push(Call::of(node, call));
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Entered {
    all: Arc<OwnCalls>,
    call: Call,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let under_way = &mut self.all.calls().under_way;
        if let Some(at) = under_way.iter().position(|call| *call == self.call) {
            under_way.remove(at);
        }
    }
}

/// What is wrong with making this call now, by what is stored: nothing is called before the state
/// is stored from which a successor would call it too.
pub(crate) fn fault_of(world: &World, node: &Node, call: &BranchCall<'_>) -> Option<String> {
    let Some(entry) = world.store.entry(call.gid) else {
        return Some("nothing is stored".to_owned());
    };
    let Some(grant) = node.grant(call.gid) else {
        return Some("it was never granted a hold".to_owned());
    };
    if node.monotonic() >= grant.until {
        return Some(format!("its hold ended at {:?}", grant.until));
    }
    let is_holder = entry.holder.as_ref() == Some(&grant.token);
    let status = entry.state.status;
    if call.op == Op::QueryPrepared {
        let asked_from = entry.created_at.plus(prepared_timeout(&entry.spec, &POLICY));
        return if world.store.time().now() < asked_from {
            Some("it may be prepared for longer".to_owned())
        } else {
            (is_holder && status != Status::Prepared).then(|| format!("it is {status:?}"))
        };
    }
    if call.op == Op::Resume {
        // Whoever held it before its end may call once more: the end takes the hold, and says so
        // at the next write.
        return match (entry.spec.mode, is_holder) {
            (Mode::Workflow, true) if status != Status::Prepared => {
                Some(format!("it is resumed, and {status:?}"))
            }
            (Mode::Workflow, _) => None,
            (mode, _) => Some(format!("a {mode:?} is resumed")),
        };
    }
    let rows = entry.rows();
    let (row, _) = (0..rows.len())
        .filter_map(|row| Some((row, entry.spec.branch(row)?)))
        .find(|(_, branch)| branch.branch_id == call.branch_id && branch.op == call.op)?;
    let progress = rows.get(row)?.progress;
    if is_holder && matches!(progress, Progress::Succeeded | Progress::Failed) {
        return Some(format!("the row is stored as {progress:?}"));
    }
    if entry.state.not_before.is_some_and(|at| world.store.time().now() < at) {
        return Some("it is delayed for longer".to_owned());
    }
    // A call that has begun may reach its first await just after that: its answer is awaited.
    let since = world.store.time().now().since(entry.updated_at);
    let is_just_decided = status == Status::Aborting && since < Duration::from_millis(1);
    match (call.op, entry.spec.mode) {
        // A message is never undone: a successor calls whatever is not done.
        (Op::Action, Mode::Saga) if progress == Progress::NotStarted => {
            Some("that it may have run is not stored".to_owned())
        }
        (Op::Action, _) if is_holder && status != Status::Submitted && !is_just_decided => {
            Some(format!("an action of what is {status:?}"))
        }
        (Op::Compensate, Mode::Saga) if !matches!(status, Status::Aborting | Status::Failed) => {
            Some(format!("a compensation of what is {status:?}"))
        }
        (Op::Compensate, Mode::Message) => Some("a message has no compensation".to_owned()),
        (Op::Action | Op::Compensate, Mode::Saga | Mode::Message) => None,
        // A sale cannot be undone, so first it is stored that nothing will be.
        (Op::Confirm, Mode::Saga | Mode::Message) => {
            let mut actions = (0..entry.spec.steps.len()).map(|step| entry.spec.action_row(step));
            let are_done = actions.all(|row| rows[row].progress == Progress::Succeeded);
            let is_decided = are_done && matches!(status, Status::Submitted | Status::Succeed);
            (!is_decided).then(|| format!("a sale of what is {status:?}, all done: {are_done}"))
        }
        // Whoever holds it: the decision for one excludes the other for good.
        (Op::Confirm, Mode::Tcc) | (Op::Commit, Mode::Xa) => {
            let is_forced = entry.request.as_ref().is_some_and(|token| world.was_forced(token));
            let is_decided = matches!(status, Status::Submitted | Status::Succeed)
                || (status == Status::Failed && is_forced);
            (!is_decided).then(|| format!("a {:?} of what is {status:?}", call.op))
        }
        (Op::Cancel, Mode::Tcc) | (Op::Rollback, Mode::Xa) => {
            (!matches!(status, Status::Aborting | Status::Failed))
                .then(|| format!("a {:?} of what is {status:?}", call.op))
        }
        (op, mode) => Some(format!("{op:?} of a {mode:?}, which no client began here")),
    }
}
