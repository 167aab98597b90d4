//! The keys and arguments of script calls, as the scripts' heads list them.

use tandem::store::scripts::ScriptName;

use super::transaction::{LEASE_US, Transaction};

/// One item of a call.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) script: ScriptName,
    /// Keys that stand once for the items next to each other that have the same.
    pub(crate) shared: Vec<String>,
    pub(crate) keys: Vec<String>,
    /// Keys that stand after those of all items.
    pub(crate) further: Vec<String>,
    pub(crate) args: Vec<String>,
}

impl Item {
    /// Stands for the place of the item's first further key, or 0 if there is none.
    pub(crate) const PLACE: &str = "<place>";

    pub(crate) const fn new(script: ScriptName) -> Self {
        Self { script, shared: vec![], keys: vec![], further: vec![], args: vec![] }
    }

    pub(crate) fn shared(mut self, keys: impl IntoIterator<Item = String>) -> Self {
        self.shared.extend(keys);
        self
    }

    pub(crate) fn keys(mut self, keys: impl IntoIterator<Item = String>) -> Self {
        self.keys.extend(keys);
        self
    }

    pub(crate) fn further(mut self, keys: impl IntoIterator<Item = String>) -> Self {
        self.further.extend(keys);
        self
    }

    pub(crate) fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }
}

/// The item of a `prepare`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prepare<'a> {
    pub(crate) of: &'a Transaction,
    pub(crate) request: &'a str,
    pub(crate) mode: &'a str,
    pub(crate) delay_us: u64,
    pub(crate) timeout_us: u64,
    pub(crate) rest: &'a str,
    pub(crate) body: &'a str,
    pub(crate) is_large: bool,
}

impl From<Prepare<'_>> for Item {
    fn from(it: Prepare<'_>) -> Self {
        let of = it.of;
        let further = if it.is_large { vec![of.staged(it.request), of.body()] } else { Vec::new() };
        let body = if it.is_large { "" } else { it.body };
        let (delay, timeout) = (it.delay_us.to_string(), it.timeout_us.to_string());
        Self::new(ScriptName::Prepare).keys([of.hash(), of.due_set()]).further(further).args([
            &of.gid,
            it.request,
            it.mode,
            &delay,
            &timeout,
            it.rest,
            body,
            Self::PLACE,
        ])
    }
}

/// The item of a `submit` or a `promote`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Submit<'a> {
    pub(crate) of: &'a Transaction,
    pub(crate) script: ScriptName,
    pub(crate) request: &'a str,
    pub(crate) mode: &'a str,
    pub(crate) held: bool,
    /// Absent: the one that was prepared, if any.
    pub(crate) delay_us: Option<u64>,
    pub(crate) overriding: &'a str,
    pub(crate) status: &'a str,
    pub(crate) rest: &'a str,
    pub(crate) body: &'a str,
    pub(crate) is_large: bool,
}

impl Submit<'_> {
    /// The same by `promote`.
    pub(crate) const fn by_promote(self) -> Self {
        Self { script: ScriptName::Promote, ..self }
    }
}

impl From<Submit<'_>> for Item {
    fn from(it: Submit<'_>) -> Self {
        let of = it.of;
        let mode = if it.is_large { it.mode.to_lowercase() } else { it.mode.to_owned() };
        let delay = it.delay_us.map(|us| us.to_string()).unwrap_or_default();
        let lease = if it.held { LEASE_US.to_string() } else { String::new() };
        let item = Self::new(it.script).keys([of.hash(), of.due_set()]).args([
            &of.gid,
            it.request,
            &mode,
            &lease,
            &delay,
            it.overriding,
        ]);
        if it.script == ScriptName::Promote {
            return item;
        }
        let mut further = Vec::new();
        if it.is_large {
            further.extend([of.staged(it.request), of.body()]);
        }
        if it.status != "S" {
            further.push(of.ended_list());
        }
        let body = if it.is_large { "" } else { it.body };
        item.further(further).args([it.status, it.rest, body, Self::PLACE])
    }
}

/// The item of a `record`, a `rest` or a `finish`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByHolder<'a> {
    pub(crate) of: &'a Transaction,
    pub(crate) script: ScriptName,
    pub(crate) token: &'a str,
    pub(crate) n: u64,
    pub(crate) status: &'a str,
    pub(crate) rest: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) promoted: bool,
    /// How many registered branches it knows of.
    pub(crate) registered: Option<usize>,
    /// Of a rest.
    pub(crate) due_at: u64,
    /// Of a finish: the large body's key is given.
    pub(crate) with_body: bool,
}

impl From<ByHolder<'_>> for Item {
    fn from(it: ByHolder<'_>) -> Self {
        let of = it.of;
        let promoted = if it.promoted { "1" } else { "0" };
        let (before, hold) =
            (format!("{};{};", it.token, i128::from(it.n) - 1), format!("{};{};", it.token, it.n));
        let registered = it.registered.map(|count| count.to_string()).unwrap_or_default();
        let item = Self::new(it.script).keys([of.hash()]).args([
            &before,
            &hold,
            it.status,
            it.rest,
            it.reason,
            promoted,
            &registered,
        ]);
        if it.script == ScriptName::Rest {
            item.keys([of.due_set()]).args([of.gid.clone(), it.due_at.to_string()])
        } else if it.script == ScriptName::Finish {
            item.keys([of.due_set(), of.ended_list()])
                .further(it.with_body.then(|| of.body()))
                .args([&of.gid, Self::PLACE])
        } else {
            item
        }
    }
}
