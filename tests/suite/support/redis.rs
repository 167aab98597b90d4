//! Real Redis servers for tests: one that a whole test binary shares, and private ones.
//!
//! Each is a `redis-server` process of its own on a unix socket in a temporary directory, without
//! persistence, so that no port and no file of the machine is touched. Nobody empties the shared
//! one: a test takes a [`fresh_name`] into its keys and so meets nobody else's.
//!
//! A server ends with the test process, even if that is killed: a shell between the two reads from a
//! pipe that only the test process holds, and stops the server when the pipe closes.

use std::{
    any::Any,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    os::unix::{net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::cluster::{RedisCluster, Routed};

/// Starts the server anew at each line of its input; at the end of its input stops it and removes its
/// directory, which is `$1`; the rest is the server's command line. The system sends a group whose
/// parent died a SIGHUP if one of it stands still, as a paused server does.
const KEEPER: &str = r#"
trap '' HUP
exec 2>&1
dir=$1; shift
"$@" & pid=$!
while read -r _; do wait "$pid" 2>/dev/null; "$@" & pid=$!; done
exec >/dev/null 2>&1
kill -KILL "$pid"; wait "$pid"
rm -rf "$dir"
"#;

/// What a server prints when it can be connected to.
const READY: &str = "ready to accept connections";

/// A running server; it stops when this is dropped.
#[derive(Debug)]
pub(crate) struct RedisServer {
    keeper: Child,
    output: BufReader<ChildStdout>,
    directory: PathBuf,
}

impl RedisServer {
    /// Starts a server that nobody else uses. `arguments` are added to its command line and win over
    /// the usual ones: `&["--maxmemory", "4mb"]`.
    ///
    /// # Panics
    ///
    /// If there is no `redis-server`, or it does not start; with what it printed.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::try_start(arguments)
            .unwrap_or_else(|printed| panic!("redis-server did not start: {printed}"))
    }

    /// As [`RedisServer::start`]; answers what a server printed that did not start.
    pub(crate) fn try_start(arguments: &[&str]) -> Result<Self, String> {
        let directory = tempfile::Builder::new()
            .prefix("tandem-redis-")
            .tempdir()
            .expect("a temporary directory")
            .keep();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&directory)
            .args(["redis-server", "--port", "0", "--save", "", "--appendonly", "no"])
            .arg("--unixsocket")
            .arg(socket(&directory))
            .arg("--pidfile")
            .arg(directory.join("redis.pid"))
            .arg("--dir")
            .arg(&directory)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Its own group, so that an interrupt at the terminal leaves it alive to clean up.
            .process_group(0)
            .spawn()
            .expect("a shell");
        let output = BufReader::new(keeper.stdout.take().expect("piped above"));
        let mut server = Self { keeper, output, directory };
        server.await_ready()?;
        Ok(server)
    }

    fn await_ready(&mut self) -> Result<(), String> {
        let mut printed = String::new();
        while !printed.contains(READY) {
            // A server that ends closes its output, but the keeper holds it open: so look for the
            // words of a failure, too.
            let n_read = self.output.read_line(&mut printed).expect("text");
            let has_failed =
                ["not found", "FATAL", "Failed listening"].iter().any(|it| printed.contains(it));
            if n_read == 0 || has_failed {
                return Err(printed);
            }
        }
        Ok(())
    }

    /// SIGSTOP: it stands still; its connections stay open.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT: it goes on.
    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGKILL: its connections break, and new ones are refused.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Starts it anew, after it was killed, with the data that it persisted.
    pub(crate) fn start_again(&mut self) {
        self.keeper.stdin.as_mut().expect("piped above").write_all(b"\n").expect("a keeper");
        self.await_ready().expect("it starts");
    }

    fn signal(&self, signal: Signal) {
        let file = std::fs::read_to_string(self.directory.join("redis.pid")).expect("a pid file");
        let pid = file.trim().parse().ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, signal).expect("it is there");
    }

    /// The URL of its unix socket, as `redis::Client::open` takes it.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", socket(&self.directory).display())
    }

    /// A blocking connection to it.
    pub(crate) fn connect(&self) -> redis::Connection {
        let client = redis::Client::open(self.url()).expect("a URL");
        client.get_connection().expect("a running server")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // The server is gone when the keeper is; there is nothing to do about one that cannot be
        // waited for.
        let _ = self.keeper.wait();
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("redis.sock")
}

/// The shared server, kept alive, and its URL.
static SHARED: LazyLock<(Box<dyn Any + Send + Sync>, String)> = LazyLock::new(|| {
    if is_on_cluster() {
        let cluster = RedisCluster::start(0);
        let url = cluster.url();
        return (Box::new(cluster), url);
    }
    let server = RedisServer::start(&[]);
    let url = server.url();
    (Box::new(server), url)
});

/// Whether the shared server is a Cluster in this run of the tests.
pub(crate) fn is_on_cluster() -> bool {
    std::env::var_os("TEST_REDIS").is_some_and(|it| it == "cluster")
}

/// The URL of the server that all tests of this binary share; started when first asked for.
pub(crate) fn redis_url() -> &'static str {
    &SHARED.1
}

/// A blocking connection to `url`, be it a node of a Cluster.
pub(crate) fn connect(url: &str) -> Routed {
    Routed::new(url)
}

/// A name that no other test of this process gets: `t0`, `t1`, … To be put into keys (as a prefix, a
/// gid, a hash tag).
pub(crate) fn fresh_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn the_shared_server_answers() {
    let key = fresh_name();
    let mut redis = connect(redis_url());
    let stored: String = redis::pipe()
        .cmd("SET")
        .arg(&key)
        .arg("x")
        .ignore()
        .cmd("GET")
        .arg(&key)
        .query::<(String,)>(&mut redis)
        .expect("an answer")
        .0;
    assert_eq!(stored, "x");
}

#[test]
fn a_private_server_takes_arguments_and_is_gone_once_dropped() {
    let server = RedisServer::start(&["--maxmemory", "7mb"]);
    let (_, maxmemory): (String, u64) = redis::cmd("CONFIG")
        .arg("GET")
        .arg("maxmemory")
        .query(&mut server.connect())
        .expect("an answer");
    assert_eq!(maxmemory, 7 << 20);

    let (url, directory) = (server.url(), server.directory.clone());
    drop(server);
    assert!(redis::Client::open(url).expect("a URL").get_connection().is_err());
    assert!(!directory.exists());
}

#[test]
#[should_panic(expected = "did not start")]
fn a_server_that_cannot_start_says_so() {
    RedisServer::start(&["--no-such-option", "1"]);
}

#[test]
#[ignore = "not a test: a process for the next one to kill"]
fn a_process_with_a_paused_server() {
    let server = RedisServer::start(&[]);
    server.pause();
    println!("{STANDS_AT}{}", socket(&server.directory).display());
    // Until it is killed.
    let _ = std::io::stdin().read_line(&mut String::new());
}

const STANDS_AT: &str = "stands at ";

#[test]
fn a_server_ends_with_a_killed_process_even_if_it_is_paused() {
    let mut process = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "support::redis::a_process_with_a_paused_server"])
        .args(["--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary of the tests");
    let path = BufReader::new(process.stdout.take().expect("piped above"))
        .lines()
        .map(|line| line.expect("text"))
        .find_map(|line| line.split_once(STANDS_AT).map(|(_, path)| path.to_owned()))
        .expect("a server");
    let mut connection = UnixStream::connect(path).expect("a server that stands still");
    connection.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    process.kill().expect("it is there");
    process.wait().expect("it was killed");
    // It never accepted the connection, so its end is a reset.
    let is_gone = match connection.read(&mut [0]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    };
    assert!(is_gone, "it outlived the process that started it");
}
