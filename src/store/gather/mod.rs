//! Gathers the items that are asked for at the same time into one call of their script: while one
//! call is under way, the next one fills. A second one goes out beside it as soon as it is worth a
//! call, so that Redis has work while the answers of the first are on their way.
//!
//! A task of its own sends the calls, so that a caller that goes away leaves its batch whole. On a
//! Cluster a call is for one slot, and each slot has its own calls ([`slots`]).

mod queue;
mod slots;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{
    future::join_all,
    stream::{FuturesUnordered, StreamExt},
};
use redis::{Cmd, Value};
use tokio::sync::oneshot;

use crate::{
    clock::{Clock, Observed, SystemClock},
    model::Timestamp,
    telemetry::metrics::{Metrics, ScriptMetrics},
};

use super::{
    StoreError,
    connection::Failure,
    item::{Item, evalsha},
    scripts::ScriptName,
    servers::{Attempt, Lane, Node, Servers},
};
use queue::{Entrance, Exit, queue};

/// The most bytes of one call's items, so that no call keeps Redis from the others for long.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// The most calls under way at once. Two keep Redis busy; more would only be smaller.
const CALLS_MAX: usize = 2;

/// The fewest items of a call that goes out beside another one: an item of a smaller call would cost
/// Redis notably more.
const BESIDE_MIN: usize = 16;

/// What the gathers of one store have in common.
pub(super) struct Shared {
    pub(super) clock: Arc<SystemClock>,
    pub(super) metrics: Arc<Metrics>,
    /// How long one try may take; a lost answer leaves time for a second one.
    pub(super) try_timeout: Duration,
    /// The most items of one call.
    pub(super) batch_items_max: usize,
}

/// The queue of one script.
pub(super) struct Gather {
    queue: Entrance,
}

/// What a script answered for one item.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// Redis's time when the script ran.
    pub(super) now: Timestamp,
    pub(super) value: Value,
}

/// An item that waits for its call or its answer.
struct Waiting {
    item: Item,
    answer: oneshot::Sender<Result<Answer, StoreError>>,
    /// By the monotonic clock.
    deadline: Duration,
}

impl Gather {
    /// Starts the task that calls `script` on `servers`; it ends when this is dropped and all that
    /// was asked for is answered. `head` is the first argument of every call, if there is one.
    pub(super) fn start(
        script: ScriptName,
        head: Option<String>,
        servers: Arc<Servers>,
        lane: Lane,
        shared: Arc<Shared>,
    ) -> Self {
        let (queue, exit) = queue();
        let called = shared.metrics.script(script.as_str());
        let is_cluster = servers.is_cluster();
        let caller = Caller { script, head, servers, lane, shared, called };
        if is_cluster {
            tokio::spawn(slots::run(caller, exit));
        } else {
            tokio::spawn(caller.run(exit));
        }
        Self { queue }
    }

    /// What the script answers for `item`, at the latest when the monotonic clock shows `deadline`.
    pub(super) async fn call(&self, item: Item, deadline: Duration) -> Result<Answer, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue.push(Waiting { item, answer, deadline });
        // A task that is gone without an answer may have sent it.
        answered.await.unwrap_or_else(|_| Err(StoreError::Unanswered("it stopped".to_owned())))
    }
}

struct Caller {
    script: ScriptName,
    head: Option<String>,
    servers: Arc<Servers>,
    lane: Lane,
    shared: Arc<Shared>,
    called: ScriptMetrics,
}

impl Caller {
    async fn run(self, queue: Exit) {
        let mut calls = FuturesUnordered::new();
        loop {
            let least = if calls.is_empty() { 1 } else { BESIDE_MIN };
            tokio::select! {
                biased;
                Some(()) = calls.next() => {}
                has_items = queue.reaches(least), if calls.len() < CALLS_MAX => {
                    if !has_items {
                        break;
                    }
                    let batch = queue.with(|items| self.next_batch(items));
                    if !batch.is_empty() {
                        calls.push(self.call_batch(batch));
                    }
                }
            }
        }
        while calls.next().await.is_some() {}
    }

    /// Takes the next call's items. Those for which it is too late are not sent, and told so: their
    /// call would be given up for all when their time is over, which is too soon for a good answer.
    fn next_batch(&self, waiting: &mut VecDeque<Waiting>) -> Vec<Waiting> {
        let too_late = self.shared.clock.monotonic() + self.shared.try_timeout / 8;
        let items_max = self.shared.batch_items_max;
        let mut batch = Vec::with_capacity(waiting.len().min(items_max));
        let mut n_bytes = 0;
        while batch.len() < items_max
            && let Some(next) = waiting.pop_front()
        {
            if next.answer.is_closed() {
                continue;
            }
            if next.deadline <= too_late {
                let text = "earlier calls were not answered in time".to_owned();
                let _ = next.answer.send(Err(StoreError::Unreachable(text)));
                continue;
            }
            n_bytes += next.item.len();
            if n_bytes > BATCH_BYTES_MAX && !batch.is_empty() {
                waiting.push_front(next);
                break;
            }
            batch.push(next);
        }
        // Stable, so that those of one bucket stay in their order.
        batch.sort_by(|one, next| one.item.first_shared_key().cmp(next.item.first_shared_key()));
        batch
    }

    async fn call_batch(&self, batch: Vec<Waiting>) {
        let first_deadline = batch.iter().map(|waiting| waiting.deadline).min();
        match self.call(&batch, first_deadline.unwrap_or_default()).await {
            Ok(replies) => {
                for (waiting, reply) in batch.into_iter().zip(replies) {
                    // A caller that went away needs no answer.
                    let _ = waiting.answer.send(Ok(reply));
                }
            }
            // A second try may be answered, or tell which item it is that fails.
            Err(Failure::NoAnswer(_)) => self.repeat(batch, true).await,
            Err(Failure::Refused(_)) if batch.len() > 1 => self.repeat(batch, false).await,
            Err(failure) => {
                for waiting in batch {
                    let error = failure.clone().into_error(self.script.as_str(), false);
                    let _ = waiting.answer.send(Err(error));
                }
            }
        }
    }

    /// Repeats each item by itself, once, all at the same time.
    async fn repeat(&self, batch: Vec<Waiting>, was_sent: bool) {
        join_all(batch.into_iter().map(async |waiting| {
            let replies = self.call(std::slice::from_ref(&waiting), waiting.deadline).await;
            let error = match replies.map(|mut replies| replies.pop()) {
                Ok(Some(answer)) => return drop(waiting.answer.send(Ok(answer))),
                Ok(None) => Failure::Refused("it answered nothing".to_owned()),
                Err(failure) => failure,
            };
            let error = error.into_error(self.script.as_str(), was_sent);
            let _ = waiting.answer.send(Err(error));
        }))
        .await;
    }

    /// Calls the script for `batch`; answers a reply for each item, in order.
    async fn call(&self, batch: &[Waiting], deadline: Duration) -> Result<Vec<Answer>, Failure> {
        let items = batch.iter().map(|waiting| &waiting.item);
        let hash = self.script.script().get_hash();
        let command = evalsha(hash, self.head.as_deref(), items);
        let started = self.shared.clock.monotonic();
        let call = Call { caller: self, batch, command };
        let left = deadline.saturating_sub(started);
        let replies = self.servers.send(&call, left, self.shared.try_timeout).await;
        if replies.is_ok() {
            self.called.called(batch.len(), self.shared.clock.monotonic().saturating_sub(started));
        } else {
            self.shared.metrics.redis_errors.increment(1);
        }
        replies
    }
}

/// One call of a script.
struct Call<'a> {
    caller: &'a Caller,
    batch: &'a [Waiting],
    command: Cmd,
}

impl Attempt for Call<'_> {
    /// A reply for each item, in order.
    type Answer = Vec<Answer>;

    fn slot(&self) -> u16 {
        self.batch.first().map_or(0, |waiting| waiting.item.slot())
    }

    async fn try_on(
        &self,
        node: &Node,
        once: bool,
        bound: Duration,
    ) -> Result<Vec<Answer>, Failure> {
        let Caller { script, lane, shared, .. } = self.caller;
        let line = node.line(*lane);
        let until = shared.clock.monotonic() + bound;
        let mut sent = line.send_as(&self.command, once, bound).await;
        if let Err(Failure::NoScript) = sent {
            let left = || until.saturating_sub(shared.clock.monotonic());
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD").arg(script.source());
            sent = match line.send(&load, left()).await {
                Ok(_) => line.send_as(&self.command, once, left()).await,
                // Loading has no effect that could be unknown.
                Err(Failure::NoAnswer(text)) => Err(Failure::NotDone(text)),
                Err(failure) => Err(failure),
            };
        }
        let replies = shared.read(node, sent?).filter(|replies| replies.len() == self.batch.len());
        replies.ok_or_else(|| Failure::Refused("its reply cannot be read".to_owned()))
    }
}

impl Shared {
    /// Takes Redis's time from a script's reply, and answers the items' replies.
    fn read(&self, node: &Node, reply: Value) -> Option<Vec<Answer>> {
        let Value::Array(values) = reply else { return None };
        let mut values = values.into_iter();
        let Some(Value::Int(now)) = values.next() else { return None };
        let now = Timestamp::from_us(u64::try_from(now).ok()?);
        self.observe(node, now);
        Some(values.map(|value| Answer { now, value }).collect())
    }

    /// Takes `now` for the time of `node` at this moment.
    pub(super) fn observe(&self, node: &Node, now: Timestamp) {
        let observed = match &node.clock {
            Some(clock) => self.clock.observe_master(clock, now),
            None => self.clock.observe(now),
        };
        match observed {
            Observed::Steady => {}
            Observed::Jumped { by_us } => {
                self.metrics.clock_jumps.increment(1);
                tracing::warn!(by_us, "Redis's clock jumped against this node's");
            }
        }
    }
}
