//! The way between one node and the participants, and what must hold of each call at the moment
//! that it is made.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tandem::{
    branch::Caller,
    clock::Clock,
    model::{BranchCall, Mode, Op, Outcome, Progress, Protocol, Status},
};
use tokio::sync::oneshot;

use super::{counts::Count, node::Node, participants::Arrival, world::World};

/// A slow call arrives at most this much after it was made.
pub(crate) const SLOW_CALL_MS_MAX: u64 = 30_000;

/// The participants as one node sees them.
#[derive(Clone, Debug)]
pub(crate) struct FaultyCaller {
    node: Arc<Node>,
    under_way: Arc<Mutex<BTreeSet<String>>>,
}

impl FaultyCaller {
    /// The participants as `node` sees them.
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self { node, under_way: Arc::default() }
    }

    /// How long the call takes there, and its answer back.
    fn way(&self, call: &BranchCall<'_>) -> (Duration, Duration) {
        let world = &self.node.world;
        let key = ["call", &self.node.name, call.gid.as_str(), call.branch_id, call.op.as_str()];
        let mut rng = world.chance(&key);
        let weather = &world.weather;
        if !self.node.is_in_weather() {
            return (Duration::from_millis(1), Duration::from_millis(1));
        }
        let ms_max = weather.branch_ms_max;
        if rng.happens(weather.slow_branch) {
            (rng.up_to_ms(SLOW_CALL_MS_MAX), rng.up_to_ms(ms_max))
        } else {
            (rng.up_to_ms(ms_max), rng.up_to_ms(ms_max))
        }
    }
}

impl Caller for FaultyCaller {
    async fn call(&self, call: &BranchCall<'_>) -> Outcome {
        let node = &self.node;
        let world = Arc::clone(&node.world);
        world.counts.one(Count::BranchCall);
        let what = format!("{} {} {}", call.gid, call.branch_id, call.op.as_str());
        if let Some(fault) = fault_of(&world, node, call) {
            world.fault(format!("{} calls {what}: {fault}", node.name));
        }
        // By another hold than before, it may be called again.
        let grant = node.grant(call.gid);
        let key = format!("{what} {:?}", grant.map(|grant| grant.token));
        let Some(_guard) = UnderWay::enter(&self.under_way, key) else {
            world.fault(format!("{} calls {what} while the same call is under way", node.name));
            return Outcome::Unknown("under way".to_owned());
        };
        node.perhaps_falter("before a call").await;
        let is_busy = world.chance(&["busy", &node.name, &what]).happens(world.weather.busy);
        if node.is_in_weather() && is_busy {
            return Outcome::Busy;
        }
        let (there, back) = self.way(call);
        let (sender, receiver) = oneshot::channel();
        let arrival = Arrival {
            gid: call.gid.clone(),
            branch_id: call.branch_id.to_owned(),
            op: call.op,
            is_late: false,
        };
        let caller = Arc::clone(node);
        tokio::spawn(async move {
            tokio::time::sleep(there).await;
            let answer = arrive(&caller, arrival, sender.is_closed());
            tokio::time::sleep(back).await;
            drop(sender.send(answer));
        });
        node.perhaps_falter("during a call").await;
        let outcome = match tokio::time::timeout(call.timeout, receiver).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Outcome::Unknown("timed out".to_owned()),
        };
        node.perhaps_falter("after a call").await;
        let outcome = world.flaw.outcome(outcome);
        world.trace(|| format!("{} got of {what}: {outcome:?}", node.name));
        outcome
    }

    fn check_url(&self, _url: &str, _protocol: Protocol) -> Result<(), String> {
        Ok(())
    }
}

/// One call that this node waits for.
struct UnderWay {
    all: Arc<Mutex<BTreeSet<String>>>,
    what: String,
}

impl UnderWay {
    /// `None` if this node waits for the same call already, under the same hold.
    fn enter(all: &Arc<Mutex<BTreeSet<String>>>, what: String) -> Option<Self> {
        let is_new = all.lock().unwrap_or_else(PoisonError::into_inner).insert(what.clone());
        is_new.then(|| Self { all: Arc::clone(all), what })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.what);
    }
}

fn arrive(node: &Node, mut arrival: Arrival, is_given_up: bool) -> Outcome {
    let world = &node.world;
    arrival.is_late = is_given_up || node.is_dead() || !is_holder(world, node, &arrival);
    if arrival.is_late {
        world.counts.one(Count::LateCall);
    }
    let outcome = world.participants().answer(&arrival, world.seed, &world.weather);
    world.trace(|| {
        let late = if arrival.is_late { " LATE" } else { "" };
        let Arrival { gid, branch_id, op, .. } = &arrival;
        format!("{gid} {branch_id} {} of {}{late}: {outcome:?}", op.as_str(), node.name)
    });
    outcome
}

fn is_holder(world: &World, node: &Node, arrival: &Arrival) -> bool {
    let holder = world.store.entry(&arrival.gid).and_then(|entry| entry.holder);
    holder.is_some_and(|token| is_of(token.as_str(), &node.name))
}

/// Whether `token` was given out by the start called `name`.
pub(crate) fn is_of(token: &str, name: &str) -> bool {
    token.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'))
}

/// What is wrong with making this call now, by what is stored: nothing is called before the state
/// is stored from which a successor would call it too.
fn fault_of(world: &World, node: &Node, call: &BranchCall<'_>) -> Option<String> {
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
        let is_asked_late = is_holder && status != Status::Prepared;
        return is_asked_late.then(|| format!("it is {status:?}"));
    }
    let (row, _) = (0..entry.state.rows.len())
        .filter_map(|row| Some((row, entry.spec.branch(row)?)))
        .find(|(_, branch)| branch.branch_id == call.branch_id && branch.op == call.op)?;
    let progress = entry.state.rows.get(row)?.progress;
    if is_holder && matches!(progress, Progress::Succeeded | Progress::Failed) {
        return Some(format!("the row is stored as {progress:?}"));
    }
    if entry.state.not_before.is_some_and(|at| world.store.time().now() < at) {
        return Some("it is delayed for longer".to_owned());
    }
    match (call.op, entry.spec.mode) {
        // A message is never undone: a successor calls whatever is not done.
        (Op::Action, Mode::Saga) if progress == Progress::NotStarted => {
            Some("that it may have run is not stored".to_owned())
        }
        (Op::Action, _) if is_holder && status != Status::Submitted => {
            Some(format!("an action of what is {status:?}"))
        }
        (Op::Compensate, Mode::Saga) if !matches!(status, Status::Aborting | Status::Failed) => {
            Some(format!("a compensation of what is {status:?}"))
        }
        (Op::Compensate, Mode::Message) => Some("a message has no compensation".to_owned()),
        (Op::Action | Op::Compensate | Op::QueryPrepared, Mode::Saga | Mode::Message) => None,
    }
}
