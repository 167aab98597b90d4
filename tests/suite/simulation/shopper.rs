//! A buyer: sends an order to whichever node lives, repeats what it got no answer to, asks again what
//! it was answered, and checks each answer against what is stored at that moment.

use std::{sync::Arc, time::Duration};

use tandem::{
    flash::Wanted,
    model::{
        Gid, Status,
        flash::{Bucket, ItemId, order_gid},
    },
    service::{OrderReply, OrderResult, ServiceError},
    store::flash::{Refusal, TakenLine},
};

use crate::flash::table::RowId;

use super::{
    body,
    cluster::{Cluster, Heard},
    counts::Count,
    sale::{SalePlan, ShopperPlan},
    stock,
    world::World,
};

/// How often a request is sent before the buyer gives up.
const ATTEMPTS: u32 = 6;

/// How long a buyer rests who was told that nothing is left: often one comes back.
const REST_MS_MAX: u64 = 500;

/// One buyer with one order.
pub(crate) struct Shopper {
    world: Arc<World>,
    cluster: Arc<Cluster>,
    sale: SalePlan,
    plan: ShopperPlan,
    name: String,
    bucket: Bucket,
    gid: Gid,
}

/// What a node answered.
enum Answer {
    FromMemory(ItemId),
    Reply(Result<OrderReply, ServiceError>),
}

/// What the buyer does next.
#[derive(PartialEq, Eq)]
enum Next {
    Done,
    Again,
}

impl Shopper {
    /// The buyer that follows `plan`.
    pub(crate) fn new(cluster: &Arc<Cluster>, sale: &SalePlan, plan: ShopperPlan) -> Self {
        let shards = tandem::store::Store::shard_count(&cluster.world.store);
        let bucket = sale.sale.bucket_of(&plan.buyer, shards);
        Self {
            world: Arc::clone(&cluster.world),
            cluster: Arc::clone(cluster),
            name: format!("{} with {}", plan.buyer, plan.order),
            gid: order_gid(&bucket, &plan.order),
            sale: sale.clone(),
            plan,
            bucket,
        }
    }

    /// Does what it planned.
    pub(crate) async fn run(self) {
        tokio::time::sleep(self.plan.starts_after).await;
        let buys = async {
            for _ in 0..=self.plan.again {
                self.buy().await;
            }
        };
        tokio::join!(buys, self.stop());
    }

    async fn buy(&self) {
        for _ in 0..ATTEMPTS {
            if self.ask().await == Next::Done {
                return;
            }
            tokio::time::sleep(self.world.chance(&["rest", &self.name]).up_to_ms(REST_MS_MAX))
                .await;
        }
    }

    async fn stop(&self) {
        let Some(after) = self.plan.stops_after else { return };
        tokio::time::sleep(after).await;
        let (body, gid) = (body::naming(&self.gid), self.gid.clone());
        let name = format!("stop of {}", self.name);
        let heard = self.cluster.request(&name, |server| async move {
            let answer = server.service.force_stop(body).await;
            if answer.is_ok() {
                server.node.revoked(&gid);
            }
            answer
        });
        drop(heard.await);
    }

    async fn ask(&self) -> Next {
        let before = self.stored();
        let plan = self.plan.clone();
        let id = self.sale.sale.id.clone();
        let (world, bucket) = (Arc::clone(&self.world), self.bucket.clone());
        let heard = self.cluster.request(&self.name, |server| async move {
            let lines = plan.cart.lines().iter().map(|line| (line.item.as_str(), line.take));
            if let Some(item) = server.flash.sold_out(id.as_str(), plan.buyer.as_str(), lines) {
                stock::check_turned_away(&world, &bucket, &plan.buyer, &item);
                return Answer::FromMemory(item);
            }
            let found = server.service.sale(&server.flash, &id).await;
            let sale = match found {
                Ok(Some(sale)) => sale,
                Ok(None) => return Answer::Reply(Ok(OrderReply::Refused(Refusal::UnknownSale))),
                Err(error) => return Answer::Reply(Err(error)),
            };
            let (order, buyer, cart) = (plan.order, plan.buyer, plan.cart);
            let wanted = Wanted { sale, order, buyer, cart, data: None };
            Answer::Reply(server.service.order(&server.flash, &wanted, plan.waits).await)
        });
        match heard.await {
            Heard::Answer(answer) => self.hear(answer, before),
            Heard::Nothing | Heard::Nobody => Next::Again,
        }
    }

    fn hear(&self, answer: Answer, before: Option<Vec<TakenLine>>) -> Next {
        let world = &self.world;
        match answer {
            Answer::Reply(Ok(OrderReply::Taken { gid, lines, result })) => {
                world.trace(|| format!("{}: took {lines:?}, {result:?}", self.name));
                world.counts.one(if before.is_some() {
                    Count::OrderAgain
                } else {
                    Count::OrderTaken
                });
                self.took(&gid, lines, result);
                Next::Done
            }
            Answer::FromMemory(item) => {
                world.trace(|| format!("{}: {item} is sold out, from memory", self.name));
                world.counts.one(Count::TurnedAway);
                if before.is_some_and(|lines| lines.iter().any(|line| line.item == item)) {
                    self.owed();
                }
                Next::Again
            }
            Answer::Reply(Ok(OrderReply::Refused(refusal))) => {
                world.trace(|| format!("{}: {refusal:?}", self.name));
                world.counts.one(Count::OrderRefused);
                if before.is_some() {
                    world.fault(format!("{}: taken before, told {refusal:?}", self.name));
                }
                match refusal {
                    Refusal::SoldOut(_) => Next::Again,
                    Refusal::LimitReached(_) => Next::Done,
                    Refusal::UnknownSale
                    | Refusal::UnknownItem(_)
                    | Refusal::NotOpen
                    | Refusal::Closed
                    | Refusal::Crowded => {
                        world.fault(format!("{}: told {refusal:?}", self.name));
                        Next::Done
                    }
                }
            }
            Answer::Reply(Ok(other @ (OrderReply::OtherBuyer | OrderReply::OtherCart))) => {
                world.fault(format!("{}: told {other:?}", self.name));
                Next::Done
            }
            Answer::Reply(Err(ServiceError::TooBusy { .. } | ServiceError::Unavailable { .. })) => {
                Next::Again
            }
            Answer::Reply(Err(error)) => {
                world.fault(format!("{}: told {error:?}", self.name));
                Next::Done
            }
        }
    }

    /// One whose units were given back may be told that there are none; whoever has them may not.
    fn owed(&self) {
        let holds = stock::with_bucket(&self.world, &self.bucket, |table| {
            let row = table.rows.get(&RowId::Order(self.plan.order.clone()))?;
            (row.letter != tandem::store::flash::RowLetter::Released).then_some(())
        });
        if holds.is_some() {
            self.world.fault(format!("{}: is turned away, and has its units", self.name));
        }
    }

    fn took(&self, gid: &Gid, lines: Vec<TakenLine>, result: Option<OrderResult>) {
        let world = &self.world;
        if *gid != self.gid {
            world.fault(format!("{}: its gid is {gid}", self.name));
        }
        if self.stored().as_ref() != Some(&lines) {
            world.fault(format!("{}: told {lines:?}, stored {:?}", self.name, self.stored()));
        }
        let status = world.store.entry(gid).map(|entry| entry.state.status);
        let told = match result {
            Some(OrderResult::Succeeded) => Some(Status::Succeed),
            Some(OrderResult::RolledBack) => Some(Status::Failed),
            Some(OrderResult::Unfinished { .. }) | None => None,
        };
        if told.is_some() && told != status {
            world.fault(format!("{}: told {told:?}, and it is {status:?}", self.name));
        }
        let mut shop = world.shop();
        let first = shop.taken.entry(gid.clone()).or_insert_with(|| lines.clone()).clone();
        drop(shop);
        if first != lines {
            world.fault(format!("{}: told {first:?}, then {lines:?}", self.name));
        }
    }

    /// What is stored of the order.
    fn stored(&self) -> Option<Vec<TakenLine>> {
        stock::with_bucket(&self.world, &self.bucket, |table| {
            table.rows.get(&RowId::Order(self.plan.order.clone())).map(|row| row.lines.clone())
        })
    }
}

/// Has all of them buy.
pub(crate) fn start_all(cluster: &Arc<Cluster>, sale: &SalePlan) {
    for plan in &sale.shoppers {
        cluster.world.trace(|| format!("{plan:?}"));
        tokio::spawn(Shopper::new(cluster, sale, plan.clone()).run());
    }
    tokio::spawn(stock::watch(Arc::clone(cluster), sale.clone()));
}

/// A node's look at what others left half done.
pub(crate) const UPKEEP_EVERY: Duration = Duration::from_secs(1);
