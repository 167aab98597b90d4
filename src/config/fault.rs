//! What is wrong with a configuration, said so that it can be mended at once.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A setting has a value that it may not have.
    Value {
        /// The setting's name.
        setting: String,
        /// The value, without secrets.
        value: String,
        /// Where it came from: a flag, a variable, a file or the default.
        origin: String,
        /// What may stand there.
        allowed: String,
    },
    /// There is no such setting.
    Unknown {
        /// As it was written.
        name: String,
        /// Where it was written.
        origin: String,
        /// The nearest that there is.
        nearest: Option<String>,
    },
    /// A file cannot be read, or is not TOML.
    File {
        /// Its path.
        path: String,
        /// Why.
        message: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { setting, value, origin, allowed } => {
                write!(f, "{setting} is {value:?} ({origin}); allowed: {allowed}")
            }
            Self::Unknown { name, origin, nearest } => {
                write!(f, "{name} ({origin}) is no setting")?;
                match nearest {
                    Some(nearest) => write!(f, "; the nearest is {nearest}"),
                    None => write!(f, "; `tandem serve --help` lists them all"),
                }
            }
            Self::File { path, message } => write!(f, "file {path}: {message}"),
        }
    }
}

/// All that is wrong with a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration cannot be used:")?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}

/// The candidate that is nearest to `name`, if any is near enough to be meant.
pub(super) fn nearest(name: &str, candidates: impl IntoIterator<Item = String>) -> Option<String> {
    // A third of its letters may be wrong; that is more than one slips, and less than would
    // suggest anything for everything.
    let far = (name.len() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (distance(name, &candidate), candidate))
        .filter(|(distance, _)| *distance <= far)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters must be put in, taken out or replaced to make `a` of `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (above, from) in a.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        let mut left = above + 1;
        next.push(left);
        for (pair, to) in row.windows(2).zip(&b) {
            let &[diagonal, up] = pair else { continue };
            left = (left + 1).min(up + 1).min(diagonal + usize::from(from != *to));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_the_slips() {
        for (a, b, slips) in
            [("", "", 0), ("lease", "lease", 0), ("laese", "lease", 2), ("leas", "lease", 1)]
        {
            assert_eq!(distance(a, b), slips, "{a} {b}");
            assert_eq!(distance(b, a), slips, "{b} {a}");
        }
    }

    #[test]
    fn only_what_is_near_is_suggested() {
        let names = || ["lease".to_owned(), "shards".to_owned()];
        assert_eq!(nearest("leese", names()).as_deref(), Some("lease"));
        assert_eq!(nearest("Shard", names()).as_deref(), Some("shards"));
        assert_eq!(nearest("colour", names()), None);
    }
}
