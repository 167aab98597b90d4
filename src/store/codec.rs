//! The packed state, field `s` of a transaction's hash.
//!
//! `<status><mode><token>;<n>;<request>;<not before>;<written at>;<rest>`: up to the rest it is
//! written by the scripts (`lua/lib/state.lua` says how). The rest is the node's own:
//! `<rows>;<times>;<error rounds>;<last error>`. Rows are a letter each: n not started, m may have
//! run, s succeeded, f failed. Times are those at which the succeeded and failed rows were, in the
//! rows' order: milliseconds since the transaction's creation in base 36, joined by dots, empty
//! where it is not known. The last error is free text and therefore last.

use std::time::Duration;

use crate::model::{
    LAST_ERROR_BYTES_MAX, Mode, Progress, Row, Share, Spec, State, Status, Timestamp, clip,
};

/// Why a packed state cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its packed state is damaged: {0}")]
pub struct Garbled(pub(super) &'static str);

const OTHER_ROWS: &str = "it has another number of rows than the transaction";

/// A packed state, taken apart up to its rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed<'a> {
    /// Where the transaction stands.
    pub status: Status,
    /// Whether the body is in a key of its own.
    pub is_large: bool,
    /// The number of the state.
    pub n: u64,
    /// Whether it names a holder; that of an ended one stays.
    pub is_held: bool,
    /// When it was written.
    pub written_at: Timestamp,
    /// Only of a delayed message: nothing is called before.
    pub not_before: Option<Timestamp>,
    rest: &'a str,
}

/// The letter of a mode.
pub const fn mode_letter(mode: Mode) -> char {
    match mode {
        Mode::Saga => 'S',
        Mode::Message => 'M',
        Mode::Tcc => 'T',
        Mode::Xa => 'X',
        Mode::Workflow => 'W',
    }
}

/// The mode of a letter; a small one says that the body is in a key of its own.
pub fn mode_of(letter: char) -> Option<Mode> {
    Mode::ALL.into_iter().find(|mode| mode_letter(*mode) == letter.to_ascii_uppercase())
}

/// What the node writes of `state`.
pub fn pack_rest(state: &State, created_at: Timestamp) -> String {
    let mut rest = String::with_capacity(state.rows.len() * 5 + 8);
    rest.extend(state.rows.iter().map(|row| progress_letter(row.progress)));
    rest.push(';');
    let mut is_first = true;
    for row in state.rows.iter().filter(|row| is_finished(row.progress)) {
        if !is_first {
            rest.push('.');
        }
        is_first = false;
        if let Some(at) = row.finished_at {
            push_base36(&mut rest, at.since(created_at).as_millis());
        }
    }
    let last_error = clip(state.last_error.as_deref().unwrap_or(""), LAST_ERROR_BYTES_MAX);
    rest.extend([";", &state.error_rounds.to_string(), ";", last_error]);
    rest
}

impl<'a> Packed<'a> {
    /// Takes `packed` apart.
    ///
    /// # Errors
    /// When it is not what the scripts write.
    pub fn read(packed: &'a [u8]) -> Result<Self, Garbled> {
        let text = std::str::from_utf8(packed).map_err(|_| Garbled("it is not UTF-8"))?;
        let mut fields = text.splitn(6, ';');
        let mut field = || fields.next().ok_or(Garbled("a field is missing"));
        let (head, n, _request) = (field()?, field()?, field()?);
        let (not_before, written_at, rest) = (field()?, field()?, field()?);
        let mut letters = head.chars();
        let status =
            letters.next().and_then(Status::from_letter).ok_or(Garbled("unknown status"))?;
        let mode = letters.next().ok_or(Garbled("unknown mode"))?;
        mode_of(mode).ok_or(Garbled("unknown mode"))?;
        let is_held = !letters.as_str().is_empty();
        let n = n.parse().map_err(|_| Garbled("its number"))?;
        let time = |text: &str| text.parse().map(Timestamp::from_us).map_err(|_| Garbled("a time"));
        let not_before = if not_before.is_empty() { None } else { Some(time(not_before)?) };
        let is_large = mode.is_ascii_lowercase();
        Ok(Self { status, is_large, n, is_held, written_at: time(written_at)?, not_before, rest })
    }

    /// The state of `spec`. `reason` is kept beside it, in the hash.
    ///
    /// # Errors
    /// When the rest is not what [`pack_rest`] writes, or is of another transaction.
    pub fn state(
        &self,
        spec: &Spec,
        created_at: Timestamp,
        reason: Option<String>,
    ) -> Result<State, Garbled> {
        let mut fields = self.rest.splitn(4, ';');
        let mut field = || fields.next().ok_or(Garbled("a field of its rest is missing"));
        let (letters, times, error_rounds, last_error) = (field()?, field()?, field()?, field()?);
        let mut rows = letters
            .chars()
            .map(|letter| {
                let progress = progress_of(letter).ok_or(Garbled("unknown progress"))?;
                Ok(Row { progress, finished_at: None })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut times = times.split('.');
        for row in rows.iter_mut().filter(|row| is_finished(row.progress)) {
            let time = times.next().ok_or(Garbled("a finish time is missing"))?;
            if !time.is_empty() {
                let ms = u64::from_str_radix(time, 36).map_err(|_| Garbled("a finish time"))?;
                row.finished_at = Some(created_at.plus(Duration::from_millis(ms)));
            }
        }
        fit(&mut rows, spec)?;
        Ok(State {
            status: self.status,
            rows,
            error_rounds: error_rounds.parse().map_err(|_| Garbled("its error rounds"))?,
            not_before: self.not_before,
            reason,
            last_error: (!last_error.is_empty()).then(|| last_error.to_owned()),
        })
    }
}

/// Makes `rows`, as they were stored, those of `spec`: branches may be registered after a state was
/// stored, and nothing has happened with them. A workflow's branch says itself how it ended.
fn fit(rows: &mut Vec<Row>, spec: &Spec) -> Result<(), Garbled> {
    let row_count = spec.row_count();
    match spec.mode {
        Mode::Tcc | Mode::Xa if rows.len() < row_count => rows.resize(row_count, Row::default()),
        Mode::Saga | Mode::Message | Mode::Tcc | Mode::Xa if rows.len() != row_count => {
            return Err(Garbled(OTHER_ROWS));
        }
        Mode::Saga | Mode::Message | Mode::Tcc | Mode::Xa => {}
        Mode::Workflow => {
            let progress = spec.registered.iter().map(|branch| match branch.share {
                Share::Workflow { progress, .. } => progress,
                Share::Tcc { .. } | Share::Xa { .. } => Progress::NotStarted,
            });
            *rows = progress.map(|progress| Row { progress, finished_at: None }).collect();
        }
    }
    Ok(())
}

pub(super) const fn progress_letter(progress: Progress) -> char {
    match progress {
        Progress::NotStarted => 'n',
        Progress::MayHaveRun => 'm',
        Progress::Succeeded => 's',
        Progress::Failed => 'f',
    }
}

pub(super) const fn progress_of(letter: char) -> Option<Progress> {
    match letter {
        'n' => Some(Progress::NotStarted),
        'm' => Some(Progress::MayHaveRun),
        's' => Some(Progress::Succeeded),
        'f' => Some(Progress::Failed),
        _ => None,
    }
}

const fn is_finished(progress: Progress) -> bool {
    matches!(progress, Progress::Succeeded | Progress::Failed)
}

fn push_base36(text: &mut String, number: u128) {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    // No transaction is older than a u64 of milliseconds, which has at most 13 digits.
    let mut number = u64::try_from(number).unwrap_or(u64::MAX);
    let mut digits = [0_u8; 13];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = DIGITS[usize::try_from(number % 36).unwrap_or(0)];
        number /= 36;
        if number == 0 {
            break;
        }
    }
    text.extend(digits[first..].iter().map(|digit| char::from(*digit)));
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
