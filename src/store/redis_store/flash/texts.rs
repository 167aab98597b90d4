//! What of reservations is text in Redis: fields, units, rows.

use std::fmt;

use crate::model::{
    Gid,
    flash::{ItemId, Line, OrderId},
};

use super::super::super::{
    StoreError,
    flash::{Refusal, ReservationRow, RowLetter, RowOf, TakenLine},
    reply::Reply,
};

/// The field of an order's row, in pieces.
pub(super) fn order_field(order: &OrderId) -> [&str; 2] {
    ["o", order.as_str()]
}

/// The field of a branch's row. The length keeps branch id and gid apart.
pub(super) fn branch_field(branch_id: &str, gid: &Gid) -> impl fmt::Display {
    fmt::from_fn(move |f| write!(f, "b{}:{branch_id}{gid}", branch_id.len()))
}

/// `<item>=<units>,…`.
pub(super) fn units_text(lines: &[Line]) -> String {
    let mut text = String::with_capacity(lines.len() * 48);
    for (place, Line { item, take }) in lines.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        text.extend([comma, item.as_str(), "=", &take.to_string()]);
    }
    text
}

/// Reads `<item>=<units>,…`; `None` if it is something else.
pub(super) fn read_units(text: &str) -> Option<Vec<(String, u64)>> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (item, units) = part.split_once('=')?;
            Some((item.to_owned(), units.parse().ok()?))
        })
        .collect()
}

/// Reads a reply's next field: `<item>=<units>,…`.
pub(super) fn read_lines(reply: &mut Reply) -> Result<Vec<Line>, StoreError> {
    let text = reply.text()?.unwrap_or_default();
    let lines = read_units(&text).and_then(|units| {
        let lines = units
            .into_iter()
            .map(|(item, take)| Some(Line { item: ItemId::new(&item).ok()?, take }));
        lines.collect()
    });
    lines.ok_or_else(|| reply.unexpected("units that cannot be read"))
}

/// Reads a reply's next field, what was left of each item of `lines`: `<left>,…`.
pub(super) fn read_left(reply: &mut Reply, lines: &[Line]) -> Result<Vec<TakenLine>, StoreError> {
    let text = reply.text()?.unwrap_or_default();
    let mut left = text.split(',');
    let taken: Option<Vec<_>> = lines
        .iter()
        .map(|Line { item, take }| {
            let left = left.next()?.parse().ok()?;
            Some(TakenLine { item: item.clone(), take: *take, left })
        })
        .collect();
    let taken = taken.filter(|_| left.next().is_none());
    taken.ok_or_else(|| reply.unexpected("what is left cannot be read"))
}

/// Reads why nothing was taken.
pub(super) fn refusal(mut reply: Reply) -> Result<Refusal, StoreError> {
    let item = |reply: &mut Reply| {
        let text = reply.text()?.unwrap_or_default();
        ItemId::new(&text).map_err(|_| reply.unexpected("an item that is none"))
    };
    match reply.word() {
        b"unknown_sale" => Ok(Refusal::UnknownSale),
        b"unknown_item" => item(&mut reply).map(Refusal::UnknownItem),
        b"not_open" => Ok(Refusal::NotOpen),
        b"closed" => Ok(Refusal::Closed),
        b"crowded" => Ok(Refusal::Crowded),
        b"sold_out" => item(&mut reply).map(Refusal::SoldOut),
        b"limit_reached" => {
            let text = reply.text()?.unwrap_or_default();
            // That of the sale names no item.
            let item = (!text.is_empty()).then(|| ItemId::new(&text)).transpose();
            let item = item.map_err(|_| reply.unexpected("an item that is none"))?;
            Ok(Refusal::LimitReached(item))
        }
        _ => Err(reply.unexpected("unknown word")),
    }
}

/// Reads a row; `None` if it is none.
pub(super) fn read_row(field: &str, value: &str) -> Option<ReservationRow> {
    let of = if let Some(order) = field.strip_prefix('o') {
        RowOf::Order(OrderId::new(order).ok()?)
    } else {
        let (length, rest) = field.strip_prefix('b')?.split_once(':')?;
        let (branch_id, gid) = rest.split_at_checked(length.parse().ok()?)?;
        RowOf::Branch(branch_id.to_owned(), gid.to_owned())
    };
    let mut parts = value.splitn(4, ';');
    let (letter, units, _left) = (parts.next()?, parts.next()?, parts.next()?);
    let (letter, lines, buyer) = (read_letter(letter)?, read_units(units)?, parts.next()?);
    Some(ReservationRow { of, letter, buyer: buyer.to_owned(), lines })
}

/// Reads the letter of a row; `None` if it is none.
pub(super) fn read_letter(text: &str) -> Option<RowLetter> {
    match text {
        "H" => Some(RowLetter::Held),
        "S" => Some(RowLetter::Sold),
        "R" => Some(RowLetter::Released),
        _ => None,
    }
}
