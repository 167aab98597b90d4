//! The CPU time of a Redis as what a bench measures: how much of one core its items take.

use std::{fs, path::PathBuf, process::Child, time::Duration};

use criterion::{
    Throughput,
    measurement::{Measurement, ValueFormatter, WallTime},
};

/// The CPU time of a Redis's main thread, which runs the scripts. With it criterion prints, per
/// second, what one core could do.
pub(crate) struct RedisCpu {
    schedstat: PathBuf,
}

impl RedisCpu {
    pub(crate) fn of(server: &Child) -> Self {
        Self { schedstat: format!("/proc/{}/schedstat", server.id()).into() }
    }
}

impl Measurement for RedisCpu {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let text = fs::read_to_string(&self.schedstat);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", self.schedstat.display()));
        let ns = text.split(' ').next().and_then(|ns| ns.parse().ok());
        Duration::from_nanos(ns.unwrap_or_else(|| panic!("it is no time: {text}")))
    }

    fn end(&self, started: Duration) -> Duration {
        self.start().saturating_sub(started)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self
    }
}

/// As of wall time.
impl ValueFormatter for RedisCpu {
    fn scale_values(&self, typical: f64, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_values(typical, values)
    }

    fn scale_throughputs(
        &self,
        typical: f64,
        throughput: &Throughput,
        values: &mut [f64],
    ) -> &'static str {
        WallTime.formatter().scale_throughputs(typical, throughput, values)
    }

    fn scale_for_machines(&self, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_for_machines(values)
    }
}
