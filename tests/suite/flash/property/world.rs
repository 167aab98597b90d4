//! One run: buyers, nodes and the table, and whatever can go wrong between them, by chance.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tandem::{
    model::{
        Timestamp,
        flash::{Bucket, ItemId, Sale},
    },
    store::flash::Define,
};

use crate::support::{model_rules::Tables, rng::Rng};

use super::{
    buyers::Buyers,
    command::{Command, Reply},
    flaw::Flaw,
    node::Node,
    sale,
    watch::{Watch, word},
};

/// Where the clock starts.
const START: Timestamp = Timestamp::from_us(1_800_000_000_000_000);

/// Shards of the store.
pub(super) const SHARDS: usize = 4;

/// Commands that are remembered, to be sent once more.
const HISTORY: usize = 64;

/// How long a unit may be left while somebody is told from memory that there is none.
const LEFT_MAX: Duration = Duration::from_secs(1);

/// One run.
pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) now: Timestamp,
    pub(super) tables: Tables,
    /// The definition as the registry has it.
    pub(super) sale: Arc<Sale>,
    pub(super) nodes: Vec<Node>,
    pub(super) buyers: Buyers,
    flaw: Flaw,
    watch: Watch,
    starts: u64,
    /// Sent again at any later time.
    history: Vec<Command>,
    /// Under way still.
    late: Vec<Command>,
    /// Since when there was always a unit left of an item.
    left_since: BTreeMap<ItemId, Timestamp>,
    pub(super) met: BTreeMap<&'static str, u64>,
}

impl World {
    /// The run that belongs to `seed`.
    pub(super) fn new(seed: u64, flaw: Flaw) -> Self {
        let mut rng = Rng::of(seed, &["flash"]);
        let sale = Arc::new(sale::first(&mut rng, START));
        let mut world = Self {
            rng,
            now: START,
            tables: Tables::default(),
            sale,
            nodes: Vec::new(),
            buyers: Buyers::default(),
            flaw,
            watch: Watch::default(),
            starts: 0,
            history: Vec::new(),
            late: Vec::new(),
            left_since: BTreeMap::new(),
            met: BTreeMap::new(),
        };
        for number in 0..world.sale.buckets {
            let command = world.define(number);
            world.execute(&command);
        }
        for _ in 0..3 {
            let node = world.fresh_node();
            world.nodes.push(node);
        }
        world
    }

    /// What was seen that never should be.
    pub(super) fn faults(&self) -> &[String] {
        &self.watch.faults
    }

    /// Something happens.
    pub(super) fn step(&mut self) {
        match self.rng.below(100) {
            0..30 => self.somebody_orders(),
            30..50 => self.a_holder_goes_on(),
            50..56 => self.a_node_claims(),
            56..64 => self.a_branch_asks(),
            64..72 => self.units_move(),
            72..88 => self.a_node_looks(),
            88..90 => self.the_sale_changes(),
            90..92 => self.send_definition(),
            92..93 => self.somebody_stops_an_order(),
            93..94 => self.a_node_dies(),
            94..97 => self.something_comes_late(),
            _ => self.something_comes_again(),
        }
        self.time_passes();
    }

    /// The buckets in the order of their numbers.
    pub(super) fn buckets(&self) -> Vec<Bucket> {
        self.sale.all_buckets(SHARDS).collect()
    }

    /// One node.
    pub(super) fn any_node(&mut self) -> usize {
        self.rng.index(self.nodes.len())
    }

    /// One item of the sale.
    pub(super) fn any_item(&mut self) -> ItemId {
        let at = self.rng.index(self.sale.items.len());
        self.sale.items[at].id.clone()
    }

    /// Sends a command; `None` if no answer comes back: then it was done, or will be, or never is.
    pub(super) fn send(&mut self, command: &Command) -> Option<Reply> {
        if self.history.len() < HISTORY {
            self.history.push(command.clone());
        } else {
            let at = self.rng.index(HISTORY);
            self.history[at] = command.clone();
        }
        match self.rng.below(100) {
            0..4 => None,
            4..9 => {
                self.late.push(command.clone());
                None
            }
            9..15 => {
                self.execute(command);
                None
            }
            _ => Some(self.execute(command)),
        }
    }

    fn execute(&mut self, command: &Command) -> Reply {
        let expected = self.watch.expected(command, &self.tables);
        let reply = self.flaw.execute(command, &mut self.tables, self.now);
        self.watch.check((command, &reply), expected, &self.tables, self.now);
        self.meet(word(&reply));
        self.note_what_is_left();
        reply
    }

    /// Counts what was met.
    pub(super) fn meet(&mut self, word: &'static str) {
        *self.met.entry(word).or_default() += 1;
    }

    fn note_what_is_left(&mut self) {
        for item in &self.sale.items {
            let mut left = 0;
            for table in self.tables.flash.buckets.values() {
                left += table.items.get(&item.id).map_or(0, |item| item.available);
                let on_their_way = table.given.values().filter(|given| given.item == item.id);
                left += on_their_way.map(|given| given.units).sum::<u64>();
            }
            if left == 0 {
                self.left_since.remove(&item.id);
            } else {
                self.left_since.entry(item.id.clone()).or_insert(self.now);
            }
        }
    }

    /// A node said from memory that an item is sold out, to a buyer of this bucket.
    pub(super) fn check_turned_away(
        &mut self,
        (buyer, item): (&tandem::model::flash::Buyer, &ItemId),
        bucket: &Bucket,
    ) {
        self.meet("turned away from memory");
        let Some(table) = self.tables.flash.bucket(bucket) else { return };
        let units = table.units_of(buyer, item);
        if units > 0 {
            self.watch.faults.push(format!("{buyer}, who has {units} {item}, is turned away"));
        }
        let for_sale = table.items.get(item).map_or(0, |item| item.for_sale(self.now));
        if for_sale > 0 && self.sale.buckets == 1 {
            self.watch.faults.push(format!("{buyer} is turned away from {for_sale} {item}"));
        }
        if let Some(since) = self.left_since.get(item)
            && self.now.since(*since) > LEFT_MAX
        {
            self.watch.faults.push(format!("{item} is left since {since:?}, and nobody gets it"));
        }
    }

    /// What tells a bucket the definition of now.
    pub(super) fn define(&self, number: usize) -> Command {
        let bucket = self.sale.bucket(number, SHARDS);
        Command::Define(Define { bucket, number, sale: Arc::clone(&self.sale) })
    }

    fn fresh_node(&mut self) -> Node {
        self.starts += 1;
        Node::new(&format!("node{}", self.starts))
    }

    fn the_sale_changes(&mut self) {
        self.sale = Arc::new(sale::changed(&self.sale, &mut self.rng, self.now));
        for number in 0..self.sale.buckets {
            // Whoever changes it may die before it told all buckets.
            if self.rng.happens(800) {
                let command = self.define(number);
                self.send(&command);
            }
        }
    }

    fn send_definition(&mut self) {
        let number = self.rng.index(self.sale.buckets);
        let command = self.define(number);
        self.send(&command);
    }

    fn a_node_dies(&mut self) {
        let at = self.any_node();
        self.nodes[at] = self.fresh_node();
        self.meet("a node died");
    }

    fn a_node_looks(&mut self) {
        let (at, item) = (self.any_node(), self.any_item());
        let buckets = self.buckets();
        let of =
            |bucket: &Bucket| self.tables.flash.buckets.get(&(bucket.sale.clone(), bucket.shard));
        let tables: Vec<_> = buckets.iter().filter_map(of).collect();
        self.nodes[at].memory.advance(&item, &tables, self.now, self.flaw);
    }

    fn something_comes_late(&mut self) {
        if !self.late.is_empty() {
            let at = self.rng.index(self.late.len());
            let command = self.late.swap_remove(at);
            self.execute(&command);
        }
    }

    fn something_comes_again(&mut self) {
        if !self.history.is_empty() {
            let at = self.rng.index(self.history.len());
            let command = self.history[at].clone();
            self.execute(&command);
        }
    }

    fn time_passes(&mut self) {
        let ms = match self.rng.below(100) {
            0..80 => self.rng.below(15),
            80..97 => self.rng.below(300),
            _ => self.rng.below(4_000),
        };
        self.now = self.now.plus(Duration::from_millis(ms));
    }
}
