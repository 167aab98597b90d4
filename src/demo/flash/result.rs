//! What became of the sale, as a table, and what should have become of it.

use super::{SUPPLY, ledger::Payments};
use crate::demo::{
    check::{Checks, Wrong},
    page::grouped,
};

/// What became of the sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) buyers: usize,
    pub(super) double_clicks: usize,
    /// Requests that were answered.
    pub(super) answers: usize,
    /// Requests that were sent again, since the node was gone or had no room.
    pub(super) sent_again: usize,
    /// Accepted orders, as the buyers know them.
    pub(super) accepted: usize,
    /// Repeats whose answer was another than the first one.
    pub(super) differing: usize,
    /// Transactions of orders that ended as succeed, and as failed.
    pub(super) succeeded: usize,
    pub(super) failed: usize,
    /// Answers "sold out" and "limit reached".
    pub(super) sold_out: usize,
    pub(super) limit_reached: usize,
    pub(super) payments: Payments,
    pub(super) books: Books,
    /// How often the books were read while the sale ran; each time they were balanced.
    pub(super) looks: usize,
    /// What a recount of all reservations found.
    pub(super) differences: Vec<String>,
}

/// The books of the sale in one read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Books {
    pub(super) supply: u64,
    pub(super) available: u64,
    pub(super) held: u64,
    pub(super) sold: u64,
    /// Orders that were ever accepted.
    pub(super) orders: u64,
    pub(super) orders_in_work: u64,
}

impl Books {
    /// Whether every unit is in one place.
    pub(super) fn are_balanced(&self) -> bool {
        let places = [self.held, self.sold].into_iter();
        places.fold(self.available, u64::saturating_add) == self.supply
    }
}

impl Outcome {
    /// The rows of the table: what, how many, and what there is to say of it.
    pub(super) fn rows(&self) -> Vec<(&'static str, usize, String)> {
        let (payments, books) = (&self.payments, &self.books);
        let number = |units: u64| usize::try_from(units).unwrap_or(usize::MAX);
        let row = |what, number, note: &str| (what, number, note.to_owned());
        let clicks = format!("{} of them clicked twice at once", grouped(self.double_clicks));
        let sold_out = format!("{} times sold out, without a trace", grouped(self.sold_out));
        let [supply, left, held] =
            [books.supply, books.available, books.held].map(|units| grouped(number(units)));
        let sum = format!("= {supply} supplied - {left} left - {held} held");
        vec![
            row("buyers", self.buyers, &clicks),
            row("answers", self.answers, &sold_out),
            row("sent again", self.sent_again, "to the node that was left"),
            row("orders accepted", self.accepted, "each with one answer, however often asked"),
            row("  paid and sold", self.succeeded, ""),
            row("  rolled back", self.failed, "their units were sold to others"),
            row("second orders", self.limit_reached, "refused: the limit is 1"),
            row("buyers with two", payments.buyers_with_two, ""),
            row("payments", payments.charged, "at the payment desk"),
            row("  refunded", payments.refunded, "they came after the hold time"),
            row("units sold", number(books.sold), &sum),
            row("looks at the books", self.looks, "balanced each time, while the sale ran"),
            row("differences", self.differences.len(), "found by a recount of all reservations"),
        ]
    }

    /// Whether all is as it should be.
    ///
    /// # Errors
    /// Everything that is not.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let mut checks = Checks::default();
        let supply = SUPPLY;
        let books = Books {
            supply: supply as u64,
            available: 0,
            held: 0,
            sold: supply as u64,
            orders: self.accepted as u64,
            orders_in_work: 0,
        };
        checks.same("books", &format!("{:?}", self.books), &format!("{books:?}"));
        checks.same("orders that succeeded", &self.succeeded, &supply);
        checks.same("orders that ended", &(self.succeeded + self.failed), &self.accepted);
        checks.same("answers that differ from the first", &self.differing, &0);
        checks.same("payments kept", &(self.payments.charged - self.payments.refunded), &supply);
        checks.same("buyers who paid twice", &self.payments.buyers_with_two, &0);
        checks.same("differences in the recount", &self.differences.join(", "), &"");
        checks.result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        let supply = SUPPLY as u64;
        Outcome {
            buyers: 20_000,
            double_clicks: 2_000,
            answers: 22_000,
            sent_again: 70,
            accepted: SUPPLY + 20,
            differing: 0,
            succeeded: SUPPLY,
            failed: 20,
            sold_out: 20_960,
            limit_reached: 20,
            payments: Payments { charged: SUPPLY + 5, refunded: 5, unpaid: 15, buyers_with_two: 0 },
            books: Books {
                supply,
                available: 0,
                held: 0,
                sold: supply,
                orders: supply + 20,
                orders_in_work: 0,
            },
            looks: 100,
            differences: Vec::new(),
        }
    }

    #[test]
    fn a_sale_that_sold_each_unit_once_passes() {
        assert_eq!(outcome().check(), Ok(()));
    }

    #[test]
    fn whatever_is_wrong_is_found_and_named() {
        type Change = fn(&mut Outcome);
        let cases: [(Change, &str); 8] = [
            (|it| it.books.sold -= 1, "books"),
            (|it| it.books.held += 1, "books"),
            (|it| it.books.orders += 1, "books"),
            (|it| it.succeeded += 1, "orders that succeeded: 1001, expected: 1000"),
            (|it| it.differing = 1, "answers that differ from the first: 1, expected: 0"),
            (|it| it.payments.refunded -= 1, "payments kept: 1001, expected: 1000"),
            (|it| it.payments.buyers_with_two = 1, "buyers who paid twice: 1, expected: 0"),
            (|it| it.differences.push("a row".to_owned()), "differences in the recount: a row"),
        ];
        for (change, words) in cases {
            let mut found = outcome();
            change(&mut found);
            let wrong = found.check().expect_err(words).to_string();
            assert!(wrong.contains(words), "{wrong}");
        }
    }

    #[test]
    fn books_are_balanced_when_each_unit_is_in_one_place() {
        let books = Books { supply: 10, available: 5, held: 2, sold: 3, ..Books::default() };
        assert!(books.are_balanced());
        assert!(!Books { sold: 4, ..books }.are_balanced());
    }
}
