//! What the clients of one run ask for: a few transactions of every kind, with what clients do
//! beside them: submit again, stop by force, reset, abort, change their mind, disappear.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tandem::model::{Gid, Mode, Options, Orders, Spec};

use crate::support::{rng::Rng, samples};

use super::{server::POLICY, subscriber::TOPICS};

/// What a client does with one transaction.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) spec: Arc<Spec>,
    pub(crate) starts_after: Duration,
    /// Prepared this long before it is submitted.
    pub(crate) prepared_for: Option<Duration>,
    /// Of a tcc or an xa, the tries of its branches.
    pub(crate) local_work: LocalWorkPlan,
    /// How many branches the client of a tcc or an xa registers, or how many steps a workflow's
    /// program has, and how long it rests before each.
    pub(crate) shares: Vec<Duration>,
    /// The workflow's step, from 0, that fails: its program ends it as failed.
    pub(crate) fails_at: Option<usize>,
    /// The workflow's programs may end it otherwise, each by its own mind.
    pub(crate) is_fickle: bool,
    /// The prepare says nothing of the delay, as the Go SDK's.
    pub(crate) delay_comes_with_submit: bool,
    /// What it does besides, and how long after what came before.
    pub(crate) besides: Vec<(Duration, Besides)>,
    /// Besides, and not afterwards.
    pub(crate) is_besides_at_once: bool,
}

/// How the local work of a prepared message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LocalWorkPlan {
    /// Done, then submitted.
    Submitted,
    /// Done, but the client is not heard of again.
    Forgotten,
    /// Not done; the client aborts.
    Aborted,
    /// Not done, and the client is not heard of again.
    Abandoned,
}

/// What a client, or an operator, does besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Besides {
    Submit,
    ForceStop,
    Reset,
    ResetLaterThan,
    Abort,
    Query,
}

/// The plans of `seed`.
pub(crate) fn plans(seed: u64) -> BTreeMap<Gid, Plan> {
    let mut rng = Rng::of(seed, &["workload"]);
    let count = 2 + rng.below(4);
    (0..count)
        .map(|number| {
            let plan = plan(&format!("{seed}-{number}"), &mut rng);
            (plan.spec.gid.clone(), plan)
        })
        .collect()
}

impl Plan {
    /// The steps, from 0, whose action names a topic, each with the topic's name.
    pub(crate) fn topics(&self) -> impl Iterator<Item = (usize, &str)> {
        let steps = self.spec.steps.iter().enumerate();
        steps.filter_map(|(step, urls)| Some((step, urls.action.strip_prefix("topic://")?)))
    }
}

fn plan(gid: &str, rng: &mut Rng) -> Plan {
    let mode = match rng.below(20) {
        0..=2 => Mode::Tcc,
        3 => Mode::Xa,
        4..=6 => Mode::Workflow,
        7..=13 => Mode::Saga,
        _ => Mode::Message,
    };
    let mut spec = match mode {
        Mode::Tcc | Mode::Xa => registered(gid, mode, rng),
        Mode::Workflow => workflow(gid, rng),
        Mode::Saga => saga(gid, rng),
        Mode::Message => message(gid, rng),
    };
    let is_registered = matches!(mode, Mode::Tcc | Mode::Xa);
    let besides = (0..rng.below(3))
        .map(|_| {
            let what = match rng.below(12) {
                0..=1 => Besides::ForceStop,
                2..=3 => Besides::Submit,
                4..=6 => Besides::Reset,
                7 => Besides::ResetLaterThan,
                8 => Besides::Query,
                _ => Besides::Abort,
            };
            // Half of them while the work on what came before goes on.
            let ms_max = if rng.happens(500) { 500 } else { 5_000 };
            (rng.up_to_ms(ms_max), what)
        })
        .collect::<Vec<_>>();
    // Who stops it by force has the units given back beside the holder, which no rule here knows.
    if besides.iter().all(|(_, what)| *what != Besides::ForceStop) && rng.happens(300) {
        hold_stock(&mut spec, rng);
    }
    let is_prepared = is_registered || rng.happens(if mode == Mode::Message { 700 } else { 100 });
    let shares = match mode {
        Mode::Tcc | Mode::Xa => shares(&spec, rng),
        Mode::Workflow => {
            let rest_ms_max = if rng.happens(500) { 20 } else { 1_500 };
            (0..rng.below(5)).map(|_| rng.up_to_ms(rest_ms_max)).collect()
        }
        Mode::Saga | Mode::Message => Vec::new(),
    };
    let fails_at = (!shares.is_empty() && rng.happens(250)).then(|| rng.index(shares.len()));
    Plan {
        spec: Arc::new(spec),
        starts_after: rng.up_to_ms(5_000),
        prepared_for: is_prepared.then(|| rng.up_to_ms(8_000)),
        local_work: match rng.below(10) {
            0 => LocalWorkPlan::Abandoned,
            1 => LocalWorkPlan::Aborted,
            2..=3 => LocalWorkPlan::Forgotten,
            _ => LocalWorkPlan::Submitted,
        },
        shares,
        fails_at,
        is_fickle: rng.happens(500),
        delay_comes_with_submit: rng.happens(300),
        besides,
        is_besides_at_once: rng.happens(400),
    }
}

fn saga(gid: &str, rng: &mut Rng) -> Spec {
    let mut spec = samples::spec(gid, Mode::Saga, 1 + rng.index(4));
    spec.options = options(rng);
    spec.options.timeout_to_fail = seconds(rng, 250, 15);
    spec.options.retry_limit =
        rng.happens(300).then(|| u32::try_from(rng.below(4)).unwrap_or_default());
    for urls in &mut spec.steps {
        if rng.happens(60) {
            urls.action.clear();
        }
        if rng.happens(60) {
            urls.compensate.clear();
        }
    }
    spec.concurrent = rng.happens(450);
    if spec.concurrent && rng.happens(600) {
        let before = (0..spec.steps.len())
            .map(|step| (0..step).filter(|_| rng.happens(500)).filter_map(to_u32).collect())
            .collect();
        spec.orders = Orders::new(before);
    }
    spec
}

fn message(gid: &str, rng: &mut Rng) -> Spec {
    let mut spec = samples::spec(gid, Mode::Message, 1 + rng.index(3));
    spec.options = options(rng);
    spec.options.timeout_to_fail = seconds(rng, 700, 8);
    spec.concurrent = rng.happens(300);
    spec.options.concurrent = spec.concurrent.then_some(true);
    if rng.happens(300) {
        spec.delay = Duration::from_secs(1 + rng.below(6));
    }
    if rng.happens(100) {
        spec.query_prepared.clear();
    }
    if rng.happens(300) {
        for urls in &mut spec.steps {
            match rng.below(4) {
                0 => urls.action = format!("topic://{}", TOPICS[1]),
                1..=2 => urls.action = format!("topic://{}", TOPICS[0]),
                _ => {}
            }
        }
    }
    spec
}

/// Half of its steps hold stock of a flash sale; the participants here answer for that too.
fn hold_stock(spec: &mut Spec, rng: &mut Rng) {
    const STOCK: &str = "stock://spring/shoe?take=1&buyer=jane";
    let is_saga = spec.mode == Mode::Saga;
    for urls in spec.steps.iter_mut().filter(|urls| !urls.action.starts_with("topic://")) {
        if rng.happens(500) {
            STOCK.clone_into(&mut urls.action);
            urls.compensate = if is_saga { STOCK.to_owned() } else { String::new() };
        }
    }
}

fn workflow(gid: &str, rng: &mut Rng) -> Spec {
    let mut spec = samples::spec(gid, Mode::Workflow, 0);
    spec.options = Options { wait_result: None, ..options(rng) };
    spec
}

fn registered(gid: &str, mode: Mode, rng: &mut Rng) -> Spec {
    let mut spec = samples::spec(gid, mode, 0);
    spec.options = options(rng);
    spec.options.timeout_to_fail = seconds(rng, 700, 8);
    spec
}

/// How long the client rests before it registers each branch.
fn shares(spec: &Spec, rng: &mut Rng) -> Vec<Duration> {
    if rng.happens(600) {
        // Half of the clients are so slow that a timeout comes in the midst of their work.
        let rest_ms_max = if rng.happens(500) { 20 } else { 3_000 };
        return (0..rng.below(5)).map(|_| rng.up_to_ms(rest_ms_max)).collect();
    }
    // One after the other, from just before the timeout to just after it.
    let timeout = spec.options.timeout_to_fail.unwrap_or(POLICY.timeout_to_fail);
    let before = timeout.saturating_sub(rng.up_to_ms(400));
    let rests = (0..8).map(|_| rng.up_to_ms(60));
    std::iter::once(before).chain(rests).collect()
}

fn options(rng: &mut Rng) -> Options {
    Options {
        retry_interval: Some(Duration::from_secs(1 + rng.below(3))),
        request_timeout: Some(Duration::from_secs(1 + rng.below(3))),
        wait_result: rng.happens(400).then_some(true),
        ..Options::default()
    }
}

fn seconds(rng: &mut Rng, per_mille: u64, max: u64) -> Option<Duration> {
    rng.happens(per_mille).then(|| Duration::from_secs(1 + rng.below(max)))
}

fn to_u32(step: usize) -> Option<u32> {
    u32::try_from(step).ok()
}
