//! The end of a saga or message whose steps hold stock: with all actions done it succeeds for certain, and
//! what they hold is sold before it has.

use super::{Decided, Run, Target, Tried};
use crate::model::{Progress, Status};

impl Run {
    /// All actions are done: confirms what they hold, all at once, and succeeds when that is done too.
    pub(super) fn sell_and_succeed(&mut self) -> Decided {
        let first = self.global.spec.first_confirm_row();
        let rows = first..self.global.state.rows.len();
        let open: Vec<usize> =
            rows.filter(|&row| self.progress(row) != Progress::Succeeded).collect();
        if open.is_empty() {
            self.decide(Status::Succeed, None);
            return Decided::Again;
        }
        if !self.round.sells {
            // Before it is stored that all are done, a successor might undo them.
            self.round.sells = true;
            self.round.gate = self.round.version;
        }
        let is_untried = |row: &usize| self.round.tried(*row) == Tried::Not;
        let ready: Vec<Target> = open.into_iter().filter(is_untried).map(Target::Row).collect();
        if !ready.is_empty() {
            return Decided::Call(ready);
        }
        if self.round.n_in_flight > 0 {
            return Decided::Await;
        }
        Decided::EndRound { at_the_latest: None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Policy, Step,
        tests::{T0, error, failure, global, play_by},
    };
    use super::*;
    use crate::model::{Mode, Op, Outcome, Spec};

    const STOCK: &str = "stock://spring/shoe?take=1&buyer=b";

    fn holding(spec: &mut Spec) {
        spec.steps[0].action = STOCK.to_owned();
        spec.steps[0].compensate = STOCK.to_owned();
    }

    fn play(mode: Mode, answers: &[(&str, &[Outcome])]) -> (String, Step, Run) {
        let global = global(mode, Status::Submitted, 2, holding);
        play_by(Policy::default(), global, T0, answers)
    }

    #[test]
    fn what_a_step_holds_is_sold_when_all_actions_are_done() {
        for mode in [Mode::Saga, Mode::Message] {
            let (calls, end, run) = play(mode, &[]);
            assert_eq!((calls, end), (format!("{STOCK} a2 {STOCK}"), Step::Finish));
            let last = run.global().spec.row_count() - 1;
            let spec = &run.global().spec;
            let branch = spec.branch(last).unwrap();
            assert_eq!((branch.op, branch.branch_id.as_str()), (Op::Confirm, "01"));
            assert_eq!(run.global().state.rows[last].progress, Progress::Succeeded);
            assert_eq!((spec.branch(last + 1), spec.url(last + 1)), (None, ""));
        }
    }

    #[test]
    fn nothing_is_sold_before_it_is_stored_that_all_is_done() {
        let saga = global(Mode::Saga, Status::Submitted, 1, holding);
        let mut run = Run::new(saga, Policy::default());
        assert_eq!(run.next(T0), Step::Call(vec![Target::Row(1)]));
        run.answer(Target::Row(1), Outcome::Success, T0);
        let gate = run.gate();
        assert_eq!(run.next(T0), Step::Call(vec![Target::Row(2)]));
        assert!(run.gate() > gate && run.gate() == run.version());
    }

    #[test]
    fn what_is_undone_is_not_sold() {
        let (calls, _, run) = play(Mode::Saga, &[("a2", &[failure()])]);
        assert_eq!(calls, format!("{STOCK} a2 c2 {STOCK}"));
        let rows = &run.global().state.rows;
        assert_eq!(run.global().state.status, Status::Failed);
        assert_eq!(rows.last().map(|row| row.progress), Some(Progress::NotStarted));
    }

    #[test]
    fn a_sale_that_errs_is_tried_again_and_never_undone() {
        let answers: &[(&str, &[Outcome])] = &[(STOCK, &[Outcome::Success, error()])];
        let (calls, end, run) = play(Mode::Saga, answers);
        assert_eq!(calls, format!("{STOCK} a2 {STOCK}"));
        assert!(matches!(end, Step::Rest(_)));
        let (calls, end, run) =
            play_by(Policy::default(), run.global().clone(), T0, &[(STOCK, &[failure()])]);
        assert_eq!((calls.as_str(), run.global().state.status), (STOCK, Status::Submitted));
        assert!(matches!(end, Step::Rest(_)));
    }

    #[test]
    fn an_orders_stock_is_settled_with_the_order() {
        let order = global(Mode::Saga, Status::Submitted, 2, |spec| {
            holding(spec);
            spec.gid = crate::model::Gid::new("flash:spring:o~01").unwrap();
        });
        assert_eq!(order.spec.row_count(), 4);
    }
}
