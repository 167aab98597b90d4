//! Calls scripts on a real Redis and looks at what they left there.

use std::collections::BTreeMap;

use redis::{FromRedisValue, RedisError, Value};
use tandem::store::scripts::ScriptName;

use super::{
    calls::Item,
    transaction::{LEASE_US, REST, Transaction},
};
use crate::support::{
    cluster::Routed,
    redis::{connect, redis_url},
};

/// How long ended ones are kept, in ms: an argument of the scripts that end something.
pub(crate) const RETENTION_MS: u64 = 86_400_000;

/// One connection to a Redis, and what a test asks of it.
pub(crate) struct Rig {
    redis: Routed,
}

/// What a call answered.
#[derive(Debug)]
pub(crate) struct Replies {
    /// Redis's time, in µs.
    pub(crate) now: u64,
    /// For each item its words; what is absent is `nil`.
    pub(crate) items: Vec<Vec<String>>,
}

impl Rig {
    /// On the server that all tests share: transactions keep out of each other's way by their tags.
    pub(crate) fn new() -> Self {
        Self::on(redis_url())
    }

    /// On the server at `url`.
    pub(crate) fn on(url: &str) -> Self {
        Self { redis: connect(url) }
    }

    /// Calls the script of `items`, which is the same for all, with all of them at once.
    pub(crate) fn try_all(&mut self, items: &[Item]) -> Result<Replies, RedisError> {
        let script = items[0].script;
        assert!(items.iter().all(|item| item.script == script), "one script a call");
        let sharing: Vec<&[Item]> = items.chunk_by(|one, next| one.shared == next.shared).collect();
        let shared = sharing.iter().flat_map(|sharing| &sharing[0].shared);
        let keys = shared.chain(items.iter().flat_map(|item| &item.keys));
        let further = items.iter().flat_map(|item| &item.further);
        let n_plain = keys.clone().count();

        let mut call = redis::cmd("EVAL");
        call.arg(script.source()).arg(n_plain + further.clone().count());
        keys.chain(further).for_each(|key| {
            call.arg(key);
        });
        if ends_something(script) {
            call.arg(RETENTION_MS);
        }
        if !items[0].shared.is_empty() {
            let counts: Vec<_> = sharing.iter().map(|items| items.len().to_string()).collect();
            call.arg(counts.join(","));
        }
        let mut next_place = n_plain + 1;
        for item in items {
            for arg in &item.args {
                match arg.as_str() {
                    Item::PLACE if item.further.is_empty() => call.arg(0),
                    Item::PLACE => call.arg(next_place),
                    arg => call.arg(arg),
                };
            }
            next_place += item.further.len();
        }
        let value: Value = call.query(&mut self.redis)?;
        Ok(Replies::read(value))
    }

    /// As [`Rig::try_all`], where the call as a whole is answered.
    pub(crate) fn all(&mut self, items: &[Item]) -> Replies {
        self.try_all(items).unwrap()
    }

    /// Calls a script for one item, and answers its words.
    pub(crate) fn one(&mut self, item: impl Into<Item>) -> Vec<String> {
        self.one_at(item).1
    }

    /// Calls a script for one item, and answers Redis's time and its words.
    pub(crate) fn one_at(&mut self, item: impl Into<Item>) -> (u64, Vec<String>) {
        let mut replies = self.all(&[item.into()]);
        assert_eq!(replies.items.len(), 1);
        (replies.now, replies.items.remove(0))
    }

    /// A plain command.
    pub(crate) fn ask<T: FromRedisValue>(&mut self, name: &str, args: &[&str]) -> T {
        redis::cmd(name).arg(args).query(&mut self.redis).unwrap()
    }

    /// Redis's time, in µs.
    pub(crate) fn now(&mut self) -> u64 {
        let (seconds, us): (u64, u64) = self.ask("TIME", &[]);
        seconds * 1_000_000 + us
    }

    /// Stores a transaction as other scripts left it: `head` is `<status><mode><n>;<request>`. Unless
    /// it has ended it is due a lease from now, which is answered.
    pub(crate) fn seed(&mut self, of: &Transaction, head: &str, token: &str) -> u64 {
        let now = self.now();
        let (head, request) = head.split_once(';').unwrap();
        let (letters, n) = head.split_at(2);
        let state = format!("{letters}{token};{n};{request};;{now};{REST}");
        self.ask::<()>("HSET", &[&of.hash(), "c", &now.to_string(), "s", &state, "b", "{}"]);
        let due = now + LEASE_US;
        if !head.starts_with(['C', 'F']) {
            self.put_due(of, due);
        }
        due
    }

    /// Stores its registered branches as `register` left them.
    pub(crate) fn seed_branches(&mut self, of: &Transaction, count: usize) {
        for number in 0..count {
            let (name, content) = (format!("#b{number}"), format!("{number};x0:"));
            let n_branches = (number + 1).to_string();
            self.ask::<()>("HSET", &[&of.hash(), &name, &content, "k", &n_branches]);
        }
    }

    /// Sets the body that `request` staged, for a minute.
    pub(crate) fn stage(&mut self, of: &Transaction, request: &str) {
        self.ask::<()>("SET", &[&of.staged(request), "a large body", "EX", "60"]);
    }

    /// A field of the transaction's hash.
    pub(crate) fn field(&mut self, of: &Transaction, name: &str) -> Option<String> {
        self.ask("HGET", &[&of.hash(), name])
    }

    /// Its packed state without token and times: `<status><mode><n>;<request>;<rest>`; empty if
    /// there is none.
    pub(crate) fn state(&mut self, of: &Transaction) -> String {
        let packed = self.field(of, "s").unwrap_or_default();
        let parts: Vec<&str> = packed.splitn(6, ';').collect();
        match parts[..] {
            [head, n, request, _, _, rest] => format!("{}{n};{request};{rest}", &head[..2]),
            _ => packed,
        }
    }

    /// When its state was written, in µs.
    pub(crate) fn written_at(&mut self, of: &Transaction) -> u64 {
        self.field(of, "s").unwrap().split(';').nth(4).unwrap().parse().unwrap()
    }

    /// Until when nothing may be called, in µs.
    pub(crate) fn not_before(&mut self, of: &Transaction) -> Option<u64> {
        let packed = self.field(of, "s").unwrap();
        let text = packed.split(';').nth(3).unwrap();
        (!text.is_empty()).then(|| text.parse().unwrap())
    }

    /// The token of its holder, empty if nobody holds it.
    pub(crate) fn token(&mut self, of: &Transaction) -> String {
        let packed = self.field(of, "s").unwrap();
        packed.split(';').next().unwrap()[2..].to_owned()
    }

    /// When it is due, in µs.
    pub(crate) fn due(&mut self, of: &Transaction) -> Option<u64> {
        let score: Option<f64> = self.ask("ZSCORE", &[&of.due_set(), &of.gid]);
        score.map(|score| format!("{score:.0}").parse().unwrap())
    }

    /// Makes it due at `at`, in µs.
    pub(crate) fn put_due(&mut self, of: &Transaction, at: u64) {
        self.ask::<()>("ZADD", &[&of.due_set(), &at.to_string(), &of.gid]);
    }

    /// The gids that ended in its minute.
    pub(crate) fn ended(&mut self, of: &Transaction) -> Vec<String> {
        self.ask("LRANGE", &[&of.ended_list(), "0", "-1"])
    }

    /// How long `key` is kept, in ms; -1: for good; -2: it is not there.
    pub(crate) fn ttl_ms(&mut self, key: &str) -> i64 {
        self.ask("PTTL", &[key])
    }

    /// All that is stored under its tag: what each key holds, and whether it expires.
    pub(crate) fn snapshot(&mut self, of: &Transaction) -> BTreeMap<String, (Vec<u8>, bool)> {
        let keys: Vec<String> = self.ask("KEYS", &[&of.key("*")]);
        keys.into_iter()
            .map(|key| {
                let dump = self.ask("DUMP", &[&key]);
                let expires = self.ttl_ms(&key) >= 0;
                (key, (dump, expires))
            })
            .collect()
    }
}

/// Whether the script's first argument is the retention.
fn ends_something(script: ScriptName) -> bool {
    use ScriptName as S;
    let is_of_flash = matches!(script, S::Order | S::Turn | S::StopOrder);
    is_of_flash
        || matches!(script, S::Submit | S::Abort | S::EndWorkflow | S::ForceStop | S::Finish)
}

impl Replies {
    fn read(value: Value) -> Self {
        let Value::Array(values) = value else { panic!("{value:?}") };
        let mut values = values.into_iter();
        let Some(Value::Int(now)) = values.next() else { panic!("no time") };
        Self { now: now.unsigned_abs(), items: values.map(of_item).collect() }
    }
}

/// An item's words: a list of them, or a text with blanks between them.
fn of_item(value: Value) -> Vec<String> {
    if let Value::BulkString(text) = &value {
        str::from_utf8(text).unwrap().split(' ').map(str::to_owned).collect()
    } else {
        words(value)
    }
}

fn words(value: Value) -> Vec<String> {
    if let Value::Array(values) = value {
        values.into_iter().flat_map(words).collect()
    } else if value == Value::Nil {
        vec!["nil".to_owned()]
    } else {
        vec![String::from_redis_value(value).unwrap()]
    }
}
