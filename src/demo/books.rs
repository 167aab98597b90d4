//! The bank's books: two accounts, and the barrier by which each op of each branch counts once.

use std::{collections::HashSet, fmt};

use crate::model::Op;

/// One of the two accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Account {
    A,
    B,
}

/// Money into or out of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Movement {
    pub(super) account: Account,
    /// Negative if it is withdrawn.
    pub(super) amount: i64,
}

impl fmt::Display for Movement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (amount, account) = (self.amount.abs(), self.account);
        if self.amount < 0 {
            write!(f, "withdraw {amount} from {account:?}")
        } else {
            write!(f, "deposit {amount} to {account:?}")
        }
    }
}

/// What stands on the accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Balances {
    pub(super) a: i64,
    pub(super) b: i64,
}

impl Balances {
    /// All the money there is.
    pub(super) fn total(self) -> i64 {
        self.a.saturating_add(self.b)
    }
}

impl fmt::Display for Balances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "A {:>3}  B {:>3}", self.a, self.b)
    }
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// The money was moved.
    Booked,
    /// It was moved back.
    Undone,
    /// The barrier had it already, or a compensation came first: nothing is moved again.
    Repeated,
    /// A compensation whose action moved nothing.
    NothingToUndo,
    /// The account is closed; final.
    Closed,
    /// There is not enough on the account; final.
    Short,
}

impl Entry {
    /// Whether the business refuses for good.
    pub(super) fn is_refusal(self) -> bool {
        matches!(self, Self::Closed | Self::Short)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Booked => "booked",
            Self::Undone => "undone",
            Self::Repeated => "counted already",
            Self::NothingToUndo => "nothing to undo",
            Self::Closed => "refused: account closed",
            Self::Short => "refused: not enough there",
        })
    }
}

/// Gid, branch and op of a call.
type Row = (String, String, Op);

/// The books of the bank.
#[derive(Debug)]
pub(super) struct Books {
    balances: Balances,
    closed: HashSet<Account>,
    /// What took effect, or may no more.
    barrier: HashSet<Row>,
}

impl Books {
    /// Books with `balances` and no closed account.
    pub(super) fn new(balances: Balances) -> Self {
        Self { balances, closed: HashSet::new(), barrier: HashSet::new() }
    }

    /// What stands on the accounts now.
    pub(super) fn balances(&self) -> Balances {
        self.balances
    }

    /// Closes the account to new actions, or opens it.
    pub(super) fn set_closed(&mut self, account: Account, is_closed: bool) {
        if is_closed {
            self.closed.insert(account);
        } else {
            self.closed.remove(&account);
        }
    }

    /// Moves money, or moves it back, unless the barrier has this already: the two are one change,
    /// as a database's local transaction would make them.
    pub(super) fn enter(&mut self, gid: &str, branch_id: &str, op: Op, what: Movement) -> Entry {
        let row = |op| (gid.to_owned(), branch_id.to_owned(), op);
        if op == Op::Compensate {
            // The action's row keeps an action from counting that comes later than this.
            let is_acted = !self.barrier.insert(row(Op::Action));
            if !self.barrier.insert(row(op)) {
                Entry::Repeated
            } else if is_acted {
                self.move_money(what.account, -what.amount);
                Entry::Undone
            } else {
                Entry::NothingToUndo
            }
        } else {
            if self.barrier.contains(&row(op)) {
                return Entry::Repeated;
            }
            if self.closed.contains(&what.account) {
                return Entry::Closed;
            }
            if self.balance(what.account).saturating_add(what.amount) < 0 {
                return Entry::Short;
            }
            self.barrier.insert(row(op));
            self.move_money(what.account, what.amount);
            Entry::Booked
        }
    }

    /// Whether the local work of a prepared message was done; if not, it cannot be any more.
    pub(super) fn was_prepared(&mut self, gid: &str, branch_id: &str) -> bool {
        !self.barrier.insert((gid.to_owned(), branch_id.to_owned(), Op::QueryPrepared))
    }

    fn balance(&self, account: Account) -> i64 {
        match account {
            Account::A => self.balances.a,
            Account::B => self.balances.b,
        }
    }

    fn move_money(&mut self, account: Account, amount: i64) {
        let balance = match account {
            Account::A => &mut self.balances.a,
            Account::B => &mut self.balances.b,
        };
        *balance = balance.saturating_add(amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHDRAW: Movement = Movement { account: Account::A, amount: -30 };

    fn books() -> Books {
        Books::new(Balances { a: 100, b: 50 })
    }

    #[test]
    fn an_action_and_its_compensation_count_once_each() {
        let mut books = books();
        for (op, entry, a) in [
            (Op::Action, Entry::Booked, 70),
            (Op::Action, Entry::Repeated, 70),
            (Op::Compensate, Entry::Undone, 100),
            (Op::Compensate, Entry::Repeated, 100),
            (Op::Action, Entry::Repeated, 100),
        ] {
            assert_eq!(books.enter("g", "01", op, WITHDRAW), entry);
            assert_eq!(books.balances().a, a);
        }
    }

    #[test]
    fn a_compensation_that_comes_first_bars_its_action() {
        let mut books = books();
        assert_eq!(books.enter("g", "01", Op::Compensate, WITHDRAW), Entry::NothingToUndo);
        assert_eq!(books.enter("g", "01", Op::Action, WITHDRAW), Entry::Repeated);
        assert_eq!(books.balances(), Balances { a: 100, b: 50 });
    }

    #[test]
    fn a_refusal_moves_nothing_and_can_be_undone() {
        let mut books = books();
        books.set_closed(Account::A, true);
        assert_eq!(books.enter("g", "01", Op::Action, WITHDRAW), Entry::Closed);
        books.set_closed(Account::A, false);
        let too_much = Movement { account: Account::A, amount: -101 };
        assert_eq!(books.enter("g", "01", Op::Action, too_much), Entry::Short);
        assert_eq!(books.enter("g", "01", Op::Compensate, WITHDRAW), Entry::NothingToUndo);
        assert_eq!(books.balances().total(), 150);
    }

    #[test]
    fn who_asks_after_local_work_that_was_not_done_bars_it() {
        let mut books = books();
        assert!(!books.was_prepared("g", "00"));
        assert_eq!(books.enter("g", "00", Op::QueryPrepared, WITHDRAW), Entry::Repeated);
        assert_eq!(books.enter("h", "00", Op::QueryPrepared, WITHDRAW), Entry::Booked);
        assert!(books.was_prepared("h", "00"));
    }
}
