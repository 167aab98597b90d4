//! The token of the API: who must bring it, and who sees it.

use std::{fs, process::Command};

use reqwest::{Method, header::AUTHORIZATION};

use super::{Api, saga, waiting};
use crate::support::{
    participant::Participant,
    redis::redis_url,
    server::{Server, client},
};

const TOKEN: &str = "a-token/of+tests==";

/// What all may ask.
const OPEN: [(Method, &str); 4] = [
    (Method::GET, "/api/ping"),
    (Method::GET, "/healthz"),
    (Method::GET, "/readyz"),
    (Method::GET, "/flash"),
];

const GUARDED: [(Method, &str); 31] = [
    (Method::GET, "/api/metrics"),
    (Method::GET, "/api/dtmsvr/version"),
    (Method::GET, "/api/dtmsvr/newGid"),
    (Method::GET, "/api/dtmsvr/query?gid=g"),
    (Method::GET, "/api/dtmsvr/all?gid=g"),
    (Method::GET, "/api/dtmsvr/resetCronTime"),
    (Method::POST, "/api/dtmsvr/prepare"),
    (Method::POST, "/api/dtmsvr/submit"),
    (Method::POST, "/api/dtmsvr/abort"),
    (Method::POST, "/api/dtmsvr/prepareWorkflow"),
    (Method::POST, "/api/dtmsvr/registerBranch"),
    (Method::POST, "/api/dtmsvr/registerTccBranch"),
    (Method::POST, "/api/dtmsvr/registerXaBranch"),
    (Method::POST, "/api/dtmsvr/forceStop"),
    (Method::POST, "/api/dtmsvr/resetNextCronTime"),
    (Method::GET, "/api/dtmsvr/subscribe"),
    (Method::GET, "/api/dtmsvr/unsubscribe"),
    (Method::DELETE, "/api/dtmsvr/topic/{name}"),
    (Method::GET, "/api/dtmsvr/queryKV"),
    (Method::GET, "/api/dtmsvr/scanKV"),
    (Method::POST, "/api/json-rpc"),
    (Method::GET, "/api/flash/sales"),
    (Method::POST, "/api/flash/sales"),
    (Method::GET, "/api/flash/sales/{id}"),
    (Method::PATCH, "/api/flash/sales/{id}"),
    (Method::POST, "/api/flash/sales/{id}/restock"),
    (Method::POST, "/api/flash/sales/{id}/close"),
    (Method::POST, "/api/flash/sales/{id}/reconcile"),
    (Method::POST, "/api/flash/sales/{id}/orders"),
    (Method::GET, "/api/flash/openapi.json"),
    (Method::POST, "/api/flash/stock/{sale}/{item}"),
];

/// The status of an answer, and the challenge that it carries.
async fn ask(
    node: &Server,
    (method, path): &(Method, &str),
    authorization: Option<&str>,
    body: String,
) -> (u16, String) {
    let mut request = client().request(method.clone(), format!("{}{path}", node.base())).body(body);
    if let Some(value) = authorization {
        request = request.header(AUTHORIZATION, value);
    }
    let response = request.send().await.expect("an answer");
    let challenge = response.headers().get("www-authenticate");
    let challenge = challenge.map_or("", |value| value.to_str().expect("text")).to_owned();
    let status = response.status().as_u16();
    let text = response.text().await.expect("a body");
    assert!(!text.contains(TOKEN), "{text}");
    (status, challenge)
}

#[test]
fn every_route_is_known_here() {
    let table = include_str!("../../../src/api/http/mod.rs");
    for (word, known) in [(".route(", &GUARDED[..]), (".open(", &OPEN)] {
        let added = table.lines().filter_map(|line| line.trim_start().strip_prefix(word));
        let paths: Vec<&str> = added.filter_map(|rest| rest.split('"').nth(1)).collect();
        assert_eq!(paths.len(), known.len(), "{paths:?}");
        for path in paths {
            let is_known = known.iter().any(|(_, it)| it.split('?').next() == Some(path));
            assert!(is_known, "{path} is added with {word}");
        }
    }
}

#[tokio::test]
async fn who_brings_no_token_or_another_one_changes_and_sees_nothing() {
    let node = Api::start(&["--api-token", TOKEN]).await;
    let bank = Participant::start().await;
    let body = saga("g", 1, &bank).to_string();
    for route in &GUARDED {
        for (authorization, challenge) in [
            (None, r#"Bearer realm="tandem""#),
            (Some("Basic YTpi"), r#"Bearer realm="tandem""#),
            (Some("Bearer a-token/of+tests="), r#"Bearer realm="tandem", error="invalid_token""#),
        ] {
            let told = ask(&node, route, authorization, body.clone()).await;
            assert_eq!(told, (401, challenge.to_owned()), "{route:?} with {authorization:?}");
        }
    }
    assert_eq!(node.keys(), [""; 0]);
    assert_eq!(
        node.get("/api/metrics").await.json()["message"].as_str(),
        Some("a token is needed: send the header Authorization: Bearer TOKEN (setting api_token)")
    );
    for route in &OPEN {
        assert_eq!(ask(&node, route, None, String::new()).await.0, 200, "{route:?}");
    }
}

#[tokio::test]
async fn who_brings_the_token_is_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    fs::write(&path, format!("{TOKEN}\n")).expect("a file");
    let node = Api::start(&["--api-token-file", path.to_str().expect("text")]).await;
    let bearer = format!("Bearer {TOKEN}");
    let bank = Participant::start().await;
    let body = waiting(saga("g", 1, &bank)).to_string();
    for route in GUARDED.iter().chain(&OPEN) {
        let (status, challenge) = ask(&node, route, Some(&bearer), body.clone()).await;
        assert_ne!(status, 401, "{route:?}");
        assert_eq!(challenge, "", "{route:?}");
    }
    assert_eq!(bank.paths_of("g"), ["/1"]);
}

#[tokio::test]
async fn the_token_is_in_no_log_and_no_help() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command.args(["serve", "--redis-url", redis_url()]).env("TANDEM_API_TOKEN", TOKEN);
    let node = Server::start_with(command, &["--log", "trace"]).await;
    let bearer = format!("Bearer {TOKEN}");
    for route in &OPEN {
        ask(&node, route, Some(&bearer), String::new()).await;
    }
    assert_eq!(ask(&node, &GUARDED[1], Some(&bearer), String::new()).await.0, 200);
    assert_eq!(ask(&node, &GUARDED[1], Some(&bearer[1..]), String::new()).await.0, 401);
    assert!(node.log().contains("the API asks its clients for the token"), "{}", node.log());
    assert!(!node.log().contains(TOKEN), "{}", node.log());

    let help = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["serve", "--help"])
        .env("TANDEM_API_TOKEN", TOKEN)
        .output()
        .expect("a help");
    let help = String::from_utf8(help.stdout).expect("text");
    assert!(help.contains("--api-token <TOKEN>") && !help.contains(TOKEN), "{help}");
}

#[tokio::test]
async fn a_node_without_a_token_says_who_can_ask_it() {
    let warning = r#""level":"WARN""#;
    let told = |log: String| log.lines().find(|line| line.contains("no token")).map(str::to_owned);

    let inside = told(Api::start(&[]).await.log()).expect("a line");
    assert!(inside.contains("for this machine alone") && !inside.contains(warning), "{inside}");
    let outside = told(Api::start(&["--http-addr", "0.0.0.0:0"]).await.log()).expect("a line");
    assert!(outside.contains("for other machines") && outside.contains(warning), "{outside}");
    let flags = ["--http-addr", "0.0.0.0:0", "--api-token", TOKEN];
    assert_eq!(told(Api::start(&flags).await.log()), None);
}
