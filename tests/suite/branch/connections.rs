//! Connections: who reads them, when they are used again, and when they are closed.

use std::time::Duration;

use futures_util::{FutureExt, future::join_all};
use tandem::model::Outcome;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    time::Instant,
};

use super::{
    Call, Client, PATIENT,
    participant::{Participant, answer_by_hand, answer_on, bare},
    unknown,
};

const DONE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Makes a call to `url` whose connection the participant keeps open.
async fn call_on_a_new_connection(client: &Client, listener: &TcpListener, url: &str) -> TcpStream {
    let (outcome, stream) = tokio::join!(client.get(url), answer_by_hand(listener, DONE));
    assert_eq!(outcome, Outcome::Success);
    stream
}

/// Waits for a byte that is sent now, so that all that was sent before has come too.
async fn let_the_news_arrive() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut here = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut there, _) = listener.accept().await.unwrap();
    let (received, sent) = tokio::join!(here.read_u8(), async {
        tokio::task::yield_now().await;
        there.write_u8(1).await
    });
    assert!(received.is_ok() && sent.is_ok());
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_not_noticed_by_the_caller() {
    let (listener, url) = bare().await;
    let client = Client::new();
    for parting in ["", "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"] {
        let mut stream = call_on_a_new_connection(&client, &listener, &url).await;
        stream.write_all(parting.as_bytes()).await.unwrap();
        drop(stream);
        let_the_news_arrive().await;
        let again = client.call(Call::of(&url).with("payload"));
        let (outcome, second) = tokio::join!(again, answer_by_hand(&listener, DONE));
        assert_eq!(outcome, Outcome::Success, "after {parting:?}");
        drop(second);
        let_the_news_arrive().await;
    }
}

#[tokio::test]
async fn a_call_that_a_used_connection_took_with_it_is_not_made_again() {
    let (listener, url) = bare().await;
    let client = Client::new();
    let mut stream = call_on_a_new_connection(&client, &listener, &url).await;
    let take_it_along = async {
        answer_on(&mut stream, b"").await;
        drop(stream);
    };
    let told = unknown(tokio::join!(client.get(&url), take_it_along).0);
    assert!(told.contains("connection closed"), "{told}");
    let_the_news_arrive().await;
    assert!(listener.accept().now_or_never().is_none(), "it was sent a second time");
    let _stream = call_on_a_new_connection(&client, &listener, &url).await;
}

#[tokio::test]
async fn a_connection_needs_no_task() {
    let (listener, url) = bare().await;
    let client = Client::new();
    let answers = async {
        let mut streams = Vec::new();
        for _ in 0..8 {
            streams.push(answer_by_hand(&listener, b"").await);
        }
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 0, "while they are busy");
        for stream in &mut streams {
            stream.write_all(DONE).await.unwrap();
        }
        streams
    };
    let (outcomes, _open) = tokio::join!(join_all((0..8).map(|_| client.get(&url))), answers);
    assert_eq!(outcomes, [const { Outcome::Success }; 8]);
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 1, "who closes idle connections");
}

#[tokio::test]
async fn idle_connections_are_closed_in_seconds() {
    let (listener, url) = bare().await;
    let client = Client::new();
    // Twice, since the one that closes them ends when there are none.
    for _ in 0..2 {
        let mut stream = call_on_a_new_connection(&client, &listener, &url).await;
        let since = Instant::now();
        tokio::time::pause();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        let idle = since.elapsed();
        tokio::time::resume();
        assert!(rest.is_empty());
        assert!(idle >= Duration::from_secs(4) && idle < Duration::from_secs(10), "{idle:?}");
        let_the_news_arrive().await;
    }
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test]
async fn a_connection_is_closed_with_its_caller() {
    let (listener, url) = bare().await;
    let client = Client::new();
    let mut stream = call_on_a_new_connection(&client, &listener, &url).await;
    drop(client);
    let closed = tokio::time::timeout(PATIENT, stream.read_u8()).await.unwrap();
    assert!(closed.is_err());
}

#[tokio::test]
async fn an_answer_to_half_a_payload_is_an_answer() {
    let (listener, url) = bare().await;
    let client = Client::new();
    let too_large = b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 3\r\n\r\nno!";
    let call = Call::of(&url).with(vec![b'x'; 30_000_000]);
    let (outcome, _open) = tokio::join!(client.call(call), answer_by_hand(&listener, too_large));
    let told = unknown(outcome);
    assert!(told.contains("413"), "{told}");
    // The rest of the payload is not sent, so that connection is of no more use.
    let _stream = call_on_a_new_connection(&client, &listener, &url).await;
}

#[tokio::test]
async fn answers_of_every_framing_are_read_to_their_end() {
    for (answer, is_reused) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nFAILURE", true),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nFAIL\r\n3\r\nURE\r\n0\r\n\r\n",
            true,
        ),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 409 Conflict\r\ncontent-length: 0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 7\r\n\r\nFAILURE", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nFAILURE and more", false),
        ("HTTP/1.1 200 OK\r\n\r\nFAILURE", false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 7\r\n\r\nFAILURE", false),
        ("HTTP/1.0 200 OK\r\n\r\nFAILURE", false),
    ] {
        let (listener, url) = bare().await;
        let client = Client::new();
        let first = async {
            let mut stream = answer_by_hand(&listener, answer.as_bytes()).await;
            if !is_reused {
                stream.shutdown().await.unwrap();
            }
            stream
        };
        let (outcome, mut stream) = tokio::join!(client.get(&url), first);
        assert!(matches!(outcome, Outcome::Failure(_)), "{outcome:?} of {answer}");
        if is_reused {
            let outcome = tokio::join!(client.get(&url), answer_on(&mut stream, DONE)).0;
            assert_eq!(outcome, Outcome::Success, "after {answer}");
        } else {
            let _stream = call_on_a_new_connection(&client, &listener, &url).await;
        }
    }
}

#[tokio::test]
async fn hundreds_of_calls_of_one_task_all_end() {
    // Far more than one task may do before it must let others run.
    let participant = Participant::saying(200, "done").await;
    let client = Client::new();
    let url = participant.at("/a");
    for _ in 0..3 {
        let outcomes = join_all((0..250).map(|_| client.get(&url))).await;
        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Success), "{outcomes:?}");
    }
    assert!(participant.connections() <= 250, "{}", participant.connections());
}
