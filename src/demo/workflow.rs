//! The story of a workflow: its client is killed after the first of two steps, and tandem has it go on.

use anyhow::{Context as _, bail, ensure};
use tokio::sync::mpsc;

use super::{
    OPENING,
    check::check,
    program::{Event, NAME, Program},
    story::{Heard, Stage, ending, follow},
    words::{Account, Movement},
};

/// What the steps are called with, and tandem keeps for whoever goes on.
const DATA: &str = r#"{"amount":10}"#;

/// After this step the client is killed.
const FIRST: &str = "01";

impl Stage<'_> {
    pub(super) async fn is_resumed(&mut self, mut heard: Heard) -> anyhow::Result<()> {
        let (gid, base) = (heard.gid.clone(), self.two.base().to_owned());
        let withdrawal = self.bank.url(Movement { account: Account::A, amount: -10 });
        let deposit = self.bank.url(Movement { account: Account::B, amount: 10 });
        let steps = [(FIRST, withdrawal), ("02", deposit)];
        let (told, mut events) = mpsc::unbounded_channel();
        let program = Program::open(self.api.clone(), &base, steps, told).await?;
        self.page.say(&format!(
            "Global transaction {gid}, prepared at node {}: the client calls each step itself.",
            self.two.number
        ))?;

        let mut client = program.start(&gid, DATA, FIRST);
        let registered = async {
            tokio::select! {
                end = &mut client => bail!("the client ended by itself: {end:?}"),
                registered = self.api.registered(&base, &gid, FIRST) => registered,
            }
        };
        follow(&self.page, &mut self.calls, &mut heard, registered).await??;
        client.abort();
        ensure!(client.await.is_err_and(|end| end.is_cancelled()), "the client was not killed");
        self.page
            .say("The client registers the first step, and is killed. Tandem waits for 1 s.")?;

        let called = events.recv().await.context("the program is gone")?;
        let expected =
            Event::Called { gid: gid.clone(), op: NAME.to_owned(), data: DATA.to_owned() };
        ensure!(called == expected, "called back with {called:?}");
        self.page.say(&format!(
            "Node {} calls the workflow back by its name, {NAME}. It is told that branch {FIRST} is \
             done.",
            self.two.number
        ))?;
        let ended = self.api.ended(&base, &gid);
        let status = follow(&self.page, &mut self.calls, &mut heard, ended).await??;
        let submitted = events.recv().await.context("the program is gone")?;
        let Event::Submitted(answer) = submitted else { bail!("called back twice") };
        let found = self.ending(answer, status, &heard);
        let calls = ["01 action: booked", "02 action: booked"];
        check(&found, &ending(200, "succeed", &calls, 10, 140), OPENING.total())?;
        self.page.good("Status succeed: each step was called once.")?;
        Ok(())
    }
}
