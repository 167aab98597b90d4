//! What was seen of the stored state in a run, to be held against what is left at its end: what has
//! ended or is noted never changes, and a topic stands for who was subscribed when it was asked.

use std::{collections::BTreeMap, time::Duration};

use tandem::model::{Gid, Registered, State, Status};

use super::client::has_succeeded;

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) status: Status,
    pub(crate) reason: Option<String>,
    pub(crate) result: Option<String>,
}

impl End {
    /// The end that `state` is.
    pub(crate) fn of(state: &State, result: Option<&String>) -> Self {
        Self { status: state.status, reason: state.reason.clone(), result: result.cloned() }
    }
}

/// A workflow's step that is noted: its branch, whether it succeeded, and which program did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) branch_id: String,
    pub(crate) has_succeeded: bool,
    pub(crate) by: String,
}

impl Note {
    /// The step that `branch` notes.
    pub(crate) fn of(branch: &Registered) -> Self {
        Self {
            branch_id: branch.branch_id.clone(),
            has_succeeded: has_succeeded(&branch.share),
            by: String::from_utf8_lossy(&branch.data).into_owned(),
        }
    }
}

/// Who subscribed to a topic from some moment on.
#[derive(Debug)]
struct Subscribed {
    from: Duration,
    topic: String,
    urls: Vec<String>,
}

/// All that was seen in one run.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    ends: BTreeMap<Gid, End>,
    notes: BTreeMap<Gid, Vec<Note>>,
    subscribed: Vec<Subscribed>,
    /// When a client first asked for it, and when it was stored.
    asked_at: BTreeMap<Gid, Duration>,
    created_at: BTreeMap<Gid, Duration>,
    /// Of each subscriber of a topic that is never removed, whether it was told last that it
    /// subscribes.
    pub(crate) subscribers: BTreeMap<(String, String), bool>,
}

impl Seen {
    /// Somebody saw this end of `gid`; answers the one that was seen before if it is another.
    pub(crate) fn end(&mut self, gid: &Gid, end: &End) -> Option<End> {
        let before = self.ends.entry(gid.clone()).or_insert_with(|| end.clone());
        (before != end).then(|| before.clone())
    }

    /// A program was told that this is noted.
    pub(crate) fn noted(&mut self, gid: &Gid, note: Note) {
        let notes = self.notes.entry(gid.clone()).or_default();
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// What programs were told to be noted.
    pub(crate) fn notes_of(&self, gid: &Gid) -> Vec<Note> {
        self.notes.get(gid).cloned().unwrap_or_default()
    }

    /// A client asks for it now, perhaps again.
    pub(crate) fn asked(&mut self, gid: &Gid, at: Duration) {
        self.asked_at.entry(gid.clone()).or_insert(at);
    }

    /// It is there now, perhaps for long.
    pub(crate) fn is_there(&mut self, gid: &Gid, at: Duration) {
        self.created_at.entry(gid.clone()).or_insert(at);
    }

    /// Who subscribes to `topic` now.
    pub(crate) fn subscribes(&mut self, topic: &str, urls: Vec<String>, from: Duration) {
        let last = self.subscribed.iter().rev().find(|it| it.topic == topic);
        if last.map(|it| &it.urls) != Some(&urls) {
            self.subscribed.push(Subscribed { from, topic: topic.to_owned(), urls });
        }
    }

    /// Whether `topic` stood for `urls` at some moment between the first request for `gid` and its
    /// being stored.
    pub(crate) fn stood_for(&self, gid: &Gid, topic: &str, urls: &[&str]) -> bool {
        let (Some(asked), Some(created)) = (self.asked_at.get(gid), self.created_at.get(gid))
        else {
            return false;
        };
        let states: Vec<_> = self.subscribed.iter().filter(|it| it.topic == topic).collect();
        states.iter().enumerate().any(|(number, state)| {
            let until = states.get(number + 1).map_or(Duration::MAX, |next| next.from);
            state.from <= *created && until >= *asked && state.urls == urls
        })
    }
}
