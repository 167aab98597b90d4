//! What must be so at the end of every run, whatever went wrong in it.

use std::collections::BTreeMap;

use tandem::model::{Gid, Mode, Op, Spec, Status};

use crate::support::model_entry::Entry;

use super::{
    client::Promise,
    participants::{Books, LocalWork},
    seen::{End, Note},
    stock,
    workload::Plan,
    world::World,
};

/// All that is wrong at the end, in words; empty when nothing is.
pub(crate) fn broken(world: &World, plans: &BTreeMap<Gid, Plan>) -> Vec<String> {
    let mut broken = world.participants().faults.clone();
    let entries = world.store.entries();
    for (gid, at) in world.store.due() {
        broken.push(format!("{gid} is due at {at:?} still"));
    }
    for (gid, entry) in &entries {
        let participants = world.participants();
        let none = Books::default();
        let books = participants.books.get(gid).unwrap_or(&none);
        let is_forced = entry.request.as_ref().is_some_and(|token| world.was_forced(token));
        let Some(plan) = plans.get(gid) else { continue };
        let faults =
            [path(entry, is_forced), ends(entry, books, plan, is_forced), both_ends(books)];
        broken.extend(faults.into_iter().flatten().map(|fault| format!("{gid}: {fault}")));
        broken.extend(seen(world, entry, plan, is_forced).map(|fault| format!("{gid}: {fault}")));
        if !books.had_late_call {
            broken.extend(order(&entry.spec, books).map(|fault| format!("{gid}: {fault}")));
        }
    }
    broken.extend(subscriptions(world));
    broken.extend(stock::broken(world));
    for (gid, promise) in world.promises() {
        let entry = entries.get(&gid);
        let status = entry.map(|entry| entry.state.status);
        let is_forced = entry
            .and_then(|entry| entry.request.as_ref())
            .is_some_and(|token| world.was_forced(token));
        let is_kept = match promise {
            Promise::Stored => status.is_some(),
            Promise::Accepted => status == Some(Status::Succeed) || is_forced,
            Promise::Ended(end) => status == Some(end),
        };
        if !is_kept {
            broken.push(format!("{gid}: its client was told {promise:?}, and it is {status:?}"));
        }
    }
    broken
}

/// A final status stays, and each status leads to the next as it may.
pub(super) fn path(entry: &Entry, is_forced: bool) -> Option<String> {
    let is_step = |from: Status, to: Status| match (from, to) {
        (Status::Prepared, Status::Submitted | Status::Failed) => true,
        // A message without calls needs no stop between the answer and the end, and of a workflow
        // only the end is told.
        (Status::Prepared, Status::Succeed) => {
            matches!(entry.spec.mode, Mode::Message | Mode::Workflow)
        }
        (Status::Submitted, Status::Aborting) => entry.spec.mode == Mode::Saga,
        (Status::Prepared, Status::Aborting) => is_registered(entry),
        (Status::Submitted, Status::Succeed) | (Status::Aborting, Status::Failed) => true,
        // Nor does a saga of which nothing needs a call to be undone.
        (Status::Submitted, Status::Failed) => is_forced || entry.spec.mode == Mode::Saga,
        (_, _) => false,
    };
    let wrong = entry.history.windows(2).find(|pair| !is_step(pair[0], pair[1]))?;
    Some(format!("went from {:?} to {:?}: {:?}", wrong[0], wrong[1], entry.history))
}

/// It has ended, and the participants' books say the same.
fn ends(entry: &Entry, books: &Books, plan: &Plan, is_forced: bool) -> Option<String> {
    let status = entry.state.status;
    if !status.is_final() {
        return Some(format!("has not ended: {entry:?}"));
    }
    for (step, urls) in entry.spec.steps.iter().enumerate() {
        let branch = books.branches.get(&branch_id(&entry.spec, step));
        let is_applied = branch.is_some_and(|book| book.is_applied);
        let was_applied = branch.is_some_and(|book| book.was_applied);
        let has_action = !urls.action.is_empty();
        let must_be_undone = entry.spec.mode == Mode::Message || !urls.compensate.is_empty();
        if status == Status::Succeed && has_action && !is_applied {
            return Some(format!("succeeded without step {}", step + 1));
        }
        if status == Status::Failed && !is_forced && must_be_undone && is_applied {
            return Some(format!("failed with the effect of step {} left", step + 1));
        }
        if status == Status::Succeed && was_applied && !is_applied {
            return Some(format!("succeeded with step {} undone", step + 1));
        }
    }
    for step in entry.spec.stock_steps() {
        let branch = books.branches.get(&branch_id(&entry.spec, step));
        let told = branch.map(|book| book.ends.as_slice()).unwrap_or_default();
        let wanted: &[Op] = if status == Status::Succeed { &[Op::Confirm] } else { &[] };
        if told != wanted {
            return Some(format!("is {status:?}, and step {} was told {told:?}", step + 1));
        }
    }
    if is_registered(entry) && !is_forced {
        return shares(entry, books);
    }
    if entry.spec.mode == Mode::Workflow {
        return None;
    }
    let is_committed = books.local_work == LocalWork::Committed;
    let is_message = entry.spec.mode == Mode::Message;
    if status == Status::Failed && !is_forced && is_message && is_committed {
        return Some("failed although the local work was done".to_owned());
    }
    let is_asked = plan.prepared_for.is_some() && !entry.spec.query_prepared.is_empty();
    if status == Status::Succeed && is_asked && !is_committed {
        return Some("succeeded without the local work".to_owned());
    }
    None
}

/// Whether its branches came one by one, to be told the end.
fn is_registered(entry: &Entry) -> bool {
    matches!(entry.spec.mode, Mode::Tcc | Mode::Xa)
}

/// Each branch that was registered was told the end, and no other one.
fn shares(entry: &Entry, books: &Books) -> Option<String> {
    let has_succeeded = entry.state.status == Status::Succeed;
    let end = match (entry.spec.mode, has_succeeded) {
        (Mode::Xa, true) => Op::Commit,
        (Mode::Xa, false) => Op::Rollback,
        (_, true) => Op::Confirm,
        (_, false) => Op::Cancel,
    };
    entry.spec.registered.iter().find_map(|share| {
        let book = books.branches.get(&share.branch_id);
        let ends = book.map(|book| book.ends.as_slice()).unwrap_or_default();
        let is_applied = book.is_some_and(|book| book.is_applied);
        (ends != [end] || is_applied != has_succeeded).then(|| {
            let (id, status) = (&share.branch_id, entry.state.status);
            format!("is {status:?}, and branch {id} was told {ends:?}, applied: {is_applied}")
        })
    })
}

/// No branch is told both ends, whoever ended the transaction.
fn both_ends(books: &Books) -> Option<String> {
    let (id, book) = books.branches.iter().find(|(_, book)| book.ends.len() > 1)?;
    Some(format!("branch {id} was told {:?}", book.ends))
}

/// Done in the order that was asked for and undone in the opposite one.
fn order<'a>(spec: &'a Spec, books: &'a Books) -> impl Iterator<Item = String> + 'a {
    let must_precede = move |first: usize, second: usize| {
        let is_ordered =
            u32::try_from(first).is_ok_and(|first| spec.orders.before(second).contains(&first));
        if spec.concurrent { is_ordered } else { first < second }
    };
    let steps = 0..spec.steps.len();
    let pairs = steps.flat_map(|second| (0..second).map(move |first| (first, second)));
    pairs.filter(move |(first, second)| must_precede(*first, *second)).flat_map(
        move |(first, second)| {
            let (first, second) = (branch_id(spec, first), branch_id(spec, second));
            let done = is_after(&books.done, &first, &second)
                .then(|| format!("{second} was done before {first}"));
            let undone = is_after(&books.undone, &second, &first)
                .then(|| format!("{first} was undone before {second}"));
            done.into_iter().chain(undone)
        },
    )
}

/// Whether both are in the list and `first` comes after `second`.
fn is_after(list: &[String], first: &str, second: &str) -> bool {
    let at = |name: &str| list.iter().position(|other| other == name);
    matches!((at(first), at(second)), (Some(first), Some(second)) if first > second)
}

fn branch_id(spec: &Spec, step: usize) -> String {
    spec.branch(spec.action_row(step)).map(|branch| branch.branch_id).unwrap_or_default()
}

/// What was seen of it still holds: its one end, the steps that were noted, whom its topics stood for.
fn seen(world: &World, entry: &Entry, plan: &Plan, is_forced: bool) -> Option<String> {
    let (spec, status) = (&entry.spec, entry.state.status);
    let end = End::of(&entry.state, entry.result.as_ref());
    if let Some(before) = world.seen().end(&spec.gid, &end) {
        return Some(format!("{before:?} became {end:?}"));
    }
    let notes: Vec<_> = spec.registered.iter().map(Note::of).collect();
    let lost = world.seen().notes_of(&spec.gid).into_iter().find(|note| !notes.contains(note));
    if let Some(lost) = lost {
        return Some(format!("{lost:?} is not among {notes:?}"));
    }
    if spec.mode == Mode::Workflow && !is_forced {
        return workflow(plan, status, &end, &notes);
    }
    plan.topics().find_map(|(step, topic)| {
        let id = format!("{:02}", step + 1);
        let calls = spec.steps.iter().enumerate().filter(|(number, _)| {
            let other = branch_id(spec, *number);
            other == id || other.strip_prefix(&id).is_some_and(|rest| rest.starts_with('-'))
        });
        let urls: Vec<_> = calls.map(|(_, urls)| urls.action.as_str()).collect();
        let is_right = world.seen().stood_for(&spec.gid, topic, &urls);
        (!is_right).then(|| format!("{topic} never was {urls:?} while it was stored"))
    })
}

/// Some program ended it, and none as succeeded before every step was noted so.
fn workflow(plan: &Plan, status: Status, end: &End, notes: &[Note]) -> Option<String> {
    let by = if status == Status::Succeed { &end.result } else { &end.reason };
    if !by.as_ref().is_some_and(|by| by.ends_with(plan.spec.gid.as_str())) {
        return Some(format!("was ended by no program: {end:?}"));
    }
    let has_all = notes.len() == plan.shares.len() && notes.iter().all(|it| it.has_succeeded);
    let is_right = match status {
        Status::Succeed => has_all && plan.fails_at.is_none(),
        Status::Failed => plan.is_fickle || notes.iter().any(|it| !it.has_succeeded),
        Status::Prepared | Status::Submitted | Status::Aborting => false,
    };
    (!is_right).then(|| format!("is {end:?} with {notes:?}"))
}

/// Of a topic that nobody removes: who was told last to subscribe does so, and who was told not to
/// does not.
fn subscriptions(world: &World) -> Vec<String> {
    let seen = world.seen();
    let wrong = seen.subscribers.iter().filter_map(|((topic, url), is_told)| {
        let subscribes = world.store.subscribers(topic).contains(url);
        (subscribes != *is_told).then(|| format!("{topic}: {url} was told {is_told}"))
    });
    wrong.collect()
}
