//! The words of JSON-RPC: which calls are heard at all, and how an answer is written (protocol,
//! section 2, and protocol details, section 1.5).

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    error::{ApiError, NO_TOKEN, WRONG_TOKEN, with_failure, with_ongoing},
    reply,
};
use crate::{
    model::quoted,
    service::ServiceError,
    wire::{BadRequest, RpcRequest},
};

/// The only version there is.
const VERSION: &str = "2.0";

/// The body is not one JSON object.
const NOT_JSON: i32 = -32700;
/// The object is no call.
const NO_CALL: i32 = -32600;
/// There is no such method.
const NO_METHOD: i32 = -32601;
/// Refused for good: what HTTP answers with 409.
const FAILURE: i32 = -32901;
/// Everything else; what is merely not finished is told by the word in its message.
const OTHER: i32 = -32603;

/// Why a call got no result.
#[derive(Debug, Serialize)]
pub(super) struct RpcError {
    code: i32,
    message: String,
}

impl RpcError {
    /// The method is no method of this API.
    pub(super) fn no_method(method: &str) -> Self {
        let method = quoted(method);
        let message = format!(
            "method '{method}' is unknown: the known ones are newGid, prepare, submit, abort, \
             registerBranch"
        );
        Self { code: NO_METHOD, message }
    }

    fn no_call(message: &str) -> Self {
        Self { code: NO_CALL, message: message.to_owned() }
    }
}

impl From<BadRequest> for RpcError {
    fn from(error: BadRequest) -> Self {
        Self { code: NOT_JSON, message: error.to_string() }
    }
}

impl From<ServiceError> for RpcError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Failure(message) => {
                Self { code: FAILURE, message: with_failure(message) }
            }
            ServiceError::Ongoing(message) => {
                Self { code: OTHER, message: with_ongoing(&message).into_owned() }
            }
            ServiceError::Invalid(message)
            | ServiceError::Internal(message)
            | ServiceError::TooBusy { message, .. }
            | ServiceError::Unavailable { message, .. } => Self { code: OTHER, message },
        }
    }
}

/// Also what keeps a request from being read at all is told in the words of JSON-RPC.
impl From<ApiError> for RpcError {
    fn from(error: ApiError) -> Self {
        let message = match error {
            ApiError::Service(error) => return Self::from(error),
            ApiError::Body(error) => error.to_string(),
            ApiError::NoToken => NO_TOKEN.to_owned(),
            ApiError::WrongToken => WRONG_TOKEN.to_owned(),
            ApiError::Query(message) | ApiError::NotReady(message) => message,
        };
        Self { code: OTHER, message }
    }
}

/// A call that is one: its id can be answered to, and its version is known.
#[derive(Debug)]
pub(super) struct RpcCall<'a> {
    /// What is called.
    pub(super) method: String,
    /// What it is called with, as it was sent; empty where nothing was.
    pub(super) params: &'a str,
}

impl<'a> RpcCall<'a> {
    /// Judges `request`.
    ///
    /// # Errors
    /// When it has no id, or is not of version 2.0, or its method is no text.
    pub(super) fn of(request: &RpcRequest<'a>) -> Result<Self, RpcError> {
        if id(request).is_none() {
            return Err(RpcError::no_call(
                "id is missing: send a number or a text that is not empty",
            ));
        }
        if request.jsonrpc.and_then(text).is_none_or(|version| version != VERSION) {
            return Err(RpcError::no_call("jsonrpc must be \"2.0\""));
        }
        let method = match request.method {
            None => String::new(),
            Some(method) => {
                text(method).ok_or_else(|| RpcError::no_call("method must be a text"))?
            }
        };
        Ok(Self { method, params: request.params.map_or("", RawValue::get) })
    }
}

/// The id to answer with, as it was written: a number, or a text that is not empty.
pub(super) fn id<'a>(request: &RpcRequest<'a>) -> Option<&'a RawValue> {
    request.id.filter(|id| match id.get().as_bytes() {
        [b'"', b'"'] => false,
        [b'"' | b'-' | b'0'..=b'9', ..] => true,
        _ => false,
    })
}

fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// What a call that went well answers; an error's result is null too.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum RpcResult {
    /// It is done, and there is no more to say.
    Done,
    /// An id for a client that asked for one.
    Gid {
        /// The id.
        gid: String,
    },
}

/// An answer, always with status 200: who calls looks for `error`.
#[derive(Debug)]
pub(super) struct RpcReply<'a> {
    /// The call's own, or `None` where none could be read.
    pub(super) id: Option<&'a RawValue>,
    /// How it went.
    pub(super) result: Result<RpcResult, RpcError>,
}

impl IntoResponse for RpcReply<'_> {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Reply<'a> {
            error: Option<&'a RpcError>,
            id: Option<&'a RawValue>,
            jsonrpc: &'static str,
            result: Option<&'a RpcResult>,
        }
        let (error, result) = (self.result.as_ref().err(), self.result.as_ref().ok());
        reply::json(StatusCode::OK, &Reply { error, id: self.id, jsonrpc: VERSION, result })
    }
}

#[cfg(test)]
#[path = "json_rpc_tests.rs"]
mod tests;
