//! The document of the routes: it has them all, and what is sent and answered is as it says.

mod schema;

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use self::schema::{at, check};
use super::shop::{Shop, payment, shoes};
use crate::support::{
    participant::{Answer, Participant},
    redis::fresh_name,
    server::Reply,
};

/// The document that a node serves.
async fn document(shop: &Shop) -> Value {
    let reply = shop.get("/api/flash/openapi.json").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.header("content-type").starts_with("application/json"), "{reply:?}");
    reply.json()
}

/// What the document says of `route`'s answer with `status`.
fn response<'a>(document: &'a Value, (method, path): (&str, &str), status: u16) -> &'a Value {
    let response = &document["paths"][path][method]["responses"][status.to_string()];
    assert!(!response.is_null(), "{method} {path} says nothing of {status}");
    response["$ref"].as_str().map_or(response, |reference| at(document, reference))
}

/// Each operation as its method, its path and what is said of it.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().expect("paths").iter();
    paths.flat_map(|(path, operations)| {
        let operations = operations.as_object().expect("operations").iter();
        operations.map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
    })
}

/// The examples of a body: `example`, or the values of `examples`.
fn examples(content: &Value) -> impl Iterator<Item = &Value> {
    let many = content["examples"].as_object().into_iter().flat_map(|all| all.values());
    content.get("example").into_iter().chain(many.map(|it| &it["value"]))
}

/// Sends `body`, and checks the answer; and the body, unless it is refused as wrong.
async fn ask(
    shop: &Shop,
    document: &Value,
    route: (&str, &str),
    path: &str,
    body: Value,
    status: u16,
) -> Reply {
    let method = Method::from_bytes(route.0.to_uppercase().as_bytes()).expect("a method");
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let reply = shop.send(method, path, "application/json", text).await;
    assert_eq!(reply.status, status, "{route:?}: {reply:?}");
    let told = response(document, route, status);
    for (name, header) in told["headers"].as_object().into_iter().flatten() {
        assert_eq!(header["required"], json!(true), "{route:?} {status}");
        assert_ne!(reply.header(name), "", "{route:?}: no {name} in {reply:?}");
    }
    check(document, &told["content"]["application/json"]["schema"], &reply.json(), "reply")
        .unwrap_or_else(|told| panic!("{route:?} {told}"));
    let asked = &document["paths"][route.1][route.0]["requestBody"]["content"];
    let asked = &asked["application/json"]["schema"];
    if !asked.is_null() {
        let checked = check(document, asked, &body, "request");
        assert_eq!(checked.is_ok(), status != 400, "{route:?}: {checked:?}");
    }
    reply
}

const SALES: &str = "/api/flash/sales";
const SALE: &str = "/api/flash/sales/{id}";
const RESTOCK: &str = "/api/flash/sales/{id}/restock";
const CLOSE: &str = "/api/flash/sales/{id}/close";
const RECONCILE: &str = "/api/flash/sales/{id}/reconcile";
const ORDERS: &str = "/api/flash/sales/{id}/orders";
const STOCK: &str = "/api/flash/stock/{sale}/{item}";

#[tokio::test(flavor = "multi_thread")]
async fn it_has_every_route_and_no_other() {
    let shop = Shop::start(&[]).await;
    let document = document(&shop).await;
    let table = include_str!("../../../../src/api/http/mod.rs");
    let mut routes: Vec<(String, String)> = table
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix('.'))
        .filter_map(|line| line.strip_prefix("route(").or_else(|| line.strip_prefix("open(")))
        .filter_map(|rest| {
            let (method, rest) = rest.split_once(", \"")?;
            Some((method.to_lowercase(), rest.split('"').next()?.to_owned()))
        })
        .filter(|(_, path)| path.starts_with("/api/flash/") || path == "/flash")
        .collect();
    let mut known: Vec<_> = operations(&document)
        .map(|(method, path, _)| (method.to_owned(), path.to_owned()))
        .collect();
    routes.sort();
    known.sort();
    assert_eq!(known, routes);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reference_leads_somewhere_and_every_part_is_used() {
    fn references(value: &Value, found: &mut Vec<String>) {
        found.extend(value.get("$ref").and_then(Value::as_str).map(str::to_owned));
        let fields = value.as_object().into_iter().flat_map(|fields| fields.values());
        let entries = value.as_array().into_iter().flatten();
        fields.chain(entries).for_each(|value| references(value, found));
    }
    let shop = Shop::start(&[]).await;
    let document = document(&shop).await;
    let mut found = Vec::new();
    references(&document, &mut found);
    for reference in &found {
        at(&document, reference);
    }
    for kind in ["schemas", "responses"] {
        for name in document["components"][kind].as_object().expect("parts").keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(found.contains(&reference), "{reference} is not used");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_and_answered_is_as_it_says() {
    let (shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    let doc = &document(&shop).await;
    let new = json!({
        "request_id": "r1",
        "id": "s",
        "items": [{"id": "shoe", "stock": 3, "limit": 2}, {"id": "hat", "stock": 1}],
        "limit": null,
        "opens_at": "2026-01-01T10:00:00+01:00",
        "closes_at": "2200-01-01T10:00:00Z",
        "hold_seconds": 60,
        "steps": payment(&bank),
        "buckets": 1,
        "orders_in_work_max": 1,
    });
    let create = ("post", SALES);
    ask(&shop, doc, create, SALES, new.clone(), 200).await;
    ask(&shop, doc, create, SALES, json!({"id": "s"}), 400).await;
    let mut other = new.clone();
    other["request_id"] = json!("r2");
    ask(&shop, doc, create, SALES, other, 409).await;
    ask(&shop, doc, ("get", SALE), "/api/flash/sales/s", json!(null), 200).await;
    ask(&shop, doc, ("get", SALE), "/api/flash/sales/none", json!(null), 404).await;
    ask(&shop, doc, ("get", SALES), "/api/flash/sales?limit=1", json!(null), 200).await;
    ask(&shop, doc, ("get", SALES), "/api/flash/sales?limit=0", json!(null), 400).await;
    let change = json!({"request_id": "r3", "items": [{"id": "hat", "limit": 1}], "limit": null});
    ask(&shop, doc, ("patch", SALE), "/api/flash/sales/s", change, 200).await;
    let change = json!({"request_id": "r4", "items": [{"id": "sock", "limit": 1}]});
    ask(&shop, doc, ("patch", SALE), "/api/flash/sales/s", change, 404).await;
    let more = json!({"request_id": "r5", "items": [{"id": "shoe", "add": 1}]});
    ask(&shop, doc, ("post", RESTOCK), "/api/flash/sales/s/restock", more.clone(), 200).await;
    let mut more = more;
    more["items"][0]["add"] = json!(0);
    ask(&shop, doc, ("post", RESTOCK), "/api/flash/sales/s/restock", more, 400).await;

    let orders = "/api/flash/sales/s/orders";
    bank.answers("/pay", &[Answer::Failure]);
    let mut waiting = shoes("o1", "jane", 2);
    waiting["wait_result"] = json!(true);
    ask(&shop, doc, ("post", ORDERS), orders, waiting, 409).await;
    ask(&shop, doc, ("post", ORDERS), orders, shoes("o2", "joe", 3), 409).await;
    ask(&shop, doc, ("post", ORDERS), orders, shoes("o2", "joe", 0), 400).await;
    let sock = json!({"order_id": "o3", "buyer": "joe", "items": [{"id": "sock", "take": 1}]});
    ask(&shop, doc, ("post", ORDERS), orders, sock, 404).await;
    ask(&shop, doc, ("post", ORDERS), "/api/flash/sales/none/orders", shoes("o", "b", 1), 404)
        .await;

    ask(&shop, doc, ("post", RECONCILE), "/api/flash/sales/s/reconcile", json!(null), 200).await;
    let path = "/api/flash/sales/s/reconcile?x=1";
    ask(&shop, doc, ("post", RECONCILE), path, json!(null), 400).await;
    let stock = |op: &str, take: u64| {
        format!(
            "/api/flash/stock/s/shoe?take={take}&buyer=b&gid=g-{take}&branch_id=01&op={op}&trans_type=tcc"
        )
    };
    for (op, take, status) in
        [("try", 1, 200), ("confirm", 1, 200), ("cancel", 1, 409), ("try", 9, 409)]
    {
        ask(&shop, doc, ("post", STOCK), &stock(op, take), json!(null), status).await;
    }
    ask(&shop, doc, ("post", STOCK), &stock("undo", 1), json!(null), 400).await;
    let close = json!({"request_id": "r6"});
    ask(&shop, doc, ("post", CLOSE), "/api/flash/sales/s/close", close, 200).await;
    let late = json!({"request_id": "r7", "items": [{"id": "shoe", "add": 1}]});
    ask(&shop, doc, ("post", RESTOCK), "/api/flash/sales/s/restock", late, 409).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn null_is_taken_where_it_says_so_and_nowhere_else() {
    let shop = Shop::start(&[]).await;
    let doc = &document(&shop).await;
    let fields = |name: &str| doc["components"]["schemas"][name]["properties"].as_object();
    let content = |route: (&str, &str)| {
        doc["paths"][route.1][route.0]["requestBody"]["content"]["application/json"].clone()
    };
    for (route, path, name) in [
        (("post", SALES), SALES, "NewSale"),
        (("patch", SALE), "/api/flash/sales/spring", "SaleChanges"),
        (("post", ORDERS), "/api/flash/sales/spring/orders", "NewOrder"),
    ] {
        let content = content(route);
        ask(&shop, doc, route, path, content["example"].clone(), 200).await;
        for field in fields(name).expect("fields").keys() {
            let mut body = content["example"].clone();
            for (key, id) in [("request_id", format!("{name}-{field}")), ("id", field.clone())] {
                if body.get(key).is_some() {
                    body[key] = json!(id);
                }
            }
            if name == "NewOrder" {
                body = shoes(&fresh_name(), &fresh_name(), 1);
            }
            body[field] = json!(null);
            let is_good = check(doc, &content["schema"], &body, "request").is_ok();
            ask(&shop, doc, route, path, body, if is_good { 200 } else { 400 }).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_requests_are_as_it_says() {
    let shop = Shop::start(&[]).await;
    let doc = &document(&shop).await;
    let route = ("post", SALES);
    let url = |bytes: usize| format!("http://h/{}", "x".repeat(bytes - "http://h/".len()));
    for (number, (field, value, status)) in [
        ("steps", json!([{"action": url(16_384), "compensate": ""}]), 200),
        ("steps", json!([{"action": url(16_385)}]), 400),
        ("steps", json!([{"action": "HTTP://h/"}]), 400),
        ("steps", json!([{"action": "stock://s/shoe?take=1&buyer=b"}]), 400),
        ("steps", json!([{"action": "http://h", "compensate": "topic://paid"}]), 400),
        ("orders_in_work_max", json!(1), 200),
        ("request_id", json!("\u{80}"), 400),
        ("request_id", json!("a\u{e9}\u{2028}"), 200),
        ("id", json!(".."), 400),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = json!({
            "request_id": fresh_name(),
            "id": format!("s{number}"),
            "items": [{"id": "shoe", "stock": 1}],
            "hold_seconds": 60,
        });
        body[field] = value;
        ask(&shop, doc, route, SALES, body, status).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_examples_are_as_it_says_and_can_be_sent() {
    let shop = Shop::start(&[]).await;
    let doc = &document(&shop).await;
    let json_of = |it: &Value| it["content"]["application/json"].clone();
    for (method, path, operation) in operations(doc) {
        let mut contents = vec![json_of(&operation["requestBody"])];
        for status in operation["responses"].as_object().expect("answers").keys() {
            let status = status.parse().expect("a number");
            contents.push(json_of(response(doc, (method, path), status)));
        }
        for content in &contents {
            for example in examples(content) {
                check(doc, &content["schema"], example, "example")
                    .unwrap_or_else(|told| panic!("{method} {path} {told}"));
            }
        }
        // The document itself, and the page, need none.
        let is_shown = path == "/flash" || path.ends_with("openapi.json");
        for content in contents.iter().take(2).filter(|it| !it.is_null() && !is_shown) {
            assert!(examples(content).next().is_some(), "{method} {path}: {content}");
        }
    }
    for route in [
        ("post", SALES),
        ("get", SALES),
        ("get", SALE),
        ("post", ORDERS),
        ("patch", SALE),
        ("post", RESTOCK),
        ("post", CLOSE),
        ("post", RECONCILE),
    ] {
        let body = json_of(&doc["paths"][route.1][route.0]["requestBody"])["example"].clone();
        ask(&shop, doc, route, &route.1.replace("{id}", "spring"), body, 200).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_has_the_reasons_of_each_answer_as_the_readme_has() {
    let shop = Shop::start(&["--api-token", "secret"]).await;
    let reply = crate::support::server::client()
        .get(format!("{}/api/flash/openapi.json", shop.base()))
        .bearer_auth("secret");
    let doc = reply.send().await.expect("an answer").json::<Value>().await.expect("JSON");
    let words = |list: &Value| -> Vec<String> {
        let words = list.as_array().into_iter().flatten();
        words.map(|it| it.as_str().expect("a word").to_owned()).collect()
    };
    // Of paths and methods that it does not have.
    let mut told = BTreeSet::from([("404".to_owned(), "unknown_path".to_owned())]);
    for (method, path, operation) in operations(&doc) {
        for status in operation["responses"].as_object().expect("answers").keys() {
            let answer = response(&doc, (method, path), status.parse().expect("a number"));
            let schema = &answer["content"]["application/json"]["schema"];
            if schema["$ref"] == json!("#/components/schemas/Refusal") {
                let reasons = words(&schema["properties"]["reason"]["enum"]);
                assert!(!reasons.is_empty(), "{method} {path} {status}");
                told.extend(reasons.into_iter().map(|reason| (status.clone(), reason)));
            }
        }
    }
    let all = words(&doc["components"]["schemas"]["Refusal"]["properties"]["reason"]["enum"]);
    let said: BTreeSet<_> = told.iter().map(|(_, reason)| reason.clone()).collect();
    assert_eq!(said, all.into_iter().collect());
    let readme: BTreeSet<_> = include_str!("../../../../README.md")
        .lines()
        .skip_while(|line| !line.starts_with("| status | reason |"))
        .skip(2)
        .map_while(|line| line.strip_prefix("| "))
        .flat_map(|line| {
            let (status, rest) = line.split_once(" | ").expect("a status");
            let reasons = rest.split(" | ").next().expect("reasons").split(", ");
            reasons.map(|it| (status.to_owned(), it.trim_matches('`').to_owned()))
        })
        .collect();
    assert_eq!(told, readme);
    let refused = shop.get("/api/flash/sales").await;
    let unauthorized = response(&doc, ("get", SALES), 401);
    check(&doc, &unauthorized["content"]["application/json"]["schema"], &refused.json(), "reply")
        .expect("as it says");
    assert!(unauthorized["headers"]["WWW-Authenticate"].is_object());
    assert!(refused.header("www-authenticate").starts_with("Bearer "), "{refused:?}");
}
