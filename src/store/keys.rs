//! The keys in Redis: which shard a gid belongs to, and what each key is called.
//!
//! All keys of a transaction begin `<prefix>:{TAG}:` with the tag of its shard, so that they are in
//! one hash slot. The tags are chosen so that the shards' slots are spread evenly over all slots,
//! however the slots are shared out among the masters of a Cluster.

use crate::model::{Gid, Timestamp, Token, flash::SaleId, spread};

/// Hash slots of a Redis Cluster.
pub(super) const SLOTS: u16 = 16_384;

/// The most shards: beyond that a look at each of them once a second would be Redis's main work.
pub(super) const SHARDS_MAX: usize = 1_024;

/// One shard's keys.
#[derive(Debug)]
pub(super) struct Shard {
    /// `<prefix>:{TAG}:`, with which all its keys begin.
    start: Box<str>,
    /// Its due times.
    due: Box<str>,
}

/// The keys of one deployment.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: Box<str>,
    shards: Box<[Shard]>,
    topics: Registry,
    sales: Registry,
}

/// The keys of a registry, of topics or of flash sales, which is in a hash slot of its own.
#[derive(Debug)]
pub(super) struct Registry {
    /// `<prefix>:{topics}:` or `<prefix>:{flash}:`, with which they begin.
    start: Box<str>,
}

/// A key in the two or three pieces that are joined to it.
pub(super) type Key<'a> = [&'a str; 3];

impl Keys {
    /// The keys of `shards` shards (1 to [`SHARDS_MAX`]).
    pub(super) fn new(prefix: &str, shards: usize) -> Self {
        let shards = shards.clamp(1, SHARDS_MAX);
        let shards = (0..shards)
            .map(|number| {
                let start = format!("{prefix}:{{{}}}:", tag(number, shards));
                let due = format!("{start}due");
                Shard { start: start.into(), due: due.into() }
            })
            .collect();
        let topics = Registry { start: format!("{prefix}:{{topics}}:").into() };
        let sales = Registry { start: format!("{prefix}:{{flash}}:").into() };
        Self { prefix: prefix.into(), shards, topics, sales }
    }

    /// What is true of the deployment as a whole: a hash.
    pub(super) fn meta(&self) -> String {
        format!("{}:meta", self.prefix)
    }

    /// The slots of all its keys but those that describe the deployment.
    pub(super) fn slots(&self) -> impl Iterator<Item = u16> {
        let shards = self.shards.iter().map(|shard| slot_of(shard.start.as_bytes()));
        let registries = [&self.topics.start, &self.sales.start];
        shards.chain(registries.map(|start| slot_of(start.as_bytes())))
    }

    /// The keys of the topics.
    pub(super) fn topics(&self) -> &Registry {
        &self.topics
    }

    /// The keys of the registry of flash sales.
    pub(super) fn sales(&self) -> &Registry {
        &self.sales
    }

    /// How many shards there are.
    pub(super) fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// The number of `gid`'s shard: the one that it names by ending in `~NN`, else that of its hash.
    pub(super) fn shard_of(&self, gid: &Gid) -> usize {
        let shards = self.shards.len();
        named_shard(gid.as_str())
            .filter(|shard| *shard < shards)
            .unwrap_or_else(|| spread(gid.as_str(), shards))
    }

    /// The shard of `gid`.
    pub(super) fn of(&self, gid: &Gid) -> &Shard {
        self.number(self.shard_of(gid))
    }

    /// The slot of all keys of a shard.
    pub(super) fn slot_of_shard(&self, shard: usize) -> u16 {
        slot_of(self.number(shard).start.as_bytes())
    }

    /// A shard by its number; numbers beyond the last begin anew.
    pub(super) fn number(&self, shard: usize) -> &Shard {
        &self.shards[shard % self.shards.len()]
    }
}

impl Registry {
    /// Its entries by their names: a hash.
    pub(super) fn all(&self) -> Key<'_> {
        [&self.start, "all", ""]
    }

    /// Their names: a sorted set.
    pub(super) fn names(&self) -> Key<'_> {
        [&self.start, "names", ""]
    }

    /// Says for a while that a request was done on a topic: a hash.
    pub(super) fn done<'a>(&'a self, request: &'a Token) -> Key<'a> {
        [&self.start, "r:", request.as_str()]
    }

    /// The requests that took effect on a sale: a hash.
    pub(super) fn requests<'a>(&'a self, sale: &'a SaleId) -> Key<'a> {
        [&self.start, "r:", sale.as_str()]
    }
}

impl Shard {
    /// The transaction: a hash.
    pub(super) fn transaction<'a>(&'a self, gid: &'a Gid) -> Key<'a> {
        [&self.start, "g:", gid.as_str()]
    }

    /// A large body: a string.
    pub(super) fn body<'a>(&'a self, gid: &'a Gid) -> Key<'a> {
        [&self.start, "b:", gid.as_str()]
    }

    /// A large body on its way, that only one request knows of: a string.
    pub(super) fn staged<'a>(&'a self, request: &'a Token) -> Key<'a> {
        [&self.start, "s:", request.as_str()]
    }

    /// When each unfinished one next wants attention: a sorted set.
    pub(super) fn due(&self) -> Key<'_> {
        [&self.due, "", ""]
    }

    /// Which ended in a [`minute`]: a list.
    pub(super) fn ended<'a>(&'a self, minute: &'a str) -> Key<'a> {
        [&self.start, "fin:", minute]
    }

    /// The books of a sale's bucket: a hash.
    pub(super) fn books<'a>(&'a self, sale: &'a SaleId) -> Key<'a> {
        [&self.start, "f:", sale.as_str()]
    }

    /// What the buyers of a bucket hold or bought: a hash.
    pub(super) fn buyers<'a>(&'a self, sale: &'a SaleId) -> Key<'a> {
        [&self.start, "fb:", sale.as_str()]
    }

    /// The reservations of a bucket: a hash.
    pub(super) fn reservations<'a>(&'a self, sale: &'a SaleId) -> Key<'a> {
        [&self.start, "fr:", sale.as_str()]
    }

    /// Who took units of a bucket that had come back, the last ones: a list.
    pub(super) fn late_takers<'a>(&'a self, sale: &'a SaleId) -> Key<'a> {
        [&self.start, "fl:", sale.as_str()]
    }

    /// What a bucket gave to others that did not acknowledge it yet: a hash.
    pub(super) fn transfers<'a>(&'a self, sale: &'a SaleId) -> Key<'a> {
        [&self.start, "ft:", sale.as_str()]
    }

    /// Says for a while that a transfer was acknowledged: a string.
    pub(super) fn transferred<'a>(&'a self, transfer: &'a Token) -> Key<'a> {
        [&self.start, "fd:", transfer.as_str()]
    }
}

/// The minute that `at` lies in, as a list's key has it.
pub(super) fn minute(at: Timestamp) -> String {
    minute_number(at).to_string()
}

/// The minute that `at` lies in: minutes since 1970.
pub(super) const fn minute_number(at: Timestamp) -> u64 {
    at.as_us() / 60_000_000
}

/// The shard that a gid names by ending in `~` and its number of at least two digits.
fn named_shard(gid: &str) -> Option<usize> {
    let (_, digits) = gid.rsplit_once('~')?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    // Only the number's one spelling counts.
    let is_plain = digits.len() == 2 || (digits.len() > 2 && !digits.starts_with('0'));
    (is_number && is_plain).then(|| digits.parse().ok()).flatten()
}

/// The first of `NN`, `NNa`, …, `NNz`, `NNaa`, … whose slot lies in this shard's part of the slots.
fn tag(shard: usize, shards: usize) -> String {
    let number = format!("{shard:02}");
    let mut suffix = 0_usize;
    loop {
        let candidate = format!("{number}{}", letters(suffix));
        if slot(&candidate) * shards / usize::from(SLOTS) == shard {
            return candidate;
        }
        suffix += 1;
    }
}

/// The `count`-th of "", a, …, z, aa, ….
fn letters(mut count: usize) -> String {
    let mut text = Vec::new();
    while count > 0 {
        count -= 1;
        text.push(b'a' + u8::try_from(count % 26).unwrap_or(0));
        count /= 26;
    }
    text.reverse();
    String::from_utf8(text).unwrap_or_default()
}

/// The hash slot of a key: that of its tag, between its first brace and the next one that closes, if
/// there is anything between them; else of the whole key.
pub(super) fn slot_of(key: &[u8]) -> u16 {
    let start = key.iter().position(|byte| *byte == b'{').map(|at| at + 1);
    let tag = start.and_then(|start| {
        let length = key[start..].iter().position(|byte| *byte == b'}')?;
        (length > 0).then(|| &key[start..start + length])
    });
    slot_of_tag(tag.unwrap_or(key))
}

/// As [`slot_of`] of a tag alone, for arithmetic.
fn slot(tag: &str) -> usize {
    usize::from(slot_of_tag(tag.as_bytes()))
}

/// CRC16 (XMODEM) modulo the number of slots, as Redis Cluster has it.
fn slot_of_tag(tag: &[u8]) -> u16 {
    let crc = tag.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    // There are 2¹⁴ slots.
    crc & 0x3fff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gid(text: &str) -> Gid {
        Gid::new(text).unwrap()
    }

    #[test]
    fn slots_are_those_of_redis() {
        // The check value of CRC16/XMODEM, and two slots as CLUSTER KEYSLOT answers them.
        assert_eq!(slot("123456789"), 0x31c3 % usize::from(SLOTS));
        assert_eq!(slot("foo"), 12_182);
        assert_eq!(slot("bar"), 5_061);
    }

    #[test]
    fn a_key_is_in_the_slot_of_its_tag() {
        for (key, tag) in [
            ("x:{foo}:due", "foo"),
            ("{foo}{bar}", "foo"),
            ("a}{foo}", "foo"),
            ("foo", "foo"),
            ("{}foo", "{}foo"),
            ("{foo", "{foo"),
            ("{{foo}}", "{foo"),
        ] {
            assert_eq!(usize::from(slot_of(key.as_bytes())), slot(tag), "{key}");
        }
    }

    #[test]
    fn each_shard_has_its_own_part_of_the_slots() {
        for shards in [1, 3, 64, 100, SHARDS_MAX] {
            for shard in 0..shards {
                assert_eq!(slot(&tag(shard, shards)) * shards / usize::from(SLOTS), shard);
            }
        }
    }

    #[test]
    fn masters_get_equal_numbers_of_shards() {
        for masters in [2, 3, 4, 6, 8] {
            let mut counts = vec![0; masters];
            for shard in 0..64 {
                counts[slot(&tag(shard, 64)) * masters / usize::from(SLOTS)] += 1;
            }
            let most = counts.iter().max().unwrap();
            let least = counts.iter().min().unwrap();
            assert!(most - least <= 1, "{masters} masters: {counts:?}");
        }
    }

    #[test]
    fn a_gid_stays_in_its_shard_for_ever() {
        // What is stored is found by these: a change here loses transactions.
        let keys = Keys::new("tandem", 64);
        let shards = ["a", "order-1", "order-2", "ü/ {x}", "01J0000000000000000000"]
            .map(|g| keys.shard_of(&gid(g)));
        assert_eq!(shards, [32, 18, 42, 47, 30]);
        let shard_7 = keys.of(&gid("order~07"));
        assert_eq!(shard_7.due().concat(), "tandem:{07r}:due");
    }

    #[test]
    fn gids_that_count_up_are_spread_evenly() {
        let keys = Keys::new("tandem", 64);
        let mut counts = vec![0_u32; 64];
        for number in 0..64_000 {
            counts[keys.shard_of(&gid(&format!("order-{number}")))] += 1;
        }
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_gid_may_name_its_shard() {
        let keys = Keys::new("tandem", 64);
        assert_eq!(keys.shard_of(&gid("sale-7-order-9~63")), 63);
        assert_eq!(keys.shard_of(&gid("~00")), 0);
        for other in ["x~64", "x~7", "x~007", "x~+7", "x~", "x~1a"] {
            assert_eq!(named_shard(other).filter(|shard| *shard < 64), None, "{other}");
        }
        assert_eq!(named_shard("x~100"), Some(100));
    }
}
