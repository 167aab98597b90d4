//! Chance from a seed: the same on every machine, and cheap to start anew for each question, so
//! that one answer does not hang on how many questions came before it.

use std::time::Duration;

/// A generator of the `SplitMix64` kind.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// The chance that belongs to `words` under `seed`.
    pub(crate) fn of(seed: u64, words: &[&str]) -> Self {
        // FNV-1a; a separator keeps ("ab", "c") and ("a", "bc") apart.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for word in words {
            for byte in word.bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        let mut rng = Self(hash);
        rng.next();
        rng
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// An index below `bound`, which is not 0.
    pub(crate) fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap_or(0)
    }

    /// True in `per_mille` of 1,000 cases.
    pub(crate) fn happens(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// A span of up to `ms_max` milliseconds.
    pub(crate) fn up_to_ms(&mut self, ms_max: u64) -> Duration {
        Duration::from_millis(self.below(ms_max + 1))
    }
}
