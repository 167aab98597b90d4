//! GET resetCronTime: makes those due now that rest for long.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;

use crate::{
    api::http::{
        Api,
        error::ApiError,
        finish::finish,
        number::{Pairs, number},
        reply,
    },
    branch::Caller,
    clock::Clock,
    store::Store,
};

#[derive(Serialize)]
struct Reset {
    has_remaining: bool,
    succeed_count: usize,
}

/// Resets at most `limit` transactions that are due later than `timeout` seconds from now.
pub(in crate::api::http) async fn reset_later_than<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    pairs: Pairs,
) -> Result<Response, ApiError> {
    let after = number(&pairs, "timeout")?.map(Duration::from_secs);
    let limit = number(&pairs, "limit")?.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let service = Arc::clone(api.service());
    let (succeed_count, has_remaining) =
        finish(async move { service.reset_later_than(after, limit).await }).await?;
    Ok(reply::json(StatusCode::OK, &Reset { has_remaining, succeed_count }))
}
