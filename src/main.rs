//! The command line.

use std::{env, ffi::OsString, process::ExitCode};

use anyhow::{Context as _, anyhow};
use clap::{Arg, ArgMatches, Command, value_parser};
use tandem::{
    app,
    config::{self, Config},
    local_redis::exec_tied_to_parent,
    telemetry::logging,
};

/// The exit code where the command line or a setting is wrong; clap's own, too.
const USAGE: u8 = 2;

/// The subcommand by which tandem starts its own Redis.
const REDIS_CHILD: &str = "redis-child";

fn main() -> ExitCode {
    let matches = command().get_matches();
    match matches.subcommand() {
        Some(("serve", flags)) => serve(flags),
        Some((REDIS_CHILD, flags)) => redis_child(flags),
        // clap refuses whatever is not declared.
        _ => ExitCode::from(USAGE),
    }
}

fn command() -> Command {
    Command::new("tandem")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Coordinates distributed transactions")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(config::with_flags(
            Command::new("serve").about("Serves the API and drives the transactions"),
        ))
        .subcommand(
            Command::new(REDIS_CHILD)
                .about("Becomes a program that ends with its parent; for tandem's own use")
                .hide(true)
                .arg(
                    Arg::new("parent-pid")
                        .long("parent-pid")
                        .required(true)
                        .value_parser(value_parser!(u32)),
                )
                .arg(
                    Arg::new("command")
                        .required(true)
                        .last(true)
                        .num_args(1..)
                        .value_parser(value_parser!(OsString)),
                ),
        )
}

fn serve(flags: &ArgMatches) -> ExitCode {
    // Not `vars`, which panics at a variable that is not Unicode; what is lost here is no right
    // value of any setting, so it is reported as one that is not allowed.
    let variables = env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into(), value.to_string_lossy().into()));
    match Config::load(flags, variables) {
        Ok(config) => exit(run(config)),
        Err(faults) => {
            complain(&faults);
            ExitCode::from(USAGE)
        }
    }
}

fn redis_child(flags: &ArgMatches) -> ExitCode {
    let command: Vec<_> = flags.get_many("command").into_iter().flatten().cloned().collect();
    // clap requires it; no process has the id 0, so that none is found if it is not there.
    let parent_pid = flags.get_one("parent-pid").copied().unwrap_or(0);
    let error = exec_tied_to_parent(parent_pid, &command);
    complain(&error);
    ExitCode::from(error.exit_code())
}

fn run(config: Config) -> anyhow::Result<()> {
    logging::install(&config.log, config.log_format)?;
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow!("a provider of cryptography was installed before"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.worker_threads)
        .enable_all()
        .build()
        .context("the runtime cannot be made")?;
    runtime.block_on(app::serve(config))
}

fn exit(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the last words, which no log filter may swallow")]
fn complain(what: &dyn std::fmt::Display) {
    eprintln!("tandem: {what}");
}
