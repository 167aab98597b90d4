//! The official Python client of the protocol, unchanged, against a real node: sagas, TCC, and messages
//! whose local work is guarded by the client's own barrier. Its scripts are in tests/interop.

mod python;

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::support::{
    redis::{fresh_name, redis_url},
    server::{PATIENCE, Server, client},
};

/// How `client.py` ends: as the SDK says, or dead.
const DONE: i32 = 0;
const REFUSED: i32 = 10;
const DEAD: i32 = 9;

const LISTENS: &str = "listening on ";

/// What the bank says of its calls, in its folder.
const LOG: &str = "bank.log";

/// A node, and a bank in Python with its books in a folder of its own.
struct Stage {
    python: PathBuf,
    server: Server,
    bank: Child,
    bank_base: String,
    folder: TempDir,
}

impl Stage {
    /// Starts both; `None` where there is no Python.
    async fn open() -> Option<Self> {
        let python = python::with_sdk()?.to_owned();
        let server = Server::start(redis_url(), &["--key-prefix", &fresh_name()]).await;
        let folder = tempfile::tempdir().expect("a folder");
        let mut bank = script(&python, "bank.py")
            .arg(books(&folder))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.path().join(LOG)).expect("a file"))
            .spawn()
            .expect("a bank");
        let mut line = String::new();
        let mut said = BufReader::new(bank.stdout.take().expect("piped above"));
        said.read_line(&mut line).expect("text");
        let address = line.trim().strip_prefix(LISTENS).expect("an address");
        let bank_base = format!("http://{address}");
        Some(Self { python, server, bank, bank_base, folder })
    }

    /// Plays a scenario of the client; answers its gid, and checks how it ends for the client.
    async fn play(&self, scenario: &str, exit: i32) -> String {
        let mut command = script(&self.python, "client.py");
        command.args([scenario, self.server.base(), &self.bank_base]).arg(books(&self.folder));
        let mut command = tokio::process::Command::from(command);
        let ended = timeout(PATIENCE, command.kill_on_drop(true).output()).await;
        let output = ended.expect("it takes too long").expect("a client");
        assert_eq!(output.status.code(), Some(exit), "{scenario}: {output:?}");
        let said = String::from_utf8(output.stdout).expect("text");
        said.lines().next().expect("a gid").to_owned()
    }

    /// Checks how the transaction ended, what the bank was called for, and what A and B have then.
    async fn check(&self, gid: &str, status: &str, calls: &[&str], balances: [i64; 2]) {
        assert_eq!(self.server.ended(gid).await, status);
        assert_eq!(self.ask(&format!("/calls?gid={gid}")).await, json!(calls));
        let [a, b] = balances;
        assert_eq!(self.ask("/accounts").await, json!({"A": [a, 0], "B": [b, 0]}), "[has, holds]");
    }

    async fn ask(&self, path: &str) -> Value {
        let answer = client().get(format!("{}{path}", self.bank_base)).send().await;
        let text = answer.expect("an answer").text().await.expect("text");
        serde_json::from_str(&text).expect("JSON")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Gone already, if it failed.
        let _ = self.bank.kill();
        let _ = self.bank.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join(LOG));
            println!("log of the bank:\n{}", log.unwrap_or_default());
        }
    }
}

fn script(python: &Path, name: &str) -> Command {
    let mut command = Command::new(python);
    // All is on this machine, whatever proxy it uses; and nothing is written beside the scripts.
    command.env("NO_PROXY", "127.0.0.1").arg("-B").arg(python::scripts().join(name));
    command
}

fn books(folder: &TempDir) -> PathBuf {
    folder.path().join("books.db")
}

#[tokio::test]
async fn a_saga_of_the_sdk_calls_each_step_once_and_succeeds() {
    let Some(stage) = Stage::open().await else { return };
    let calls = ["01 action /A/withdraw 200", "02 action /B/deposit 200"];
    let gid = stage.play("saga_succeeds", DONE).await;
    stage.check(&gid, "succeed", &calls, [70, 80]).await;
    let gid = stage.play("saga_awaited", DONE).await;
    assert_eq!(stage.server.status(&gid).await, "succeed", "before the SDK was answered");
    stage.check(&gid, "succeed", &calls, [40, 110]).await;
}

#[tokio::test]
async fn a_saga_of_the_sdk_that_is_refused_is_undone_in_reverse_order() {
    let Some(stage) = Stage::open().await else { return };
    let calls = [
        "01 action /A/withdraw 200",
        "02 action /C/deposit 409",
        "02 compensate /C/deposit 200",
        "01 compensate /A/withdraw 200",
    ];
    for (scenario, exit) in [("saga_refused", DONE), ("saga_awaited_and_refused", REFUSED)] {
        let gid = stage.play(scenario, exit).await;
        stage.check(&gid, "failed", &calls, [100, 50]).await;
    }
}

#[tokio::test]
async fn a_tcc_of_the_sdk_is_confirmed_the_last_branch_first() {
    let Some(stage) = Stage::open().await else { return };
    let gid = stage.play("tcc_confirmed", DONE).await;
    let calls = [
        "01 try /A/withdraw 200",
        "02 try /B/deposit 200",
        "02 confirm /B/deposit 200",
        "01 confirm /A/withdraw 200",
    ];
    stage.check(&gid, "succeed", &calls, [70, 80]).await;
}

#[tokio::test]
async fn a_tcc_of_the_sdk_whose_try_is_refused_is_cancelled_in_reverse_order() {
    let Some(stage) = Stage::open().await else { return };
    let gid = stage.play("tcc_refused", REFUSED).await;
    let calls = [
        "01 try /A/withdraw 200",
        "02 try /C/deposit 409",
        "02 cancel /C/deposit 200",
        "01 cancel /A/withdraw 200",
    ];
    stage.check(&gid, "failed", &calls, [100, 50]).await;
}

#[tokio::test]
async fn a_message_of_the_sdk_is_delivered_if_and_only_if_its_local_work_was_done() {
    let Some(stage) = Stage::open().await else { return };
    let gid = stage.play("message_submitted", DONE).await;
    stage.check(&gid, "succeed", &["01 action /B/deposit 200"], [70, 80]).await;
    let gid = stage.play("message_refused", REFUSED).await;
    stage.check(&gid, "failed", &[], [70, 80]).await;
    // The SDK asks the bank itself, and submits.
    let gid = stage.play("message_unsure", DONE).await;
    let calls = ["00 msg /prepared 200", "01 action /B/deposit 200"];
    stage.check(&gid, "succeed", &calls, [40, 110]).await;
}

#[tokio::test]
async fn the_sender_of_a_message_that_died_is_asked_by_the_barrier_of_the_sdk() {
    let Some(stage) = Stage::open().await else { return };
    let done = stage.play("message_dead_after_work", DEAD).await;
    let not_done = stage.play("message_dead_before_work", DEAD).await;
    let calls = ["00 msg /prepared 200", "01 action /B/deposit 200"];
    stage.check(&done, "succeed", &calls, [70, 80]).await;
    stage.check(&not_done, "failed", &["00 msg /prepared 409"], [70, 80]).await;
}
