//! The end-to-end load harness: whole transactions through a real server and a real Redis.
//!
//! # What it measures
//!
//! It starts a Redis, `tandem serve` and a participant of its own (the sink), and drives them in a
//! closed loop over many connections, each submit with `wait_result`, so that a latency is that of a
//! whole transaction. Each round of each scenario gets fresh processes, and rounds are interleaved,
//! so that a noisy minute hits all scenarios alike. Printed are medians over the rounds, with their
//! extremes; apart from rates and latencies, all figures are per transaction. CPU time is all
//! threads' user and system time. Redis's memory is what finished transactions keep until they
//! expire. `script calls` are round trips, `script items` the transactions that they carried;
//! claims and renewals are in them.
//!
//! - `saga-http`: two steps, two HTTP branches, 100-byte payloads
//! - `saga-empty`: the same with empty URLs: the coordinator and Redis alone
//! - `msg-http`: a message with one HTTP action
//! - `delay`: messages with a delay of 1 s, submitted at once. Lateness runs from the moment of
//!   sending plus the delay to the arrival at the sink, so the trip of the submit is in it; the run
//!   fails when one arrives early or not at all.
//! - `flash-order`: orders of a flash sale without steps: taken, stored and answered
//! - `flash-step`: orders with one HTTP step, which runs after the answer; the rate counts until all
//!   are finished
//! - `flash-sold-out`: orders of a sale that has nothing left
//! - `three-trips`: what a shop does that keeps its stock itself, in the same Redis: prepare a
//!   message, take from the stock by a script of its own, submit
//!
//! # How to run it
//!
//! ```text
//! cargo bench --bench load -- --pin 0-1
//! cargo bench --bench load -- --scenario saga-http --tandem OTHER/tandem   # side by side
//! cargo bench --bench load -- --pin 0-1 --scenario flash-order,flash-sold-out,three-trips
//! cargo bench --bench load -- --scenario flash-order --before 1000000   # as many buyers before
//! cargo bench --bench load -- --scenario flash-order --rate 17500       # latency at that load
//! ```
//!
//! Compare only figures of one run, best with `--tandem`. Linux only: it uses epoll and /proc.
#![expect(clippy::print_stdout, reason = "the figures are this program's output")]
#![expect(clippy::disallowed_methods, reason = "it measures real time; no other clock will do")]

mod exchange;
mod figures;
mod generator;
mod http;
mod processes;
mod requests;
mod round;
mod sink;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use serde_json::json;

use figures::Figures;

/// What is submitted.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Sagas of two steps with HTTP branches.
    SagaHttp,
    /// Sagas of two steps with empty URLs.
    SagaEmpty,
    /// Messages with one HTTP action.
    MsgHttp,
    /// Messages with a delay of a second.
    Delay,
    /// Orders of a flash sale without steps.
    FlashOrder,
    /// Orders of a flash sale with one HTTP step.
    FlashStep,
    /// Orders of a flash sale that is sold out.
    FlashSoldOut,
    /// Messages with the shop's own stock: prepare, take, submit.
    ThreeTrips,
}

/// Puts tandem under load and prints what a transaction costs.
#[derive(Parser)]
pub(crate) struct Options {
    /// Only these scenarios, instead of all; may be repeated or a list with commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    scenario: Vec<Scenario>,
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Length of a measured run, in seconds.
    #[arg(long, default_value_t = 2.0, value_parser = positive_seconds)]
    seconds: f64,
    /// Runs of each scenario.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Messages of one run of the delay scenario.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    messages: u32,
    /// Submit without `wait_result`: latency is then that of being stored, and the rate counts until
    /// all are finished.
    #[arg(long)]
    no_wait: bool,
    /// Begin so many a second, at even distances, instead of as many as the connections carry; a
    /// latency then runs from when it was to begin.
    #[arg(long, value_name = "PER_SECOND", value_parser = positive_rate)]
    rate: Option<f64>,
    /// So many transactions come before each measured run.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    before: u64,
    /// Bind all processes to these CPUs, as taskset takes them.
    #[arg(long, value_name = "CPUS")]
    pin: Option<String>,
    /// Another tandem binary to compare with, run by run.
    #[arg(long, value_name = "PATH")]
    tandem: Option<PathBuf>,
    /// Use this Redis instead of one of its own; what is finished stays in it until it expires.
    #[arg(long, value_name = "URL")]
    redis_url: Option<String>,
    /// Talk to the own Redis over TCP instead of a unix socket.
    #[arg(long)]
    redis_tcp: bool,
    /// Let the own Redis keep an append-only file, synced every second.
    #[arg(long)]
    aof: bool,
    /// Write every run's figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Given by `cargo bench`; without it nothing is run.
    #[arg(long, hide = true)]
    bench: bool,
}

fn positive_seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().map_err(|e| format!("{e}"))?;
    if (0.1..=3600.0).contains(&seconds) { Ok(seconds) } else { Err("0.1 to 3600".to_owned()) }
}

fn positive_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().map_err(|e| format!("{e}"))?;
    if (0.1..=1e6).contains(&rate) { Ok(rate) } else { Err("0.1 to 1000000".to_owned()) }
}

/// The runs of one scenario with one binary.
struct Row {
    scenario: Scenario,
    binary: &'static str,
    rounds: Vec<Figures>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("load: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    if !options.bench {
        // `cargo test --all-targets` runs it too, where nobody wants a minute of load.
        println!("load: run as `cargo bench --bench load`");
        return Ok(());
    }
    processes::catch_interrupts()?;
    if let Some(cpus) = &options.pin {
        processes::pin(cpus)?;
    }
    let rows = measure(options)?;
    for row in rows.iter().filter(|row| row.binary == "own") {
        let other = rows.iter().find(|o| o.scenario == row.scenario && o.binary != row.binary);
        let columns = if other.is_some() { "own | other | other/own by round" } else { "" };
        println!("{} {columns}", row.scenario.name());
        print!("{}", figures::table(&row.rounds, other.map_or(&[], |other| &other.rounds)));
    }
    if let Some(file) = &options.json {
        fs::write(file, to_json(options, &rows))
            .with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

fn measure(options: &Options) -> Result<Vec<Row>> {
    let own = option_env!("CARGO_BIN_EXE_tandem").context("this package builds no tandem")?;
    let mut binaries = vec![("own", Path::new(own))];
    binaries.extend(options.tandem.as_deref().map(|path| ("other", path)));
    let scenarios = match options.scenario.as_slice() {
        [] => Scenario::value_variants(),
        chosen => chosen,
    };
    let mut rows: Vec<Row> = Vec::new();
    for &scenario in scenarios {
        rows.extend(binaries.iter().map(|&(binary, _)| Row {
            scenario,
            binary,
            rounds: Vec::new(),
        }));
    }
    for round in 0..options.rounds {
        for of_scenario in rows.chunks_mut(binaries.len()) {
            let mut pair: Vec<_> = of_scenario.iter_mut().zip(&binaries).collect();
            // Whoever comes second meets a warmer machine, so they take turns.
            if round % 2 == 1 {
                pair.reverse();
            }
            for (row, (binary, path)) in pair {
                let name = row.scenario.name();
                let figures = round::run(path, row.scenario, options)
                    .with_context(|| format!("{name}, {binary}, round {}", round + 1))?;
                eprintln!("{} {name} {binary}: {}", round + 1, figures.brief());
                row.rounds.push(figures);
            }
        }
    }
    Ok(rows)
}

impl Scenario {
    /// Whether a transaction is over with its answer.
    fn answers_last(self, options: &Options) -> bool {
        match self {
            Self::SagaHttp | Self::SagaEmpty | Self::MsgHttp => !options.no_wait,
            Self::Delay | Self::FlashStep | Self::ThreeTrips => false,
            Self::FlashOrder | Self::FlashSoldOut => true,
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

fn to_json(options: &Options, rows: &[Row]) -> String {
    let runs = rows.iter().flat_map(|row| {
        row.rounds.iter().enumerate().map(|(round, figures)| {
            json!({"scenario": row.scenario.name(), "binary": row.binary, "round": round + 1,
                "figures": figures.to_json()})
        })
    });
    let runs: Vec<_> = runs.collect();
    let page = json!({"connections": options.connections, "seconds": options.seconds,
        "wait": !options.no_wait, "pin": options.pin, "rate": options.rate, "before": options.before, "aof": options.aof, "runs": runs});
    format!("{page:#}\n")
}
