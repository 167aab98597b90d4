//! A Redis Cluster: finds the master that has a slot, and goes on when slots and masters change.
//!
//! What a node turns away (the slot is elsewhere, on its way, or not served at this moment) was not
//! done, so it is tried again within the caller's bound. What was sent and not answered is left to
//! the caller, who knows whether it may be repeated.

mod map;

use std::{
    sync::{
        Arc, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{ConnectionAddr, ConnectionInfo, RedisError};
use tokio::sync::Notify;

use crate::clock::{Clock, SystemClock};

use super::{
    connection::{Failure, client},
    servers::{Attempt, Lane, Node},
};

use self::map::{Address, SlotMap, read_ranges, read_redirection};

/// The first pause before a further try; each next one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(2);

/// The longest pause: short beside a failover, long beside a call.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// So many redirections are followed at once. More of them mean that the nodes do not agree yet.
const REDIRECTIONS_AT_ONCE: u32 = 4;

/// Between two readings of the map, so that many failures at once cause one.
const READING_PAUSE: Duration = Duration::from_millis(50);

/// How long one node may take to tell the map, before another one is asked.
const READING_TIMEOUT: Duration = Duration::from_millis(500);

/// A Cluster as one store sees it.
pub(super) struct Cluster {
    map: RwLock<Arc<SlotMap>>,
    /// The node of the URL, which is asked when no other one answers.
    seed: Arc<Node>,
    seed_info: ConnectionInfo,
    clock: Arc<SystemClock>,
    body_timeout: Duration,
    /// That the map may be out of date.
    is_doubted: Arc<Notify>,
    /// Counts on, so that each time another node is asked first.
    turn: AtomicUsize,
    /// How many commands of [`Lane::Calm`] were sent once to where their slot is on its way to.
    n_asked_once: AtomicU64,
}

impl Cluster {
    /// The Cluster that `seed` is a node of, which `seed_info` connects to. To be called in a
    /// runtime, in which the map is read anew whenever it is in doubt.
    ///
    /// # Errors
    /// When no map can be read.
    pub(super) async fn connect(
        seed: Arc<Node>,
        seed_info: ConnectionInfo,
        clock: Arc<SystemClock>,
        body_timeout: Duration,
    ) -> Result<Arc<Self>, Failure> {
        let cluster = Arc::new(Self {
            map: RwLock::new(Arc::new(SlotMap::empty())),
            seed,
            seed_info,
            clock,
            body_timeout,
            is_doubted: Arc::new(Notify::new()),
            turn: AtomicUsize::new(0),
            n_asked_once: AtomicU64::new(0),
        });
        cluster.read_map(&cluster.seed, body_timeout).await?;
        tokio::spawn(keep_reading(Arc::downgrade(&cluster), Arc::clone(&cluster.is_doubted)));
        Ok(cluster)
    }

    /// Sends `attempt` to the master that has its slot, and to where that one points; awaits the
    /// answer within `total`, of each try within `each`.
    pub(super) async fn send<A: Attempt>(
        &self,
        attempt: &A,
        total: Duration,
        each: Duration,
    ) -> Result<A::Answer, Failure> {
        let slot = attempt.slot();
        let deadline = self.clock.monotonic() + total;
        let (mut n_redirections, mut pause) = (0, PAUSE_MIN);
        let mut on_its_way_to = None;
        loop {
            let left = deadline.saturating_sub(self.clock.monotonic());
            let once = on_its_way_to.take();
            let is_once = once.is_some();
            let tried = match once.or_else(|| self.map().master(slot).cloned()) {
                Some(node) => attempt.try_on(&node, is_once, left.min(each)).await,
                None => Err(Failure::NotDone(format!("no master has the slot {slot}"))),
            };
            let failure = match tried {
                Err(Failure::Moved(address)) => {
                    n_redirections += 1;
                    self.doubt_map();
                    if self.moved(slot, &address) && n_redirections <= REDIRECTIONS_AT_ONCE {
                        continue;
                    }
                    Failure::Moved(address)
                }
                Err(Failure::Ask(address)) => {
                    n_redirections += 1;
                    on_its_way_to = self.node_told(slot, &address).map(|(_, node)| node);
                    self.n_asked_once.fetch_add(1, Ordering::Relaxed);
                    if on_its_way_to.is_some() && n_redirections <= REDIRECTIONS_AT_ONCE {
                        continue;
                    }
                    on_its_way_to = None;
                    Failure::Ask(address)
                }
                Err(Failure::NotDone(text)) => {
                    self.doubt_map();
                    Failure::NotDone(text)
                }
                Err(Failure::NoAnswer(text)) => {
                    self.doubt_map();
                    return Err(Failure::NoAnswer(text));
                }
                done => return done,
            };
            let left = deadline.saturating_sub(self.clock.monotonic());
            if left <= pause {
                return Err(failure);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// The masters of `slots`, each once with one of its slots; `None` stands for slots that have no
    /// master at this moment.
    pub(super) fn masters_of(
        &self,
        slots: impl Iterator<Item = u16>,
    ) -> Vec<(u16, Option<Arc<Node>>)> {
        self.map().masters_of(slots)
    }

    /// The address of the master of `slot`.
    pub(super) fn name_of(&self, slot: u16) -> Option<Arc<str>> {
        self.map().master(slot).map(|node| Arc::clone(&node.name))
    }

    /// For each of `slots` the place of its master among `masters`, which [`Cluster::masters_of`]
    /// answered.
    pub(super) fn places_in(
        &self,
        slots: impl Iterator<Item = u16>,
        masters: &[(u16, Option<Arc<Node>>)],
    ) -> Vec<Option<usize>> {
        let map = self.map();
        slots
            .map(|slot| {
                let master = map.master(slot)?;
                masters
                    .iter()
                    .position(|(_, it)| it.as_ref().is_some_and(|it| Arc::ptr_eq(it, master)))
            })
            .collect()
    }

    /// All nodes that are known, those that stand by too.
    pub(super) fn nodes(&self) -> Vec<Arc<Node>> {
        self.map().nodes().cloned().collect()
    }

    /// How many tries met a slot on its way, so far.
    pub(super) fn n_asked_once(&self) -> u64 {
        self.n_asked_once.load(Ordering::Relaxed)
    }

    fn map(&self) -> Arc<SlotMap> {
        // What is behind it is whole after a panic too.
        Arc::clone(&self.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has the map read anew soon.
    fn doubt_map(&self) {
        self.is_doubted.notify_one();
    }

    /// Takes the word of a node that `slot` is at `address`; false if that is no address.
    fn moved(&self, slot: u16, address: &str) -> bool {
        let Some((address, node)) = self.node_told(slot, address) else { return false };
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        *map = Arc::new(map.with(slot, &address, &node));
        true
    }

    /// The node at `address`, as the master of `slot` tells it.
    fn node_told(&self, slot: u16, address: &str) -> Option<(Address, Arc<Node>)> {
        let map = self.map();
        let host = map.address(slot).map_or_else(|| self.seed_host(), |(host, _)| host);
        let address = read_redirection(address, host)?;
        let known = map.node_at(&address).cloned();
        let node = known.or_else(|| self.new_node(&address).ok())?;
        Some((address, node))
    }

    fn seed_host(&self) -> &str {
        // A socket is on this machine.
        if let ConnectionAddr::Tcp(host, _) = self.seed_info.addr() { host } else { "127.0.0.1" }
    }

    fn new_node(&self, (host, port): &Address) -> Result<Arc<Node>, RedisError> {
        let address = ConnectionAddr::Tcp(host.clone(), *port);
        let client = client(self.seed_info.clone().set_addr(address))?;
        Node::new(&client, Some(self.clock.add_master()), self.body_timeout).map(Arc::new)
    }

    /// Asks one node after the other for the map, the one of the URL last.
    async fn read_map_anywhere(&self) {
        let mut nodes = self.nodes();
        if !nodes.is_empty() {
            let first = self.turn.fetch_add(1, Ordering::Relaxed) % nodes.len();
            nodes.rotate_left(first);
        }
        nodes.push(Arc::clone(&self.seed));
        let mut last = None;
        for node in nodes {
            match self.read_map(&node, READING_TIMEOUT).await {
                Ok(()) => return,
                Err(failure) => last = Some(failure),
            }
        }
        tracing::warn!(?last, "no node of the Cluster tells where the slots are");
    }

    async fn read_map(&self, asked: &Arc<Node>, timeout: Duration) -> Result<(), Failure> {
        let mut slots = redis::cmd("CLUSTER");
        slots.arg("SLOTS");
        let answer = asked.line(Lane::Calm).send(&slots, timeout).await?;
        let before = self.map();
        let host = before.host_of(asked).unwrap_or_else(|| self.seed_host());
        let ranges = read_ranges(&answer, host).filter(|ranges| !ranges.is_empty());
        let ranges = ranges.ok_or_else(|| Failure::NotDone("it tells no slots".to_owned()))?;
        let map = SlotMap::new(&ranges, |address| {
            before.node_at(address).cloned().or_else(|| self.new_node(address).ok())
        });
        *self.map.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(map);
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The task that waits for it ends.
        self.is_doubted.notify_one();
    }
}

/// Reads the map whenever it is in doubt, until the Cluster is dropped.
async fn keep_reading(cluster: Weak<Cluster>, is_doubted: Arc<Notify>) {
    loop {
        is_doubted.notified().await;
        let Some(cluster) = cluster.upgrade() else { return };
        cluster.read_map_anywhere().await;
        drop(cluster);
        tokio::time::sleep(READING_PAUSE).await;
    }
}
