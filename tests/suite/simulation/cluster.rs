//! The live nodes, and the way of a client's request to one of them and back.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::support::rng::Rng;

use super::{counts::Count, server::Server, world::World};

/// A client waits this long for an answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// All nodes, by number.
pub(crate) struct Cluster {
    pub(crate) world: Arc<World>,
    live: Mutex<BTreeMap<u64, Arc<Server>>>,
    /// Which node each client asked last: often it asks the same again.
    asked: Mutex<BTreeMap<String, u64>>,
}

/// What a client knows of its request.
#[derive(Debug)]
pub(crate) enum Heard<T> {
    /// Its answer.
    Answer(T),
    /// Nothing: it may have been done.
    Nothing,
    /// No node was there to take it.
    Nobody,
}

impl Cluster {
    /// No node yet.
    pub(crate) fn new(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self { world: Arc::clone(world), live: Mutex::default(), asked: Mutex::default() })
    }

    /// Node `number` takes requests.
    pub(crate) fn joined(&self, number: u64, server: &Arc<Server>) {
        self.live().insert(number, Arc::clone(server));
    }

    /// Node `number` is dead.
    pub(crate) fn left(&self, number: u64) {
        self.live().remove(&number);
    }

    /// Those that live.
    pub(crate) fn live_ones(&self) -> Vec<Arc<Server>> {
        self.live().values().cloned().collect()
    }

    /// Has some node do what `handle` does; the request, the answer, the client or the node may get
    /// lost on the way.
    pub(crate) async fn request<T, F>(
        &self,
        client: &str,
        handle: impl FnOnce(Arc<Server>) -> F,
    ) -> Heard<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let world = &self.world;
        let weather = &world.weather;
        let mut rng = world.chance(&["request", client]);
        let Some(server) = self.choose(client, &mut rng) else { return Heard::Nobody };
        // A node may stand still, and Redis not answer, a little longer than the weather lasts.
        let is_calm = world.elapsed() > weather.clears_up_at + PATIENCE;
        let is_in_weather = server.node.is_in_weather();
        tokio::time::sleep(rng.up_to_ms(weather.http_ms_max)).await;
        if is_in_weather && rng.happens(weather.lost_http) {
            world.trace(|| format!("{client}: the request is lost"));
            tokio::time::sleep(PATIENCE).await;
            return Heard::Nothing;
        }
        let is_answer_lost = is_in_weather && rng.happens(weather.lost_http);
        let leaves_after = (is_in_weather && rng.happens(weather.client_leaves))
            .then(|| rng.up_to_ms(weather.redis_ms_max * 4 + 10));
        let (sender, receiver) = oneshot::channel();
        let handled = handle(Arc::clone(&server));
        let node = Arc::clone(&server.node);
        let handler = tokio::spawn(async move {
            node.gate().await;
            let answer = handled.await;
            node.gate().await;
            drop(sender.send(answer));
        });
        let leaves = async {
            match leaves_after {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = leaves => {
                // The server drops what it does for a connection that is closed.
                handler.abort();
                world.counts.one(Count::ClientLeft);
                world.trace(|| format!("{client}: leaves before {} answers", server.node.name));
                Heard::Nothing
            }
            () = server.node.died() => Heard::Nothing,
            answer = receiver => match answer {
                Ok(answer) if !is_answer_lost => {
                    tokio::time::sleep(rng.up_to_ms(weather.http_ms_max)).await;
                    Heard::Answer(answer)
                }
                Ok(_) => {
                    world.trace(|| format!("{client}: the answer is lost"));
                    Heard::Nothing
                }
                Err(_) => {
                    world.fault(format!("{client}: the handler on {} panicked", server.node.name));
                    Heard::Nothing
                }
            },
            () = tokio::time::sleep(PATIENCE) => {
                handler.abort();
                if is_calm {
                    world.fault(format!("{client}: no answer within {PATIENCE:?}"));
                }
                Heard::Nothing
            }
        }
    }

    fn choose(&self, client: &str, rng: &mut Rng) -> Option<Arc<Server>> {
        let live = self.live();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let again =
            asked.get(client).filter(|_| rng.happens(600)).and_then(|at| live.get_key_value(at));
        let nth = rng.index(live.len().max(1));
        let (number, server) = again.or_else(|| live.iter().nth(nth))?;
        asked.insert(client.to_owned(), *number);
        Some(Arc::clone(server))
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Server>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
