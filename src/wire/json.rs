//! How one JSON value is read: what is wanted at a place, and the message when something else is
//! found there. Null is always the same as absent.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Where in the body a value stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// The whole text.
    Whole,
    /// A field of the outermost object.
    Field(&'static str),
    /// An entry of a list, from 0.
    Item(&'static str, usize),
    /// A field of a list's entry.
    ItemField(&'static str, usize, &'static str),
    /// A value of a map whose keys are the client's own; they are not repeated in messages.
    ValueOf(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("the whole"),
            Self::Field(name) => f.write_str(name),
            Self::Item(list, i) => write!(f, "{list}[{i}]"),
            Self::ItemField(list, i, name) => write!(f, "{list}[{i}].{name}"),
            Self::ValueOf(map) => write!(f, "a value of {map}"),
        }
    }
}

/// A reader of one value: it takes the kinds of JSON that it wants, and refuses the others.
pub(super) trait Want<'de>: Sized {
    /// What is read.
    type Value;

    /// Where it stands.
    fn place(&self) -> Place;

    /// What is wanted, for the message.
    fn wanted(&self) -> &'static str;

    /// Takes `true` or `false`.
    fn flag<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        Err(self.refuse(if flag { "true" } else { "false" }))
    }

    /// Takes a whole number of at least 0.
    fn whole<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Err(self.refuse("a number"))
    }

    /// Takes a negative whole number.
    fn negative<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Err(self.refuse("a number"))
    }

    /// Takes a number that has a fraction or an exponent, or is too large for 64 bits.
    fn other_number<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Err(self.refuse("a number"))
    }

    /// Takes a string.
    fn text<E: Error>(self, _: Cow<'de, str>) -> Result<Self::Value, E> {
        Err(self.refuse("a string"))
    }

    /// Takes a list.
    fn list<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(self.refuse("a list"))
    }

    /// Takes an object.
    fn object<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(self.refuse("an object"))
    }

    /// The error for something else than what is wanted.
    fn refuse<E: Error>(&self, found: &str) -> E {
        E::custom(format_args!("{}: wanted {}, found {found}", self.place(), self.wanted()))
    }
}

/// Reads what `W` wants; `None` for null.
pub(super) struct Reading<W>(pub(super) W);

impl<'de, W: Want<'de>> DeserializeSeed<'de> for Reading<W> {
    type Value = Option<W::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, W: Want<'de>> Visitor<'de> for Reading<W> {
    type Value = Option<W::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.0.wanted(), self.0.place())
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        self.0.flag(flag).map(Some)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        self.0.whole(number).map(Some)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        match u64::try_from(number) {
            Ok(number) => self.0.whole(number).map(Some),
            Err(_) => self.0.negative(number).map(Some),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        self.0.other_number(number).map(Some)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        self.0.text(Cow::Borrowed(text)).map(Some)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        self.0.text(Cow::Owned(text.to_owned())).map(Some)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        self.0.list(list).map(Some)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        self.0.object(object).map(Some)
    }
}

/// Reads an object's key and finds it in a table of known keys; upper and lower case are alike.
/// `None` for a key that is not in the table.
pub(super) struct Key<F: 'static>(pub(super) &'static [(&'static str, F)]);

impl<'de, F: Copy> DeserializeSeed<'de> for Key<F> {
    type Value = Option<F>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<F: Copy> Visitor<'_> for Key<F> {
    type Value = Option<F>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(find(self.0, key))
    }
}

/// As [`Key`], for an object whose other keys are judged: the key itself where it is not in the table.
pub(super) struct NamedKey<F: 'static>(pub(super) &'static [(&'static str, F)]);

impl<'de, F: Copy> DeserializeSeed<'de> for NamedKey<F> {
    type Value = Result<F, String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<F: Copy> Visitor<'_> for NamedKey<F> {
    type Value = Result<F, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(find(self.0, key).ok_or_else(|| key.to_owned()))
    }
}

fn find<F: Copy>(table: &[(&str, F)], key: &str) -> Option<F> {
    table.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, field)| *field)
}

/// Puts what was read into its field. Null leaves it as it is, as if the key were not there.
pub(super) fn set<T>(field: &mut T, read: Option<T>) {
    if let Some(value) = read {
        *field = value;
    }
}
