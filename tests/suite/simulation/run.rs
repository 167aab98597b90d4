//! One run from a seed: nodes that crash, stop and start again, clients, and a look at what is left.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::sleep};

use crate::support::rng::Rng;

use super::{
    client::{self, Client},
    cluster::Cluster,
    counts::Count,
    faulty_caller,
    flaw::Flaw,
    invariants, logs,
    node::Node,
    sale::{SalePlan, Scene},
    server::{self, Server},
    shopper, subscriber, wire, workload,
    world::World,
};

/// A run that has not ended this long after the weather cleared up never ends: it is more than all
/// whims of the participants, one after the other, each with the longest backoff.
const PATIENCE: Duration = Duration::from_mins(10);

/// A node that is told to stop has at most this long.
const STOP_MS_MAX: u64 = 6_000;

/// Nothing but what is parked rests for longer.
pub(crate) const AN_HOUR: Duration = Duration::from_hours(1);

/// The result of one run.
pub(crate) struct Run {
    pub(crate) world: Arc<World>,
    pub(crate) broken: Vec<String>,
}

/// Runs `seed` with one rule broken, or none.
pub(crate) fn run(seed: u64, is_traced: bool, flaw: Flaw) -> Run {
    run_scene(seed, Scene::Storm, is_traced, flaw)
}

/// Runs `seed` of a scene.
pub(crate) fn run_scene(seed: u64, scene: Scene, is_traced: bool, flaw: Flaw) -> Run {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    // The runtime is dropped here, and with it every task of every node, dead or not.
    runtime.unwrap().block_on(async {
        let world = World::new(seed, scene, is_traced, flaw);
        let _logs = logs::into(&world);
        world.trace(|| format!("{:?}", world.weather));
        let broken = play(&world).await;
        Run { world, broken }
    })
}

async fn play(world: &Arc<World>) -> Vec<String> {
    let plans = match world.scene {
        Scene::Storm => workload::plans(world.seed),
        Scene::Shop => BTreeMap::new(),
    };
    let cluster = Cluster::new(world);
    if let Some(wanted) = world.wanted_programs() {
        tokio::spawn(client::resume_all(Arc::clone(&cluster), plans.clone(), wanted));
    }
    if plans.values().any(|plan| plan.topics().next().is_some()) {
        subscriber::start_all(&cluster);
    }
    if server::policy(world.seed).dead_letter_after > 0 {
        tokio::spawn(resume_what_is_parked(Arc::clone(&cluster)));
    }
    let sale = SalePlan::of(world.seed, world.scene, world.store.time().now());
    if let Some(sale) = &sale {
        world.trace(|| format!("{:?}", sale.sale));
        let longer = if world.flaw == Flaw::HoldsForLonger { 2 } else { 1 };
        sale.open(&world.store, sale.sale.hold * longer);
        shopper::start_all(&cluster, sale);
    }
    for plan in plans.values() {
        world.trace(|| format!("{plan:?}"));
        tokio::spawn(Client::new(&cluster, plan.clone()).run());
    }
    if let Some((at, by)) = world.weather.clock_jump {
        let world = Arc::clone(world);
        tokio::spawn(async move {
            sleep(at).await;
            let time = world.store.time();
            time.set(time.now().plus(by));
            world.trace(|| format!("Redis's clock is put forward by {by:?}"));
        });
    }
    tokio::select! {
        biased;
        () = wait_for_the_end(world) => {}
        () = keep_nodes(&cluster) => {}
    }
    let mut broken = invariants::broken(world, &plans);
    for server in cluster.live_ones() {
        if !server.worker.drain(Duration::from_secs(5)).await {
            broken.push(format!("{} has places in work and nothing to do", server.node.name));
        }
        broken.extend(server.leaks());
    }
    broken
}

/// An operator who looks now and then, and makes due what rests for ever, and nothing else.
async fn resume_what_is_parked(cluster: Arc<Cluster>) {
    let mut rng = Rng::of(cluster.world.seed, &["operator"]);
    loop {
        sleep(Duration::from_secs(4) + rng.up_to_ms(8_000)).await;
        let reset = cluster.request("operator", |server| async move {
            server.service.reset_later_than(Some(AN_HOUR), Some(10)).await
        });
        drop(reset.await);
    }
}

/// Starts each node, and starts it again some time after it died.
async fn keep_nodes(cluster: &Arc<Cluster>) {
    let world = &cluster.world;
    let nodes = 1 + Rng::of(world.seed, &["nodes"]).below(3);
    let (starter, mut starts) = mpsc::unbounded_channel();
    for number in 1..=nodes {
        starter.send((number, 1_u64)).ok();
    }
    while let Some((number, life)) = starts.recv().await {
        let node = Node::new(format!("node{number}.{life}"), Arc::clone(world));
        world.trace(|| format!("{} starts", node.name));
        let server = Server::start(&node);
        cluster.joined(number, &server);
        let mut rng = world.chance(&["life"]);
        if rng.happens(world.weather.stop) {
            let (after, bound) = (rng.up_to_ms(12_000), rng.up_to_ms(STOP_MS_MAX));
            tokio::spawn(stop(server, after, bound));
        }
        let (starter, away) = (starter.clone(), rng.up_to_ms(6_000));
        let cluster = Arc::clone(cluster);
        tokio::spawn(async move {
            node.died().await;
            cluster.left(number);
            cluster.world.shop().last_loss = Some(cluster.world.elapsed());
            sleep(away).await;
            starter.send((number, life + 1)).ok();
        });
    }
}

/// Stops one start of a node in good order.
async fn stop(server: Arc<Server>, after: Duration, bound: Duration) {
    let node = &server.node;
    sleep(after).await;
    if node.is_dead() || !node.is_in_weather() {
        return;
    }
    node.world.trace(|| format!("{} is told to stop within {bound:?}", node.name));
    let is_in_time = server.worker.drain(bound).await;
    node.gate().await;
    node.world.counts.one(if is_in_time { Count::StopInTime } else { Count::Stop });
    node.world.trace(|| format!("{} stops, with everything done: {is_in_time}", node.name));
    node.exit();
}

/// What is late comes at last, and must change nothing.
async fn wait_for_the_end(world: &World) {
    let clears_up_at = world.weather.clears_up_at;
    let late_ms = wire::LATE_COPY_MS_MAX.max(faulty_caller::SLOW_CALL_MS_MAX);
    sleep(clears_up_at + Duration::from_millis(late_ms) * 2).await;
    while !has_ended(world) && world.elapsed() < clears_up_at + PATIENCE {
        sleep(Duration::from_secs(1)).await;
    }
    // Clients that wait for an answer still.
    sleep(Duration::from_secs(20)).await;
}

fn has_ended(world: &World) -> bool {
    world.store.entries().values().all(|entry| entry.state.status.is_final())
}
