//! POST and GET sales, GET and PATCH a sale, POST restock and close.

use std::{future::Future, sync::Arc};

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
};

use super::{
    body::FlashBody,
    query,
    refusal::Refusal,
    sale_reply::{PageReply, SaleReply},
    sale_request::{self, Asked},
};
use crate::{
    api::http::{
        Api,
        finish::finish,
        number::{Pairs, text},
        reply,
    },
    branch::Caller,
    clock::Clock,
    flash::{SALES_PAGE_MAX, SaleError, SaleStatus},
    model::{StepUrls, flash::SaleId, quoted},
    store::{Store, flash::FlashStore},
};

/// A sale's id as it stands in the path.
pub(in crate::api::http) type SalePath = Result<Path<String>, PathRejection>;

/// Makes a sale.
pub(in crate::api::http) async fn create<S: Store + FlashStore, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    body: Result<FlashBody, Refusal>,
) -> Result<Response, Refusal> {
    let FlashBody(body) = body?;
    let Asked { request_id, what } = sale_request::new_sale(&body)?;
    check_steps(&api, &what.steps)?;
    let sales = Arc::clone(api.flash().sales());
    changed(async move { sales.create(what, &request_id).await }).await
}

/// Changes a sale.
pub(in crate::api::http) async fn change<S: Store + FlashStore, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    path: SalePath,
    body: Result<FlashBody, Refusal>,
) -> Result<Response, Refusal> {
    let FlashBody(body) = body?;
    let id = sale_id(path)?;
    let Asked { request_id, what } = sale_request::changes(&body)?;
    check_steps(&api, what.steps.as_deref().unwrap_or_default())?;
    let sales = Arc::clone(api.flash().sales());
    changed(async move { sales.change(&id, &what, &request_id).await }).await
}

/// Adds units to a sale.
pub(in crate::api::http) async fn restock<S: Store + FlashStore, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    path: SalePath,
    body: Result<FlashBody, Refusal>,
) -> Result<Response, Refusal> {
    let FlashBody(body) = body?;
    let id = sale_id(path)?;
    let Asked { request_id, what } = sale_request::restock(&body)?;
    let sales = Arc::clone(api.flash().sales());
    changed(async move { sales.restock(&id, &what, &request_id).await }).await
}

/// Closes a sale.
pub(in crate::api::http) async fn close<S: Store + FlashStore, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    path: SalePath,
    body: Result<FlashBody, Refusal>,
) -> Result<Response, Refusal> {
    let FlashBody(body) = body?;
    let id = sale_id(path)?;
    let Asked { request_id, what: () } = sale_request::close(&body)?;
    let sales = Arc::clone(api.flash().sales());
    changed(async move { sales.close(&id, &request_id).await }).await
}

/// Answers a sale with its books.
pub(in crate::api::http) async fn show<S: Store + FlashStore, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    path: SalePath,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    query::check(&pairs, &[])?;
    let status = api.flash().sales().status(&sale_id(path)?).await?;
    Ok(reply::json(StatusCode::OK, &SaleReply::from(&status)))
}

/// Answers a page of all sales with their books.
pub(in crate::api::http) async fn list<S: Store + FlashStore, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    query::check(&pairs, &["after", "limit"])?;
    let after = text(&pairs, "after").map(|after| {
        SaleId::new(after).map_err(|error| Refusal::bad("after", format!("after {error}")))
    });
    let limit = text(&pairs, "limit").map(|limit| {
        let number = limit.parse().ok().filter(|number| (1..=SALES_PAGE_MAX).contains(number));
        number.ok_or_else(|| {
            let found = quoted(limit);
            let told =
                format!("limit is {found:?}, it must be a whole number from 1 to {SALES_PAGE_MAX}");
            Refusal::bad("limit", told)
        })
    });
    let (after, limit) = (after.transpose()?, limit.transpose()?);
    let page = api.flash().sales().page(after.as_ref(), limit).await?;
    Ok(reply::json(StatusCode::OK, &PageReply::from(&page)))
}

/// The sale that the path names.
pub(super) fn sale_id(path: SalePath) -> Result<SaleId, Refusal> {
    let id = path.map(|Path(id)| id).unwrap_or_default();
    // What cannot be an id was never a sale's.
    SaleId::new(&id).map_err(|_| Refusal::unknown_sale(&id))
}

/// What is begun is finished, also when the client goes away: a sale that only a part of its buckets
/// knows would wait for the next round of upkeep.
async fn changed(
    change: impl Future<Output = Result<SaleStatus, SaleError>> + Send + 'static,
) -> Result<Response, Refusal> {
    let status = finish(change).await?;
    Ok(reply::json(StatusCode::OK, &SaleReply::from(&status)))
}

/// Refuses steps that could never be called, as those of a saga are.
fn check_steps<S: Store + FlashStore, C: Caller, K: Clock>(
    api: &Api<S, C, K>,
    steps: &[StepUrls],
) -> Result<(), Refusal> {
    for (number, StepUrls { action, compensate }) in steps.iter().enumerate() {
        for (name, url) in [("action", action), ("compensate", compensate)] {
            let field = format!("steps[{number}].{name}");
            if url.is_empty() && name == "action" {
                let told = format!("{field} is empty: a step calls something");
                return Err(Refusal::bad(field, told));
            }
            if !url.is_empty()
                && let Err(why) = api.service().check_url(url)
            {
                let told = format!("{field} {why}");
                return Err(Refusal::bad(field, told));
            }
        }
    }
    Ok(())
}
