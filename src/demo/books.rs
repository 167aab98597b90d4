//! The bank's books: two accounts, and the barrier by which each op of each branch counts once.

use std::collections::HashSet;

use super::words::{Account, Balances, Entry, Movement, Op};

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
        if let Some(undone) = op.undoes() {
            // That op's row keeps it from counting when it comes later than this.
            let is_there = !self.barrier.insert(row(undone));
            return if !self.barrier.insert(row(op)) {
                Entry::Repeated
            } else if is_there {
                self.undo(op, what)
            } else {
                Entry::NothingToUndo
            };
        }
        if self.barrier.contains(&row(op)) {
            return Entry::Repeated;
        }
        let entry = self.first(op, what);
        if !entry.is_refusal() {
            self.barrier.insert(row(op));
        }
        entry
    }

    fn undo(&mut self, op: Op, what: Movement) -> Entry {
        if op == Op::Cancel {
            self.move_money(what.account, -what.held());
            Entry::Released
        } else {
            self.move_money(what.account, -what.amount);
            Entry::Undone
        }
    }

    /// Does what is not there yet, and undoes nothing.
    fn first(&mut self, op: Op, what: Movement) -> Entry {
        if op == Op::Confirm {
            // It was tried, so nothing can be refused any more.
            self.move_money(what.account, what.amount - what.held());
            return Entry::Confirmed;
        }
        if self.closed.contains(&what.account) {
            return Entry::Closed;
        }
        if self.balance(what.account).saturating_add(what.amount) < 0 {
            return Entry::Short;
        }
        if op == Op::Try {
            self.move_money(what.account, what.held());
            Entry::Tried
        } else {
            self.move_money(what.account, what.amount);
            Entry::Booked
        }
    }

    /// Whether the local work of a prepared message was done; if not, it cannot be any more.
    pub(super) fn was_prepared(&mut self, gid: &str, branch_id: &str) -> bool {
        !self.barrier.insert((gid.to_owned(), branch_id.to_owned(), Op::Local))
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
        assert_eq!(books.enter("g", "00", Op::Local, WITHDRAW), Entry::Repeated);
        assert_eq!(books.enter("h", "00", Op::Local, WITHDRAW), Entry::Booked);
        assert!(books.was_prepared("h", "00"));
    }

    #[test]
    fn what_is_tried_is_held_until_it_is_confirmed_or_cancelled() {
        let deposit = Movement { account: Account::B, amount: 30 };
        let mut books = books();
        for (gid, op, withdrawn, deposited, balances) in [
            ("g", Op::Try, Entry::Tried, Entry::Tried, (70, 50)),
            ("g", Op::Try, Entry::Repeated, Entry::Repeated, (70, 50)),
            ("g", Op::Confirm, Entry::Confirmed, Entry::Confirmed, (70, 80)),
            ("g", Op::Confirm, Entry::Repeated, Entry::Repeated, (70, 80)),
            ("h", Op::Try, Entry::Tried, Entry::Tried, (40, 80)),
            ("h", Op::Cancel, Entry::Released, Entry::Released, (70, 80)),
            ("i", Op::Cancel, Entry::NothingToUndo, Entry::NothingToUndo, (70, 80)),
            ("i", Op::Try, Entry::Repeated, Entry::Repeated, (70, 80)),
        ] {
            assert_eq!(books.enter(gid, "01", op, WITHDRAW), withdrawn);
            assert_eq!(books.enter(gid, "02", op, deposit), deposited);
            let (a, b) = balances;
            assert_eq!(books.balances(), Balances { a, b });
        }
    }
}
