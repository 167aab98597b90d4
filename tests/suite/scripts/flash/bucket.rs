//! A bucket of a sale that scripts are tried on, and the calls that may be made for it.

use std::collections::BTreeMap;

use tandem::store::scripts::ScriptName;

use crate::scripts::{
    calls::{ByHolder, Item},
    rig::Rig,
    transaction::{LEASE_US, REST, Transaction},
};

/// The head of an open sale without limits.
pub(crate) const OPEN: &str = "0;;;0;0";

/// After units came back where none were left, nobody takes them for so long, in µs.
pub(crate) const REOPENS_AFTER_US: u64 = 500_000;

/// One bucket, in a shard of its own.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    shard: Transaction,
}

/// An item's books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) share: u64,
    pub(crate) supply: u64,
    pub(crate) available: u64,
    pub(crate) held: u64,
    pub(crate) sold: u64,
    pub(crate) limit: u64,
    pub(crate) reopens: u64,
    pub(crate) takes: u64,
}

impl Books {
    /// `(available, held, sold)`.
    pub(crate) fn units(&self) -> (u64, u64, u64) {
        (self.available, self.held, self.sold)
    }
}

/// The item of an `order`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order<'a> {
    pub(crate) of: &'a Bucket,
    pub(crate) order: &'a str,
    pub(crate) buyer: &'a str,
    pub(crate) units: &'a str,
    pub(crate) request: &'a str,
    pub(crate) held: bool,
    pub(crate) has_ended: bool,
    pub(crate) is_large: bool,
}

impl From<Order<'_>> for Item {
    fn from(it: Order<'_>) -> Self {
        let t = it.of.transaction(it.order);
        let place = if it.has_ended { t.ended_list() } else { t.due_set() };
        let further = if it.is_large { vec![t.staged(it.request), t.body()] } else { Vec::new() };
        let lease = if it.held { LEASE_US.to_string() } else { String::new() };
        let field = format!("o{}", it.order);
        let status = if it.has_ended { "C" } else { "S" };
        let mode = if it.is_large { "s" } else { "S" };
        let token = if it.held { it.request } else { "" };
        let head = format!("{status}{mode}{token};1;{};;", it.request);
        let body = if it.is_large { "" } else { "{}" };
        Self::new(ScriptName::Order)
            .shared(it.of.keys())
            .shared([it.of.late_key(), place])
            .keys([t.hash()])
            .further(further)
            .args([t.gid.as_str(), &field, it.buyer, it.units, &head, &lease, REST, body])
            .args([Self::PLACE])
    }
}

impl Bucket {
    pub(crate) fn new() -> Self {
        Self { shard: Transaction::new() }
    }

    /// The one in the shard of a transaction.
    pub(crate) fn beside(shard: &Transaction) -> Self {
        Self { shard: shard.clone() }
    }

    /// One whose sale has `items` (`<item>=<units>=<limit>,…`) and `head`.
    pub(crate) fn open(rig: &mut Rig, head: &str, items: &str) -> Self {
        let bucket = Self::new();
        assert_eq!(rig.one(bucket.define(1, head, items)), ["done"]);
        bucket
    }

    pub(crate) fn books_key(&self) -> String {
        self.shard.key("f:s")
    }

    pub(crate) fn buyers_key(&self) -> String {
        self.shard.key("fb:s")
    }

    pub(crate) fn rows_key(&self) -> String {
        self.shard.key("fr:s")
    }

    /// Who took of it late.
    pub(crate) fn late_key(&self) -> String {
        self.shard.key("fl:s")
    }

    /// Those that its items share.
    fn keys(&self) -> [String; 3] {
        [self.books_key(), self.buyers_key(), self.rows_key()]
    }

    pub(crate) fn transfers_key(&self) -> String {
        self.shard.key("ft:s")
    }

    /// The transaction of an order.
    pub(crate) fn transaction(&self, order: &str) -> Transaction {
        self.shard.sibling(order)
    }

    pub(crate) fn define(&self, version: u64, head: &str, items: &str) -> Item {
        let version = version.to_string();
        Item::new(ScriptName::Define).keys([self.books_key()]).args([&version, head, items])
    }

    /// An order that nobody holds; its request has the order's name.
    pub(crate) fn order<'a>(&'a self, order: &'a str, buyer: &'a str, units: &'a str) -> Order<'a> {
        Order {
            of: self,
            order,
            buyer,
            units,
            request: order,
            held: false,
            has_ended: false,
            is_large: false,
        }
    }

    pub(crate) fn hold(&self, branch: &str, buyer: &str, units: &str) -> Item {
        let item = self.of_branch(ScriptName::Hold, branch, buyer, units);
        item.shared([self.late_key()])
    }

    /// Ends a reservation: letter S sells, R gives back.
    pub(crate) fn settle(&self, branch: &str, buyer: &str, letter: &str) -> Item {
        self.of_branch(ScriptName::Settle, branch, buyer, letter)
    }

    fn of_branch(&self, script: ScriptName, branch: &str, buyer: &str, what: &str) -> Item {
        let field = format!("b{}:{branch}g", branch.len());
        Item::new(script).shared(self.keys()).args([&field, buyer, what])
    }

    /// What a holder writes of the order that is named as its transaction, as `turn` does it.
    pub(crate) fn turn(&self, write: ByHolder<'_>) -> Item {
        let of = write.of;
        let is_rest = write.script == ScriptName::Rest;
        let due_at = if is_rest { write.due_at.to_string() } else { String::new() };
        let mut args = Item::from(ByHolder { script: ScriptName::Record, ..write }).args;
        args.extend([of.gid.clone(), due_at, format!("o{}", of.gid), Item::PLACE.to_owned()]);
        Item::new(ScriptName::Turn)
            .shared(self.keys())
            .shared([of.due_set(), of.ended_list()])
            .keys([of.hash()])
            .further(write.with_body.then(|| of.body()))
            .args(args)
    }

    pub(crate) fn stop_order(&self, order: &str, request: &str) -> Item {
        let t = self.transaction(order);
        Item::new(ScriptName::StopOrder)
            .shared(self.keys())
            .shared([t.due_set(), t.ended_list()])
            .keys([t.hash(), t.body()])
            .args([&t.gid, request, "why", format!("o{order}").as_str()])
    }

    pub(crate) fn look(&self) -> Item {
        self.look_behind("")
    }

    /// A look that asks for the late takers behind the first `late_takes`.
    pub(crate) fn look_behind(&self, late_takes: &str) -> Item {
        Item::new(ScriptName::Look).keys([self.books_key(), self.late_key()]).args([late_takes])
    }

    pub(crate) fn give(&self, transfer: &str, item: &str, most: u64) -> Item {
        let most = most.to_string();
        self.at_giver(ScriptName::Give, transfer).args([transfer, "7", item, &most])
    }

    pub(crate) fn receive(&self, transfer: &str, item: &str, units: u64) -> Item {
        let keys = [self.books_key(), self.rows_key()];
        let units = units.to_string();
        Item::new(ScriptName::Receive).keys(keys).args([transfer, item, &units])
    }

    pub(crate) fn acknowledge(&self, transfer: &str) -> Item {
        self.at_giver(ScriptName::Acknowledge, transfer).args([transfer])
    }

    fn at_giver(&self, script: ScriptName, transfer: &str) -> Item {
        let done = self.shard.key(&format!("fd:{transfer}"));
        Item::new(script).keys([self.books_key(), self.transfers_key(), done])
    }

    /// All that is stored in its shard.
    pub(crate) fn snapshot(&self, rig: &mut Rig) -> BTreeMap<String, (Vec<u8>, bool)> {
        rig.snapshot(&self.shard)
    }

    /// The books of all items, by their names; they are added up, and compared with the rows and with
    /// what the buyers have.
    pub(crate) fn books(&self, rig: &mut Rig) -> BTreeMap<String, Books> {
        let fields: BTreeMap<String, String> = rig.ask("HGETALL", &[&self.books_key()]);
        let rows: BTreeMap<String, String> = rig.ask("HGETALL", &[&self.rows_key()]);
        let buyers: BTreeMap<String, String> = rig.ask("HGETALL", &[&self.buyers_key()]);
        let mut by_item = BTreeMap::new();
        for (name, value) in &fields {
            let Some(item) = name.strip_prefix("i:") else { continue };
            let numbers: Vec<u64> =
                value.split(';').map(|digits| digits.parse().unwrap()).collect();
            let [share, supply, available, held, sold, limit, reopens, takes] = numbers[..] else {
                panic!("{value}")
            };
            assert_eq!(supply, available + held + sold, "{item}: {value}");
            let counted = |letter: char| counted(&rows, letter, item);
            assert_eq!((held, sold), (counted('H'), counted('S')), "{item}: {value}: {rows:?}");
            let owned: u64 = buyers.values().map(|text| units_in(text, item)).sum();
            assert_eq!(owned, held + sold, "{item}: {value}: {buyers:?}");
            let books = Books { share, supply, available, held, sold, limit, reopens, takes };
            by_item.insert(item.to_owned(), books);
        }
        let in_work =
            rows.iter().filter(|(field, row)| field.starts_with('o') && row.starts_with('H'));
        if let Some(counts) = fields.get("n") {
            let counts: Vec<usize> =
                counts.split(';').map(|count| count.parse().unwrap()).collect();
            assert_eq!(counts[0], in_work.count(), "orders in work: {rows:?}");
            let n_orders = rows.keys().filter(|field| field.starts_with('o')).count();
            assert_eq!(counts[1], n_orders, "orders: {rows:?}");
            let n_in_transit: usize = rig.ask("HLEN", &[&self.transfers_key()]);
            assert_eq!(counts[2], n_in_transit, "transfers");
        }
        assert!(buyers.values().all(|text| !text.is_empty()), "{buyers:?}");
        by_item
    }

    /// The books of the item `shoe`.
    pub(crate) fn shoe(&self, rig: &mut Rig) -> Books {
        self.books(rig)["shoe"]
    }

    /// The row of an order.
    pub(crate) fn row(&self, rig: &mut Rig, order: &str) -> Option<String> {
        rig.ask("HGET", &[&self.rows_key(), &format!("o{order}")])
    }

    /// What a buyer has.
    pub(crate) fn buyer(&self, rig: &mut Rig, buyer: &str) -> Option<String> {
        rig.ask("HGET", &[&self.buyers_key(), buyer])
    }
}

fn counted(rows: &BTreeMap<String, String>, letter: char, item: &str) -> u64 {
    let rows =
        rows.iter().filter(|(field, row)| !field.starts_with('t') && row.starts_with(letter));
    rows.map(|(_, row)| units_in(row.split(';').nth(1).unwrap(), item)).sum()
}

/// The units of `item` in `<item>=<units>,…`.
fn units_in(text: &str, item: &str) -> u64 {
    let lines = text.split(',').filter(|line| !line.is_empty());
    let of_item = lines.filter_map(|line| {
        let (name, units) = line.split_once('=').unwrap();
        (name == item).then(|| units.parse::<u64>().unwrap())
    });
    of_item.sum()
}
