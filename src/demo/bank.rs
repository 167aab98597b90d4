//! The business service of the demonstration: a bank that answers tandem's calls over HTTP.

use std::{
    future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use axum::{
    Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, post},
};
use serde::Deserialize;
use tokio::{net::TcpListener, sync::mpsc, time::Instant};

use super::{
    books::Books,
    words::{Account, Balances, Entry, Movement, Op},
};

/// The branch of a two-phase message that stands for its sender's local work.
const LOCAL_WORK: &str = "00";

/// A call that the bank got, and what it did.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) gid: String,
    pub(super) branch_id: String,
    pub(super) op: Op,
    pub(super) movement: Movement,
    pub(super) entry: Entry,
    /// Whether the bank keeps silent about it.
    pub(super) is_unanswered: bool,
    /// What stands on the accounts after it.
    pub(super) balances: Balances,
    pub(super) at: Instant,
}

/// A bank that listens until the runtime ends.
pub(super) struct Bank {
    base: String,
    shared: Arc<Shared>,
}

struct Shared {
    books: Mutex<Books>,
    calls: mpsc::UnboundedSender<Call>,
    /// The next deposit is booked, and not answered.
    keeps_silent: AtomicBool,
}

impl Bank {
    /// Opens a bank on a free port of this machine; each call is told to `calls` before it is
    /// answered.
    pub(super) async fn open(
        balances: Balances,
        calls: mpsc::UnboundedSender<Call>,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("the bank cannot listen")?;
        let base = format!("http://{}", listener.local_addr().context("the bank's address")?);
        let books = Mutex::new(Books::new(balances));
        let shared = Arc::new(Shared { books, calls, keeps_silent: AtomicBool::new(false) });
        let router = Router::new()
            .route("/{account}/{direction}", post(moved))
            .route("/prepared", get(prepared))
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { base, shared })
    }

    /// Where it listens.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// The URL of deposits to, or withdrawals from, an account.
    pub(super) fn url(&self, movement: Movement) -> String {
        let direction = if movement.amount < 0 { "withdraw" } else { "deposit" };
        format!("{}/{:?}/{direction}", self.base, movement.account)
    }

    /// The URL that tells whether the local work of a message was done.
    pub(super) fn query_prepared(&self) -> String {
        format!("{}/prepared", self.base)
    }

    /// What stands on the accounts now.
    pub(super) fn balances(&self) -> Balances {
        self.shared.books().balances()
    }

    /// Closes the account to new actions, or opens it.
    pub(super) fn set_closed(&self, account: Account, is_closed: bool) {
        self.shared.books().set_closed(account, is_closed);
    }

    /// Books the next deposit and does not answer it.
    pub(super) fn keep_silent_once(&self) {
        self.shared.keeps_silent.store(true, Ordering::Relaxed);
    }

    /// Does the local work of the message `gid`, with its row of the barrier.
    pub(super) fn work_locally(&self, gid: &str, movement: Movement) -> Entry {
        self.shared.books().enter(gid, LOCAL_WORK, Op::Local, movement)
    }
}

impl Shared {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What tandem adds to each URL.
#[derive(Deserialize)]
struct Branch {
    gid: String,
    branch_id: String,
    op: String,
}

#[derive(Deserialize)]
struct Payload {
    amount: u32,
}

type Answer = (StatusCode, &'static str);

const SUCCESS: Answer = (StatusCode::OK, r#"{"dtm_result":"SUCCESS"}"#);

/// Any other answer would be taken for an error, and asked again.
const FAILURE: Answer = (StatusCode::CONFLICT, r#"{"dtm_result":"FAILURE"}"#);

async fn moved(
    State(shared): State<Arc<Shared>>,
    Path((account, direction)): Path<(String, String)>,
    Query(branch): Query<Branch>,
    body: String,
) -> Answer {
    let (Some(movement), Some(op)) = (movement(&account, &direction, &body), Op::parse(&branch.op))
    else {
        return (StatusCode::BAD_REQUEST, "this is no movement of an account");
    };
    let (entry, balances) = {
        let mut books = shared.books();
        let entry = books.enter(&branch.gid, &branch.branch_id, op, movement);
        (entry, books.balances())
    };
    let is_unanswered = movement.amount > 0 && shared.keeps_silent.swap(false, Ordering::Relaxed);
    let Branch { gid, branch_id, .. } = branch;
    let at = Instant::now();
    // Nobody listens once the demonstration is over.
    let _ = shared.calls.send(Call {
        gid,
        branch_id,
        op,
        movement,
        entry,
        is_unanswered,
        balances,
        at,
    });
    if is_unanswered {
        // Until the caller is gone: then the server drops this.
        future::pending::<()>().await;
    }
    if entry.is_refusal() { FAILURE } else { SUCCESS }
}

async fn prepared(State(shared): State<Arc<Shared>>, Query(branch): Query<Branch>) -> Answer {
    if shared.books().was_prepared(&branch.gid, &branch.branch_id) { SUCCESS } else { FAILURE }
}

fn movement(account: &str, direction: &str, body: &str) -> Option<Movement> {
    let account = match account {
        "A" => Account::A,
        "B" => Account::B,
        _ => return None,
    };
    let Payload { amount } = serde_json::from_str(body).ok()?;
    match direction {
        "deposit" => Some(Movement { account, amount: amount.into() }),
        "withdraw" => Some(Movement { account, amount: -i64::from(amount) }),
        _ => None,
    }
}
