//! A client: it sends the bodies of the protocol to whichever node lives, repeats what it got no
//! answer to, checks each answer against what is stored at that moment, and keeps for the end what
//! it was told.

mod besides;
mod program;
mod shares;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
pub(crate) use program::{has_succeeded, resume_all};
use shares::branch_id;
use tandem::model::{Gid, Mode, Status};

use super::{
    body,
    cluster::{Cluster, Heard},
    counts::Count,
    participants::LocalWork,
    seen::End,
    told::{self, Told},
    workload::{LocalWorkPlan, Plan},
    world::World,
};

/// How often a request is sent before the client gives up.
const ATTEMPTS: u32 = 4;

/// What a client was told, and what must be so at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// It is stored.
    Stored,
    /// A message is on its way: nothing but force keeps it from its end.
    Accepted,
    /// It has ended so, and stays so.
    Ended(Status),
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Prepare,
    Submit,
    Abort,
    ForceStop,
    Reset,
    /// The branch of this number.
    Register(usize),
    /// The end of a workflow.
    End {
        failed: bool,
    },
}

/// One client with one transaction.
pub(crate) struct Client {
    world: Arc<World>,
    cluster: Arc<Cluster>,
    name: String,
    plan: Plan,
    /// Requests that create, sent and not answered to have had no effect.
    creating: AtomicU32,
    /// Submits that were sent.
    submits: AtomicU32,
    /// Of a tcc or an xa: every branch is registered and tried.
    all_tried: AtomicBool,
    /// Of a workflow: its program ends it as failed.
    says_failed: AtomicBool,
}

impl Client {
    /// The client that follows `plan`.
    pub(crate) fn new(cluster: &Arc<Cluster>, plan: Plan) -> Self {
        Self {
            world: Arc::clone(&cluster.world),
            cluster: Arc::clone(cluster),
            name: format!("client of {}", plan.spec.gid),
            plan,
            creating: AtomicU32::new(0),
            submits: AtomicU32::new(0),
            all_tried: AtomicBool::new(false),
            says_failed: AtomicBool::new(false),
        }
    }

    /// Does what it planned.
    pub(crate) async fn run(self) {
        tokio::time::sleep(self.plan.starts_after).await;
        let first = async {
            match self.plan.prepared_for {
                _ if self.has_program() => self.run_program().await,
                None => self.submit().await,
                Some(span) if self.has_shares() => self.try_shares(span).await,
                Some(span) => self.two_phases(span).await,
            }
        };
        if self.plan.is_besides_at_once {
            tokio::join!(first, self.do_besides());
        } else {
            first.await;
            self.do_besides().await;
        }
    }

    async fn two_phases(&self, span: Duration) {
        if self.ask(Request::Prepare).await != Told::Done {
            return;
        }
        tokio::time::sleep(span).await;
        let does_work =
            matches!(self.plan.local_work, LocalWorkPlan::Submitted | LocalWorkPlan::Forgotten);
        let is_done = does_work && self.world.participants().commit_local_work(self.gid());
        self.world.trace(|| format!("{}: local work done: {is_done}", self.name));
        match self.plan.local_work {
            LocalWorkPlan::Submitted if is_done => self.submit().await,
            LocalWorkPlan::Submitted | LocalWorkPlan::Aborted => {
                self.ask(Request::Abort).await;
            }
            LocalWorkPlan::Forgotten | LocalWorkPlan::Abandoned => {}
        }
    }

    /// Whether it would be right to submit: a prepared message, only with its local work done; a tcc
    /// or an xa, only with all tries done.
    fn may_submit(&self) -> bool {
        if self.has_shares() || self.has_program() {
            return self.all_tried.load(Ordering::Relaxed);
        }
        self.plan.prepared_for.is_none()
            || (self.plan.local_work == LocalWorkPlan::Submitted && self.has_committed())
    }

    fn has_committed(&self) -> bool {
        let participants = self.world.participants();
        let books = participants.books.get(self.gid());
        books.is_some_and(|books| books.local_work == LocalWork::Committed)
    }

    async fn submit(&self) {
        if self.has_program() {
            self.end().await;
        } else {
            self.ask(Request::Submit).await;
        }
    }

    /// Sends it until it is answered for certain, or patience ends. Each repeat is a request of its
    /// own, as it is for any client.
    async fn ask(&self, request: Request) -> Told {
        let mut told = Told::Unknown;
        for _ in 0..ATTEMPTS {
            let before = self.status();
            if request == Request::Submit {
                self.submits.fetch_add(1, Ordering::Relaxed);
            }
            told = self.ask_once(request).await;
            self.world.trace(|| format!("{}: {request:?}: told {told:?}", self.name));
            self.take_in(request, &told, before);
            let is_only_submit = self.submits.load(Ordering::Relaxed) == 1;
            if is_only_submit && told == Told::submit_refused(Status::Succeed) {
                self.world.fault(format!("{}: its only submit is refused", self.name));
            }
            match told {
                Told::NotDone | Told::Unknown => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
                Told::Done
                | Told::Failure(_)
                | Told::Ongoing
                | Told::NoSuchGid
                | Told::NoteTaken => break,
            }
        }
        told
    }

    async fn ask_once(&self, request: Request) -> Told {
        let gid = self.gid().clone();
        let body = self.body(request);
        let has_shares = self.has_shares();
        let creates = matches!(request, Request::Prepare | Request::Submit);
        if creates {
            self.creating.fetch_add(1, Ordering::Relaxed);
            self.world.seen().asked(self.gid(), self.world.elapsed());
        }
        let heard = self
            .cluster
            .request(&self.name, |server| async move {
                let service = &server.service;
                let answer = match request {
                    Request::Prepare => service.prepare(body).await,
                    Request::Submit | Request::End { .. } => service.submit(body).await,
                    Request::Abort => service.abort(body).await,
                    Request::ForceStop => service.force_stop(body).await,
                    Request::Reset => service.reset_next(body).await,
                    Request::Register(_) => service.register_branch(body).await,
                };
                // The abort of a tcc or an xa begins its cancels.
                let ends =
                    request == Request::ForceStop || (request == Request::Abort && !has_shares);
                if ends && answer.is_ok() {
                    server.node.revoked(&gid);
                }
                answer
            })
            .await;
        let told = match heard {
            Heard::Answer(answer) => Told::read(&self.world, &self.name, answer),
            Heard::Nothing => Told::Unknown,
            Heard::Nobody => Told::NotDone,
        };
        if told == Told::NotDone && creates {
            let others = self.creating.fetch_sub(1, Ordering::Relaxed) - 1;
            if others == 0 && self.status().is_some() {
                self.world.fault(format!("{}: told that nothing was stored", self.name));
            }
        }
        told
    }

    fn body(&self, request: Request) -> Bytes {
        let spec = &self.plan.spec;
        match request {
            Request::Prepare => body::asking_for(spec, !self.plan.delay_comes_with_submit),
            Request::Submit => body::asking_for(spec, true),
            Request::Abort => body::aborting(self.gid()),
            Request::ForceStop | Request::Reset => body::naming(self.gid()),
            Request::Register(number) if self.has_program() => {
                body::noting(spec, &branch_id(number), self.fails(number), &self.name)
            }
            Request::Register(number) => body::registering(spec, &branch_id(number)),
            Request::End { failed } => body::ending(spec, failed, &self.name),
        }
    }

    /// Checks what it was told, and keeps it. `before` is what was stored before it asked.
    fn take_in(&self, request: Request, told: &Told, before: Option<Status>) {
        let waits = self.plan.spec.options.wait_result == Some(true)
            && (request == Request::Submit || (request == Request::Abort && self.has_shares()));
        match told {
            Told::Done => match request {
                Request::Submit if waits => {
                    self.world.counts.one(Count::WaitedForSuccess);
                    self.ended(Status::Succeed);
                }
                Request::Submit => self.promised(self.accepted()),
                Request::Prepare => self.promised(Promise::Stored),
                Request::Abort if self.has_shares() && !waits => self.undone(),
                Request::Abort | Request::ForceStop => self.ended(Status::Failed),
                Request::Reset => {}
                Request::Register(number) if self.has_program() => self.noted(number),
                Request::Register(number) => self.registered(number),
                Request::End { failed: true } => self.has_ended(Status::Failed),
                Request::End { failed: false } => self.has_ended(Status::Succeed),
            },
            Told::Failure(_) if matches!(request, Request::Register(_)) => {
                self.world.counts.one(Count::RegistrationRefused);
                if self.status() == Some(Status::Prepared) {
                    self.world.fault(format!("{}: not registered, and prepared", self.name));
                }
            }
            Told::Failure(message) => match told::status_in(message) {
                Some(Status::Aborting) => self.promised(Promise::Ended(Status::Failed)),
                Some(status) if status.is_final() => {
                    if matches!(request, Request::End { .. }) {
                        self.world.counts.one(Count::EndedOtherwise);
                    }
                    self.ended(status);
                }
                // Of an abort alone: it came too late for what goes on.
                Some(_) if request == Request::Abort || request == Request::Prepare => {}
                None if waits => {
                    self.world.counts.one(Count::WaitedForFailure);
                    self.check_reason(message);
                    self.ended(Status::Failed);
                }
                Some(_) | None => {
                    self.world.fault(format!("{}: {request:?}: 409 {message}", self.name));
                }
            },
            Told::Ongoing => {
                self.world.counts.one(Count::WaitedInVain);
                if before.is_some_and(Status::is_final) || !waits {
                    self.world.fault(format!("{}: told that it goes on: {told:?}", self.name));
                }
                if request == Request::Abort {
                    self.undone();
                } else {
                    self.promised(self.accepted());
                }
            }
            Told::NoSuchGid => {
                if before.is_some() {
                    self.world.fault(format!("{}: told that there is no such gid", self.name));
                }
            }
            Told::NoteTaken => match request {
                Request::Register(number) => self.taken(number),
                Request::Prepare
                | Request::Submit
                | Request::Abort
                | Request::ForceStop
                | Request::Reset
                | Request::End { .. } => {
                    self.world.fault(format!("{}: {request:?}: told {told:?}", self.name));
                }
            },
            Told::NotDone | Told::Unknown => {}
        }
    }

    /// It was shown this end, which is the only one that anybody is ever shown.
    fn saw_end(&self, end: End) {
        if let Some(before) = self.world.seen().end(self.gid(), &end) {
            self.world.fault(format!("{}: {before:?} became {end:?}", self.name));
        }
    }

    /// What a submit that is stored promises.
    fn accepted(&self) -> Promise {
        if self.plan.spec.mode == Mode::Message { Promise::Accepted } else { Promise::Stored }
    }

    /// It was told that the transaction has ended so, which must be stored already.
    fn ended(&self, status: Status) {
        let stored = self.status();
        if stored != Some(status) {
            self.world.fault(format!("{}: told {status:?}, and it is {stored:?}", self.name));
        }
        self.promised(Promise::Ended(status));
    }

    /// Whoever waited is told the reason that is stored.
    fn check_reason(&self, told: &str) {
        let entry = self.world.store.entry(self.gid());
        let stored = entry.and_then(|entry| entry.state.reason);
        if stored.as_deref().is_some_and(|stored| stored != told) {
            self.world.fault(format!("{}: told {told:?}, stored is {stored:?}", self.name));
        }
    }

    fn promised(&self, promise: Promise) {
        self.world.promised(self.gid(), promise);
    }

    fn status(&self) -> Option<Status> {
        self.world.store.entry(self.gid()).map(|entry| entry.state.status)
    }

    fn gid(&self) -> &Gid {
        &self.plan.spec.gid
    }
}
