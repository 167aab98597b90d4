//! One master is away: what is in the shards of the others goes on as if nothing had happened, and what
//! is in its own when it is back.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::{
    flash::shop::{buy, payment, sell},
    support::{
        cluster::RedisCluster,
        participant::{Answer, Participant},
        redis::fresh_name,
        server::{PATIENCE, Server},
    },
};

/// It has the first shard. The key that describes the deployment and the registry of sales are on the
/// others.
const AWAY: usize = 0;
const THERE: [usize; 2] = [1, 2];

/// Each shard is on the master of its number. A lease is hardly longer than a call in vain, so that it
/// lapses if renewals wait for one.
const FLAGS: [&str; 12] = [
    "--shards",
    "3",
    "--lease",
    "2200ms",
    "--redis-timeout",
    "2s",
    "--retry-interval",
    "200ms",
    "--backoff-max",
    "1s",
    "--request-timeout",
    "1m",
];

/// Nothing waits longer in a shard that is there, on a busy machine either.
const SOON: Duration = Duration::from_millis(1_500);

/// Long enough for two looks in vain, or for all leases that are not renewed.
const OUTAGE: Duration = Duration::from_secs(6);

/// Unpaid orders hold their units for so long.
const HOLD: Duration = Duration::from_secs(2);

/// Two nodes with work in each shard.
struct Scene {
    cluster: RedisCluster,
    bank: Participant,
    nodes: [Server; 2],
    /// Of each shard: one whose call is under way all the while.
    held: [String; 3],
    /// Orders that are never paid: shard, gid, and when it was asked for.
    orders: Vec<(usize, String, Instant)>,
}

impl Scene {
    async fn start() -> Self {
        let cluster = RedisCluster::start(0);
        for number in 0..3 {
            let mut set = redis::cmd("CONFIG");
            set.arg("SET").arg("cluster-require-full-coverage").arg("no");
            set.exec(&mut cluster.master(number).connect()).expect("it is set");
        }
        let url = cluster.master(THERE[0]).url();
        let nodes = [Server::start(&url, &FLAGS).await, Server::start(&url, &FLAGS).await];
        let bank = Participant::start().await;
        let name = fresh_name();
        let held = [0, 1, 2].map(|shard| format!("{name}-held~{shard:02}"));
        for (shard, held) in held.iter().enumerate() {
            bank.answers(&format!("/held{shard}"), &[Answer::Held]);
            bank.answers(&format!("/again{shard}"), &[Answer::Ongoing]);
            submit(&nodes[0], &bank, held, &format!("/held{shard}")).await;
            let gid = format!("{name}-again~{shard:02}");
            submit(&nodes[1], &bank, &gid, &format!("/again{shard}")).await;
        }
        for path in ["/held", "/again"].iter().flat_map(|it| [0, 1, 2].map(|n| format!("{it}{n}")))
        {
            bank.arrived(&path, 1).await;
        }
        let mut scene = Self { cluster, bank, nodes, held, orders: Vec::new() };
        scene.order().await;
        scene
    }

    /// Has so many buyers order that each shard has some.
    async fn order(&mut self) {
        self.bank.answers("/pay", &[Answer::Ongoing]);
        let node = &self.nodes[0];
        let fields = json!({
            "buckets": 3, "hold_seconds": HOLD.as_secs(), "steps": payment(&self.bank),
        });
        sell(node, "s", 60, fields).await;
        for number in 0..40 {
            let (id, buyer) = (format!("o{number}"), format!("b{number}"));
            let asked = Instant::now();
            let reply = buy(node, "s", &id, &buyer, 1).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            let gid = reply.json()["gid"].as_str().expect("a gid").to_owned();
            let shard = gid.rsplit_once('~').and_then(|(_, shard)| shard.parse().ok());
            self.orders.push((shard.expect("a shard"), gid, asked));
        }
        let has = |shard| self.orders.iter().any(|(it, ..)| *it == shard);
        assert!([0, 1, 2].into_iter().all(has), "{:?}", self.orders);
    }

    /// What is asked again and again in the shard is so during an outage.
    async fn is_asked_all_the_while(&self, shard: usize) {
        let path = format!("/again{shard}");
        let until = Instant::now() + OUTAGE;
        while Instant::now() < until {
            let asked = self.is_asked_once_more(&path);
            let is_asked = timeout(SOON, asked).await.is_ok();
            assert!(is_asked, "{path} is not asked\n{}", self.nodes[0].log());
            assert_eq!(self.nodes[0].get("/readyz").await.status, 200);
        }
    }

    async fn is_asked_once_more(&self, path: &str) {
        let n_asked = self.bank.calls().iter().filter(|call| call.path == path).count();
        self.bank.arrived(path, n_asked + 1).await;
    }

    /// The orders of the shard are undone when their time is over.
    async fn is_undone_in_time(&self, shard: usize) {
        let orders = self.orders.iter().filter(|(it, ..)| *it == shard);
        join_all(orders.map(async |(_, gid, asked)| {
            assert_eq!(self.nodes[1].ended(gid).await, "failed");
            assert!(asked.elapsed() < HOLD + SOON, "{gid}: {:?}", asked.elapsed());
        }))
        .await;
    }

    async fn the_others_go_on(&self) {
        join_all(THERE.map(async |shard| {
            tokio::join!(self.is_asked_all_the_while(shard), self.is_undone_in_time(shard));
        }))
        .await;
        for shard in THERE {
            let path = format!("/held{shard}");
            let calls = self.bank.calls();
            // Else a lease lapsed.
            assert_eq!(calls.iter().filter(|call| call.path == path).count(), 1, "{path}");
        }
        for node in &self.nodes {
            let n_told = node.log().matches("nothing can be claimed in these shards").count();
            assert_eq!(n_told, 1, "{}", node.log());
        }
    }

    /// What waited for the master goes on.
    async fn all_go_on(&self) {
        for shard in 0..3 {
            self.is_asked_once_more(&format!("/again{shard}")).await;
            self.bank.release(&format!("/held{shard}"));
            assert_eq!(self.nodes[0].ended(&self.held[shard]).await, "succeed");
        }
        for (_, gid, _) in &self.orders {
            assert_eq!(self.nodes[1].ended(gid).await, "failed");
        }
        for node in &self.nodes {
            assert!(node.log().contains("these shards answer again"), "{}", node.log());
        }
    }

    async fn until_ready(&self, status: u16) {
        let ready = async {
            while self.nodes[0].get("/readyz").await.status != status {
                tokio::task::yield_now().await;
            }
        };
        assert!(timeout(PATIENCE, ready).await.is_ok(), "{}", self.nodes[0].log());
    }
}

async fn submit(node: &Server, bank: &Participant, gid: &str, path: &str) {
    let saga = json!({
        "gid": gid, "trans_type": "saga", "payloads": [""],
        "steps": [{"action": bank.url(path), "compensate": bank.url("/undo")}],
    });
    let reply = node.submit(&saga).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_master_stands_still_the_others_shards_are_worked_on_and_kept() {
    let scene = Scene::start().await;
    scene.cluster.master(AWAY).pause();
    scene.the_others_go_on().await;
    scene.cluster.master(AWAY).go_on();
    scene.all_go_on().await;

    (0..3).for_each(|number| scene.cluster.master(number).pause());
    scene.until_ready(503).await;
    (0..3).for_each(|number| scene.cluster.master(number).go_on());
    scene.until_ready(200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_master_is_dead_the_others_shards_are_worked_on_and_nodes_start() {
    let mut scene = Scene::start().await;
    let dead = scene.cluster.master(AWAY);
    redis::cmd("SAVE").exec(&mut dead.connect()).expect("it is saved");
    dead.kill();
    scene.the_others_go_on().await;
    let url = scene.cluster.master(THERE[0]).url();
    let late = Server::start(&url, &FLAGS).await;
    let gid = format!("{}~{:02}", fresh_name(), THERE[1]);
    submit(&late, &scene.bank, &gid, "/at-once").await;
    assert_eq!(late.ended(&gid).await, "succeed");

    scene.cluster.master_mut(AWAY).start_again();
    scene.all_go_on().await;
}
