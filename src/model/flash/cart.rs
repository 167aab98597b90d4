//! What an order takes.

use super::ItemId;

/// The most lines of one cart.
pub const LINES_MAX: usize = 32;

/// The most units of anything: scripts count in doubles, which are exact below 2^53.
pub const UNITS_MAX: u64 = (1 << 53) - 1;

/// So many units of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which item.
    pub item: ItemId,
    /// How many units, 1 to [`UNITS_MAX`].
    pub take: u64,
}

/// Why lines are not a cart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CartError {
    /// There are none.
    #[error("the cart is empty: name at least one item")]
    Empty,
    /// There are too many.
    #[error("the cart has {0} lines, at most {LINES_MAX} are allowed")]
    TooManyLines(usize),
    /// One names more units than can be counted, or none.
    #[error("{item}: take is {take}, it must be 1 to {UNITS_MAX}")]
    BadTake {
        /// Of which item.
        item: ItemId,
        /// How many.
        take: u64,
    },
    /// Two name the same item.
    #[error("{0} stands in the cart twice: name it once, with all its units")]
    Twice(ItemId),
}

/// The lines of one order: not empty, no item twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cart(Box<[Line]>);

impl Cart {
    /// Checks `lines`.
    ///
    /// # Errors
    /// See [`CartError`].
    pub fn new(lines: Vec<Line>) -> Result<Self, CartError> {
        if lines.is_empty() {
            return Err(CartError::Empty);
        }
        if lines.len() > LINES_MAX {
            return Err(CartError::TooManyLines(lines.len()));
        }
        for (number, Line { item, take }) in lines.iter().enumerate() {
            if !(1..=UNITS_MAX).contains(take) {
                return Err(CartError::BadTake { item: item.clone(), take: *take });
            }
            if lines.iter().take(number).any(|earlier| earlier.item == *item) {
                return Err(CartError::Twice(item.clone()));
            }
        }
        Ok(Self(lines.into()))
    }

    /// Its lines, in the order in which the client named them.
    pub fn lines(&self) -> &[Line] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(item: &str, take: u64) -> Line {
        Line { item: ItemId::new(item).unwrap(), take }
    }

    #[test]
    fn a_cart_has_lines_each_of_another_item_and_of_units_that_can_be_counted() {
        assert!(Cart::new(vec![line("shoe", 1), line("hat", UNITS_MAX)]).is_ok());
        assert_eq!(Cart::new(vec![]), Err(CartError::Empty));
        assert!(matches!(Cart::new(vec![line("shoe", 0)]), Err(CartError::BadTake { .. })));
        assert!(matches!(Cart::new(vec![line("shoe", 1 << 53)]), Err(CartError::BadTake { .. })));
        let twice = Cart::new(vec![line("shoe", 1), line("hat", 1), line("shoe", 2)]);
        assert_eq!(twice, Err(CartError::Twice(ItemId::new("shoe").unwrap())));
        let many = (0..=LINES_MAX).map(|number| line(&number.to_string(), 1)).collect();
        assert_eq!(Cart::new(many), Err(CartError::TooManyLines(LINES_MAX + 1)));
    }
}
