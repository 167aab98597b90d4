//! The way between one node and the participants.

use std::{panic::resume_unwind, sync::Arc, time::Duration};

use tandem::{
    branch::Caller,
    model::{BranchCall, Gid, Op, Outcome, Protocol},
};
use tokio::sync::oneshot;

use super::{
    call_rules::{OwnCalls, fault_of},
    counts::Count,
    node::Node,
    participants::{Arrival, ERR_AFTER},
    world::World,
};

/// A slow call arrives at most this much after it was made.
pub(crate) const SLOW_CALL_MS_MAX: u64 = 12_000;

/// The participants as one node sees them.
#[derive(Clone, Debug)]
pub(crate) struct FaultyCaller {
    node: Arc<Node>,
    own_calls: Arc<OwnCalls>,
}

impl FaultyCaller {
    /// The participants as `node` sees them.
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self { node, own_calls: Arc::default() }
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
        let faults = [fault_of(&world, node, call), self.own_calls.fault_of(node, call)];
        for fault in faults.into_iter().flatten() {
            world.fault(format!("{} calls {what}: {fault}", node.name));
        }
        let _under_way = self.own_calls.enter(node, call);
        node.perhaps_falter("before a call").await;
        if node.is_in_weather() && world.chance(&["panic", &what]).happens(world.weather.panic) {
            world.throws();
            world.trace(|| format!("{} PANICS at a call of {what}", node.name));
            // As a panic, without a message on the terminal.
            resume_unwind(Box::new("simulated"));
        }
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
            let is_resumed = arrival.op == Op::Resume;
            let gid = arrival.gid.clone();
            let mut answer = arrive(&caller, arrival, sender.is_closed());
            if is_resumed {
                answer = resume(&caller.world, &gid, answer).await;
            }
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
        if outcome == Outcome::Success {
            self.own_calls.succeeded(node, call);
        }
        world.trace(|| format!("{} got of {what}: {outcome:?}", node.name));
        outcome
    }

    fn check_url(&self, _url: &str, _protocol: Protocol) -> Result<(), String> {
        Ok(())
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

/// Runs the program if the participant does so before it answers.
async fn resume(world: &World, gid: &Gid, answer: Outcome) -> Outcome {
    match answer {
        Outcome::Success => world.resume(gid).await,
        Outcome::Unknown(text) if text == ERR_AFTER => {
            world.resume(gid).await;
            Outcome::Unknown(text)
        }
        Outcome::Failure(_) | Outcome::Ongoing | Outcome::Unknown(_) | Outcome::Busy => answer,
    }
}

fn is_holder(world: &World, node: &Node, arrival: &Arrival) -> bool {
    let holder = world.store.entry(&arrival.gid).and_then(|entry| entry.holder);
    holder.is_some_and(|token| is_of(token.as_str(), &node.name))
}

/// Whether `token` was given out by the start called `name`.
pub(crate) fn is_of(token: &str, name: &str) -> bool {
    token.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'))
}
