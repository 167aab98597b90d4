//! What the scripts of a saga and of a flash sale cost through the store on a real Redis, alone and 64
//! at a time, when the store gathers them into few calls; and what many of a flash sale at once cost
//! Redis alone.
//!
//! `cargo bench --bench scripts` starts a Redis of its own (`redis-server` must be installed) on a
//! unix socket, without persistence.

#[path = "redis_cpu.rs"]
mod redis_cpu;
#[path = "scripts_flash.rs"]
mod scripts_flash;

use std::{
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use redis_cpu::RedisCpu;
use tandem::{
    clock::SystemClock,
    model::{Gid, Progress, Spec, State, Status, Tokens},
    store::{Durability, Record, RedisStore, Store, StoreSettings, Submit, Submitted},
    telemetry::metrics::Metrics,
    wire::{Limits, read_request},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const LEASE: Duration = Duration::from_secs(3);

/// Finished ones go soon, so that a long run does not fill the memory.
const RETENTION: Duration = Duration::from_secs(10);

/// A Redis that ends with the bench.
struct Redis {
    server: Child,
    folder: TempDir,
}

impl Redis {
    fn start() -> std::io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .arg("--unixsocket")
            .arg(folder.path().join("redis.sock"))
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { server, folder })
    }

    async fn connect(&self) -> RedisStore {
        let url = format!("redis+unix://{}/redis.sock", self.folder.path().display());
        let metrics = Metrics::new().unwrap_or_else(|error| panic!("{error}"));
        loop {
            let settings = StoreSettings { retention: RETENTION, ..StoreSettings::default() };
            let clock = Arc::new(SystemClock::new());
            match RedisStore::connect(&url, settings, clock, Arc::clone(&metrics)).await {
                Ok(store) => return store,
                Err(error) if error.is_passing() => thread::sleep(Duration::from_millis(10)),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Makes sagas and drives them through the store's part of their lives.
struct Sagas {
    store: RedisStore,
    tokens: Tokens,
    count: AtomicU64,
}

impl Sagas {
    /// Two steps with payloads of 100 bytes, as a client sends them.
    fn next(&self) -> (Arc<Spec>, Bytes) {
        let gid = format!("saga-{}", self.count.fetch_add(1, Ordering::Relaxed));
        let payload = "x".repeat(100);
        let body = format!(
            r#"{{"gid":"{gid}","trans_type":"saga","steps":[{{"action":"http://127.0.0.1:8081/out","compensate":"http://127.0.0.1:8081/out-undo"}},{{"action":"http://127.0.0.1:8081/in","compensate":"http://127.0.0.1:8081/in-undo"}}],"payloads":["{payload}","{payload}"]}}"#
        );
        let gid = Gid::new(&gid).unwrap_or_else(|error| panic!("{error}"));
        let spec = read_request(body.as_bytes())
            .and_then(|request| request.into_spec(gid, &Limits::none()))
            .unwrap_or_else(|error| panic!("{error}"));
        (Arc::new(spec), Bytes::from(body))
    }

    fn submit(&self, status: Status) -> Submit {
        let (spec, body) = self.next();
        Submit {
            token: self.tokens.next(),
            state: State::new(status, spec.row_count()),
            spec,
            body,
            created_at_estimate: tandem::model::Timestamp::default(),
            held: true,
            lease: LEASE,
            override_options: None,
            durability: Durability::Memory,
        }
    }

    /// One that is over as soon as it is stored: one script.
    async fn store_finished(&self) {
        let stored = self.store.submit(self.submit(Status::Succeed)).await;
        assert!(matches!(stored, Ok(Submitted::Created { .. })), "{stored:?}");
    }

    /// submit, record, finish: the three scripts of a two-step saga.
    async fn drive(&self) {
        let submit = self.submit(Status::Submitted);
        let (gid, token) = (submit.spec.gid.clone(), submit.token.clone());
        let mut state = submit.state.clone();
        let Ok(Submitted::Created { created_at, .. }) = self.store.submit(submit).await else {
            panic!("not stored")
        };
        let record = |n, state: State| Record {
            gid: gid.clone(),
            token: token.clone(),
            n,
            state,
            created_at,
            promoted: false,
            registered: None,
            durability: Durability::Memory,
        };
        state.rows[1].progress = Progress::Succeeded;
        state.rows[3].progress = Progress::MayHaveRun;
        let recorded = self.store.record(&record(2, state.clone())).await;
        state.rows[3].progress = Progress::Succeeded;
        state.status = Status::Succeed;
        let finished = self.store.finish(&record(3, state)).await;
        assert!(recorded.is_ok() && finished.is_ok(), "{recorded:?} {finished:?}");
    }
}

fn scripts(criterion: &mut Criterion) {
    let redis = Redis::start().unwrap_or_else(|error| panic!("redis-server: {error}"));
    let runtime = Runtime::new().unwrap_or_else(|error| panic!("{error}"));
    let store = runtime.block_on(redis.connect());
    let sagas = Sagas { store, tokens: Tokens::new("bench"), count: AtomicU64::new(0) };
    for at_once in [1, 64] {
        let mut group = criterion.benchmark_group(format!("{at_once} at once"));
        group.throughput(Throughput::Elements(at_once));
        group.bench_function("submit of a finished one", |bencher| {
            bencher
                .iter(|| runtime.block_on(join_all((0..at_once).map(|_| sagas.store_finished()))));
        });
        group.bench_function("submit, record, finish", |bencher| {
            bencher.iter(|| runtime.block_on(join_all((0..at_once).map(|_| sagas.drive()))));
        });
        group.finish();
    }
    scripts_flash::bench(criterion, &runtime, &sagas.store, &sagas.tokens);
}

/// What many at once cost Redis, in CPU time of its own.
fn redis_cpu() {
    let redis = Redis::start().unwrap_or_else(|error| panic!("redis-server: {error}"));
    let runtime = Runtime::new().unwrap_or_else(|error| panic!("{error}"));
    let store = runtime.block_on(redis.connect());
    let measured = RedisCpu::of(&redis.server);
    let mut criterion = Criterion::default().with_measurement(measured).configure_from_args();
    scripts_flash::bench_in_full_calls(&mut criterion, &runtime, &store, &Tokens::new("bench"));
}

criterion_group!(benches, scripts);
criterion_main!(benches, redis_cpu);
