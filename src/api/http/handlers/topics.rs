//! GET subscribe, GET unsubscribe, DELETE topic, GET queryKV, GET scanKV: topics and their
//! subscribers.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use serde::Serialize;

use crate::{
    api::http::{
        Api,
        error::ApiError,
        finish::finish,
        number::{Pairs, number, text},
        reply::{self, Done},
        rfc3339::Rfc3339,
        transaction::stable_id,
    },
    branch::Caller,
    clock::Clock,
    model::Topic,
    store::Store,
    wire::subscribers_text,
};

/// The only category of what the protocol calls KV.
const TOPICS: &str = "topics";

/// A topic in a reply.
#[derive(Serialize)]
struct KvReply<'a> {
    id: u32,
    create_time: Rfc3339,
    update_time: Rfc3339,
    cat: &'static str,
    k: &'a str,
    /// The list of its subscribers, as a text that holds JSON.
    v: String,
    version: u64,
}

#[derive(Serialize)]
struct Queried<'a> {
    kv: Vec<KvReply<'a>>,
}

#[derive(Serialize)]
struct Scanned<'a> {
    kv: Vec<KvReply<'a>>,
    next_position: &'a str,
}

/// Adds a subscriber to a topic.
pub(in crate::api::http) async fn subscribe<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    pairs: Pairs,
) -> Result<Done, ApiError> {
    let service = Arc::clone(api.service());
    let [topic, url, remark] =
        ["topic", "url", "remark"].map(|key| text(&pairs, key).unwrap_or_default().to_owned());
    finish(async move { service.subscribe(&topic, &url, &remark).await }).await?;
    Ok(Done)
}

/// Takes a subscriber from a topic.
pub(in crate::api::http) async fn unsubscribe<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    pairs: Pairs,
) -> Result<Done, ApiError> {
    let service = Arc::clone(api.service());
    let [topic, url] = ["topic", "url"].map(|key| text(&pairs, key).unwrap_or_default().to_owned());
    finish(async move { service.unsubscribe(&topic, &url).await }).await?;
    Ok(Done)
}

/// Removes a topic.
pub(in crate::api::http) async fn delete_topic<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    Path(topic): Path<String>,
) -> Result<Done, ApiError> {
    let service = Arc::clone(api.service());
    finish(async move { service.delete_topic(&topic).await }).await?;
    Ok(Done)
}

/// Answers the topic that `key` names, or, without a key, the first 100.
pub(in crate::api::http) async fn query_kv<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    pairs: Pairs,
) -> Result<Response, ApiError> {
    let topics = match text(&pairs, "key") {
        _ if !is_of_topics(&pairs) => Vec::new(),
        Some(name) => api.service().topic(name).await?.into_iter().collect(),
        None => api.service().topics(None, None).await?.topics,
    };
    Ok(reply::json(StatusCode::OK, &Queried { kv: topics.iter().map(kv).collect() }))
}

/// Answers all topics, page by page.
pub(in crate::api::http) async fn scan_kv<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    pairs: Pairs,
) -> Result<Response, ApiError> {
    let limit = number(&pairs, "limit")?.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let page = if is_of_topics(&pairs) {
        api.service().topics(text(&pairs, "position"), limit).await?
    } else {
        Default::default()
    };
    let last = page.topics.last().filter(|_| page.has_more);
    let reply = Scanned {
        kv: page.topics.iter().map(kv).collect(),
        next_position: last.map_or("", |topic| &topic.name),
    };
    Ok(reply::json(StatusCode::OK, &reply))
}

fn is_of_topics(pairs: &Pairs) -> bool {
    text(pairs, "cat").is_none_or(|category| category == TOPICS)
}

fn kv(topic: &Topic) -> KvReply<'_> {
    KvReply {
        id: stable_id(&[TOPICS, &topic.name]),
        create_time: Rfc3339(topic.created_at),
        update_time: Rfc3339(topic.updated_at),
        cat: TOPICS,
        k: &topic.name,
        v: subscribers_text(&topic.subscribers),
        version: topic.version,
    }
}
