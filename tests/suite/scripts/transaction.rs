//! A transaction that scripts are tried on, and the calls that may be made for it.

use tandem::store::scripts::ScriptName;

use super::calls::{ByHolder, Item, Prepare, Submit};
use crate::support::{
    cluster::slot_of,
    redis::{fresh_name, is_on_cluster},
};

/// A lease that no test waits for, in µs.
pub(crate) const LEASE_US: u64 = 3_000_000;

/// What a node has to say of a state: two rows that have not started.
pub(crate) const REST: &str = "nn;;0;";

/// The names of one transaction and its shard.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    tag: String,
    pub(crate) gid: String,
}

impl Transaction {
    /// One in a shard of its own. On a Cluster the shards of one test are in one slot, so that
    /// one call can have several of them.
    pub(crate) fn new() -> Self {
        let name = fresh_name();
        let tag = if is_on_cluster() { in_slot_of_this_test(&name) } else { name };
        Self { tag, gid: "g".to_owned() }
    }

    /// Another one in the same shard.
    pub(crate) fn sibling(&self, gid: &str) -> Self {
        Self { tag: self.tag.clone(), gid: gid.to_owned() }
    }

    /// A key of its shard.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("tandem:{{{}}}:{name}", self.tag)
    }

    pub(crate) fn hash(&self) -> String {
        self.key(&format!("g:{}", self.gid))
    }

    pub(crate) fn due_set(&self) -> String {
        self.key("due")
    }

    pub(crate) fn body(&self) -> String {
        self.key(&format!("b:{}", self.gid))
    }

    pub(crate) fn staged(&self, request: &str) -> String {
        self.key(&format!("s:{request}"))
    }

    pub(crate) fn ended_list(&self) -> String {
        self.key("fin:7")
    }

    /// Prepares a message that is due after `timeout_us`, 35 seconds.
    pub(crate) fn prepare<'a>(&'a self, request: &'a str) -> Prepare<'a> {
        Prepare {
            of: self,
            request,
            mode: "M",
            delay_us: 0,
            timeout_us: 35_000_000,
            rest: REST,
            body: "{}",
            is_large: false,
        }
    }

    /// Submits a message that `request` does not hold.
    pub(crate) fn submit<'a>(&'a self, request: &'a str) -> Submit<'a> {
        Submit {
            of: self,
            script: ScriptName::Submit,
            request,
            mode: "M",
            held: false,
            delay_us: None,
            overriding: "",
            status: "S",
            rest: REST,
            body: "{}",
            is_large: false,
        }
    }

    pub(crate) fn abort(&self, request: &str, reason: &str) -> Item {
        self.stop(ScriptName::Abort, request, reason).args([""])
    }

    /// As [`Transaction::abort`]; `request` is to hold what is undone.
    pub(crate) fn abort_held(&self, request: &str, reason: &str) -> Item {
        self.stop(ScriptName::Abort, request, reason).args([LEASE_US.to_string()])
    }

    /// Adds a branch to an xa, of which there may be three, with 100 bytes of content together.
    pub(crate) fn register(&self, branch_id: &str, content: &str) -> Item {
        self.register_in("X", branch_id, content)
    }

    /// As [`Transaction::register`], of another mode.
    pub(crate) fn register_in(&self, mode: &str, branch_id: &str, content: &str) -> Item {
        let name = format!("#{branch_id}");
        Item::new(ScriptName::Register).keys([self.hash()]).args([mode, &name, content, "3", "100"])
    }

    pub(crate) fn end_workflow(&self, request: &str, status: &str) -> Item {
        let reason = if status == "F" { "refused" } else { "" };
        let result = if status == "C" { "its result" } else { "" };
        Item::new(ScriptName::EndWorkflow)
            .keys([self.hash(), self.body(), self.due_set(), self.ended_list()])
            .args([&self.gid, request, status, reason, result])
    }

    pub(crate) fn force_stop(&self, request: &str, reason: &str) -> Item {
        self.stop(ScriptName::ForceStop, request, reason)
    }

    fn stop(&self, script: ScriptName, request: &str, reason: &str) -> Item {
        Item::new(script)
            .keys([self.hash(), self.body(), self.due_set(), self.ended_list()])
            .args([&self.gid, request, reason])
    }

    pub(crate) fn reset(&self) -> Item {
        Item::new(ScriptName::Reset).keys([self.hash(), self.due_set()]).args([&self.gid])
    }

    pub(crate) fn reset_later(&self, after_us: u64) -> Item {
        Item::new(ScriptName::ResetLater)
            .keys([self.hash(), self.due_set()])
            .args([&self.gid, after_us.to_string().as_str()])
    }

    /// Of its whole shard.
    pub(crate) fn list_later(&self, after_us: u64, offset: usize, limit: usize) -> Item {
        Item::new(ScriptName::ListLater).keys([self.due_set()]).args([
            after_us.to_string(),
            offset.to_string(),
            limit.to_string(),
        ])
    }

    pub(crate) fn query(&self) -> Item {
        Item::new(ScriptName::Query).keys([self.hash(), self.due_set()]).args([&self.gid])
    }

    /// Of its whole shard.
    pub(crate) fn claim_due(&self, limit: usize) -> Item {
        Item::new(ScriptName::ClaimDue)
            .keys([self.due_set()])
            .args([LEASE_US.to_string(), limit.to_string()])
    }

    pub(crate) fn take(&self, score: u64, token: &str) -> Item {
        Item::new(ScriptName::Take).keys([self.hash(), self.due_set()]).args([
            &self.gid,
            score.to_string().as_str(),
            token,
        ])
    }

    pub(crate) fn renew(&self, token: &str, lease_us: u64) -> Item {
        Item::new(ScriptName::Renew).keys([self.hash(), self.due_set()]).args([
            &self.gid,
            token,
            lease_us.to_string().as_str(),
        ])
    }

    pub(crate) fn entries(&self) -> String {
        self.key("all")
    }

    pub(crate) fn entry_names(&self) -> String {
        self.key("names")
    }

    /// The topic, or the sale, that is named as the transaction is.
    pub(crate) fn find_entry(&self) -> Item {
        Item::new(ScriptName::FindEntry).keys([self.entries()]).args([&self.gid])
    }

    pub(crate) fn list_entries(&self, from: &str, limit: usize) -> Item {
        Item::new(ScriptName::ListEntries)
            .keys([self.entries(), self.entry_names()])
            .args([from, &limit.to_string()])
    }

    /// Of the topic that is named as the transaction is.
    pub(crate) fn change_topic(&self, request: &str, found: &str, list: &str) -> Item {
        let done = self.key(&format!("r:{request}"));
        Item::new(ScriptName::ChangeTopic)
            .keys([self.entries(), self.entry_names(), done])
            .args([&self.gid, found, list])
    }

    /// Of the sale that is named as the transaction is; its digest is its definition.
    pub(crate) fn change_sale(&self, request: &str, found: &str, definition: &str) -> Item {
        let requests = self.key("requests");
        Item::new(ScriptName::ChangeSale)
            .keys([self.entries(), self.entry_names(), requests])
            .args([&self.gid, found, request, definition, definition])
    }

    /// Records the state `status` with the number `n`.
    pub(crate) fn record<'a>(&'a self, token: &'a str, n: u64, status: &'a str) -> ByHolder<'a> {
        ByHolder {
            of: self,
            script: ScriptName::Record,
            token,
            n,
            status,
            rest: REST,
            reason: "",
            promoted: false,
            registered: None,
            due_at: 0,
            with_body: false,
        }
    }

    /// Records it and rests until `due_at`.
    pub(crate) fn rest<'a>(
        &'a self,
        token: &'a str,
        n: u64,
        status: &'a str,
        due_at: u64,
    ) -> ByHolder<'a> {
        ByHolder { script: ScriptName::Rest, due_at, ..self.record(token, n, status) }
    }

    /// Records it as final.
    pub(crate) fn finish<'a>(&'a self, token: &'a str, n: u64, status: &'a str) -> ByHolder<'a> {
        ByHolder { script: ScriptName::Finish, ..self.record(token, n, status) }
    }
}

/// A tag that begins with `name`, in a slot that all tags of this test are in.
fn in_slot_of_this_test(name: &str) -> String {
    let slot = slot_of(std::thread::current().name().unwrap_or_default());
    let tag = (0_u32..).map(|number| format!("{name}-{number:x}")).find(|tag| slot_of(tag) == slot);
    tag.expect("some number will do")
}
