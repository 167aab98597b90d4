//! POST json-rpc: the calls that SDKs may make as JSON-RPC 2.0, each the use case of the same name.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};

use crate::{
    api::http::{
        Api,
        body::{BodyError, RequestBody},
        error::ApiError,
        finish::finish,
        json_rpc::{RpcCall, RpcError, RpcReply, RpcResult, id},
    },
    branch::Caller,
    clock::Clock,
    service::{Body, Service},
    store::Store,
    wire::read_rpc,
};

/// Answers with status 200 whatever comes; what went wrong is in the answer.
pub(in crate::api::http) async fn json_rpc<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    body: Result<RequestBody, BodyError>,
) -> Response {
    let body = match body {
        Ok(RequestBody(body)) => body,
        Err(error) => return unheard(ApiError::Body(error).into()),
    };
    let request = match read_rpc(&body) {
        Ok(request) => request,
        Err(error) => return unheard(error.into()),
    };
    let result = match RpcCall::of(&request) {
        Ok(RpcCall { method, params }) => {
            // A part of the body, not a copy of it.
            let params = Body::with_gid_as_sent(body.slice_ref(params.as_bytes()));
            called(api.service(), &method, params).await
        }
        Err(error) => Err(error),
    };
    RpcReply { id: id(&request), result }.into_response()
}

/// Runs the use case that `method` names.
async fn called<S: Store, C: Caller, K: Clock>(
    service: &Arc<Service<S, C, K>>,
    method: &str,
    params: Body,
) -> Result<RpcResult, RpcError> {
    let service = Arc::clone(service);
    match method {
        "newGid" => {
            let gid = service.new_gid()?.as_str().to_owned();
            return Ok(RpcResult::Gid { gid });
        }
        "prepare" => finish(async move { service.prepare(params).await }).await?,
        "submit" => finish(async move { service.submit(params).await }).await?,
        "abort" => finish(async move { service.abort(params).await }).await?,
        "registerBranch" => finish(async move { service.register_branch(params).await }).await?,
        _ => return Err(RpcError::no_method(method)),
    }
    Ok(RpcResult::Done)
}

fn unheard(error: RpcError) -> Response {
    RpcReply { id: None, result: Err(error) }.into_response()
}
