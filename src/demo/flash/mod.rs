//! The story of a flash sale: a crowd before two nodes, few units, a node that is killed, and payments
//! that never come or come too late.

mod crowd;
mod desk;
mod ledger;
mod result;

use std::{cell::Cell, io, thread, time::Duration};

use anyhow::{Context as _, bail, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

use self::{
    crowd::Crowd,
    desk::Desk,
    result::{Books, Outcome},
};
use super::{
    api::Api,
    node::Node,
    page::{Page, grouped},
    story::span,
};

/// What the story is called.
pub(super) const TITLE: &str = "A flash sale: a crowd, few units, and a node that is killed";

/// The sale's id.
const SALE: &str = "demo-sale";

/// What is sold.
const ITEM: &str = "unit";

/// How many units there are.
const SUPPLY: usize = 1_000;

/// After so many seconds an order that is not paid is rolled back.
const HOLD_SECONDS: u64 = 2;

/// How long a late payment takes: longer than the hold time, and shorter than a node waits for the
/// answer to a call, which is 3 s.
const LATE: Duration = Duration::from_millis(HOLD_SECONDS * 1_000 + 600);

/// Nothing keeps the sale from its end for so long, even on a slow machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often the books are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How many transactions are asked after at once.
const ASKED_AT_ONCE: usize = 32;

/// What the user says of the sale.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes {
    /// How many buyers come.
    pub(super) buyers: usize,
    /// The sale waits before its begin and after its end, for whoever wants to see its page.
    pub(super) is_awaited: bool,
}

/// A sale before its end.
struct Sale<'a> {
    page: &'a Page,
    api: Api,
    desk: Desk,
    crowd: Crowd,
    /// The node that is left.
    base: String,
    buyers: usize,
}

/// Plays the sale, and checks it; `dying` is killed in its middle.
pub(super) async fn play(
    page: &Page,
    api: &Api,
    left: &Node,
    dying: &mut Node,
    Wishes { buyers, is_awaited }: Wishes,
) -> anyhow::Result<()> {
    let desk = Desk::open(LATE).await?;
    let base = left.base().to_owned();
    let crowd = Crowd::new(api.clone(), [base.clone(), dying.base().to_owned()]);
    let sale = Sale { page, api: api.clone(), desk, crowd, base, buyers };
    sale.open().await?;
    if is_awaited {
        page.say("Open that page, and press Enter to begin.")?;
        enter().await;
    }
    match timeout(PATIENCE, Box::pin(sale.play(dying))).await {
        Ok(played) => played?,
        Err(_) => bail!("it has not ended after {PATIENCE:?}: {:?}", sale.look().await),
    }
    if is_awaited {
        page.say("Press Enter to end.")?;
        enter().await;
    }
    Ok(())
}

/// Waits until Enter is pressed, or nobody can press it.
async fn enter() {
    let (pressed, is_pressed) = oneshot::channel();
    // A thread that nobody waits for: a runtime would, and be kept from its end.
    thread::spawn(move || {
        let _ = io::stdin().read_line(&mut String::new());
        let _ = pressed.send(());
    });
    let _ = is_pressed.await;
}

impl Sale<'_> {
    async fn play(&self, dying: &mut Node) -> anyhow::Result<()> {
        let began = Instant::now();
        let rush = async { tokio::try_join!(self.crowd.ask(1..=self.buyers), self.lose(dying)) };
        let ((turned_away, ()), looks) = self.while_looking(rush).await?;
        self.page.say(&format!(
            "All {} have asked after {}: {} orders, and who came too late is sent away.",
            grouped(self.buyers),
            span(began.elapsed()),
            grouped(self.crowd.told().accepted.len())
        ))?;
        self.desk.let_all_pay();
        self.page.say("Units that nobody paid come back. Those who were sent away ask again.")?;
        let rest = self.sell_the_rest(turned_away);
        let ((), more_looks) = self.while_looking(rest).await?;
        let (succeeded, failed) = self.ended().await?;
        let took = began.elapsed();

        let outcome = self.outcome((succeeded, failed), looks + more_looks).await?;
        for (what, number, note) in outcome.rows() {
            self.page.row(what, number, &note)?;
        }
        outcome.check()?;
        self.page.good(&format!(
            "Sold to exactly {} buyers, one unit each, after {}.",
            grouped(SUPPLY),
            span(took)
        ))?;
        Ok(())
    }

    async fn open(&self) -> anyhow::Result<()> {
        let sale = json!({
            "request_id": "open",
            "id": SALE,
            "items": [{"id": ITEM, "stock": SUPPLY, "limit": 1}],
            "hold_seconds": HOLD_SECONDS,
            "steps": [{"action": self.desk.charge_url(), "compensate": self.desk.refund_url()}],
        });
        self.api.post_well(&format!("{}/api/flash/sales", self.base), &sale).await?;
        self.page.say(&format!(
            "{} units, one for each buyer; who has not paid after {HOLD_SECONDS} s loses the unit.",
            grouped(SUPPLY)
        ))?;
        let live = format!("To be seen live at {}/flash?sale={SALE}", self.base);
        Ok(self.page.say(&live)?)
    }

    /// Kills the node in the middle of the sale.
    async fn lose(&self, dying: &mut Node) -> anyhow::Result<()> {
        self.crowd.middle.notified().await;
        let (number, pid) = (dying.number, dying.pid);
        dying.kill().await?;
        self.page.say(&format!(
            "Node {number} (process {pid}) is killed: SIGKILL, with requests and payments in hand."
        ))?;
        Ok(())
    }

    /// Those who got nothing ask whenever there is something left, until all is sold.
    async fn sell_the_rest(&self, mut waiting: Vec<usize>) -> anyhow::Result<()> {
        loop {
            let books = self.look().await?;
            if books.orders_in_work == 0 && books.available == 0 {
                return Ok(());
            }
            let some = usize::try_from(books.available).unwrap_or(usize::MAX).min(waiting.len());
            ensure!(books.available == 0 || some > 0, "nobody is left to buy");
            let asking = waiting.drain(..some).collect::<Vec<_>>();
            // Whoever is turned away once more, since units that came back are not for sale at once,
            // is the last in the queue.
            waiting.extend(self.crowd.ask(asking).await?);
            sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the transactions of all orders have ended; answers how many did well and not.
    async fn ended(&self) -> anyhow::Result<(usize, usize)> {
        let gids = self.crowd.told().gids();
        let ends = stream::iter(gids).map(|gid| async move {
            let status = self.api.ended(&self.base, &gid).await?;
            anyhow::Ok(usize::from(status == "succeed"))
        });
        let ends: Vec<usize> = ends.buffer_unordered(ASKED_AT_ONCE).try_collect().await?;
        let succeeded = ends.iter().sum();
        Ok((succeeded, ends.len() - succeeded))
    }

    async fn outcome(
        &self,
        (succeeded, failed): (usize, usize),
        looks: usize,
    ) -> anyhow::Result<Outcome> {
        let books = self.look().await?;
        let url = format!("{}/api/flash/sales/{SALE}/reconcile", self.base);
        let recount = self.api.post_well(&url, &json!({})).await?;
        let differences = recount["differences"].as_array().context("a list of differences")?;
        let told = self.crowd.told();
        Ok(Outcome {
            buyers: self.buyers,
            double_clicks: told.double_clickers.len(),
            answers: told.answers,
            sent_again: told.sent_again,
            accepted: told.accepted.len(),
            differing: told.differing,
            succeeded,
            failed,
            sold_out: told.refused_as("sold_out"),
            limit_reached: told.refused_as("limit_reached"),
            payments: self.desk.payments(),
            books,
            looks,
            differences: differences.iter().map(Value::to_string).collect(),
        })
    }

    /// Does the work, and looks at the books all the while; answers how often that was.
    ///
    /// # Errors
    /// The work's, or that the books were not balanced.
    async fn while_looking<T>(
        &self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<(T, usize)> {
        let looks = Cell::new(0_usize);
        let looking = async {
            loop {
                let books = self.look().await?;
                ensure!(books.are_balanced(), "the books are not balanced: {books:?}");
                looks.set(looks.get() + 1);
                sleep(LOOK_EVERY).await;
            }
        };
        tokio::select! {
            done = work => Ok((done?, looks.get())),
            broken = looking => broken,
        }
    }

    /// The books, as the node that is left reads them.
    async fn look(&self) -> anyhow::Result<Books> {
        let sale = self.api.get_well(&format!("{}/api/flash/sales/{SALE}", self.base)).await?;
        let item = &sale["items"][0];
        let units =
            |of: &Value, name: &str| of[name].as_u64().with_context(|| format!("no {name}"));
        Ok(Books {
            supply: units(item, "supply")?,
            available: units(item, "available")?,
            held: units(item, "held")?,
            sold: units(item, "sold")?,
            orders: units(&sale, "orders")?,
            orders_in_work: units(&sale, "orders_in_work")?,
        })
    }
}
