//! A worker that is told to stop while a branch call is under way.

use std::{sync::Arc, time::Duration};

use tandem::{
    branch::Caller,
    clock::Clock,
    cores::Cores,
    model::{BranchCall, Mode, Outcome, Protocol, Status, Timestamp, Tokens},
    store::Store,
    telemetry::metrics::Metrics,
    worker::{Worker, WorkerSettings},
};
use tokio::sync::Notify;

use crate::support::{
    model_store::ModelStore,
    samples::{prepare, spec},
    time::ManualTime,
};

/// Every call waits until it is let go, and is then refused.
#[derive(Default)]
struct Refusal {
    begun: Notify,
    goes: Notify,
}

impl Caller for Refusal {
    async fn call(&self, _call: &BranchCall<'_>) -> Outcome {
        self.begun.notify_one();
        self.goes.notified().await;
        Outcome::Failure("the local work was not done".to_owned())
    }

    fn check_url(&self, _url: &str, _protocol: Protocol) -> Result<(), String> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_ends_while_the_node_stops_has_ended_and_is_not_handed_back() {
    let time = Arc::new(ManualTime::starting_at(Timestamp::from_us(1_800_000_000_000_000)));
    let store = Arc::new(ModelStore::new(Arc::clone(&time), 1));
    let message = spec("g", Mode::Message, 1);
    let gid = message.gid.clone();
    let stored = store.prepare(prepare(message, Tokens::new("client").next())).await;
    assert!(stored.is_ok());
    let caller = Arc::new(Refusal::default());
    let worker = Worker::new(
        Arc::clone(&store),
        Arc::clone(&caller),
        Arc::clone(&time),
        Metrics::new().unwrap(),
        "node",
        WorkerSettings::default(),
    );
    worker.start(Cores::here());
    caller.begun.notified().await;

    let drained = tokio::join!(worker.drain(Duration::from_secs(5)), async {
        time.sleep(Duration::from_millis(100)).await;
        caller.goes.notify_one();
    });

    assert!(drained.0, "something was left");
    assert_eq!(store.entry(&gid).unwrap().state.status, Status::Failed);
    assert_eq!(store.due().get(&gid), None);
}
