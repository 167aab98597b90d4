//! The query of a route that takes these keys and no other: a slip in one is told, as one in a body is.

use axum::extract::Query;

use super::refusal::Refusal;
use crate::{api::http::number::Pairs, model::quoted};

/// Checks that each key of `pairs` is one of `known`, and stands there once.
///
/// # Errors
/// Which one is not.
pub(super) fn check(Query(pairs): &Pairs, known: &[&str]) -> Result<(), Refusal> {
    for (number, (key, _)) in pairs.iter().enumerate() {
        let quoted = quoted(key);
        if !known.contains(&key.as_str()) {
            let there_are = if known.is_empty() { "none" } else { &known.join(", ") };
            let told =
                format!("there is no {quoted:?} in the query of this URL; there are: {there_are}");
            return Err(Refusal::bad(quoted, told));
        }
        if pairs.iter().take(number).any(|(earlier, _)| earlier == key) {
            return Err(Refusal::bad(
                quoted,
                format!("{quoted} stands in the query of the URL twice"),
            ));
        }
    }
    Ok(())
}
