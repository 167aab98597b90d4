//! One measured run: warm up, drive, await the end, and make the figures.

use std::{
    collections::BTreeSet,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    Options, Scenario,
    figures::{self, Figures, Page, Snapshot},
    generator::{DELAY, Generator, Run, Until},
    processes::{Stand, check_interrupted},
    requests,
    sink::Sink,
};

/// Long enough for connections, script caches and allocators to settle.
const WARM_UP: Duration = Duration::from_millis(500);

/// What was accepted is finished, or a delayed message has arrived, within this.
const FINISH_MAX: Duration = Duration::from_secs(60);

/// How often the end of transactions is looked for; seldom enough to cost tandem nothing.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One round of one scenario, with fresh processes.
///
/// # Errors
/// When a process fails, a submit is refused, a transaction fails, a message comes early, or Ctrl-C
/// was pressed.
pub(crate) fn run(tandem: &Path, scenario: Scenario, options: &Options) -> Result<Figures> {
    let sink = Sink::start()?;
    let mut stand = Stand::start(tandem, options)?;
    drive(&mut stand, &sink, scenario, options).or_else(|e| {
        // A server that died is the cause, and its log says more than the broken connection.
        stand.tandem.check_alive()?;
        Err(e)
    })
}

fn drive(stand: &mut Stand, sink: &Sink, scenario: Scenario, options: &Options) -> Result<Figures> {
    let redis = (scenario == Scenario::ThreeTrips).then_some(stand.redis_address).flatten();
    let mut generator = Generator::connect(stand.http, redis, options.connections.into())?;
    requests::prepare(scenario, stand, sink.address())?;

    let wait = scenario.answers_last(options);
    let templates = |generator: &Generator, scenario: Scenario| {
        let (server, prefix) = (generator.server(), generator.gid_prefix());
        requests::of(scenario, server, sink.address(), prefix, wait)
    };
    let warmer = if scenario == Scenario::Delay { Scenario::MsgHttp } else { scenario };
    let mut warming = templates(&generator, warmer)?;
    let warm_up = generator.run(&mut warming, Until::Elapsed(WARM_UP), None)?;
    check_accepted(&warm_up)?;
    let before = generator.run(&mut warming, Until::Sent(options.before), None)?;
    let n_warmed = warm_up.latencies.len() + before.latencies.len();
    if !wait {
        wait_finished(stand, n_warmed)?;
    }

    let mut measured = templates(&generator, scenario)?;
    let before = Snapshot::take(stand)?;
    let n_calls_before = sink.calls();
    let until = if scenario == Scenario::Delay {
        Until::Sent(options.messages.into())
    } else {
        Until::Elapsed(Duration::from_secs_f64(options.seconds))
    };
    let run = generator.run(&mut measured, until, options.rate)?;
    check_accepted(&run)?;
    let n = run.latencies.len();
    let mut figures = Figures::default();
    if scenario == Scenario::Delay {
        figures.add_quantiles("late", lateness(sink, &run)?);
    }
    let ended_at = if wait { run.ended_at } else { wait_finished(stand, n_warmed + n)? };
    let after = Snapshot::take(stand)?;
    let n = n as f64;
    if scenario != Scenario::Delay {
        figures.add("per second", figures::rate(n, run.started_at, ended_at));
    }
    figures.add_quantiles("answer", run.latencies);
    figures.add_costs(&before, &after, n);
    figures.add("branch calls", (sink.calls() - n_calls_before) as f64 / n);
    figures.add("transactions (number)", n);
    Ok(figures)
}

fn check_accepted(run: &Run) -> Result<()> {
    if let Some(refusal) = &run.refusal {
        let n = run.sent_at.len();
        bail!(
            "{} of {n} requests were not answered as they were to be; the first: {refusal}",
            run.n_refused
        );
    }
    ensure!(!run.latencies.is_empty(), "nothing was submitted");
    Ok(())
}

/// Waits till tandem has counted `n` transactions as finished; says when that was seen.
fn wait_finished(stand: &mut Stand, n: usize) -> Result<Instant> {
    let deadline = Instant::now() + FINISH_MAX;
    loop {
        let (n_finished, n_failed) = Page::read(stand)?.finished();
        let now = Instant::now();
        ensure!(n_failed == 0.0, "{n_failed} transactions failed, though no branch refuses");
        if n_finished >= n as f64 {
            return Ok(now);
        }
        ensure!(now < deadline, "{n_finished} of {n} transactions finished in {FINISH_MAX:?}");
        check_interrupted()?;
        stand.tandem.check_alive()?;
        thread::sleep(LOOK_EVERY);
    }
}

/// How late each message of `run` was first heard of, once all were.
fn lateness(sink: &Sink, run: &Run) -> Result<Vec<Duration>> {
    let n = run.sent_at.len();
    let deadline = Instant::now() + DELAY + FINISH_MAX;
    while sink.n_noted() < n {
        let n_noted = sink.n_noted();
        ensure!(Instant::now() < deadline, "{n_noted} of {n} messages came in {FINISH_MAX:?}");
        check_interrupted()?;
        thread::sleep(LOOK_EVERY);
    }
    let mut heard = BTreeSet::new();
    let mut lateness = Vec::with_capacity(n);
    for (number, arrived_at) in sink.take_noted() {
        let at = number.checked_sub(run.first_number).and_then(|at| usize::try_from(at).ok());
        let Some(sent_at) = at.and_then(|at| run.sent_at.get(at)) else { continue };
        let due_at = *sent_at + DELAY;
        let late = arrived_at.checked_duration_since(due_at);
        let late = late.with_context(|| {
            format!("message {number} came {:?} too early", due_at - arrived_at)
        })?;
        if heard.insert(number) {
            lateness.push(late);
        }
    }
    let n_heard = lateness.len();
    ensure!(n_heard == n, "{n_heard} of {n} messages came, some more than once");
    Ok(lateness)
}
