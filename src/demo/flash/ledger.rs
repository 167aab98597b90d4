//! The books of the payment desk: each order is charged once and refunded once, whatever is repeated.

use std::collections::HashMap;

/// How an order is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// At the first call.
    Prompt,
    /// Never: the desk goes on saying that it is under way.
    Never,
    /// After the sale's hold time, when its units are for others again.
    Late,
}

/// What became of an order's payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Payment {
    /// Nothing yet.
    Open,
    Charged,
    Refunded,
    /// A refund came first: the charge may come no more.
    Barred,
}

#[derive(Debug)]
struct Account {
    buyer: String,
    manner: Manner,
    payment: Payment,
}

/// What the desk took in, over all orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Payments {
    /// Orders that were charged, also if they were refunded later.
    pub(super) charged: usize,
    /// Of these the refunded ones.
    pub(super) refunded: usize,
    /// Orders that were never charged.
    pub(super) unpaid: usize,
    /// Buyers who have paid for more than one order, without refund.
    pub(super) buyers_with_two: usize,
}

/// The books, by gid.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    accounts: HashMap<String, Account>,
    /// Every order is paid at once from now on.
    all_pay: bool,
}

impl Ledger {
    /// From now on every new order is paid at once.
    pub(super) fn let_all_pay(&mut self) {
        self.all_pay = true;
    }

    /// How the order `gid` is paid. Of twenty orders one is never paid and one too late.
    pub(super) fn manner(&mut self, gid: &str, buyer: &str) -> Manner {
        self.account(gid, buyer).manner
    }

    /// Charges the order; whether it is charged now.
    pub(super) fn charge(&mut self, gid: &str, buyer: &str) -> bool {
        let account = self.account(gid, buyer);
        if account.payment == Payment::Open {
            account.payment = Payment::Charged;
        }
        account.payment == Payment::Charged
    }

    /// Gives back what the order was charged, or keeps it from being charged.
    pub(super) fn refund(&mut self, gid: &str, buyer: &str) {
        let account = self.account(gid, buyer);
        account.payment = match account.payment {
            Payment::Open | Payment::Barred => Payment::Barred,
            Payment::Charged | Payment::Refunded => Payment::Refunded,
        };
    }

    /// All of it.
    pub(super) fn payments(&self) -> Payments {
        let mut payments = Payments::default();
        let mut paid_by: HashMap<&str, usize> = HashMap::new();
        for account in self.accounts.values() {
            match account.payment {
                Payment::Open | Payment::Barred => payments.unpaid += 1,
                Payment::Charged => {
                    payments.charged += 1;
                    *paid_by.entry(&account.buyer).or_default() += 1;
                }
                Payment::Refunded => {
                    payments.charged += 1;
                    payments.refunded += 1;
                }
            }
        }
        payments.buyers_with_two = paid_by.values().filter(|n| **n > 1).count();
        payments
    }

    fn account(&mut self, gid: &str, buyer: &str) -> &mut Account {
        let manner = match self.accounts.len() % 20 {
            _ if self.all_pay => Manner::Prompt,
            7 => Manner::Never,
            17 => Manner::Late,
            _ => Manner::Prompt,
        };
        let account = || Account { buyer: buyer.to_owned(), manner, payment: Payment::Open };
        self.accounts.entry(gid.to_owned()).or_insert_with(account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_charged_once_and_refunded_once() {
        let mut ledger = Ledger::default();
        assert!(ledger.charge("g", "b") && ledger.charge("g", "b"));
        let charged = Payments { charged: 1, ..Payments::default() };
        assert_eq!(ledger.payments(), charged);
        ledger.refund("g", "b");
        ledger.refund("g", "b");
        assert!(!ledger.charge("g", "b"));
        assert_eq!(ledger.payments(), Payments { refunded: 1, ..charged });
    }

    #[test]
    fn a_refund_that_comes_first_bars_the_charge() {
        let mut ledger = Ledger::default();
        ledger.refund("g", "b");
        assert!(!ledger.charge("g", "b"));
        ledger.refund("g", "b");
        assert_eq!(ledger.payments(), Payments { unpaid: 1, ..Payments::default() });
    }

    #[test]
    fn who_pays_two_orders_is_found_and_who_was_refunded_one_is_not() {
        let mut ledger = Ledger::default();
        assert!(ledger.charge("g", "b") && ledger.charge("h", "b") && ledger.charge("i", "c"));
        assert_eq!(ledger.payments().buyers_with_two, 1);
        ledger.refund("h", "b");
        assert_eq!(ledger.payments().buyers_with_two, 0);
    }

    #[test]
    fn of_twenty_orders_one_is_never_paid_and_one_too_late_until_all_pay() {
        let mut ledger = Ledger::default();
        let manners = |prefix: &str, ledger: &mut Ledger| -> Vec<Manner> {
            (0..20).map(|n| ledger.manner(&format!("{prefix}{n}"), "b")).collect()
        };
        let first = manners("g", &mut ledger);
        for manner in [Manner::Never, Manner::Late] {
            assert_eq!(first.iter().filter(|it| **it == manner).count(), 1);
        }
        assert_eq!(manners("g", &mut ledger), first, "an order keeps its manner");
        ledger.let_all_pay();
        assert!(manners("h", &mut ledger).iter().all(|it| *it == Manner::Prompt));
    }
}
