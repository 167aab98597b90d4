//! The query of a route that takes these keys and no other: a slip in one is told, as one in a body is.

use axum::extract::Query;

use super::refusal::Refusal;
use crate::{api::http::number::Pairs, model::quoted};

/// Checks that each key of `pairs` is one of `known`, and stands there once.
///
/// # Errors
/// Which one is not.
pub(super) fn check(pairs: &Pairs, known: &[&str]) -> Result<(), Refusal> {
    if let Some((key, _)) = pairs.0.iter().find(|(key, _)| !known.contains(&key.as_str())) {
        let quoted = quoted(key);
        let there_are = if known.is_empty() { "none" } else { &known.join(", ") };
        let told =
            format!("there is no {quoted:?} in the query of this URL; there are: {there_are}");
        return Err(Refusal::bad(quoted, told));
    }
    once(pairs)
}

/// Checks that each key of `pairs` stands there once, with a value that is UTF-8.
///
/// # Errors
/// Which one does not.
pub(super) fn once(Query(pairs): &Pairs) -> Result<(), Refusal> {
    for (number, (key, value)) in pairs.iter().enumerate() {
        // It stands for what is not UTF-8: two buyers, or gids, would be one.
        if value.contains(char::REPLACEMENT_CHARACTER) {
            let quoted = quoted(key);
            let told = format!(
                "{quoted} must be UTF-8 with % and two hexadecimal digits for each other byte, \
                 and without the replacement character U+FFFD"
            );
            return Err(Refusal::bad(quoted, told));
        }
        if pairs.iter().take(number).any(|(earlier, _)| earlier == key) {
            let quoted = quoted(key);
            let told = format!("{quoted} stands in the query of the URL twice");
            return Err(Refusal::bad(quoted, told));
        }
    }
    Ok(())
}
