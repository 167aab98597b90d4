//! One store under comparison: makes the calls of it and words its answers so that those of two
//! stores can be compared, although each has its own clock.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use tandem::{
    model::{
        Gid, Global, Options, Progress, Share, Spec, Status, StepUrls, Subscriber, Timestamp,
        Token, Topic,
    },
    store::{
        Abort, Aborted, Durability, Prepare, Record, Recorded, Register, Store, StoreError, Submit,
        Submitted, TakeReply, Taken, TopicChange, WorkflowEnded,
    },
};

use crate::support::samples;

use super::calls::{Call, GIDS, HoldEnd, LONG, Request, TOPICS, Who};

/// The most due ones that a claim or a reset of many takes: more than there are.
const ALL: usize = 100;

/// One store, and what it answered so far.
pub(crate) struct Side<S> {
    store: S,
    now: Box<dyn Fn() -> Timestamp>,
    gids: Vec<Gid>,
    tokens: Vec<Token>,
    /// The scores that claims set, the newest last.
    scores: BTreeMap<Gid, Vec<Timestamp>>,
    /// What was last seen or written, with its number.
    seen: BTreeMap<Gid, (u64, Global)>,
    /// What was found of each topic, the newest last.
    topics: BTreeMap<usize, Vec<Option<Topic>>>,
    /// Who was last given a hold.
    holders: BTreeMap<Gid, Token>,
}

impl<S: Store> Side<S> {
    /// `now` tells the store's time; `gids` are new to it.
    pub(crate) fn new(
        store: S,
        now: impl Fn() -> Timestamp + 'static,
        gids: Vec<Gid>,
        tokens: Vec<Token>,
    ) -> Self {
        assert_eq!(gids.len(), GIDS);
        Self {
            store,
            now: Box::new(now),
            gids,
            tokens,
            scores: BTreeMap::new(),
            seen: BTreeMap::new(),
            topics: BTreeMap::new(),
            holders: BTreeMap::new(),
        }
    }

    /// Makes `call` and words the answer.
    pub(crate) async fn make(&mut self, call: &Call) -> String {
        match self.ask(call).await {
            Ok(answer) => answer,
            Err(error) => format!("{error:?}"),
        }
    }

    /// Everything that is stored, worded.
    pub(crate) async fn all(&self) -> Vec<String> {
        let queries = self.gids.iter().map(|gid| self.query(gid));
        let all = join_all(queries).await;
        all.into_iter().map(|it| it.unwrap_or_else(|error| format!("{error:?}"))).collect()
    }

    async fn ask(&mut self, call: &Call) -> Result<String, StoreError> {
        match call {
            Call::Prepare { request, timeout } => {
                let spec = self.spec(request);
                let item = Prepare {
                    timeout: *timeout,
                    body: samples::body(&spec),
                    ..samples::prepare(spec, self.tokens[request.token].clone())
                };
                Ok(format!("{:?}", self.store.prepare(item).await?))
            }
            Call::Submit { request, held, is_over, lease, is_promote } => {
                let item = self.submit(request, *held, *is_over, *lease);
                let sent = item.clone();
                let reply = if *is_promote {
                    self.store.promote(item).await?
                } else {
                    self.store.submit(item).await?
                };
                Ok(self.submitted(reply, sent))
            }
            Call::Abort { gid, token, has_reason, held, lease } => {
                let reason = has_reason.then_some("a reason");
                let (gid, token) = (self.gids[*gid].clone(), self.tokens[*token].clone());
                let item = samples::abort(&gid, token.clone(), reason, *held);
                match self.store.abort(Abort { lease: *lease, ..item }).await? {
                    Aborted::Held(taken) => {
                        self.holders.insert(gid, token);
                        Ok(format!("held: {}", self.taken(*taken)))
                    }
                    reply @ (Aborted::Done
                    | Aborted::NotHeld
                    | Aborted::Conflict(..)
                    | Aborted::NotFound) => Ok(format!("{reply:?}")),
                }
            }
            Call::Register { gid, mode, branch, content, branches_max, bytes_max } => {
                let data: &[u8] = if *content == 0 { b"{}" } else { b"\0;other\xff" };
                // The id and the op of two of a workflow are the same text when joined.
                let branch_id = ["1", "11", "0;", "#"][*branch];
                let mut registered = samples::branch(*mode, branch_id, data);
                if let Share::Workflow { op, .. } = &mut registered.share {
                    *op = ["1try", "try", "try", "try"][*branch].to_owned();
                }
                let item = samples::register(&self.gids[*gid], *mode, registered);
                let item = Register { branches_max: *branches_max, bytes_max: *bytes_max, ..item };
                Ok(format!("{:?}", self.store.register(item).await?))
            }
            Call::EndWorkflow { gid, token, status } => {
                let token = self.tokens[*token].clone();
                let item = samples::end_workflow(&self.gids[*gid], token, *status);
                match self.store.end_workflow(item).await? {
                    WorkflowEnded::Done { created_at, is_new } => {
                        Ok(format!("ended, new {is_new}, created {}", self.about(created_at)))
                    }
                    reply @ (WorkflowEnded::Conflict(_)
                    | WorkflowEnded::OtherMode(_)
                    | WorkflowEnded::NotFound) => Ok(format!("{reply:?}")),
                }
            }
            Call::ForceStop { gid, token } => {
                let (gid, token) = (&self.gids[*gid], &self.tokens[*token]);
                Ok(format!("{:?}", self.store.force_stop(gid, token, Durability::Memory).await?))
            }
            Call::Reset { gid } => Ok(format!("{:?}", self.store.reset(&self.gids[*gid]).await?)),
            Call::ResetLaterThan => {
                Ok(format!("{:?}", self.store.reset_later_than(LONG / 2, ALL).await?))
            }
            Call::Query { gid } => self.query(&self.gids[*gid]).await,
            Call::ClaimDue => self.claim_due().await,
            Call::Take { gid, token, claims_ago } => self.take(*gid, *token, *claims_ago).await,
            Call::Renew { gid, who, lease } => {
                let gid = &self.gids[*gid];
                let token = self.token(gid, *who);
                Ok(format!("{:?}", self.store.renew(gid, &token, *lease).await?))
            }
            Call::ChangeTopic { topic, token, is_stale, subscribers } => {
                self.change_topic(*topic, *token, *is_stale, *subscribers).await
            }
            Call::Topics { after, limit } => {
                let topics = self.store.topics(after.map(|number| TOPICS[number]), *limit).await?;
                Ok(topics.iter().map(|topic| self.worded_topic(topic)).collect())
            }
            Call::Record { gid, who, ahead, status, promoted, hold } => {
                let gid = self.gids[*gid].clone();
                let Some(mut record) = self.record(&gid, *who, *ahead, *status) else {
                    return Ok("nothing to record".to_owned());
                };
                record.promoted = *promoted;
                let reply = match hold {
                    HoldEnd::Kept => self.store.record(&record).await?,
                    HoldEnd::Finish => self.store.finish(&record).await?,
                    HoldEnd::Rest { due_in } => {
                        self.store.rest(&record, (self.now)().plus(*due_in)).await?
                    }
                };
                if reply == Recorded::Written
                    && let Some((n, global)) = self.seen.get_mut(&gid)
                {
                    *n = record.n;
                    global.state = record.state;
                }
                match reply {
                    Recorded::Reread(taken) => Ok(format!("reread: {}", self.taken(*taken))),
                    reply @ (Recorded::Written | Recorded::Refused) => Ok(format!("{reply:?}")),
                }
            }
        }
    }

    async fn change_topic(
        &mut self,
        number: usize,
        token: usize,
        is_stale: bool,
        subscribers: Option<usize>,
    ) -> Result<String, StoreError> {
        let name = TOPICS[number];
        let all = self.topics.entry(number).or_default();
        all.push(self.store.topic(name).await?);
        let found = all.iter().rev().nth(usize::from(is_stale)).cloned().flatten();
        let subscribers = subscribers.map(|count| {
            let url = |number| format!("http://busi/{name}/{number}");
            (0..count).map(|it| Subscriber { url: url(it), remark: "ü\n".to_owned() }).collect()
        });
        let token = self.tokens[token].clone();
        let change = TopicChange::new(token, name, found.as_ref(), subscribers);
        let changed = self.store.change_topic(change).await?;
        let topic = self.store.topic(name).await?;
        Ok(format!("{changed:?}: {:?}", topic.map(|topic| self.worded_topic(&topic))))
    }

    fn worded_topic(&self, topic: &Topic) -> String {
        let Topic { name, version, created_at, updated_at, subscribers } = topic;
        let times = (self.about(*created_at), self.about(*updated_at));
        format!("{name} version {version}, times {times:?}, subscribed {subscribers:?}; ")
    }

    async fn query(&self, gid: &Gid) -> Result<String, StoreError> {
        let Some(stored) = self.store.query(gid).await? else {
            return Ok("nothing".to_owned());
        };
        Ok(format!(
            "{} due {:?} held {} updated {} result {:?}",
            self.worded(&stored.global),
            stored.due_at.map(|at| self.about(at)),
            stored.is_held,
            self.about(stored.updated_at),
            stored.result,
        ))
    }

    /// Claims in every shard, since two stores may spread the same gids in other ways.
    async fn claim_due(&mut self) -> Result<String, StoreError> {
        let mut due = Vec::new();
        let mut next = None;
        let mut left_due = 0;
        for shard in 0..self.store.shard_count() {
            let claimed = self.store.claim_due(shard, LONG, ALL).await?;
            due.extend(claimed.due);
            next = [next, claimed.next].into_iter().flatten().min();
            left_due += claimed.left_due;
        }
        due.sort_by(|one, other| one.gid.cmp(&other.gid));
        for it in &due {
            self.scores.entry(it.gid.clone()).or_default().push(it.score);
        }
        let due: Vec<_> = due
            .iter()
            .map(|it| (it.gid.as_str(), self.about(it.due_at), self.about(it.score)))
            .collect();
        Ok(format!("{due:?}, next {:?}, left {left_due}", next.map(|at| self.about(at))))
    }

    async fn take(
        &mut self,
        gid: usize,
        token: usize,
        claims_ago: usize,
    ) -> Result<String, StoreError> {
        let gid = self.gids[gid].clone();
        let scores = self.scores.get(&gid).map_or(&[][..], Vec::as_slice);
        let score = scores.iter().rev().nth(claims_ago).copied().unwrap_or_default();
        match self.store.take(&gid, score, &self.tokens[token]).await? {
            TakeReply::Taken(taken) => {
                self.holders.insert(gid, self.tokens[token].clone());
                Ok(self.taken(*taken))
            }
            reply @ (TakeReply::Refused | TakeReply::Missing) => Ok(format!("{reply:?}")),
        }
    }

    fn submitted(&mut self, reply: Submitted, sent: Submit) -> String {
        let gid = sent.spec.gid.clone();
        match reply {
            Submitted::Held(taken) => {
                self.holders.insert(gid, sent.token);
                format!("held: {}", self.taken(*taken))
            }
            Submitted::Created { created_at, held } => {
                if held {
                    self.holders.insert(gid.clone(), sent.token);
                }
                let global = Global { spec: sent.spec, created_at, state: sent.state };
                self.seen.entry(gid).or_insert((1, global));
                format!("created {}, held {held}", self.about(created_at))
            }
            Submitted::NotHeld
            | Submitted::Conflict(_)
            | Submitted::OtherMode(_)
            | Submitted::NotFound
            | Submitted::NotPrepared => format!("{reply:?}"),
        }
    }

    fn token(&self, gid: &Gid, who: Who) -> Token {
        match who {
            Who::LastHolder => self.holders.get(gid).unwrap_or(&self.tokens[0]).clone(),
            Who::Token(number) => self.tokens[number].clone(),
        }
    }

    fn taken(&mut self, taken: Taken) -> String {
        let worded = format!("n {} of {}", taken.n, self.worded(&taken.global));
        self.seen.insert(taken.global.gid().clone(), (taken.n, taken.global));
        worded
    }

    /// The next record of somebody who last saw what this side saw last.
    fn record(&self, gid: &Gid, who: Who, ahead: u64, status: Status) -> Option<Record> {
        let (n, global) = self.seen.get(gid)?;
        let mut state = global.state.clone();
        // No holder takes a decision back, so no store asks whether it is one.
        let is_decided = status != Status::Prepared;
        state.status = if is_decided { status } else { state.status };
        let number = usize::try_from(*n).unwrap_or(0);
        let rows = state.rows.len().max(1);
        if let Some(row) = state.rows.get_mut(number % rows) {
            row.progress = match number % 3 {
                0 => Progress::Failed,
                1 => Progress::MayHaveRun,
                _ => Progress::Succeeded,
            };
            let is_finished = row.progress != Progress::MayHaveRun;
            let after = Duration::from_millis(n * 7);
            row.finished_at = is_finished.then(|| global.created_at.plus(after));
        }
        state.error_rounds = u32::try_from(*n).unwrap_or(0);
        state.last_error = number.is_multiple_of(2).then(|| format!("error; {n}\n\"ü\""));
        state.reason = (status == Status::Aborting).then(|| format!("reason {n};"));
        Some(Record {
            gid: gid.clone(),
            token: self.token(gid, who),
            n: n + ahead,
            state,
            created_at: global.created_at,
            promoted: false,
            registered: samples::known_branches(&global.spec),
            durability: Durability::Memory,
        })
    }

    fn submit(&self, request: &Request, held: bool, is_over: bool, lease: Duration) -> Submit {
        let mut spec = self.spec(request);
        if is_over {
            spec.steps = vec![StepUrls::default(); spec.steps.len()];
        }
        let body = samples::body(&spec);
        let token = self.tokens[request.token].clone();
        let mut item = Submit { body, lease, ..samples::submit(spec, token, held) };
        if is_over {
            item.state.status = Status::Succeed;
        }
        item
    }

    fn spec(&self, request: &Request) -> Spec {
        let mut spec = samples::spec(self.gids[request.gid].as_str(), request.mode, request.steps);
        spec.delay = request.delay;
        if !request.delay.is_zero() {
            spec.custom_data = format!("{{\"delay\":{}}}", request.delay.as_secs());
        }
        spec.options = Options {
            retry_interval: (request.retry_interval > 0)
                .then(|| Duration::from_secs(request.retry_interval)),
            ..Options::default()
        };
        spec
    }

    /// A point in time as the long spans that it is away from now; no sequence lasts half of one.
    fn about(&self, at: Timestamp) -> i64 {
        let ahead = at.since((self.now)()).as_secs_f64();
        let behind = (self.now)().since(at).as_secs_f64();
        let spans = (ahead - behind) / LONG.as_secs_f64();
        // A handful at most, or thousands for a time that was never set: exact either way.
        #[expect(clippy::cast_possible_truncation, reason = "a few spans")]
        let spans = spans.round() as i64;
        spans
    }

    fn worded(&self, global: &Global) -> String {
        let state = &global.state;
        let rows: Vec<_> = state
            .rows
            .iter()
            .map(|row| {
                let after = row.finished_at.map(|at| at.since(global.created_at).as_millis());
                (row.progress, after)
            })
            .collect();
        format!(
            "{:?} created {} not before {:?} rows {rows:?} error rounds {} reason {:?} last \
             error {:?} spec {:?}",
            state.status,
            self.about(global.created_at),
            state.not_before.map(|at| self.about(at)),
            state.error_rounds,
            state.reason,
            state.last_error,
            global.spec,
        )
    }
}
