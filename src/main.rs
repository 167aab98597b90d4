//! The command line.

use std::{env, process::ExitCode};

use anyhow::{Context as _, anyhow};
use clap::{ArgMatches, Command};
use tandem::{
    app,
    config::{self, Config},
    demo, health, local_redis, reconcile,
    telemetry::logging,
};

/// A request makes and frees some dozen small pieces, and a batch of them one large piece, on several
/// threads at once: glibc's allocator takes a tenth more CPU for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit code where the command line or a setting is wrong; clap's own, too.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let matches = command().get_matches();
    match matches.subcommand() {
        Some(("serve", flags)) => serve(flags),
        Some((demo::COMMAND, flags)) => exit(demonstrate(flags)),
        Some((health::COMMAND, flags)) => exit(health::run(flags)),
        Some((reconcile::COMMAND, flags)) => exit(recount(flags)),
        Some((local_redis::CHILD_COMMAND, flags)) => redis_child(flags),
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
        .subcommand(demo::command())
        .subcommand(health::command())
        .subcommand(reconcile::command())
        .subcommand(local_redis::child_command())
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
    let error = local_redis::run_child(flags);
    complain(&error);
    ExitCode::from(error.exit_code())
}

fn run(config: Config) -> anyhow::Result<()> {
    logging::install(&config.log, config.log_format)?;
    install_cryptography()?;
    // The thread of what all share: the calls of Redis, timers, upkeep. `app` starts the others.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be made")?;
    runtime.block_on(app::serve(config))
}

fn demonstrate(flags: &ArgMatches) -> anyhow::Result<()> {
    install_cryptography()?;
    demo::run(flags)
}

fn recount(flags: &ArgMatches) -> anyhow::Result<()> {
    install_cryptography()?;
    reconcile::run(flags)
}

/// HTTP clients take it from the process.
fn install_cryptography() -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow!("a provider of cryptography was installed before"))
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
