//! Reads JSON strictly: a slip in a sale's definition is told, and never taken for something else.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::{
    api::http::rfc3339,
    model::{
        Timestamp,
        flash::{IdError, UNITS_MAX},
        quoted,
    },
};

/// Reads `body`, which is one JSON value. A field that stands twice in one object is refused.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(body: &[u8]) -> Result<Value, Refusal> {
    let read: Result<Once, _> = serde_json::from_slice(body);
    match read {
        Ok(Once(value)) => Ok(value),
        Err(error) if error.is_data() => Err(Refusal::bad("", error.to_string())),
        Err(error) => Err(Refusal::bad("", format!("the body is not JSON: {error}"))),
    }
}

/// A value whose objects have each field once.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor).map(Self)
    }
}

struct OnceVisitor;

impl<'de> DeserializeSeed<'de> for OnceVisitor {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let value = fields.next_value_seed(Self)?;
            if object.contains_key(&name) {
                let name = quoted(&name);
                return Err(A::Error::custom(format!("the field {name:?} stands there twice")));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

/// An object, and where it stands in the request.
pub(super) struct Object<'a> {
    path: String,
    fields: &'a Map<String, Value>,
}

/// A field of an object, and where it stands in the request.
pub(super) struct Field<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Object<'a> {
    /// `value` as an object that has no other fields than `known`; `path` is empty for the body.
    ///
    /// # Errors
    /// It is no object, or has another field.
    pub(super) fn of(value: &'a Value, path: &str, known: &[&str]) -> Result<Self, Refusal> {
        let Value::Object(fields) = value else {
            let what = if path.is_empty() { "the body" } else { path };
            let told = format!("{what} must be an object with {}", known.join(", "));
            return Err(Refusal::bad(path, told));
        };
        let object = Self { path: path.to_owned(), fields };
        match fields.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => {
                let name = quoted(name);
                let told = format!("there is no field {name:?}; there are: {}", known.join(", "));
                Err(Refusal::bad(object.path_of(name), told))
            }
            None => Ok(object),
        }
    }

    /// The field, `null` included; `None` if it is not there.
    pub(super) fn found(&self, name: &str) -> Option<Field<'a>> {
        let value = self.fields.get(name)?;
        Some(Field { path: self.path_of(name), value })
    }

    /// The field; `None` if it is not there, or is `null`.
    pub(super) fn optional(&self, name: &str) -> Option<Field<'a>> {
        self.found(name).filter(|field| !field.is_null())
    }

    /// The field, where nothing can be taken away by `null`; `None` if it is not there.
    ///
    /// # Errors
    /// It is `null`.
    pub(super) fn not_null(&self, name: &str) -> Result<Option<Field<'a>>, Refusal> {
        match self.found(name) {
            Some(field) if field.is_null() => {
                Err(field.wrong("is null: leave it out to keep it as it is"))
            }
            field => Ok(field),
        }
    }

    /// The field.
    ///
    /// # Errors
    /// It is not there, or is `null`.
    pub(super) fn required(&self, name: &str) -> Result<Field<'a>, Refusal> {
        let path = || self.path_of(name);
        self.optional(name).ok_or_else(|| Refusal::bad(path(), format!("{} is missing", path())))
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

impl<'a> Field<'a> {
    pub(super) fn is_null(&self) -> bool {
        self.value.is_null()
    }

    /// Says what is wrong with it.
    pub(super) fn wrong(&self, what: impl fmt::Display) -> Refusal {
        Refusal::bad(self.path.clone(), format!("{} {what}", self.path))
    }

    /// Its text.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn text(&self) -> Result<&'a str, Refusal> {
        self.value.as_str().ok_or_else(|| self.wrong("must be a string"))
    }

    /// Its text as an id.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn id<T>(&self, read: impl Fn(&str) -> Result<T, IdError>) -> Result<T, Refusal> {
        read(self.text()?).map_err(|error| self.wrong(error))
    }

    /// Its number: whole, from 1 to `most`.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn count(&self, most: u64) -> Result<u64, Refusal> {
        let number = self.value.as_u64().filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| {
            let found = self.value.to_string();
            let found = quoted(&found);
            self.wrong(format_args!("is {found}, it must be a whole number from 1 to {most}"))
        })
    }

    /// Its number of units.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn units(&self) -> Result<u64, Refusal> {
        self.count(UNITS_MAX)
    }

    /// Its point in time.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn time(&self) -> Result<Timestamp, Refusal> {
        let text = self.text()?;
        rfc3339::read(text).ok_or_else(|| {
            let found = quoted(text);
            self.wrong(format_args!(
                "is {found:?}, it must be a time of RFC 3339 such as 2026-11-27T09:00:00Z, from \
                 1970-01-01T00:00:00Z to 2255-06-05T23:47:34Z"
            ))
        })
    }

    /// What `read` makes of each entry of its list.
    ///
    /// # Errors
    /// It is no list, has more than `most` entries, or one of them is wrong.
    pub(super) fn list<T>(
        &self,
        most: usize,
        read: impl Fn(&'a Value, &str) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        let Value::Array(values) = self.value else { return Err(self.wrong("must be a list")) };
        if values.len() > most {
            let count = values.len();
            return Err(self.wrong(format_args!("has {count} entries, at most {most} are allowed")));
        }
        let entries = values.iter().enumerate();
        entries.map(|(number, value)| read(value, &format!("{}[{number}]", self.path))).collect()
    }

    /// What `read` makes of it; `None` if it is `null`.
    ///
    /// # Errors
    /// As `read`.
    pub(super) fn or_null<T>(
        &self,
        read: impl Fn(&Self) -> Result<T, Refusal>,
    ) -> Result<Option<T>, Refusal> {
        if self.is_null() { Ok(None) } else { read(self).map(Some) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_stands_once_at_any_depth() {
        assert!(read(br#"{"a":{"b":[1,-2,1.5,"x",null,true]},"c":{"b":1}}"#).is_ok());
        for body in [r#"{"a":1,"a":1}"#, r#"[{"x":{"a":1,"b":2,"a":null}}]"#] {
            let refusal = format!("{:?}", read(body.as_bytes()).unwrap_err());
            assert!(refusal.contains("stands there twice"), "{refusal}");
        }
        assert!(read(b"{}x").is_err() && read(b"").is_err());
    }
}
