//! What it costs to pack a transaction's state for Redis, and to read it back.
//!
//! `cargo bench --bench codec`

use std::{fmt::Write as _, hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use tandem::{
    model::{Gid, Progress, Row, State, Status, Timestamp},
    store::codec::{Packed, pack_rest},
    wire::read_stored,
};

const CREATED: Timestamp = Timestamp::from_us(1_700_000_000_000_000);

/// A saga of two steps whose first action succeeded and whose second may have run.
fn half_done() -> State {
    let mut state = State::new(Status::Submitted, 4);
    let finished_at = Some(CREATED.plus(Duration::from_millis(12)));
    state.rows[1] = Row { progress: Progress::Succeeded, finished_at };
    state.rows[3] = Row { progress: Progress::MayHaveRun, finished_at: None };
    state
}

fn codec(criterion: &mut Criterion) {
    let state = half_done();
    let mut packed = String::from("SS3f2a91bc00de:1f;2;3f2a91bc00de:1f;;1700000000012000;");
    // Writing to a string cannot fail.
    let _ = write!(packed, "{}", pack_rest(&state, CREATED));
    let gid = Gid::from_http("g").unwrap_or_else(|error| panic!("{error}"));
    let body = br#"{"trans_type":"saga","steps":[{},{}],"payloads":["",""]}"#;
    let spec = read_stored(body, None, &gid).unwrap_or_else(|error| panic!("{error}"));
    let read = || {
        let read =
            Packed::read(black_box(packed.as_bytes())).and_then(|p| p.state(&spec, CREATED, None));
        read.unwrap_or_else(|error| panic!("{error}"))
    };
    assert_eq!(read(), state);

    let mut group = criterion.benchmark_group("state of a two-step saga");
    group.bench_function("is packed", |bencher| {
        bencher.iter(|| pack_rest(black_box(&state), CREATED));
    });
    group.bench_function("is read", |bencher| bencher.iter(read));
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
