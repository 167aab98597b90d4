//! What each scenario sends.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::{
    Scenario,
    exchange::{BLANK, Template},
    generator::DELAY,
    http,
    processes::Stand,
    sink::NOTED_PATH,
};

/// Bytes of each branch's payload; the figures of other houses were taken with as many.
const PAYLOAD_BYTES: usize = 100;

/// More units than any run takes.
const STOCK: u64 = 1 << 40;

/// An order that is not completed within this is undone; none is.
const HOLD_SECONDS: u64 = 600;

/// The stock of the shop that keeps it itself, in a key of its own.
const SHOP_STOCK: &str = "shop:stock";

/// The shop's own script: tests the stock, tests whether this transaction took from it before, takes
/// one, and leaves a mark for the back-check, which expires in a day.
const SHOP_SCRIPT: &str = "local left = tonumber(redis.call('GET', KEYS[1]) or '0') \
    if left < 1 then return redis.status_reply('FAILURE') end \
    if not redis.call('SET', KEYS[2], '1', 'NX', 'EX', '86400') \
    then return redis.status_reply('DUPLICATED') end \
    redis.call('DECRBY', KEYS[1], '1') return redis.status_reply('SUCCESS')";

/// The requests of one transaction of `scenario`, whose branches are at `sink`. `prefix` begins the
/// gids.
///
/// # Errors
/// None in practice: only a fault of this file.
pub(crate) fn of(
    scenario: Scenario,
    server: SocketAddr,
    sink: SocketAddr,
    prefix: &str,
    wait: bool,
) -> Result<Vec<Template>> {
    let gid = format!("{prefix}{BLANK}");
    let payload = payload();
    let url = |path: &str| format!("http://{sink}{path}");
    let submit = |body: Value| Template::post(server, "/api/dtmsvr/submit", &body.to_string(), 200);
    let order = |status| {
        let body = json!({"order_id": gid, "buyer": gid, "items": [{"id": "unit", "take": 1}]});
        let path = "/api/flash/sales/load/orders";
        Template::post(server, path, &body.to_string(), status)
    };
    Ok(vec![match scenario {
        Scenario::SagaHttp => submit(json!({
            "gid": gid, "trans_type": "saga", "wait_result": wait,
            "steps": [
                {"action": url("/out"), "compensate": url("/out-undo")},
                {"action": url("/in"), "compensate": url("/in-undo")},
            ],
            "payloads": [payload, payload],
        }))?,
        Scenario::SagaEmpty => submit(json!({
            "gid": gid, "trans_type": "saga", "wait_result": wait,
            "steps": [{"action": "", "compensate": ""}, {"action": "", "compensate": ""}],
            "payloads": [payload, payload],
        }))?,
        Scenario::MsgHttp => submit(json!({
            "gid": gid, "trans_type": "msg", "wait_result": wait,
            "steps": [{"action": url("/in")}], "payloads": [payload],
        }))?,
        Scenario::Delay => submit(json!({
            "gid": gid, "trans_type": "msg",
            "custom_data": json!({"delay": DELAY.as_secs()}).to_string(),
            "steps": [{"action": url(NOTED_PATH)}], "payloads": [payload],
        }))?,
        Scenario::FlashOrder | Scenario::FlashStep => order(200)?,
        Scenario::FlashSoldOut => order(409)?,
        Scenario::ThreeTrips => return three_trips(server, &gid, &url("/query")),
    }])
}

/// The flow of a shop that keeps its stock itself: prepare a message, take from the stock, submit.
/// The message has nothing to call, so that only these are compared.
fn three_trips(server: SocketAddr, gid: &str, query_prepared: &str) -> Result<Vec<Template>> {
    let message = json!({
        "gid": gid, "trans_type": "msg", "query_prepared": query_prepared,
        "steps": [{"action": ""}], "payloads": ["{}"],
    })
    .to_string();
    let mark = format!("shop:mark:{gid}");
    let script = redis::Script::new(SHOP_SCRIPT);
    let take = ["EVALSHA", script.get_hash(), "2", SHOP_STOCK, &mark];
    Ok(vec![
        Template::post(server, "/api/dtmsvr/prepare", &message, 200)?,
        Template::command(&take, b"+SUCCESS")?,
        Template::post(server, "/api/dtmsvr/submit", &message, 200)?,
    ])
}

/// Makes what `scenario` sells.
///
/// # Errors
/// When tandem, or Redis, refuses it.
pub(crate) fn prepare(scenario: Scenario, stand: &mut Stand, sink: SocketAddr) -> Result<()> {
    let (stock, steps) = match scenario {
        Scenario::SagaHttp | Scenario::SagaEmpty | Scenario::MsgHttp | Scenario::Delay => {
            return Ok(());
        }
        Scenario::ThreeTrips => {
            redis::cmd("SET").arg(SHOP_STOCK).arg(STOCK).exec(&mut stand.redis)?;
            redis::Script::new(SHOP_SCRIPT).prepare_invoke().load(&mut stand.redis)?;
            return Ok(());
        }
        Scenario::FlashOrder => (STOCK, json!([])),
        Scenario::FlashStep => {
            let url = |path: &str| format!("http://{sink}{path}");
            (STOCK, json!([{"action": url("/order"), "compensate": url("/order-undo")}]))
        }
        Scenario::FlashSoldOut => (1, json!([])),
    };
    let sale = json!({
        "request_id": "load", "id": "load", "hold_seconds": HOLD_SECONDS, "steps": steps,
        "items": [{"id": "unit", "stock": stock, "limit": 1}], "orders_in_work_max": STOCK,
    });
    expect(stand, "/api/flash/sales", &sale)?;
    if scenario == Scenario::FlashSoldOut {
        let last =
            json!({"order_id": "last", "buyer": "last", "items": [{"id": "unit", "take": 1}]});
        expect(stand, "/api/flash/sales/load/orders", &last)?;
    }
    Ok(())
}

fn expect(stand: &Stand, path: &str, body: &Value) -> Result<()> {
    let (status, answer) = http::post(stand.http, path, &body.to_string())?;
    ensure!(status == 200, "{path} answers {status} {answer}");
    Ok(())
}

/// A JSON object of exactly [`PAYLOAD_BYTES`].
fn payload() -> String {
    let bare = json!({"amount": 30, "note": ""}).to_string();
    let note = "x".repeat(PAYLOAD_BYTES.saturating_sub(bare.len()));
    json!({"amount": 30, "note": note}).to_string()
}
