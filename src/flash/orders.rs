//! An order as the saga that it is: its stock is taken by the script that stores it, and its sale's
//! steps are called for it.

use std::{fmt::Write as _, sync::Arc};

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::{
    clock::Clock,
    model::{
        Gid, Mode, Options, Orders, Progress, Protocol, Resume, Spec, State, Status, StepUrls,
        Timestamp,
        flash::{Bucket, Buyer, Cart, Line, OrderId, Sale, StockUrl, order_gid},
    },
    store::{
        Store, StoreError,
        flash::{FlashStore, Order, Ordered, Refusal},
    },
};

use super::Flash;

/// What a client orders.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// In which sale.
    pub sale: Arc<Sale>,
    /// The client's id of the order.
    pub order: OrderId,
    /// Whose it is.
    pub buyer: Buyer,
    /// What it takes.
    pub cart: Cart,
    /// Handed to the steps as it came.
    pub data: Option<Box<RawValue>>,
}

/// An order as a saga.
#[derive(Clone, Debug)]
pub struct OrderSaga {
    /// Where it is stored, with what it takes.
    pub bucket: Bucket,
    /// What the stored body says.
    pub spec: Arc<Spec>,
    /// The request that is stored, as a client would have submitted it.
    pub body: Bytes,
    /// Its state if nobody starts on it at once.
    pub state: State,
}

impl<S: Store + FlashStore, K: Clock> Flash<S, K> {
    /// The saga of an order that is stored now.
    pub fn saga(&self, wanted: &Wanted) -> OrderSaga {
        let bucket = wanted.sale.bucket_of(&wanted.buyer, self.store.shard_count());
        saga(wanted, bucket, self.clock.redis_now())
    }

    /// Takes the units of an order and stores it, or does neither; a bucket with too few units
    /// draws from the others.
    ///
    /// # Errors
    /// As the store's.
    pub async fn order(&self, sale: &Arc<Sale>, order: Order) -> Result<Ordered, StoreError> {
        if sale.buckets == 1 {
            let ordered = self.store.order(order).await?;
            if let Ordered::Refused(Refusal::SoldOut(_)) = ordered {
                self.memory.heard_sold_out(&sale.id);
            }
            return Ok(ordered);
        }
        // Boxed, so that the future of all others stays small.
        Box::pin(self.order_drawing(sale, order)).await
    }

    async fn order_drawing(&self, sale: &Arc<Sale>, order: Order) -> Result<Ordered, StoreError> {
        let mut drawing = self.drawing(sale, &order.buyer, order.cart.lines());
        loop {
            drawing.tries(self.clock.monotonic());
            let ordered = self.store.order(order.clone()).await?;
            let Ordered::Refused(Refusal::SoldOut(_)) = ordered else { return Ok(ordered) };
            if !self.after_sold_out(&mut drawing).await? {
                return Ok(ordered);
            }
        }
    }
}

fn saga(wanted: &Wanted, bucket: Bucket, now: Timestamp) -> OrderSaga {
    let gid = order_gid(&bucket, &wanted.order);
    let Wanted { sale, buyer, cart, .. } = wanted;
    let lines = cart.lines();
    let payload = if sale.steps.is_empty() { Vec::new() } else { payload(wanted, &gid) };
    let mut steps = Vec::with_capacity(lines.len() + sale.steps.len());
    steps.extend(lines.iter().map(|line| StepUrls {
        action: stock_url(sale, line, buyer),
        // What the line took is given back by the script that stores the decision.
        compensate: String::new(),
    }));
    steps.extend(sale.steps.iter().cloned());
    let body = body(&gid, &steps, lines.len(), &payload, sale);
    let sent = Bytes::from(payload);
    let payloads = (0..steps.len())
        .map(|step| if step < lines.len() { Bytes::new() } else { sent.clone() })
        .collect();
    let spec = Spec {
        gid,
        mode: Mode::Saga,
        protocol: Protocol::Http,
        steps,
        branch_ids: Vec::new(),
        payloads,
        query_prepared: String::new(),
        options: Options { timeout_to_fail: Some(sale.hold), ..Options::default() },
        custom_data: String::new(),
        concurrent: false,
        orders: Orders::default(),
        delay: std::time::Duration::ZERO,
        resume: Resume::default(),
        registered: Vec::new(),
    };
    let status = if sale.steps.is_empty() { Status::Succeed } else { Status::Submitted };
    let mut state = State::new(status, spec.row_count());
    for step in 0..lines.len() {
        if let Some(row) = state.rows.get_mut(spec.action_row(step)) {
            row.progress = Progress::Succeeded;
            row.finished_at = Some(now);
        }
    }
    OrderSaga { bucket, spec: Arc::new(spec), body: body.into(), state }
}

/// The request that a client would submit for it, so that it is read again like any other.
fn body(gid: &Gid, steps: &[StepUrls], n_lines: usize, payload: &[u8], sale: &Sale) -> Vec<u8> {
    let mut sent = Vec::with_capacity(payload.len() * 3 / 2);
    push_text(&mut sent, payload);
    let mut body = Vec::with_capacity(192 + steps.len() * (128 + sent.len()));
    // The gid is of ids, which are of plain letters.
    push(&mut body, [r#"{"gid":""#, gid.as_str(), r#"","trans_type":"saga","steps":["#]);
    for (number, StepUrls { action, compensate }) in steps.iter().enumerate() {
        push(&mut body, [if number == 0 { r#"{"action":"# } else { r#",{"action":"# }]);
        push_text(&mut body, action.as_bytes());
        push(&mut body, [r#","compensate":"#]);
        push_text(&mut body, compensate.as_bytes());
        body.push(b'}');
    }
    push(&mut body, [r#"],"payloads":["#]);
    for number in 0..steps.len() {
        if number > 0 {
            body.push(b',');
        }
        body.extend_from_slice(if number < n_lines { br#""""# } else { &sent });
    }
    push(&mut body, [r#"],"timeout_to_fail":"#, &sale.hold.as_secs().to_string(), "}"]);
    body
}

/// What the steps of an order are sent.
fn payload(wanted: &Wanted, gid: &Gid) -> Vec<u8> {
    let Wanted { sale, order, buyer, cart, data } = wanted;
    let data = data.as_deref().map_or("null", RawValue::get);
    let mut payload = Vec::with_capacity(256 + cart.lines().len() * 64 + data.len());
    // The ids are of plain letters: only a buyer may need escaping.
    push(&mut payload, [r#"{"sale":""#, sale.id.as_str(), r#"","order_id":""#, order.as_str()]);
    push(&mut payload, [r#"","gid":""#, gid.as_str(), r#"","buyer":"#]);
    push_text(&mut payload, buyer.as_str().as_bytes());
    push(&mut payload, [r#","items":["#]);
    for (number, Line { item, take }) in cart.lines().iter().enumerate() {
        let start = if number == 0 { r#"{"id":""# } else { r#",{"id":""# };
        push(&mut payload, [start, item.as_str(), r#"","take":"#, &take.to_string(), "}"]);
    }
    push(&mut payload, [r#"],"data":"#, data, "}"]);
    payload
}

fn push<const N: usize>(json: &mut Vec<u8>, pieces: [&str; N]) {
    for piece in pieces {
        json.extend_from_slice(piece.as_bytes());
    }
}

/// Adds `text`, which is UTF-8, as JSON has it.
fn push_text(json: &mut Vec<u8>, text: &[u8]) {
    let is_escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    // All bytes are looked at, and no loop is left early: so many are looked at at once.
    if text.iter().fold(false, |is_any, &byte| is_any | is_escaped(byte)) {
        // Writing to a buffer cannot fail, and any text is JSON.
        let _ = serde_json::to_writer(json, &String::from_utf8_lossy(text));
    } else {
        json.push(b'"');
        json.extend_from_slice(text);
        json.push(b'"');
    }
}

fn stock_url(sale: &Sale, line: &Line, buyer: &Buyer) -> String {
    let url = StockUrl { sale: sale.id.clone(), line: line.clone(), buyer: buyer.clone() };
    let mut text = String::with_capacity(96 + buyer.as_str().len());
    // Writing to a string cannot fail.
    let _ = write!(text, "{url}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::flash::{ItemId, SaleId, SaleItem},
        wire::read_stored,
    };

    fn wanted(n_steps: usize, data: Option<&str>) -> Wanted {
        let step = |number: usize| StepUrls {
            action: format!("http://shop/{number}?a=\"b\""),
            compensate: format!("http://shop/undo{number}"),
        };
        let item = |id: &str| ItemId::new(id).unwrap();
        let sale = Sale {
            id: SaleId::new("spring").unwrap(),
            version: 1,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            is_closed: false,
            opens_at: None,
            closes_at: None,
            hold: std::time::Duration::from_mins(15),
            limit: None,
            items: vec![SaleItem { id: item("shoe"), supply: 9, limit: None }],
            steps: (0..n_steps).map(step).collect(),
            buckets: 1,
            orders_in_work_max: 100_000,
        };
        let line = |id: &str, take| Line { item: item(id), take };
        Wanted {
            sale: Arc::new(sale),
            order: OrderId::new("o-1").unwrap(),
            buyer: Buyer::new("jane & \"joe\"/ü").unwrap(),
            cart: Cart::new(vec![line("shoe", 2), line("hat", 1)]).unwrap(),
            data: data.map(|data| RawValue::from_string(data.to_owned()).unwrap()),
        }
    }

    fn bucket() -> Bucket {
        Bucket { sale: SaleId::new("spring").unwrap(), shard: 7 }
    }

    #[test]
    fn a_text_is_the_same_json_whether_it_is_escaped_or_not() {
        for char in (0..0x300).filter_map(char::from_u32) {
            for text in [format!("a{char}b"), format!("\"a\\{char}\"")] {
                let mut json = Vec::new();
                push_text(&mut json, text.as_bytes());
                assert_eq!(json, serde_json::to_vec(&text).unwrap(), "{char:?}");
            }
        }
    }

    #[test]
    fn what_is_stored_reads_as_the_saga_that_it_was() {
        for n_steps in 0..3 {
            for data in [None, Some("{\"note\": \"\\\"quoted\\\"\\n\"}")] {
                let wanted = wanted(n_steps, data);
                let gid = Gid::new("flash:spring:o-1~07").unwrap();
                let now = Timestamp::from_us(7_000_000);
                let saga = saga(&wanted, bucket(), now);
                let read = read_stored(&saga.body, None, &gid).unwrap();
                assert_eq!(*saga.spec, read, "{}", String::from_utf8_lossy(&saga.body));
                assert_eq!(saga.state.status.is_final(), n_steps == 0);
                assert_eq!(saga.state.rows.len(), read.row_count());
                let n_done = saga.state.rows.iter().filter(|row| row.finished_at == Some(now));
                assert_eq!(n_done.count(), 2);
            }
        }
    }

    #[test]
    fn steps_are_told_of_the_order_and_a_buyer_is_escaped_in_a_url() {
        let wanted = wanted(1, Some("[1]"));
        let saga = saga(&wanted, bucket(), Timestamp::default());
        assert_eq!(
            saga.spec.steps[0].action,
            "stock://spring/shoe?take=2&buyer=jane%20%26%20%22joe%22%2F%C3%BC"
        );
        assert_eq!(
            String::from_utf8_lossy(&saga.spec.payloads[2]),
            r#"{"sale":"spring","order_id":"o-1","gid":"flash:spring:o-1~07","buyer":"jane & \"joe\"/ü","items":[{"id":"shoe","take":2},{"id":"hat","take":1}],"data":[1]}"#
        );
    }
}
