//! Limits per host, and connections that are used again.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tandem::{
    branch::{Caller, CallerError, CallerSettings, HttpCaller},
    model::{Outcome, Protocol},
    telemetry::metrics::Metrics,
};
use tokio::sync::{Barrier, Semaphore};

use super::{
    Call, Client,
    participant::{Participant, reply},
};

/// A participant that answers when it is told to, and tells of each call that reached it.
struct Held {
    participant: Participant,
    arrived: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

impl Held {
    async fn start() -> Self {
        let (arrived, answers) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (tell, wait) = (Arc::clone(&arrived), Arc::clone(&answers));
        let participant = Participant::answering(move |_| {
            let (tell, wait) = (Arc::clone(&tell), Arc::clone(&wait));
            async move {
                tell.add_permits(1);
                wait.acquire().await.unwrap().forget();
                reply(200, "")
            }
        });
        Self { participant: participant.await, arrived, answers }
    }

    async fn arrived(&self, calls: u32) {
        self.arrived.acquire_many(calls).await.unwrap().forget();
    }
}

#[tokio::test]
async fn a_host_that_is_slow_delays_no_other() {
    let slow = Held::start().await;
    let quick = Participant::saying(200, "").await;
    let client = Client::limited(2);
    let (slow_url, quick_url) = (slow.participant.at("/a"), quick.at("/a"));
    let four = join_all((0..4).map(|_| client.get(&slow_url)));
    let meanwhile = async {
        slow.arrived(2).await;
        assert_eq!(client.metric("tandem_branch_calls_in_flight"), 2.0);
        assert_eq!(client.metric("tandem_branch_calls_waiting"), 2.0);
        assert_eq!(client.get(&slow_url).await, Outcome::Busy, "at once");
        for _ in 0..5 {
            assert_eq!(client.get(&quick_url).await, Outcome::Success);
        }
        assert_eq!(slow.participant.arrivals().len(), 2);
        slow.answers.add_permits(4);
    };
    let (outcomes, ()) = tokio::join!(four, meanwhile);
    assert_eq!(outcomes, [const { Outcome::Success }; 4]);
    assert_eq!(slow.participant.arrivals().len(), 4);
    assert_eq!(client.metric("tandem_branch_calls_in_flight"), 0.0);
    assert_eq!(client.metric("tandem_branch_calls_waiting"), 0.0);
    let busy = "tandem_branch_calls_total{op=\"action\",outcome=\"busy\"}";
    assert_eq!(client.metric(busy), 1.0);
}

#[tokio::test]
async fn a_call_whose_turn_does_not_come_in_time_was_not_made() {
    let slow = Held::start().await;
    let client = Client::limited(1);
    let url = slow.participant.at("/a");
    let meanwhile = async {
        slow.arrived(1).await;
        let call = Call { timeout: Duration::from_millis(30), ..Call::of(&url) };
        assert_eq!(client.call(call).await, Outcome::Busy);
        slow.answers.add_permits(1);
    };
    assert_eq!(tokio::join!(client.get(&url), meanwhile).0, Outcome::Success);
    assert_eq!(slow.participant.arrivals().len(), 1);
}

#[tokio::test]
async fn a_call_that_waited_for_its_turn_has_its_whole_time() {
    let slow = Held::start().await;
    let client = Client::limited(1);
    let url = slow.participant.at("/a");
    let timeout = Duration::from_secs(2);
    let most_of_it = Duration::from_millis(1_300);
    let meanwhile = async {
        slow.arrived(1).await;
        let call = Call { timeout, ..Call::of(&url) };
        let time_passes = async {
            tokio::time::sleep(most_of_it).await;
            slow.answers.add_permits(1);
            slow.arrived(1).await;
            tokio::time::sleep(most_of_it).await;
            slow.answers.add_permits(1);
        };
        assert_eq!(tokio::join!(client.call(call), time_passes).0, Outcome::Success);
    };
    assert_eq!(tokio::join!(client.get(&url), meanwhile).0, Outcome::Success);
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_its_place() {
    let slow = Held::start().await;
    let client = Client::limited(1);
    let url = slow.participant.at("/a");
    tokio::select! {
        outcome = client.get(&url) => panic!("{outcome:?} of a call that waits"),
        () = slow.arrived(1) => {}
    }
    assert_eq!(client.metric("tandem_branch_calls_in_flight"), 0.0);
    slow.answers.add_permits(2);
    assert_eq!(client.get(&url).await, Outcome::Success);
}

#[tokio::test]
async fn connections_are_used_again() {
    let participant = Participant::saying(200, "done").await;
    let client = Client::new();
    let url = participant.at("/a");
    for n in 0..100_u8 {
        let call = if n % 2 == 0 { Call::of(&url) } else { Call::of(&url).with("payload") };
        assert_eq!(client.call(call).await, Outcome::Success);
    }
    assert_eq!(participant.arrivals().len(), 100);
    assert_eq!(participant.connections(), 1);
}

#[tokio::test]
async fn after_a_burst_all_its_connections_are_kept() {
    const BURST: usize = 32;
    // Each call of a burst is answered when all of it arrived, so each has a connection.
    let all_here = Arc::new(Barrier::new(BURST));
    let participant = Participant::answering(move |_| {
        let all_here = Arc::clone(&all_here);
        async move {
            all_here.wait().await;
            reply(200, "done")
        }
    })
    .await;
    let client = Client::limited(BURST);
    let url = participant.at("/a");
    for _ in 0..8 {
        let outcomes = join_all((0..BURST).map(|_| client.get(&url))).await;
        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Success));
    }
    assert_eq!(participant.connections(), BURST);
}

#[tokio::test]
async fn a_participant_that_closes_its_connections_can_be_called_again() {
    let participant = Participant::answering(|_| async {
        let mut reply = reply(200, "");
        reply.headers_mut().insert("connection", "close".parse().unwrap());
        reply
    })
    .await;
    let client = Client::new();
    for _ in 0..10 {
        assert_eq!(client.get(&participant.at("/a")).await, Outcome::Success);
    }
    assert_eq!(participant.connections(), 10);
}

#[test]
fn a_caller_says_which_urls_it_can_call() {
    let client = Client::new();
    let check = |url, protocol| client.caller.check_url(url, protocol);
    assert_eq!(check("", Protocol::Http), Ok(()), "no call at all");
    assert_eq!(check("http://h:81/a?x=1", Protocol::Http), Ok(()));
    assert_eq!(check("https://h", Protocol::Grpc), Ok(()));
    for (url, protocol, reason) in [
        ("/a", Protocol::Http, "no host"),
        ("h:81/a", Protocol::Http, "no scheme"),
        ("topic://orders", Protocol::Http, "topic not found"),
        ("h:81/pkg.Service/Method", Protocol::Grpc, "not served yet"),
    ] {
        let told = check(url, protocol).unwrap_err();
        assert!(told.contains(reason), "{told} of {url}");
    }
}

#[test]
fn a_limit_that_lets_no_call_through_is_refused() {
    let refused = HttpCaller::new(
        CallerSettings { calls_per_host: 0, ..CallerSettings::default() },
        Metrics::new().unwrap(),
    );
    assert!(matches!(refused, Err(CallerError::NoCalls)));
}
