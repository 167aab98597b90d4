//! The real worker and service on a simulated node.

use std::{sync::Arc, time::Duration};

use tandem::{
    clock::Clock,
    cores::Cores,
    flash::{Flash, Sales},
    model::Timestamp,
    pattern::Policy,
    service::{Service, ServiceSettings},
    telemetry::metrics::Metrics,
    wire::Limits,
    worker::{Worker, WorkerSettings},
};

use crate::support::rng::Rng;

use super::{
    faulty_caller::FaultyCaller,
    faulty_store::FaultyStore,
    node::Node,
    sale::{SalePlan, Scene},
    shopper::UPKEEP_EVERY,
    world::World,
};

/// Where a transaction says nothing.
pub(crate) const POLICY: Policy = Policy {
    retry_interval: Duration::from_secs(2),
    request_timeout: Duration::from_secs(2),
    timeout_to_fail: Duration::from_secs(8),
    backoff_max: Duration::from_secs(5),
    busy_retry: Duration::from_millis(500),
    dead_letter_after: 0,
};

/// What holds in the run of `seed`: in half of them, errors park.
pub(crate) fn policy(seed: u64) -> Policy {
    let dead_letter_after = [0, 0, 0, 1, 2, 3][Rng::of(seed, &["parking"]).index(6)];
    Policy { dead_letter_after, ..POLICY }
}

/// The use cases as a client's request finds them.
pub(crate) type RealService = Service<FaultyStore, FaultyCaller, Node>;

/// What one start of a node runs.
pub(crate) struct Server {
    pub(crate) node: Arc<Node>,
    pub(crate) worker: Arc<Worker<FaultyStore, FaultyCaller, Node>>,
    pub(crate) service: Arc<RealService>,
    pub(crate) flash: Arc<Flash<FaultyStore, Node>>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Server {
    /// Starts to work on `node`.
    pub(crate) fn start(node: &Arc<Node>) -> Arc<Self> {
        let (worker_settings, service_settings) = settings(&node.world);
        let store = Arc::new(FaultyStore::new(Arc::clone(node)));
        let caller = Arc::new(FaultyCaller::new(Arc::clone(node)));
        let metrics = Metrics::new().unwrap();
        let worker = Worker::new(
            Arc::clone(&store),
            Arc::clone(&caller),
            Arc::clone(node),
            Arc::clone(&metrics),
            &node.name,
            worker_settings,
        );
        let sales = Arc::new(Sales::new(Arc::clone(&store), Arc::clone(node)));
        let flash = Flash::new(
            Arc::clone(&store),
            Arc::clone(&sales),
            Arc::clone(node),
            Arc::clone(&metrics),
            &node.name,
        );
        let service = Service::new(
            Arc::clone(&worker),
            store,
            caller,
            Arc::clone(node),
            Arc::clone(&metrics),
            service_settings,
        );
        worker.start(Cores::here());
        if SalePlan::of(node.world.seed, node.world.scene, Timestamp::default()).is_some() {
            let node = Arc::clone(node);
            tokio::spawn(async move {
                loop {
                    node.sleep(UPKEEP_EVERY).await;
                    sales.upkeep().await;
                }
            });
        }
        let service = Arc::new(service);
        Arc::new(Self { node: Arc::clone(node), worker, service, flash, metrics })
    }

    /// What its metrics say that must not be so of a node with nothing to do.
    pub(crate) fn leaks(&self) -> Vec<String> {
        let page = self.metrics.render();
        let is_leak = |line: &&str| {
            let value = ["tandem_in_work ", "tandem_queue "].map(|name| line.strip_prefix(name));
            value.into_iter().flatten().any(|value| value != "0")
        };
        page.lines().filter(is_leak).map(|line| format!("{}: {line}", self.node.name)).collect()
    }
}

/// Of some seeds the places are few, so that requests queue and are turned away.
fn settings(world: &World) -> (WorkerSettings, ServiceSettings) {
    let seed = world.seed;
    let mut rng = Rng::of(seed, &["settings"]);
    let worker = WorkerSettings {
        in_work_max: [1, 2, 64][rng.index(3)],
        policy: policy(seed),
        ..WorkerSettings::default()
    };
    let service = ServiceSettings {
        limits: Limits { steps_max: 10 },
        queue_max: [0, 1, 16][rng.index(3)],
        backlog_max: [2, 1_000][rng.index(2)],
        answer_timeout: Duration::from_secs(1 + rng.below(8)),
    };
    match world.scene {
        Scene::Storm => (worker, service),
        Scene::Shop => (
            WorkerSettings { in_work_max: 64, ..worker },
            ServiceSettings { queue_max: 16, backlog_max: 1_000, ..service },
        ),
    }
}
