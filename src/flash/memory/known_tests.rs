//! What is said after which looks, and to whom not.

use super::*;
use crate::{
    model::{
        Timestamp,
        flash::{Buyer, SaleId, SaleItem},
        stable_hash,
    },
    store::flash::Books,
};

const NOW: Timestamp = Timestamp::from_us(1_000_000_000);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn sale(buckets: usize) -> Arc<Sale> {
    let item = |id: &str, limit| SaleItem { id: ItemId::new(id).unwrap(), supply: 9, limit };
    Arc::new(Sale {
        id: SaleId::new("s").unwrap(),
        version: 3,
        created_at: NOW,
        updated_at: NOW,
        is_closed: false,
        opens_at: None,
        closes_at: None,
        hold: ms(1_000),
        limit: Some(4),
        items: vec![item("hat", None), item("shoe", Some(2))],
        steps: Vec::new(),
        buckets,
        orders_in_work_max: 9,
    })
}

/// A look: of each item how many are available, since when they are for sale (ms from the
/// look), and how often units were taken.
fn look(items: &[(&str, u64, Option<u64>, u64)]) -> BucketBooks {
    let books = |&(item, available, reopens_ms, takes): &(&str, u64, Option<u64>, u64)| Books {
        item: ItemId::new(item).unwrap(),
        share: 9,
        supply: 9,
        available,
        held: 0,
        sold: 9 - available,
        limit: None,
        reopens_at: reopens_ms.map(|span| NOW.plus(ms(span))),
        takes,
    };
    BucketBooks {
        now: NOW,
        version: 3,
        orders_in_work: 0,
        orders: 0,
        in_transit: 0,
        late_takes: 0,
        late_takers: Vec::new(),
        items: items.iter().map(books).collect(),
    }
}

fn pass(sent_ms: u64, looks: Vec<BucketBooks>) -> Pass {
    Pass { sent_at: ms(sent_ms), over_at: ms(sent_ms + 2), looks }
}

fn known(sale: &Arc<Sale>, pass: &Pass, owners: &[&str]) -> Known {
    let mut read = vec![Vec::new(); sale.buckets];
    for owner in owners {
        let number = sale.bucket_number_of(&Buyer::new(owner).unwrap());
        read[number].push(stable_hash(owner));
    }
    let known = Known::new(sale, pass.dry(sale), pass, Owners::new(read, &pass.looks));
    known.after(sale, pass).unwrap()
}

/// A pass in which late takers of the first bucket are told, `late_takes` in all.
fn with_late(mut pass: Pass, late_takes: u64, takers: &[&str]) -> Pass {
    pass.looks[0].late_takes = late_takes;
    pass.looks[0].late_takers = takers.iter().map(ToString::to_string).collect();
    pass
}

fn said(known: &Known, buyer: &str, lines: &[(&str, u64)]) -> Option<(String, Duration)> {
    let said = known.sold_out(buyer, lines.iter().copied());
    said.map(|(item, until)| (item.to_string(), until))
}

#[test]
fn only_what_is_dry_is_said_and_to_nobody_who_has_something() {
    let sale = sale(1);
    let pass = pass(0, vec![look(&[("hat", 3, None, 5), ("shoe", 0, None, 7)])]);
    let known = known(&sale, &pass, &["jane"]);
    let shoe = Some(("shoe".to_owned(), MEMORY_MAX));
    assert_eq!(said(&known, "joe", &[("shoe", 1)]), shoe);
    assert_eq!(said(&known, "joe", &[("hat", 1), ("shoe", 1)]), shoe);
    assert_eq!(said(&known, "joe", &[("hat", 1)]), None);
    assert_eq!(said(&known, "jane", &[("shoe", 1)]), None);
    // Other answers come before the stock: an unknown item, and both limits.
    assert_eq!(said(&known, "joe", &[("shoe", 1), ("sock", 1)]), None);
    assert_eq!(said(&known, "joe", &[("shoe", 3)]), None);
    assert_eq!(said(&known, "joe", &[("hat", 3), ("shoe", 2)]), None);
}

#[test]
fn units_that_are_back_are_none_until_they_are_for_sale() {
    let sale = sale(1);
    let back = |reopens| pass(10, vec![look(&[("hat", 3, None, 5), ("shoe", 2, reopens, 7)])]);
    let until = |reopens| {
        let known = known(&sale, &back(reopens), &[]);
        said(&known, "joe", &[("shoe", 1)]).map(|(_, until)| until)
    };
    assert_eq!(until(Some(90)), Some(ms(100)));
    assert_eq!(until(Some(499)), Some(ms(10) + MEMORY_MAX));
    assert_eq!(until(Some(0)), None);
    assert_eq!(until(None), None);
}

#[test]
fn another_look_extends_what_is_dry_still() {
    let sale = sale(1);
    let look_at = |sent_ms, hats| {
        let looks = vec![look(&[("hat", hats, Some(0), 5), ("shoe", 0, None, 7)])];
        pass(sent_ms, looks)
    };
    let before = known(&sale, &look_at(0, 0), &["jane"]);
    let now = before.after(&sale, &look_at(150, 1)).unwrap();
    let shoe = Some(("shoe".to_owned(), ms(150) + MEMORY_MAX));
    assert_eq!(said(&now, "joe", &[("shoe", 1)]), shoe);
    assert_eq!(said(&now, "joe", &[("hat", 1)]), None);
    assert_eq!(said(&now, "jane", &[("shoe", 1)]), None);
    let later = now.after(&sale, &look_at(300, 0)).unwrap();
    assert!(said(&later, "joe", &[("hat", 1)]).is_some());
}

#[test]
fn who_took_late_is_owed_an_answer_and_all_others_hear_sold_out_on() {
    let sale = sale(1);
    let dry = |sent_ms, takes| {
        let looks = vec![look(&[("hat", 3, None, 5), ("shoe", 0, Some(0), takes)])];
        pass(sent_ms, looks)
    };
    let before = known(&sale, &dry(0, 7), &["jane"]);
    assert_eq!(before.late_takes(), [0]);
    let now = before.after(&sale, &with_late(dry(150, 9), 2, &["late", "later"])).unwrap();
    assert_eq!(now.late_takes(), [2]);
    let shoe = Some(("shoe".to_owned(), ms(150) + MEMORY_MAX));
    assert_eq!(said(&now, "joe", &[("shoe", 1)]), shoe);
    for owner in ["jane", "late", "later"] {
        assert_eq!(said(&now, owner, &[("shoe", 1)]), None, "{owner}");
    }
    let one_untold = with_late(dry(300, 11), 4, &["latest"]);
    assert!(now.after(&sale, &one_untold).is_none());
    let fewer_than_before = with_late(dry(300, 8), 1, &[]);
    assert!(now.after(&sale, &fewer_than_before).is_none());
}

#[test]
fn what_was_taken_without_being_late_ends_it_since_redis_fell_back() {
    let sale = sale(1);
    let shoes = |sent_ms, available, reopens, takes| {
        let looks = vec![look(&[("hat", 3, None, 5), ("shoe", available, reopens, takes)])];
        pass(sent_ms, looks)
    };
    let before = known(&sale, &shoes(0, 0, None, 7), &["jane"]);
    // Not for sale and not late: some are left that never ran out, some were taken, or given back
    // to a state before.
    for (available, reopens, takes) in
        [(3, None, 7), (0, None, 8), (0, None, 6), (3, Some(0), 6), (0, Some(0), 8)]
    {
        let fell_back = shoes(150, available, reopens, takes);
        assert!(before.after(&sale, &fell_back).is_none(), "{available} {reopens:?} {takes}");
    }
    assert!(before.after(&sale, &shoes(150, 3, Some(0), 7)).is_some());
    assert!(before.after(&sale, &with_late(shoes(150, 0, Some(0), 8), 1, &["late"])).is_some());
}

#[test]
fn of_an_item_that_runs_out_later_the_owners_are_not_known() {
    let sale = sale(1);
    let hats =
        |sent_ms, hats| pass(sent_ms, vec![look(&[("hat", hats, None, 5), ("shoe", 0, None, 7)])]);
    let before = known(&sale, &hats(0, 3), &["jane"]);
    let later = hats(150, 0);
    let now = before.after(&sale, &later).unwrap();
    assert!(!now.covers(&later.dry(&sale)));
    assert_eq!(said(&now, "joe", &[("hat", 1)]), None);
    assert!(said(&now, "joe", &[("shoe", 1)]).is_some());
}

#[test]
fn of_several_buckets_all_were_dry_at_once_only_between_two_passes() {
    let sale = sale(2);
    let dry = |sent_ms, takes| {
        let looks = vec![look(&[("hat", 0, Some(0), 5), ("shoe", 0, Some(0), takes)]); 2];
        pass(sent_ms, looks)
    };
    let before = known(&sale, &dry(0, 7), &[]);
    let now = before.after(&sale, &dry(150, 7)).unwrap();
    assert_eq!(said(&now, "joe", &[("hat", 1)]), Some(("hat".to_owned(), ms(2) + MEMORY_MAX)));
    // A unit in one bucket is one for all.
    let looks = vec![
        look(&[("hat", 0, Some(0), 5), ("shoe", 0, Some(0), 7)]),
        look(&[("hat", 1, Some(0), 5), ("shoe", 0, Some(0), 7)]),
    ];
    let now = now.after(&sale, &pass(300, looks)).unwrap();
    assert_eq!(said(&now, "joe", &[("hat", 1)]), None);
    assert!(said(&now, "joe", &[("shoe", 1)]).is_some());
    // Taken in one bucket while the other was looked at: certain only after one pass more.
    let now = now.after(&sale, &with_late(dry(450, 8), 1, &["late"])).unwrap();
    assert_eq!(said(&now, "joe", &[("shoe", 1)]), None);
    let now = now.after(&sale, &with_late(dry(600, 8), 1, &[])).unwrap();
    assert!(said(&now, "joe", &[("shoe", 1)]).is_some());
    assert!(said(&now, "joe", &[("hat", 1)]).is_some());
}

#[test]
fn while_units_are_on_their_way_nothing_is_dry() {
    let sale = sale(2);
    let dry = |sent_ms, in_transit| {
        let looks = vec![look(&[("hat", 0, None, 5), ("shoe", 0, None, 7)]); 2];
        let mut pass = pass(sent_ms, looks);
        pass.looks[1].in_transit = in_transit;
        pass
    };
    let mut now = known(&sale, &dry(0, 0), &["jane"]);
    let mut heard = Vec::new();
    for (sent_ms, in_transit) in [(150, 1), (300, 0), (450, 0)] {
        now = now.after(&sale, &dry(sent_ms, in_transit)).unwrap();
        heard.push(said(&now, "joe", &[("shoe", 1)]).is_some());
    }
    assert_eq!(heard, [false, false, true]);
}
