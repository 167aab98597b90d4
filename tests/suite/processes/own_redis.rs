//! A node that runs a Redis of its own, and what becomes of its work.

use std::{os::unix::net::UnixStream, path::Path, process::Command};

use super::{QUICK, transfer};
use crate::support::{
    participant::{Answer, Participant},
    redis::fresh_name,
    server::Server,
};

async fn start(folder: &Path) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command.args(["serve", "--data-dir"]).arg(folder);
    Server::start_with(command, &QUICK).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_started_again_on_its_folder_it_brings_its_work_to_an_end() {
    let bank = Participant::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut node = start(folder.path()).await;
    bank.answers("/2", &[Answer::Held]);
    let gid = fresh_name();
    assert_eq!(node.submit(&transfer(&gid, &bank)).await.status, 200);
    bank.arrived("/2", 1).await;

    node.kill();
    bank.release("/2");
    let node = start(folder.path()).await;
    assert_eq!(node.ended(&gid).await, "succeed");
    assert_eq!(bank.paths_of(&gid), ["/1", "/2", "/2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_stops_its_redis_last() {
    let bank = Participant::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let node = start(folder.path()).await;
    let gid = fresh_name();
    assert_eq!(node.submit(&transfer(&gid, &bank)).await.status, 200);

    assert!(node.stop().await.success());
    assert!(UnixStream::connect(folder.path().join("redis.sock")).is_err());
    let node = start(folder.path()).await;
    assert_eq!(node.ended(&gid).await, "succeed");
}
