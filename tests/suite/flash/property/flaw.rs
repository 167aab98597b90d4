//! Flaws put between the nodes and the table: a property that finds nothing proves nothing.

use tandem::{
    model::{Timestamp, flash::Line},
    store::flash::{Ordered, Refusal, Reserve, RowLetter, Settle},
};

use crate::{
    flash::table::{RowId, Table},
    support::model_rules::Tables,
};

use super::command::{Command, Reply};

/// A rule that is broken in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// What a buyer has is not counted when more is taken.
    LimitNotCounted,
    /// A release that is repeated gives back once more.
    ReleasedTwice,
    /// Whether anything is left is asked before whether the order is stored already.
    StockBeforeRepeat,
    /// What arrived is forgotten.
    ReceivedTwice,
    /// What was given and is acknowledged is forgotten.
    GivenTwice,
    /// What came back can be taken at once.
    ReopeningIgnored,
    /// The end of an order's transaction leaves its row as it is.
    TurnDoesNotSettle,
    /// A release of what never held leaves no trace.
    EmptyReleaseForgotten,
    /// An older definition is taken over, too.
    OldDefinitionWins,
    /// A node says "sold out" from memory to whoever asks.
    MemoryForgetsHolders,
    /// A node says so for two seconds.
    MemoryLastsTooLong,
    /// A node does not ask who took units that came back since it read who holds some.
    MemoryForgetsLateTakers,
}

impl Flaw {
    /// Every flaw.
    pub(super) const ALL: [Self; 12] = [
        Self::LimitNotCounted,
        Self::ReleasedTwice,
        Self::StockBeforeRepeat,
        Self::ReceivedTwice,
        Self::GivenTwice,
        Self::ReopeningIgnored,
        Self::TurnDoesNotSettle,
        Self::EmptyReleaseForgotten,
        Self::OldDefinitionWins,
        Self::MemoryForgetsHolders,
        Self::MemoryLastsTooLong,
        Self::MemoryForgetsLateTakers,
    ];

    /// Executes `command` with this rule broken.
    pub(super) fn execute(self, command: &Command, tables: &mut Tables, now: Timestamp) -> Reply {
        match (self, command) {
            (Self::LimitNotCounted, Command::Order(_) | Command::Hold(_)) => {
                without_limits(command, tables, now)
            }
            (Self::StockBeforeRepeat, Command::Order(order)) => {
                match tables.flash.bucket(&order.bucket) {
                    Some(table) if is_dry(table, order.cart.lines(), now) => {
                        let item = order.cart.lines()[0].item.clone();
                        Reply::Ordered(Ordered::Refused(Refusal::SoldOut(item)))
                    }
                    Some(_) | None => command.execute(tables, now),
                }
            }
            (Self::TurnDoesNotSettle, Command::Record(..)) => {
                let buckets = tables.flash.buckets.clone();
                let reply = command.execute(tables, now);
                tables.flash.buckets = buckets;
                reply
            }
            (Self::EmptyReleaseForgotten, Command::Settle(reserve, Settle::Release)) => {
                let reply = command.execute(tables, now);
                tables
                    .flash
                    .bucket_or_new(&reserve.bucket)
                    .rows
                    .retain(|_, row| !row.lines.is_empty());
                reply
            }
            _ => {
                self.forget(command, tables);
                command.execute(tables, now)
            }
        }
    }

    /// Takes from the table what it must not have forgotten.
    fn forget(self, command: &Command, tables: &mut Tables) {
        let flash = &mut tables.flash;
        match (self, command) {
            (Self::ReleasedTwice, Command::Settle(reserve, Settle::Release)) => {
                if let Some(row) = flash.bucket(&reserve.bucket).and_then(|table| {
                    table.rows.get_mut(&branch(reserve)).filter(|row| !row.lines.is_empty())
                }) {
                    row.letter = RowLetter::Held;
                }
            }
            (Self::ReceivedTwice, Command::Receive(transfer, _)) => {
                if let Some(table) = flash.bucket(&transfer.to) {
                    table.received.remove(transfer.id.as_str());
                }
            }
            (Self::GivenTwice, Command::Give(transfer, _)) => {
                if let Some(table) = flash.bucket(&transfer.from) {
                    table.acknowledged.remove(transfer.id.as_str());
                }
            }
            (Self::OldDefinitionWins, Command::Define(define)) => {
                if let Some(table) = flash.bucket(&define.bucket) {
                    table.head.version = define.sale.version - 1;
                }
            }
            (Self::ReopeningIgnored, _) => {
                for item in flash.buckets.values_mut().flat_map(|t| t.items.values_mut()) {
                    let at_once = |at: &mut Timestamp| *at = Timestamp::from_us(1);
                    item.reopens_at.iter_mut().for_each(at_once);
                }
            }
            _ => {}
        }
    }
}

fn without_limits(command: &Command, tables: &mut Tables, now: Timestamp) -> Reply {
    let buyers: Vec<_> = tables
        .flash
        .buckets
        .values_mut()
        .map(|table| {
            let limits: Vec<_> = table.items.values_mut().map(|it| it.limit.take()).collect();
            (table.head.limit.take(), limits)
        })
        .collect();
    let reply = command.execute(tables, now);
    for (table, (limit, limits)) in tables.flash.buckets.values_mut().zip(buyers) {
        table.head.limit = limit;
        for (item, limit) in table.items.values_mut().zip(limits) {
            item.limit = limit;
        }
    }
    reply
}

fn is_dry(table: &Table, lines: &[Line], now: Timestamp) -> bool {
    let has_too_few = |line: &Line| {
        table.items.get(&line.item).is_some_and(|item| item.for_sale(now) < line.take)
    };
    lines.iter().any(has_too_few)
}

fn branch(reserve: &Reserve) -> RowId {
    RowId::Branch { gid: reserve.gid.clone(), branch_id: reserve.branch_id.clone() }
}
