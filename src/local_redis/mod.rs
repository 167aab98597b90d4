//! A Redis of tandem's own, for where none is given: a child process on a unix socket, which keeps
//! its data in a folder.
//!
//! - It ends with tandem, however tandem ends (`child`).
//! - Never two on one folder, and none before the last one is gone (`folder`).
//! - If it ends by itself, it is started again (`keeper`).

mod child;
mod folder;
mod keeper;
mod log;

use std::{
    path::{Path, PathBuf},
    process::ExitStatus,
    thread,
};

use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::child::{CHILD_COMMAND, ChildError, child_command, run_child, tied_command};
use self::{folder::Folder, keeper::Keeper};

/// What to start, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the data; made (mode 0700) if there is none.
    pub data_dir: PathBuf,
    /// The program that has the `redis-child` subcommand: tandem itself.
    pub executable: PathBuf,
    /// The Redis server, by path or by a name that is looked up in `PATH`.
    pub server: PathBuf,
}

impl Options {
    /// The `redis-server` of the system over `data_dir`, tied to this executable.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            // Not `current_exe`: that path leads nowhere, or to another version, once an update has
            // replaced the file, and a restart must still work then.
            executable: "/proc/self/exe".into(),
            server: "redis-server".into(),
        }
    }
}

/// A Redis of tandem's own that runs. Dropping it stops the Redis too, without waiting for it.
#[derive(Debug)]
pub struct LocalRedis {
    url: String,
    stop: DropGuard,
    ended: oneshot::Receiver<()>,
}

impl LocalRedis {
    /// Starts a Redis and waits until it answers, however long it takes to load its data. If an
    /// earlier one is still ending on the folder, it waits for that first.
    ///
    /// # Errors
    /// When the folder cannot be used or is in use, there is no Redis server to start, or it does
    /// not come up.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let folder = Folder::claim(&options.data_dir)?;
        let url = folder.url()?;
        let stop = CancellationToken::new();
        let (ready_sender, ready) = oneshot::channel();
        let (ended_sender, ended) = oneshot::channel();
        let keeper = Keeper { folder, options, stop: stop.clone() };
        // The Redis is told of the end of the thread that started it, so that is one of its own
        // rather than one of a runtime, which may end earlier.
        thread::Builder::new()
            .name("redis-keeper".to_owned())
            .spawn(move || {
                keeper.run(ready_sender);
                drop(ended_sender);
            })
            .map_err(Error::Keeper)?;
        let stop = stop.drop_guard();
        match ready.await {
            Ok(result) => result.map(|()| Self { url, stop, ended }),
            Err(_) => Err(Error::Keeper(std::io::Error::other("its thread ended"))),
        }
    }

    /// Where it is to be reached: a `redis+unix:` URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops it, after all of its clients: it writes its data out and ends, or is killed when it
    /// takes longer than ten seconds. The folder is free when this returns.
    pub async fn stop(self) {
        drop(self.stop);
        // The sender is only ever dropped.
        let _ = self.ended.await;
    }
}

/// Why there is no Redis of tandem's own; the words hold the causes, too.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be used.
    #[error("{} cannot be used: {error}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Another tandem is at work there.
    #[error(
        "the folder {} is in use by another tandem{}; stop that one, or choose another --data-dir",
        path.display(), process(*pid)
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The other's process id, if known.
        pid: Option<u32>,
    },
    /// The Redis of an earlier tandem has not ended.
    #[error(
        "the Redis of an earlier tandem{} still runs on the folder {} and does not end",
        process(*pid), path.display()
    )]
    Leftover {
        /// The folder.
        path: PathBuf,
        /// Its process id, if known.
        pid: Option<u32>,
    },
    /// The Redis server is not installed.
    #[error(
        "{} is not installed: install it (Debian, Ubuntu: apt-get install redis-server), or name a \
         running Redis with --redis-url",
        server.display()
    )]
    Missing {
        /// What was looked for.
        server: PathBuf,
    },
    /// It ended instead of answering.
    #[error("the Redis server ended at its start ({status}): {}", said(last_lines))]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// The last that it logged.
        last_lines: Vec<String>,
    },
    /// It runs, but does not answer.
    #[error("the Redis server does not answer at {}: {}", socket.display(), said(last_lines))]
    Silent {
        /// Its socket.
        socket: PathBuf,
        /// The last that it logged.
        last_lines: Vec<String>,
    },
    /// It cannot be started or watched.
    #[error("a Redis server cannot be started: {0}")]
    Keeper(std::io::Error),
}

impl Error {
    fn folder(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |error| Self::Folder { path, error }
    }
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

fn said(last_lines: &[String]) -> String {
    if last_lines.is_empty() { "it logged nothing".to_owned() } else { last_lines.join(" | ") }
}
