//! The words of the bank: what can be asked of it, for what, and what becomes of it.

use std::fmt;

/// What is asked of the bank about a movement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Op {
    Action,
    Compensate,
    Try,
    Confirm,
    Cancel,
    /// The local work of a message's sender; nobody calls for it.
    Local,
}

impl Op {
    /// The op of this word in a URL.
    pub(super) fn parse(word: &str) -> Option<Self> {
        let called = [Self::Action, Self::Compensate, Self::Try, Self::Confirm, Self::Cancel];
        called.into_iter().find(|op| op.as_str() == word)
    }

    /// Its word in a URL.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Compensate => "compensate",
            Self::Try => "try",
            Self::Confirm => "confirm",
            Self::Cancel => "cancel",
            Self::Local => "msg",
        }
    }

    /// Which op it takes back.
    pub(super) fn undoes(self) -> Option<Self> {
        match self {
            Self::Compensate => Some(Self::Action),
            Self::Cancel => Some(Self::Try),
            Self::Action | Self::Try | Self::Confirm | Self::Local => None,
        }
    }
}

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

impl Movement {
    /// What moves already when it is tried: a withdrawal leaves the account, a deposit has not come.
    pub(super) fn held(self) -> i64 {
        self.amount.min(0)
    }
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
    /// It can be done; what is withdrawn is held.
    Tried,
    /// What was tried took effect.
    Confirmed,
    /// What was tried was given back.
    Released,
    /// A compensation or cancel whose action or try moved nothing.
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
            Self::Tried => "tried",
            Self::Confirmed => "confirmed",
            Self::Released => "released",
            Self::Repeated => "counted already",
            Self::NothingToUndo => "nothing to undo",
            Self::Closed => "refused: account closed",
            Self::Short => "refused: not enough there",
        })
    }
}
