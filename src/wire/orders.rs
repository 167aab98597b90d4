//! A concurrent saga's orders, checked: every number names a step, and no step waits for itself.

use crate::model::Orders;

use super::error::BadRequest;

/// Makes the orders of a saga of `steps` steps from (step, the steps before it), all from 0. Of
/// two entries for one step the last wins.
///
/// # Errors
/// When a number names no step, or steps wait for each other in a circle.
pub(super) fn checked(entries: Vec<(u64, Vec<u64>)>, steps: usize) -> Result<Orders, BadRequest> {
    if entries.is_empty() {
        return Ok(Orders::default());
    }
    let mut before: Vec<Vec<u32>> = Vec::new();
    for (step, earlier) in entries {
        let step = step_in(step, steps)?;
        let mut earlier =
            earlier.into_iter().map(|n| step_in(n, steps)).collect::<Result<Vec<_>, _>>()?;
        earlier.sort_unstable();
        earlier.dedup();
        let at = step as usize;
        if before.len() <= at {
            before.resize_with(at + 1, Vec::new);
        }
        before[at] = earlier;
    }
    match cycle(&before, steps) {
        Some(cycle) => Err(BadRequest::OrdersCycle(cycle)),
        None => Ok(Orders::new(before)),
    }
}

fn step_in(step: u64, steps: usize) -> Result<u32, BadRequest> {
    u32::try_from(step)
        .ok()
        .filter(|step| (*step as usize) < steps)
        .ok_or(BadRequest::OrdersNoStep { step, steps })
}

/// A circle of steps, each waiting for the next; `None` when there is none.
///
/// Takes away, again and again, a step that waits for nothing. What stays waits in a circle, or
/// for a circle; walking back from any of it ends in the circle.
fn cycle(before: &[Vec<u32>], steps: usize) -> Option<Vec<u32>> {
    let mut n_waits: Vec<usize> =
        (0..steps).map(|step| before.get(step).map_or(0, Vec::len)).collect();
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); steps];
    for (step, earlier) in before.iter().enumerate() {
        for n in earlier {
            after[*n as usize].push(step);
        }
    }
    let mut free: Vec<usize> = (0..steps).filter(|step| n_waits[*step] == 0).collect();
    while let Some(step) = free.pop() {
        for later in &after[step] {
            n_waits[*later] -= 1;
            if n_waits[*later] == 0 {
                free.push(*later);
            }
        }
    }
    let stuck = |step: u32| n_waits[step as usize] > 0;
    let mut step = u32::try_from(n_waits.iter().position(|n| *n > 0)?).ok()?;
    let mut position_in_path = vec![None; steps];
    let mut path = Vec::new();
    loop {
        if let Some(start) = position_in_path[step as usize] {
            return Some(path.split_off(start));
        }
        position_in_path[step as usize] = Some(path.len());
        path.push(step);
        step = before[step as usize].iter().copied().find(|n| stuck(*n))?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(entries: &[(u64, &[u64])], steps: usize) -> Result<Orders, BadRequest> {
        checked(entries.iter().map(|(step, before)| (*step, before.to_vec())).collect(), steps)
    }

    #[test]
    fn takes_what_can_be_followed() {
        assert_eq!(check(&[], 0), Ok(Orders::default()));
        let orders = check(&[(2, &[1, 0, 1]), (1, &[0])], 4).unwrap();
        assert_eq!(orders.before(0), [0_u32; 0]);
        assert_eq!(orders.before(1), [0]);
        assert_eq!(orders.before(2), [0, 1]);
        assert_eq!(orders.before(3), [0_u32; 0]);
    }

    #[test]
    fn of_two_entries_for_a_step_the_last_wins() {
        assert_eq!(check(&[(1, &[1]), (1, &[0])], 2).unwrap().before(1), [0]);
    }

    #[test]
    fn refuses_a_step_that_there_is_not() {
        let no_step = |step, steps| Err(BadRequest::OrdersNoStep { step, steps });
        assert_eq!(check(&[(2, &[0])], 2), no_step(2, 2));
        assert_eq!(check(&[(1, &[9])], 2), no_step(9, 2));
        assert_eq!(check(&[(u64::MAX, &[])], 2), no_step(u64::MAX, 2));
        assert_eq!(check(&[(0, &[])], 0), no_step(0, 0));
    }

    #[test]
    fn refuses_a_circle_and_names_its_steps() {
        let circle = |steps: &[u32]| Err(BadRequest::OrdersCycle(steps.to_vec()));
        assert_eq!(check(&[(1, &[1])], 2), circle(&[1]));
        assert_eq!(check(&[(0, &[2]), (2, &[0])], 3), circle(&[0, 2]));
        // Step 0 only waits for the circle of 1, 2 and 3.
        assert_eq!(check(&[(0, &[1]), (1, &[2]), (2, &[3]), (3, &[1])], 5), circle(&[1, 2, 3]));
    }

    proptest! {
        #[test]
        fn what_only_waits_for_lower_steps_is_taken(
            entries in proptest::collection::vec((1_u64..20, proptest::collection::vec(0_u64..20, 0..5)), 0..20)
        ) {
            let entries = entries
                .into_iter()
                .map(|(step, before)| (step, before.into_iter().filter(|n| *n < step).collect()))
                .collect();
            prop_assert!(checked(entries, 20).is_ok());
        }

        #[test]
        fn a_reported_circle_is_one(
            entries in proptest::collection::vec((0_u64..8, proptest::collection::vec(0_u64..8, 0..3)), 0..8)
        ) {
            if let Err(BadRequest::OrdersCycle(circle)) = checked(entries.clone(), 8) {
                for (i, step) in circle.iter().enumerate() {
                    let next = u64::from(circle[(i + 1) % circle.len()]);
                    let (_, before) =
                        entries.iter().rfind(|(s, _)| *s == u64::from(*step)).unwrap();
                    prop_assert!(before.contains(&next));
                }
            }
        }
    }
}
