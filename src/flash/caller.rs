//! Calls branches: those of stock in the sale's own bucket, all others by another caller.

use std::sync::Arc;

use super::{Flash, StockBranch};
use crate::{
    branch::Caller,
    clock::Clock,
    model::{
        BranchCall, Op, Outcome, Protocol,
        flash::{STOCK_SCHEME, StockUrl},
    },
    store::{
        Store, StoreError,
        flash::{FlashStore, Refusal, Reserved, Settle, Settled},
    },
    telemetry::metrics::Metrics,
};

/// A caller that knows `stock://`, and leaves every other URL to `others`.
///
/// A branch's action holds its units, its confirm sells them, its compensation or cancel gives them
/// back. Each takes effect once, however often it is called, and a compensation that comes first bars
/// the action that comes late.
pub struct StockCaller<C, S, K> {
    others: C,
    flash: Arc<Flash<S, K>>,
    clock: Arc<K>,
    metrics: Arc<Metrics>,
}

impl<C: Caller, S: Store + FlashStore, K: Clock> StockCaller<C, S, K> {
    /// Over the sales of one store, beside `others`.
    pub fn new(others: C, flash: Arc<Flash<S, K>>, clock: Arc<K>, metrics: Arc<Metrics>) -> Self {
        Self { others, flash, clock, metrics }
    }

    async fn call_stock(&self, call: &BranchCall<'_>, url: StockUrl) -> Outcome {
        let StockUrl { sale, line, buyer } = url;
        let branch = StockBranch {
            sale,
            line,
            buyer,
            gid: call.gid.clone(),
            branch_id: call.branch_id.to_owned(),
        };
        match call.op {
            Op::Action => held(&branch, self.flash.hold(&branch).await),
            Op::Confirm => sold(self.flash.settle(&branch, Settle::Sell).await),
            Op::Compensate | Op::Cancel => {
                released(self.flash.settle(&branch, Settle::Release).await)
            }
            Op::QueryPrepared | Op::Commit | Op::Rollback | Op::Resume | Op::Recorded => {
                Outcome::Unknown(format!("{STOCK_SCHEME} has no answer to {}", call.op_word))
            }
        }
    }
}

impl<C: Caller, S: Store + FlashStore, K: Clock> Caller for StockCaller<C, S, K> {
    async fn call(&self, call: &BranchCall<'_>) -> Outcome {
        let url = match StockUrl::read(call.url) {
            None => return self.others.call(call).await,
            Some(Err(why)) => return Outcome::Unknown(format!("the URL {why}")),
            Some(Ok(url)) => url,
        };
        let began = self.clock.monotonic();
        // Each call of Redis in it has a bound of its own.
        let outcome = Box::pin(self.call_stock(call, url)).await;
        let lasted = self.clock.monotonic().saturating_sub(began);
        self.metrics.branch_call(call.op, &outcome, lasted);
        outcome
    }

    fn check_url(&self, url: &str, protocol: Protocol) -> Result<(), String> {
        match StockUrl::read(url) {
            None => self.others.check_url(url, protocol),
            Some(read) => read.map(drop).map_err(|why| why.to_string()),
        }
    }

    fn check_payload(&self, url: &str, protocol: Protocol, payload: &[u8]) -> Result<(), String> {
        if url.starts_with(STOCK_SCHEME) {
            // It is not sent to anybody.
            return Ok(());
        }
        self.others.check_payload(url, protocol, payload)
    }
}

/// What a hold means: what the sale refuses is refused for good, as by any participant.
fn held(branch: &StockBranch, reserved: Result<Reserved, StoreError>) -> Outcome {
    let refused = |word: &str, told: String| Outcome::Failure(format!("{word}: {told}"));
    let StockBranch { sale, line, .. } = branch;
    let refusal = match reserved {
        Ok(Reserved::Held) => return Outcome::Success,
        Ok(Reserved::Released) => {
            return refused("released", "its units were given back before".to_owned());
        }
        Ok(Reserved::OtherContent) => {
            return refused("other_content", "the branch holds other units already".to_owned());
        }
        Ok(Reserved::Refused(refusal)) => refusal,
        Err(error) => return Outcome::Unknown(error.to_string()),
    };
    match refusal {
        Refusal::UnknownSale => refused("unknown_sale", format!("there is no sale {sale}")),
        Refusal::UnknownItem(item) => {
            refused("unknown_item", format!("the sale {sale} has no item {item}"))
        }
        Refusal::NotOpen => refused("not_open", format!("the sale {sale} has not begun")),
        Refusal::Closed => refused("closed", format!("the sale {sale} is over")),
        Refusal::LimitReached(_) => refused(
            "limit_reached",
            format!("{} of {} are more than one buyer may have", line.take, line.item),
        ),
        Refusal::SoldOut(item) => refused("sold_out", format!("too few of {item} are left")),
        // It passes.
        Refusal::Crowded => {
            Outcome::Unknown(format!("crowded: the sale {sale} has too many orders in work"))
        }
    }
}

/// What a sale of held units means.
fn sold(settled: Result<Settled, StoreError>) -> Outcome {
    match settled {
        Ok(Settled::Done) => Outcome::Success,
        Ok(Settled::Otherwise) => {
            Outcome::Failure("released: its units were given back before".to_owned())
        }
        Ok(Settled::Missing | Settled::UnknownSale) => {
            Outcome::Failure("missing: the branch holds nothing".to_owned())
        }
        Err(error) => Outcome::Unknown(error.to_string()),
    }
}

/// What a release means. Of a sale that there is not, nothing can ever be held.
fn released(settled: Result<Settled, StoreError>) -> Outcome {
    match settled {
        Ok(Settled::Done | Settled::Missing | Settled::UnknownSale) => Outcome::Success,
        Ok(Settled::Otherwise) => Outcome::Failure("sold: its units were sold before".to_owned()),
        Err(error) => Outcome::Unknown(error.to_string()),
    }
}
