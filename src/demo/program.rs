//! A business program that is a workflow: its code is the transaction, and tandem keeps what of it is
//! done. Whoever runs it again, with the same gid, goes on where it ended.

use std::{future, sync::Arc};

use anyhow::{Context as _, ensure};
use axum::{
    Router,
    extract::{Query, State},
    http::StatusCode,
    routing::post,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::mpsc::UnboundedSender,
    task::{self, JoinHandle},
};

use super::{api::Api, words::Op};

/// Its name, which tandem says when it calls back.
pub(super) const NAME: &str = "transfer";

/// What happens in the program at tandem's call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Tandem called it back.
    Called {
        gid: String,
        /// The workflow's name.
        op: String,
        /// What the client left for it.
        data: String,
    },
    /// It came to its end; the HTTP status with which its submit was answered.
    Submitted(u16),
}

/// A program that listens for tandem until the runtime ends.
#[derive(Clone)]
pub(super) struct Program {
    shared: Arc<Shared>,
}

struct Shared {
    api: Api,
    /// The node that it speaks to.
    node: String,
    /// Where tandem calls it back.
    resume: String,
    /// Branch id and URL of each step.
    steps: [(&'static str, String); 2],
    events: UnboundedSender<Event>,
}

impl Program {
    /// Opens it on a free port of this machine; what tandem makes it do is told to `events`.
    pub(super) async fn open(
        api: Api,
        node: &str,
        steps: [(&'static str, String); 2],
        events: UnboundedSender<Event>,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("it cannot listen")?;
        let resume = format!("http://{}/resume", listener.local_addr().context("its address")?);
        let shared = Arc::new(Shared { api, node: node.to_owned(), resume, steps, events });
        let router = Router::new().route("/resume", post(resumed)).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { shared })
    }

    /// Starts a client of its own that runs it, and stands still after the step `branch_id`.
    pub(super) fn start(
        &self,
        gid: &str,
        data: &'static str,
        branch_id: &'static str,
    ) -> JoinHandle<anyhow::Result<u16>> {
        let (shared, gid) = (Arc::clone(&self.shared), gid.to_owned());
        task::spawn(async move { shared.run(&gid, data, Some(branch_id)).await })
    }
}

impl Shared {
    /// Does each step that is not done yet, and submits; answers how the submit was answered.
    async fn run(
        &self,
        gid: &str,
        data: &str,
        stands_still_after: Option<&str>,
    ) -> anyhow::Result<u16> {
        let prepared = json!({
            "gid": gid,
            "trans_type": "workflow",
            "query_prepared": self.resume,
            "custom_data": json!({"name": NAME, "data": BASE64_STANDARD.encode(data)}).to_string(),
            // After this many seconds it is called back, if it was not submitted.
            "retry_interval": 1,
        });
        let done = self.api.prepare_workflow(&self.node, &prepared).await?;
        for (branch_id, url) in &self.steps {
            if done.iter().any(|done| done == branch_id) {
                continue;
            }
            let branch = (*branch_id, Op::Action);
            let status = self.api.call_branch(url, ("workflow", gid), branch, data).await?;
            ensure!(status == 200, "step {branch_id} was answered {status}");
            let branch = json!({
                "gid": gid,
                "trans_type": "workflow",
                "branch_id": branch_id,
                "op": Op::Action.as_str(),
                "status": "succeed",
                "data": "",
            });
            let registered = self.api.send(&self.node, "registerBranch", &branch).await?;
            ensure!(registered.status == 200, "registerBranch: {}", registered.message);
            if stands_still_after == Some(branch_id) {
                future::pending::<()>().await;
            }
        }
        let end = json!({"gid": gid, "trans_type": "workflow", "req_extra": {"status": "succeed"}});
        Ok(self.api.send(&self.node, "submit", &end).await?.status)
    }
}

/// What tandem adds to the URL.
#[derive(Deserialize)]
struct Callback {
    gid: String,
    op: String,
}

async fn resumed(
    State(shared): State<Arc<Shared>>,
    Query(Callback { gid, op }): Query<Callback>,
    data: String,
) -> (StatusCode, String) {
    // Nobody listens once the demonstration is over.
    let _ = shared.events.send(Event::Called { gid: gid.clone(), op, data: data.clone() });
    // In a task of its own: with its submit the workflow has ended, and tandem may hang up here
    // before the program has heard that.
    let running = task::spawn(async move {
        let status = shared.run(&gid, &data, None).await?;
        let _ = shared.events.send(Event::Submitted(status));
        anyhow::Ok(())
    });
    match running.await {
        Ok(Ok(())) => (StatusCode::OK, String::new()),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
