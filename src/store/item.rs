//! One item of a script call: its keys and arguments, laid out flat.

use std::fmt::{self, Write};

use redis::Cmd;

use super::keys::{Key, slot_of};

/// The keys and arguments of one item, in one buffer, in the order in which the head of its script
/// names them: keys, further keys, arguments.
#[derive(Clone, Debug)]
pub(super) struct Item {
    bytes: Vec<u8>,
    /// Where each piece ends.
    ends: Vec<usize>,
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
            n_keys: 0,
            n_further_keys: 0,
            place: None,
        }
    }

    /// Adds a key. All keys come first.
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

    fn joined(&mut self, key: Key<'_>) -> &mut Self {
        for piece in key {
            self.bytes.extend_from_slice(piece.as_bytes());
        }
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
/// has one that is the same for all.
pub(super) fn evalsha<'a>(
    hash: &str,
    head: Option<&str>,
    items: impl Iterator<Item = &'a Item> + Clone,
) -> Cmd {
    let n_plain: usize = items.clone().map(|item| item.n_keys).sum();
    let n_further: usize = items.clone().map(|item| item.n_further_keys).sum();
    let n_pieces: usize = items.clone().map(|item| item.ends.len()).sum();
    let n_bytes: usize = items.clone().map(Item::len).sum();
    let mut command = Cmd::with_capacity(4 + n_pieces, 96 + n_bytes);
    command.arg("EVALSHA").arg(hash).arg(n_plain + n_further);
    for item in items.clone() {
        item.pieces().take(item.n_keys).for_each(|key| {
            command.arg(key);
        });
    }
    for item in items.clone().filter(|item| item.n_further_keys > 0) {
        item.pieces().skip(item.n_keys).take(item.n_further_keys).for_each(|key| {
            command.arg(key);
        });
    }
    if let Some(head) = head {
        command.arg(head);
    }
    let mut next_place = n_plain + 1;
    for item in items {
        let first = item.n_keys + item.n_further_keys;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_first_and_further_keys_after_those_of_all_items() {
        let mut plain = Item::with_room_for(0);
        plain.key(["a", "b", "c"]).arg("one").place().flag(true);
        let mut large = Item::with_room_for(0);
        large.key(["k", "", ""]).further_key(["x", "", ""]).further_key(["y", "", ""]);
        large.shown(2).place().arg("");
        let command = evalsha("sha", Some("head"), [&plain, &large, &large].into_iter());
        let packed = String::from_utf8(command.get_packed_command()).unwrap();
        let words: Vec<_> = packed.split("\r\n").skip(2).step_by(2).collect();
        assert_eq!(words.join(" "), "EVALSHA sha 7 abc k k x y x y head one 0 1 2 4  2 6 ");
    }
}
