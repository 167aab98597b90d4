//! The store on a real Redis, through the trait that all others know it by.

mod batches;
mod connecting;
mod flash;
mod large_bodies;
mod leftovers;
mod lifecycle;
pub(crate) mod listing;
mod listing_changes;
mod listing_load;
mod outages;
mod registered;
mod shards;

use std::{sync::Arc, time::Duration};

use tandem::{
    clock::SystemClock,
    model::{Token, Tokens},
    store::{RedisStore, Store, StoreSettings, Submit, Submitted, TakeReply, Taken},
    telemetry::metrics::Metrics,
};

use crate::support::{
    cluster::Routed,
    redis::{fresh_name, redis_url},
};

/// A store with keys of its own, and what a test asks of it besides.
pub(crate) struct TestStore {
    pub(crate) store: RedisStore,
    pub(crate) clock: Arc<SystemClock>,
    pub(crate) metrics: Arc<Metrics>,
    /// With which its keys begin; also a gid of its own.
    pub(crate) name: String,
    url: String,
    tokens: Tokens,
}

impl TestStore {
    /// One on the server that all tests share.
    pub(crate) async fn new() -> Self {
        Self::with(redis_url(), |_| {}).await
    }

    /// One on the server at `url`, with `change` made to the usual settings.
    pub(crate) async fn with(url: &str, change: impl FnOnce(&mut StoreSettings)) -> Self {
        let name = fresh_name();
        let mut settings = StoreSettings {
            key_prefix: name.clone(),
            // Long, so that a busy machine fails no test by it.
            redis_timeout: Duration::from_secs(20),
            ..StoreSettings::default()
        };
        change(&mut settings);
        let clock = Arc::new(SystemClock::new());
        let metrics = Metrics::new().unwrap();
        let store =
            RedisStore::connect(url, settings, Arc::clone(&clock), Arc::clone(&metrics)).await;
        let tokens = Tokens::new(&name);
        Self { store: store.unwrap(), clock, metrics, name, url: url.to_owned(), tokens }
    }

    /// A token that is used nowhere else.
    pub(crate) fn token(&self) -> Token {
        self.tokens.next()
    }

    /// A blocking connection to its Redis.
    pub(crate) fn redis(&self) -> Routed {
        crate::support::redis::connect(&self.url)
    }

    /// The names of all its keys, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        let pattern = format!("{}:*", self.name);
        let mut keys: Vec<String> =
            redis::cmd("KEYS").arg(pattern).query(&mut self.redis()).unwrap();
        keys.sort();
        keys
    }

    /// Submits what is not stored yet, to be claimed at once.
    pub(crate) async fn queue(&self, item: Submit) {
        let reply = self.store.submit(item).await.unwrap();
        assert!(matches!(reply, Submitted::Created { held: false, .. }), "{reply:?}");
    }

    /// Claims all that is due in the shard of `gid`, and takes it.
    pub(crate) async fn claim(&self, item: &Submit, token: &Token) -> Taken {
        let gid = &item.spec.gid;
        let shard = self.store.shard_of(gid);
        let claimed = self.store.claim_due(shard, item.lease, 100).await.unwrap();
        let claimed = claimed.due.into_iter().find(|it| it.gid == *gid).expect("it is due");
        match self.store.take(gid, claimed.score, token).await.unwrap() {
            TakeReply::Taken(taken) => *taken,
            reply @ (TakeReply::Refused | TakeReply::Missing) => panic!("{reply:?}"),
        }
    }
}
