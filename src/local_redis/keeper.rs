//! Keeps a Redis server running: starts it, waits until it answers, starts it again if it ends.

use std::{
    ffi::OsStr,
    io,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    process::{Child, Command},
    runtime,
    sync::oneshot,
    time::{Instant, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Error, Options,
    child::{ChildError, tied_command},
    folder::{Folder, write_pid},
    log::Log,
};

/// How long a new server may be silent. It listens before it loads its data, and says so while it
/// loads, so this is only for the start of a process on a busy machine.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a new server is asked whether it is ready; a start takes some tens of milliseconds.
const ANSWER_POLL: Duration = Duration::from_millis(10);

/// How long a stopped server may take to write out its log; then it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The first wait before a restart; it doubles with each that fails or does not last.
const RESTART_DELAY_MIN: Duration = Duration::from_millis(100);

/// The longest wait before a restart.
const RESTART_DELAY_MAX: Duration = Duration::from_secs(5);

/// A server that ran for so long counts as one that worked.
const LASTING: Duration = Duration::from_secs(30);

/// Settings of the server beside its paths.
const SETTINGS: [(&str, &str); 9] = [
    ("port", "0"),
    ("unixsocketperm", "700"),
    ("daemonize", "no"),
    // The log of writes holds everything; snapshots beside it would only cost.
    ("save", ""),
    ("appendonly", "yes"),
    ("appendfsync", "everysec"),
    // A transaction's record up to this size is one compact piece of memory.
    ("hash-max-listpack-value", "4096"),
    // State must not vanish; when memory is full, new writes are refused.
    ("maxmemory-policy", "noeviction"),
    ("always-show-logo", "no"),
];

/// All that a server's start needs.
pub(super) struct Keeper {
    pub(super) folder: Folder,
    pub(super) options: Options,
    pub(super) stop: CancellationToken,
}

impl Keeper {
    /// Keeps a server running on the current thread until it is told to stop, or the first start
    /// fails. `ready` is told how that went.
    pub(super) fn run(self, ready: oneshot::Sender<Result<(), Error>>) {
        match runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(self.keep(ready)),
            Err(error) => {
                // Nobody listens if the start was given up.
                let _ = ready.send(Err(Error::Keeper(error)));
            }
        }
    }

    async fn keep(self, ready: oneshot::Sender<Result<(), Error>>) {
        let mut ready = Some(ready);
        let mut delay = RESTART_DELAY_MIN;
        loop {
            let started = tokio::select! {
                () = self.stop.cancelled() => return,
                started = self.start() => started,
            };
            match (started, ready.take()) {
                (Ok(server), first) => {
                    self.announce(first.is_some());
                    if let Some(ready) = first {
                        // If nobody listens, the stop is under way.
                        let _ = ready.send(Ok(()));
                    }
                    let since = Instant::now();
                    if self.serve(server).await {
                        return;
                    }
                    if since.elapsed() >= LASTING {
                        delay = RESTART_DELAY_MIN;
                    }
                }
                (Err(error), Some(ready)) => {
                    let _ = ready.send(Err(error));
                    return;
                }
                (Err(error), None) => {
                    tracing::error!(%error, "tandem's own Redis cannot be started again");
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep(delay) => delay = (delay * 2).min(RESTART_DELAY_MAX),
            }
        }
    }

    fn announce(&self, is_first: bool) {
        tracing::info!(
            data_dir = %self.folder.data().display(),
            socket = %self.folder.socket().display(),
            "{}",
            if is_first {
                "started a Redis of tandem's own; it writes to disk once a second, so a crash of it \
                 or of the machine can lose about the last second"
            } else {
                "started tandem's own Redis again"
            }
        );
    }

    /// Starts a server and waits until it answers.
    async fn start(&self) -> Result<Server, Error> {
        let mut lock = self.folder.wait_for_predecessor().await?;
        let stdin = lock.try_clone().map_err(Error::Keeper)?;
        let mut server = Server::spawn(self.command(stdin.into())).map_err(Error::Keeper)?;
        if let Some(pid) = server.child.id() {
            write_pid(&mut lock, pid).map_err(Error::Keeper)?;
        }
        let socket = self.folder.socket();
        let answer = tokio::select! {
            answer = answer(socket) => answer,
            status = server.child.wait() => {
                return Err(self.ended(status.map_err(Error::Keeper)?, &mut server).await);
            }
        };
        if answer.is_none() {
            let last_lines = server.log.last_lines().await;
            return Err(Error::Silent { socket: socket.to_owned(), last_lines });
        }
        server.log.set_serving(true);
        Ok(server)
    }

    async fn ended(&self, status: ExitStatus, server: &mut Server) -> Error {
        if status.code() == Some(ChildError::NOT_FOUND.into()) {
            return Error::Missing { server: self.options.server.clone() };
        }
        Error::Ended { status, last_lines: server.log.last_lines().await }
    }

    /// Waits until the server ends or is to stop; whether it was to stop.
    async fn serve(&self, mut server: Server) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => {
                server.stop().await;
                true
            }
            status = server.child.wait() => {
                let status = status.map_or_else(|error| error.to_string(), |s| s.to_string());
                let last_lines = server.log.last_lines().await;
                tracing::error!(
                    status,
                    ?last_lines,
                    "tandem's own Redis ended by itself; it is started again"
                );
                false
            }
        }
    }

    /// The command line of the server. `stdin`, which it does not read, is the lock that it holds.
    fn command(&self, stdin: Stdio) -> Command {
        let mut command = Command::from(tied_command(&self.options.executable));
        command
            .arg(&self.options.server)
            .args([OsStr::new("--dir"), self.folder.data().as_os_str()])
            .args([OsStr::new("--unixsocket"), self.folder.socket().as_os_str()]);
        for (name, value) in SETTINGS {
            command.arg(format!("--{name}")).arg(value);
        }
        command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // An interrupt at the terminal goes to the whole group; the server must outlive the
            // work in hand.
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

/// A server's process.
struct Server {
    child: Child,
    log: Log,
}

impl Server {
    fn spawn(mut command: Command) -> io::Result<Self> {
        let mut child = command.spawn()?;
        let mut log = Log::default();
        if let Some(output) = child.stdout.take() {
            log.follow(output);
        }
        if let Some(output) = child.stderr.take() {
            log.follow(output);
        }
        Ok(Self { child, log })
    }

    async fn stop(mut self) {
        self.log.set_serving(false);
        // It has no id any more once it has ended and its id may be another's.
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(Err(error)) = pid.map(|pid| kill_process(pid, Signal::TERM)) {
            tracing::debug!(%error, "tandem's own Redis cannot be told to stop");
        }
        match timeout(STOP_TIMEOUT, self.child.wait()).await {
            Ok(Ok(_)) => tracing::info!("stopped tandem's own Redis"),
            Ok(Err(error)) => tracing::warn!(%error, "the end of tandem's own Redis is unknown"),
            Err(_) => {
                tracing::warn!("tandem's own Redis did not stop in time and is killed");
                if let Err(error) = self.child.kill().await {
                    tracing::warn!(%error, "tandem's own Redis cannot be killed");
                }
            }
        }
    }
}

/// Waits until a server is ready; `None` if it is silent for too long.
async fn answer(socket: &Path) -> Option<()> {
    let mut poll = interval(ANSWER_POLL);
    let mut is_loading = timeout(ANSWER_TIMEOUT, async {
        loop {
            poll.tick().await;
            if let Ok(is_loading) = ping(socket).await {
                return is_loading;
            }
        }
    })
    .await
    .ok()?;
    if is_loading {
        tracing::info!("tandem's own Redis loads its data");
    }
    // As long as that takes: if it ends meanwhile, the caller sees it.
    while is_loading {
        poll.tick().await;
        is_loading = ping(socket).await.unwrap_or(true);
    }
    Some(())
}

/// Whether a server that answers is still loading its data.
async fn ping(socket: &Path) -> io::Result<bool> {
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(b"PING\r\n").await?;
        let mut answer = [0; 64];
        let n_read = stream.read(&mut answer).await?;
        match answer.get(..n_read) {
            Some([]) | None => Err(io::ErrorKind::UnexpectedEof.into()),
            Some(answer) => Ok(!answer.starts_with(b"+PONG")),
        }
    };
    timeout(Duration::from_secs(1), exchange).await?
}
