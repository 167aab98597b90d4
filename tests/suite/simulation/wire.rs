//! The way of one command from a node to the store, and of its reply: both are delayed, lost,
//! delivered late and twice.

use std::{
    fmt,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use tandem::store::StoreError;
use tokio::sync::oneshot;

use crate::support::{model_store::ModelStore, rng::Rng};

use super::{counts::Count, node::Node, weather::server_of};

/// How long a node waits for a reply before it calls the command unanswered.
const REDIS_TIMEOUT: Duration = Duration::from_secs(2);

/// A copy of a command is executed at most this much later than the command.
pub(crate) const LATE_COPY_MS_MAX: u64 = 12_000;

/// One command to be sent.
#[derive(Clone, Copy)]
pub(crate) struct Wire<'a> {
    pub(crate) node: &'a Arc<Node>,
    pub(crate) kind: &'static str,
    pub(crate) gid: &'a str,
    /// Where it goes, if that is known.
    pub(crate) shard: Option<usize>,
}

/// What the way does with one command.
#[derive(Debug)]
struct Way {
    there: Duration,
    back: Duration,
    is_sent: bool,
    is_executed: bool,
    is_answered: bool,
    copy_after: Option<Duration>,
}

impl Wire<'_> {
    fn way(&self) -> Way {
        let world = &self.node.world;
        let weather = &world.weather;
        let mut rng = world.chance(&["redis", &self.node.name, self.kind, self.gid]);
        let mut way = Way {
            there: rng.up_to_ms(weather.redis_ms_max),
            back: rng.up_to_ms(weather.redis_ms_max),
            is_sent: true,
            is_executed: true,
            is_answered: true,
            copy_after: None,
        };
        if !self.node.is_in_weather() {
            return Way { there: Duration::ZERO, back: Duration::ZERO, ..way };
        }
        let (outage_from, outage_to) = weather.outage;
        let is_away = (outage_from..outage_to).contains(&world.elapsed())
            && weather.outage_of.is_none_or(|server| self.shard.map(server_of) == Some(server));
        way.is_sent = !is_away && !rng.happens(weather.unreachable);
        way.is_executed = !rng.happens(weather.lost_request);
        way.is_answered = way.is_executed && !rng.happens(weather.lost_reply);
        way.copy_after = rng.happens(weather.late_copy).then(|| late(&mut rng));
        way
    }

    /// Sends `command` and awaits its reply. What was sent is under way whether or not anybody still
    /// waits.
    pub(crate) async fn send<T: fmt::Debug + Send + 'static>(
        self,
        command: impl Fn(&ModelStore) -> Result<T, StoreError> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let Self { node, kind, gid, .. } = self;
        let world = &node.world;
        world.counts.one(Count::StoreCall);
        node.perhaps_falter(&format!("before {kind}")).await;
        let way = self.way();
        if !(way.is_sent && way.is_executed && way.is_answered) {
            world.counts.one(Count::StoreFault);
            world.trace(|| format!("{} {kind} {gid}: {way:?}", node.name));
        }
        if !way.is_sent {
            node.gate().await;
            return Err(StoreError::Unreachable("simulated".to_owned()));
        }
        // What a full Redis turned away is told to have had no effect: no copy of it is left.
        let was_full = Arc::new(AtomicBool::new(false));
        let is_full = Arc::clone(&was_full);
        let command = Arc::new(move |store: &ModelStore| {
            let reply = command(store);
            is_full.store(matches!(reply, Err(StoreError::Full)), Ordering::Relaxed);
            reply
        });
        if !gid.is_empty() {
            world.trace(|| format!("{} {kind} {gid}: is sent", node.name));
        }
        if let Some(after) = way.copy_after {
            world.counts.one(Count::LateCopy);
            let (command, world) = (Arc::clone(&command), Arc::clone(world));
            let (name, gid) = (node.name.clone(), gid.to_owned());
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                if was_full.load(Ordering::Relaxed) {
                    return;
                }
                world.trace(|| format!("{name} {kind} {gid}: a late copy is executed"));
                drop(command(&world.store));
            });
        }
        let reply = self.execute(&way, command).await;
        node.perhaps_falter(&format!("after {kind}")).await;
        if !gid.is_empty() {
            world.trace(|| format!("{} {kind} {gid}: hears {}", node.name, short(&reply)));
        }
        reply
    }

    async fn execute<T: Send + 'static>(
        &self,
        way: &Way,
        command: Arc<impl Fn(&ModelStore) -> Result<T, StoreError> + Send + Sync + 'static>,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let world = Arc::clone(&self.node.world);
        let (there, back) = (way.there, way.back);
        let (is_executed, is_answered) = (way.is_executed, way.is_answered);
        let deliver = async move {
            if !there.is_zero() {
                tokio::time::sleep(there).await;
            }
            let reply = is_executed.then(|| (command(&world.store), world.store.time().now()));
            if !back.is_zero() {
                tokio::time::sleep(back).await;
            }
            match reply {
                Some(reply) if is_answered => drop(sender.send(reply)),
                // The sender lives on, as a connection does on which nothing comes.
                Some(_) | None => pending::<()>().await,
            }
        };
        if there.is_zero() && back.is_zero() && is_answered {
            // No reply is there at once.
            tokio::task::yield_now().await;
            deliver.await;
        } else {
            tokio::spawn(deliver);
        }
        let reply = tokio::time::timeout(REDIS_TIMEOUT, receiver).await;
        // A node that stands still reads the reply late, and takes its time for the present one.
        self.node.gate().await;
        match reply {
            Ok(Ok((reply, executed_at))) => {
                self.node.clock.observe(executed_at);
                reply
            }
            Ok(Err(_)) | Err(_) => Err(StoreError::Unanswered("simulated".to_owned())),
        }
    }
}

/// The model's functions never wait.
pub(super) fn at_once<T>(
    reply: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    reply.now_or_never().unwrap_or_else(|| Err(StoreError::Unanswered("waits".to_owned())))
}

/// Half of the late copies come while the transaction is still in work.
fn late(rng: &mut Rng) -> Duration {
    let ms_max = if rng.happens(500) { 1_500 } else { LATE_COPY_MS_MAX };
    rng.up_to_ms(ms_max)
}

/// The first words of a reply: the trace is long enough.
fn short(reply: &impl fmt::Debug) -> String {
    let text = format!("{reply:?}");
    text[..text.floor_char_boundary(60)].to_owned()
}
