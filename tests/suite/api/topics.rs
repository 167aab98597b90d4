//! Topics: who subscribed, and whom a message to a topic reaches.

use serde_json::{Value, json};

use super::{Api, assert_done, message, waiting, with};
use crate::support::{
    participant::Participant,
    redis::fresh_name,
    server::{Reply, Server},
};

async fn subscribe(node: &Server, topic: &str, url: &str) -> Reply {
    node.get(&format!("/api/dtmsvr/subscribe?topic={topic}&url={url}&remark=r")).await
}

async fn unsubscribe(node: &Server, topic: &str, url: &str) -> Reply {
    node.get(&format!("/api/dtmsvr/unsubscribe?topic={topic}&url={url}")).await
}

async fn delete(node: &Server, topic: &str) -> Reply {
    node.send(reqwest::Method::DELETE, &format!("/api/dtmsvr/topic/{topic}"), "", "").await
}

async fn kv(node: &Server, query: &str) -> Value {
    let reply = node.get(&format!("/api/dtmsvr/queryKV?{query}")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["kv"].clone()
}

/// The URLs that subscribed to `topic`.
async fn urls(node: &Server, topic: &str) -> Vec<String> {
    let found = kv(node, &format!("cat=topics&key={topic}")).await;
    let list: Value = serde_json::from_str(found[0]["v"].as_str().expect("a text")).expect("JSON");
    let entries = list.as_array().expect("a list").iter();
    entries.map(|entry| entry["url"].as_str().expect("a URL").to_owned()).collect()
}

/// Refused for what was sent; nothing in it says that a transaction failed.
fn assert_invalid(reply: &Reply, message: &str) {
    assert_eq!((reply.status, reply.message().as_str()), (500, message), "{reply:?}");
    assert!(reply.json().get("dtm_result").is_none(), "{reply:?}");
    assert!(!reply.text.contains("FAILURE"), "{reply:?}");
}

/// A message to `topic`, with one plain step, `/last`, behind it.
fn message_to(gid: &str, topic: &str, shop: &Participant) -> Value {
    let steps = json!([{"action": format!("topic://{topic}")}, {"action": shop.url("/last")}]);
    with(message(gid, 2, shop), json!({"steps": steps, "payloads": ["{\"n\":1}", "{}"]}))
}

/// Ids, ops and statuses of the branches.
async fn branches(node: &Server, gid: &str) -> Vec<(String, String)> {
    let found = node.query(gid).await;
    let rows = found["branches"].as_array().expect("a list").iter();
    let word = |row: &Value, key: &str| row[key].as_str().expect("a text").to_owned();
    rows.map(|row| (word(row, "branch_id"), word(row, "url"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_outcome_has_its_words() {
    let api = Api::start(&[]).await;
    assert_invalid(&subscribe(&api, "", "http://x").await, "empty topic");
    assert_invalid(&subscribe(&api, "t", "").await, "empty url");
    assert_invalid(&unsubscribe(&api, "", "http://x").await, "empty topic");
    assert_invalid(&unsubscribe(&api, "t", "").await, "empty url");
    assert_invalid(&unsubscribe(&api, "t", "http://x").await, "no such a topic");
    assert_invalid(&delete(&api, "t").await, "storage: NotFound");
    assert_eq!(delete(&api, "").await.status, 404);
    assert_eq!(api.keys(), [""; 0]);

    assert_done(&subscribe(&api, "t", "http://x").await);
    assert_invalid(&subscribe(&api, "t", "http://x").await, "this url exists");
    assert_invalid(&unsubscribe(&api, "t", "http://y").await, "no such an url ");
    assert_done(&unsubscribe(&api, "t", "http://x").await);
    assert_invalid(&unsubscribe(&api, "t", "http://x").await, "this topic is empty");
    assert_done(&delete(&api, "t").await);
    assert_invalid(&delete(&api, "t").await, "storage: NotFound");
    assert_invalid(&unsubscribe(&api, "t", "http://x").await, "no such a topic");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_be_called_does_not_subscribe() {
    let api = Api::start(&[]).await;
    for (url, told) in [
        ("nowhere", "url: has no scheme and no host"),
        ("topic://other", "url: topic not found: `other`"),
        ("http://169.254.169.254/x", "url: "),
    ] {
        let reply = subscribe(&api, "t", url).await;
        assert_eq!(reply.status, 500, "{url}: {reply:?}");
        assert!(reply.message().starts_with(told), "{url}: {reply:?}");
    }
    let reply = subscribe(&api, &"x".repeat(257), "http://x").await;
    assert_invalid(&reply, "topic: has 257 bytes, at most 256 are allowed");
    assert_eq!(api.keys(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_has_a_bounded_number_of_subscribers() {
    let api = Api::start(&["--steps-max", "2"]).await;
    for url in ["http://a", "http://b"] {
        assert_done(&subscribe(&api, "t", url).await);
    }
    let told = "topic: it has 2 subscribers, as many as are allowed (setting steps_max)";
    assert_invalid(&subscribe(&api, "t", "http://c").await, told);
    // Two branches of the topic, and one more.
    let shop = Participant::start().await;
    let gid = fresh_name();
    let reply = api.submit(&message_to(&gid, "t", &shop)).await;
    assert_invalid(&reply, "steps: there are 3, at most 2 are allowed in one transaction");
    assert_eq!(api.query(&gid).await["transaction"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_shown_with_its_version_and_times() {
    let api = Api::start(&[]).await;
    assert_eq!(kv(&api, "cat=topics&key=t").await, json!([]));
    for url in ["http://a/?x=1%261", "http://b"] {
        assert_done(&subscribe(&api, "t", url).await);
    }
    let found = kv(&api, "cat=topics&key=t").await;
    let shown = &found[0];
    assert_eq!(found.as_array().expect("a list").len(), 1);
    assert_eq!((&shown["cat"], &shown["k"]), (&json!("topics"), &json!("t")));
    assert_eq!(shown["version"], json!(2));
    assert_eq!(
        shown["v"],
        json!(r#"[{"url":"http://a/?x=1&1","remark":"r"},{"url":"http://b","remark":"r"}]"#)
    );
    assert!((1..=i64::from(i32::MAX)).contains(&shown["id"].as_i64().expect("a number")));
    for time in ["create_time", "update_time"] {
        assert!(shown[time].as_str().is_some_and(|time| time.ends_with('Z')), "{shown}");
    }
    assert_done(&unsubscribe(&api, "t", "http://b").await);
    assert_eq!(kv(&api, "cat=topics&key=t").await[0]["version"], json!(3));
    assert_eq!(kv(&api, "").await[0]["k"], json!("t"));
    assert_eq!(kv(&api, "cat=others").await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_topics_are_met_page_by_page() {
    let api = Api::start(&[]).await;
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        assert_done(&subscribe(&api, name, "http://x").await);
    }
    let (mut met, mut position) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/dtmsvr/scanKV?cat=topics&limit=2&position={position}");
        let page = api.get(&path).await.json();
        let topics = page["kv"].as_array().expect("a list");
        assert!(topics.len() <= 2, "{page}");
        met.extend(topics.iter().map(|topic| topic["k"].as_str().expect("a name").to_owned()));
        position = page["next_position"].as_str().expect("a text").to_owned();
        if position.is_empty() {
            break;
        }
    }
    assert_eq!(met, names);
    let others = api.get("/api/dtmsvr/scanKV?cat=others").await;
    assert_eq!(others.text, r#"{"kv":[],"next_position":""}"#);
    assert_eq!(api.get("/api/dtmsvr/scanKV?limit=x").await.status, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_subscriptions_at_two_nodes_lose_none() {
    const EACH: usize = 25;
    let first = Api::start(&[]).await;
    let second = first.another(&[]).await;
    let subscribed = (0..2 * EACH).map(|number| {
        let node: &Server = if number % 2 == 0 { &first } else { &second };
        async move { subscribe(node, "t", &format!("http://h/{number}")).await }
    });
    for reply in futures_util::future::join_all(subscribed).await {
        assert_done(&reply);
    }
    let found = kv(&second, "cat=topics&key=t").await;
    assert_eq!(found[0]["version"], json!(2 * EACH));
    let mut found = urls(&first, "t").await;
    let mut wanted: Vec<_> = (0..2 * EACH).map(|number| format!("http://h/{number}")).collect();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_each_subscriber_in_their_order() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    for path in ["/z", "/a", "/m"] {
        assert_done(&subscribe(&api, "t", &shop.url(path)).await);
    }
    let gid = fresh_name();
    assert_done(&api.submit(&waiting(message_to(&gid, "t", &shop))).await);
    let calls: Vec<_> = shop.calls().into_iter().filter(|call| call.gid == gid).collect();
    let called: Vec<_> = calls
        .iter()
        .map(|call| (call.path.as_str(), call.branch_id.as_str(), call.op.as_str(), &call.body[..]))
        .collect();
    let body: &[u8] = b"{\"n\":1}";
    assert_eq!(
        called,
        [
            ("/z", "01-01", "action", body),
            ("/a", "01-02", "action", body),
            ("/m", "01-03", "action", body),
            ("/last", "02", "action", b"{}"),
        ]
    );
    let ids: Vec<_> = branches(&api, &gid).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["01-01", "01-02", "01-03", "02"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_subscriber_is_a_plain_branch() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    assert_done(&subscribe(&api, "t", &shop.url("/only")).await);
    let gid = fresh_name();
    assert_done(&api.submit(&waiting(message_to(&gid, "t", &shop))).await);
    let row = |id: &str, path| (id.to_owned(), shop.url(path));
    assert_eq!(branches(&api, &gid).await, [row("01", "/only"), row("02", "/last")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_seen_by_every_node_at_its_next_submit() {
    let (first, shop) = (Api::start(&[]).await, Participant::start().await);
    let second = first.another(&[]).await;
    let told = "steps[0].action: topic not found: `t`";
    let sent = async |paths: &[&str]| {
        let gid = fresh_name();
        let reply = second.submit(&waiting(message_to(&gid, "t", &shop))).await;
        if paths.is_empty() {
            assert_invalid(&reply, told);
            assert_eq!(second.query(&gid).await["transaction"], Value::Null);
        } else {
            assert_done(&reply);
        }
        assert_eq!(shop.paths_of(&gid), paths);
    };
    sent(&[]).await;
    assert_done(&subscribe(&first, "t", &shop.url("/a")).await);
    sent(&["/a", "/last"]).await;
    assert_done(&subscribe(&first, "t", &shop.url("/b")).await);
    sent(&["/a", "/b", "/last"]).await;
    assert_done(&unsubscribe(&first, "t", &shop.url("/a")).await);
    sent(&["/b", "/last"]).await;
    assert_done(&unsubscribe(&first, "t", &shop.url("/b")).await);
    sent(&[]).await;
    assert_done(&subscribe(&first, "t", &shop.url("/c")).await);
    sent(&["/c", "/last"]).await;
    assert_done(&delete(&first, "t").await);
    sent(&[]).await;
    let reply = second.prepare(&message_to("unprepared", "t", &shop)).await;
    assert_invalid(&reply, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_prepared_reaches_those_of_that_moment() {
    // With a body that has a key of its own, and without.
    for padding in ["", &"x".repeat(10_000)] {
        let (api, shop) = (Api::start(&[]).await, Participant::start().await);
        for path in ["/a", "/b"] {
            assert_done(&subscribe(&api, "t", &shop.url(path)).await);
        }
        let [gid, asked] = [(); 2].map(|()| fresh_name());
        let sent =
            |gid: &str| with(message_to(gid, "t", &shop), json!({"payloads": [padding, "{}"]}));
        let soon = with(sent(&asked), json!({"timeout_to_fail": 1}));
        for body in [&sent(&gid), &sent(&gid), &soon] {
            assert_done(&api.prepare(body).await);
        }
        assert_done(&unsubscribe(&api, "t", &shop.url("/a")).await);
        assert_done(&subscribe(&api, "t", &shop.url("/c")).await);
        assert_done(&delete(&api, "t").await);

        let other = api.another(&[]).await;
        assert_done(&api.prepare(&sent(&gid)).await);
        assert_done(&other.submit(&waiting(sent(&gid))).await);
        assert_eq!(shop.paths_of(&gid), ["/a", "/b", "/last"]);
        super::assert_refused(&api.submit(&sent(&gid)).await, "current status 'succeed'");
        // Nobody submits it: its client is asked.
        assert_eq!(other.ended(&asked).await, "succeed");
        assert_eq!(shop.paths_of(&asked), ["/ask", "/a", "/b", "/last"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_messages_action_names_a_topic() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    assert_done(&subscribe(&api, "t", &shop.url("/a")).await);
    let saga = with(message_to("saga", "t", &shop), json!({"trans_type": "saga"}));
    assert_invalid(&api.submit(&saga).await, "steps[0].action: topic not found: `t`");
    let undone = with(
        message("undone", 1, &shop),
        json!({"steps": [{"action": "", "compensate": "topic://t"}], "payloads": [""]}),
    );
    assert_invalid(&api.submit(&undone).await, "steps[0].compensate: topic not found: `t`");
}
