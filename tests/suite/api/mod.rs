//! What the HTTP API promises, each on a real node and a real Redis.

mod alerts;
mod bad_input;
mod expiry;
mod holder;
mod json_rpc;
mod limits;
mod listing;
mod message;
mod operation;
mod outgoing;
mod page;
mod parsing;
mod registering;
mod replies;
mod resubmit;
mod saga;
mod tcc;
mod tcc_timeout;
mod token;
mod topics;
mod workflow;
mod xa;

use std::ops::Deref;

use serde_json::{Value, json};

use crate::support::{
    participant::Participant,
    redis::{connect, fresh_name, redis_url},
    server::{Reply, Server},
};

/// A node on a key prefix of its own.
struct Api {
    node: Server,
    prefix: String,
}

impl Deref for Api {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.node
    }
}

impl Api {
    /// Starts a node with `flags` beside the usual ones.
    async fn start(flags: &[&str]) -> Self {
        let prefix = fresh_name();
        Self { node: start(&prefix, flags).await, prefix }
    }

    /// Starts one more node on the same transactions.
    async fn another(&self, flags: &[&str]) -> Server {
        start(&self.prefix, flags).await
    }

    /// All its keys but the one that describes the deployment.
    fn keys(&self) -> Vec<String> {
        let mut redis = connect(redis_url());
        let all = redis::cmd("KEYS").arg(format!("{}:*", self.prefix)).query(&mut redis);
        let mut all: Vec<String> = all.expect("keys");
        all.retain(|key| !key.ends_with(":meta"));
        all.sort();
        all
    }

    /// The time to live of `key` in ms; negative if it has none.
    fn ttl_ms(key: &str) -> i64 {
        redis::cmd("PTTL").arg(key).query(&mut connect(redis_url())).expect("a span")
    }
}

/// Starts a node that is patient with a participant that a busy machine, or the test, keeps waiting.
async fn start(prefix: &str, flags: &[&str]) -> Server {
    const TIMEOUT: &str = "--request-timeout";
    let patient: &[&str] = if flags.contains(&TIMEOUT) { &[] } else { &[TIMEOUT, "1m"] };
    let flags = [&["--key-prefix", prefix], patient, flags].concat();
    Server::start(redis_url(), &flags).await
}

/// Waits until this node has nothing in work, so that it writes nothing more.
async fn idle(node: &Server) {
    node.until_metric("tandem_in_work", |n_in_work| n_in_work == 0.0).await;
}

/// A saga with the steps `/1`, `/2`, …, which are undone by `/undo1`, `/undo2`, ….
fn saga(gid: &str, steps: usize, bank: &Participant) -> Value {
    let step = |n| json!({"action": bank.url(&format!("/{n}")), "compensate": bank.url(&format!("/undo{n}"))});
    json!({
        "gid": gid,
        "trans_type": "saga",
        "steps": (1..=steps).map(step).collect::<Vec<_>>(),
        "payloads": vec!["{}"; steps],
    })
}

/// A message with the steps `/1`, `/2`, …, and `/ask` to be asked whether it was prepared.
fn message(gid: &str, steps: usize, shop: &Participant) -> Value {
    let step = |n| json!({"action": shop.url(&format!("/{n}"))});
    json!({
        "gid": gid,
        "trans_type": "msg",
        "query_prepared": shop.url("/ask"),
        "steps": (1..=steps).map(step).collect::<Vec<_>>(),
        "payloads": vec!["{}"; steps],
    })
}

/// `transaction` with these fields set.
fn with(mut transaction: Value, fields: Value) -> Value {
    let (Value::Object(all), Value::Object(fields)) = (&mut transaction, fields) else {
        panic!("two objects")
    };
    all.extend(fields);
    transaction
}

/// `transaction`, to be answered when its first round is over.
fn waiting(transaction: Value) -> Value {
    with(transaction, json!({"wait_result": true}))
}

/// What a success without a value of its own looks like.
fn assert_done(reply: &Reply) {
    assert_eq!((reply.status, reply.text.as_str()), (200, r#"{"dtm_result":"SUCCESS"}"#));
}

/// A refusal that no retry changes; `telling` stands in its message.
fn assert_refused(reply: &Reply, telling: &str) {
    assert_eq!((reply.status, &reply.json()["dtm_result"]), (409, &json!("FAILURE")), "{reply:?}");
    let message = reply.message();
    assert!(message.contains(telling) && message.ends_with("FAILURE"), "{message}");
}

/// Not finished; `telling` stands in its message, and never the word of a refusal.
fn assert_ongoing(reply: &Reply, telling: &str) {
    assert_eq!((reply.status, &reply.json()["dtm_result"]), (425, &json!("ONGOING")), "{reply:?}");
    let message = reply.message();
    assert!(message.contains(telling) && message.contains("ONGOING"), "{message}");
    assert!(!reply.text.contains("FAILURE"), "{message}");
}

/// Microseconds from the time at `from` to the one at `to`, both as RFC 3339 in UTC and of one day.
fn us_between(from: &Value, to: &Value) -> i64 {
    const DAY_US: i64 = 86_400_000_000;
    let of_day = |at: &Value| {
        let text = at.as_str().unwrap_or_else(|| panic!("no time: {at}"));
        let (_, time) = text.trim_end_matches('Z').split_once('T').expect("a date and a time");
        let digits: Vec<i64> =
            time.split([':', '.']).map(|digits| digits.parse().expect("a number")).collect();
        ((digits[0] * 60 + digits[1]) * 60 + digits[2]) * 1_000_000 + digits[3]
    };
    (of_day(to) - of_day(from)).rem_euclid(DAY_US)
}

/// For how long the transaction rests, from its last change to its due time, in seconds. The due
/// time is reckoned by the node just before the change, so this is a little less than was asked.
async fn rests_for(node: &Server, gid: &str) -> f64 {
    let found = node.query(gid).await;
    let stored = &found["transaction"];
    us_between(&stored["update_time"], &stored["next_cron_time"]) as f64 / 1e6
}
