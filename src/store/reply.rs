//! Reads what a script answers for one item: a word, then fields.

use redis::Value;

use crate::model::{Mode, Status, Timestamp};

use super::{StoreError, codec, gather::Answer, scripts::ScriptName};

/// One item's reply, its fields yet to be taken.
pub(super) struct Reply {
    script: ScriptName,
    now: Timestamp,
    word: Vec<u8>,
    fields: std::vec::IntoIter<Value>,
}

impl Reply {
    /// Reads what `script` answered.
    ///
    /// # Errors
    /// When the item failed, or the value is not a reply.
    pub(super) fn read(script: ScriptName, answer: Answer) -> Result<Self, StoreError> {
        let Answer { now, value } = answer;
        let (word, fields) = if let Value::Array(values) = value {
            let mut fields = values.into_iter();
            (fields.next().unwrap_or_default(), fields)
        } else {
            (value, Vec::new().into_iter())
        };
        let mut reply = Self { script, now, word: Vec::new(), fields };
        reply.word = bytes_of(word).ok_or_else(|| reply.unexpected("no word"))?;
        if reply.word == b"error" {
            let message = reply.text()?.unwrap_or_default();
            return Err(if message.starts_with("OOM ") {
                StoreError::Full
            } else {
                StoreError::Script { script: script.as_str(), message }
            });
        }
        Ok(reply)
    }

    /// The same, of a script that answers word and fields as one text with blanks between them.
    pub(super) fn spaced(mut self) -> Self {
        let mut parts = self.word.split(|byte| *byte == b' ').map(<[u8]>::to_vec);
        let word = parts.next().unwrap_or_default();
        self.fields = parts.map(Value::BulkString).collect::<Vec<_>>().into_iter();
        self.word = word;
        self
    }

    /// The word.
    pub(super) fn word(&self) -> &[u8] {
        &self.word
    }

    /// Redis's time when the script ran.
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// The next field, `None` if it is absent or there are no more.
    pub(super) fn bytes(&mut self) -> Option<Vec<u8>> {
        self.fields.next().and_then(bytes_of)
    }

    /// The next field as text; `None` if it is absent.
    pub(super) fn text(&mut self) -> Result<Option<String>, StoreError> {
        let text = self.bytes().map(String::from_utf8).transpose();
        text.map_err(|_| self.unexpected("a text is not UTF-8"))
    }

    /// The next field as a point in time; `None` if it is absent or empty.
    ///
    /// A score may be written with an exponent: read as the double that it is, which is exact.
    pub(super) fn time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let Some(text) = self.text()?.filter(|text| !text.is_empty()) else { return Ok(None) };
        if let Ok(us) = text.parse() {
            return Ok(Some(Timestamp::from_us(us)));
        }
        let score: f64 = text.parse().map_err(|_| self.unexpected("a time is no number"))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let us = score as u64;
        Ok(Some(Timestamp::from_us(us)))
    }

    /// The next field, which is there, as a point in time.
    pub(super) fn some_time(&mut self) -> Result<Timestamp, StoreError> {
        self.time()?.ok_or_else(|| self.unexpected("a time is missing"))
    }

    /// The next field, which is there, as a count.
    pub(super) fn count(&mut self) -> Result<u64, StoreError> {
        match self.fields.next() {
            Some(Value::Int(count)) => Ok(u64::try_from(count).unwrap_or(0)),
            Some(_) | None => Err(self.unexpected("a count is missing")),
        }
    }

    /// The next field as a status's letter.
    pub(super) fn status(&mut self) -> Result<Status, StoreError> {
        self.letter(Status::from_letter)
    }

    /// The next field as a mode's letter.
    pub(super) fn mode(&mut self) -> Result<Mode, StoreError> {
        self.letter(codec::mode_of)
    }

    fn letter<T>(&mut self, read: impl Fn(char) -> Option<T>) -> Result<T, StoreError> {
        let text = self.text()?.unwrap_or_default();
        let letter = text.chars().next().and_then(read);
        letter.ok_or_else(|| self.unexpected("a letter is unknown"))
    }

    /// The next field's parts; none if it is absent.
    pub(super) fn parts(&mut self) -> Vec<Vec<u8>> {
        match self.fields.next() {
            Some(Value::Array(parts)) => parts.into_iter().filter_map(bytes_of).collect(),
            Some(_) | None => Vec::new(),
        }
    }

    /// The remaining fields.
    pub(super) fn rest(self) -> impl Iterator<Item = Vec<u8>> {
        self.fields.filter_map(bytes_of)
    }

    /// That this is no reply that this version knows.
    pub(super) fn unexpected(&self, what: &str) -> StoreError {
        let word = String::from_utf8_lossy(&self.word);
        let message = format!("unexpected reply {word:?}: {what}");
        StoreError::Script { script: self.script.as_str(), message }
    }
}

fn bytes_of(value: Value) -> Option<Vec<u8>> {
    if let Value::BulkString(bytes) = value { Some(bytes) } else { None }
}
