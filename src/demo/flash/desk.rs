//! The payment desk of the sale: what tandem calls for each order, over HTTP.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    Router,
    extract::{Query, State},
    http::StatusCode,
    routing::post,
};
use serde::Deserialize;
use tokio::{net::TcpListener, time::sleep};

use super::ledger::{Ledger, Manner, Payments};

/// A desk that listens until the runtime ends.
pub(super) struct Desk {
    base: String,
    shared: Arc<Shared>,
}

struct Shared {
    ledger: Mutex<Ledger>,
    /// How long a late payment takes.
    late: Duration,
}

impl Desk {
    /// Opens a desk on a free port of this machine; a late payment takes `late`.
    pub(super) async fn open(late: Duration) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("the desk cannot listen")?;
        let base = format!("http://{}", listener.local_addr().context("the desk's address")?);
        let shared = Arc::new(Shared { ledger: Mutex::default(), late });
        let router = Router::new()
            .route("/charge", post(charge))
            .route("/refund", post(refund))
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { base, shared })
    }

    /// The URL that charges an order.
    pub(super) fn charge_url(&self) -> String {
        format!("{}/charge", self.base)
    }

    /// The URL that gives the money back.
    pub(super) fn refund_url(&self) -> String {
        format!("{}/refund", self.base)
    }

    /// From now on every new order is paid at once.
    pub(super) fn let_all_pay(&self) {
        self.shared.ledger().let_all_pay();
    }

    /// What was paid so far.
    pub(super) fn payments(&self) -> Payments {
        self.shared.ledger().payments()
    }
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What tandem adds to each URL, as far as it is needed.
#[derive(Deserialize)]
struct Branch {
    gid: String,
}

/// What tandem tells of the order, as far as it is needed.
#[derive(Deserialize)]
struct Order {
    buyer: String,
}

type Answer = (StatusCode, &'static str);

const SUCCESS: Answer = (StatusCode::OK, r#"{"dtm_result":"SUCCESS"}"#);
const ONGOING: Answer = (StatusCode::TOO_EARLY, r#"{"dtm_result":"ONGOING"}"#);
const FAILURE: Answer = (StatusCode::CONFLICT, r#"{"dtm_result":"FAILURE"}"#);
const UNREADABLE: Answer = (StatusCode::BAD_REQUEST, "this is no order");

async fn charge(
    State(shared): State<Arc<Shared>>,
    Query(Branch { gid }): Query<Branch>,
    body: String,
) -> Answer {
    let Ok(Order { buyer }) = serde_json::from_str(&body) else { return UNREADABLE };
    let manner = shared.ledger().manner(&gid, &buyer);
    match manner {
        Manner::Prompt => {}
        Manner::Never => return ONGOING,
        Manner::Late => sleep(shared.late).await,
    }
    if shared.ledger().charge(&gid, &buyer) { SUCCESS } else { FAILURE }
}

async fn refund(
    State(shared): State<Arc<Shared>>,
    Query(Branch { gid }): Query<Branch>,
    body: String,
) -> Answer {
    let Ok(Order { buyer }) = serde_json::from_str(&body) else { return UNREADABLE };
    shared.ledger().refund(&gid, &buyer);
    SUCCESS
}
