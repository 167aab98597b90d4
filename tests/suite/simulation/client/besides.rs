//! What a client, or an operator, does beside the transaction's own way.

use std::time::Duration;

use super::{Client, End, Heard, Request, Told};
use crate::simulation::workload::Besides;

impl Client {
    pub(super) async fn do_besides(&self) {
        for (after, besides) in &self.plan.besides {
            tokio::time::sleep(*after).await;
            self.world.trace(|| format!("{}: {besides:?}", self.name));
            match besides {
                Besides::Submit if self.may_submit() => self.submit().await,
                Besides::Submit => {}
                // Whoever did the local work, or is about to, does not take the message back.
                Besides::Abort
                    if !self.has_shares()
                        && (self.has_committed() || self.plan.is_besides_at_once) => {}
                Besides::Abort => drop(self.ask(Request::Abort).await),
                Besides::Reset => drop(self.ask(Request::Reset).await),
                Besides::ForceStop => drop(self.ask(Request::ForceStop).await),
                Besides::ResetLaterThan => self.reset_later_than().await,
                Besides::Query => self.query().await,
            }
        }
    }

    async fn reset_later_than(&self) {
        let heard = self.cluster.request(&self.name, |server| async move {
            server.service.reset_later_than(Some(Duration::from_secs(1)), Some(10)).await
        });
        drop(heard.await);
    }

    async fn query(&self) {
        let gid = self.gid().as_str().to_owned();
        let before = self.status();
        let heard = self
            .cluster
            .request(&self.name, |server| async move { server.service.query(&gid).await });
        match heard.await {
            Heard::Answer(Ok(Some(stored))) => {
                let status = stored.global.state.status;
                if status.is_final() {
                    self.saw_end(End::of(&stored.global.state, stored.result.as_ref()));
                    self.ended(status);
                }
            }
            Heard::Answer(Ok(None)) => self.take_in(Request::Reset, &Told::NoSuchGid, before),
            Heard::Answer(Err(_)) | Heard::Nothing | Heard::Nobody => {}
        }
    }
}
