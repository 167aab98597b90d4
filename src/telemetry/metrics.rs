//! Every metric: its name, its labels and its unit, in one place.
//!
//! All labels are closed sets; a gid, a URL or a query is never one. The handles are made once, so
//! that counting costs an atomic add and no look-up.

use std::{ops::Deref, sync::Arc, time::Duration};

use metrics::{Counter, Gauge, Histogram, counter, describe_counter, describe_gauge};
use metrics::{Unit, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{
    BuildError, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::model::{Mode, Op, Outcome, Status};

/// Upper bounds of the histograms' buckets, in seconds: 100 µs to 10 minutes.
const BUCKETS_SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 60.0, 600.0,
];

/// The HTTP statuses that the server sends; any other is counted as `other`.
const HTTP_STATUSES: [u16; 14] =
    [200, 202, 301, 307, 400, 401, 404, 409, 413, 415, 425, 429, 500, 503];

/// What is called.
const OPS: [Op; 8] = [
    Op::Action,
    Op::Compensate,
    Op::QueryPrepared,
    Op::Confirm,
    Op::Cancel,
    Op::Commit,
    Op::Rollback,
    Op::Resume,
];

/// What became of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertEnd {
    /// The web hook took it.
    Sent,
    /// It could not be reached, took too long, or answered no 2xx.
    Failed,
    /// Too many waited already.
    Dropped,
}

/// What became of the request of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderEnd {
    /// It was stored.
    Taken,
    /// An earlier request had stored it.
    Again,
    /// Too few units are left.
    SoldOut,
    /// The buyer has as much as one may have.
    LimitReached,
    /// The sale is not open.
    NotOpen,
    /// Too many orders are in work.
    Crowded,
    /// Anything else that is wrong with it.
    Refused,
    /// Redis did not do it.
    Error,
}

/// What [`OrderEnd`] is called, in its order.
const ORDER_ENDS: [&str; 8] =
    ["taken", "again", "sold_out", "limit_reached", "not_open", "crowded", "refused", "error"];

/// What [`AlertEnd`] is called, in its order.
const ALERT_ENDS: [&str; 3] = ["sent", "failed", "dropped"];

/// The metrics of one server.
pub struct Metrics {
    handles: Handles,
    prometheus: PrometheusHandle,
    recorder: PrometheusRecorder,
}

/// The handles of the metrics whose labels are known from the start.
pub struct Handles {
    accepted: Vec<Counter>,
    finished: Vec<Counter>,
    duration: Vec<Histogram>,
    branch_calls: Vec<Counter>,
    branch_call_seconds: Vec<Histogram>,
    alerts: Vec<Counter>,
    flash_orders: Vec<Counter>,
    /// Buyers that were told "sold out" from memory, without a call of Redis.
    pub flash_turned_away: Counter,
    /// Buckets that were looked at to know whether they are sold out.
    pub flash_looks: Counter,
    /// Readings of all reservations of a sale, to know whom not to turn away from memory.
    pub flash_readings: Counter,
    /// Draws of units for a bucket that ran dry, from the others.
    pub flash_draws: Counter,
    /// Transactions that this node parked, since too many rounds in a row ended in an error.
    pub parked: Counter,
    /// Seconds from a transaction's due time to the start of work on it.
    pub due_lag: Histogram,
    /// Transactions in work on this node.
    pub in_work: Gauge,
    /// Requests that wait for a place in work.
    pub queue: Gauge,
    /// Transactions of all nodes that are due and that nobody has in work.
    pub backlog: Gauge,
    /// Branch calls under way.
    pub branch_calls_in_flight: Gauge,
    /// Branch calls that wait for a connection to their host.
    pub branch_calls_waiting: Gauge,
    /// Writes and renewals of this node that were refused, since it held the transaction no more.
    pub stale_writes: Counter,
    /// Calls of Redis that failed or were not answered in time.
    pub redis_errors: Counter,
    /// Commands that pages of the listing sent to Redis.
    pub listing_commands: Counter,
    /// Jumps of Redis's clock against this node's by more than a second.
    pub clock_jumps: Counter,
    /// Due entries whose transaction was missing or unreadable.
    pub unreadable: Counter,
    /// Panics in the work on one transaction; the others go on.
    pub panics: Counter,
}

impl Deref for Metrics {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.handles
    }
}

impl Metrics {
    /// Makes all handles, with a recorder of their own: two servers in one process count apart.
    ///
    /// # Errors
    /// When the exporter refuses the buckets, which would be a fault of this file.
    pub fn new() -> Result<Arc<Self>, BuildError> {
        let recorder = PrometheusBuilder::new().set_buckets(BUCKETS_SECONDS)?.build_recorder();
        let prometheus = recorder.handle();
        let handles = metrics::with_local_recorder(&recorder, || {
            describe();
            let modes_statuses =
                || Mode::ALL.into_iter().flat_map(|mode| Status::ALL.map(|s| (mode, s)));
            Handles {
                accepted: modes_statuses()
                    .map(|(mode, status)| {
                        counter!("tandem_transactions_accepted_total",
                            "type" => mode.as_str(), "status" => status.as_str())
                    })
                    .collect(),
                finished: modes_statuses()
                    .map(|(mode, status)| {
                        counter!("tandem_transactions_finished_total",
                            "type" => mode.as_str(), "status" => status.as_str())
                    })
                    .collect(),
                duration: Mode::ALL
                    .map(|mode| {
                        histogram!("tandem_transaction_duration_seconds", "type" => mode.as_str())
                    })
                    .into(),
                branch_calls: OPS
                    .into_iter()
                    .flat_map(|op| Outcome::NAMES.map(|outcome| (op, outcome)))
                    .map(|(op, outcome)| {
                        counter!("tandem_branch_calls_total",
                            "op" => op_label(op), "outcome" => outcome)
                    })
                    .collect(),
                branch_call_seconds: Outcome::NAMES
                    .map(|outcome| {
                        histogram!("tandem_branch_call_duration_seconds", "outcome" => outcome)
                    })
                    .into(),
                alerts: ALERT_ENDS
                    .map(|outcome| counter!("tandem_alerts_total", "outcome" => outcome))
                    .into(),
                flash_orders: ORDER_ENDS
                    .map(|end| counter!("tandem_flash_orders_total", "result" => end))
                    .into(),
                flash_turned_away: counter!("tandem_flash_turned_away_total"),
                flash_looks: counter!("tandem_flash_looks_total"),
                flash_readings: counter!("tandem_flash_readings_total"),
                flash_draws: counter!("tandem_flash_draws_total"),
                parked: counter!("tandem_transactions_parked_total"),
                due_lag: histogram!("tandem_due_lag_seconds"),
                in_work: gauge!("tandem_in_work"),
                queue: gauge!("tandem_queue"),
                backlog: gauge!("tandem_backlog"),
                branch_calls_in_flight: gauge!("tandem_branch_calls_in_flight"),
                branch_calls_waiting: gauge!("tandem_branch_calls_waiting"),
                stale_writes: counter!("tandem_stale_writes_refused_total"),
                redis_errors: counter!("tandem_redis_errors_total"),
                listing_commands: counter!("tandem_listing_commands_total"),
                clock_jumps: counter!("tandem_clock_jumps_total"),
                unreadable: counter!("tandem_unreadable_transactions_total"),
                panics: counter!("tandem_work_panics_total"),
            }
        });
        Ok(Arc::new(Self { handles, prometheus, recorder }))
    }

    /// A transaction was stored for the first time, or promoted, with `status`.
    pub fn accepted(&self, mode: Mode, status: Status) {
        count(&self.accepted, slot(mode, status));
    }

    /// A transaction ended with `status`, `duration` after its creation.
    pub fn finished(&self, mode: Mode, status: Status, duration: Duration) {
        count(&self.finished, slot(mode, status));
        observe(&self.duration, mode as usize, duration);
    }

    /// A branch was called; the answer took `duration`.
    pub fn branch_call(&self, op: Op, outcome: &Outcome, duration: Duration) {
        let outcome = outcome.number();
        count(&self.branch_calls, op as usize * Outcome::NAMES.len() + outcome);
        observe(&self.branch_call_seconds, outcome, duration);
    }

    /// An alert came to this end.
    pub fn alert(&self, end: AlertEnd) {
        count(&self.alerts, end as usize);
    }

    /// A request of an order came to this end.
    pub fn flash_order(&self, end: OrderEnd) {
        count(&self.flash_orders, end as usize);
    }

    /// The handles of one script.
    pub fn script(&self, script: &'static str) -> ScriptMetrics {
        metrics::with_local_recorder(&self.recorder, || ScriptMetrics {
            calls: counter!("tandem_script_calls_total", "script" => script),
            items: counter!("tandem_script_items_total", "script" => script),
            seconds: histogram!("tandem_script_duration_seconds", "script" => script),
        })
    }

    /// The handles of one route of the HTTP API; `route` is its pattern, never a path.
    pub fn route(&self, route: &'static str) -> RouteMetrics {
        metrics::with_local_recorder(&self.recorder, || {
            let of = |status: String| counter!("tandem_http_requests_total", "route" => route, "status" => status);
            RouteMetrics {
                by_status: HTTP_STATUSES.map(|status| of(status.to_string())),
                other: of("other".to_owned()),
            }
        })
    }

    /// The page that Prometheus reads.
    pub fn render(&self) -> String {
        self.prometheus.render()
    }

    /// Folds what the histograms gathered; to be called every few seconds, or they grow until the
    /// next [`Metrics::render`].
    pub fn upkeep(&self) {
        self.prometheus.run_upkeep();
    }
}

/// The handles of one script.
pub struct ScriptMetrics {
    calls: Counter,
    items: Counter,
    seconds: Histogram,
}

impl ScriptMetrics {
    /// It was called once for `items` items, and answered after `duration`.
    pub fn called(&self, items: usize, duration: Duration) {
        self.calls.increment(1);
        self.items.increment(items as u64);
        self.seconds.record(duration);
    }
}

/// The handles of one HTTP route.
pub struct RouteMetrics {
    by_status: [Counter; HTTP_STATUSES.len()],
    other: Counter,
}

impl RouteMetrics {
    /// A request was answered with `status`.
    pub fn answered(&self, status: u16) {
        let known = HTTP_STATUSES.iter().position(|&known| known == status);
        known.and_then(|at| self.by_status.get(at)).unwrap_or(&self.other).increment(1);
    }
}

fn describe() {
    let c = |name: &'static str, text: &'static str| describe_counter!(name, Unit::Count, text);
    let g = |name: &'static str, text: &'static str| describe_gauge!(name, Unit::Count, text);
    let h = |name: &'static str, text: &'static str| describe_histogram!(name, Unit::Seconds, text);
    c("tandem_transactions_accepted_total", "Transactions stored or promoted, by the status given");
    c("tandem_transactions_finished_total", "Transactions that this node saw end, by final status");
    h("tandem_transaction_duration_seconds", "From a transaction's creation to its end");
    c("tandem_branch_calls_total", "Branch calls by op and outcome");
    h("tandem_branch_call_duration_seconds", "Branch calls, waiting for a connection included");
    c("tandem_transactions_parked_total", "Transactions parked after errors in a row");
    c("tandem_alerts_total", "Alerts to the web hook, by what became of them");
    c("tandem_flash_orders_total", "Orders that were answered by a script, by result");
    c("tandem_flash_turned_away_total", "Buyers told from memory that all is sold out");
    c("tandem_flash_looks_total", "Buckets looked at to know whether they are sold out");
    c("tandem_flash_readings_total", "Readings of all reservations of a sale that is sold out");
    c("tandem_flash_draws_total", "Draws for a bucket that ran dry, from the others");
    h("tandem_due_lag_seconds", "From a transaction's due time to the start of work on it");
    g("tandem_in_work", "Transactions in work on this node");
    g("tandem_queue", "Requests that wait for a place in work");
    g("tandem_backlog", "Transactions of all nodes that are due and not in work");
    g("tandem_branch_calls_in_flight", "Branch calls under way");
    g("tandem_branch_calls_waiting", "Branch calls that wait for a connection to their host");
    c("tandem_stale_writes_refused_total", "Writes and renewals refused since the hold was over");
    c("tandem_redis_errors_total", "Calls of Redis that failed or were not answered in time");
    c("tandem_listing_commands_total", "Commands that the listing sent to Redis");
    c("tandem_clock_jumps_total", "Jumps of Redis's clock by more than a second");
    c("tandem_unreadable_transactions_total", "Due entries with no readable transaction");
    c("tandem_work_panics_total", "Panics in the work on one transaction");
    c("tandem_script_calls_total", "Script calls, by script");
    c("tandem_script_items_total", "Items that the script calls carried, by script");
    h("tandem_script_duration_seconds", "Script calls from sending to reply, by script");
    c("tandem_http_requests_total", "HTTP requests by route and status");
}

fn op_label(op: Op) -> &'static str {
    match op {
        Op::QueryPrepared => "query_prepared",
        Op::Action
        | Op::Compensate
        | Op::Confirm
        | Op::Cancel
        | Op::Commit
        | Op::Rollback
        | Op::Resume
        | Op::Recorded => op.as_str(),
    }
}

fn slot(mode: Mode, status: Status) -> usize {
    mode as usize * Status::ALL.len() + status as usize
}

fn count(counters: &[Counter], at: usize) {
    if let Some(counter) = counters.get(at) {
        counter.increment(1);
    }
}

fn observe(histograms: &[Histogram], at: usize, duration: Duration) {
    if let Some(histogram) = histograms.get(at) {
        histogram.record(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_lands_under_its_own_labels() {
        let metrics = Metrics::new().unwrap();
        metrics.finished(Mode::Message, Status::Failed, Duration::from_millis(3));
        metrics.branch_call(Op::Compensate, &Outcome::Ongoing, Duration::from_millis(1));
        metrics.route("/api/ping").answered(200);
        metrics.route("/api/ping").answered(202);
        metrics.route("/api/ping").answered(418);
        metrics.script("record").called(7, Duration::from_micros(90));
        let page = metrics.render();
        for line in [
            "tandem_transactions_finished_total{type=\"msg\",status=\"failed\"} 1",
            "tandem_transactions_finished_total{type=\"saga\",status=\"failed\"} 0",
            "tandem_branch_calls_total{op=\"compensate\",outcome=\"ongoing\"} 1",
            "tandem_http_requests_total{route=\"/api/ping\",status=\"200\"} 1",
            "tandem_http_requests_total{route=\"/api/ping\",status=\"202\"} 1",
            "tandem_http_requests_total{route=\"/api/ping\",status=\"other\"} 1",
            "tandem_script_items_total{script=\"record\"} 7",
        ] {
            assert!(page.contains(line), "{line} is not in\n{page}");
        }
    }
}
