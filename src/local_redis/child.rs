//! What the Redis server's process does before it becomes the Redis server: it ties its life to
//! that of its parent.
//!
//! The signal at the parent's end can be asked for only by the child itself, between fork and exec,
//! where only unsafe code can run. So tandem starts itself with a subcommand that asks for it and
//! then becomes the server, which keeps what was asked for.

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{self, Command},
};

use clap::{Arg, ArgMatches, value_parser};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// Why a process did not become what it should; the words hold the causes, too.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// The kernel refuses to signal the parent's end.
    #[error("the process cannot be tied to its parent: {0}")]
    Untied(io::Error),
    /// The parent ended before it could be watched.
    #[error("the parent has ended")]
    Orphaned,
    /// There is no program to become.
    #[error("no program is named")]
    Nameless,
    /// The program cannot be run.
    #[error("{program} cannot be run: {error}")]
    Exec {
        /// Its name.
        program: String,
        /// Why.
        error: io::Error,
    },
}

impl ChildError {
    /// Exit code where there is no such program, as shells have it.
    pub(super) const NOT_FOUND: u8 = 127;

    /// The exit code that says it to the parent: as shells have it, 127 where there is no such
    /// program, else 126.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Exec { error, .. } if error.kind() == io::ErrorKind::NotFound => Self::NOT_FOUND,
            Self::Untied(_) | Self::Orphaned | Self::Nameless | Self::Exec { .. } => 126,
        }
    }
}

/// The subcommand that [`child_command`] declares.
pub const CHILD_COMMAND: &str = "redis-child";

const PARENT_PID_FLAG: &str = "parent-pid";

const PROGRAM: &str = "program";

/// The declaration of the subcommand, which no help shows.
pub fn child_command() -> clap::Command {
    let parent_pid = Arg::new(PARENT_PID_FLAG)
        .long(PARENT_PID_FLAG)
        .required(true)
        .value_parser(value_parser!(u32));
    let program = Arg::new(PROGRAM)
        .required(true)
        .last(true)
        .num_args(1..)
        .value_parser(value_parser!(OsString));
    clap::Command::new(CHILD_COMMAND)
        .about("Becomes a program that ends with its parent; for tandem's own use")
        .hide(true)
        .args([parent_pid, program])
}

/// A command line of `executable`, which is tandem, that lacks only a program and its arguments: that
/// program gets a SIGTERM when the thread that starts it ends, however it ends.
pub fn tied_command(executable: &Path) -> Command {
    let mut command = Command::new(executable);
    command.arg(CHILD_COMMAND).arg(format!("--{PARENT_PID_FLAG}={}", process::id())).arg("--");
    command
}

/// Becomes the program that `matches` of [`child_command`] name, which gets a SIGTERM when the
/// thread that started this process ends. It returns only if that fails.
pub fn run_child(matches: &ArgMatches) -> ChildError {
    let mut words = matches.get_many::<OsString>(PROGRAM).into_iter().flatten();
    let Some(program) = words.next() else {
        return ChildError::Nameless;
    };
    // SIGTERM rather than SIGKILL: what Redis has not written to its file yet, it then still does.
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return ChildError::Untied(error.into());
    }
    // A parent that ended before the line above gave no signal, and left this process to another.
    let parent_pid = matches.get_one::<u32>(PARENT_PID_FLAG).copied();
    let parent = parent_pid.and_then(|pid| Pid::from_raw(pid.cast_signed()));
    if parent.is_none() || getppid() != parent {
        return ChildError::Orphaned;
    }
    let error = Command::new(program).args(words).exec();
    ChildError::Exec { program: program.to_string_lossy().into(), error }
}
