//! Real Redis Clusters for tests, and connections that find their way in one.
//!
//! With `TEST_REDIS=cluster` in the environment the server that all tests share is such a
//! Cluster; [`super::super::cluster`] runs many of them once more so.

use std::{collections::BTreeSet, net::TcpListener, thread::sleep, time::Duration};

use redis::{Connection, ConnectionLike, RedisResult, Value};

use super::redis::RedisServer;

/// Hash slots of a Cluster.
const SLOTS: u16 = 16_384;

/// How often a Cluster is asked whether it has agreed on something.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A minute, and more on a busy machine.
const LOOKS_MAX: u32 = 3_000;

/// A Cluster of servers of a test's own; they stop when this is dropped.
#[derive(Debug)]
pub(crate) struct RedisCluster {
    masters: Vec<Member>,
    replicas: Vec<Member>,
}

/// One server of a Cluster.
#[derive(Debug)]
struct Member {
    server: RedisServer,
    port: u16,
    bus_port: u16,
    id: String,
}

impl RedisCluster {
    /// Three masters that share all slots, and as many replicas for each.
    pub(crate) fn start(n_replicas: usize) -> Self {
        // Without replicas a master is only paused, and nobody is to notice; with them a test waits
        // for its end to be noticed.
        let timeout_ms = if n_replicas == 0 { "15000" } else { "3000" };
        let masters: Vec<_> = (0..3).map(|_| Member::start(timeout_ms)).collect();
        let replicas = (0..3 * n_replicas).map(|_| Member::start(timeout_ms)).collect();
        let cluster = Self { masters, replicas };
        for (number, (member, first)) in cluster.masters.iter().zip(0_u16..).enumerate() {
            let epoch = (number + 1).to_string();
            member.ask::<()>(&["SET-CONFIG-EPOCH", &epoch]);
            let (first, last) = (first * (SLOTS / 3), (first + 1) * (SLOTS / 3) - 1);
            let last = if number == 2 { SLOTS - 1 } else { last };
            member.ask::<()>(&["ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
        }
        let first = &cluster.masters[0];
        for other in cluster.members().skip(1) {
            let (port, bus) = (first.port.to_string(), first.bus_port.to_string());
            other.ask::<()>(&["MEET", "127.0.0.1", &port, &bus]);
        }
        let n_members = cluster.members().count();
        until("all know each other", || {
            cluster.members().all(|it| it.info("cluster_known_nodes") == n_members.to_string())
        });
        for (number, replica) in cluster.replicas.iter().enumerate() {
            let master = &cluster.masters[number % 3];
            // It may not have heard yet that this one is a master.
            until("it is a replica", || replica.try_ask::<()>(&["REPLICATE", &master.id]).is_ok());
        }
        cluster.until_whole();
        cluster.until_agreed();
        cluster
    }

    fn members(&self) -> impl Iterator<Item = &Member> {
        self.masters.iter().chain(&self.replicas)
    }

    /// Waits until each member says that all slots are served.
    fn until_whole(&self) {
        until("all slots are served", || {
            self.members().all(|it| {
                it.info("cluster_state") == "ok" && it.info("cluster_slots_ok") == SLOTS.to_string()
            })
        });
        until("replicas stand by", || {
            let slots: Vec<Vec<Value>> = self.masters[0].ask(&["SLOTS"]);
            let n_told: usize = slots.iter().map(|range| range.len() - 3).sum();
            n_told == self.replicas.len()
        });
    }

    /// The URL of one of its nodes.
    pub(crate) fn url(&self) -> String {
        self.masters[0].url()
    }

    /// The server of the master of this number, 0 to 2, as it was at the start.
    pub(crate) fn master(&self, number: usize) -> &RedisServer {
        &self.masters[number].server
    }

    /// As [`RedisCluster::master`], to start it again.
    pub(crate) fn master_mut(&mut self, number: usize) -> &mut RedisServer {
        &mut self.masters[number].server
    }

    /// The number of the master that `slot` was given at the start.
    pub(crate) fn first_master_of(slot: u16) -> usize {
        usize::from((slot / (SLOTS / 3)).min(2))
    }

    /// Waits until the masters agree on who has which slot since when. One that takes a slot before it
    /// knows of another one's later epoch would lose it again, with all that is in it.
    fn until_agreed(&self) {
        until("all masters agree", || {
            let views: Vec<_> = self.masters.iter().map(Member::view).collect();
            views.iter().all(|view| *view == views[0])
        });
    }

    /// Says to master `to` and then to master `from` that `slot` begins its way.
    pub(crate) fn begin_move(&self, slot: u16, from: usize, to: usize) {
        self.until_agreed();
        let slot = slot.to_string();
        let (from, to) = (&self.masters[from], &self.masters[to]);
        to.ask::<()>(&["SETSLOT", &slot, "IMPORTING", &from.id]);
        from.ask::<()>(&["SETSLOT", &slot, "MIGRATING", &to.id]);
    }

    /// Moves at most `limit` keys of `slot` from one master to another, and answers how many.
    pub(crate) fn move_keys(&self, slot: u16, from: usize, to: usize, limit: usize) -> usize {
        let (from, to) = (&self.masters[from], &self.masters[to]);
        let keys: Vec<String> = from.ask(&["GETKEYSINSLOT", &slot.to_string(), &limit.to_string()]);
        if !keys.is_empty() {
            let mut migrate = redis::cmd("MIGRATE");
            migrate.arg("127.0.0.1").arg(to.port).arg("").arg(0).arg(5_000).arg("KEYS").arg(&keys);
            migrate.exec(&mut from.server.connect()).expect("they are moved");
        }
        keys.len()
    }

    /// Says that `slot` is at master `to` from now on.
    pub(crate) fn end_move(&self, slot: u16, from: usize, to: usize) {
        let slot = slot.to_string();
        let id = &self.masters[to].id;
        for number in [to, from] {
            self.masters[number].ask::<()>(&["SETSLOT", &slot, "NODE", id]);
        }
        self.until_agreed();
    }

    /// Moves `slot` with all that is in it, while others use it.
    pub(crate) fn move_slot(&self, slot: u16, from: usize, to: usize) {
        self.begin_move(slot, from, to);
        while self.move_keys(slot, from, to, 10) > 0 {}
        self.end_move(slot, from, to);
    }

    /// Waits until a replica has taken the place of the master of this number, which is gone.
    pub(crate) fn until_replaced(&self, number: usize) {
        let gone = i64::from(self.masters[number].port);
        let others: Vec<_> =
            (0..3).filter(|it| *it != number).map(|it| &self.masters[it]).collect();
        until("a replica takes the place", || {
            others.iter().all(|it| {
                let slots: Vec<Vec<Value>> = it.ask(&["SLOTS"]);
                let is_gone = slots.iter().all(|range| {
                    let Some(Value::Array(master)) = range.get(2) else { return false };
                    master.get(1) != Some(&Value::Int(gone))
                });
                is_gone && it.info("cluster_state") == "ok"
            })
        });
    }

    /// Waits until the replicas have all that was written so far.
    pub(crate) fn until_replicated(&self) {
        for master in &self.masters {
            let mut wait = redis::cmd("WAIT");
            wait.arg(self.replicas.len() / 3).arg(30_000);
            let n_told: usize = wait.query(&mut master.server.connect()).expect("an answer");
            assert_eq!(n_told, self.replicas.len() / 3);
        }
    }
}

impl Member {
    fn start(timeout_ms: &str) -> Self {
        // A port that was free a moment ago may be taken by now.
        let mut last = String::new();
        for _ in 0..20 {
            let [port, bus_port] = free_ports();
            let arguments = format!(
                "--port {port} --cluster-port {bus_port} --bind 127.0.0.1 --cluster-enabled yes \
                 --cluster-node-timeout {timeout_ms} --cluster-replica-validity-factor 0 \
                 --repl-diskless-sync-delay 0"
            );
            let started = RedisServer::try_start(&arguments.split(' ').collect::<Vec<_>>());
            match started {
                Ok(server) => {
                    let mut member = Self { server, port, bus_port, id: String::new() };
                    member.id = member.ask(&["MYID"]);
                    return member;
                }
                Err(printed) => last = printed,
            }
        }
        panic!("no member of a Cluster starts: {last}");
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn ask<T: redis::FromRedisValue>(&self, args: &[&str]) -> T {
        self.try_ask(args).expect("it does")
    }

    fn try_ask<T: redis::FromRedisValue>(&self, args: &[&str]) -> RedisResult<T> {
        let mut connection = redis::Client::open(self.server.url())?.get_connection()?;
        redis::cmd("CLUSTER").arg(args).query(&mut connection)
    }

    /// What it knows of the masters: their ids, epochs and slots.
    fn view(&self) -> BTreeSet<Vec<String>> {
        let nodes: String = self.ask(&["NODES"]);
        let masters = nodes.lines().filter(|line| line.contains("master"));
        masters
            .map(|line| {
                let words = line.split(' ').enumerate();
                // Its id, its epoch, its slots; a slot on its way stands in brackets.
                let told = words.filter(|(place, word)| {
                    matches!(place, 0 | 6) || (*place >= 8 && !word.starts_with('['))
                });
                told.map(|(_, word)| word.to_owned()).collect()
            })
            .collect()
    }

    /// A field of what it says of the Cluster; empty if it does not answer.
    fn info(&self, name: &str) -> String {
        let info: String = self.try_ask(&["INFO"]).unwrap_or_default();
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    }
}

fn free_ports() -> [u16; 2] {
    // Both are held until both are known, so that they differ.
    let held = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    held.map(|it| it.local_addr().expect("an address").port())
}

/// Nothing tells when the nodes of a Cluster agree: they must be asked.
fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..LOOKS_MAX {
        if is_so() {
            return;
        }
        sleep(LOOK_EVERY);
    }
    panic!("in vain: {what}");
}

/// The hash slot of `key`, by its tag if it has one.
pub(crate) fn slot_of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    let tag = tag.map(|(tag, _)| tag).filter(|tag| !tag.is_empty()).unwrap_or(key);
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    crc % SLOTS
}

/// Blocking connections to a single Redis, or to all masters of a Cluster: each command goes where its
/// first key is, and one without keys to all of them.
pub(crate) struct Routed {
    connections: Vec<Connection>,
    /// First and last slot of each range, and the number of its master's connection.
    ranges: Vec<(u16, u16, usize)>,
}

impl Routed {
    pub(crate) fn new(url: &str) -> Self {
        let open = |url: &str| {
            redis::Client::open(url).expect("a URL").get_connection().expect("a running server")
        };
        let mut first = open(url);
        // A single Redis has none; a member that has no slots yet is asked by itself.
        let slots: Vec<Vec<Value>> =
            redis::cmd("CLUSTER").arg("SLOTS").query(&mut first).unwrap_or_default();
        if slots.is_empty() {
            return Self { connections: vec![first], ranges: Vec::new() };
        }
        let (mut ports, mut connections, mut ranges) = (Vec::new(), Vec::new(), Vec::new());
        for range in slots {
            let [Value::Int(from), Value::Int(to), Value::Array(master), ..] = &range[..] else {
                panic!("{range:?}");
            };
            let Value::Int(port) = master[1] else { panic!("{master:?}") };
            let number = ports.iter().position(|it| *it == port).unwrap_or_else(|| {
                ports.push(port);
                connections.push(open(&format!("redis://127.0.0.1:{port}")));
                ports.len() - 1
            });
            let slot = |slot: i64| u16::try_from(slot).expect("a slot");
            ranges.push((slot(*from), slot(*to), number));
        }
        Self { connections, ranges }
    }

    /// The number of the connection for a packed command; `None`: for all.
    fn place(&self, packed: &[u8]) -> Option<usize> {
        if self.ranges.is_empty() {
            return Some(0);
        }
        let words = String::from_utf8_lossy(packed);
        let mut words = words.split("\r\n").skip(2).step_by(2);
        let name = words.next().expect("a name").to_ascii_uppercase();
        let key = match name.as_str() {
            "KEYS" | "CONFIG" | "SCRIPT" | "CLIENT" | "INFO" | "PING" => return None,
            "TIME" => return Some(0),
            "EVAL" | "EVALSHA" => words.nth(2),
            "MEMORY" | "OBJECT" => words.nth(1),
            _ => words.next(),
        };
        let slot = slot_of(key.unwrap_or_else(|| panic!("{name} has no key")));
        let range = self.ranges.iter().find(|(from, to, _)| (*from..=*to).contains(&slot));
        Some(range.expect("all slots are served").2)
    }
}

impl ConnectionLike for Routed {
    fn req_packed_command(&mut self, packed: &[u8]) -> RedisResult<Value> {
        if let Some(place) = self.place(packed) {
            return self.connections[place].req_packed_command(packed);
        }
        let mut whole = Vec::new();
        let mut last = Value::Nil;
        for connection in &mut self.connections {
            last = connection.req_packed_command(packed)?;
            if let Value::Array(values) = &mut last {
                whole.append(values);
            }
        }
        Ok(if matches!(last, Value::Array(_)) { Value::Array(whole) } else { last })
    }

    fn req_packed_commands(
        &mut self,
        packed: &[u8],
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        let place = self.place(packed).unwrap_or(0);
        self.connections[place].req_packed_commands(packed, offset, count)
    }

    fn get_db(&self) -> i64 {
        0
    }

    fn check_connection(&mut self) -> bool {
        self.connections.iter_mut().all(ConnectionLike::check_connection)
    }

    fn is_open(&self) -> bool {
        self.connections.iter().all(ConnectionLike::is_open)
    }
}

#[test]
fn a_cluster_serves_all_slots_and_commands_find_their_way() {
    let cluster = RedisCluster::start(0);
    let mut routed = Routed::new(&cluster.url());
    for number in 0..50 {
        let key = format!("key-{number}");
        let slot: u16 = redis::cmd("CLUSTER")
            .arg("KEYSLOT")
            .arg(&key)
            .query(&mut cluster.master(0).connect())
            .expect("a slot");
        assert_eq!(slot, slot_of(&key));
        let master = cluster.master(RedisCluster::first_master_of(slot));
        redis::cmd("SET").arg(&key).arg(number).exec(&mut routed).expect("it is set");
        let stored: u32 = redis::cmd("GET").arg(&key).query(&mut master.connect()).expect("it");
        assert_eq!(stored, number);
    }
    let keys: Vec<String> = redis::cmd("KEYS").arg("key-*").query(&mut routed).expect("keys");
    assert_eq!(keys.len(), 50);
}
