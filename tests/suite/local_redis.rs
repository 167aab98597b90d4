//! tandem's own Redis, with real processes.

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use redis::Commands as _;
use rustix::process::{Pid, Signal, kill_process};
use tandem::local_redis::{Error, LocalRedis, Options};
use tokio::{
    runtime,
    time::{sleep, timeout},
};

/// Long beside what is waited for, so that only a fault reaches it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Names the folder to the process that [`holds_a_redis_until_killed`] becomes.
const FOLDER_VARIABLE: &str = "LOCAL_REDIS_TEST_FOLDER";

fn options(folder: &Path) -> Options {
    Options { executable: env!("CARGO_BIN_EXE_tandem").into(), ..Options::new(folder) }
}

async fn start(folder: &Path) -> LocalRedis {
    LocalRedis::start(options(folder)).await.expect("a Redis")
}

fn connect(url: &str) -> redis::Connection {
    redis::Client::open(url).expect("a URL").get_connection().expect("a connection")
}

fn set(url: &str, value: u32) {
    connect(url).set::<_, _, ()>("kept", value).expect("a write");
}

fn get(url: &str) -> Option<u32> {
    connect(url).get("kept").expect("a read")
}

/// The process of a Redis.
fn pid(url: &str) -> Pid {
    let info: redis::InfoDict =
        redis::cmd("INFO").arg("server").query(&mut connect(url)).expect("what it says of itself");
    Pid::from_raw(info.get("process_id").expect("its id")).expect("an id")
}

/// Not a test: the process that others start and kill.
#[test]
#[ignore = "runs until it is killed"]
fn holds_a_redis_until_killed() {
    let Some(folder) = env::var_os(FOLDER_VARIABLE) else { return };
    let runtime = runtime::Runtime::new().expect("a runtime");
    let redis = runtime.block_on(start(&PathBuf::from(folder)));
    println!("\nurl={}", redis.url());
    loop {
        thread::park();
    }
}

/// Another process with a Redis on `folder`, and its URL.
fn other_process(folder: &Path) -> (Child, String) {
    let mut child = Command::new(env::current_exe().expect("this executable"))
        .args(["--exact", "--ignored", "--nocapture", "local_redis::holds_a_redis_until_killed"])
        .env(FOLDER_VARIABLE, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let lines = BufReader::new(child.stdout.take().expect("piped above")).lines();
    let url = lines.map_while(Result::ok).find_map(|line| Some(line.strip_prefix("url=")?.into()));
    (child, url.expect("a URL"))
}

#[tokio::test]
async fn a_killed_tandem_takes_its_redis_along_and_the_next_start_has_the_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut tandem, url) = other_process(folder.path());
    set(&url, 7);
    let mut watch = UnixStream::connect(folder.path().join("redis.sock")).expect("a connection");
    tandem.kill().expect("a kill");
    tandem.wait().expect("an end");
    // At once, while the old server may still be ending.
    let redis = start(folder.path()).await;
    watch.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let end = watch.read(&mut [0; 16]);
    assert!(!matches!(end, Ok(1..)), "the old server said something");
    assert!(
        !end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
        "the old server still runs"
    );
    assert_eq!(get(redis.url()), Some(7));
    redis.stop().await;
}

#[tokio::test]
async fn a_folder_in_use_is_refused_with_its_name_and_the_other_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut tandem, url) = other_process(folder.path());
    let error = LocalRedis::start(options(folder.path())).await.expect_err("in use");
    assert!(matches!(&error, Error::InUse { pid, .. } if *pid == Some(tandem.id())), "{error}");
    assert!(error.to_string().contains(folder.path().to_str().expect("letters")), "{error}");
    set(&url, 1);
    assert_eq!(get(&url), Some(1), "the other is not disturbed");
    tandem.kill().expect("a kill");
    tandem.wait().expect("an end");
}

#[tokio::test]
async fn a_redis_that_is_killed_comes_back_with_its_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = start(folder.path()).await;
    set(redis.url(), 3);
    let first = pid(redis.url());
    let mut watch = UnixStream::connect(folder.path().join("redis.sock")).expect("a connection");
    kill_process(first, Signal::KILL).expect("a kill");
    watch.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let _ = watch.read(&mut [0; 16]);
    let client = redis::Client::open(redis.url()).expect("a URL");
    timeout(PATIENCE, async {
        while client
            .get_connection()
            .and_then(|mut connection| connection.get::<_, Option<u32>>("kept"))
            != Ok(Some(3))
        {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("the data again");
    assert_ne!(pid(redis.url()), first);
    redis.stop().await;
}

#[tokio::test]
async fn a_stop_frees_the_folder_and_keeps_the_data() {
    let folder = tempfile::tempdir().expect("a folder");
    for round in 1..=2 {
        let redis = start(folder.path()).await;
        assert_eq!(get(redis.url()), (round > 1).then(|| round - 1));
        set(redis.url(), round);
        redis.stop().await;
        assert!(UnixStream::connect(folder.path().join("redis.sock")).is_err());
    }
}

#[test]
fn a_redis_outlives_the_runtime_that_started_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    let starter = thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(start(&path))
    });
    let redis = starter.join().expect("a Redis");
    set(redis.url(), 1);
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(redis.stop());
}

#[tokio::test]
async fn any_folder_serves_however_long_or_odd_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["a folder: 100% \"ü\"#?", &"long/".repeat(40)] {
        let redis = start(&folder.path().join(name)).await;
        set(redis.url(), 5);
        assert_eq!(get(redis.url()), Some(5), "{name}");
        redis.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_installed_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { server: "no-such-redis-server".into(), ..options(folder.path()) };
    let error = LocalRedis::start(options).await.expect_err("none").to_string();
    for word in ["no-such-redis-server", "apt-get install redis-server", "--redis-url"] {
        assert!(error.contains(word), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_start_is_quoted() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("appendonlydir"), "in the way").expect("a file");
    let error = LocalRedis::start(options(folder.path())).await.expect_err("none").to_string();
    assert!(error.contains("appendonlydir"), "{error}");
}

#[test]
fn a_child_whose_parent_is_another_does_not_run() {
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["redis-child", "--parent-pid=1", "--", "echo", "alive"])
        .output()
        .expect("a process");
    assert_eq!((output.status.code(), output.stdout), (Some(126), Vec::new()));
}
