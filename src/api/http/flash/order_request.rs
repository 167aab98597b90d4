//! The request of an order: read without a copy, since most of a hot sale's requests are answered
//! from memory; what is wrong with one is found out by a second, slow reading.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::refusal::Refusal;
use crate::model::flash::{
    Buyer, Cart, CartError, IdError, ItemId, LINES_MAX, Line, OrderId, UNITS_MAX,
};

/// The longest `data` in bytes: it is stored with the order, once for each step.
const DATA_BYTES_MAX: usize = 16 << 10;

/// A request that may be an order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderRequest<'a> {
    /// The client's id of the order.
    #[serde(borrow)]
    order_id: Cow<'a, str>,
    /// Who orders.
    #[serde(borrow)]
    buyer: Cow<'a, str>,
    /// What.
    #[serde(borrow)]
    items: Vec<LineRequest<'a>>,
    /// For the steps, as it is.
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    /// Whether to answer how it ended.
    #[serde(default)]
    wait_result: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LineRequest<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    take: u64,
}

/// A request whose parts were checked.
#[derive(Debug)]
pub(super) struct CheckedOrder {
    pub(super) order: OrderId,
    pub(super) buyer: Buyer,
    pub(super) cart: Cart,
    pub(super) data: Option<Box<RawValue>>,
    pub(super) waits: bool,
}

impl<'a> OrderRequest<'a> {
    /// Reads `body` and checks all that needs no sale.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Refusal> {
        let request: Self = serde_json::from_slice(body).map_err(|error| wrong(body, &error))?;
        request.check()?;
        Ok(request)
    }

    fn check(&self) -> Result<(), Refusal> {
        OrderId::check(&self.order_id).map_err(|error| bad_id("order_id", error))?;
        Buyer::check(&self.buyer).map_err(|error| bad_id("buyer", error))?;
        if self.items.is_empty() {
            return Err(Refusal::bad("items", CartError::Empty.to_string()));
        }
        if self.items.len() > LINES_MAX {
            return Err(Refusal::bad(
                "items",
                CartError::TooManyLines(self.items.len()).to_string(),
            ));
        }
        for (number, LineRequest { id, take }) in self.items.iter().enumerate() {
            ItemId::check(id).map_err(|error| bad_id(&format!("items[{number}].id"), error))?;
            if !(1..=UNITS_MAX).contains(take) {
                return Err(bad_take(number, &take.to_string()));
            }
            if self.items.iter().take(number).any(|earlier| earlier.id == *id) {
                let told =
                    format!("{id} stands in the cart twice: name it once, with all its units");
                return Err(Refusal::bad(format!("items[{number}].id"), told));
            }
        }
        let n_data = self.data.map_or(0, |data| data.get().len());
        if n_data > DATA_BYTES_MAX {
            let told = format!("data has {n_data} bytes, at most {DATA_BYTES_MAX} are allowed");
            return Err(Refusal::bad("data", told));
        }
        Ok(())
    }

    pub(super) fn buyer(&self) -> &str {
        &self.buyer
    }

    /// Item and units of each line.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&str, u64)> {
        self.items.iter().map(|line| (&*line.id, line.take))
    }

    /// The same, in values of its own.
    ///
    /// # Errors
    /// None in practice: [`OrderRequest::read`] has checked it.
    pub(super) fn into_checked(self) -> Result<CheckedOrder, Refusal> {
        let line = |line: &LineRequest<'_>| {
            let item = ItemId::new(&line.id).map_err(|error| bad_id("items", error))?;
            Ok(Line { item, take: line.take })
        };
        let lines = self.items.iter().map(line).collect::<Result<Vec<_>, Refusal>>()?;
        Ok(CheckedOrder {
            order: OrderId::new(&self.order_id).map_err(|error| bad_id("order_id", error))?,
            buyer: Buyer::new(&self.buyer).map_err(|error| bad_id("buyer", error))?,
            cart: Cart::new(lines).map_err(|error| Refusal::bad("items", error.to_string()))?,
            data: self.data.map(ToOwned::to_owned),
            waits: self.wait_result == Some(true),
        })
    }
}

fn bad_id(field: &str, error: IdError) -> Refusal {
    Refusal::bad(field, format!("{field} {error}"))
}

fn bad_take(number: usize, found: &str) -> Refusal {
    let field = format!("items[{number}].take");
    let told = format!("{field} is {found}: it must be a whole number from 1 to {UNITS_MAX}");
    Refusal::bad(field, told)
}

/// What is wrong with a body that could not be read.
fn wrong(body: &[u8], error: &serde_json::Error) -> Refusal {
    let found = match serde_json::from_slice::<Value>(body) {
        Ok(found) => found,
        Err(error) => return Refusal::bad("", format!("the body is not JSON: {error}")),
    };
    let Value::Object(found) = found else {
        return Refusal::bad(
            "",
            "the body must be an object: {\"order_id\", \"buyer\", \"items\"}",
        );
    };
    const KNOWN: [&str; 5] = ["order_id", "buyer", "items", "data", "wait_result"];
    if let Some(unknown) = found.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return unknown_field(unknown, unknown, &KNOWN);
    }
    for field in ["order_id", "buyer"] {
        match found.get(field) {
            Some(Value::String(_)) => {}
            None => return Refusal::bad(field, format!("{field} is missing")),
            Some(_) => return Refusal::bad(field, format!("{field} must be a string")),
        }
    }
    if !matches!(found.get("wait_result"), None | Some(Value::Null | Value::Bool(_))) {
        return Refusal::bad("wait_result", "wait_result must be true or false");
    }
    let lines = match found.get("items") {
        Some(Value::Array(lines)) => lines,
        None => return Refusal::bad("items", "items is missing"),
        Some(_) => return Refusal::bad("items", "items must be a list of {\"id\", \"take\"}"),
    };
    let wrong = lines.iter().enumerate().find_map(|(number, line)| wrong_line(number, line));
    wrong.unwrap_or_else(|| Refusal::bad("", error.to_string()))
}

fn wrong_line(number: usize, line: &Value) -> Option<Refusal> {
    const KNOWN: [&str; 2] = ["id", "take"];
    let place = format!("items[{number}]");
    let Value::Object(line) = line else {
        let told = format!("{place} must be an object: {{\"id\", \"take\"}}");
        return Some(Refusal::bad(place, told));
    };
    if let Some(unknown) = line.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Some(unknown_field(&format!("{place}.{unknown}"), unknown, &KNOWN));
    }
    match line.get("id") {
        Some(Value::String(_)) => {}
        None => {
            let told = format!("{place}.id is missing");
            return Some(Refusal::bad(format!("{place}.id"), told));
        }
        Some(_) => {
            let told = format!("{place}.id must be a string");
            return Some(Refusal::bad(format!("{place}.id"), told));
        }
    }
    match line.get("take") {
        Some(take) if take.is_u64() => None,
        Some(take) => Some(bad_take(number, &take.to_string())),
        None => {
            let told = format!("{place}.take is missing");
            Some(Refusal::bad(format!("{place}.take"), told))
        }
    }
}

fn unknown_field(field: &str, name: &str, known: &[&str]) -> Refusal {
    Refusal::bad(field, format!("there is no field {name:?}; there are: {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use serde_json::json;

    use super::*;
    use crate::api::http::testing;

    const GOOD: &str = r#"{"order_id":"o-1","buyer":"jane","items":[{"id":"shoe","take":2}]}"#;

    #[test]
    fn a_good_request_is_read_without_a_copy() {
        let request = OrderRequest::read(GOOD.as_bytes()).unwrap();
        assert!(matches!(request.buyer, Cow::Borrowed("jane")));
        assert_eq!(request.lines().collect::<Vec<_>>(), [("shoe", 2)]);
        let checked = request.into_checked().unwrap();
        assert_eq!((checked.order.as_str(), checked.waits), ("o-1", false));
        let full = r#"{"order_id":"o","buyer":"j\u00fc","items":[{"id":"a","take":1}],"data":{"x":1},"wait_result":true}"#;
        let checked = OrderRequest::read(full.as_bytes()).unwrap().into_checked().unwrap();
        assert_eq!((checked.buyer.as_str(), checked.waits), ("jü", true));
        assert_eq!(checked.data.unwrap().get(), r#"{"x":1}"#);
    }

    #[tokio::test]
    async fn what_is_wrong_is_told_with_its_place() {
        let good = || serde_json::from_str::<Value>(GOOD).unwrap();
        let with = |field: &str, value: Value| {
            let mut body = good();
            body[field] = value;
            body.to_string()
        };
        let line = |line: Value| with("items", json!([line]));
        let cases = [
            (String::new(), "null", "not JSON"),
            ("[]".to_owned(), "null", "object"),
            (with("colour", json!("red")), "colour", "there are: order_id"),
            (with("order_id", json!(7)), "order_id", "string"),
            (with("order_id", json!("a b")), "order_id", "letters"),
            (with("order_id", json!("x".repeat(65))), "order_id", "65 bytes"),
            (with("buyer", json!("")), "buyer", "empty"),
            (with("buyer", json!("x".repeat(129))), "buyer", "129 bytes"),
            (with("items", json!([])), "items", "empty"),
            (with("items", json!({})), "items", "list"),
            (with("items", json!(vec![json!({"id": "a", "take": 1}); 33])), "items", "33 lines"),
            (line(json!({"id": "a"})), "items[0].take", "missing"),
            (line(json!({"id": "a", "take": 0})), "items[0].take", "whole number"),
            (line(json!({"id": "a", "take": -1})), "items[0].take", "-1"),
            (line(json!({"id": "a", "take": 1.5})), "items[0].take", "1.5"),
            (line(json!({"id": "a", "take": 1_u64 << 53})), "items[0].take", "whole number"),
            (line(json!({"id": "a", "take": "1"})), "items[0].take", "whole number"),
            (line(json!({"id": "a", "take": 1, "n": 1})), "items[0].n", "id, take"),
            (with("wait_result", json!("yes")), "wait_result", "true or false"),
            (with("data", json!("x".repeat(20_000))), "data", "20002 bytes"),
            (
                with("items", json!([{"id": "a", "take": 1}, {"id": "a", "take": 2}])),
                "items[1].id",
                "twice",
            ),
        ];
        for (body, field, telling) in cases {
            let refusal = OrderRequest::read(body.as_bytes()).unwrap_err();
            let reply = testing::read(refusal.into_response()).await;
            let told: Value = serde_json::from_str(&reply.text).unwrap();
            assert_eq!((reply.status, &told["reason"]), (400, &json!("bad_request")), "{body}");
            assert_eq!(told["field"].as_str().unwrap_or("null"), field, "{body}: {told}");
            assert!(told["message"].as_str().unwrap().contains(telling), "{body}: {told}");
        }
    }
}
