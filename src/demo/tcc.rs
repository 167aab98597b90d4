//! The stories of TCC: the client tries each branch itself, then tandem confirms or cancels them all.

use anyhow::ensure;
use serde_json::{Value, json};

use super::{
    OPENING,
    check::check,
    story::{Heard, Stage, ending, follow},
    words::{Account, Movement, Op},
};

const PAYLOAD: &str = r#"{"amount":10}"#;

/// The branches in the order in which they are tried.
const BRANCHES: [(&str, Movement); 2] = [
    ("01", Movement { account: Account::A, amount: -10 }),
    ("02", Movement { account: Account::B, amount: 10 }),
];

impl Stage<'_> {
    pub(super) async fn is_confirmed(&mut self, mut heard: Heard) -> anyhow::Result<()> {
        self.page.say("What is tried is held: it has left A, and has not come to B yet.")?;
        let is_tried = self.tries(&mut heard).await?;
        ensure!(is_tried, "a try was refused");
        self.page.say("All tries went well: the client submits.")?;
        let base = self.two.base();
        let submitted = global(&heard.gid, true);
        let answered = self.api.send(base, "submit", &submitted);
        let answer = follow(&self.page, &mut self.calls, &mut heard, answered).await??;
        let status = self.api.status(base, &heard.gid).await?;
        let calls =
            ["01 try: tried", "02 try: tried", "02 confirm: confirmed", "01 confirm: confirmed"];
        let found = self.ending(answer.status, status, &heard);
        check(&found, &ending(200, "succeed", &calls, 20, 130), OPENING.total())?;
        self.page.good("Status succeed: each branch that was tried is confirmed.")?;
        Ok(())
    }

    pub(super) async fn is_cancelled(&mut self, mut heard: Heard) -> anyhow::Result<()> {
        self.bank.set_closed(Account::B, true);
        self.page.say("B's account is closed again.")?;
        let is_tried = self.tries(&mut heard).await?;
        self.bank.set_closed(Account::B, false);
        ensure!(!is_tried, "no try was refused");
        self.page.say("A try was refused: the client aborts.")?;
        let base = self.two.base();
        let answer = self.api.send(base, "abort", &global(&heard.gid, false)).await?;
        let gid = heard.gid.clone();
        let ended = self.api.ended(base, &gid);
        let status = follow(&self.page, &mut self.calls, &mut heard, ended).await??;
        let calls = [
            "01 try: tried",
            "02 try: refused: account closed",
            "02 cancel: nothing to undo",
            "01 cancel: released",
        ];
        let found = self.ending(answer.status, status, &heard);
        check(&found, &ending(200, "failed", &calls, 20, 130), OPENING.total())?;
        self.page.good("Status failed: cancelled in reverse order, and nothing has changed.")?;
        Ok(())
    }

    /// Prepares the transaction, then registers and tries each branch; whether no try was refused.
    async fn tries(&mut self, heard: &mut Heard) -> anyhow::Result<bool> {
        let (gid, base) = (heard.gid.clone(), self.two.base().to_owned());
        self.page.say(&format!(
            "Global transaction {gid}, prepared at node {}: 10 from A to B.",
            self.two.number
        ))?;
        let prepared = self.api.send(&base, "prepare", &global(&gid, false)).await?;
        ensure!(prepared.status == 200, "prepare was answered {}", prepared.status);
        for (branch_id, movement) in BRANCHES {
            let url = self.bank.url(movement);
            let branch = json!({
                "gid": gid,
                "trans_type": "tcc",
                "branch_id": branch_id,
                "data": PAYLOAD,
                "confirm": url,
                "cancel": url,
            });
            // Before its try, so that one that is tried is known whatever becomes of the client.
            let registered = self.api.send(&base, "registerBranch", &branch).await?;
            ensure!(registered.status == 200, "registerBranch: {}", registered.message);
            let tried = self.api.call_branch(&url, ("tcc", &gid), (branch_id, Op::Try), PAYLOAD);
            if follow(&self.page, &mut self.calls, heard, tried).await?? != 200 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn global(gid: &str, is_awaited: bool) -> Value {
    json!({"gid": gid, "trans_type": "tcc", "wait_result": is_awaited})
}
