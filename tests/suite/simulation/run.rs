//! One run from a seed: nodes that crash and start again, clients, and a look at what is left.

use std::{future::Future, sync::Arc, time::Duration};

use crate::support::rng::Rng;

use super::{
    client::Client, faulty_caller, faulty_store, invariants, node::Node, workload, world::World,
};

/// A run that has not ended by then never ends.
const PATIENCE: Duration = Duration::from_mins(30);

/// The result of one run.
pub(crate) struct Run {
    pub(crate) world: Arc<World>,
    pub(crate) broken: Vec<String>,
}

/// Runs `seed`, each start of a node being `start`.
pub(crate) fn run<F>(seed: u64, is_traced: bool, start: impl Fn(Arc<Node>) -> F) -> Run
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let world = World::new(seed, is_traced);
        world.trace(|| format!("{:?}", world.weather));
        let broken = play(&world, &start).await;
        Run { world, broken }
    })
}

async fn play<F>(world: &Arc<World>, start: &impl Fn(Arc<Node>) -> F) -> Vec<String>
where
    F: Future<Output = ()> + Send + 'static,
{
    let plans = workload::plans(world.seed);
    for plan in plans.values() {
        world.trace(|| format!("{plan:?}"));
        tokio::spawn(Client::new(world, plan.clone()).run());
    }
    let nodes = 1 + Rng::of(world.seed, &["nodes"]).below(3);
    let (starter, mut starts) = tokio::sync::mpsc::unbounded_channel();
    for number in 1..=nodes {
        starter.send((number, 1_u64)).ok();
    }
    let keeper = async {
        while let Some((number, life)) = starts.recv().await {
            let node = Node::new(format!("node{number}.{life}"), Arc::clone(world));
            world.trace(|| format!("{} starts", node.name));
            tokio::spawn(start(Arc::clone(&node)));
            let starter = starter.clone();
            let away = world.chance(&["away"]).up_to_ms(6_000);
            tokio::spawn(async move {
                node.died().await;
                tokio::time::sleep(away).await;
                starter.send((number, life + 1)).ok();
            });
        }
    };
    if let Some((at, by)) = world.weather.clock_jump {
        let world = Arc::clone(world);
        tokio::spawn(async move {
            tokio::time::sleep(at).await;
            let time = world.store.time();
            time.set(time.now().plus(by));
            world.trace(|| format!("Redis's clock is put forward by {by:?}"));
        });
    }
    let end = async {
        // What is late comes at last, and must change nothing.
        let late_ms = faulty_store::LATE_COPY_MS_MAX.max(faulty_caller::SLOW_CALL_MS_MAX);
        let settled_at = world.weather.clears_up_at + Duration::from_millis(late_ms) * 2;
        tokio::time::sleep(settled_at).await;
        while !has_ended(world) && world.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
    };
    tokio::select! {
        biased;
        () = end => {}
        () = keeper => {}
    }
    invariants::broken(world, &plans)
}

fn has_ended(world: &World) -> bool {
    world.store.entries().values().all(|entry| entry.state.status.is_final())
}
