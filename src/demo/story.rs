//! The stories of sagas and of the message, and what all stories need: what is sent, what is told of it, and how it has to end.

use std::{future::Future, pin::pin, time::Duration};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Instant, timeout},
};

use super::{
    LEASE_SECONDS, OPENING,
    api::Api,
    bank::{Bank, Call},
    check::{Ending, brief, check, lateness},
    node::Node,
    page::Page,
    words::{Account, Balances, Entry, Movement},
};

/// What the stories are called, in their order.
pub(super) const STORIES: [&str; 7] = [
    "A transfer that succeeds",
    "A transfer that is refused, and undone",
    "A transfer whose node is killed",
    "A two-phase message with a delay",
    "A TCC that is confirmed",
    "A TCC whose try is refused, and which is cancelled",
    "A workflow whose client is killed",
];

/// No story takes longer, even on a slow machine.
const PATIENCE: Duration = Duration::from_secs(12);

/// After what time the message is to be delivered.
const DELAY: Duration = Duration::from_secs(2);

/// All that a story needs.
pub(super) struct Stage<'a> {
    pub(super) page: Page,
    pub(super) bank: Bank,
    /// What the bank was called.
    pub(super) calls: UnboundedReceiver<Call>,
    pub(super) api: Api,
    pub(super) one: &'a mut Node,
    pub(super) two: &'a mut Node,
}

/// The gid of a story, and the calls that came for it.
pub(super) struct Heard {
    pub(super) gid: String,
    pub(super) calls: Vec<Call>,
}

impl Stage<'_> {
    /// Plays and checks the story with this number, from 1.
    pub(super) async fn play(&mut self, number: usize) -> anyhow::Result<()> {
        let heard = Heard { gid: format!("demo-{number}"), calls: Vec::new() };
        let story = async {
            match number {
                1 => self.succeeds(heard).await,
                2 => self.is_refused(heard).await,
                3 => self.loses_its_node(heard).await,
                4 => self.is_delayed(heard).await,
                5 => self.is_confirmed(heard).await,
                6 => self.is_cancelled(heard).await,
                _ => self.is_resumed(heard).await,
            }
        };
        match timeout(PATIENCE, Box::pin(story)).await {
            Ok(played) => played,
            Err(_) => bail!("it has not ended after {PATIENCE:?}"),
        }
    }

    async fn succeeds(&mut self, mut heard: Heard) -> anyhow::Result<()> {
        self.tell_transfer(&heard, self.one.number)?;
        let sent = Instant::now();
        let transfer = self.transfer(&heard.gid, true);
        let api = &self.api;
        let answered = api.send(self.one.base(), "submit", &transfer);
        let answer = follow(&self.page, &mut self.calls, &mut heard, answered).await??;
        let took = sent.elapsed();
        let status = self.api.status(self.two.base(), &heard.gid).await?;
        let calls = ["01 action: booked", "02 action: booked"];
        let found = self.ending(answer.status, status, &heard);
        check(&found, &ending(200, "succeed", &calls, 70, 80), OPENING.total())?;
        self.page.good(&format!("Status succeed after {}.", span(took)))?;
        Ok(())
    }

    async fn is_refused(&mut self, mut heard: Heard) -> anyhow::Result<()> {
        self.bank.set_closed(Account::B, true);
        self.page.say("B's account is closed now.")?;
        self.tell_transfer(&heard, self.one.number)?;
        let sent = Instant::now();
        let transfer = self.transfer(&heard.gid, true);
        let answered = self.api.send(self.one.base(), "submit", &transfer);
        let answer = follow(&self.page, &mut self.calls, &mut heard, answered).await??;
        let took = sent.elapsed();
        self.bank.set_closed(Account::B, false);
        let status = self.api.status(self.two.base(), &heard.gid).await?;
        let calls = [
            "01 action: booked",
            "02 action: refused: account closed",
            "02 compensate: nothing to undo",
            "01 compensate: undone",
        ];
        let found = self.ending(answer.status, status, &heard);
        check(&found, &ending(409, "failed", &calls, 70, 80), OPENING.total())?;
        ensure!(
            answer.message.contains("FAILURE"),
            "the answer does not say FAILURE: {}",
            answer.message
        );
        self.page.good(&format!("Status failed after {}: nothing has changed.", span(took)))?;
        Ok(())
    }

    async fn loses_its_node(&mut self, mut heard: Heard) -> anyhow::Result<()> {
        self.page.say("B's account is open again. The bank will book step 2 and not answer it.")?;
        self.bank.keep_silent_once();
        self.tell_transfer(&heard, self.one.number)?;
        let transfer = self.transfer(&heard.gid, false);
        let answer = self.api.send(self.one.base(), "submit", &transfer).await?;
        loop {
            let call = self.calls.recv().await.context("the bank is gone")?;
            let is_unanswered = call.is_unanswered;
            heard.take(&self.page, call)?;
            if is_unanswered {
                break;
            }
        }
        let pid = self.one.pid;
        self.one.kill().await?;
        let killed = Instant::now();
        self.page.say(&format!(
            "Node 1 (process {pid}) is killed: SIGKILL. Its lease ends within {LEASE_SECONDS} s; then \
             node 2 claims {}.",
            heard.gid
        ))?;
        let gid = heard.gid.clone();
        let ended = self.api.ended(self.two.base(), &gid);
        let status = follow(&self.page, &mut self.calls, &mut heard, ended).await??;
        let took = killed.elapsed();
        let calls = ["01 action: booked", "02 action: booked", "02 action: counted already"];
        let found = self.ending(answer.status, status, &heard);
        check(&found, &ending(200, "succeed", &calls, 40, 110), OPENING.total())?;
        self.page.say("The bank's barrier had that op already: it counts once.")?;
        self.page.good(&format!("Status succeed at node 2, {} after the kill.", span(took)))?;
        Ok(())
    }

    async fn is_delayed(&mut self, mut heard: Heard) -> anyhow::Result<()> {
        let gid = heard.gid.clone();
        let base = self.two.base().to_owned();
        self.page.say(&format!(
            "Global transaction {gid}, prepared at node {}: 10 for B, {} s after the submit.",
            self.two.number,
            DELAY.as_secs()
        ))?;
        let message = self.message(&gid);
        let prepared = self.api.send(&base, "prepare", &message).await?;
        ensure!(prepared.status == 200, "prepare was answered {}", prepared.status);
        let withdrawal = Movement { account: Account::A, amount: -10 };
        let entry = self.bank.work_locally(&gid, withdrawal);
        ensure!(entry == Entry::Booked, "the local work was not done: {entry}");
        self.page.say(&format!(
            "Local work of the bank: {withdrawal}; {}. Then it submits.",
            self.bank.balances()
        ))?;
        let submitted = Instant::now();
        let answer = self.api.send(&base, "submit", &message).await?;
        let ended = self.api.ended(&base, &gid);
        let status = follow(&self.page, &mut self.calls, &mut heard, ended).await??;
        let found = self.ending(answer.status, status, &heard);
        let calls = ["01 action: booked"];
        check(&found, &ending(200, "succeed", &calls, 30, 120), OPENING.total())?;
        let Some(call) = heard.calls.first() else { bail!("it was not called") };
        // From before the submit was sent, hence at most a little too much.
        let late = lateness(call.at.duration_since(submitted), DELAY)?;
        self.page
            .good(&format!("Status succeed. The call was not early, and {} late.", span(late)))?;
        Ok(())
    }

    fn tell_transfer(&self, heard: &Heard, node: usize) -> anyhow::Result<()> {
        let gid = &heard.gid;
        let text = format!("Global transaction {gid}, submitted to node {node}: 30 from A to B.");
        Ok(self.page.say(&text)?)
    }

    /// A saga of two steps.
    fn transfer(&self, gid: &str, is_awaited: bool) -> Value {
        let withdraw = self.bank.url(Movement { account: Account::A, amount: -30 });
        let deposit = self.bank.url(Movement { account: Account::B, amount: 30 });
        json!({
            "gid": gid,
            "trans_type": "saga",
            // Which of the two is meant is told by the op that tandem adds to the URL.
            "steps": [
                {"action": withdraw, "compensate": withdraw},
                {"action": deposit, "compensate": deposit},
            ],
            "payloads": [r#"{"amount":30}"#, r#"{"amount":30}"#],
            "wait_result": is_awaited,
        })
    }

    fn message(&self, gid: &str) -> Value {
        json!({
            "gid": gid,
            "trans_type": "msg",
            "query_prepared": self.bank.query_prepared(),
            "steps": [{"action": self.bank.url(Movement { account: Account::B, amount: 10 })}],
            "payloads": [r#"{"amount":10}"#],
            "custom_data": json!({"delay": DELAY.as_secs()}).to_string(),
        })
    }

    pub(super) fn ending(&self, answer: u16, status: String, heard: &Heard) -> Ending {
        let calls = heard.calls.iter().map(brief).collect();
        Ending { answer, status, calls, balances: self.bank.balances() }
    }
}

impl Heard {
    fn take(&mut self, page: &Page, call: Call) -> anyhow::Result<()> {
        ensure!(call.gid == self.gid, "{} was called, which had ended", call.gid);
        page.call(&call)?;
        self.calls.push(call);
        Ok(())
    }
}

/// How a story has to end.
pub(super) fn ending(answer: u16, status: &str, calls: &[&str], a: i64, b: i64) -> Ending {
    let calls = calls.iter().copied().map(str::to_owned).collect();
    Ending { answer, status: status.to_owned(), calls, balances: Balances { a, b } }
}

/// Tells each call as it comes, until `end` is there and all that came before it.
pub(super) async fn follow<T>(
    page: &Page,
    calls: &mut UnboundedReceiver<Call>,
    heard: &mut Heard,
    end: impl Future<Output = T>,
) -> anyhow::Result<T> {
    let mut end = pin!(end);
    loop {
        tokio::select! {
            biased;
            Some(call) = calls.recv() => heard.take(page, call)?,
            value = &mut end => {
                // The bank tells of a call before it answers it, hence before the end.
                while let Ok(call) = calls.try_recv() {
                    heard.take(page, call)?;
                }
                return Ok(value);
            }
        }
    }
}

/// A span of time for readers: in milliseconds below a second, else in seconds.
pub(super) fn span(span: Duration) -> String {
    if span < Duration::from_secs(1) {
        format!("{:.1} ms", span.as_secs_f64() * 1_000.0)
    } else {
        format!("{:.1} s", span.as_secs_f64())
    }
}
