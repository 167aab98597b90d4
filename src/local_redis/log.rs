//! What the Redis server logs, among tandem's own lines.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    task::JoinSet,
    time::timeout,
};

/// How many of the last lines are kept for the report of a failure; the reason is among them.
const LAST_LINES_MAX: usize = 8;

/// How long to wait for the last lines of a server that has ended; a child of its own that rewrites
/// its file may hold the pipe open.
const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(1);

/// The marks between time and text, by which Redis tells levels apart; the last is a warning.
const MARKS: [&str; 4] = [" . ", " - ", " * ", " # "];

/// Follows what one server process logs.
#[derive(Debug, Default)]
pub(super) struct Log {
    shared: Arc<Shared>,
    readers: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    last_lines: Mutex<VecDeque<String>>,
    is_serving: AtomicBool,
}

impl Log {
    /// Follows one of its outputs, on the current runtime.
    pub(super) fn follow(&mut self, output: impl AsyncRead + Unpin + Send + 'static) {
        let shared = Arc::clone(&self.shared);
        self.readers.spawn(async move {
            let mut lines = BufReader::new(output).split(b'\n');
            while let Ok(Some(line)) = lines.next_segment().await {
                shared.take(&String::from_utf8_lossy(&line));
            }
        });
    }

    /// Says whether the server is neither starting nor stopping: what Redis marks as a warning is
    /// one only in between. What it logged before tells nothing of what happens from now on.
    pub(super) fn set_serving(&self, is_serving: bool) {
        self.shared.last_lines().clear();
        self.shared.is_serving.store(is_serving, Relaxed);
    }

    /// The last lines of a server that has ended, or of one that still runs and is given up.
    pub(super) async fn last_lines(&mut self) -> Vec<String> {
        let readers = &mut self.readers;
        let all = async { while readers.join_next().await.is_some() {} };
        // In vain for a server that still runs: then those are the last so far.
        let _ = timeout(LAST_LINES_TIMEOUT, all).await;
        self.shared.last_lines().iter().cloned().collect()
    }
}

impl Shared {
    fn last_lines(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.last_lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, line: &str) {
        let (mark, text) = MARKS
            .iter()
            .find_map(|mark| line.split_once(mark).map(|(_, text)| (*mark, text)))
            .unwrap_or(("", line));
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        if mark == " # " && self.is_serving.load(Relaxed) {
            tracing::warn!(target: "redis", "{text}");
        } else {
            tracing::debug!(target: "redis", "{text}");
        }
        let mut lines = self.last_lines();
        if lines.len() == LAST_LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(text.to_owned());
    }
}
