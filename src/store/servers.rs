//! Where calls go: to the one Redis there is, or to the master of a Cluster that has their slot.

use std::{sync::Arc, time::Duration};

use redis::{Client, RedisError};

use crate::clock::MasterClock;

use super::{
    bodies::Bodies,
    cluster::Cluster,
    connection::{Ask, Failure, Line},
};

/// Which of a server's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// For what a client or a call of a branch waits for.
    Hot,
    /// For the rest, so that its longer answers never stand before the hot ones.
    Calm,
}

/// One Redis process, and the connections to it, which are made when they are first used.
pub(super) struct Node {
    hot: Line,
    calm: Line,
    pub(super) bodies: Bodies,
    /// Its address, for comparing and for logs.
    pub(super) name: Arc<str>,
    /// What is known of its clock, where there are several.
    pub(super) clock: Option<Arc<MasterClock>>,
}

impl Node {
    /// The process that `client` connects to.
    pub(super) fn new(
        client: &Client,
        clock: Option<Arc<MasterClock>>,
        body_timeout: Duration,
    ) -> Result<Self, RedisError> {
        Ok(Self {
            hot: Line::new(client.clone()),
            calm: Line::new(client.clone()),
            bodies: Bodies::new(client, body_timeout)?,
            name: client.get_connection_info().addr().to_string().into(),
            clock,
        })
    }

    /// The connection of this lane.
    pub(super) fn line(&self, lane: Lane) -> &Line {
        match lane {
            Lane::Hot => &self.hot,
            Lane::Calm => &self.calm,
        }
    }
}

/// What can be tried on one node, and on another one if the slot is there.
pub(super) trait Attempt: Sync {
    /// What comes back.
    type Answer: Send;

    /// The slot of all its keys; asked for on a Cluster alone.
    fn slot(&self) -> u16;

    /// Sends it to `node` and awaits the answer, both within `bound`. `once`: the slot is on its
    /// way to that node, which must be told that this is known.
    fn try_on(
        &self,
        node: &Node,
        once: bool,
        bound: Duration,
    ) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;
}

/// Plain commands whose keys are all in one slot.
pub(super) struct Plain<'a, A> {
    pub(super) asked: &'a A,
    pub(super) slot: u16,
    pub(super) lane: Lane,
}

impl<A: Ask> Attempt for Plain<'_, A> {
    type Answer = A::Answer;

    fn slot(&self) -> u16 {
        self.slot
    }

    async fn try_on(&self, node: &Node, once: bool, bound: Duration) -> Result<A::Answer, Failure> {
        node.line(self.lane).send_as(self.asked, once, bound).await
    }
}

/// The Redis of a store.
pub(super) enum Servers {
    /// A single one, or whatever looks like one.
    Single(Arc<Node>),
    /// A Cluster.
    Cluster(Arc<Cluster>),
}

impl Servers {
    /// Sends `attempt` to where it belongs, and awaits its answer within `total`. No try takes longer
    /// than `each`.
    pub(super) async fn send<A: Attempt>(
        &self,
        attempt: &A,
        total: Duration,
        each: Duration,
    ) -> Result<A::Answer, Failure> {
        match self {
            Self::Single(node) => attempt.try_on(node, false, total.min(each)).await,
            Self::Cluster(cluster) => cluster.send(attempt, total, each).await,
        }
    }

    /// The address of the master of the slot that `slot` answers; `None` if there is only one server,
    /// or none has the slot.
    pub(super) fn name_of(&self, slot: impl FnOnce() -> u16) -> Option<Arc<str>> {
        match self {
            Self::Single(_) => None,
            Self::Cluster(cluster) => cluster.name_of(slot()),
        }
    }

    /// Whether calls are for one slot each.
    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}
