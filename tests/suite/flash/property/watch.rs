//! What must be so after every command, counted anew from the rows and from what was answered.

use std::collections::BTreeMap;

use tandem::{
    model::{
        Gid, Timestamp,
        flash::{Bucket, Buyer, Cart, ItemId, order_gid},
    },
    store::{
        Changed, Recorded, TakeReply,
        flash::{
            Ordered, REOPENS_AFTER, Refusal, Reserve, Reserved, RowLetter, Settle, Settled,
            TakenLine, row_letter_at,
        },
    },
};

use crate::{
    flash::table::{Head, Item, RowId, Table},
    support::model_rules::Tables,
};

use super::command::{Command, Reply};

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// What each order was first said to have taken.
    taken: BTreeMap<Gid, Vec<TakenLine>>,
    buckets: BTreeMap<usize, Seen>,
    pub(super) faults: Vec<String>,
}

/// A bucket as it was after the last command.
#[derive(Debug, Default)]
struct Seen {
    head: Head,
    items: BTreeMap<ItemId, Item>,
    letters: BTreeMap<RowId, RowLetter>,
    /// When units of an item last came back where none were left.
    came_back_at: BTreeMap<ItemId, Timestamp>,
}

impl Watch {
    /// `command` is about to be executed: what must be answered, as far as that is known before.
    pub(super) fn expected(&self, command: &Command, tables: &Tables) -> Option<Vec<TakenLine>> {
        let Command::Order(order) = command else { return None };
        let table = tables.flash.buckets.get(&(order.bucket.sale.clone(), order.bucket.shard))?;
        let row = table.rows.get(&RowId::Order(order.order.clone()))?;
        let is_own = row.buyer == order.buyer && is_same(&order.cart, &row.lines);
        is_own.then(|| row.lines.clone())
    }

    /// `command` was executed at `now` and answered with `reply`.
    pub(super) fn check(
        &mut self,
        (command, reply): (&Command, &Reply),
        expected: Option<Vec<TakenLine>>,
        tables: &Tables,
        now: Timestamp,
    ) {
        let mut faults = Vec::new();
        if let (Command::Order(order), Reply::Ordered(reply)) = (command, reply) {
            let lines = match reply {
                Ordered::Taken { lines, .. } | Ordered::Again { lines, .. } => Some(lines),
                Ordered::OtherBuyer | Ordered::OtherCart | Ordered::Refused(_) => None,
            };
            if expected.is_some() && lines != expected.as_ref() {
                faults.push(format!("{}: taken before, answered {reply:?}", order.spec.gid));
            }
            if let Some(lines) = lines {
                let first =
                    self.taken.entry(order.spec.gid.clone()).or_insert_with(|| lines.clone());
                if first != lines {
                    faults.push(format!("{}: took {first:?}, then {lines:?}", order.spec.gid));
                }
            }
        }
        for ((sale, shard), table) in &tables.flash.buckets {
            let bucket = Bucket { sale: sale.clone(), shard: *shard };
            let seen = self.buckets.entry(*shard).or_default();
            let found = equations(table)
                .into_iter()
                .chain(rows(table))
                .chain(transactions(table, &bucket, tables))
                .chain(seen.changes(table, command, now))
                .chain(whom_it_sold_to(table, command, reply, &bucket));
            faults.extend(found.map(|fault| format!("bucket {shard}: {fault}")));
            seen.note(table);
        }
        faults.extend(supply(tables));
        faults.extend(what_was_said(command, reply, tables));
        self.faults
            .extend(faults.into_iter().map(|fault| format!("{fault}, after {}", command.told())));
    }
}

/// All that is wrong with what is stored, whatever happened before.
pub(crate) fn faults(tables: &Tables) -> Vec<String> {
    let mut faults = supply(tables);
    for ((sale, shard), table) in &tables.flash.buckets {
        let bucket = Bucket { sale: sale.clone(), shard: *shard };
        let found = equations(table)
            .into_iter()
            .chain(rows(table))
            .chain(transactions(table, &bucket, tables));
        faults.extend(found.map(|fault| format!("bucket {shard}: {fault}")));
    }
    faults
}

fn is_same(cart: &Cart, lines: &[TakenLine]) -> bool {
    let is_in = |line: &TakenLine| {
        cart.lines().iter().any(|it| it.item == line.item && it.take == line.take)
    };
    cart.lines().len() == lines.len() && lines.iter().all(is_in)
}

/// Each item's books agree with themselves.
fn equations(table: &Table) -> Vec<String> {
    let is_wrong = |item: &&Item| item.supply != item.available + item.held + item.sold;
    table.items.values().filter(is_wrong).map(|item| format!("{item:?} does not add up")).collect()
}

/// The books are what the rows add up to.
fn rows(table: &Table) -> Vec<String> {
    let mut counted = BTreeMap::<&ItemId, (u64, u64, u64)>::new();
    let mut buyers = BTreeMap::<Buyer, BTreeMap<ItemId, u64>>::new();
    let (mut in_work, mut orders) = (0, 0);
    for (id, row) in &table.rows {
        if matches!(id, RowId::Order(_)) {
            orders += 1;
            in_work += u64::from(row.letter == RowLetter::Held);
        }
        for line in &row.lines {
            let (held, sold, takes) = counted.entry(&line.item).or_default();
            *takes += 1;
            match row.letter {
                RowLetter::Held => *held += line.take,
                RowLetter::Sold => *sold += line.take,
                RowLetter::Released => continue,
            }
            let units = buyers.entry(row.buyer.clone()).or_default();
            *units.entry(line.item.clone()).or_default() += line.take;
        }
    }
    let mut faults = Vec::new();
    for (id, item) in &table.items {
        let counted = counted.get(id).copied().unwrap_or_default();
        let (held, sold, takes) = counted;
        // Units that moved between buckets count as takes, too, and have no rows of this kind.
        if (item.held, item.sold) != (held, sold) || item.takes < takes {
            faults.push(format!("{id} is {item:?}, its rows say {counted:?}"));
        }
    }
    if table.buyers != buyers {
        faults.push(format!("buyers are {:?}, the rows say {buyers:?}", table.buyers));
    }
    if (table.in_work, table.orders) != (in_work, orders) {
        faults.push(format!("{} in work of {}, rows: {in_work}", table.in_work, table.orders));
    }
    faults
}

/// An order's row and its transaction say the same, and neither is without the other.
fn transactions(table: &Table, bucket: &Bucket, tables: &Tables) -> Vec<String> {
    let mut faults = Vec::new();
    for (id, row) in &table.rows {
        let RowId::Order(order) = id else { continue };
        let status = tables.entries.get(&order_gid(bucket, order)).map(|it| it.state.status);
        if status.map(row_letter_at) != Some(row.letter) {
            faults.push(format!("{order} is {:?}, its transaction {status:?}", row.letter));
        }
    }
    faults
}

/// Whoever took something was not above a limit then, nor outside the sale's window.
fn whom_it_sold_to(
    table: &Table,
    command: &Command,
    reply: &Reply,
    bucket: &Bucket,
) -> Option<String> {
    let buyer = match (command, reply) {
        (Command::Order(order), Reply::Ordered(Ordered::Taken { .. }))
            if order.bucket == *bucket =>
        {
            &order.buyer
        }
        (Command::Hold(reserve), Reply::Reserved(Reserved::Held)) if reserve.bucket == *bucket => {
            &reserve.buyer
        }
        _ => return None,
    };
    // A repeat may be answered so after a limit was lowered; no run lowers one below what it was.
    let units = table.buyers.get(buyer)?;
    let is_above = |(id, n): (&ItemId, &u64)| {
        table.items.get(id).and_then(|item| item.limit).is_some_and(|limit| *n > limit)
    };
    let all: u64 = units.values().sum();
    let is_above_limit =
        units.iter().any(is_above) || table.head.limit.is_some_and(|limit| all > limit);
    is_above_limit.then(|| format!("{buyer} has {units:?}"))
}

/// What a branch is told of its reservation is what is stored then.
fn what_was_said(command: &Command, reply: &Reply, tables: &Tables) -> Option<String> {
    let (reserve, letters): (_, &[_]) = match (command, reply) {
        (Command::Hold(reserve), Reply::Reserved(Reserved::Held)) => {
            (reserve, &[RowLetter::Held, RowLetter::Sold])
        }
        (Command::Settle(reserve, Settle::Sell), Reply::Settled(Settled::Done)) => {
            (reserve, &[RowLetter::Sold])
        }
        (Command::Settle(reserve, Settle::Release), Reply::Settled(Settled::Done)) => {
            (reserve, &[RowLetter::Released])
        }
        _ => return None,
    };
    let Reserve { bucket, gid, branch_id, .. } = reserve;
    let table = tables.flash.buckets.get(&(bucket.sale.clone(), bucket.shard))?;
    let id = RowId::Branch { gid: gid.clone(), branch_id: branch_id.clone() };
    let letter = table.rows.get(&id).map(|row| row.letter);
    let is_so = letter.is_some_and(|letter| letters.contains(&letter));
    (!is_so).then(|| format!("{id:?} is {letter:?}, and was told {reply:?}"))
}

/// All that was ever supplied is in some bucket, or on its way to one.
fn supply(tables: &Tables) -> Vec<String> {
    let buckets = &tables.flash.buckets;
    let mut sums = BTreeMap::<&ItemId, (u64, u64)>::new();
    for ((sale, _), table) in buckets {
        for (id, item) in &table.items {
            let (shares, there) = sums.entry(id).or_default();
            *shares += item.share;
            *there += item.supply;
        }
        for (id, given) in &table.given {
            let receiver = buckets.get(&(sale.clone(), given.to));
            if !receiver.is_some_and(|table| table.received.contains_key(id)) {
                sums.entry(&given.item).or_default().1 += given.units;
            }
        }
    }
    let is_wrong = |(_, (shares, there)): &(&ItemId, (u64, u64))| shares != there;
    sums.into_iter()
        .filter(is_wrong)
        .map(|(id, (shares, there))| format!("of {shares} {id} there are {there}"))
        .collect()
}

impl Seen {
    /// What may not have changed since the last command, or not so.
    fn changes(&mut self, table: &Table, command: &Command, now: Timestamp) -> Vec<String> {
        let mut faults = Vec::new();
        for (id, before) in &self.letters {
            let after = table.rows.get(id).map(|row| row.letter);
            if *before != RowLetter::Held && after != Some(*before) {
                faults.push(format!("{id:?} was {before:?} and is {after:?}"));
            }
        }
        if table.head.version < self.head.version {
            faults.push(format!("knows version {} again", table.head.version));
        }
        let is_over = self.head.is_closed || self.head.closes_at.is_some_and(|at| now >= at);
        let is_shut = is_over || self.head.opens_at.is_some_and(|at| now < at);
        for (id, item) in &table.items {
            let Some(before) = self.items.get(id) else { continue };
            let is_taken = item.available < before.available;
            let back_at = self.came_back_at.get(id).copied();
            if is_taken && back_at.is_some_and(|at| now < at.plus(REOPENS_AFTER)) {
                faults.push(format!("{id} came back at {back_at:?} and was taken at {now:?}"));
            }
            if is_shut && item.held + item.sold > before.held + before.sold {
                faults.push(format!("{id} was taken at {now:?} of {:?}", self.head));
            }
            let comes_back = !matches!(command, Command::Receive(..));
            if before.available == 0 && item.available > 0 && comes_back {
                self.came_back_at.insert(id.clone(), now);
            }
            if item.supply < before.supply && !matches!(command, Command::Give(..)) {
                faults.push(format!("{id} had {} units and has {}", before.supply, item.supply));
            }
        }
        faults
    }

    fn note(&mut self, table: &Table) {
        self.head = table.head.clone();
        self.items.clone_from(&table.items);
        self.letters = table.rows.iter().map(|(id, row)| (id.clone(), row.letter)).collect();
    }
}

/// The word of an answer, for the count of what was met.
pub(super) fn word(reply: &Reply) -> &'static str {
    match reply {
        Reply::Ordered(Ordered::Taken { held: true, .. }) => "taken and held",
        Reply::Ordered(Ordered::Taken { held: false, .. }) => "taken",
        Reply::Ordered(Ordered::Again { .. }) => "again",
        Reply::Ordered(Ordered::OtherBuyer) => "other buyer",
        Reply::Ordered(Ordered::OtherCart) => "other cart",
        Reply::Ordered(Ordered::Refused(refusal)) | Reply::Reserved(Reserved::Refused(refusal)) => {
            match refusal {
                Refusal::UnknownSale => "unknown sale",
                Refusal::UnknownItem(_) => "unknown item",
                Refusal::NotOpen => "not open",
                Refusal::Closed => "closed",
                Refusal::LimitReached(Some(_)) => "limit of an item",
                Refusal::LimitReached(None) => "limit of the sale",
                Refusal::Crowded => "crowded",
                Refusal::SoldOut(_) => "sold out",
            }
        }
        Reply::Reserved(Reserved::Held) => "branch holds",
        Reply::Reserved(Reserved::Released) => "branch was released",
        Reply::Reserved(Reserved::OtherContent) => "branch holds something else",
        Reply::Settled(settled) => match settled {
            Settled::Done => "settled",
            Settled::Otherwise => "settled otherwise",
            Settled::Missing => "nothing to sell",
            Settled::UnknownSale => "unknown sale",
        },
        Reply::Recorded(Recorded::Written) => "written",
        Reply::Recorded(Recorded::Refused) => "write refused",
        Reply::Recorded(Recorded::Reread(_)) => "reread",
        Reply::Changed(Changed::Done) => "stopped by force",
        Reply::Changed(_) => "not stopped",
        Reply::Taken(TakeReply::Taken(_)) => "claimed",
        Reply::Taken(_) => "not claimed",
        Reply::Given(0) => "none given",
        Reply::Given(_) => "given",
        Reply::Done | Reply::Claimed(_) => "done",
    }
}
