//! The document of the routes: it has them all, and what is sent and answered is as it says.

use reqwest::Method;
use serde_json::{Value, json};

use super::shop::{Shop, payment, shoes};
use crate::support::{
    participant::{Answer, Participant},
    server::Reply,
};

/// The document that a node serves.
async fn document(shop: &Shop) -> Value {
    let reply = shop.get("/api/flash/openapi.json").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.header("content-type").starts_with("application/json"), "{reply:?}");
    reply.json()
}

/// What `reference` points to.
fn at<'a>(document: &'a Value, reference: &str) -> &'a Value {
    let path = reference.strip_prefix('#').expect("a local reference");
    document.pointer(path).unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("{name} is no type that the document uses"),
    }
}

/// Checks `value` by as much of JSON Schema as the document uses.
fn check(document: &Value, schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{path}: {what}: {value}"));
    if let Some(reference) = schema["$ref"].as_str() {
        check(document, at(document, reference), value, path)?;
    }
    let kind = &schema["type"];
    let kinds = kind.as_array().map_or_else(|| std::slice::from_ref(kind), Vec::as_slice);
    let types: Vec<_> = kinds.iter().filter_map(Value::as_str).collect();
    if !types.is_empty() && !types.iter().any(|name| has_type(value, name)) {
        return wrong("another type");
    }
    if schema["enum"].as_array().is_some_and(|all| !all.contains(value)) {
        return wrong("none of the words");
    }
    if let Some(text) = value.as_str() {
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
        let fits = match schema["pattern"].as_str() {
            Some("^[A-Za-z0-9._-]+$") => text.chars().all(is_plain),
            Some("^flash:") => text.starts_with("flash:"),
            Some(other) => panic!("{other} is no pattern that is known here"),
            None => true,
        };
        let is_time = schema["format"] != "date-time" || text.ends_with('Z') || text.contains('+');
        let length = text.chars().count() as u64;
        let is_short = schema["minLength"].as_u64().is_some_and(|least| length < least);
        let is_long = schema["maxLength"].as_u64().is_some_and(|most| length > most);
        if !fits || !is_time || is_short || is_long {
            return wrong("another text");
        }
    }
    if let Some(number) = value.as_u64() {
        let is_small = schema["minimum"].as_u64().is_some_and(|least| number < least);
        let is_large = schema["maximum"].as_u64().is_some_and(|most| number > most);
        if is_small || is_large {
            return wrong("out of bounds");
        }
    } else if value.is_i64() && !schema["minimum"].is_null() {
        return wrong("negative");
    }
    if let Some(list) = value.as_array() {
        let is_short = schema["minItems"].as_u64().is_some_and(|least| (list.len() as u64) < least);
        let is_long = schema["maxItems"].as_u64().is_some_and(|most| list.len() as u64 > most);
        if is_short || is_long {
            return wrong("too short or too long");
        }
        for (number, entry) in list.iter().enumerate() {
            check(document, &schema["items"], entry, &format!("{path}[{number}]"))?;
        }
    }
    if let Some(object) = value.as_object() {
        for name in schema["required"].as_array().into_iter().flatten() {
            if !object.contains_key(name.as_str().expect("a name")) {
                return wrong(&format!("{name} is missing"));
            }
        }
        for (name, entry) in object {
            let path = format!("{path}.{name}");
            match schema["properties"].get(name) {
                Some(schema) => check(document, schema, entry, &path)?,
                None if schema["additionalProperties"] == json!(false) => {
                    return wrong(&format!("{name} is unknown"));
                }
                None => {}
            }
        }
    }
    Ok(())
}

/// The schema of what `route` answers with `status`.
fn reply_schema<'a>(document: &'a Value, (method, path): (&str, &str), status: u16) -> &'a Value {
    let operation = &document["paths"][path][method];
    let mut response = &operation["responses"][status.to_string()];
    if let Some(reference) = response["$ref"].as_str() {
        response = at(document, reference);
    }
    let schema = &response["content"]["application/json"]["schema"];
    assert!(!schema.is_null(), "{method} {path} says nothing of {status}");
    schema
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
    let schema = reply_schema(document, route, status);
    check(document, schema, &reply.json(), "reply")
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

#[tokio::test(flavor = "multi_thread")]
async fn it_has_every_route_and_no_other() {
    let shop = Shop::start(&[]).await;
    let document = document(&shop).await;
    let table = include_str!("../../../src/api/http/mod.rs");
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
    let mut known = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for method in operations.as_object().expect("operations").keys() {
            known.push((method.clone(), path.clone()));
        }
    }
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
    let close = json!({"request_id": "r6"});
    ask(&shop, doc, ("post", CLOSE), "/api/flash/sales/s/close", close, 200).await;
    let late = json!({"request_id": "r7", "items": [{"id": "shoe", "add": 1}]});
    ask(&shop, doc, ("post", RESTOCK), "/api/flash/sales/s/restock", late, 409).await;
}
