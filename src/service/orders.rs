//! orders: a flash sale's order is taken and stored by one script, and answered; its steps then run
//! as any saga's.

use std::{sync::Arc, time::Duration};

use super::{Service, ServiceError, trouble, waiting::Wait};
use crate::{
    branch::Caller,
    clock::Clock,
    flash::{Flash, OrderSaga, Wanted},
    model::{
        Gid, Global, Mode, Status, Token,
        flash::{ORDER_GID_START, Sale, SaleId},
    },
    pattern::{Run, Step},
    store::{
        Store, StoreError,
        flash::{FlashStore, Order, Ordered, Refusal, RowLetter, TakenLine},
    },
    telemetry::metrics::OrderEnd,
    worker::{Held, Place},
};

/// What became of a request of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderReply {
    /// It is stored, by this request or an earlier one: the same answer to each.
    Taken {
        /// The order as a transaction.
        gid: Gid,
        /// What it took, in the cart's order.
        lines: Vec<TakenLine>,
        /// How it ended, if the client waited for that.
        result: Option<OrderResult>,
    },
    /// Nothing was taken, and nothing is stored of it.
    Refused(Refusal),
    /// The order id is another buyer's.
    OtherBuyer,
    /// The buyer's order of this id has another cart.
    OtherCart,
}

/// How an order stands when its client has waited for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderResult {
    /// All its steps are done: the units are sold.
    Succeeded,
    /// It was rolled back: the units are given back. Why is told with the transaction.
    RolledBack,
    /// It is not finished yet, or that is not known.
    Unfinished {
        /// Where it stands, as far as that is known.
        status: Option<Status>,
    },
}

/// An order about to be stored, and the round that begins with it if this node holds it.
struct Beginning {
    order: Order,
    /// The round and its first step; `None` if nothing is to be called.
    round: Option<(Run, Step)>,
}

impl<S: Store + FlashStore, C: Caller, K: Clock> Service<S, C, K> {
    /// The sale of this id, as this node last heard of it.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`] while Redis is away.
    pub async fn sale(
        &self,
        flash: &Flash<S, K>,
        id: &SaleId,
    ) -> Result<Option<Arc<Sale>>, ServiceError> {
        flash.sale(id).await.map_err(|error| trouble::before_writing(&error))
    }

    /// Takes an order and stores it, or does neither. With `waits`, answers how its first round
    /// ended.
    ///
    /// # Errors
    /// [`ServiceError::TooBusy`] when too much is under way, [`ServiceError::Unavailable`] while
    /// Redis is away; its message says whether the order may have been taken.
    pub async fn order(
        self: &Arc<Self>,
        flash: &Flash<S, K>,
        wanted: &Wanted,
        waits: bool,
    ) -> Result<OrderReply, ServiceError> {
        let saga = flash.saga(wanted);
        let has_steps = !saga.state.status.is_final();
        // What few requests need is boxed, so that the others' future stays small.
        if has_steps && self.worker.backlog() >= self.settings.backlog_max {
            Box::pin(self.check_backlog(&saga.spec.gid)).await?;
        }
        let wait = waits.then(|| self.wait(Status::Succeed));
        let place = match &wait {
            _ if !has_steps => None,
            Some(wait) => Box::pin(self.place_to_wait_for(wait)).await?,
            None => self.worker.try_place(),
        };
        let gid = saga.spec.gid.clone();
        let deadline = self.worker.deadline();
        let Beginning { order, round } = self.order_beginning(wanted, saga, place.is_some());
        let token = order.token.clone();
        let ordered = flash.order(&wanted.sale, order).await;
        self.metrics.flash_order(end_of(&ordered));
        match ordered.map_err(|error| trouble::writing(&error))? {
            Ordered::Taken { created_at, lines, held } => {
                self.metrics.accepted(Mode::Saga, Status::Submitted);
                let result = match (round, place) {
                    (Some((mut run, first)), Some(place)) if held => {
                        run.set_created_at(created_at);
                        let stored_version = run.version();
                        let held = Held { run, first: Some(first), stored_version, n: 1 };
                        self.begin_order(place, token, deadline, held, wait).await
                    }
                    _ if !has_steps => {
                        self.metrics.finished(Mode::Saga, Status::Succeed, Duration::ZERO);
                        wait.map(|_| OrderResult::Succeeded)
                    }
                    _ => {
                        self.worker.expect(&gid, created_at);
                        self.result_elsewhere(&gid, wait).await
                    }
                };
                Ok(OrderReply::Taken { gid, lines, result })
            }
            Ordered::Again { lines, letter } => {
                // It needs no place; whoever holds it goes on.
                drop(place);
                let result = match self.result_elsewhere(&gid, wait).await {
                    Some(OrderResult::Unfinished { status: None }) => Some(result_by_row(letter)),
                    result => result,
                };
                Ok(OrderReply::Taken { gid, lines, result })
            }
            Ordered::OtherBuyer => Ok(OrderReply::OtherBuyer),
            Ordered::OtherCart => Ok(OrderReply::OtherCart),
            Ordered::Refused(refusal) => Ok(OrderReply::Refused(refusal)),
        }
    }

    /// The order as it is to be stored; its first calls are marked if this node is to hold it.
    fn order_beginning(&self, wanted: &Wanted, saga: OrderSaga, is_held: bool) -> Beginning {
        let OrderSaga { bucket, spec, body, mut state } = saga;
        let settings = self.worker.settings();
        let now = self.clock.redis_now();
        let round = is_held.then(|| {
            let global = Global { spec: Arc::clone(&spec), created_at: now, state: state.clone() };
            let mut run = Run::new(global, settings.policy);
            let first = run.next(now);
            state = run.global().state.clone();
            (run, first)
        });
        let order = Order {
            token: self.worker.next_token(),
            bucket,
            order: wanted.order.clone(),
            buyer: wanted.buyer.clone(),
            cart: wanted.cart.clone(),
            spec,
            body,
            state,
            created_at_estimate: now,
            held: is_held,
            lease: settings.lease,
        };
        Beginning { order, round }
    }

    async fn begin_order(
        self: &Arc<Self>,
        place: Place,
        token: Token,
        deadline: Duration,
        held: Held,
        wait: Option<Wait>,
    ) -> Option<OrderResult> {
        let gid = held.run.global().gid().clone();
        let end = self.worker.begin(place, token, deadline, held);
        let wait = wait?;
        let result = async {
            let waited = self.result_of(&gid, end, &wait).await;
            self.order_result(&gid, waited).await
        };
        Some(Box::pin(result).await)
    }

    async fn result_elsewhere(&self, gid: &Gid, wait: Option<Wait>) -> Option<OrderResult> {
        let wait = wait?;
        let result = async {
            let waited = self.result_by_asking(gid, &wait).await;
            self.order_result(gid, waited).await
        };
        Some(Box::pin(result).await)
    }

    async fn order_result(&self, gid: &Gid, waited: Result<(), ServiceError>) -> OrderResult {
        match waited {
            Ok(()) => OrderResult::Succeeded,
            Err(ServiceError::Failure(_)) => OrderResult::RolledBack,
            // The order is stored, whatever went wrong since then.
            Err(_) => self.order_status(gid).await,
        }
    }

    async fn order_status(&self, gid: &Gid) -> OrderResult {
        let found = self.store.query(gid).await.ok().flatten();
        match found.map(|stored| stored.global.state) {
            Some(state) if state.status == Status::Succeed => OrderResult::Succeeded,
            Some(state) if state.status == Status::Failed => OrderResult::RolledBack,
            Some(state) => OrderResult::Unfinished { status: Some(state.status) },
            None => OrderResult::Unfinished { status: None },
        }
    }
}

/// How an order stands whose transaction has expired, or cannot be asked for: its row outlives it.
fn result_by_row(letter: RowLetter) -> OrderResult {
    match letter {
        RowLetter::Sold => OrderResult::Succeeded,
        RowLetter::Released => OrderResult::RolledBack,
        RowLetter::Held => OrderResult::Unfinished { status: None },
    }
}

/// Only tandem makes orders: a client's own transaction must not be taken for one.
///
/// # Errors
/// When `gid` begins as an order's.
pub(super) fn refuse_order_gid(gid: &Gid) -> Result<(), ServiceError> {
    if gid.as_str().starts_with(ORDER_GID_START) {
        return Err(ServiceError::Invalid(format!(
            "gid: one that begins with {ORDER_GID_START:?} is an order's of a flash sale, which \
             only POST /api/flash/sales/SALE/orders makes; choose another one"
        )));
    }
    Ok(())
}

fn end_of(ordered: &Result<Ordered, StoreError>) -> OrderEnd {
    match ordered {
        Ok(Ordered::Taken { .. }) => OrderEnd::Taken,
        Ok(Ordered::Again { .. }) => OrderEnd::Again,
        Ok(Ordered::OtherBuyer | Ordered::OtherCart) => OrderEnd::Refused,
        Ok(Ordered::Refused(refusal)) => match refusal {
            Refusal::SoldOut(_) => OrderEnd::SoldOut,
            Refusal::LimitReached(_) => OrderEnd::LimitReached,
            Refusal::NotOpen | Refusal::Closed => OrderEnd::NotOpen,
            Refusal::Crowded => OrderEnd::Crowded,
            Refusal::UnknownSale | Refusal::UnknownItem(_) => OrderEnd::Refused,
        },
        Err(_) => OrderEnd::Error,
    }
}
