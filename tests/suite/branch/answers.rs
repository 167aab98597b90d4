//! What a participant's answer, or the lack of one, means.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tandem::model::{LAST_ERROR_BYTES_MAX, Outcome};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpSocket, TcpStream},
};

use super::{
    Call, Client, PATIENT,
    participant::{Participant, answer_by_hand, bare, reply},
    unknown,
};

/// Answers the next call with `answer`; from then on, time passes as soon as nothing else happens.
async fn answer_and_let_time_pass(listener: &TcpListener, answer: &str) -> TcpStream {
    let stream = answer_by_hand(listener, answer.as_bytes()).await;
    tokio::time::pause();
    stream
}

#[tokio::test]
async fn statuses_and_words_are_read_in_the_protocols_order() {
    let refused = |url: &str, body: &str| {
        Outcome::Failure(format!("url:{url} return failed: {body} FAILURE"))
    };
    let client = Client::new();
    for (status, body, expected) in [
        (200, "{\"dtm_result\":\"SUCCESS\"}", Some(Outcome::Success)),
        (200, "not JSON", Some(Outcome::Success)),
        (425, "", Some(Outcome::Ongoing)),
        (200, "ONGOING", Some(Outcome::Ongoing)),
        (409, "FAILURE ONGOING", Some(Outcome::Ongoing)),
        (409, "Insufficient balance", None),
        (500, "{\"dtm_result\":\"FAILURE\"}", None),
    ] {
        let participant = Participant::saying(status, body).await;
        let url = participant.at("/a?x=1");
        let expected = expected.unwrap_or_else(|| refused(&url, body));
        assert_eq!(client.get(&url).await, expected, "of {status} {body}");
    }
    for status in [201, 204, 302, 400, 404, 500, 503] {
        let participant = Participant::saying(status, "secret").await;
        let told = unknown(client.get(&participant.at("/a")).await);
        assert!(told.contains(&status.to_string()) && !told.contains("secret"), "{told}");
    }
    let counted = |outcome: &str| {
        let labels = format!("{{op=\"action\",outcome=\"{outcome}\"}}");
        client.metric(&format!("tandem_branch_calls_total{labels}"))
    };
    assert_eq!(
        ["success", "failure", "ongoing", "unknown", "busy"].map(counted),
        [2.0, 2.0, 3.0, 7.0, 0.0]
    );
}

#[tokio::test]
async fn a_word_counts_wherever_it_stands_in_a_body_that_comes_in_pieces() {
    let participant = Participant::answering(|_| async {
        let filler = Bytes::from(vec![b'x'; 64 * 1024]);
        let mut pieces = vec![filler; 20];
        pieces.extend([Bytes::from("FAIL"), Bytes::from("URE")]);
        let pieces = pieces.into_iter().map(Ok::<_, std::io::Error>);
        reply(200, Body::from_stream(stream::iter(pieces)))
    })
    .await;
    let outcome = Client::new().get(&participant.at("/a")).await;
    let Outcome::Failure(reason) = outcome else { panic!("{outcome:?}") };
    assert!(reason.ends_with("xxx FAILURE") && reason.len() <= 1_023, "{reason}");
}

#[tokio::test]
async fn silence_ends_with_the_calls_timeout_and_gives_all_back() {
    let (listener, url) = bare().await;
    let client = Client::limited(1);
    let call = client.call(Call::of(&url).with("secret"));
    let (outcome, mut stream) = tokio::join!(call, answer_and_let_time_pass(&listener, ""));
    let told = unknown(outcome);
    assert!(told.contains("no answer within 20s"), "{told}");
    tokio::time::resume();
    // Its connection is closed: the participant may notice that nobody waits for the answer.
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(PATIENT, stream.read_to_end(&mut rest)).await.unwrap();
    assert!(closed.is_ok() && rest == b"secret");
    assert_eq!(client.metric("tandem_branch_calls_in_flight"), 0.0);
    let again = client.get(&url);
    let answer = answer_by_hand(&listener, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(tokio::join!(again, answer).0, Outcome::Success, "its place is free");
}

#[tokio::test]
async fn a_body_that_does_not_end_in_time_is_no_answer() {
    for head in ["content-length: 9", "transfer-encoding: chunked"] {
        let (listener, url) = bare().await;
        let client = Client::new();
        let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n");
        let (outcome, _open) =
            tokio::join!(client.get(&url), answer_and_let_time_pass(&listener, &answer));
        assert!(unknown(outcome).contains("no answer within"), "of {head}");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_broken_answer_is_not_taken_for_done() {
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nSUCC",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nSUCC\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
    ] {
        let (listener, url) = bare().await;
        let client = Client::new();
        let hang_up = async { drop(answer_by_hand(&listener, answer.as_bytes()).await) };
        let told = unknown(tokio::join!(client.get(&url), hang_up).0);
        assert!(!told.is_empty() && told.len() <= LAST_ERROR_BYTES_MAX, "{told} of {answer:?}");
        assert_eq!(client.metric("tandem_branch_calls_in_flight"), 0.0);
    }
}

#[tokio::test]
async fn who_cannot_be_reached_is_told_without_the_payload() {
    // Bound, so that nobody else gets the port, but nobody listens.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/a", socket.local_addr().unwrap());
    let client = Client::new();
    let told = unknown(client.call(Call::of(&url).with("secret")).await);
    assert!(told.to_lowercase().contains("refused") && !told.contains("secret"), "{told}");
    let timeout = Duration::from_secs(1);
    let no_such_host = Call { timeout, ..Call::of("http://no-such-host.invalid/a") };
    let told = unknown(client.call(no_such_host.with("secret")).await);
    assert!(!told.is_empty() && !told.contains("secret"), "{told}");
}

#[tokio::test]
async fn who_speaks_no_tls_cannot_be_called_by_https() {
    let participant = Participant::saying(200, "").await;
    let url = participant.at("/a").replace("http://", "https://");
    assert!(!unknown(Client::new().get(&url).await).is_empty());
    assert!(participant.arrivals().is_empty());
}
