//! Holds what happened against what should have happened.

use std::{fmt, time::Duration};

use super::{bank::Call, words::Balances};

/// How a global transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// The HTTP status with which the submit was answered.
    pub(super) answer: u16,
    /// Its status.
    pub(super) status: String,
    /// The calls in their order, each as [`brief`] words it.
    pub(super) calls: Vec<String>,
    /// What stands on the accounts.
    pub(super) balances: Balances,
}

/// A call in one phrase: `01 action: booked`.
pub(super) fn brief(call: &Call) -> String {
    format!("{} {}: {}", call.branch_id, call.op.as_str(), call.entry)
}

/// All that is not as it should be; never empty.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) struct Wrong(Vec<String>);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// Comparisons, of which those that failed are kept.
#[derive(Debug, Default)]
pub(super) struct Checks(Vec<String>);

impl Checks {
    /// What is called `what` should be as `expected`.
    pub(super) fn same(
        &mut self,
        what: &str,
        found: &dyn fmt::Display,
        expected: &dyn fmt::Display,
    ) {
        let (found, expected) = (found.to_string(), expected.to_string());
        if found != expected {
            self.0.push(format!("{what}: {found}, expected: {expected}"));
        }
    }

    /// Whether all was as expected.
    ///
    /// # Errors
    /// Everything that differs.
    pub(super) fn result(self) -> Result<(), Wrong> {
        if self.0.is_empty() { Ok(()) } else { Err(Wrong(self.0)) }
    }
}

/// Whether `found` is as `expected`, and all the money of the beginning, `total`, is there.
///
/// # Errors
/// Everything that differs.
pub(super) fn check(found: &Ending, expected: &Ending, total: i64) -> Result<(), Wrong> {
    let mut checks = Checks::default();
    checks.same("answer to the submit", &found.answer, &expected.answer);
    checks.same("status", &found.status, &expected.status);
    checks.same("calls", &found.calls.join(", "), &expected.calls.join(", "));
    checks.same("balances", &found.balances, &expected.balances);
    checks.same("all money", &found.balances.total(), &total);
    checks.result()
}

/// How much later than `delay` a call came that came `after` its submit was sent.
///
/// # Errors
/// When it came before the delay was over.
pub(super) fn lateness(after: Duration, delay: Duration) -> Result<Duration, Wrong> {
    after.checked_sub(delay).ok_or_else(|| {
        Wrong(vec![format!("the call came {after:?} after the submit, before the {delay:?} asked")])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending() -> Ending {
        Ending {
            answer: 200,
            status: "succeed".to_owned(),
            calls: vec!["01 action: booked".to_owned(), "02 action: booked".to_owned()],
            balances: Balances { a: 70, b: 80 },
        }
    }

    #[test]
    fn what_is_as_expected_passes() {
        assert_eq!(check(&ending(), &ending(), 150), Ok(()));
    }

    #[test]
    fn each_difference_is_found_and_named() {
        type Change = fn(&mut Ending);
        let cases: [(Change, &str); 5] = [
            (|e| e.answer = 409, "answer to the submit: 409, expected: 200"),
            (|e| e.status = "failed".to_owned(), "status: failed, expected: succeed"),
            (
                |e| e.calls.reverse(),
                "calls: 02 action: booked, 01 action: booked, \
                 expected: 01 action: booked, 02 action: booked",
            ),
            (
                |e| e.calls.truncate(1),
                "calls: 01 action: booked, expected: 01 action: booked, 02 action: booked",
            ),
            (
                |e| e.balances = Balances { a: 60, b: 90 },
                "balances: A  60  B  90, expected: A  70  B  80",
            ),
        ];
        for (change, words) in cases {
            let mut found = ending();
            change(&mut found);
            let wrong = check(&found, &ending(), 150).expect_err("it differs");
            assert_eq!(wrong.to_string(), words);
        }
    }

    #[test]
    fn books_that_do_not_balance_are_found_even_where_they_are_expected() {
        let mut found = ending();
        found.balances.a += 30;
        let wrong = check(&found, &found, 150).expect_err("30 too much");
        assert_eq!(wrong.to_string(), "all money: 180, expected: 150");
    }

    #[test]
    fn all_differences_are_told_together() {
        let mut found = ending();
        found.status = "failed".to_owned();
        found.balances.b = 50;
        let wrong = check(&found, &ending(), 150).expect_err("it differs").to_string();
        assert!(wrong.contains("status: failed") && wrong.contains("all money: 120"), "{wrong}");
    }

    #[test]
    fn a_call_that_comes_early_is_wrong_by_any_span() {
        let delay = Duration::from_secs(2);
        assert_eq!(lateness(delay, delay), Ok(Duration::ZERO));
        assert!(lateness(delay - Duration::from_nanos(1), delay).is_err());
    }
}
