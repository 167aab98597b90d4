//! What can be asked of the store in these runs, as values: so that a command can be sent twice, late
//! or without anybody who hears the answer.

use std::time::Duration;

use tandem::{
    model::{Gid, Timestamp, Token},
    store::{
        Changed, Record, Recorded, TakeReply,
        flash::{Define, Order, Ordered, Reserve, Reserved, Settle, Settled, Transfer},
    },
};

use crate::support::model_rules::{Hold, Tables};

/// A hold that is not renewed ends after this span.
pub(super) const LEASE: Duration = Duration::from_secs(3);

/// One command.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Define(Define),
    Order(Box<Order>),
    Hold(Reserve),
    Settle(Reserve, Settle),
    Record(Record, Hold),
    ForceStop(Gid, Token),
    ClaimDue,
    Take(Gid, Timestamp, Token),
    Give(Transfer, u64),
    Receive(Transfer, u64),
    Acknowledge(Transfer),
}

/// Its answer.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Done,
    Ordered(Ordered),
    Reserved(Reserved),
    Settled(Settled),
    Recorded(Recorded),
    Changed(Changed),
    Claimed(Vec<(Gid, Timestamp)>),
    Taken(TakeReply),
    Given(u64),
}

impl Command {
    /// What it is, for people.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Order(order) => {
                format!("order {} of {} by {}", order.spec.gid, order.buyer, order.token)
            }
            Self::Record(record, hold) => {
                format!("{:?} of {} n {}: {hold:?}", record.state.status, record.gid, record.n)
            }
            Self::Define(_)
            | Self::Hold(_)
            | Self::Settle(..)
            | Self::ForceStop(..)
            | Self::ClaimDue
            | Self::Take(..)
            | Self::Give(..)
            | Self::Receive(..)
            | Self::Acknowledge(_) => format!("{self:?}"),
        }
    }

    /// What it does at `now`.
    pub(super) fn execute(&self, tables: &mut Tables, now: Timestamp) -> Reply {
        let flash = &mut tables.flash;
        match self {
            Self::Define(define) => {
                flash.bucket_or_new(&define.bucket).define(&define.sale, define.number, now);
                Reply::Done
            }
            Self::Order(order) => Reply::Ordered(tables.order(order, now)),
            Self::Hold(reserve) => {
                Reply::Reserved(flash.bucket_or_new(&reserve.bucket).hold(reserve, now))
            }
            Self::Settle(reserve, how) => {
                Reply::Settled(flash.bucket_or_new(&reserve.bucket).settle(reserve, *how, now))
            }
            Self::Record(record, hold) => Reply::Recorded(tables.record(record, *hold, now)),
            Self::ForceStop(gid, token) => Reply::Changed(tables.force_stop(gid, token, now)),
            Self::ClaimDue => {
                let claimed = tables.claim_due(|_| true, LEASE, 3, now);
                Reply::Claimed(claimed.due.into_iter().map(|it| (it.gid, it.score)).collect())
            }
            Self::Take(gid, score, token) => Reply::Taken(tables.take(gid, *score, token, now)),
            Self::Give(transfer, most) => {
                Reply::Given(flash.bucket_or_new(&transfer.from).give(transfer, *most, now))
            }
            Self::Receive(transfer, units) => {
                flash.bucket_or_new(&transfer.to).receive(transfer, *units, now);
                Reply::Done
            }
            Self::Acknowledge(transfer) => {
                flash.bucket_or_new(&transfer.from).acknowledge(transfer);
                Reply::Done
            }
        }
    }
}
