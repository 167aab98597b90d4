//! A node of the demonstration: `tandem serve` as a process of its own.

use std::{env, path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, Command},
    time::timeout,
};

use super::LEASE_SECONDS;
use crate::local_redis;

/// Nothing keeps a node from serving for so long but a Redis that cannot be reached.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A node that runs; killed when this is dropped.
pub(super) struct Node {
    /// Which of the nodes it is, from 1.
    pub(super) number: usize,
    /// Its process.
    pub(super) pid: u32,
    base: String,
    child: Child,
}

impl Node {
    /// Starts a node and waits until it serves.
    pub(super) async fn start(
        number: usize,
        redis_url: &str,
        key_prefix: &str,
    ) -> anyhow::Result<Self> {
        let mut child = command(redis_url, key_prefix)?
            .spawn()
            .with_context(|| format!("node {number} cannot be started"))?;
        let pid = child.id().unwrap_or_default();
        let stderr = child.stderr.take().context("the node's log is not piped")?;
        let mut log = Log { lines: BufReader::new(stderr).lines(), last: String::new() };
        match timeout(START_TIMEOUT, log.address()).await {
            Ok(Some(address)) => {
                // A log that nobody reads would stop the node when the pipe is full.
                tokio::spawn(async move { while log.next().await.is_some() {} });
                Ok(Self { number, pid, base: format!("http://{address}"), child })
            }
            Ok(None) => bail!("node {number} ended at its start: {}", log.last),
            Err(_) => bail!("node {number} does not serve; it last said: {}", log.last),
        }
    }

    /// Where its HTTP API is.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// SIGKILL: it does nothing more, and its connections break. Waits until it is gone.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        let number = self.number;
        self.child.kill().await.with_context(|| format!("node {number} cannot be killed"))
    }
}

fn command(redis_url: &str, key_prefix: &str) -> anyhow::Result<Command> {
    let executable = env::current_exe().context("the path of tandem itself")?;
    // However the demonstration ends, its nodes do too.
    let mut command = Command::from(local_redis::tied_command(Path::new("/proc/self/exe")));
    command
        .arg(executable)
        .args(["serve", "--redis-url", redis_url, "--key-prefix", key_prefix])
        .args(["--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0"])
        .args(["--log", "info", "--log-format", "json", "--drain-timeout", "1s"])
        .arg("--lease")
        .arg(format!("{LEASE_SECONDS}s"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // An interrupt at the terminal is for the demonstration, which ends its nodes itself.
        .process_group(0)
        .kill_on_drop(true);
    // A demonstration is the same whatever this machine sets for its own tandem.
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("TANDEM_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// What a node logs.
struct Log {
    lines: Lines<BufReader<ChildStderr>>,
    /// The last that it said, in words.
    last: String,
}

impl Log {
    /// Reads until the line that tells where the node serves; `None` if there is none.
    async fn address(&mut self) -> Option<String> {
        loop {
            let line = self.next().await?;
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(address) = line["http_addr"].as_str() {
                return Some(address.to_owned());
            }
        }
    }

    async fn next(&mut self) -> Option<String> {
        // A log that cannot be read is as one that has ended.
        let line = self.lines.next_line().await.ok().flatten()?;
        let json: Value = serde_json::from_str(&line).unwrap_or_default();
        let words = [&json["message"], &json["error"]].map(Value::as_str);
        self.last = words.into_iter().flatten().collect::<Vec<_>>().join(": ");
        if self.last.is_empty() {
            self.last.clone_from(&line);
        }
        Some(line)
    }
}
