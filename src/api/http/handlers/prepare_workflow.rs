//! POST prepareWorkflow: begins a workflow, or tells how far an earlier run of it came.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;

use crate::{
    api::http::{
        Api,
        body::RequestBody,
        error::ApiError,
        finish::finish,
        reply,
        transaction::{BranchReply, TransactionReply, branches, transaction},
    },
    branch::Caller,
    clock::Clock,
    store::Store,
};

/// Never a refusal of what has ended: the client reads the status.
#[derive(Serialize)]
struct Prepared<'a> {
    progresses: Vec<BranchReply<'a>>,
    transaction: TransactionReply<'a>,
}

/// Answers the workflow and the steps that its client did.
pub(in crate::api::http) async fn prepare_workflow<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    RequestBody(body): RequestBody,
) -> Result<Response, ApiError> {
    let service = Arc::clone(api.service());
    let stored = finish(async move { service.prepare_workflow(body).await }).await?;
    let reply = Prepared { progresses: branches(&stored), transaction: transaction(&stored) };
    Ok(reply::json(StatusCode::OK, &reply))
}
