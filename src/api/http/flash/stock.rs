//! POST stock/SALE/ITEM: a branch of stock for clients that call their branches themselves, as the SDKs call
//! the try of a tcc. It answers as every participant of the protocol does.

use std::sync::Arc;

use axum::{
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};

use super::{query, refusal::Refusal};
use crate::{
    api::http::{
        Api,
        error::ApiError,
        finish::finish,
        number::{Pairs, text},
        reply::Done,
    },
    branch::Caller,
    clock::Clock,
    model::{
        Gid, Op,
        flash::{StockUrl, StockUrlError},
    },
    service::StockCall,
    store::{Store, flash::FlashStore},
    wire::BRANCH_ID_BYTES_MAX,
};

/// Holds, sells or gives back, once, however often it is asked.
pub(in crate::api::http) async fn stock<S: Store + FlashStore, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    path: Result<Path<(String, String)>, PathRejection>,
    pairs: Pairs,
) -> Response {
    // What is not UTF-8 is no id, as what is empty is none.
    let (sale, item) = path.map(|Path(ids)| ids).unwrap_or_default();
    let call = match read(&sale, &item, &pairs) {
        Ok(call) => call,
        Err(refusal) => return refusal.into_response(),
    };
    let service = Arc::clone(api.service());
    match finish(async move { service.stock(&call).await }).await {
        Ok(()) => Done.into_response(),
        Err(error) => ApiError::from(error).into_response(),
    }
}

fn read(sale: &str, item: &str, pairs: &Pairs) -> Result<StockCall, Refusal> {
    query::once(pairs)?;
    let needed = |key: &str| {
        text(pairs, key)
            .ok_or_else(|| Refusal::bad(key, format!("{key} is missing in the query of the URL")))
    };
    let gid = Gid::new(needed("gid")?).map_err(|why| Refusal::bad("gid", why.to_string()))?;
    let branch_id = needed("branch_id")?;
    if branch_id.len() > BRANCH_ID_BYTES_MAX {
        let told =
            format!("branch_id has more than the {BRANCH_ID_BYTES_MAX} bytes that are allowed");
        return Err(Refusal::bad("branch_id", told));
    }
    let op = match needed("op")? {
        "try" | "action" => Op::Action,
        "confirm" => Op::Confirm,
        "cancel" => Op::Cancel,
        "compensate" => Op::Compensate,
        _ => {
            let told =
                "op is unknown: the known ones are try, action, confirm, cancel and compensate";
            return Err(Refusal::bad("op", told));
        }
    };
    // The transaction would have another gid, under which nobody ever ends this hold. The ends are let
    // in: over JSON-RPC such a gid is kept as it is.
    if op == Op::Action && Gid::from_http(gid.as_str()).as_ref() != Ok(&gid) {
        let told = "gid has line breaks or semicolons, which the other calls over HTTP leave out: \
                    send it without";
        return Err(Refusal::bad("gid", told));
    }
    let url = StockUrl::of_parts(sale, item, text(pairs, "take"), text(pairs, "buyer"));
    let url = url.map_err(|why| Refusal::bad(field_of(&why), why.to_string()))?;
    let branch_id = branch_id.to_owned();
    Ok(StockCall { gid, branch_id, op, url: url.to_string() })
}

/// Which part of the request it is about; of the path none.
fn field_of(why: &StockUrlError) -> &'static str {
    match why {
        StockUrlError::Take | StockUrlError::Missing("take") => "take",
        StockUrlError::Id { part: "buyer", .. } | StockUrlError::Missing(_) => "buyer",
        StockUrlError::Id { .. }
        | StockUrlError::Form
        | StockUrlError::Twice(_)
        | StockUrlError::Unknown
        | StockUrlError::Fragment
        | StockUrlError::Plus
        | StockUrlError::Escape => "",
    }
}
