//! A shop with a sale: nodes on a key prefix of their own, and what a test asks of them.

use std::{ops::Deref, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::support::{
    participant::Participant,
    redis::{connect, fresh_name, redis_url},
    server::{PATIENCE, Reply, Server},
};

/// A node with its prefix; more can be started beside it.
pub(super) struct Shop {
    node: Server,
    prefix: String,
}

impl Deref for Shop {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.node
    }
}

impl Shop {
    /// Starts a node with `flags` beside the usual ones.
    pub(super) async fn start(flags: &[&str]) -> Self {
        let prefix = fresh_name();
        let node = start(&prefix, flags).await;
        Self { node, prefix }
    }

    /// One more node on the same sales.
    pub(super) async fn another(&self, flags: &[&str]) -> Server {
        start(&self.prefix, flags).await
    }

    /// SIGKILL of the first node.
    pub(super) fn kill(&mut self) {
        self.node.kill();
    }

    /// Makes a sale named `id` of one item `shoe` with `stock` units; `fields` are added.
    pub(super) async fn sell(&self, id: &str, stock: u64, fields: Value) {
        sell(self, id, stock, fields).await;
    }

    /// The keys of all buckets that end with `name`, such as `f:spring`.
    pub(super) fn bucket_keys(&self, name: &str) -> Vec<String> {
        let pattern = format!("{}:{{[0-9]*}}:{name}", self.prefix);
        let mut keys: Vec<String> =
            redis::cmd("KEYS").arg(pattern).query(&mut connect(redis_url())).expect("keys");
        keys.sort();
        keys
    }

    /// As if the retention of an ended order were over.
    pub(super) fn expire(&self, gid: &str) {
        let [key] = &self.bucket_keys(&format!("g:{gid}"))[..] else { panic!("{gid} is one key") };
        redis::cmd("UNLINK").arg(key).exec(&mut connect(redis_url())).expect("removed");
    }

    /// Of a sale of two buckets with a unit each: as if a node had died that gave the unit of one to
    /// the other.
    pub(super) fn leave_on_its_way(&self, id: &str) {
        let buckets = self.bucket_keys(&format!("f:{id}"));
        let [from, to] = buckets.as_slice() else { panic!("two buckets: {buckets:?}") };
        let unit = format!("{};shoe=1", shard_of(to));
        set_field(&from.replace(":f:", ":ft:"), "dead:1", &unit);
        set_field(from, "i:shoe", "1;0;0;0;0;0;0;0");
        set_field(from, "n", "0;0;1");
    }

    /// Of a sale of two buckets: as if one had given the other units of an item that it does not have.
    pub(super) fn leave_for_nobody(&self, id: &str) {
        let buckets = self.bucket_keys(&format!("f:{id}"));
        let [from, to] = buckets.as_slice() else { panic!("two buckets: {buckets:?}") };
        set_field(&from.replace(":f:", ":ft:"), "dead:0", &format!("{};hat=1", shard_of(to)));
    }

    /// All its keys, with what each has, but what describes the deployment.
    pub(super) fn everything(&self) -> Vec<(String, Vec<u8>)> {
        let mut redis = connect(redis_url());
        let keys = redis::cmd("KEYS").arg(format!("{}:*", self.prefix)).query(&mut redis);
        let mut keys: Vec<String> = keys.expect("keys");
        keys.retain(|key| !key.ends_with(":meta"));
        keys.sort();
        let dump = |key: String| {
            let dump = redis::cmd("DUMP").arg(&key).query(&mut connect(redis_url()));
            (key, dump.expect("its bytes"))
        };
        keys.into_iter().map(dump).collect()
    }
}

async fn start(prefix: &str, flags: &[&str]) -> Server {
    let flags = [&["--key-prefix", prefix, "--request-timeout", "1m"], flags].concat();
    Server::start(redis_url(), &flags).await
}

/// The number of the shard that `key` is in: its tag begins with it.
pub(super) fn shard_of(key: &str) -> usize {
    let (_, tag) = key.split_once('{').expect("a tag");
    let digits = tag.split(|it: char| !it.is_ascii_digit()).next();
    digits.and_then(|digits| digits.parse().ok()).expect("a number")
}

/// A field of a hash.
pub(super) fn field(key: &str, field: &str) -> String {
    redis::cmd("HGET").arg(key).arg(field).query(&mut connect(redis_url())).expect("a field")
}

/// Writes a field of a hash by hand.
pub(super) fn set_field(key: &str, field: &str, value: &str) {
    let set = redis::cmd("HSET").arg(key).arg(field).arg(value).exec(&mut connect(redis_url()));
    set.expect("written");
}

/// The steps of a sale: `/order` and `/pay`, undone by `/unorder` and `/refund`.
pub(super) fn steps(bank: &Participant) -> Value {
    json!([
        {"action": bank.url("/order"), "compensate": bank.url("/unorder")},
        {"action": bank.url("/pay"), "compensate": bank.url("/refund")},
    ])
}

/// One step, `/pay`, undone by `/refund`.
pub(crate) fn payment(bank: &Participant) -> Value {
    json!([{"action": bank.url("/pay"), "compensate": bank.url("/refund")}])
}

/// The body of an order of `take` shoes.
pub(super) fn shoes(order: &str, buyer: &str, take: u64) -> Value {
    json!({"order_id": order, "buyer": buyer, "items": [{"id": "shoe", "take": take}]})
}

/// Sends an order.
pub(super) async fn order(node: &Server, sale: &str, body: &Value) -> Reply {
    node.post(&format!("/api/flash/sales/{sale}/orders"), body.to_string()).await
}

/// Makes a sale named `id` of one item `shoe` with `stock` units; `fields` are added.
pub(crate) async fn sell(node: &Server, id: &str, stock: u64, fields: Value) {
    let mut sale = json!({
        "request_id": fresh_name(),
        "id": id,
        "items": [{"id": "shoe", "stock": stock}],
        "hold_seconds": 600,
    });
    let (Value::Object(all), Value::Object(fields)) = (&mut sale, fields) else {
        panic!("two objects")
    };
    all.extend(fields);
    let reply = node.post("/api/flash/sales", sale.to_string()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// Orders `take` shoes.
pub(crate) async fn buy(
    node: &Server,
    sale: &str,
    order_id: &str,
    buyer: &str,
    take: u64,
) -> Reply {
    order(node, sale, &shoes(order_id, buyer, take)).await
}

/// What the sale's page says.
pub(super) async fn sale(node: &Server, id: &str) -> Value {
    let reply = node.get(&format!("/api/flash/sales/{id}")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

/// Available, held and sold units of the first item, of which the supply is the sum.
pub(super) async fn books(node: &Server, id: &str) -> (u64, u64, u64) {
    let sale = sale(node, id).await;
    let n = |field: &str| sale["items"][0][field].as_u64().expect("a number");
    let books = (n("available"), n("held"), n("sold"));
    assert_eq!(n("supply"), books.0 + books.1 + books.2, "{sale}");
    books
}

/// Waits until the books are as wanted.
pub(super) async fn until_books(node: &Server, id: &str, wanted: (u64, u64, u64)) {
    let waiting = async {
        while books(node, id).await != wanted {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if timeout(PATIENCE, waiting).await.is_err() {
        panic!("{:?} instead of {wanted:?}\n{}", books(node, id).await, node.log());
    }
}

/// Tries to order until somebody may have a unit; answers how long that took.
pub(super) async fn until_taken(node: &Server, sale: &str, buyer: &str) -> Duration {
    until_ordered(node, sale, &fresh_name(), buyer).await
}

/// The same with an order of this id.
pub(super) async fn until_ordered(node: &Server, sale: &str, order: &str, buyer: &str) -> Duration {
    let started = Instant::now();
    loop {
        let reply = buy(node, sale, order, buyer, 1).await;
        if reply.status == 200 {
            return started.elapsed();
        }
        assert_refused(&reply, "sold_out");
        assert!(started.elapsed() < PATIENCE, "{reply:?}\n{}", node.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// 409 with this reason.
pub(super) fn assert_refused(reply: &Reply, reason: &str) {
    assert_eq!((reply.status, &reply.json()["reason"]), (409, &json!(reason)), "{reply:?}");
    assert!(!reply.message().is_empty());
}

/// Asks until this node answers from memory.
pub(super) async fn until_remembered(node: &Server, sale: &str) {
    const TURNED_AWAY: &str = "tandem_flash_turned_away_total";
    let before = node.metric(TURNED_AWAY).await;
    let asking = async {
        while node.metric(TURNED_AWAY).await == before {
            assert_refused(&buy(node, sale, "nobody-1", "nobody", 1).await, "sold_out");
        }
    };
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("never\n{}", node.log()));
}
