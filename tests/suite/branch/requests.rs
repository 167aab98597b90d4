//! What reaches a participant.

use http::Method;
use tandem::model::{Op, Outcome};

use super::{Call, Client, participant::Participant, unknown};

#[tokio::test]
async fn a_payload_is_posted_and_no_payload_is_a_get() {
    let participant = Participant::saying(200, "").await;
    let client = Client::new();
    let url = participant.at("/a?x=1");
    assert_eq!(client.call(Call::of(&url).with("{\"n\": 1}")).await, Outcome::Success);
    assert_eq!(client.call(Call { op: Op::Compensate, ..Call::of(&url) }).await, Outcome::Success);
    let [posted, got] = &participant.arrivals()[..] else { panic!("two calls") };
    assert_eq!((&posted.method, &got.method), (&Method::POST, &Method::GET));
    assert_eq!(posted.target, "/a?x=1&branch_id=01&gid=g&op=action&trans_type=saga");
    assert_eq!(got.target, "/a?x=1&branch_id=01&gid=g&op=compensate&trans_type=saga");
    assert_eq!((&posted.body[..], &got.body[..]), (&b"{\"n\": 1}"[..], &b""[..]));
    assert_eq!(posted.headers["content-length"], "8");
    for arrival in [posted, got] {
        assert_eq!(arrival.headers["content-type"], "application/json");
        assert_eq!(arrival.headers["accept"], "application/json");
        assert_eq!(arrival.headers["user-agent"], concat!("tandem/", env!("CARGO_PKG_VERSION")));
        assert_eq!(arrival.headers["host"], participant.authority());
    }
}

#[tokio::test]
async fn the_transactions_headers_replace_ours() {
    let participant = Participant::saying(200, "").await;
    let headers = [
        ("content-type", "text/plain"),
        ("X-Tenant", "blue"),
        ("Content-Length", "1"),
        ("Connection", "close"),
        ("Host", "elsewhere"),
    ];
    let url = participant.at("/a");
    let call = Call::of(&url).with("payload").headed(&headers);
    assert_eq!(Client::new().call(call).await, Outcome::Success);
    let arrival = participant.arrivals().remove(0);
    assert_eq!(arrival.headers["content-type"], "text/plain");
    assert_eq!(arrival.headers["accept"], "application/json");
    assert_eq!(arrival.headers["x-tenant"], "blue");
    assert_eq!(arrival.headers["host"], "elsewhere");
    assert_eq!(arrival.headers["content-length"], "7", "the framing is not theirs to say");
    assert_eq!(arrival.headers.get("connection"), None);
    assert_eq!(arrival.body, "payload");
}

#[tokio::test]
async fn a_gid_of_any_characters_arrives_as_it_was_given() {
    let participant = Participant::saying(200, "").await;
    let client = Client::new();
    let url = participant.at("/a");
    let gids = ["a b", "/&=+%?#", "gid=x&op=y", "é 漢\t\u{1}", "%20", " ", "A-b_c.d~e*'!()"];
    for gid in gids {
        assert_eq!(client.call(Call { gid, ..Call::of(&url) }).await, Outcome::Success, "{gid:?}");
    }
    for (arrival, gid) in participant.arrivals().iter().zip(gids) {
        let query = arrival.target.split_once('?').unwrap().1;
        let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
        let names: Vec<_> = pairs.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["branch_id", "gid", "op", "trans_type"], "of {gid:?}");
        assert_eq!(pairs[1].1, gid);
    }
}

#[tokio::test]
async fn a_large_payload_of_any_bytes_arrives_verbatim() {
    let participant = Participant::saying(200, "").await;
    let payload: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(31) >> 3) as u8).collect();
    let url = participant.at("/a");
    let call = Call::of(&url).with(payload.clone());
    assert_eq!(Client::new().call(call).await, Outcome::Success);
    let arrivals = participant.arrivals();
    assert!(arrivals[0].body == payload, "{} bytes arrived", arrivals[0].body.len());
}

#[tokio::test]
async fn what_cannot_be_sent_is_told_and_not_called() {
    let participant = Participant::saying(200, "").await;
    let client = Client::new();
    for url in ["h/a", "ftp://h/a", "http://", "http://h h/", "topic://orders", "http://h:x/"] {
        let told = unknown(client.get(url).await);
        assert!(told.contains("URL"), "{told} of {url}");
    }
    let url = participant.at("/a");
    let call = Call::of(&url).with("secret-1").headed(&[("X-A", "secret-2\r\nX-B: x")]);
    let told = unknown(client.call(call).await);
    assert!(told.contains("`X-A`") && !told.contains("secret"), "{told}");
    assert_eq!(participant.connections(), 0);
}
