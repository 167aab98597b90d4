//! Reads the numbers and words of a request's query string.

use axum::extract::Query;

use super::error::ApiError;
use crate::model::quoted;

/// A request's query string as pairs. No query string is refused by itself.
pub(super) type Pairs = Query<Vec<(String, String)>>;

/// The first value of `key`; an empty one counts as none, as the protocol's servers have it.
pub(super) fn text<'a>(Query(pairs): &'a Pairs, key: &str) -> Option<&'a str> {
    let (_, value) = pairs.iter().find(|(name, _)| name == key)?;
    (!value.is_empty()).then_some(value.as_str())
}

/// The first value of `key` as a number from 0.
///
/// # Errors
/// When it is not one; the first words are those of existing servers.
pub(super) fn number(pairs: &Pairs, key: &str) -> Result<Option<u64>, ApiError> {
    text(pairs, key)
        .map(|value| {
            value.parse().map_err(|_not_a_number| {
                let value = quoted(value);
                ApiError::Query(format!(
                    "convert to int error: {value}: {key} is wanted as a whole number from 0"
                ))
            })
        })
        .transpose()
}

/// The first value of `key` as one of `known`, by its word.
///
/// # Errors
/// When it is none of them: to answer that there are none would hide the slip.
pub(super) fn word<T: Copy>(
    pairs: &Pairs,
    key: &str,
    known: &[T],
    as_str: impl Fn(T) -> &'static str,
) -> Result<Option<T>, ApiError> {
    let Some(value) = text(pairs, key) else { return Ok(None) };
    let found = known.iter().copied().find(|it| as_str(*it) == value);
    found.map(Some).ok_or_else(|| {
        let words: Vec<_> = known.iter().map(|it| as_str(*it)).collect();
        ApiError::Query(format!("{key} is none of {}: {}", words.join(", "), quoted(value)))
    })
}

#[cfg(test)]
mod tests {
    use axum::http::Uri;

    use super::*;

    fn pairs(query: &str) -> Pairs {
        let uri: Uri = format!("/x?{query}").parse().unwrap();
        Query::try_from_uri(&uri).unwrap()
    }

    #[test]
    fn the_first_value_counts_and_an_empty_one_is_none() {
        assert_eq!(text(&pairs("gid=a%2Fb+c%26&gid=z"), "gid"), Some("a/b c&"));
        assert_eq!(text(&pairs("gid="), "gid"), None);
        assert_eq!(text(&pairs("gid"), "gid"), None);
        assert_eq!(text(&pairs("Gid=a"), "gid"), None);
    }

    #[test]
    fn no_query_string_is_refused_by_itself() {
        for query in ["", "&&", "%", "%zz=%", "a=b=c", "%ff=%ff"] {
            assert_eq!(text(&pairs(query), "gid"), None, "{query}");
        }
    }

    #[test]
    fn a_word_is_one_of_those_that_are_known() {
        let known = ["one", "two"];
        let read = |query: &str| word(&pairs(query), "w", &known, |it| it);
        assert!(matches!(read("w=two"), Ok(Some("two"))));
        assert!(matches!(read("w="), Ok(None)));
        let Err(ApiError::Query(message)) = read("w=Two") else { panic!("it was taken") };
        assert_eq!(message, "w is none of one, two: Two");
    }

    #[test]
    fn numbers_count_from_zero() {
        assert!(matches!(number(&pairs("n=12"), "n"), Ok(Some(12))));
        assert!(matches!(number(&pairs("n="), "n"), Ok(None)));
        for bad in ["abc", "-1", "1.5", "99999999999999999999"] {
            let Err(ApiError::Query(message)) = number(&pairs(&format!("n={bad}")), "n") else {
                panic!("{bad} was taken");
            };
            assert_eq!(
                message,
                format!("convert to int error: {bad}: n is wanted as a whole number from 0")
            );
        }
    }
}
