//! `all`: the listing as clients page through it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Api, assert_done, message, saga, waiting, with};
use crate::support::participant::{Answer, Participant};

/// A saga that has nothing to call.
fn nothing(gid: &str) -> Value {
    json!({"gid": gid, "trans_type": "saga", "steps": [{}], "payloads": [""]})
}

impl Api {
    /// The page that `query` asks for.
    async fn page(&self, query: &str) -> (Vec<Value>, String) {
        let reply = self.get(&format!("/api/dtmsvr/all?{query}")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let json = reply.json();
        assert_eq!(json.as_object().map(serde_json::Map::len), Some(2), "{json}");
        let next = json["next_position"].as_str().expect("a text").to_owned();
        (json["transactions"].as_array().expect("a list").clone(), next)
    }

    /// The gids of all pages that `query` asks for, in order.
    async fn pages(&self, query: &str) -> Vec<String> {
        let (mut gids, mut position) = (Vec::new(), String::new());
        loop {
            let (transactions, next) = self.page(&format!("{query}&position={position}")).await;
            gids.extend(transactions.iter().map(|it| it["gid"].as_str().expect("a gid").into()));
            position = next;
            if position.is_empty() {
                return gids;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_page_through_all_transactions() {
    let api = Api::start(&[]).await;
    assert_eq!(api.page("").await, (vec![], String::new()));
    for number in 0..150 {
        assert_done(&api.submit(&nothing(&format!("done-{number}"))).await);
    }
    let shop = Participant::start().await;
    for number in 0..5 {
        assert_done(&api.prepare(&message(&format!("open-{number}"), 1, &shop)).await);
    }
    let (first, next) = api.page("").await;
    assert_eq!(first.len(), 100, "unsaid, a page has 100");
    assert!(
        next.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_'),
        "{next}"
    );
    let (second, end) = api.page(&format!("position={next}")).await;
    assert_eq!((second.len(), end.as_str()), (55, ""));
    assert!(first[..5].iter().all(|it| it["status"] == "prepared"), "{first:?}");
    for query in ["limit=0", "limit=1", "limit=7", "limit=18446744073709551615"] {
        let gids = api.pages(query).await;
        assert_eq!(gids.len(), 155, "{query}");
        assert_eq!(gids.iter().collect::<BTreeSet<_>>().len(), 155, "{query}");
    }
    assert_eq!(api.page("limit=3").await.0.len(), 3);
    let shown = first.last().expect("100 of them");
    let gid = shown["gid"].as_str().expect("a text");
    assert_eq!(api.query(gid).await["transaction"], *shown, "as it is shown alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_ask_by_status_type_and_creation() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    assert_done(&api.submit(&nothing("done")).await);
    bank.answers("/1", &[Answer::Failure, Answer::Ongoing]);
    let undone = api.submit(&waiting(saga("undone", 1, &bank))).await;
    assert_eq!(undone.status, 409, "{undone:?}");
    let slow = with(saga("open", 1, &bank), json!({"retry_interval": 3600}));
    assert_eq!(api.submit(&waiting(slow)).await.status, 425);
    assert_done(&api.prepare(&message("kept", 1, &bank)).await);

    for (query, gids) in [
        ("", &["done", "kept", "open", "undone"][..]),
        ("status=&transType=&createTimeStart=", &["done", "kept", "open", "undone"]),
        ("status=prepared", &["kept"]),
        ("status=submitted", &["open"]),
        ("status=aborting", &[]),
        ("status=succeed", &["done"]),
        ("status=failed", &["undone"]),
        ("transType=msg", &["kept"]),
        ("transType=saga", &["done", "open", "undone"]),
        ("transType=saga&status=submitted", &["open"]),
        ("transType=msg&status=succeed", &[]),
        (
            "createTimeStart=1000&createTimeEnd=18446744073709551615",
            &["done", "kept", "open", "undone"],
        ),
        ("createTimeStart=18446744073709551615", &[]),
        ("createTimeEnd=1000", &[]),
    ] {
        let mut found = api.pages(query).await;
        found.sort();
        assert_eq!(found, gids, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_for_is_a_clear_error() {
    let api = Api::start(&[]).await;
    for (query, telling) in [
        ("limit=abc", "convert to int error: abc: limit "),
        ("limit=-1", "convert to int error: -1: limit "),
        ("createTimeStart=x", "convert to int error: x: createTimeStart "),
        ("createTimeEnd=1.5", "convert to int error: 1.5: createTimeEnd "),
        ("status=Succeed", "status is none of "),
        ("transType=cash", "transType is none of "),
        ("position=abc", "position: "),
        ("position=1", "position: "),
        ("gid=x&limit=abc", "convert to int error: abc"),
    ] {
        let reply = api.get(&format!("/api/dtmsvr/all?{query}")).await;
        assert_eq!(reply.status, 500, "{query}: {reply:?}");
        assert!(reply.message().starts_with(telling), "{query}: {reply:?}");
    }
    // Of another version, and of more shards than there are.
    for position in ["2ZS4xMi4zLjQ", "1ZS4xMi42NC40"] {
        let reply = api.get(&format!("/api/dtmsvr/all?position={position}")).await;
        assert_eq!(reply.status, 500, "{position}");
        assert!(reply.message().contains("next_position"), "{reply:?}");
    }
    assert_eq!(api.get("/api/dtmsvr/all?position=1ZS4xMi4zLjQ").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_two_nodes_in_turn_are_one_listing() {
    let api = Api::start(&[]).await;
    let other = api.another(&[]).await;
    for number in 0..30 {
        assert_done(&api.submit(&nothing(&format!("done-{number}"))).await);
    }
    let (mut gids, mut position) = (BTreeSet::new(), String::new());
    for number in 0.. {
        let path = format!("/api/dtmsvr/all?limit=4&position={position}");
        let reply = if number % 2 == 0 { api.get(&path).await } else { other.get(&path).await };
        let json = reply.json();
        let found = json["transactions"].as_array().expect("a list");
        gids.extend(found.iter().map(|it| it["gid"].to_string()));
        position = json["next_position"].as_str().expect("a text").to_owned();
        if position.is_empty() {
            break;
        }
    }
    assert_eq!(gids.len(), 30);
}
