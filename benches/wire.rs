//! What reading and checking a submit's body costs: the ordinary small one, and one with a large
//! payload.
//!
//! `cargo bench --bench wire` says how long a body takes, and how many bytes a second that is.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tandem::{
    model::{Gid, Spec},
    wire::{BadRequest, read_stored},
};

/// A saga of two steps as a client sends it, 408 bytes.
const TWO_STEP_SAGA: &str = concat!(
    r#"{"gid":"4rTvHmXkQ2bWzN8sYcJd5e","trans_type":"saga","steps":["#,
    r#"{"action":"http://127.0.0.1:8081/api/busi/TransOut","#,
    r#""compensate":"http://127.0.0.1:8081/api/busi/TransOutRevert"},"#,
    r#"{"action":"http://127.0.0.1:8081/api/busi/TransIn","#,
    r#""compensate":"http://127.0.0.1:8081/api/busi/TransInRevert"}],"#,
    r#""payloads":["{\"amount\":30,\"user_id\":101}","{\"amount\":30,\"user_id\":102}"],"#,
    r#""request_timeout":3,"wait_result":true}"#,
);

/// About the size of the first payload in the large body.
const LARGE_PAYLOAD_BYTES: usize = 3_000_000;

/// The same saga with a long list in its first payload; as in any JSON within JSON, every sixth
/// byte or so is an escape.
fn large_saga() -> String {
    const ENTRY: &str = r#"{\"sku\":\"4711-0815\",\"amount\":30,\"note\":\"at the door\"},"#;
    let list = format!("[{}0]", ENTRY.repeat(LARGE_PAYLOAD_BYTES / ENTRY.len()));
    TWO_STEP_SAGA.replacen(r#"{\"amount\":30,\"user_id\":101}"#, &list, 1)
}

fn bodies(criterion: &mut Criterion) {
    let large = large_saga();
    let mut group = criterion.benchmark_group("read");
    for (name, body) in [("two-step saga", TWO_STEP_SAGA), ("3 MB payload", &large)] {
        assert_eq!(read(body).map(|spec| spec.steps.len()), Ok(2));
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| read(black_box(body))));
    }
    group.finish();
}

fn read(body: &str) -> Result<Spec, BadRequest> {
    let gid = Gid::from_http("4rTvHmXkQ2bWzN8sYcJd5e").map_err(|_| BadRequest::Empty)?;
    read_stored(body.as_bytes(), None, &gid)
}

criterion_group!(benches, bodies);
criterion_main!(benches);
