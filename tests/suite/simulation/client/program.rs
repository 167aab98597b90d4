//! What a workflow's program does: step by step, each noted at the server, and then its end. It runs
//! in the client, and anew in whoever is called to resume it; two may run at once.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tandem::{
    model::{Gid, Mode, Outcome, Progress, Share, Status},
    store::Stored,
};
use tokio::sync::{mpsc::UnboundedReceiver, oneshot};

use crate::simulation::{
    body,
    cluster::{Cluster, Heard},
    counts::Count,
    seen::{End, Note},
    world::Resumption,
};

use super::{ATTEMPTS, Client, LocalWorkPlan, Plan, Promise, Request, Told, branch_id};

/// In so many of 1,000 runs a program that was resumed dies, too, before some step.
const DIES: u64 = 150;

/// In so many of 1,000 runs a fickle program ends otherwise than the one before it.
const CHANGES_ITS_MIND: u64 = 500;

/// Runs the programs that the server asks for.
pub(crate) async fn resume_all(
    cluster: Arc<Cluster>,
    plans: std::collections::BTreeMap<Gid, Plan>,
    mut wanted: UnboundedReceiver<Resumption>,
) {
    while let Some(Resumption { gid, number, done }) = wanted.recv().await {
        let Some(plan) = plans.get(&gid) else { continue };
        let mut program = Client::new(&cluster, plan.clone());
        program.name = format!("program {number} of {gid}");
        tokio::spawn(program.resume(done));
    }
}

impl Client {
    /// The program, from its start to wherever it gets.
    pub(super) async fn run_program(&self) {
        let n_done = match self.plan.local_work {
            LocalWorkPlan::Submitted => usize::MAX,
            LocalWorkPlan::Forgotten => self.plan.shares.len(),
            LocalWorkPlan::Aborted | LocalWorkPlan::Abandoned => self.plan.shares.len() / 2,
        };
        self.go_through(n_done).await;
    }

    /// The program in a process that was asked to go on with it.
    async fn resume(self, done: oneshot::Sender<Outcome>) {
        let world = &self.world;
        world.counts.one(Count::Resumed);
        let mut rng = world.chance(&["resumed", self.gid().as_str()]);
        let dies = world.elapsed() < world.weather.clears_up_at && rng.happens(DIES);
        let n_done = if dies { rng.index(self.plan.shares.len() + 1) } else { usize::MAX };
        let has_ended = self.go_through(n_done).await;
        drop(done.send(if has_ended {
            Outcome::Success
        } else {
            Outcome::Unknown("the program did not get to its end".to_owned())
        }));
    }

    /// Does what is not noted yet, and ends it; dies before step `n_done`, or before the end if that
    /// is the number of steps. Answers whether it knows that the workflow has ended.
    async fn go_through(&self, n_done: usize) -> bool {
        let Some(stored) = self.prepare_workflow().await else { return false };
        if stored.global.state.status.is_final() {
            return true;
        }
        let known = &stored.global.spec.registered;
        let mut has_failed = false;
        for (number, rest) in self.plan.shares.iter().enumerate() {
            if has_failed {
                break;
            }
            if n_done <= number {
                return false;
            }
            has_failed = self.plan.fails_at == Some(number);
            if known.iter().any(|note| note.branch_id == branch_id(number)) {
                self.world.counts.one(Count::StepKept);
                continue;
            }
            tokio::time::sleep(*rest).await;
            if self.ask(Request::Register(number)).await != Told::Done {
                return false;
            }
        }
        if n_done <= self.plan.shares.len() {
            return false;
        }
        let mut mind = self.world.chance(&["mind", self.gid().as_str()]);
        if self.plan.is_fickle && mind.happens(CHANGES_ITS_MIND) {
            has_failed = true;
        }
        self.says_failed.store(has_failed, Ordering::Relaxed);
        self.all_tried.store(true, Ordering::Relaxed);
        matches!(self.end().await, Told::Done | Told::Failure(_))
    }

    /// Tells the server how it ended.
    pub(super) async fn end(&self) -> Told {
        self.ask(Request::End { failed: self.says_failed.load(Ordering::Relaxed) }).await
    }

    /// What the server knows of it, which holds all that any program was told to be noted.
    async fn prepare_workflow(&self) -> Option<Stored> {
        for _ in 0..ATTEMPTS {
            let noted = self.world.seen().notes_of(self.gid());
            let body = body::asking_for(&self.plan.spec, true);
            let heard =
                self.cluster
                    .request(&self.name, |server| async move {
                        server.service.prepare_workflow(body).await
                    })
                    .await;
            match heard {
                Heard::Answer(Ok(stored)) => {
                    self.take_in_progress(&stored, &noted);
                    return Some(stored);
                }
                Heard::Answer(Err(error)) => {
                    let told = Told::read(&self.world, &self.name, Err(error));
                    self.world.trace(|| format!("{}: prepares: told {told:?}", self.name));
                }
                Heard::Nothing | Heard::Nobody => {}
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        None
    }

    fn take_in_progress(&self, stored: &Stored, noted: &[Note]) {
        let state = &stored.global.state;
        let known: Vec<_> = stored.global.spec.registered.iter().map(Note::of).collect();
        self.world
            .trace(|| format!("{}: prepares: told {:?}, noted {known:?}", self.name, state.status));
        if let Some(note) = noted.iter().find(|note| !known.contains(note)) {
            self.world.fault(format!("{}: is not told of {note:?}", self.name));
        }
        self.promised(Promise::Stored);
        if state.status.is_final() {
            self.saw_end(End::of(state, stored.result.as_ref()));
            self.ended(state.status);
        }
    }

    /// It was told that its step is noted.
    pub(super) fn noted(&self, number: usize) {
        let (name, wanted) = (self.name.as_bytes(), branch_id(number));
        let entry = self.world.store.entry(self.gid());
        let registered = entry.map(|entry| entry.spec.registered.clone()).unwrap_or_default();
        let note = registered.iter().find(|it| it.branch_id == wanted && it.data == name);
        match note {
            Some(note) => self.world.seen().noted(self.gid(), Note::of(note)),
            None => self.world.fault(format!("{}: told that {number} is noted", self.name)),
        }
    }

    /// It was told that another program has noted this step: that one goes on, and this one not.
    pub(super) fn taken(&self, number: usize) {
        self.world.counts.one(Count::StepTaken);
        let entry = self.world.store.entry(self.gid());
        let is_taken = entry.is_some_and(|entry| {
            entry.spec.registered.iter().any(|note| note.branch_id == branch_id(number))
        });
        if !self.has_program() || !is_taken {
            self.world.fault(format!("{}: told that {number} is another's", self.name));
        }
    }

    /// It was told that the workflow has ended as it said.
    pub(super) fn has_ended(&self, status: Status) {
        if let Some(entry) = self.world.store.entry(self.gid()) {
            self.saw_end(End::of(&entry.state, entry.result.as_ref()));
        }
        self.ended(status);
    }

    pub(super) fn has_program(&self) -> bool {
        self.plan.spec.mode == Mode::Workflow
    }

    /// Whether its step of this number is noted as failed.
    pub(super) fn fails(&self, number: usize) -> bool {
        self.plan.fails_at == Some(number)
    }
}

/// Whether the step that `share` notes succeeded.
pub(crate) fn has_succeeded(share: &Share) -> bool {
    matches!(share, Share::Workflow { progress: Progress::Succeeded, .. })
}
