//! For the tests that are alike for all scripts.

use tandem::store::scripts::ScriptName;

use super::bucket::{Bucket, OPEN, Order};
use crate::scripts::{calls::Item, rig::Rig, transaction::Transaction};

/// Makes the bucket beside `t` such that `script` does its work there, on an order that is named as `t`
/// where it is of one; answers the call and the word that it says.
pub(crate) fn scene(rig: &mut Rig, script: ScriptName, t: &Transaction) -> (Item, &'static str) {
    use ScriptName as S;
    let bucket = Bucket::beside(t);
    let define = bucket.define(1, OPEN, "shoe=9=0,hat=9=0");
    if script == S::Define {
        return (define, "done");
    }
    rig.one(define);
    let order = Order { held: true, ..bucket.order(&t.gid, "jane", "shoe=2,hat=1") };
    if script == S::Order {
        return (order.into(), "taken_held");
    }
    let hold = bucket.hold("1", "jane", "shoe=2");
    if script == S::Hold {
        (hold, "held")
    } else if script == S::Settle {
        rig.one(hold);
        (bucket.settle("1", "jane", "S"), "done")
    } else if script == S::Turn {
        rig.one(order);
        (bucket.turn(t.finish(&t.gid, 2, "C")), "written")
    } else if script == S::StopOrder {
        rig.one(order);
        (bucket.stop_order(&t.gid, "stop"), "done")
    } else if script == S::Give {
        (bucket.give("t1", "shoe", 3), "given")
    } else if script == S::Receive {
        (bucket.receive("t1", "shoe", 3), "done")
    } else if script == S::Acknowledge {
        rig.one(bucket.give("t1", "shoe", 3));
        (bucket.acknowledge("t1"), "done")
    } else {
        (bucket.look(), "books")
    }
}
