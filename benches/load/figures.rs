//! What is read from the processes before and after a run, the figures made of it, and how they are
//! printed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use redis::InfoDict;
use serde_json::{Map, Value, json};

use crate::{http, processes::Stand};

const FINISHED: &str = "tandem_transactions_finished_total";
const SCRIPT_CALLS: &str = "tandem_script_calls_total";
const SCRIPT_ITEMS: &str = "tandem_script_items_total";

/// Counters of all processes at one time.
pub(crate) struct Snapshot {
    tandem_cpu: Duration,
    harness_cpu: Duration,
    redis_cpu_seconds: f64,
    redis_in_bytes: f64,
    redis_out_bytes: f64,
    redis_memory_bytes: f64,
    page: Page,
}

impl Snapshot {
    /// Reads them.
    ///
    /// # Errors
    /// When a process has ended or does not say.
    pub(crate) fn take(stand: &mut Stand) -> Result<Self> {
        stand.tandem.check_alive()?;
        let info: InfoDict =
            redis::cmd("INFO").arg(&["cpu", "memory", "stats"]).query(&mut stand.redis)?;
        let number = |name: &str| {
            info.get::<f64>(name).with_context(|| format!("Redis's INFO has no {name}"))
        };
        Ok(Self {
            tandem_cpu: cpu_time(stand.tandem.pid())?,
            harness_cpu: cpu_time(std::process::id())?,
            redis_cpu_seconds: number("used_cpu_user")? + number("used_cpu_sys")?,
            redis_in_bytes: number("total_net_input_bytes")?,
            redis_out_bytes: number("total_net_output_bytes")?,
            redis_memory_bytes: number("used_memory")?,
            page: Page::read(stand)?,
        })
    }
}

/// User and system time of a process, all its threads together; exact to two clock ticks (20 ms).
fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("a process's CPU time")?;
    // The second field is a name that may hold anything, so fields are counted from its end.
    let (_, rest) = stat.rsplit_once(')').context("/proc/PID/stat has no name")?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let total = ticks().zip(ticks()).map(|(user, system)| user + system);
    let total = total.context("/proc/PID/stat has no times")?;
    Ok(Duration::from_secs(total) / u32::try_from(rustix::param::clock_ticks_per_second())?)
}

/// Tandem's metrics.
pub(crate) struct Page(String);

impl Page {
    /// Reads them.
    ///
    /// # Errors
    /// When tandem does not answer with 200.
    pub(crate) fn read(stand: &Stand) -> Result<Self> {
        let (status, page) = http::get(stand.http, "/api/metrics")?;
        anyhow::ensure!(status == 200, "/api/metrics answers {status}");
        Ok(Self(page))
    }

    /// Transactions finished, and those of them that failed.
    pub(crate) fn finished(&self) -> (f64, f64) {
        let sum = |wanted: &str| {
            let lines = self.lines(FINISHED).filter(|(labels, _)| labels.contains(wanted));
            lines.map(|(_, value)| value).sum()
        };
        (sum(""), sum("status=\"failed\""))
    }

    /// The values of a counter with the single label `script`, by script.
    fn by_script(&self, name: &'static str) -> BTreeMap<&str, f64> {
        let lines = self.lines(name);
        lines.filter_map(|(labels, value)| Some((labels.split('"').nth(1)?, value))).collect()
    }

    fn lines<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.lines().filter_map(move |line| {
            let (labels, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
            // Else it is a longer name with this start.
            (labels.is_empty() || labels.starts_with('{')).then_some(())?;
            Some((labels, value.parse().ok()?))
        })
    }
}

/// Figures with their names, in the order of printing.
#[derive(Clone, Default)]
pub(crate) struct Figures(Vec<(String, f64)>);

impl Figures {
    pub(crate) fn add(&mut self, name: impl Into<String>, value: f64) {
        self.0.push((name.into(), value));
    }

    /// The quantiles of `latencies`, in ms, under names that start with `name`.
    pub(crate) fn add_quantiles(&mut self, name: &str, mut latencies: Vec<Duration>) {
        latencies.sort_unstable();
        let Some(last) = latencies.len().checked_sub(1) else { return };
        for (label, share) in [("min", 0.0), ("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            let at = (last as f64 * share).round() as usize;
            if let Some(latency) = latencies.get(at) {
                self.add(format!("{name} {label}, ms"), latency.as_secs_f64() * 1e3);
            }
        }
    }

    /// What `n` transactions between two snapshots cost, each.
    pub(crate) fn add_costs(&mut self, before: &Snapshot, after: &Snapshot, n: f64) {
        let cpu = |from: Duration, to: Duration| to.saturating_sub(from).as_secs_f64() * 1e6 / n;
        let redis_cpu = (after.redis_cpu_seconds - before.redis_cpu_seconds) * 1e6 / n;
        self.add("CPU tandem, µs", cpu(before.tandem_cpu, after.tandem_cpu));
        self.add("CPU Redis, µs", redis_cpu);
        self.add("CPU harness, µs", cpu(before.harness_cpu, after.harness_cpu));
        self.add("to Redis, bytes", (after.redis_in_bytes - before.redis_in_bytes) / n);
        self.add("from Redis, bytes", (after.redis_out_bytes - before.redis_out_bytes) / n);
        let memory = (after.redis_memory_bytes - before.redis_memory_bytes) / n;
        self.add("Redis memory, bytes", memory);
        for (name, what) in [(SCRIPT_CALLS, "calls"), (SCRIPT_ITEMS, "items")] {
            let earlier = before.page.by_script(name);
            let of_each = after.page.by_script(name).into_iter().map(|(script, value)| {
                (script, (value - earlier.get(script).copied().unwrap_or(0.0)) / n)
            });
            let of_each: Vec<_> = of_each.filter(|(_, value)| *value > 0.0).collect();
            self.add(format!("script {what}"), of_each.iter().map(|(_, value)| value).sum());
            for (script, value) in of_each {
                self.add(format!("  {script} {what}"), value);
            }
        }
    }

    fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| *value)
    }

    /// One line for those who wait.
    pub(crate) fn brief(&self) -> String {
        let shown = self.0.iter().filter(|(name, _)| {
            ["per second", "p50", "p99", "CPU"].iter().any(|part| name.contains(part))
        });
        let shown: Vec<_> =
            shown.map(|(name, value)| format!("{name} {}", readable(*value))).collect();
        shown.join(" · ")
    }

    pub(crate) fn to_json(&self) -> Value {
        let pairs = self.0.iter().map(|(name, value)| (name.trim().to_owned(), json!(value)));
        Value::Object(pairs.collect::<Map<_, _>>())
    }
}

/// The rounds of one scenario as lines: median (min–max) of each figure, and with a second binary
/// its own and the ratio of each pair of rounds.
pub(crate) fn table(rounds: &[Figures], other: &[Figures]) -> String {
    let mut names = Vec::new();
    let mut seen = BTreeSet::new();
    for (name, _) in rounds.iter().chain(other).flat_map(|figures| &figures.0) {
        if seen.insert(name) {
            names.push(name);
        }
    }
    let mut lines = String::new();
    for name in names {
        let mut line = format!("  {name:<24} {:<32}", spread(rounds, name));
        if !other.is_empty() {
            let pairs = rounds.iter().zip(other);
            let ratios: Vec<_> =
                pairs.filter_map(|(one, two)| Some(two.get(name)? / one.get(name)?)).collect();
            let each: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
            let ratio = median(ratios).map_or_else(String::new, |ratio| format!("{ratio:.3}"));
            line += &format!(" {:<32} {ratio:>7}  [{}]", spread(other, name), each.join(" "));
        }
        lines += line.trim_end();
        lines.push('\n');
    }
    lines
}

fn spread(rounds: &[Figures], name: &str) -> String {
    let values: Vec<_> = rounds.iter().filter_map(|figures| figures.get(name)).collect();
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    median(values).map_or_else(
        || "-".to_owned(),
        |middle| format!("{:>9} ({}–{})", readable(middle), readable(min), readable(max)),
    )
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get((values.len() - 1) / 2)?;
    Some((upper + lower) / 2.0)
}

/// Three figures or so: more would be noise.
fn readable(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// Transactions per second between two times.
pub(crate) fn rate(n: f64, from: Instant, to: Instant) -> f64 {
    n / (to - from).as_secs_f64()
}
