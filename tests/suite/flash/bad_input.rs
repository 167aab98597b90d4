//! What is wrong with a request about a sale is told, by its field, and changes nothing.

use reqwest::Method;
use serde_json::{Value, json};

use super::shop::{Shop, buy};
use crate::support::server::Reply;

const UNITS: &str = "it must be a whole number from 1 to 9007199254740991";

/// The body that makes a sale.
fn good() -> Value {
    json!({
        "request_id": "r",
        "id": "s",
        "items": [{"id": "shoe", "stock": 1}],
        "hold_seconds": 60,
    })
}

/// The same with this field.
fn with(field: &str, value: Value) -> Value {
    let mut body = good();
    body[field] = value;
    body
}

/// The same without this field.
fn without(field: &str) -> Value {
    let mut body = good();
    body.as_object_mut().expect("an object").remove(field);
    body
}

fn items(items: Value) -> Value {
    with("items", items)
}

async fn create(shop: &Shop, body: impl ToString) -> Reply {
    shop.post("/api/flash/sales", body.to_string()).await
}

/// 400 that names `field` and says `telling`.
fn assert_bad(reply: &Reply, field: &str, telling: &str) {
    let told = reply.json();
    assert_eq!((reply.status, &told["reason"]), (400, &json!("bad_request")), "{reply:?}");
    assert_eq!(told["field"].as_str().unwrap_or_default(), field, "{reply:?}");
    assert!(reply.message().contains(telling), "{telling}: {reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_cannot_be_is_not_made() {
    let shop = Shop::start(&[]).await;
    let shoe = |field: &str, value: Value| {
        let mut item = json!({"id": "shoe", "stock": 1});
        item[field] = value;
        items(json!([item]))
    };
    let many: Vec<_> = (0..65).map(|n| json!({"id": n.to_string(), "stock": 1})).collect();
    let steps: Vec<_> = (0..33).map(|_| json!({"action": "http://h"})).collect();
    let step = |step: Value| with("steps", json!([step]));
    for (body, field, telling) in [
        (json!([]), "", "the body must be an object with request_id, id"),
        (without("request_id"), "request_id", "is missing"),
        (with("request_id", json!(null)), "request_id", "is missing"),
        (with("request_id", json!("")), "request_id", "is empty"),
        (with("request_id", json!(7)), "request_id", "must be a string"),
        (with("request_id", json!("x".repeat(65))), "request_id", "at most 64 are allowed"),
        (with("request_id", json!("a\nb")), "request_id", "no control characters"),
        (without("id"), "id", "is missing"),
        (with("id", json!("")), "id", "is empty"),
        (with("id", json!("a/b")), "id", "may only have letters and digits"),
        (with("id", json!("..")), "id", "must not be '.' or '..'"),
        (with("id", json!("x".repeat(33))), "id", "has 33 bytes, at most 32 are allowed"),
        (with("stock", json!(1)), "stock", "there is no field \"stock\"; there are: request_id"),
        (without("items"), "items", "is missing"),
        (items(json!({})), "items", "must be a list"),
        (items(json!([])), "items", "is empty"),
        (items(json!(many)), "items", "has 65 entries, at most 64 are allowed"),
        (items(json!(["shoe"])), "items[0]", "must be an object with id, stock, limit"),
        (items(json!([{"id": "shoe"}])), "items[0].stock", "is missing"),
        (items(json!([{"stock": 1}])), "items[0].id", "is missing"),
        (shoe("id", json!("a=b")), "items[0].id", "may only have letters and digits"),
        (shoe("amount", json!(1)), "items[0].amount", "there is no field \"amount\""),
        (shoe("stock", json!(0)), "items[0].stock", UNITS),
        (shoe("stock", json!(-1)), "items[0].stock", "is -1, it must be"),
        (shoe("stock", json!(1.5)), "items[0].stock", "is 1.5, it must be"),
        (shoe("stock", json!("1")), "items[0].stock", "is \"1\", it must be"),
        (shoe("stock", json!(1_u64 << 53)), "items[0].stock", "is 9007199254740992, it must"),
        (shoe("stock", json!(1e20)), "items[0].stock", UNITS),
        (shoe("limit", json!(0)), "items[0].limit", UNITS),
        (shoe("limit", json!(true)), "items[0].limit", "is true, it must be"),
        (
            items(
                json!([{"id": "a", "stock": 1}, {"id": "b", "stock": 1}, {"id": "a", "stock": 2}]),
            ),
            "items[2].id",
            "is a once more",
        ),
        (with("limit", json!(-3)), "limit", UNITS),
        (without("hold_seconds"), "hold_seconds", "is missing"),
        (with("hold_seconds", json!(0)), "hold_seconds", "from 1 to 2592000"),
        (with("hold_seconds", json!(2_592_001)), "hold_seconds", "from 1 to 2592000"),
        (with("hold_seconds", json!(0.5)), "hold_seconds", "is 0.5, it must be"),
        (with("orders_in_work_max", json!(0)), "orders_in_work_max", UNITS),
        (with("opens_at", json!("tomorrow")), "opens_at", "a time of RFC 3339"),
        (with("opens_at", json!(1_700_000_000)), "opens_at", "must be a string"),
        (with("closes_at", json!("2026-02-30T00:00:00Z")), "closes_at", "a time of RFC 3339"),
        (with("closes_at", json!("2255-12-31T00:00:00Z")), "closes_at", "to 2255-06-05T23:47:34Z"),
        (
            json!({
                "request_id": "r",
                "id": "s",
                "items": [{"id": "shoe", "stock": 1}],
                "hold_seconds": 60,
                "opens_at": "2026-12-01T10:00:00+01:00",
                "closes_at": "2026-12-01T09:00:00Z",
            }),
            "closes_at",
            "would close before it opens",
        ),
        (with("buckets", json!(0)), "buckets", "from 1 to 64"),
        (with("buckets", json!(65)), "buckets", "from 1 to 64"),
        (with("steps", json!("http://h")), "steps", "must be a list"),
        (with("steps", json!(steps)), "steps", "has 33 entries, at most 32 are allowed"),
        (step(json!({})), "steps[0].action", "is missing"),
        (step(json!({"action": ""})), "steps[0].action", "is empty"),
        (step(json!({"action": "nowhere"})), "steps[0].action", "has no scheme and no host"),
        (step(json!({"action": "http://169.254.169.254/"})), "steps[0].action", ""),
        (step(json!({"action": "http://h", "compensate": "ftp://h"})), "steps[0].compensate", ""),
        (step(json!({"action": "http://h", "undo": "http://h"})), "steps[0].undo", "no field"),
    ] {
        assert_bad(&create(&shop, &body).await, field, telling);
    }
    assert_eq!(shop.everything(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_or_says_a_field_twice_is_told() {
    let shop = Shop::start(&[]).await;
    for (body, telling) in [
        ("", "the body is not JSON"),
        ("{", "the body is not JSON"),
        ("{}{}", "the body is not JSON"),
        (r#"{"request_id":"r","id":"s","id":"t"}"#, "the field \"id\" stands there twice"),
        (r#"{"items":[{"id":"a","stock":1,"stock":2}]}"#, "the field \"stock\" stands there twice"),
    ] {
        assert_bad(&create(&shop, body).await, "", telling);
    }
    assert_eq!(shop.everything(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_with_a_reason() {
    let shop = Shop::start(&["--body-bytes-max", "4KiB"]).await;
    let long = " ".repeat(4097);
    for (method, path) in [
        (Method::POST, ""),
        (Method::PATCH, "/s"),
        (Method::POST, "/s/restock"),
        (Method::POST, "/s/close"),
        (Method::POST, "/s/orders"),
    ] {
        let path = format!("/api/flash/sales{path}");
        let reply = shop.send(method, &path, "application/json", long.clone()).await;
        assert_eq!((reply.status, &reply.json()["reason"]), (413, &json!("too_large")), "{path}");
        assert!(reply.message().contains("4097 bytes, at most 4096 are allowed"), "{reply:?}");
    }
    assert_eq!(shop.everything(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_more_buckets_than_shards_and_none_without_its_part_of_the_waiting_room() {
    let shop = Shop::start(&["--shards", "4"]).await;
    let reply = create(&shop, with("buckets", json!(5))).await;
    assert_bad(&reply, "buckets", "is 5, it must be 1 to 4");
    let mut narrow = with("buckets", json!(4));
    narrow["orders_in_work_max"] = json!(3);
    let reply = create(&shop, narrow).await;
    assert_bad(&reply, "orders_in_work_max", "must be at least the number of buckets, 4");
    assert_eq!(create(&shop, with("buckets", json!(4))).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_cannot_be_changes_nothing() {
    let shop = Shop::start(&[]).await;
    create(&shop, with("opens_at", json!("2020-01-01T00:00:00Z"))).await;
    buy(&shop, "s", "o", "jane", 1).await;
    let before = shop.everything();
    let change = async |path: &str, body: Value| {
        let method = if path.is_empty() { Method::PATCH } else { Method::POST };
        let path = format!("/api/flash/sales/s{path}");
        shop.send(method, &path, "application/json", body.to_string()).await
    };
    let items = |items: Value| json!({"request_id": "n", "items": items});
    for (path, body, field, telling) in [
        ("", json!({"request_id": "n"}), "", "nothing is to be changed"),
        ("", json!({"request_id": "n", "id": "t"}), "id", "there is no field \"id\""),
        ("", json!({"request_id": "n", "buckets": 2}), "buckets", "there is no field"),
        ("", json!({"request_id": "n", "limit": 0}), "limit", UNITS),
        ("", json!({"request_id": "n", "limit": 1, "steps": null}), "steps", "is null: leave it"),
        ("", json!({"request_id": "n", "limit": 1, "items": null}), "items", "is null: leave it"),
        ("", json!({"request_id": "n", "limit": 1, "items": []}), "items", "is empty"),
        ("", json!({"request_id": "n", "hold_seconds": null}), "hold_seconds", "is null: leave it"),
        (
            "",
            json!({"request_id": "n", "opens_at": null, "orders_in_work_max": null}),
            "orders_in_work_max",
            "is null: leave it out to keep it as it is",
        ),
        ("", json!({"limit": 1}), "request_id", "is missing"),
        ("", items(json!([{"id": "shoe"}])), "items[0].limit", "or null for none"),
        (
            "",
            items(json!([{"id": "shoe", "limit": 1}, {"id": "shoe", "limit": 2}])),
            "items[1].id",
            "",
        ),
        (
            "",
            json!({"request_id": "n", "closes_at": "2019-12-31T00:00:00Z"}),
            "closes_at",
            "is not later than opens_at",
        ),
        ("/restock", json!({"request_id": "n"}), "items", "is missing"),
        ("/restock", items(json!([])), "items", "is empty"),
        ("/restock", items(json!([{"id": "shoe", "add": 0}])), "items[0].add", UNITS),
        ("/restock", items(json!([{"id": "shoe", "add": -5}])), "items[0].add", "is -5"),
        (
            "/restock",
            items(json!([{"id": "shoe", "add": 9_007_199_254_740_991_u64}])),
            "items[0].add",
            "is, with the 1 units so far, more than 9007199254740991",
        ),
        ("/close", json!({}), "request_id", "is missing"),
        ("/close", json!({"request_id": "n", "at": 1}), "at", "there is no field"),
    ] {
        assert_bad(&change(path, body).await, field, telling);
    }
    let unknown = change("", items(json!([{"id": "sock", "limit": 1}]))).await;
    assert_eq!((unknown.status, &unknown.json()["reason"]), (404, &json!("unknown_item")));
    assert_eq!(unknown.json()["item"], json!("sock"));
    assert_eq!(shop.everything(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_sale_is_404_whatever_is_asked_of_it() {
    let shop = Shop::start(&[]).await;
    let restock = json!({"request_id": "r", "items": [{"id": "shoe", "add": 1}]});
    let order = json!({"order_id": "o", "buyer": "b", "items": [{"id": "shoe", "take": 1}]});
    for id in ["none", "a%20b", "%ff", "x".repeat(5_000).as_str()] {
        for (method, path, body) in [
            (Method::GET, "", json!(null)),
            (Method::PATCH, "", json!({"request_id": "r", "limit": 1})),
            (Method::POST, "/restock", restock.clone()),
            (Method::POST, "/close", json!({"request_id": "r"})),
            (Method::POST, "/reconcile", json!(null)),
            (Method::POST, "/orders", order.clone()),
        ] {
            let path = format!("/api/flash/sales/{id}{path}");
            let reply = shop.send(method, &path, "application/json", body.to_string()).await;
            let told = reply.json();
            assert_eq!((reply.status, &told["reason"]), (404, &json!("unknown_sale")), "{path}");
            assert!(reply.message().len() < 200, "{reply:?}");
        }
    }
    assert_eq!(shop.everything(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_has_the_keys_that_are_known_each_once_and_good() {
    let shop = Shop::start(&[]).await;
    create(&shop, good()).await;
    for (path, field, telling) in [
        ("sales?limit=0", "limit", "from 1 to 100"),
        ("sales?limit=x", "limit", "limit is \"x\", it must be a whole number from 1 to 100"),
        // A plus stands for a space.
        ("sales?limit=+1", "limit", "limit is \" 1\", it must be"),
        ("sales?limit=%2B1.5%0A", "limit", "limit is \"+1.5\\n\", it must be"),
        ("sales?after=a%2Fb", "after", "letters"),
        (
            "sales?foo=1",
            "foo",
            "there is no \"foo\" in the query of this URL; there are: after, limit",
        ),
        ("sales?after=a&Limit=1", "Limit", "there are: after, limit"),
        ("sales?limit=1&limit=2", "limit", "twice"),
        ("sales/s?foo=1", "foo", "there are: none"),
        ("openapi.json?v", "v", "there are: none"),
    ] {
        assert_bad(&shop.get(&format!("/api/flash/{path}")).await, field, telling);
    }
    for path in ["sales", "sales?after=&limit=1", "sales/s", "sales/s?", "openapi.json"] {
        assert_eq!(shop.get(&format!("/api/flash/{path}")).await.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_no_request_can_need_is_refused_before_it_is_looked_into() {
    let shop = Shop::start(&[]).await;
    let lines = r#"{"id":"shoe","take":1},"#.repeat(30_000);
    for path in ["/api/flash/sales", "/api/flash/sales/s/orders"] {
        let body = format!(r#"{{"items":[{lines}]}}"#);
        let reply = shop.send(Method::POST, path, "application/json", body).await;
        assert_eq!((reply.status, &reply.json()["reason"]), (413, &json!("too_large")), "{path}");
        assert!(
            reply.message().contains("at most 524288 are allowed (of flash sales)"),
            "{reply:?}"
        );
    }
    assert_eq!(shop.everything(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_with_an_encoding_is_refused_as_such() {
    let shop = Shop::start(&[]).await;
    let send = async |method: Method, path: &str, encoding: &'static str, body: Vec<u8>| {
        let request = crate::support::server::client()
            .request(method, format!("{}/api/flash/sales{path}", shop.base()))
            .header("content-encoding", encoding)
            .body(body);
        let response = request.send().await.expect("an answer");
        let taken = response.headers().get("accept-encoding").cloned();
        (response.status(), taken, response.json::<Value>().await.expect("JSON"))
    };
    for (method, path) in [
        (Method::POST, ""),
        (Method::PATCH, "/s"),
        (Method::POST, "/s/restock"),
        (Method::POST, "/s/close"),
        (Method::POST, "/s/orders"),
    ] {
        let (status, taken, told) = send(method, path, "gzip", b"\x1f\x8b\x08\0".to_vec()).await;
        assert_eq!((status.as_u16(), &told["reason"]), (415, &json!("encoded_body")), "{path}");
        let message = told["message"].as_str().expect("a text");
        assert!(message.contains("Content-Encoding \"gzip\""), "{told}");
        assert_eq!(taken.expect("what is taken"), "identity");
    }
    assert_eq!(shop.everything(), []);
    let (status, _, told) =
        send(Method::POST, "", "Identity", good().to_string().into_bytes()).await;
    assert_eq!(status, 200, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_body_has_no_query() {
    let shop = Shop::start(&[]).await;
    let body = with("id", json!("s")).to_string();
    for (method, path) in [
        (Method::POST, "?x=1"),
        (Method::PATCH, "/s?x=1"),
        (Method::POST, "/s/restock?x=1"),
        (Method::POST, "/s/close?x=1"),
        (Method::POST, "/s/orders?x=1"),
        (Method::POST, "/s/reconcile?x=1"),
    ] {
        let path = format!("/api/flash/sales{path}");
        let reply = shop.send(method, &path, "application/json", body.clone()).await;
        assert_bad(&reply, "x", "there is no \"x\" in the query of this URL");
    }
    assert_eq!(shop.everything(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_is_told_in_the_words_of_flash_sales() {
    let shop = Shop::start(&[]).await;
    for (method, path) in [
        (Method::DELETE, "/api/flash/sales/s"),
        (Method::GET, "/api/flash/sales/s/orders"),
        (Method::POST, "/api/flash/nothing"),
    ] {
        let reply = shop.send(method, path, "application/json", String::new()).await;
        assert_eq!(
            (reply.status, &reply.json()["reason"]),
            (404, &json!("unknown_path")),
            "{path}"
        );
    }
}
