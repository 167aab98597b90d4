//! Laws: what holds for every transaction, whatever its branches answer and wherever a node dies.
//!
//! A [`World`] plays one transaction as a worker and a store would, by a list of choices: records
//! are sent and stored (or lost), calls go out and are answered, time passes, and the node dies with
//! all that it knew. The next node goes on from what was stored. The [`Ledger`] keeps what really
//! left the node, and every step is held against it.

mod ledger;
mod node;
mod plan;
mod round;
mod world;

use proptest::{collection::vec, prelude::*};

use ledger::Ledger;
use node::Node;
use plan::Plan;
use round::RoundFacts;
use world::World;

/// Choices of a run: enough for several rounds with a death in each.
const N_CHOICES_MAX: usize = 160;

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_saga_is_done_or_undone_whatever_is_answered_and_wherever_a_node_dies(
        plan in plan::saga(),
        choices in vec(any::<u16>(), 0..N_CHOICES_MAX),
    ) {
        World::new(plan, choices).play();
    }

    #[test]
    fn a_message_is_delivered_or_never_called_whatever_is_answered_and_wherever_a_node_dies(
        plan in plan::message(),
        choices in vec(any::<u16>(), 0..N_CHOICES_MAX),
    ) {
        World::new(plan, choices).play();
    }

    #[test]
    fn a_tcc_or_xa_is_confirmed_or_cancelled_whatever_is_answered_and_wherever_a_node_dies(
        plan in plan::registered(),
        choices in vec(any::<u16>(), 0..N_CHOICES_MAX),
    ) {
        World::new(plan, choices).play();
    }
}
