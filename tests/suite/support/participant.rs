//! A business service on a real socket: a test says beforehand what each path answers, and reads
//! afterwards, or awaits, what was called.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Query, State},
    http::{HeaderMap, Method, StatusCode, Uri},
};
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{Instant, timeout},
};

use super::server::PATIENCE;

/// What a call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 200, done.
    Success,
    /// 409, refused for good.
    Failure,
    /// 425, not finished.
    Ongoing,
    /// 500.
    Error,
    /// Done, and answered only when the test says so ([`Participant::release`]).
    Held,
    /// This status with this body.
    Says(u16, &'static str),
}

/// One call that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) gid: String,
    pub(crate) branch_id: String,
    pub(crate) op: String,
    pub(crate) body: Bytes,
    pub(crate) headers: HeaderMap,
    /// When it arrived.
    pub(crate) at: Instant,
}

/// A business service that listens until the test's runtime ends.
#[derive(Clone)]
pub(crate) struct Participant {
    base: String,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<Inner>,
    /// Changes with each call that arrives, and with each release.
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Inner {
    /// By path; the last one holds for all later calls.
    answers: HashMap<String, Vec<Answer>>,
    released: HashMap<String, ()>,
    calls: Vec<Call>,
}

impl Participant {
    /// Starts one on a free port.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let (changed, _) = watch::channel(());
        let shared = Arc::new(Shared { state: Mutex::default(), changed });
        let router = Router::new()
            .fallback(called)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base, shared }
    }

    /// The URL of `path`, which begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// What the next calls of `path` are answered, one after the other; the last answer holds for
    /// all later ones. A path of which nothing was said answers success.
    pub(crate) fn answers(&self, path: &str, answers: &[Answer]) {
        self.shared.lock().answers.insert(path.to_owned(), answers.to_vec());
    }

    /// Lets the calls of `path` that are held be answered, and all later ones at once.
    pub(crate) fn release(&self, path: &str) {
        self.shared.lock().released.insert(path.to_owned(), ());
        self.shared.changed.send_replace(());
    }

    /// What arrived so far, in order.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.lock().calls.clone()
    }

    /// The paths of the calls with this gid, in the order of their arrival.
    pub(crate) fn paths_of(&self, gid: &str) -> Vec<String> {
        let calls = self.calls().into_iter().filter(|call| call.gid == gid);
        calls.map(|call| call.path).collect()
    }

    /// Waits until `count` calls of `path` have arrived.
    pub(crate) async fn arrived(&self, path: &str, count: usize) {
        self.when(|inner| inner.calls.iter().filter(|call| call.path == path).count() >= count)
            .await;
    }

    async fn when(&self, is_so: impl Fn(&Inner) -> bool) {
        let when = timeout(PATIENCE, self.shared.when(is_so)).await;
        assert!(when.is_ok(), "only these calls came: {:?}", self.calls());
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn when(&self, is_so: impl Fn(&Inner) -> bool) {
        let mut changed = self.changed.subscribe();
        while !is_so(&self.lock()) {
            changed.changed().await.expect("the sender is in self");
        }
    }
}

async fn called(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let path = uri.path().to_owned();
    let of = |name: &str| query.get(name).cloned().unwrap_or_default();
    let (gid, branch_id, op) = (of("gid"), of("branch_id"), of("op"));
    let answer = {
        let mut inner = shared.lock();
        let (path, at) = (path.clone(), Instant::now());
        inner.calls.push(Call {
            method,
            path: path.clone(),
            gid,
            branch_id,
            op,
            body,
            headers,
            at,
        });
        match inner.answers.get_mut(&path) {
            Some(answers) if answers.len() > 1 => answers.remove(0),
            Some(answers) => answers.first().copied().unwrap_or(Answer::Success),
            None => Answer::Success,
        }
    };
    shared.changed.send_replace(());
    match answer {
        Answer::Success => {}
        Answer::Failure => return (StatusCode::CONFLICT, r#"{"error":"refused FAILURE"}"#),
        Answer::Ongoing => return (StatusCode::TOO_EARLY, r#"{"error":"ONGOING"}"#),
        Answer::Error => return (StatusCode::INTERNAL_SERVER_ERROR, r#"{"error":"out of order"}"#),
        Answer::Says(status, text) => {
            return (StatusCode::from_u16(status).expect("a status"), text);
        }
        Answer::Held => shared.when(|inner| inner.released.contains_key(&path)).await,
    }
    (StatusCode::OK, r#"{"dtm_result":"SUCCESS"}"#)
}
