//! What buyers, participants and operators ask of the nodes, and what nodes do of themselves.

use std::sync::Arc;

use tandem::{
    model::{
        Gid, Mode, Spec, State, Status,
        flash::{Bucket, Buyer, Cart, Line, OrderId, order_gid},
    },
    store::{
        Recorded, TakeReply,
        flash::{Order, Ordered, Reserve, Settle, Transfer},
    },
};

use crate::support::{model_rules::Hold, samples};

use super::{
    command::{Command, LEASE, Reply},
    node::{Draw, DrawStage, Held},
    world::{SHARDS, World},
};

/// Buyers of one run.
const BUYERS: u64 = 6;

/// What was asked for so far.
#[derive(Debug, Default)]
pub(super) struct Buyers {
    orders: Vec<(OrderId, Buyer, Cart)>,
    branches: Vec<Reserve>,
}

impl World {
    fn any_buyer(&mut self) -> Buyer {
        Buyer::new(&format!("buyer{}", self.rng.below(BUYERS))).unwrap()
    }

    fn any_line(&mut self) -> Line {
        let take = if self.rng.happens(750) { 1 } else { 2 };
        Line { item: self.any_item(), take }
    }

    fn any_cart(&mut self) -> Cart {
        let mut lines = vec![self.any_line()];
        let more = self.any_line();
        if self.rng.happens(300) && more.item != lines[0].item {
            lines.push(more);
        }
        Cart::new(lines).unwrap()
    }

    /// What a buyer asks for: something new, or what was asked before, of whatever node.
    fn request(&mut self) -> (OrderId, Buyer, Cart) {
        let n_before = self.buyers.orders.len();
        let again = n_before > 0 && self.rng.happens(350);
        if !again {
            let id = OrderId::new(&format!("o{n_before}")).unwrap();
            let request = (id, self.any_buyer(), self.any_cart());
            self.buyers.orders.push(request.clone());
            return request;
        }
        let at = n_before - 1 - self.rng.index(n_before.min(8));
        let mut request = self.buyers.orders[at].clone();
        match self.rng.below(20) {
            0 => request.1 = self.any_buyer(),
            1 => request.2 = self.any_cart(),
            _ => {}
        }
        request
    }

    pub(super) fn somebody_orders(&mut self) {
        let (id, buyer, cart) = self.request();
        let bucket = self.sale.bucket_of(&buyer, SHARDS);
        let at = self.any_node();
        let memory = &self.nodes[at].memory;
        let is_out = |line: &&Line| memory.turns_away(&buyer, &line.item, self.now);
        if let Some(line) = cart.lines().iter().find(is_out) {
            let item = line.item.clone();
            self.check_turned_away((&buyer, &item), &bucket);
            return;
        }
        let token = self.nodes[at].tokens.next();
        let has_steps = self.rng.happens(800);
        let status = if has_steps { Status::Submitted } else { Status::Succeed };
        let spec = spec(&bucket, &id);
        let state = State::new(status, spec.row_count());
        let order = Order {
            token: token.clone(),
            bucket,
            order: id,
            buyer,
            cart,
            spec: Arc::new(spec),
            body: bytes::Bytes::new(),
            state: state.clone(),
            created_at_estimate: self.now,
            held: self.rng.happens(700),
            lease: LEASE,
        };
        let gid = order.spec.gid.clone();
        let reply = self.send(&Command::Order(Box::new(order)));
        if let Some(Reply::Ordered(Ordered::Taken { created_at, held: true, .. })) = reply {
            let held = Held { gid, token, n: 1, state, created_at, unanswered: None };
            self.nodes[at].holds.push(held);
        }
    }

    pub(super) fn a_holder_goes_on(&mut self) {
        let at = self.any_node();
        if self.nodes[at].holds.is_empty() {
            return;
        }
        let nth = self.rng.index(self.nodes[at].holds.len());
        let mut held = self.nodes[at].holds.swap_remove(nth);
        let (record, hold) = held.next_write(&mut self.rng, self.now);
        let reply = self.send(&Command::Record(record.clone(), hold));
        match reply {
            Some(Reply::Recorded(Recorded::Written)) if hold == Hold::Kept => {
                held.n = record.n;
                held.state = record.state;
                held.unanswered = None;
            }
            Some(_) => return,
            None => held.unanswered = Some((record, hold)),
        }
        self.nodes[at].holds.push(held);
    }

    pub(super) fn a_node_claims(&mut self) {
        let at = self.any_node();
        let Some(Reply::Claimed(due)) = self.send(&Command::ClaimDue) else { return };
        for (gid, score) in due {
            let token = self.nodes[at].tokens.next();
            let reply = self.send(&Command::Take(gid, score, token.clone()));
            if let Some(Reply::Taken(TakeReply::Taken(taken))) = reply {
                self.nodes[at].holds.push(Held::taken(*taken, token));
            }
        }
    }

    pub(super) fn a_branch_asks(&mut self) {
        let n_before = self.buyers.branches.len();
        let mut reserve = if n_before == 0 || self.rng.happens(450) {
            let gid = Gid::new(&format!("saga{n_before}")).unwrap();
            let buyer = self.any_buyer();
            let bucket = self.sale.bucket_of(&buyer, SHARDS);
            let line = self.any_line();
            let reserve = Reserve { bucket, gid, branch_id: "01".to_owned(), buyer, line };
            self.buyers.branches.push(reserve.clone());
            reserve
        } else {
            self.buyers.branches[n_before - 1 - self.rng.index(n_before.min(5))].clone()
        };
        if self.rng.happens(40) {
            reserve.line.take += 1;
        }
        let command = match self.rng.below(10) {
            0..5 => Command::Hold(reserve),
            5..7 => Command::Settle(reserve, Settle::Sell),
            _ => Command::Settle(reserve, Settle::Release),
        };
        self.send(&command);
    }

    pub(super) fn somebody_stops_an_order(&mut self) {
        let n = self.tables.entries.len();
        if n > 0 {
            let nth = self.rng.index(n);
            let gid = self.tables.entries.keys().nth(nth).cloned();
            let at = self.any_node();
            let token = self.nodes[at].tokens.next();
            if let Some(gid) = gid {
                self.send(&Command::ForceStop(gid, token));
            }
        }
    }

    /// A node draws units from one bucket to another, or goes on with it, or with another's.
    pub(super) fn units_move(&mut self) {
        let buckets = self.buckets();
        let at = self.any_node();
        if buckets.len() < 2 {
            return;
        }
        match self.rng.below(10) {
            0..2 => {
                let from = self.rng.index(buckets.len());
                let to = (from + 1 + self.rng.index(buckets.len() - 1)) % buckets.len();
                let id = self.nodes[at].tokens.next();
                let (from, to) = (buckets[from].clone(), buckets[to].clone());
                let transfer = Transfer { id, from, to, item: self.any_item() };
                let stage = DrawStage::Give { most: 1 + self.rng.below(3) };
                self.nodes[at].draws.push(Draw { transfer, stage });
            }
            2 => self.bring_to_an_end(at, &buckets),
            _ => {}
        }
        if self.nodes[at].draws.is_empty() {
            return;
        }
        let nth = self.rng.index(self.nodes[at].draws.len());
        let mut draw = self.nodes[at].draws.swap_remove(nth);
        match (self.send(&draw.command()), draw.stage) {
            (None, _) => {}
            (Some(Reply::Given(0)), _) | (Some(_), DrawStage::Acknowledge) => return,
            (Some(Reply::Given(units)), _) => draw.stage = DrawStage::Receive { units },
            (Some(_), _) => draw.stage = DrawStage::Acknowledge,
        }
        self.nodes[at].draws.push(draw);
    }

    /// What a bucket gave and nobody acknowledged, whoever began it.
    fn bring_to_an_end(&mut self, at: usize, buckets: &[Bucket]) {
        let from = &buckets[self.rng.index(buckets.len())];
        let found: Vec<_> = match self.tables.flash.bucket(from) {
            Some(table) => table.transfers(from).collect(),
            None => Vec::new(),
        };
        let draws = found
            .into_iter()
            .map(|(transfer, units)| Draw { transfer, stage: DrawStage::Receive { units } });
        self.nodes[at].draws.extend(draws);
    }
}

fn spec(bucket: &Bucket, order: &OrderId) -> Spec {
    samples::spec(order_gid(bucket, order).as_str(), Mode::Saga, 1)
}
