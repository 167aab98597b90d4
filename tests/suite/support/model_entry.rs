//! One transaction as the model store keeps it.

use std::sync::Arc;

use tandem::{
    model::{Global, Mode, Progress, Row, Share, Spec, State, Status, Timestamp, Token},
    store::Taken,
};

/// The reason of what was stopped by force and had none.
pub(crate) const FORCE_STOP_REASON: &str = "stopped by forceStop";

/// One stored transaction.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) spec: Arc<Spec>,
    pub(crate) created_at: Timestamp,
    pub(crate) state: State,
    pub(crate) updated_at: Timestamp,
    /// The number of the state: each change of state, status or holder adds one.
    pub(crate) n: u64,
    /// The last request that changed the status; none after a back-check's promotion.
    pub(crate) request: Option<Token>,
    /// Who holds it, or held it when it ended.
    pub(crate) holder: Option<Token>,
    /// Whether it was reset while it was held.
    pub(crate) wake: bool,
    /// What a workflow resulted in.
    pub(crate) result: Option<String>,
    /// Every status that it had, in order.
    pub(crate) history: Vec<Status>,
}

impl Entry {
    pub(crate) fn new(spec: Arc<Spec>, state: State, request: &Token, now: Timestamp) -> Self {
        Self {
            spec,
            created_at: now,
            history: vec![state.status],
            state,
            updated_at: now,
            n: 1,
            request: Some(request.clone()),
            holder: None,
            wake: false,
            result: None,
        }
    }

    pub(crate) fn is_held_by(&self, token: &Token) -> bool {
        self.holder.as_ref() == Some(token)
    }

    pub(crate) fn is_request(&self, token: &Token) -> bool {
        self.request.as_ref() == Some(token)
    }

    pub(crate) fn taken(&self) -> Box<Taken> {
        let global = Global {
            spec: Arc::clone(&self.spec),
            created_at: self.created_at,
            state: State { rows: self.rows(), ..self.state.clone() },
        };
        Box::new(Taken { global, n: self.n })
    }

    /// Its rows, also of what was registered after the state was written.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows = self.state.rows.clone();
        match self.spec.mode {
            Mode::Saga | Mode::Message => {}
            Mode::Tcc | Mode::Xa => rows.resize(self.spec.row_count(), Row::default()),
            Mode::Workflow => {
                let progress = self.spec.registered.iter().map(|branch| match branch.share {
                    Share::Workflow { progress, .. } => progress,
                    Share::Tcc { .. } | Share::Xa { .. } => Progress::NotStarted,
                });
                rows = progress.map(|progress| Row { progress, finished_at: None }).collect();
            }
        }
        rows
    }

    pub(crate) fn write(&mut self, state: State, n: u64, now: Timestamp) {
        if self.state.status != state.status {
            self.history.push(state.status);
        }
        self.state = state;
        self.n = n;
        self.updated_at = now;
    }
}
