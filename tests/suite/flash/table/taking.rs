//! Units are taken by a row, held, and sold or given back.

use std::collections::BTreeMap;

use tandem::{
    model::{
        Timestamp,
        flash::{Buyer, Cart, Line, OrderId},
    },
    store::flash::{Refusal, Reserve, Reserved, RowLetter, Settle, Settled, TakenLine},
};

use super::{Row, RowId, Table};

/// What became of an order's lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Took {
    Now(Vec<TakenLine>),
    /// An earlier request of this buyer and cart did.
    Before(Vec<TakenLine>, RowLetter),
    OtherBuyer,
    OtherCart,
    Refused(Refusal),
}

impl Table {
    /// Takes what is in the cart, all of it or nothing. An earlier order of this id comes before
    /// every test: its buyer is told what it took then, also when nothing is left. One that is
    /// finished when it is stored has bought its units.
    pub(crate) fn order(
        &mut self,
        (order, buyer, cart): (&OrderId, &Buyer, &Cart),
        is_finished: bool,
        now: Timestamp,
    ) -> Took {
        let id = RowId::Order(order.clone());
        if let Some(row) = self.rows.get(&id) {
            return if row.buyer != *buyer {
                Took::OtherBuyer
            } else if !row.took(cart.lines()) {
                Took::OtherCart
            } else {
                Took::Before(row.lines.clone(), row.letter)
            };
        }
        if let Some(refusal) = self.refusal(buyer, cart.lines(), now) {
            return Took::Refused(refusal);
        }
        let lines = self.take(id, buyer, cart.lines());
        self.orders += 1;
        self.in_work += 1;
        if is_finished {
            self.turn(order, RowLetter::Sold, now);
        }
        Took::Now(lines)
    }

    /// The order's transaction is decided, or over.
    pub(crate) fn turn(&mut self, order: &OrderId, letter: RowLetter, now: Timestamp) {
        let leaves = self.end_row(&RowId::Order(order.clone()), letter, now);
        self.in_work = self.in_work.saturating_sub(u64::from(leaves));
    }

    /// Takes the line of a branch of some transaction.
    pub(crate) fn hold(&mut self, reserve: &Reserve, now: Timestamp) -> Reserved {
        let id = row_id(reserve);
        let lines = std::slice::from_ref(&reserve.line);
        match self.rows.get(&id) {
            Some(row) if row.letter == RowLetter::Released => return Reserved::Released,
            Some(row) if row.buyer == reserve.buyer && row.took(lines) => return Reserved::Held,
            Some(_) => return Reserved::OtherContent,
            None => {}
        }
        if let Some(refusal) = self.refusal(&reserve.buyer, lines, now) {
            return Reserved::Refused(refusal);
        }
        self.take(id, &reserve.buyer, lines);
        Reserved::Held
    }

    /// Ends the reservation of a branch. A release of what never held bars it: its hold may be under
    /// way still.
    pub(crate) fn settle(&mut self, reserve: &Reserve, how: Settle, now: Timestamp) -> Settled {
        if self.head.version == 0 {
            return Settled::UnknownSale;
        }
        let id = row_id(reserve);
        let letter = match how {
            Settle::Sell => RowLetter::Sold,
            Settle::Release => RowLetter::Released,
        };
        match self.rows.get(&id).map(|row| row.letter) {
            None if how == Settle::Sell => return Settled::Missing,
            None => {
                let buyer = reserve.buyer.clone();
                self.rows.insert(id, Row { letter, buyer, lines: Vec::new() });
            }
            Some(RowLetter::Held) => {
                self.end_row(&id, letter, now);
            }
            Some(other) if other != letter => return Settled::Otherwise,
            Some(_) => {}
        }
        Settled::Done
    }

    /// Why nothing can be taken. The first test that fails says so.
    fn refusal(&self, buyer: &Buyer, lines: &[Line], now: Timestamp) -> Option<Refusal> {
        let head = &self.head;
        if head.version == 0 {
            return Some(Refusal::UnknownSale);
        }
        if head.is_closed || head.closes_at.is_some_and(|at| now >= at) {
            return Some(Refusal::Closed);
        }
        if head.opens_at.is_some_and(|at| now < at) {
            return Some(Refusal::NotOpen);
        }
        let unknown = lines.iter().find(|line| !self.items.contains_key(&line.item));
        if let Some(line) = unknown {
            return Some(Refusal::UnknownItem(line.item.clone()));
        }
        let is_above_limit = |line: &&Line| {
            let limit = self.items.get(&line.item).and_then(|item| item.limit);
            limit.is_some_and(|limit| self.units_of(buyer, &line.item) + line.take > limit)
        };
        if let Some(line) = lines.iter().find(is_above_limit) {
            return Some(Refusal::LimitReached(Some(line.item.clone())));
        }
        let wanted: u64 = lines.iter().map(|line| line.take).sum();
        if head.limit.is_some_and(|limit| self.all_units_of(buyer) + wanted > limit) {
            return Some(Refusal::LimitReached(None));
        }
        if head.in_work_max > 0 && self.in_work >= head.in_work_max {
            return Some(Refusal::Crowded);
        }
        let is_too_few = |line: &&Line| {
            self.items.get(&line.item).is_none_or(|item| item.for_sale(now) < line.take)
        };
        lines.iter().find(is_too_few).map(|line| Refusal::SoldOut(line.item.clone()))
    }

    /// Units leave `available` only here, and only with a row.
    fn take(&mut self, id: RowId, buyer: &Buyer, lines: &[Line]) -> Vec<TakenLine> {
        let units = self.buyers.entry(buyer.clone()).or_default();
        let mut taken = Vec::with_capacity(lines.len());
        let mut is_late = false;
        for Line { item: id, take } in lines {
            let Some(item) = self.items.get_mut(id) else { continue };
            is_late |= item.reopens_at.is_some();
            item.available -= take;
            item.held += take;
            item.takes += 1;
            *units.entry(id.clone()).or_default() += take;
            taken.push(TakenLine { item: id.clone(), take: *take, left: item.available });
        }
        let row = Row { letter: RowLetter::Held, buyer: buyer.clone(), lines: taken.clone() };
        self.rows.insert(id, row);
        if is_late {
            self.late_takers.push(buyer.clone());
        }
        taken
    }

    /// A held row becomes `letter`; any other stays as it is. Answers whether it was held.
    fn end_row(&mut self, id: &RowId, letter: RowLetter, now: Timestamp) -> bool {
        let Some(row) = self.rows.get_mut(id).filter(|row| row.letter == RowLetter::Held) else {
            return false;
        };
        if letter == RowLetter::Held {
            return false;
        }
        row.letter = letter;
        let mut none = BTreeMap::new();
        let units = self.buyers.get_mut(&row.buyer).unwrap_or(&mut none);
        for TakenLine { item: id, take, .. } in &row.lines {
            let Some(item) = self.items.get_mut(id) else { continue };
            item.held = item.held.saturating_sub(*take);
            if letter == RowLetter::Sold {
                item.sold += take;
                continue;
            }
            item.give_back(*take, now);
            let left = units.get(id).map_or(0, |n| n.saturating_sub(*take));
            units.insert(id.clone(), left);
        }
        units.retain(|_, n| *n > 0);
        if units.is_empty() {
            self.buyers.remove(&row.buyer);
        }
        true
    }
}

impl Row {
    /// Whether it took just these lines, in whatever order they are named.
    fn took(&self, lines: &[Line]) -> bool {
        let is_taken = |line: &Line| {
            self.lines.iter().any(|taken| taken.item == line.item && taken.take == line.take)
        };
        self.lines.len() == lines.len() && lines.iter().all(is_taken)
    }
}

/// The row of a branch.
fn row_id(reserve: &Reserve) -> RowId {
    RowId::Branch { gid: reserve.gid.clone(), branch_id: reserve.branch_id.clone() }
}
