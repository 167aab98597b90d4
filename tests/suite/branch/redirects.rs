//! Redirects, as participants behind gateways send them.

use std::sync::Arc;

use http::Method;
use tandem::model::Outcome;
use tokio::sync::Semaphore;

use super::{
    Call, Client,
    participant::{Participant, redirect, reply},
    unknown,
};

const NAMED: &str = "branch_id=01&gid=g&op=action&trans_type=saga";

/// Redirects `/from` with `status` to `location`; anything else is done.
async fn redirecting(status: u16, location: &str) -> Participant {
    let location: Arc<str> = location.into();
    Participant::answering(move |arrival| {
        let location = Arc::clone(&location);
        async move {
            let is_from = arrival.target.starts_with("/from");
            if is_from { redirect(status, &location) } else { reply(200, "") }
        }
    })
    .await
}

#[tokio::test]
async fn a_302_becomes_a_get_and_a_307_is_the_same_call_again() {
    for (status, method, body) in [
        (301, Method::GET, ""),
        (302, Method::GET, ""),
        (303, Method::GET, ""),
        (307, Method::POST, "payload"),
        (308, Method::POST, "payload"),
    ] {
        let participant = redirecting(status, "/to?y=2").await;
        let url = participant.at("/from");
        let outcome = Client::new().call(Call::of(&url).with("payload")).await;
        assert_eq!(outcome, Outcome::Success, "of {status}");
        let [first, second] = &participant.arrivals()[..] else { panic!("two hops") };
        assert_eq!(first.target, format!("/from?{NAMED}"));
        assert_eq!(second.target, "/to?y=2", "the place as it was named");
        assert_eq!((&second.method, &second.body[..]), (&method, body.as_bytes()), "of {status}");
        assert_eq!(participant.connections(), 1);
    }
}

#[tokio::test]
async fn credentials_are_not_taken_along_to_another_host() {
    let other = Participant::saying(409, "Insufficient balance").await;
    let participant = redirecting(307, &other.at("/to")).await;
    let url = participant.at("/from").replace("http://", "http://user:word@");
    let headers = [("Cookie", "c"), ("X-Tenant", "blue"), ("Host", "alias")];
    let outcome = Client::new().call(Call::of(&url).with("payload").headed(&headers)).await;
    let Outcome::Failure(reason) = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("Insufficient balance") && !reason.contains("/to"), "{reason}");
    let (here, there) = (participant.arrivals().remove(0), other.arrivals().remove(0));
    assert_eq!(here.headers["authorization"], "Basic dXNlcjp3b3Jk");
    assert_eq!(here.headers["cookie"], "c");
    assert_eq!(here.headers["host"], "alias");
    assert_eq!(there.headers.get("authorization"), None);
    assert_eq!(there.headers.get("cookie"), None);
    assert_eq!(there.headers["host"], other.authority());
    assert_eq!(there.headers["x-tenant"], "blue");
    assert_eq!(there.body, "payload");
}

#[tokio::test]
async fn endless_redirects_end() {
    let participant = redirecting(307, "/from").await;
    let told = unknown(Client::new().get(&participant.at("/from")).await);
    assert!(told.contains("more than 10 times"), "{told}");
    assert_eq!(participant.arrivals().len(), 11);
}

#[tokio::test]
async fn a_place_that_is_no_http_is_not_followed() {
    for location in ["file:///etc/passwd", "ftp://h/a", "http://"] {
        let participant = redirecting(302, location).await;
        let told = unknown(Client::new().get(&participant.at("/from")).await);
        assert!(told.contains("redirected"), "{told} to {location}");
    }
}

#[tokio::test]
async fn hosts_that_redirect_to_each_other_do_not_wait_for_each_other() {
    // Both first hops arrive before either is answered, with room for one call per host.
    let both_here = Arc::new(tokio::sync::Barrier::new(2));
    let there: Arc<[std::sync::OnceLock<String>; 2]> = Arc::default();
    let mut participants = Vec::new();
    for n in 0..2 {
        let (both_here, there) = (Arc::clone(&both_here), Arc::clone(&there));
        let participant = Participant::answering(move |arrival| {
            let (both_here, there) = (Arc::clone(&both_here), Arc::clone(&there));
            async move {
                if !arrival.target.starts_with("/from") {
                    return reply(200, "");
                }
                both_here.wait().await;
                redirect(307, there[n].get().unwrap())
            }
        });
        participants.push(participant.await);
    }
    there[0].set(participants[1].at("/to")).unwrap();
    there[1].set(participants[0].at("/to")).unwrap();
    let client = Client::limited(1);
    let urls = [participants[0].at("/from"), participants[1].at("/from")];
    let outcomes = tokio::join!(client.get(&urls[0]), client.get(&urls[1]));
    assert_eq!(outcomes, (Outcome::Success, Outcome::Success));
}

#[tokio::test]
async fn a_redirect_to_a_host_without_room_was_called_all_the_same() {
    let gate = Arc::new(Semaphore::new(0));
    let (entered, inside) = (Arc::new(Semaphore::new(0)), Arc::clone(&gate));
    let enter = Arc::clone(&entered);
    let full = Participant::answering(move |_| {
        let (enter, inside) = (Arc::clone(&enter), Arc::clone(&inside));
        async move {
            enter.add_permits(1);
            inside.acquire().await.unwrap().forget();
            reply(200, "")
        }
    })
    .await;
    let participant = redirecting(307, &full.at("/to")).await;
    let client = Client::limited(1);
    let (held, waits, url) = (full.at("/held"), full.at("/waits"), participant.at("/from"));
    let holders = async { tokio::join!(client.get(&held), client.get(&waits)) };
    let redirected = async {
        entered.acquire().await.unwrap().forget();
        let outcome = client.get(&url).await;
        gate.add_permits(2);
        outcome
    };
    let (holders, redirected) = tokio::join!(holders, redirected);
    let told = unknown(redirected);
    assert!(told.contains("no room"), "{told}");
    assert_eq!(holders, (Outcome::Success, Outcome::Success));
}
