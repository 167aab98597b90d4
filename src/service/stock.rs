//! Stock of flash sales that branches of other transactions hold: asked for over HTTP, and given back
//! when a transaction is stopped by force.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Service, ServiceError, trouble};
use crate::{
    branch::Caller,
    clock::Clock,
    model::{
        BranchCall, Gid, Mode, Op, Outcome, Protocol, Spec,
        flash::{ORDER_GID_START, STOCK_SCHEME},
    },
    store::Store,
};

/// Releases that one request has under way.
const RELEASES_AT_ONCE: usize = 64;

/// What is asked of one branch of stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockCall {
    /// The transaction.
    pub gid: Gid,
    /// Which of its branches.
    pub branch_id: String,
    /// Hold (action), sell (confirm) or give back (compensate, cancel).
    pub op: Op,
    /// `stock://…`: what it takes, for whom.
    pub url: String,
}

impl<S: Store, C: Caller, K: Clock> Service<S, C, K> {
    /// Does what `call` asks, once, however often it is asked.
    ///
    /// # Errors
    /// [`ServiceError::Failure`] when the sale refuses it for good; [`ServiceError::Unavailable`]
    /// when nobody knows whether it was done.
    pub async fn stock(&self, call: &StockCall) -> Result<(), ServiceError> {
        static NOTHING: Bytes = Bytes::new();
        let call = BranchCall {
            gid: &call.gid,
            mode: Mode::Tcc,
            branch_id: &call.branch_id,
            op: call.op,
            op_word: call.op.as_str(),
            url: &call.url,
            protocol: Protocol::Http,
            payload: &NOTHING,
            headers: None,
            timeout: self.worker.settings().policy.request_timeout,
        };
        match self.caller.call(&call).await {
            Outcome::Success => Ok(()),
            Outcome::Failure(message) => Err(ServiceError::Failure(message)),
            Outcome::Ongoing => Err(ServiceError::Ongoing("it is not finished".to_owned())),
            Outcome::Busy => Err(ServiceError::TooBusy {
                message: "too many calls are under way: come again later".to_owned(),
                retry_after: trouble::RETRY_AFTER,
            }),
            Outcome::Unknown(text) => Err(ServiceError::Unavailable {
                message: format!("{text}: repeat the request"),
                retry_after: trouble::RETRY_AFTER,
            }),
        }
    }

    /// Gives back what the branches of `spec`, which was stopped by force, hold; what they have sold
    /// stays sold. A hold that is under way still is barred by it.
    ///
    /// # Errors
    /// When not all is known to be given back: the request must be repeated.
    pub(super) async fn give_back(&self, spec: &Spec) -> Result<(), ServiceError> {
        let gid = &spec.gid;
        let releases = held_by(spec).into_iter().map(|(branch_id, url)| {
            let call = StockCall { gid: gid.clone(), branch_id, op: Op::Compensate, url };
            async move { (self.stock(&call).await, call) }
        });
        stream::iter(releases)
            .buffer_unordered(RELEASES_AT_ONCE)
            .map(|(released, call)| match released {
                Ok(()) => Ok(()),
                Err(ServiceError::Failure(why)) => {
                    tracing::warn!(
                        gid = %gid.printable(),
                        branch = call.branch_id,
                        why,
                        "stopped by force after its units were sold: they stay sold"
                    );
                    Ok(())
                }
                Err(error) => Err(ServiceError::Unavailable {
                    message: format!(
                        "it is stopped, but units that it holds may not be given back yet: {error}"
                    ),
                    retry_after: trouble::RETRY_AFTER,
                }),
            })
            .try_collect()
            .await
    }
}

/// Each branch that may hold units, with its URL. An order's are settled with the order itself.
fn held_by(spec: &Spec) -> BTreeSet<(String, String)> {
    if spec.gid.as_str().starts_with(ORDER_GID_START) {
        return BTreeSet::new();
    }
    (0..spec.row_count())
        .filter(|&row| spec.url(row).starts_with(STOCK_SCHEME))
        .filter_map(|row| spec.branch(row))
        .map(|branch| (branch.branch_id, branch.url.to_owned()))
        .collect()
}
