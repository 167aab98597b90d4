//! What really left the nodes, over all of them, and the laws that it must keep.

use std::collections::BTreeSet;

use crate::model::{Global, Mode, Op, Progress, Spec, State, Status, Timestamp};
use crate::pattern::{Policy, Target, describe, prepared_timeout};

/// What the participants saw, and what they answered to a node that lived to hear it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    called: BTreeSet<usize>,
    succeeded: BTreeSet<usize>,
}

impl Ledger {
    /// `target` is called now, with `stored` in Redis and `under_way` of this node unanswered.
    pub(super) fn calls(
        &mut self,
        target: Target,
        stored: &Global,
        now: Timestamp,
        under_way: impl Iterator<Item = Target>,
    ) {
        let (spec, state) = (&*stored.spec, &stored.state);
        let described = describe(spec, target).unwrap();
        assert!(!described.url.is_empty(), "calls nowhere");
        let Target::Row(row) = target else {
            assert_eq!(state.status, Status::Prepared, "asks only while nothing is decided");
            let due_at = stored.created_at.plus(prepared_timeout(spec, &Policy::default()));
            assert!(now >= due_at, "asks only after the timeout");
            return;
        };
        assert_ne!(state.rows[row].progress, Progress::Succeeded, "what succeeded is called again");
        let step = row / rows_per_step(spec);
        match (spec.mode, spec.op(row)) {
            (Mode::Saga | Mode::Message, Op::Confirm) => {
                assert_eq!(state.status, Status::Submitted, "sells before that is decided");
                let is_done =
                    |step| state.rows[spec.action_row(step)].progress == Progress::Succeeded;
                assert!(
                    (0..spec.steps.len()).all(is_done),
                    "sells before it is stored that all is done"
                );
            }
            (Mode::Saga, Op::Compensate) => {
                assert_eq!(state.status, Status::Aborting, "compensates before that is stored");
                let action = state.rows[spec.action_row(step)].progress;
                assert_ne!(action, Progress::NotStarted, "compensates what never started");
                let is_action =
                    |other| matches!(other, Target::Row(row) if spec.op(row) == Op::Action);
                assert!(!under_way.into_iter().any(is_action), "compensates beside an action");
                for later in
                    (0..spec.steps.len()).filter(|&later| before(spec, later).contains(&step))
                {
                    assert!(self.is_undone(spec, later), "{step} is undone before {later}");
                }
            }
            (Mode::Saga, _) => {
                let progress = state.rows[row].progress;
                assert_eq!(progress, Progress::MayHaveRun, "called before that is stored");
                self.follows_what_is_before(spec, step);
            }
            (Mode::Tcc | Mode::Xa, op) => {
                let is_forward = matches!(op, Op::Confirm | Op::Commit);
                let decided = if is_forward { Status::Submitted } else { Status::Aborting };
                assert_eq!(state.status, decided, "called before that is decided");
                // Of a tcc the last one first, of an xa the first one.
                let is_tcc = spec.mode == Mode::Tcc;
                let before = if is_tcc { step + 1..spec.registered.len() } else { 0..step };
                for other in before {
                    let row = if is_forward { other * 2 + 1 } else { other * 2 };
                    assert!(self.is_done(spec, row), "{step} is called before {other}");
                }
            }
            (Mode::Workflow, _) => panic!("what a workflow's client did is called"),
            (Mode::Message, _) => {
                assert_eq!(state.status, Status::Submitted, "delivers before that is stored");
                assert!(state.not_before.is_none_or(|at| now >= at), "delivers before its time");
                self.follows_what_is_before(spec, step);
            }
        }
        self.called.insert(row);
    }

    /// A node heard that `target` succeeded.
    pub(super) fn succeeds(&mut self, target: Target) {
        if let Target::Row(row) = target {
            self.succeeded.insert(row);
        }
    }

    /// `new` is stored over the state `old`.
    pub(super) fn stores(&self, old: &State, new: &Global) {
        let (mode, new) = (new.spec.mode, &new.state);
        let may_follow = match old.status {
            // A saga's submit is the client's alone.
            Status::Prepared if mode == Mode::Saga => {
                matches!(new.status, Status::Prepared | Status::Failed)
            }
            // Nor is that of a tcc or an xa the node's.
            Status::Prepared if matches!(mode, Mode::Tcc | Mode::Xa) => {
                matches!(new.status, Status::Prepared | Status::Aborting | Status::Failed)
            }
            Status::Prepared => new.status != Status::Aborting,
            Status::Submitted if mode != Mode::Saga => {
                matches!(new.status, Status::Submitted | Status::Succeed)
            }
            Status::Submitted => new.status != Status::Prepared,
            Status::Aborting => matches!(new.status, Status::Aborting | Status::Failed),
            Status::Succeed | Status::Failed => false,
        };
        assert!(may_follow, "{:?} after {:?}", new.status, old.status);
        for (row, (old, new)) in old.rows.iter().zip(&new.rows).enumerate() {
            let ended = matches!(old.progress, Progress::Succeeded | Progress::Failed);
            assert!(!ended || old == new, "what ended is changed: {old:?} to {new:?}");
            // A mark may be taken back, but only of a call that never went out.
            let is_forgotten =
                new.progress == Progress::NotStarted && old.progress != Progress::NotStarted;
            assert!(!is_forgotten || !self.called.contains(&row), "forgets what may have run");
            let is_finished = matches!(new.progress, Progress::Succeeded | Progress::Failed);
            assert_eq!(is_finished, new.finished_at.is_some());
        }
    }

    /// The transaction has ended so.
    pub(super) fn ends(&self, end: &Global) {
        let spec = &*end.spec;
        let mut steps = 0..spec.steps.len();
        match (end.state.status, spec.mode) {
            (Status::Succeed | Status::Failed, Mode::Tcc | Mode::Xa) => {
                let is_forward = end.state.status == Status::Succeed;
                for branch in 0..spec.registered.len() {
                    let (confirm, cancel) = (spec.action_row(branch), spec.compensate_row(branch));
                    let (done, other) =
                        if is_forward { (confirm, cancel) } else { (cancel, confirm) };
                    assert!(self.is_done(spec, done), "ends without branch {branch}");
                    assert!(!self.called.contains(&other), "confirms and cancels {branch}");
                }
            }
            (Status::Succeed, mode) => {
                let all = steps.all(|step| self.is_done(spec, spec.action_row(step)));
                assert!(all, "succeeds without all actions");
                let mut confirms = spec.first_confirm_row()..spec.row_count();
                assert!(confirms.all(|row| self.is_done(spec, row)), "succeeds and has not sold");
                let mut undone = self.called.iter().filter(|&&row| spec.op(row) == Op::Compensate);
                assert!(
                    mode == Mode::Message || undone.next().is_none(),
                    "succeeds, and is undone"
                );
            }
            (Status::Failed, Mode::Saga) => {
                let mut sold = self.called.range(spec.first_confirm_row()..);
                assert!(sold.next().is_none(), "fails and has sold");
                assert!(
                    steps.all(|step| self.is_undone(spec, step)),
                    "fails with a step not undone"
                );
                assert!(end.state.reason.is_some(), "fails, and does not say why");
            }
            (Status::Failed, Mode::Message) => {
                assert!(self.called.is_empty(), "fails with something delivered");
            }
            (status, _) => panic!("ends as {status:?}"),
        }
    }

    /// Whether the step was never called, or was compensated.
    fn is_undone(&self, spec: &Spec, step: usize) -> bool {
        !self.called.contains(&spec.action_row(step))
            || self.is_done(spec, spec.compensate_row(step))
    }

    fn is_done(&self, spec: &Spec, row: usize) -> bool {
        spec.url(row).is_empty() || self.succeeded.contains(&row)
    }

    fn follows_what_is_before(&self, spec: &Spec, step: usize) {
        for earlier in before(spec, step) {
            assert!(self.is_done(spec, spec.action_row(earlier)), "{step} starts before {earlier}");
        }
    }
}

/// All steps that must be done before `step`, also indirectly.
fn before(spec: &Spec, step: usize) -> BTreeSet<usize> {
    if !spec.concurrent {
        return (0..step).collect();
    }
    let mut found = BTreeSet::new();
    let mut open = vec![step];
    while let Some(step) = open.pop() {
        let direct = spec.orders.before(step).iter().map(|&step| step as usize);
        open.extend(direct.filter(|&step| found.insert(step)));
    }
    found
}

fn rows_per_step(spec: &Spec) -> usize {
    match spec.mode {
        Mode::Saga | Mode::Tcc | Mode::Xa => 2,
        Mode::Message | Mode::Workflow => 1,
    }
}
