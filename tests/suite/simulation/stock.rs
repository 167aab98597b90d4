//! What must be so of a sale's stock, during a run and at its end.

use std::{sync::Arc, time::Duration};

use tandem::{
    model::{
        Status,
        flash::{Bucket, Buyer, ItemId, order_of},
    },
    store::flash::{REOPENS_AFTER, RowLetter},
};

use crate::{
    flash::{
        property::watch,
        table::{RowId, Table},
    },
    support::{model_entry::Entry, model_flash::bucket_of},
};

use super::{
    cluster::Cluster,
    invariants,
    participants::Books,
    sale::{SalePlan, Scene},
    world::World,
};

/// How often the stock is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Units are for sale again this long after their hold time.
const FOR_SALE_AFTER: Duration = Duration::from_secs(1);

/// The same where the node that held the order died just then.
const FOR_SALE_AFTER_A_DEATH: Duration = Duration::from_secs(5);

/// How long a unit may be left while a node says from memory that there is none.
const LEFT_MAX: Duration = Duration::from_secs(1);

/// Runs `look` over a bucket.
pub(crate) fn with_bucket<T>(
    world: &World,
    bucket: &Bucket,
    look: impl FnOnce(&Table) -> Option<T>,
) -> Option<T> {
    let run =
        world.store.run(|tables, _| tables.flash.bucket(bucket).and_then(|table| look(table)));
    run.ok().flatten()
}

/// A node says from memory that `item` is sold out for `buyer`.
pub(crate) fn check_turned_away(world: &World, bucket: &Bucket, buyer: &Buyer, item: &ItemId) {
    // No node can know at once that Redis's clock was put forward.
    if world.weather.clock_jump.is_some() {
        return;
    }
    let units = with_bucket(world, bucket, |table| Some(table.units_of(buyer, item)));
    if units.unwrap_or(0) > 0 {
        world.fault(format!("{buyer}, who has {units:?} {item}, is turned away"));
    }
    // Units may go and come back between two looks of the watch: whichever bucket they come back to
    // knows when they did.
    let reopens_at = world.store.run(|tables, _| {
        let of = |table: &Table| table.items.get(item)?.reopens_at;
        tables.flash.buckets.values().filter_map(of).max()
    });
    let reopens_at = reopens_at.ok().flatten();
    let now = world.store.time().now();
    if reopens_at.is_some_and(|at| now < at.plus(LEFT_MAX.saturating_sub(REOPENS_AFTER))) {
        return;
    }
    let since = world.shop().left_since.get(item).copied();
    if since.is_some_and(|since| world.elapsed() > since + LEFT_MAX) {
        world.fault(format!("{buyer} is turned away; {item} is left since {since:?}"));
    }
}

/// Looks at the stock all the time.
pub(crate) async fn watch(cluster: Arc<Cluster>, plan: SalePlan) {
    let world = &cluster.world;
    loop {
        note_what_is_left(world, &plan);
        if cluster.live_ones().is_empty() {
            // Nobody can give anything back.
            world.shop().last_loss = Some(world.elapsed());
        }
        if world.scene == Scene::Shop {
            check_releases(world, &plan);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn note_what_is_left(world: &World, plan: &SalePlan) {
    let now = world.elapsed();
    for item in plan.sale.items.iter().map(|item| &item.id) {
        let left = world.store.run(|tables, _| {
            let of = |table: &Table| {
                let there = table.items.get(item).map_or(0, |item| item.available);
                let given = table.given.values().filter(|given| given.item == *item);
                there + given.map(|given| given.units).sum::<u64>()
            };
            tables.flash.buckets.values().map(of).sum::<u64>()
        });
        let mut shop = world.shop();
        if left == Ok(0) {
            shop.left_since.remove(item);
        } else {
            shop.left_since.entry(item.clone()).or_insert(now);
        }
    }
}

/// Units that are held after their time, by more than is needed until they are for sale again.
fn check_releases(world: &World, plan: &SalePlan) {
    let now = world.store.time().now();
    let loss = world.shop().last_loss;
    let since_loss = loss.map(|at| world.elapsed().saturating_sub(at));
    for (gid, entry) in world.store.entries() {
        let is_order = order_of(&gid).is_some() && entry.state.status == Status::Submitted;
        let over = now.since(entry.created_at.plus(plan.sale.hold));
        let is_late = over + REOPENS_AFTER > FOR_SALE_AFTER;
        let is_excused =
            since_loss.is_some_and(|since| since + REOPENS_AFTER <= FOR_SALE_AFTER_A_DEATH);
        if is_order && is_late && !is_excused {
            world.fault(format!("{gid} holds its units {over:?} after its time"));
        }
    }
}

/// All that is wrong at the end, in words.
pub(crate) fn broken(world: &World) -> Vec<String> {
    let mut broken = Vec::new();
    let Ok(faults) = world.store.run(|tables, _| watch::faults(tables)) else { return broken };
    broken.extend(faults);
    for (gid, entry) in world.store.entries() {
        let (Some((_, order)), Some(bucket)) = (order_of(&gid), bucket_of(&gid)) else { continue };
        let is_forced = entry.request.as_ref().is_some_and(|token| world.was_forced(token));
        let row = with_bucket(world, &bucket, |table| {
            table.rows.get(&RowId::Order(order.clone())).cloned()
        });
        let n_lines = row.as_ref().map_or(0, |row| row.lines.len());
        if row.is_none_or(|row| row.letter == RowLetter::Held) {
            broken.push(format!("{gid} has ended without its stock"));
        }
        let participants = world.participants();
        let none = Books::default();
        let books = participants.books.get(&gid).unwrap_or(&none);
        let faults =
            [invariants::path(&entry, is_forced), steps(&entry, books, n_lines, is_forced)];
        broken.extend(faults.into_iter().flatten().map(|fault| format!("{gid}: {fault}")));
    }
    for (gid, lines) in &world.shop().taken {
        let row = bucket_of(gid).zip(order_of(gid)).and_then(|(bucket, (_, order))| {
            with_bucket(world, &bucket, |table| table.rows.get(&RowId::Order(order)).cloned())
        });
        if row.map(|row| row.lines).as_ref() != Some(lines) {
            broken.push(format!("{gid}: its buyer was told {lines:?}"));
        }
    }
    broken
}

/// The steps behind the lines are done or undone as the order ended.
fn steps(entry: &Entry, books: &Books, n_lines: usize, is_forced: bool) -> Option<String> {
    let status = entry.state.status;
    if !status.is_final() {
        return Some(format!("has not ended: {entry:?}"));
    }
    (n_lines..entry.spec.steps.len()).find_map(|step| {
        let branch = books.branches.get(&format!("{:02}", step + 1));
        let is_applied = branch.is_some_and(|book| book.is_applied);
        let must_be = status == Status::Succeed;
        (is_applied != must_be && !is_forced)
            .then(|| format!("is {status:?}, and step {} applied: {is_applied}", step + 1))
    })
}
