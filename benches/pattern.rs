//! What a round of decisions costs without Redis and without calls: the pure part of a transaction.
//!
//! `cargo bench --bench pattern` says how long one whole round takes.

use std::{hint::black_box, sync::Arc};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tandem::{
    model::{Gid, Global, Mode, Outcome, Spec, State, Status, StepUrls, Timestamp},
    pattern::{Policy, Run, Step, Target, describe},
};

const NOW: Timestamp = Timestamp::from_us(1_000_000_000);

/// The row of the second step's action: compensate and action of the first come before.
const SECOND_ACTION: Target = Target::Row(3);

fn two_step_saga() -> Global {
    let url = |path: &str| format!("http://127.0.0.1:8081/{path}");
    let step = |n: u32| StepUrls {
        action: url(&format!("step{n}")),
        compensate: url(&format!("step{n}_undo")),
    };
    let spec = Spec {
        steps: vec![step(1), step(2)],
        payloads: vec![Bytes::from_static(br#"{"amount":30}"#); 2],
        ..Spec::new(
            Gid::from_http("two-step-saga").unwrap_or_else(|error| panic!("{error}")),
            Mode::Saga,
        )
    };
    let rows = spec.row_count();
    Global { spec: Arc::new(spec), created_at: NOW, state: State::new(Status::Submitted, rows) }
}

/// Drives a round as a worker does; a write is stored and a call is answered at once.
fn play(global: Global, answer: impl Fn(Target) -> Outcome) -> Run {
    let mut run = Run::new(global, Policy::default());
    while let Step::Call(targets) = run.next(NOW) {
        for target in targets {
            if run.is_wanted(target) {
                run.begun(target);
                black_box(describe(&run.global().spec, target));
                run.answer(target, answer(target), NOW);
            }
        }
    }
    run
}

fn refuses_the_second(target: Target) -> Outcome {
    if target == SECOND_ACTION { Outcome::Failure("sold out".to_owned()) } else { Outcome::Success }
}

fn rounds(criterion: &mut Criterion) {
    let saga = two_step_saga();
    assert_eq!(play(saga.clone(), |_| Outcome::Success).global().state.status, Status::Succeed);
    assert_eq!(play(saga.clone(), refuses_the_second).global().state.status, Status::Failed);

    let mut group = criterion.benchmark_group("two-step saga");
    group.bench_function("is done", |bencher| {
        bencher.iter_batched(
            || saga.clone(),
            |saga| play(saga, |_| Outcome::Success),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("is undone from the second step", |bencher| {
        bencher.iter_batched(
            || saga.clone(),
            |saga| play(saga, refuses_the_second),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, rounds);
criterion_main!(benches);
