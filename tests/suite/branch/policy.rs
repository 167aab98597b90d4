//! Where a call may go: what is denied is not even dialled.

use tandem::{
    branch::{CallPolicy, Caller as _, CallerSettings, HostRules},
    model::{Outcome, Protocol},
};

use super::{
    Client,
    participant::{Participant, redirect},
    unknown,
};

/// A caller with these rules.
fn ruled(allow: &str, deny: &str) -> Client {
    let rules = |text| HostRules::parse(text).expect("rules");
    let policy = CallPolicy { allow: rules(allow), deny: rules(deny) };
    Client::set(CallerSettings { policy, ..CallerSettings::default() })
}

/// The URL of `/a` there, by the machine's name for itself instead of its address.
fn by_name(participant: &Participant) -> String {
    participant.at("/a").replace("127.0.0.1", "localhost")
}

#[tokio::test]
async fn a_host_that_is_denied_by_name_or_address_is_not_called() {
    let participant = Participant::saying(200, "").await;
    let (by_address, by_name) = (participant.at("/a"), by_name(&participant));
    for (client, url) in [
        (ruled("", "127.0.0.0/8"), &by_address),
        (ruled("", "LOCALHOST"), &by_name),
        (ruled("bank.example", ""), &by_name),
        (ruled("localhost", ""), &by_address),
        (ruled("localhost 127.0.0.1", "127.0.0.1 localhost"), &by_name),
    ] {
        let told = unknown(client.get(url).await);
        assert!(told.contains("may not be called") && told.contains("calls_"), "{told}");
        let refused = client.caller.check_url(url, Protocol::Http).unwrap_err();
        assert_eq!(refused, told, "it is refused with the same words");
    }
    assert_eq!(participant.connections(), 0);
}

#[tokio::test]
async fn a_name_that_passes_is_judged_by_what_it_stands_for_when_it_is_dialled() {
    let participant = Participant::saying(200, "").await;
    let url = by_name(&participant);
    for client in [ruled("", "127.0.0.0/8 ::1"), ruled("10.0.0.0/8", "")] {
        assert_eq!(client.caller.check_url(&url, Protocol::Http), Ok(()));
        let told = unknown(client.get(&url).await);
        assert!(told.contains("the host `localhost` may not be called: its address "), "{told}");
    }
    assert_eq!(participant.connections(), 0);
    for client in [ruled("127.0.0.0/8", ""), ruled("localhost", "10.0.0.0/8"), ruled("", "::1")] {
        assert_eq!(client.get(&url).await, Outcome::Success);
    }
}

#[tokio::test]
async fn numbers_that_the_system_takes_for_an_address_are_judged_as_one() {
    let participant = Participant::saying(200, "").await;
    let denying = ruled("", "127.0.0.0/8");
    for host in ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]"]
    {
        let url = participant.at("/a").replace("127.0.0.1", host);
        let told = unknown(denying.get(&url).await);
        assert!(told.contains("is among calls_deny"), "{host}: {told}");
    }
    assert_eq!(participant.connections(), 0);
}

#[tokio::test]
async fn a_redirect_to_what_is_denied_is_not_followed() {
    let inside = Participant::saying(200, "").await;
    let to = by_name(&inside);
    let participant = Participant::answering(move |_| {
        let to = to.clone();
        async move { redirect(307, &to) }
    })
    .await;
    let told = unknown(ruled("", "localhost").get(&participant.at("/from")).await);
    assert!(told.contains("the host `localhost` may not be called"), "{told}");
    assert_eq!((participant.connections(), inside.connections()), (1, 0));
    let outcome = ruled("127.0.0.1", "").get(&participant.at("/from")).await;
    assert_eq!(outcome, Outcome::Success, "its address is allowed");

    let to_cloud =
        Participant::answering(async |_| redirect(302, "http://169.254.169.254/latest/"));
    let told = unknown(Client::new().get(&to_cloud.await.at("/from")).await);
    assert!(told.contains("it is link-local"), "{told}");
}

#[tokio::test]
async fn link_local_addresses_are_not_called_unless_somebody_says_so() {
    for url in [
        "http://169.254.169.254/latest/meta-data",
        "https://169.254.1.1:81/",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
    ] {
        let client = Client::new();
        let told = unknown(client.get(url).await);
        assert!(told.contains("it is link-local"), "{url}: {told}");
        assert_eq!(client.caller.check_url(url, Protocol::Http), Err(told));
        let allowing = ruled("169.254.0.0/16 fe80::/10", "");
        assert_eq!(allowing.caller.check_url(url, Protocol::Http), Ok(()));
    }
}
