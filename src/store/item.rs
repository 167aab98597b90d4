//! One item of a script call: its keys and arguments, laid out flat.

use std::fmt::{self, Write};

use redis::Cmd;

use super::keys::{Key, slot_of};

/// The keys and arguments of one item, in one buffer, in the order in which the head of its script
/// names them: shared keys, keys, further keys, arguments.
#[derive(Clone, Debug)]
pub(super) struct Item {
    bytes: Vec<u8>,
    /// Where each piece ends.
    ends: Vec<usize>,
    n_shared_keys: usize,
    n_keys: usize,
    n_further_keys: usize,
    /// The argument that tells the place of the first further key among all keys of the call.
    place: Option<usize>,
}

impl Item {
    /// An item with room for `body` and the usual rest.
    pub(super) fn with_room_for(body: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(body + 320),
            ends: Vec::with_capacity(16),
            n_shared_keys: 0,
            n_keys: 0,
            n_further_keys: 0,
            place: None,
        }
    }

    /// Adds a key that other items of the call may have, too: it is sent once for all that are
    /// next to each other and have the same shared keys. They come first.
    pub(super) fn shared_key(&mut self, key: Key<'_>) -> &mut Self {
        self.n_shared_keys += 1;
        self.joined(key)
    }

    /// Adds a key of its own. They follow the shared ones.
    pub(super) fn key(&mut self, key: Key<'_>) -> &mut Self {
        self.n_keys += 1;
        self.joined(key)
    }

    /// Adds a key that stands after those of all items. They follow the other keys.
    pub(super) fn further_key(&mut self, key: Key<'_>) -> &mut Self {
        self.n_further_keys += 1;
        self.joined(key)
    }

    /// Adds an argument.
    pub(super) fn arg(&mut self, arg: impl AsRef<[u8]>) -> &mut Self {
        self.bytes.extend_from_slice(arg.as_ref());
        self.end()
    }

    /// Adds an argument that is all of `pieces`.
    pub(super) fn joined<'a>(&mut self, pieces: impl IntoIterator<Item = &'a str>) -> &mut Self {
        for piece in pieces {
            self.bytes.extend_from_slice(piece.as_bytes());
        }
        self.end()
    }

    /// Adds an argument as `Display` has it.
    pub(super) fn shown(&mut self, arg: impl fmt::Display) -> &mut Self {
        // Writing to a buffer cannot fail.
        let _ = write!(Buffer(&mut self.bytes), "{arg}");
        self.end()
    }

    /// Adds a flag: 1 or 0.
    pub(super) fn flag(&mut self, flag: bool) -> &mut Self {
        self.arg(if flag { "1" } else { "0" })
    }

    /// Adds the place of the first further key; 0 if there is none.
    pub(super) fn place(&mut self) -> &mut Self {
        self.place = Some(self.ends.len());
        self.end()
    }

    fn end(&mut self) -> &mut Self {
        self.ends.push(self.bytes.len());
        self
    }

    /// How long it is.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The hash slot of its first key, which is that of all its keys.
    pub(super) fn slot(&self) -> u16 {
        slot_of(self.pieces().next().unwrap_or_default())
    }

    /// Its first shared key, to sort the items of a call by; empty if there is none.
    pub(super) fn first_shared_key(&self) -> &[u8] {
        self.shared_keys().next().unwrap_or_default()
    }

    fn shared_keys(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces().take(self.n_shared_keys)
    }

    /// The pieces behind the shared keys.
    fn own_pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces().skip(self.n_shared_keys)
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }
}

struct Buffer<'a>(&'a mut Vec<u8>);

impl Write for Buffer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// The call of the script with this hash for all of `items`; `head` is its first argument, if it
/// has one that is the same for all. Where the items have shared keys, the next one tells how many
/// items have the first of these, how many the next ones, and so on.
pub(super) fn evalsha<'a>(
    hash: &str,
    head: Option<&str>,
    items: impl Iterator<Item = &'a Item> + Clone,
) -> Cmd {
    let sharing = sharing(items.clone());
    let n_shared: usize = sharing.iter().map(|(item, _)| item.n_shared_keys).sum();
    let n_plain = n_shared + items.clone().map(|item| item.n_keys).sum::<usize>();
    let n_further: usize = items.clone().map(|item| item.n_further_keys).sum();
    let n_pieces: usize = items.clone().map(|item| item.ends.len()).sum();
    let n_bytes: usize = items.clone().map(Item::len).sum();
    let mut command = Cmd::with_capacity(4 + n_pieces, 96 + n_bytes);
    command.arg("EVALSHA").arg(hash).arg(n_plain + n_further);
    for (item, _) in &sharing {
        item.shared_keys().for_each(|key| {
            command.arg(key);
        });
    }
    for item in items.clone() {
        item.own_pieces().take(item.n_keys).for_each(|key| {
            command.arg(key);
        });
    }
    for item in items.clone().filter(|item| item.n_further_keys > 0) {
        item.own_pieces().skip(item.n_keys).take(item.n_further_keys).for_each(|key| {
            command.arg(key);
        });
    }
    if let Some(head) = head {
        command.arg(head);
    }
    if !sharing.is_empty() {
        let counts: Vec<_> = sharing.iter().map(|(_, n_items)| n_items.to_string()).collect();
        command.arg(counts.join(","));
    }
    let mut next_place = n_plain + 1;
    for item in items {
        let first = item.n_shared_keys + item.n_keys + item.n_further_keys;
        for (number, piece) in item.pieces().enumerate().skip(first) {
            if item.place == Some(number) {
                command.arg(if item.n_further_keys == 0 { 0 } else { next_place });
            } else {
                command.arg(piece);
            }
        }
        next_place += item.n_further_keys;
    }
    command
}

/// The items that have other shared keys than the one before, each with how many have the same from
/// there on; none where no item has any.
fn sharing<'a>(items: impl Iterator<Item = &'a Item>) -> Vec<(&'a Item, usize)> {
    let mut sharing: Vec<(&Item, usize)> = Vec::new();
    for item in items.filter(|item| item.n_shared_keys > 0) {
        match sharing.last_mut() {
            Some((first, n_items)) if first.shared_keys().eq(item.shared_keys()) => *n_items += 1,
            _ => sharing.push((item, 1)),
        }
    }
    sharing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(items: &[&Item]) -> String {
        let command = evalsha("sha", Some("head"), items.iter().copied());
        let packed = String::from_utf8(command.get_packed_command()).unwrap();
        packed.split("\r\n").skip(2).step_by(2).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn keys_come_first_and_further_keys_after_those_of_all_items() {
        let mut plain = Item::with_room_for(0);
        plain.key(["a", "b", "c"]).arg("one").place().flag(true);
        let mut large = Item::with_room_for(0);
        large.key(["k", "", ""]).further_key(["x", "", ""]).further_key(["y", "", ""]);
        large.shown(2).place().arg("");
        let words = words(&[&plain, &large, &large]);
        assert_eq!(words, "EVALSHA sha 7 abc k k x y x y head one 0 1 2 4  2 6 ");
    }

    #[test]
    fn shared_keys_are_sent_once_for_neighbours_and_their_number_is_told() {
        let item = |sale: &str, own: &str, is_large: bool| {
            let mut item = Item::with_room_for(0);
            item.shared_key(["s", sale, ""]).shared_key(["t", sale, ""]).key([own, "", ""]);
            if is_large {
                item.further_key(["x", own, ""]);
            }
            item.arg(own.to_uppercase()).place();
            item
        };
        let (a, b, c) = (item("1", "a", false), item("1", "b", true), item("2", "c", false));
        assert_eq!((a.first_shared_key(), c.first_shared_key()), (&b"s1"[..], &b"s2"[..]));
        let all = words(&[&a, &b, &c, &a]);
        assert_eq!(all, "EVALSHA sha 11 s1 t1 s2 t2 s1 t1 a b c a xb head 2,1,1 A 0 B 11 C 0 A 0");
    }
}
