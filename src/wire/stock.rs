//! Where `stock://` URLs may stand: what is held must be given back if the transaction fails, and sold
//! if it succeeds.

use super::error::BadRequest;
use crate::model::{
    Mode, Share, Spec,
    flash::{STOCK_SCHEME, StockUrl},
};

/// Checks the stock in `spec`, of which each URL was found good by itself.
///
/// # Errors
/// When units would be held that nobody gives back, or a URL stands where none of stock may.
pub fn check_stock(spec: &Spec) -> Result<(), BadRequest> {
    not_stock("query_prepared", &spec.query_prepared)?;
    if spec.mode != Mode::Saga {
        // What a message holds is never given back, and its compensations are never called.
        return Ok(());
    }
    for (number, step) in spec.steps.iter().enumerate() {
        let action = Named { name: &format!("steps[{number}].action"), url: &step.action };
        let undo = Named { name: &format!("steps[{number}].compensate"), url: &step.compensate };
        check_pair(&action, &undo)?;
    }
    Ok(())
}

/// Checks the stock in a branch that a client registers.
///
/// # Errors
/// As [`check_stock`].
pub fn check_stock_share(share: &Share) -> Result<(), BadRequest> {
    match share {
        Share::Tcc { confirm, cancel } => {
            let confirm = Named { name: "confirm", url: confirm };
            let cancel = Named { name: "cancel", url: cancel };
            check_pair(&confirm, &cancel)?;
            check_pair(&cancel, &confirm)
        }
        Share::Xa { url } => not_stock("url", url),
        Share::Workflow { .. } => Ok(()),
    }
}

/// A URL and the field that it stands in.
struct Named<'a> {
    name: &'a str,
    url: &'a str,
}

/// If `one` is of stock, `other` must end the same hold.
fn check_pair(one: &Named<'_>, other: &Named<'_>) -> Result<(), BadRequest> {
    let Some(of_one) = StockUrl::read(one.url) else { return Ok(()) };
    if StockUrl::read(other.url).is_some_and(|of_other| of_other == of_one) {
        return Ok(());
    }
    let (one, other) = (one.name, other.name);
    Err(BadRequest::Field(format!(
        "{other}: the units that {one} names would stay held: send the same {STOCK_SCHEME} URL in both"
    )))
}

fn not_stock(field: &str, url: &str) -> Result<(), BadRequest> {
    if url.starts_with(STOCK_SCHEME) {
        return Err(BadRequest::Field(format!(
            "{field}: {STOCK_SCHEME} may stand in the steps of a saga or msg and in the confirm and \
             cancel of a tcc, not here"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::Gid,
        wire::{Limits, read_request},
    };

    const SHOE: &str = "stock://spring/shoe?take=1&buyer=b";
    const HAT: &str = "stock://spring/hat?take=1&buyer=b";

    fn checked(mode: &str, action: &str, compensate: &str, query: &str) -> Result<(), String> {
        let body = serde_json::json!({
            "gid": "g", "trans_type": mode, "payloads": [""], "query_prepared": query,
            "steps": [{"action": action, "compensate": compensate}],
        });
        let request = read_request(body.to_string().as_bytes()).unwrap();
        let spec = request.into_spec(Gid::new("g").unwrap(), &Limits::none()).unwrap();
        check_stock(&spec).map_err(|error| error.to_string())
    }

    #[test]
    fn what_a_saga_holds_can_be_given_back() {
        for (action, compensate) in [(SHOE, SHOE), ("http://h/a", SHOE), ("http://h/a", "")] {
            assert_eq!(checked("saga", action, compensate, ""), Ok(()), "{action} {compensate}");
        }
        let elsewhere = "http://tandem/api/flash/stock/spring/shoe?take=1&buyer=b";
        for compensate in ["", HAT, elsewhere] {
            let told = checked("saga", SHOE, compensate, "").unwrap_err();
            assert!(told.starts_with("steps[0].compensate: the units that steps[0].action"));
        }
        assert_eq!(checked("msg", SHOE, "", ""), Ok(()));
    }

    #[test]
    fn a_branch_of_a_tcc_has_both_ends_of_its_hold() {
        let check = |confirm: &str, cancel: &str| {
            let (confirm, cancel) = (confirm.to_owned(), cancel.to_owned());
            let checked = check_stock_share(&Share::Tcc { confirm, cancel });
            checked.map_err(|error| error.to_string())
        };
        assert_eq!(check(SHOE, SHOE), Ok(()));
        assert!(check(SHOE, "").unwrap_err().starts_with("cancel: the units that confirm"));
        assert!(check("", SHOE).unwrap_err().starts_with("confirm: the units that cancel"));
        assert!(check(SHOE, HAT).is_err());
        assert!(check(SHOE, "http://h/cancel").unwrap_err().starts_with("cancel: the units"));
        assert!(check("http://h/confirm", SHOE).unwrap_err().starts_with("confirm: the units"));
    }

    #[test]
    fn elsewhere_stock_means_nothing() {
        let told = checked("msg", "http://h/a", "", SHOE).unwrap_err();
        assert!(told.starts_with("query_prepared: stock:// may stand in"), "{told}");
        let told = check_stock_share(&Share::Xa { url: SHOE.to_owned() }).unwrap_err();
        assert!(told.to_string().starts_with("url: stock:// may stand in"));
    }
}
