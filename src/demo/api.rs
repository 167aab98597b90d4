//! A client of tandem's HTTP API, as small as the demonstration needs it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::words::Op;

/// How often an unfinished transaction is asked after.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Longest wait for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A client of any node.
#[derive(Clone)]
pub(super) struct Api {
    client: reqwest::Client,
}

/// What a node answered.
#[derive(Debug)]
pub(super) struct Reply {
    /// The HTTP status.
    pub(super) status: u16,
    /// Its message, empty where all went well.
    pub(super) message: String,
}

impl Api {
    /// A client that goes through no proxy: all is on this machine.
    pub(super) fn new() -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_TIMEOUT).build();
        Ok(Self { client: client.context("no HTTP client can be made")? })
    }

    /// POSTs a transaction, or a branch of one, to the node at `base`; `call` is what to do with it,
    /// such as `submit`.
    pub(super) async fn send(&self, base: &str, call: &str, body: &Value) -> anyhow::Result<Reply> {
        let (status, text) = self.post(&format!("{base}/api/dtmsvr/{call}"), body).await?;
        let reply: Value = serde_json::from_str(&text).unwrap_or_default();
        let message = reply["message"].as_str().unwrap_or_default().to_owned();
        Ok(Reply { status, message })
    }

    /// POSTs to `url`; answers the HTTP status and the text.
    pub(super) async fn post(&self, url: &str, body: &Value) -> anyhow::Result<(u16, String)> {
        let response = self.client.post(url).json(body).send().await;
        let response = response.with_context(|| format!("{url} was not answered"))?;
        let status = response.status().as_u16();
        let text = response.text().await.with_context(|| format!("{url} was cut off"))?;
        Ok((status, text))
    }

    /// POSTs to `url`, which has to answer 200 with JSON.
    pub(super) async fn post_well(&self, url: &str, body: &Value) -> anyhow::Result<Value> {
        let (status, text) = self.post(url, body).await?;
        ensure!(status == 200, "{url} was answered {status}: {text}");
        serde_json::from_str(&text).with_context(|| format!("{url} was answered {text}"))
    }

    /// GETs `url`, which has to answer 200 with JSON.
    pub(super) async fn get_well(&self, url: &str) -> anyhow::Result<Value> {
        let answered = async {
            let response = self.client.get(url).send().await?.error_for_status()?;
            response.json::<Value>().await
        };
        answered.await.with_context(|| format!("{url} was not answered well"))
    }

    /// Waits until `gid` has ended, and answers its status, as the node at `base` sees it.
    pub(super) async fn ended(&self, base: &str, gid: &str) -> anyhow::Result<String> {
        loop {
            let status = self.status(base, gid).await?;
            if matches!(status.as_str(), "succeed" | "failed") {
                return Ok(status);
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// The status of `gid`, as the node at `base` sees it.
    pub(super) async fn status(&self, base: &str, gid: &str) -> anyhow::Result<String> {
        let found = self.query(base, gid).await?;
        Ok(found["transaction"]["status"].as_str().unwrap_or("unknown").to_owned())
    }

    /// Which branches of `gid` are stored, as the node at `base` sees it.
    pub(super) async fn branches(&self, base: &str, gid: &str) -> anyhow::Result<Vec<String>> {
        Ok(branch_ids(&self.query(base, gid).await?["branches"]))
    }

    /// What the node at `base` answers of `gid`, be it that it cannot tell now.
    async fn query(&self, base: &str, gid: &str) -> anyhow::Result<Value> {
        let url = format!("{base}/api/dtmsvr/query?gid={gid}");
        let answered = async { self.client.get(&url).send().await?.json::<Value>().await };
        answered.await.context("query was not answered")
    }

    /// Waits until the branch is stored, as the node at `base` sees it.
    pub(super) async fn registered(
        &self,
        base: &str,
        gid: &str,
        branch_id: &str,
    ) -> anyhow::Result<()> {
        while !self.branches(base, gid).await?.iter().any(|found| found == branch_id) {
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(())
    }

    /// Prepares a workflow, or finds the one that is there; answers which branches are done.
    pub(super) async fn prepare_workflow(
        &self,
        base: &str,
        body: &Value,
    ) -> anyhow::Result<Vec<String>> {
        let url = format!("{base}/api/dtmsvr/prepareWorkflow");
        Ok(branch_ids(&self.post_well(&url, body).await?["progresses"]))
    }

    /// Calls a branch of `gid` at its service, as a client that does so itself; answers the HTTP
    /// status.
    pub(super) async fn call_branch(
        &self,
        url: &str,
        (trans_type, gid): (&str, &str),
        (branch_id, op): (&str, Op),
        payload: &str,
    ) -> anyhow::Result<u16> {
        let op = op.as_str();
        let url = format!("{url}?gid={gid}&trans_type={trans_type}&branch_id={branch_id}&op={op}");
        let answered = self.client.post(&url).body(payload.to_owned()).send().await;
        Ok(answered.with_context(|| format!("{op} was not answered"))?.status().as_u16())
    }
}

fn branch_ids(branches: &Value) -> Vec<String> {
    let branches = branches.as_array().into_iter().flatten();
    branches.filter_map(|branch| branch["branch_id"].as_str().map(str::to_owned)).collect()
}
