//! Whether two lists of buyers and their units are alike, however long they are: sums of hashes, in
//! parts, so that of lists that differ only the parts that differ are looked at again.

use crate::model::{spread, stable_hash};

/// How many parts there are.
const PARTS: usize = 1_024;

/// A part of all buyers and items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part(usize);

/// A sum for each part.
#[derive(Clone, Debug)]
pub(super) struct Sums(Box<[u128]>);

impl Default for Sums {
    fn default() -> Self {
        Self(vec![0; PARTS].into())
    }
}

impl Part {
    /// The part of this buyer's units of this item.
    pub(super) fn of(buyer: &str, item: &str) -> Self {
        Self(spread(&key(buyer, item), PARTS))
    }
}

impl Sums {
    /// Adds units. In what order, and in how many pieces, does not matter.
    pub(super) fn add(&mut self, buyer: &str, item: &str, units: u64) {
        let (key, back) = (key(buyer, item), key(item, buyer));
        let hash = u128::from(stable_hash(&key)) << 64 | u128::from(stable_hash(&back));
        let Part(part) = Part::of(buyer, item);
        if let Some(sum) = self.0.get_mut(part) {
            *sum = sum.wrapping_add(hash.wrapping_mul(units.into()));
        }
    }

    /// The parts that are not alike.
    pub(super) fn unlike(&self, other: &Self) -> Vec<Part> {
        let pairs = self.0.iter().zip(&other.0).enumerate();
        pairs.filter(|(_, (own, other))| own != other).map(|(part, _)| Part(part)).collect()
    }
}

fn key(first: &str, second: &str) -> String {
    // No id has it.
    format!("{first}\n{second}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_and_the_pieces_do_not_matter() {
        let (mut one, mut other) = (Sums::default(), Sums::default());
        for (buyer, item, units) in [("jane", "shoe", 2), ("joe", "hat", 7), ("jane", "shoe", 1)] {
            one.add(buyer, item, units);
        }
        other.add("joe", "hat", 7);
        other.add("jane", "shoe", 3);
        assert!(one.unlike(&other).is_empty());
    }

    #[test]
    fn the_part_of_who_differs_is_told() {
        let (mut one, mut other) = (Sums::default(), Sums::default());
        for buyer in 0..5_000 {
            one.add(&format!("b{buyer}"), "shoe", 1);
            other.add(&format!("b{buyer}"), "shoe", if buyer == 77 { 2 } else { 1 });
        }
        assert_eq!(one.unlike(&other), [Part::of("b77", "shoe")]);
        // Nor does another item, or another buyer, make up for it.
        other.add("b78", "shoe", 1);
        one.add("b77", "hat", 1);
        assert!(one.unlike(&other).contains(&Part::of("b77", "shoe")));
    }
}
