//! Readers of single fields: strings, flags, numbers, lists and maps of strings.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use bytes::Bytes;
use serde::de::{Error, MapAccess, SeqAccess};

use super::json::{Place, Reading, Want};

/// A string.
pub(super) struct Text {
    pub(super) place: Place,
    pub(super) wanted: &'static str,
}

/// The string field `name`.
pub(super) fn text(name: &'static str) -> Reading<Text> {
    text_at(Place::Field(name))
}

/// The string at `place`.
pub(super) fn text_at(place: Place) -> Reading<Text> {
    Reading(Text { place, wanted: "a string" })
}

impl<'de> Want<'de> for Text {
    type Value = String;

    fn place(&self) -> Place {
        self.place
    }

    fn wanted(&self) -> &'static str {
        self.wanted
    }

    fn text<E: Error>(self, text: Cow<'de, str>) -> Result<String, E> {
        Ok(text.into_owned())
    }
}

/// `true` or `false`.
pub(super) struct Flag(&'static str);

/// The flag `name`.
pub(super) fn flag(name: &'static str) -> Reading<Flag> {
    Reading(Flag(name))
}

impl<'de> Want<'de> for Flag {
    type Value = bool;

    fn place(&self) -> Place {
        Place::Field(self.0)
    }

    fn wanted(&self) -> &'static str {
        "true or false"
    }

    fn flag<E: Error>(self, flag: bool) -> Result<bool, E> {
        Ok(flag)
    }
}

/// A whole number from 0 to `max`.
pub(super) struct Whole {
    pub(super) place: Place,
    pub(super) wanted: &'static str,
    pub(super) max: u64,
}

impl<'de> Want<'de> for Whole {
    type Value = u64;

    fn place(&self) -> Place {
        self.place
    }

    fn wanted(&self) -> &'static str {
        self.wanted
    }

    fn whole<E: Error>(self, number: u64) -> Result<u64, E> {
        if number > self.max {
            return Err(E::custom(format_args!(
                "{}: {number} is too large, at most {} is allowed",
                self.place, self.max
            )));
        }
        Ok(number)
    }

    fn negative<E: Error>(self, number: i64) -> Result<u64, E> {
        Err(E::custom(format_args!("{}: {number} is negative, send 0 or more", self.place)))
    }

    fn other_number<E: Error>(self, number: f64) -> Result<u64, E> {
        // Whole numbers of more than 64 bits come as floats.
        const TOO_LARGE: f64 = 1e18;
        Err(self.refuse(if number.abs() >= TOO_LARGE {
            "one of too many digits"
        } else {
            "one with a fraction or an exponent"
        }))
    }
}

/// A span in whole seconds; `None` for 0, which means "not said".
pub(super) struct Seconds {
    whole: Whole,
}

/// The span `name`, of at most `max` seconds.
pub(super) fn seconds(name: &'static str, max: u64) -> Reading<Seconds> {
    let wanted = "a whole number of seconds";
    Reading(Seconds { whole: Whole { place: Place::Field(name), wanted, max } })
}

impl<'de> Want<'de> for Seconds {
    type Value = Option<Duration>;

    fn place(&self) -> Place {
        self.whole.place
    }

    fn wanted(&self) -> &'static str {
        self.whole.wanted
    }

    fn whole<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        let seconds = self.whole.whole(number)?;
        Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
    }

    fn negative<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        self.whole.negative(number).map(|_| None)
    }

    fn other_number<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        self.whole.other_number(number).map(|_| None)
    }
}

/// A number of times; `None` for 0, which means "not said".
pub(super) struct Count(&'static str);

/// The count `name`.
pub(super) fn count(name: &'static str) -> Reading<Count> {
    Reading(Count(name))
}

impl Count {
    fn number(&self) -> Whole {
        let wanted = "a whole number";
        Whole { place: Place::Field(self.0), wanted, max: u32::MAX.into() }
    }
}

impl<'de> Want<'de> for Count {
    type Value = Option<u32>;

    fn place(&self) -> Place {
        Place::Field(self.0)
    }

    fn wanted(&self) -> &'static str {
        "a whole number"
    }

    fn whole<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        let count = self.number().whole(number)?;
        Ok(u32::try_from(count).ok().filter(|count| *count > 0))
    }

    fn negative<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        self.number().negative(number).map(|_| None)
    }

    fn other_number<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        self.number().other_number(number).map(|_| None)
    }
}

/// A list of strings to be sent as they are; null stands for the empty string.
pub(super) struct Texts {
    pub(super) name: &'static str,
    pub(super) entries_max: usize,
}

impl<'de> Want<'de> for Texts {
    type Value = Vec<Bytes>;

    fn place(&self) -> Place {
        Place::Field(self.name)
    }

    fn wanted(&self) -> &'static str {
        "a list of strings"
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) =
            list.next_element_seed(text_at(Place::Item(self.name, texts.len())))?
        {
            if texts.len() == self.entries_max {
                return Err(too_many(self.name, self.entries_max));
            }
            texts.push(Bytes::from(text.unwrap_or_default()));
        }
        Ok(texts)
    }
}

/// The error for a list that is longer than any transaction needs.
pub(super) fn too_many<E: Error>(name: &str, entries_max: usize) -> E {
    E::custom(format_args!("{name}: there are more than {entries_max} entries"))
}

/// A map of strings by the client's own keys, whose case counts. A null is left out.
pub(super) struct TextMap(pub(super) &'static str);

impl<'de> Want<'de> for TextMap {
    type Value = BTreeMap<String, String>;

    fn place(&self) -> Place {
        Place::Field(self.0)
    }

    fn wanted(&self) -> &'static str {
        "an object of strings"
    }

    fn object<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = object.next_key::<String>()? {
            if let Some(value) = object.next_value_seed(text_at(Place::ValueOf(self.0)))? {
                map.insert(key, value);
            }
        }
        Ok(map)
    }
}
