//! Random transactions.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*};

use crate::model::{
    Gid, Global, Mode, Options, Orders, Registered, Share, Spec, State, Status, StepUrls, Timestamp,
};
use crate::pattern::Policy;

/// When every transaction of the laws is created.
pub(super) const T0: Timestamp = Timestamp::from_us(1_000_000_000);

const N_STEPS_MAX: usize = 4;

/// A transaction, and what its participants answer once the disturbances are over.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) spec: Spec,
    pub(super) is_prepared: bool,
    /// For each step of a saga, whether its participant refuses the action.
    pub(super) refuses: Vec<bool>,
    /// What a query-prepared finds.
    pub(super) local_work_is_done: bool,
    /// What the server says of it.
    pub(super) policy: Policy,
}

impl Plan {
    /// The transaction as its first call stores it.
    pub(super) fn stored(&self) -> Global {
        let status = if self.is_prepared { Status::Prepared } else { Status::Submitted };
        let mut state = State::new(status, self.spec.row_count());
        if status == Status::Submitted && !self.spec.delay.is_zero() {
            state.not_before = Some(T0.plus(self.spec.delay));
        }
        Global { spec: Arc::new(self.spec.clone()), created_at: T0, state }
    }
}

pub(super) fn saga() -> impl Strategy<Value = Plan> {
    (plan(Mode::Saga), option::weighted(0.6, orders())).prop_map(|(mut plan, orders)| {
        // With orders or without, about every other saga is concurrent.
        if let Some(before) = orders {
            plan.spec.concurrent = true;
            plan.spec.orders = restricted(before, plan.spec.steps.len());
        }
        plan
    })
}

pub(super) fn message() -> impl Strategy<Value = Plan> {
    (plan(Mode::Message), any::<bool>(), option::of(1_u64..30)).prop_map(
        |(mut plan, concurrent, delay)| {
            plan.spec.concurrent = concurrent;
            plan.spec.delay = Duration::from_secs(delay.unwrap_or(0));
            plan
        },
    )
}

pub(super) fn registered() -> impl Strategy<Value = Plan> {
    let branches = vec((url("confirm"), url("cancel")), 0..=N_STEPS_MAX);
    (plan(Mode::Tcc), branches, any::<bool>()).prop_map(|(mut plan, branches, is_xa)| {
        plan.is_prepared = true;
        plan.spec.mode = if is_xa { Mode::Xa } else { Mode::Tcc };
        plan.spec.steps.clear();
        plan.spec.payloads.clear();
        let share = |confirm, cancel| {
            if is_xa { Share::Xa { url: confirm } } else { Share::Tcc { confirm, cancel } }
        };
        plan.spec.registered = branches
            .into_iter()
            .enumerate()
            .map(|(number, (confirm, cancel))| Registered {
                branch_id: number.to_string(),
                share: share(confirm, cancel),
                data: Bytes::new(),
            })
            .collect();
        plan
    })
}

fn plan(mode: Mode) -> impl Strategy<Value = Plan> {
    let steps = vec((action(), url("compensate"), prop::bool::weighted(0.3)), 0..=N_STEPS_MAX);
    (steps, url("query"), options(), any::<bool>(), any::<bool>(), policy()).prop_map(
        move |(steps, query_prepared, options, is_prepared, local_work_is_done, policy)| {
            let refuses = steps.iter().map(|(_, _, refuses)| *refuses).collect();
            let steps: Vec<StepUrls> = steps
                .into_iter()
                .map(|(action, compensate, _)| StepUrls { action, compensate })
                .collect();
            let spec = Spec {
                payloads: vec![Bytes::new(); steps.len()],
                steps,
                query_prepared,
                options,
                ..Spec::new(Gid::new("g").unwrap(), mode)
            };
            Plan { spec, is_prepared, refuses, local_work_is_done, policy }
        },
    )
}

/// Half of the servers park what errs twice in a row.
fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![Just(0), Just(2)]
        .prop_map(|dead_letter_after| Policy { dead_letter_after, ..Policy::default() })
}

/// Some of them hold stock.
fn action() -> impl Strategy<Value = String> {
    prop_oneof![3 => url("action"), 1 => Just("stock://spring/shoe?take=1&buyer=b".to_owned())]
}

fn url(name: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(name.to_owned()), 1 => Just(String::new())]
}

fn options() -> impl Strategy<Value = Options> {
    let span = || option::weighted(0.4, (1_u64..60).prop_map(Duration::from_secs));
    (span(), span(), option::weighted(0.4, 0_u32..4)).prop_map(
        |(timeout_to_fail, retry_interval, retry_limit)| Options {
            timeout_to_fail,
            retry_interval,
            retry_limit,
            ..Options::default()
        },
    )
}

/// Orders over the most steps that there can be, without a cycle: a step waits only for such as
/// stand before it in a random permutation. Half of them are empty: all steps at once.
fn orders() -> impl Strategy<Value = Vec<Vec<u32>>> {
    let permutation = Just((0..N_STEPS_MAX).collect::<Vec<_>>()).prop_shuffle();
    let density = prop_oneof![Just(0.0), Just(0.5)];
    (permutation, density)
        .prop_flat_map(|(permutation, density)| {
            let waits = vec(prop::bool::weighted(density), N_STEPS_MAX * N_STEPS_MAX);
            (Just(permutation), waits)
        })
        .prop_map(|(permutation, waits)| {
            let mut before = vec![Vec::new(); N_STEPS_MAX];
            for (place, &step) in permutation.iter().enumerate() {
                let earlier = permutation.iter().take(place);
                before[step] = earlier
                    .filter(|&&other| waits[step * N_STEPS_MAX + other])
                    .map(|&other| u32::try_from(other).unwrap())
                    .collect();
            }
            before
        })
}

fn restricted(before: Vec<Vec<u32>>, n_steps: usize) -> Orders {
    let keep = |step: &u32| (*step as usize) < n_steps;
    let of_step = |steps: Vec<u32>| steps.into_iter().filter(keep).collect();
    Orders::new(before.into_iter().take(n_steps).map(of_step).collect())
}
