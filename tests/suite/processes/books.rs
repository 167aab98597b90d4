//! A bank with a barrier, as the clients' libraries have one: each op of each branch takes effect
//! once, a compensation that comes first takes none and bars its action, and whatever the replies
//! are, the books can be balanced at the end.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::{Query, State},
    http::{StatusCode, Uri},
};
use tokio::net::TcpListener;

/// A bank that listens until the test's runtime ends.
#[derive(Clone)]
pub(crate) struct Bank {
    base: String,
    books: Arc<Mutex<Books>>,
}

#[derive(Default)]
struct Books {
    /// What stands on each account.
    balances: HashMap<String, i64>,
    /// The barrier: gid, branch and op of what took effect or was barred.
    done: HashSet<(String, String, &'static str)>,
    /// How often each was called, so that a random answer is another one the next time.
    calls: HashMap<(String, String, String), u32>,
}

impl Bank {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let books = Arc::<Mutex<Books>>::default();
        let router = Router::new().fallback(called).with_state(Arc::clone(&books));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base, books }
    }

    /// The URL that adds `amount` to `account`; with the op `compensate` it is taken away again.
    pub(crate) fn url(&self, account: &str, amount: i64) -> String {
        format!("{}/{account}?amount={amount}", self.base)
    }

    /// What stands on `account`.
    pub(crate) fn balance(&self, account: &str) -> i64 {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.balances.get(account).copied().unwrap_or(0)
    }
}

async fn called(
    State(books): State<Arc<Mutex<Books>>>,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
) -> (StatusCode, &'static str) {
    let of = |name: &str| query.get(name).cloned().unwrap_or_default();
    let (gid, branch, op) = (of("gid"), of("branch_id"), of("op"));
    let amount: i64 = of("amount").parse().expect("the URL's own amount");
    let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
    let nth = books.calls.entry((gid.clone(), branch.clone(), op.clone())).or_default();
    *nth += 1;
    let dice = roll(&(&gid, &branch, &op, *nth));
    let is_undo = op == "compensate";
    // One action in ten is refused for good, whenever it is asked; a compensation never is.
    if !is_undo && roll(&(&gid, &branch)) % 10 == 0 {
        return (StatusCode::CONFLICT, "FAILURE");
    }
    // One answer in ten comes of a call that took no effect.
    if dice % 20 < 2 {
        return (StatusCode::INTERNAL_SERVER_ERROR, "not done");
    }
    books.take_effect(&gid, &branch, is_undo, uri.path().trim_start_matches('/'), amount);
    match dice % 20 {
        2 => (StatusCode::INTERNAL_SERVER_ERROR, "done, and nobody knows"),
        3 => (StatusCode::TOO_EARLY, "ONGOING"),
        _ => (StatusCode::OK, "{}"),
    }
}

impl Books {
    fn take_effect(&mut self, gid: &str, branch: &str, undo: bool, account: &str, amount: i64) {
        let key = |op: &'static str| (gid.to_owned(), branch.to_owned(), op);
        let is_new = if undo {
            let action_was_done = !self.done.insert(key("action"));
            self.done.insert(key("compensate")) && action_was_done
        } else {
            self.done.insert(key("action"))
        };
        if is_new {
            *self.balances.entry(account.to_owned()).or_default() +=
                if undo { -amount } else { amount };
        }
    }
}

fn roll(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
