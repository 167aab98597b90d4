//! A `tandem serve` process of a test's own, with what can happen to one: it is killed, stands
//! still, or is told to stop.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Client, Method, header::HeaderMap, redirect::Policy};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{task::spawn_blocking, time::timeout};

/// Nothing that a test awaits of a healthy server takes longer, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running node; killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    base: String,
    client: Client,
    log: Arc<Mutex<Vec<String>>>,
}

/// An answer of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The words of a refusal.
    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }

    /// The header of this name; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

impl Server {
    /// Starts a node on `redis_url` with `flags` beside it, and waits until it serves.
    pub(crate) async fn start(redis_url: &str, flags: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
        command.args(["serve", "--redis-url", redis_url]);
        Self::start_with(command, flags).await
    }

    /// As [`Server::start`], but waits only until it listens.
    pub(crate) async fn begin(redis_url: &str, flags: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
        command.args(["serve", "--redis-url", redis_url]);
        Self::spawn(command, flags, "listening").await
    }

    /// As [`Server::start`], with the first part of the command line in `command`.
    pub(crate) async fn start_with(command: Command, flags: &[&str]) -> Self {
        Self::spawn(command, flags, "http_addr").await
    }

    /// Starts `command` and waits until it logs its address under `key`.
    async fn spawn(mut command: Command, flags: &[&str], key: &'static str) -> Self {
        if !flags.contains(&"--http-addr") {
            command.args(["--http-addr", "127.0.0.1:0"]);
        }
        command
            .args(["--grpc-addr", "127.0.0.1:0"])
            .args(["--log-format", "json"])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let log = Arc::default();
        let stderr = child.stderr.take().expect("piped above");
        let reading = Arc::clone(&log);
        let (told, address) = tokio::sync::oneshot::channel();
        spawn_blocking(move || read_log(stderr, &reading, key, told));
        let address = timeout(PATIENCE, address).await.ok().and_then(Result::ok);
        let base = format!("http://{}", address.unwrap_or_default());
        let server = Self { child, base, client: client(), log };
        assert!(server.base.len() > "http://".len(), "it does not serve: {}", server.log());
        server
    }

    /// Where its HTTP API is.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// POSTs `body` to `path`, which begins with a slash.
    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Reply {
        let request = self.client.post(format!("{}{path}", self.base)).body(body);
        answer(request).await.expect("an answer")
    }

    /// GETs `path`.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        let request = self.client.get(format!("{}{path}", self.base));
        answer(request).await.expect("an answer")
    }

    /// Sends `body` to `path` with this method and, if it is not empty, this Content-Type; no
    /// redirect is followed.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> Reply {
        let client = Client::builder().no_proxy().redirect(Policy::none()).build();
        let client = client.expect("a client");
        let mut request = client.request(method, format!("{}{path}", self.base)).body(body);
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        answer(request).await.expect("an answer")
    }

    /// POSTs `{"gid": gid}` to the endpoint of this name.
    pub(crate) async fn post_gid(&self, endpoint: &str, gid: &str) -> Reply {
        let body = serde_json::json!({ "gid": gid }).to_string();
        self.post(&format!("/api/dtmsvr/{endpoint}"), body).await
    }

    /// Prepares the transaction.
    pub(crate) async fn prepare(&self, transaction: &Value) -> Reply {
        self.post("/api/dtmsvr/prepare", transaction.to_string()).await
    }

    /// Waits until this number of its metrics page, by the whole name with its labels, is as wanted.
    pub(crate) async fn until_metric(&self, name: &str, is_wanted: impl Fn(f64) -> bool) {
        let waiting = async {
            while !is_wanted(self.metric(name).await) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if timeout(PATIENCE, waiting).await.is_err() {
            panic!("{name} is {}\n{}", self.metric(name).await, self.log());
        }
    }

    /// Submits the transaction.
    pub(crate) async fn submit(&self, transaction: &Value) -> Reply {
        self.post("/api/dtmsvr/submit", transaction.to_string()).await
    }

    /// Submits the transaction to a node that may die meanwhile; `None` if there was no answer.
    pub(crate) async fn try_submit(&self, transaction: &Value) -> Option<Reply> {
        let request = self.client.post(format!("{}/api/dtmsvr/submit", self.base));
        answer(request.body(transaction.to_string())).await.ok()
    }

    /// What is stored for `gid`.
    pub(crate) async fn query(&self, gid: &str) -> Value {
        self.get(&format!("/api/dtmsvr/query?gid={gid}")).await.json()
    }

    /// The status of `gid`; empty if there is none.
    pub(crate) async fn status(&self, gid: &str) -> String {
        let found = self.query(gid).await;
        found["transaction"]["status"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until `gid` has ended, and answers how.
    pub(crate) async fn ended(&self, gid: &str) -> String {
        self.until(gid, |status| matches!(status, "succeed" | "failed")).await
    }

    /// Waits until the status of `gid` is as wanted, and answers it.
    pub(crate) async fn until(&self, gid: &str, is_wanted: impl Fn(&str) -> bool) -> String {
        let waiting = async {
            loop {
                let status = self.status(gid).await;
                if is_wanted(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        match timeout(PATIENCE, waiting).await {
            Ok(status) => status,
            Err(_) => panic!("{} is {}\n{}", gid, self.query(gid).await, self.log()),
        }
    }

    /// One number of its metrics page, by the whole name with its labels; 0 if it is not there.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let page = self.get("/api/metrics").await.text;
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |number| number.parse().expect("a number"))
    }

    /// SIGKILL: it does nothing more, and its connections break.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("it was running");
    }

    /// SIGSTOP: it stands still, and notices nothing of it.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT: it goes on.
    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGTERM, then waits for its end.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.end().await
    }

    /// SIGTERM; when the node has heard it, does `then`; then waits for its end.
    pub(crate) async fn stop_and(mut self, then: impl FnOnce()) -> ExitStatus {
        self.signal(Signal::TERM);
        let hearing = async {
            while !self.log().contains("stopping: what is held") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, hearing).await.unwrap_or_else(|_| panic!("it does not hear"));
        then();
        self.end().await
    }

    async fn end(&mut self) -> ExitStatus {
        let waiting = async {
            loop {
                if let Some(status) = self.child.try_wait().expect("a child") {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("it does not stop"))
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), signal).expect("it is there");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already, if the test killed it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("log of {}:\n{}", self.base, self.log());
        }
    }
}

/// A client that waits for long answers and goes through no proxy.
pub(crate) fn client() -> Client {
    // Fails if another test was first; either is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().timeout(PATIENCE * 2).build().expect("a client")
}

async fn answer(request: reqwest::RequestBuilder) -> reqwest::Result<Reply> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Reply { status, headers, text: response.text().await? })
}

fn read_log(
    stderr: ChildStderr,
    log: &Mutex<Vec<String>>,
    key: &str,
    told: tokio::sync::oneshot::Sender<String>,
) {
    let mut told = Some(told);
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let json: Value = serde_json::from_str(&line).unwrap_or_default();
        let address = json["fields"][key].as_str().or_else(|| json[key].as_str());
        if let Some(address) = address
            && let Some(told) = told.take()
        {
            // Nobody waits for it if the test gave up.
            let _ = told.send(address.to_owned());
        }
        log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}
