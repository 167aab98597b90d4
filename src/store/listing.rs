//! The listing of all transactions: what is asked for, and a page of it.

use crate::model::{Mode, Status, Timestamp};

use super::Stored;

/// Which transactions are asked for; what is `None` is not asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Where they stand.
    pub status: Option<Status>,
    /// How they are run.
    pub mode: Option<Mode>,
    /// The first point at which they may have been created.
    pub created_from: Option<Timestamp>,
    /// The last point at which they may have been created.
    pub created_until: Option<Timestamp>,
}

impl Filter {
    /// Whether a transaction that stands so is asked for.
    pub fn takes(&self, status: Status, mode: Mode, created_at: Timestamp) -> bool {
        self.status.is_none_or(|it| it == status)
            && self.mode.is_none_or(|it| it == mode)
            && self.created_from.is_none_or(|from| created_at >= from)
            && self.created_until.is_none_or(|until| created_at <= until)
    }

    /// Whether what is stored is asked for.
    pub fn takes_stored(&self, stored: &Stored) -> bool {
        let global = &stored.global;
        self.takes(global.state.status, global.spec.mode, global.created_at)
    }
}

/// A part of the listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Unfinished ones in no promised order, then finished ones, those of later minutes first. Can
    /// be few or none although others follow.
    pub transactions: Vec<Stored>,
    /// Where the next page begins: a text that only the store reads, of letters, digits, `-` and
    /// `_`. `None` at the end.
    pub next: Option<String>,
}

/// What became of a look at the listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A part of it.
    Page(Page),
    /// The position is none that a page of this deployment named.
    BadPosition,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_counts_and_bounds_are_included() {
        let at = Timestamp::from_us;
        let takes = |filter: Filter| filter.takes(Status::Failed, Mode::Saga, at(7));
        assert!(takes(Filter::default()));
        let whole = Filter {
            status: Some(Status::Failed),
            mode: Some(Mode::Saga),
            created_from: Some(at(7)),
            created_until: Some(at(7)),
        };
        assert!(takes(whole));
        assert!(!takes(Filter { status: Some(Status::Succeed), ..whole }));
        assert!(!takes(Filter { mode: Some(Mode::Message), ..whole }));
        assert!(!takes(Filter { created_from: Some(at(8)), ..whole }));
        assert!(!takes(Filter { created_until: Some(at(6)), ..whole }));
    }
}
