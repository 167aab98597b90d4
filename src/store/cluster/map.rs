//! Which master has which slot, as `CLUSTER SLOTS` tells it.

use std::{collections::HashMap, sync::Arc};

use redis::Value;

use super::super::{keys::SLOTS, servers::Node};

/// Host and port of a node.
pub(super) type Address = (String, u16);

/// Stands for no master.
const NOBODY: u16 = u16::MAX;

/// The nodes of a Cluster, and whose the slots are.
#[derive(Clone)]
pub(super) struct SlotMap {
    nodes: Vec<(Address, Arc<Node>)>,
    /// For each slot the number of its master in `nodes`.
    masters: Box<[u16]>,
}

impl SlotMap {
    /// One in which no slot has a master yet.
    pub(super) fn empty() -> Self {
        Self { nodes: Vec::new(), masters: vec![NOBODY; usize::from(SLOTS)].into() }
    }

    /// The map of `ranges`. Nodes come from `node`; those that cannot be made have no slots.
    pub(super) fn new(
        ranges: &[Range],
        mut node: impl FnMut(&Address) -> Option<Arc<Node>>,
    ) -> Self {
        let mut map = Self::empty();
        let mut numbers: HashMap<&Address, Option<u16>> = HashMap::new();
        for range in ranges {
            for (place, address) in range.addresses.iter().enumerate() {
                let number = *numbers
                    .entry(address)
                    .or_insert_with(|| node(address).and_then(|node| map.add(address, node)));
                // The first one is the master, the others stand by.
                if let (0, Some(number)) = (place, number) {
                    let last = range.last.min(SLOTS - 1);
                    let first = range.first.min(last);
                    map.masters[usize::from(first)..=usize::from(last)].fill(number);
                }
            }
        }
        map
    }

    fn add(&mut self, address: &Address, node: Arc<Node>) -> Option<u16> {
        let number = u16::try_from(self.nodes.len()).ok().filter(|number| *number < NOBODY)?;
        self.nodes.push((address.clone(), node));
        Some(number)
    }

    /// The master of `slot`.
    pub(super) fn master(&self, slot: u16) -> Option<&Arc<Node>> {
        self.place(slot).map(|(_, node)| node)
    }

    /// The address of the master of `slot`.
    pub(super) fn address(&self, slot: u16) -> Option<&Address> {
        self.place(slot).map(|(address, _)| address)
    }

    fn place(&self, slot: u16) -> Option<&(Address, Arc<Node>)> {
        let number = *self.masters.get(usize::from(slot))?;
        self.nodes.get(usize::from(number))
    }

    /// The node at `address`.
    pub(super) fn node_at(&self, address: &Address) -> Option<&Arc<Node>> {
        self.nodes.iter().find(|(it, _)| it == address).map(|(_, node)| node)
    }

    /// The host of `node`.
    pub(super) fn host_of(&self, node: &Arc<Node>) -> Option<&str> {
        let mut nodes = self.nodes.iter();
        nodes.find(|(_, it)| Arc::ptr_eq(it, node)).map(|((host, _), _)| host.as_str())
    }

    /// All nodes, those that stand by too.
    pub(super) fn nodes(&self) -> impl ExactSizeIterator<Item = &Arc<Node>> {
        self.nodes.iter().map(|(_, node)| node)
    }

    /// The masters of `slots`, each once, with the first of its slots.
    pub(super) fn masters_of(
        &self,
        slots: impl Iterator<Item = u16>,
    ) -> Vec<(u16, Option<Arc<Node>>)> {
        let mut found: Vec<(u16, Option<Arc<Node>>)> = Vec::new();
        for slot in slots {
            let node = self.master(slot);
            let is_known = found.iter().any(|(_, other)| match (other, node) {
                (Some(other), Some(node)) => Arc::ptr_eq(other, node),
                (None, None) => true,
                _ => false,
            });
            if !is_known {
                found.push((slot, node.cloned()));
            }
        }
        found
    }

    /// This map, but `slot` belongs to `node` at `address`.
    pub(super) fn with(&self, slot: u16, address: &Address, node: &Arc<Node>) -> Self {
        let mut map = self.clone();
        let number = map.nodes.iter().position(|(it, _)| it == address);
        let number = match number {
            Some(number) => u16::try_from(number).ok(),
            None => map.add(address, Arc::clone(node)),
        };
        if let (Some(number), Some(master)) = (number, map.masters.get_mut(usize::from(slot))) {
            *master = number;
        }
        map
    }
}

/// Slots that one master has, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u16,
    pub(super) last: u16,
    /// The master's, then those that stand by.
    pub(super) addresses: Vec<Address>,
}

/// Reads an answer to `CLUSTER SLOTS`; `None` if it is none. A node that does not tell its host is
/// at `asked_host`, the host of the node that was asked.
pub(super) fn read_ranges(answer: &Value, asked_host: &str) -> Option<Vec<Range>> {
    let Value::Array(ranges) = answer else { return None };
    ranges
        .iter()
        .map(|range| {
            let Value::Array(parts) = range else { return None };
            let [Value::Int(first), Value::Int(last), nodes @ ..] = parts.as_slice() else {
                return None;
            };
            let addresses: Option<Vec<_>> =
                nodes.iter().map(|node| read_address(node, asked_host)).collect();
            Some(Range {
                first: u16::try_from(*first).ok()?,
                last: u16::try_from(*last).ok()?,
                addresses: addresses.filter(|addresses| !addresses.is_empty())?,
            })
        })
        .collect()
}

fn read_address(node: &Value, asked_host: &str) -> Option<Address> {
    let Value::Array(parts) = node else { return None };
    let [host, Value::Int(port), ..] = parts.as_slice() else { return None };
    let host =
        if let Value::BulkString(host) = host { std::str::from_utf8(host).ok()? } else { "" };
    let host = if matches!(host, "" | "?") { asked_host } else { host };
    Some((host.to_owned(), u16::try_from(*port).ok()?))
}

/// Reads the address of a redirection, `host:port`, told by a node at `asked_host`.
pub(super) fn read_redirection(text: &str, asked_host: &str) -> Option<Address> {
    let (host, port) = text.rsplit_once(':')?;
    let host = if matches!(host, "" | "?") { asked_host } else { host };
    Some((host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: Value, port: i64) -> Value {
        let id = Value::BulkString(b"e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca".to_vec());
        Value::Array(vec![host, Value::Int(port), id, Value::Array(Vec::new())])
    }

    fn text(host: &str) -> Value {
        Value::BulkString(host.as_bytes().to_vec())
    }

    #[test]
    fn slots_are_read_with_their_nodes() {
        let range = |first, last, nodes: Vec<Value>| {
            Value::Array([vec![Value::Int(first), Value::Int(last)], nodes].concat())
        };
        let answer = Value::Array(vec![
            range(0, 8_191, vec![node(text("10.0.0.1"), 7_000), node(text("::1"), 7_001)]),
            range(8_192, 16_383, vec![node(Value::Nil, 7_002), node(text("?"), 7_003)]),
        ]);
        let at = |host: &str, port| (host.to_owned(), port);
        let expected = [
            Range {
                first: 0,
                last: 8_191,
                addresses: vec![at("10.0.0.1", 7_000), at("::1", 7_001)],
            },
            Range { first: 8_192, last: 16_383, addresses: vec![at("me", 7_002), at("me", 7_003)] },
        ];
        assert_eq!(read_ranges(&answer, "me").as_deref(), Some(&expected[..]));
        assert_eq!(read_ranges(&Value::Array(Vec::new()), "me"), Some(Vec::new()));
        for bad in [
            Value::Nil,
            Value::Array(vec![Value::Nil]),
            Value::Array(vec![range(0, 1, Vec::new())]),
            Value::Array(vec![range(-1, 1, vec![node(text("a"), 1)])]),
            Value::Array(vec![range(0, 1, vec![node(text("a"), 65_536)])]),
        ] {
            assert_eq!(read_ranges(&bad, "me"), None, "{bad:?}");
        }
    }

    #[test]
    fn a_redirection_names_a_node() {
        let at = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(read_redirection("10.0.0.1:7000", "me"), at("10.0.0.1", 7_000));
        assert_eq!(read_redirection(":7000", "me"), at("me", 7_000));
        assert_eq!(read_redirection("::1:7000", "me"), at("::1", 7_000));
        for bad in ["", "host", "host:", "host:x"] {
            assert_eq!(read_redirection(bad, "me"), None, "{bad}");
        }
    }
}
