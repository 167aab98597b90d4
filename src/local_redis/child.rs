//! What the Redis server's process does before it becomes the Redis server: it ties its life to
//! that of its parent.
//!
//! The signal at the parent's end can be asked for only by the child itself, between fork and exec,
//! where only unsafe code can run. So tandem starts itself with a subcommand that asks for it and
//! then becomes the server, which keeps what was asked for.

use std::{ffi::OsString, io, os::unix::process::CommandExt as _, process::Command};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// Why a process did not become what it should.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// The kernel refuses to signal the parent's end.
    #[error("the process cannot be tied to its parent: {0}")]
    Untied(#[source] io::Error),
    /// The parent ended before it could be watched.
    #[error("the parent has ended")]
    Orphaned,
    /// There is no program to become.
    #[error("no program is named")]
    Nameless,
    /// The program cannot be run.
    #[error("{program} cannot be run: {source}")]
    Exec {
        /// Its name.
        program: String,
        /// Why.
        source: io::Error,
    },
}

impl ChildError {
    /// Exit code where there is no such program, as shells have it.
    pub(super) const NOT_FOUND: u8 = 127;

    /// The exit code that says it to the parent: as shells have it, 127 where there is no such
    /// program, else 126.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Exec { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Self::NOT_FOUND
            }
            Self::Untied(_) | Self::Orphaned | Self::Nameless | Self::Exec { .. } => 126,
        }
    }
}

/// Becomes `command`, which gets a SIGTERM when the thread that started this process ends. It
/// returns only if that fails.
pub fn exec_tied_to_parent(parent_pid: u32, command: &[OsString]) -> ChildError {
    let Some((program, arguments)) = command.split_first() else {
        return ChildError::Nameless;
    };
    // SIGTERM rather than SIGKILL: what Redis has not written to its file yet, it then still does.
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return ChildError::Untied(error.into());
    }
    // A parent that ended before the line above gave no signal, and left this process to another.
    let parent = i32::try_from(parent_pid).ok().and_then(Pid::from_raw);
    if parent.is_none() || getppid() != parent {
        return ChildError::Orphaned;
    }
    let source = Command::new(program).args(arguments).exec();
    ChildError::Exec { program: program.to_string_lossy().into(), source }
}
