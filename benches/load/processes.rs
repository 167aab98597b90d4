//! The processes under load: a Redis and a tandem, started for one run and ended with it, also
//! when the run fails, panics or is interrupted by Ctrl-C.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use redis::Connection;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{Options, http};

/// A server that is not ready within this is taken for broken.
const START_MAX: Duration = Duration::from_secs(20);

/// A server that is told to stop and is still there after this is killed.
const STOP_MAX: Duration = Duration::from_secs(5);

/// How often a starting or stopping process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// So many bytes of a log's end are shown when its process fails.
const LOG_TAIL_BYTES: usize = 2000;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C and SIGTERM make [`check_interrupted`] fail instead of ending the process, so
/// that the children are ended too.
///
/// # Errors
/// When there is no thread to be had.
pub(crate) fn catch_interrupts() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    thread::Builder::new().name("interrupts".to_owned()).spawn(move || {
        let caught: std::io::Result<()> = runtime.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
            INTERRUPTED.store(true, Ordering::Relaxed);
            Ok(())
        });
        if let Err(e) = caught {
            eprintln!("load: Ctrl-C will leave processes behind: {e}");
        }
    })?;
    Ok(())
}

/// Fails once Ctrl-C was pressed.
///
/// # Errors
/// Just that.
pub(crate) fn check_interrupted() -> Result<()> {
    ensure!(!INTERRUPTED.load(Ordering::Relaxed), "interrupted");
    Ok(())
}

/// Binds this process, and with it all children to come, to the CPUs of a list as taskset takes it.
///
/// # Errors
/// When there is no `taskset`, or it refuses the list.
pub(crate) fn pin(cpus: &str) -> Result<()> {
    let own = std::process::id().to_string();
    let done = Command::new("taskset")
        .args(["--cpu-list", "--pid", cpus, &own])
        .output()
        .context("taskset")?;
    let refusal = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "taskset refused {cpus}: {refusal}");
    Ok(())
}

/// One tandem with its Redis.
pub(crate) struct Stand {
    // Fields are dropped in this order: the server before its Redis, the folder last.
    pub(crate) tandem: Process,
    pub(crate) http: SocketAddr,
    pub(crate) redis: Connection,
    /// Where the own Redis listens for a shop.
    pub(crate) redis_address: Option<SocketAddr>,
    _redis_server: Option<Process>,
    _folder: TempDir,
}

impl Stand {
    /// Starts both, and waits till tandem is ready.
    ///
    /// # Errors
    /// When one of them does not start; the error holds the end of its log.
    pub(crate) fn start(tandem: &Path, options: &Options) -> Result<Self> {
        let folder = TempDir::with_prefix("tandem-load-")?;
        let (mut redis_server, redis_url, redis_address) = match &options.redis_url {
            Some(url) => (None, url.clone(), None),
            None => start_redis(folder.path(), options)?,
        };
        let redis = connect(&redis_url, redis_server.as_mut())?;
        let http = free_address()?;
        let mut command = Command::new(tandem);
        command.args(["serve", "--redis-url", &redis_url, "--http-addr", &http.to_string()]);
        command.args(["--grpc-addr", &free_address()?.to_string()]);
        let mut tandem = Process::start(command, "tandem", folder.path())?;
        tandem.wait_until("ready", || {
            http::get(http, "/readyz").is_ok_and(|(status, _)| status == 200)
        })?;
        Ok(Self {
            tandem,
            http,
            redis,
            redis_address,
            _redis_server: redis_server,
            _folder: folder,
        })
    }
}

type OwnRedis = (Option<Process>, String, Option<SocketAddr>);

fn start_redis(folder: &Path, options: &Options) -> Result<OwnRedis> {
    let mut command = Command::new("redis-server");
    let address = free_address()?;
    let socket = folder.join("redis.sock");
    command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string()]);
    command.arg("--unixsocket").arg(&socket);
    let url = if options.redis_tcp {
        format!("redis://{address}")
    } else {
        format!("unix://{}", socket.display())
    };
    command.args(["--save", "", "--appendonly", if options.aof { "yes" } else { "no" }]);
    command.args(["--appendfsync", "everysec", "--dir"]).arg(folder);
    Ok((Some(Process::start(command, "redis-server", folder)?), url, Some(address)))
}

fn connect(url: &str, server: Option<&mut Process>) -> Result<Connection> {
    let client = redis::Client::open(url).with_context(|| format!("the Redis URL {url}"))?;
    let ready = || {
        let mut connection = client.get_connection()?;
        redis::cmd("PING").query::<String>(&mut connection)?;
        Ok::<_, redis::RedisError>(connection)
    };
    let Some(server) = server else {
        return ready().with_context(|| format!("no Redis answers at {url}"));
    };
    let mut connection = None;
    server.wait_until("ready", || {
        connection = ready().ok();
        connection.is_some()
    })?;
    connection.context("Redis was ready and is not")
}

/// A port of the loopback that was free a moment ago.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A child; dropping it ends it.
pub(crate) struct Process {
    child: Child,
    name: &'static str,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, with its output in a file of `folder`.
    fn start(mut command: Command, name: &'static str, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // A group of its own: the terminal's Ctrl-C is for the harness, which ends the rest.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        Ok(Self { child, name, log })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails when it has ended.
    ///
    /// # Errors
    /// Just that, with the end of its log.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended ({status}):\n{}", self.name, self.log_tail());
        }
        Ok(())
    }

    fn wait_until(&mut self, state: &str, mut reached: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + START_MAX;
        while !reached() {
            check_interrupted()?;
            self.check_alive()?;
            if Instant::now() > deadline {
                bail!("{} is not {state} after {START_MAX:?}:\n{}", self.name, self.log_tail());
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let tail = log.get(log.len().saturating_sub(LOG_TAIL_BYTES)..).unwrap_or_default();
        String::from_utf8_lossy(tail).into_owned()
    }

    fn stop(&mut self) -> Result<ExitStatus> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("its id")?;
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        kill_process(pid, Signal::TERM)?;
        let deadline = Instant::now() + STOP_MAX;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(LOOK_EVERY);
        }
        bail!("still there {STOP_MAX:?} after SIGTERM")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        match self.stop() {
            Ok(status) if status.success() => {}
            Ok(status) => eprintln!("load: {} ended with {status}", self.name),
            Err(e) => {
                eprintln!("load: {} is killed: {e:#}", self.name);
                // Only fails when it has ended already.
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
    }
}
