//! POST orders of a sale: takes the units of a cart and stores the order, or says why not.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use super::{body::FlashBody, order_request::OrderRequest, refusal::Refusal};
use crate::{
    api::http::{Api, finish::finish, reply},
    branch::Caller,
    clock::Clock,
    flash::Wanted,
    model::{Gid, flash::SaleId},
    service::{OrderReply, OrderResult},
    store::{
        Store,
        flash::{FlashStore, Refusal as Refused, TakenLine},
    },
};

/// Before and after a sale's id in the route.
const PATH: (&str, &str) = ("/api/flash/sales/", "/orders");

/// Answers what was taken and what is left, or why nothing was taken. Who comes after a sale is
/// sold out is answered without a question to anybody.
pub(in crate::api::http) async fn order<S: Store + FlashStore, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    uri: Uri,
    body: Result<FlashBody, Refusal>,
) -> Response {
    // The route has both; cut here, the id is not copied.
    let path = uri.path();
    let id = path.strip_prefix(PATH.0).and_then(|id| id.strip_suffix(PATH.1)).unwrap_or_default();
    let body = match body {
        Ok(FlashBody(body)) => body,
        Err(refusal) => return refusal.into_response(),
    };
    let request = match OrderRequest::read(&body) {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    if let Some(item) = api.flash().sold_out(id, request.buyer(), request.lines()) {
        return sold_out(item.as_str());
    }
    match take(&api, id, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

async fn take<S: Store + FlashStore, C: Caller, K: Clock>(
    api: &Api<S, C, K>,
    id: &str,
    request: OrderRequest<'_>,
) -> Result<Response, Refusal> {
    let id = SaleId::new(id).map_err(|_| Refusal::unknown_sale(id))?;
    let checked = request.into_checked()?;
    let (service, flash) = (Arc::clone(api.service()), Arc::clone(api.flash()));
    finish(async move {
        let sale = service.sale(&flash, &id).await?;
        let Some(sale) = sale else { return Err(Refusal::unknown_sale(id.as_str())) };
        let wanted = Wanted {
            sale,
            order: checked.order,
            buyer: checked.buyer,
            cart: checked.cart,
            data: checked.data,
        };
        let reply = service.order(&flash, &wanted, checked.waits).await?;
        answer(reply, id.as_str())
    })
    .await
}

fn answer(reply: OrderReply, sale: &str) -> Result<Response, Refusal> {
    match reply {
        OrderReply::Taken { gid, lines, result } => taken(&gid, &lines, result),
        OrderReply::Refused(refused) => Err(refusal(refused, sale)),
        OrderReply::OtherBuyer => Err(Refusal::conflict(
            "other_buyer",
            "the order id is another buyer's: an order's id must be of one order alone",
        )),
        OrderReply::OtherCart => Err(Refusal::conflict(
            "other_cart",
            "the buyer has an order of this id with another cart: take a new id for another order",
        )),
    }
}

fn taken(gid: &Gid, lines: &[TakenLine], result: Option<OrderResult>) -> Result<Response, Refusal> {
    let (status, word) = match result {
        None => (StatusCode::OK, None),
        Some(OrderResult::Succeeded) => (StatusCode::OK, Some("succeed")),
        Some(OrderResult::Unfinished { status }) => {
            (StatusCode::ACCEPTED, Some(status.map_or("unknown", |status| status.as_str())))
        }
        Some(OrderResult::RolledBack) => {
            // A shop may show it to the buyer, whom a service's URL and words do not concern.
            let told =
                "the order was rolled back, its units are given back: its transaction says why";
            return Err(Refusal::conflict("rolled_back", told).of_order(gid.as_str()));
        }
    };
    // The ids in it are of plain letters: nothing needs escaping.
    let mut text = String::with_capacity(64 + gid.as_str().len() + lines.len() * 80);
    text.extend([r#"{"gid":""#, gid.as_str(), r#"","items":["#]);
    for (number, TakenLine { item, take, left }) in lines.iter().enumerate() {
        let start = if number == 0 { r#"{"id":""# } else { r#",{"id":""# };
        text.extend([start, item.as_str(), r#"","taken":"#, &take.to_string()]);
        text.extend([r#","left":"#, &left.to_string(), "}"]);
    }
    text.push(']');
    if let Some(word) = word {
        text.extend([r#","status":""#, word, "\""]);
    }
    text.push('}');
    Ok(reply::with_type(status, text.into()))
}

fn refusal(refused: Refused, sale: &str) -> Refusal {
    match refused {
        Refused::UnknownSale => Refusal::unknown_sale(sale),
        Refused::UnknownItem(item) => {
            let told = format!("the sale has no item {item}: see GET /api/flash/sales/{sale}");
            Refusal::new(StatusCode::NOT_FOUND, "unknown_item", told).of_item(item.as_str())
        }
        Refused::NotOpen => Refusal::conflict(
            "not_open",
            format!("the sale is not open yet: see opens_at in GET /api/flash/sales/{sale}"),
        ),
        Refused::Closed => Refusal::conflict("closed", "the sale is over"),
        Refused::LimitReached(Some(item)) => {
            let told = format!("one buyer may not have so many units of {item}");
            Refusal::conflict("limit_reached", told).of_item(item.as_str())
        }
        Refused::LimitReached(None) => {
            Refusal::conflict("limit_reached", "one buyer may not have so many units in this sale")
        }
        Refused::Crowded => {
            Refusal::crowded("as many orders as are allowed are in work: come again in a moment")
        }
        Refused::SoldOut(item) => {
            let told = sold_out_message(item.as_str());
            Refusal::conflict("sold_out", told).of_item(item.as_str())
        }
    }
}

fn sold_out_message(item: &str) -> String {
    format!("too few units of {item} are left; some may come back")
}

/// As [`refusal`] has it, without the way there.
fn sold_out(item: &str) -> Response {
    const PIECES: [&str; 3] = [
        r#"{"reason":"sold_out","message":"too few units of "#,
        r#" are left; some may come back","item":""#,
        r#""}"#,
    ];
    let mut text = Vec::with_capacity(128 + 2 * item.len());
    for piece in [PIECES[0], item, PIECES[1], item, PIECES[2]] {
        text.extend_from_slice(piece.as_bytes());
    }
    reply::with_type(StatusCode::CONFLICT, Bytes::from(text))
}
