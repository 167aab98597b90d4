//! One store under comparison: makes the calls of it and words its answers so that those of two
//! stores can be compared, although each has its own clock.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use tandem::{
    model::{Gid, Global, State, Timestamp, Token, Tokens},
    store::{
        Durability, Record, Recorded, Store, StoreError, TakeReply,
        flash::{BucketBooks, FlashStore, Order, Ordered, Refusal, Reserve, Reserved, Settle},
    },
};

use super::calls::{self, Call, End, LONG, Script};

/// The most due ones that a claim takes: more than there are.
const ALL: usize = 100;

/// One store, and what it answered so far.
pub(super) struct Side<S> {
    store: S,
    pub(super) now: Box<dyn Fn() -> Timestamp>,
    /// Makes all for sale that came back.
    pub(super) reopen: Box<dyn FnMut()>,
    /// When the last of what came back is for sale.
    pub(super) reopens_at: Option<Timestamp>,
    /// What was last seen or written of what is held, and by whom.
    holds: BTreeMap<Gid, Hold>,
}

#[derive(Clone)]
struct Hold {
    token: Token,
    n: u64,
    state: State,
    created_at: Timestamp,
}

impl<S: Store + FlashStore> Side<S> {
    /// `now` tells the store's time.
    pub(super) fn new(
        store: S,
        now: impl Fn() -> Timestamp + 'static,
        reopen: impl FnMut() + 'static,
    ) -> Self {
        let (now, reopen) = (Box::new(now), Box::new(reopen));
        Self { store, now, reopen, reopens_at: None, holds: BTreeMap::new() }
    }

    /// Makes `call` and words the answer.
    pub(super) async fn make(&mut self, call: &Call) -> String {
        match self.ask(call).await {
            Ok(answer) => answer,
            Err(error) => format!("{error:?}"),
        }
    }

    /// Everything that is stored, worded.
    pub(super) async fn all(&mut self, script: &Script) -> String {
        let mut lines = Vec::new();
        self.reopens_at = None;
        for bucket in &script.buckets {
            let books = self.store.look(bucket, Some(0)).await;
            lines.push(match &books {
                Ok(Some(books)) => {
                    let later = books.items.iter().filter_map(|item| item.reopens_at).max();
                    self.reopens_at = self.reopens_at.max(later.filter(|at| *at > (self.now)()));
                    worded(books)
                }
                other => format!("{other:?}"),
            });
            let mut rows: Vec<_> = match self.store.rows(bucket, None).await {
                Ok(page) => page.rows.iter().map(|row| format!("{row:?}")).collect(),
                Err(error) => vec![format!("{error:?}")],
            };
            rows.sort();
            lines.extend(rows);
            let mut buyers: Vec<_> = match self.store.buyers(bucket, None).await {
                Ok(page) => page
                    .rows
                    .into_iter()
                    .map(|mut row| {
                        row.units.sort();
                        format!("{row:?}")
                    })
                    .collect(),
                Err(error) => vec![format!("{error:?}")],
            };
            buyers.sort();
            lines.extend(buyers);
            let mut transfers: Vec<_> = match self.store.transfers(bucket, ALL).await {
                Ok(all) => all.iter().map(|transfer| format!("{transfer:?}")).collect(),
                Err(error) => vec![format!("{error:?}")],
            };
            transfers.sort();
            lines.extend(transfers);
        }
        lines.extend(join_all(script.gids.iter().map(|gid| self.query(gid))).await);
        lines.join("\n")
    }

    async fn ask(&mut self, call: &Call) -> Result<String, StoreError> {
        match call {
            Call::Define(define) => {
                self.store.define(define.clone()).await?;
                Ok("done".to_owned())
            }
            Call::Order(order) => self.orders(std::slice::from_ref(&**order)).await,
            Call::Orders(orders) => self.orders(orders).await,
            Call::Hold(reserve) => self.holds(std::slice::from_ref(reserve)).await,
            Call::Holds(reserves) => self.holds(reserves).await,
            Call::Settle(reserve, how) => self.settles(&[(reserve.clone(), *how)]).await,
            Call::Settles(settles) => self.settles(settles).await,
            Call::ForceStop(gid, token) => {
                Ok(format!("{:?}", self.store.force_stop(gid, token, Durability::Memory).await?))
            }
            Call::Claim(name) => self.claim(name).await,
            Call::Record { gid, status, end, ahead } => {
                let Some(hold) = self.holds.get(gid).cloned() else {
                    return Ok("nothing".to_owned());
                };
                let mut record = hold.record(gid, *ahead);
                record.state.status = *status;
                self.record(&record, *end).await
            }
            Call::Give(transfer, most) => {
                let units = self.store.give(transfer, *most).await?;
                Ok(if units == 0 { "none".to_owned() } else { format!("given {units}") })
            }
            Call::Receive(transfer, units) => {
                self.store.receive(transfer, *units).await?;
                Ok("done".to_owned())
            }
            Call::Acknowledge(transfer) => {
                self.store.acknowledge(transfer).await?;
                Ok("done".to_owned())
            }
            Call::Reopen => {
                (self.reopen)();
                Ok("done".to_owned())
            }
        }
    }

    /// All at once: what comes while a call is under way shares the next one.
    async fn orders(&mut self, orders: &[Order]) -> Result<String, StoreError> {
        let replies = join_all(orders.iter().map(|order| self.store.order(order.clone()))).await;
        let mut answers = Vec::new();
        for (order, reply) in orders.iter().zip(replies) {
            answers.push(match reply? {
                Ordered::Taken { created_at, lines, held } => {
                    if held {
                        self.holds.insert(
                            order.spec.gid.clone(),
                            Hold {
                                token: order.token.clone(),
                                n: 1,
                                state: order.state.clone(),
                                created_at,
                            },
                        );
                    }
                    format!("Taken {lines:?}, held {held}, created {}", self.about(created_at))
                }
                Ordered::Refused(refusal) => refused(&refusal),
                other @ (Ordered::Again { .. } | Ordered::OtherBuyer | Ordered::OtherCart) => {
                    format!("{other:?}")
                }
            });
        }
        Ok(answers.join(" | "))
    }

    async fn holds(&self, reserves: &[Reserve]) -> Result<String, StoreError> {
        let replies = reserves.iter().map(|reserve| self.store.hold(reserve.clone()));
        let mut answers = Vec::new();
        for reply in join_all(replies).await {
            answers.push(match reply? {
                Reserved::Refused(refusal) => refused(&refusal),
                other @ (Reserved::Held | Reserved::Released | Reserved::OtherContent) => {
                    format!("{other:?}")
                }
            });
        }
        Ok(answers.join(" | "))
    }

    async fn settles(&self, settles: &[(Reserve, Settle)]) -> Result<String, StoreError> {
        let replies = settles.iter().map(|(reserve, how)| self.store.settle(reserve.clone(), *how));
        let mut answers = Vec::new();
        for reply in join_all(replies).await {
            answers.push(format!("{:?}", reply?));
        }
        Ok(answers.join(" | "))
    }

    async fn claim(&mut self, name: &str) -> Result<String, StoreError> {
        let mut due = Vec::new();
        for shard in calls::shards() {
            due.extend(self.store.claim_due(shard, LONG, ALL).await?.due);
        }
        due.sort_by(|one, other| one.gid.cmp(&other.gid));
        let tokens = Tokens::new(name);
        let mut answers = Vec::new();
        for claimed in due {
            let token = tokens.next();
            let reply = self.store.take(&claimed.gid, claimed.score, &token).await?;
            answers.push(match reply {
                TakeReply::Taken(taken) => {
                    let Global { state, created_at, spec } = taken.global;
                    let n = taken.n;
                    let answer = format!("taken n {n} of {} {state:?}", spec.gid);
                    self.holds.insert(claimed.gid, Hold { token, n, state, created_at });
                    answer
                }
                other @ (TakeReply::Refused | TakeReply::Missing) => format!("{other:?}"),
            });
        }
        Ok(answers.join(" | "))
    }

    async fn record(&mut self, record: &Record, end: End) -> Result<String, StoreError> {
        let reply = match end {
            End::Kept => self.store.record(record).await?,
            End::Finish => self.store.finish(record).await?,
            End::Rest(due_in) => self.store.rest(record, (self.now)().plus(due_in)).await?,
        };
        if reply == Recorded::Written
            && let Some(hold) = self.holds.get_mut(&record.gid)
        {
            hold.n = record.n;
            hold.state = record.state.clone();
        }
        Ok(format!("{reply:?}"))
    }

    async fn query(&self, gid: &Gid) -> String {
        match self.store.query(gid).await {
            Ok(None) => format!("{gid}: nothing"),
            Ok(Some(stored)) => format!(
                "{gid}: {:?} created {} due {:?} held {}",
                stored.global.state,
                self.about(stored.global.created_at),
                stored.due_at.map(|at| self.about(at)),
                stored.is_held,
            ),
            Err(error) => format!("{gid}: {error:?}"),
        }
    }

    /// A point in time as the long spans that it is away from now; no sequence lasts half of one.
    fn about(&self, at: Timestamp) -> i64 {
        let half = LONG / 2;
        let now = (self.now)();
        i64::from(at.since(now) > half) - i64::from(now.since(at) > half)
    }
}

impl Hold {
    /// The next record of somebody who last saw this.
    fn record(&self, gid: &Gid, ahead: u64) -> Record {
        Record {
            gid: gid.clone(),
            token: self.token.clone(),
            n: self.n + ahead,
            state: self.state.clone(),
            created_at: self.created_at,
            promoted: false,
            registered: None,
            durability: Durability::Memory,
        }
    }
}

fn refused(refusal: &Refusal) -> String {
    format!("Refused:{refusal:?}")
}

fn worded(books: &BucketBooks) -> String {
    let BucketBooks { version, orders_in_work, orders, in_transit, items, late_takers, .. } = books;
    assert_eq!(books.late_takes, late_takers.len() as u64, "all were asked for");
    let items: Vec<_> = items
        .iter()
        .map(|item| {
            let mut item = item.clone();
            let came_back = item.reopens_at.take().is_some();
            format!("{item:?} came back: {came_back}")
        })
        .collect();
    format!(
        "version {version}, {orders_in_work} in work of {orders}, in transit {in_transit}, late {late_takers:?}\n{}",
        items.join("\n")
    )
}

/// Makes all for sale on a real Redis, as if time had passed.
pub(super) fn reopen_all(redis: &mut impl redis::ConnectionLike, pattern: &str) {
    let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query(redis).unwrap();
    for key in keys {
        let fields: Vec<(String, String)> = redis::cmd("HGETALL").arg(&key).query(redis).unwrap();
        for (field, value) in fields.iter().filter(|(field, _)| field.starts_with("i:")) {
            let mut parts: Vec<&str> = value.split(';').collect();
            if parts[6] != "0" {
                parts[6] = "1";
            }
            let () =
                redis::cmd("HSET").arg(&key).arg(field).arg(parts.join(";")).query(redis).unwrap();
        }
    }
}
