//! As much of JSON Schema as the document of the routes uses.

use serde_json::{Value, json};

/// What `reference` points to.
pub(super) fn at<'a>(document: &'a Value, reference: &str) -> &'a Value {
    let path = reference.strip_prefix('#').expect("a local reference");
    document.pointer(path).unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("{name} is no type that the document uses"),
    }
}

/// Checks `value` by as much of JSON Schema as the document uses.
///
/// # Errors
/// Where it is something else.
pub(super) fn check(
    document: &Value,
    schema: &Value,
    value: &Value,
    path: &str,
) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{path}: {what}: {value}"));
    if let Some(reference) = schema["$ref"].as_str() {
        check(document, at(document, reference), value, path)?;
    }
    if let Some(ways) = schema["anyOf"].as_array()
        && !ways.iter().any(|way| check(document, way, value, path).is_ok())
    {
        return wrong("none of the ways");
    }
    if schema["not"]["enum"].as_array().is_some_and(|all| all.contains(value)) {
        return wrong("a word that it may not be");
    }
    let kind = &schema["type"];
    let kinds = kind.as_array().map_or_else(|| std::slice::from_ref(kind), Vec::as_slice);
    let types: Vec<_> = kinds.iter().filter_map(Value::as_str).collect();
    if !types.is_empty() && !types.iter().any(|name| has_type(value, name)) {
        return wrong("another type");
    }
    if schema["enum"].as_array().is_some_and(|all| !all.contains(value)) {
        return wrong("none of the words");
    }
    if let Some(text) = value.as_str() {
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
        let is_url = |it: &str| it.starts_with("http://") || it.starts_with("https://");
        let fits = match schema["pattern"].as_str() {
            Some("^[A-Za-z0-9._-]+$") => text.chars().all(is_plain),
            Some("^flash:") => text.starts_with("flash:"),
            Some("^https?://") => is_url(text),
            Some("^(https?://|$)") => text.is_empty() || is_url(text),
            Some(r"^[^\u0000-\u001f\u007f-\u009f]+$") => !text.chars().any(char::is_control),
            Some(other) => panic!("{other} is no pattern that is known here"),
            None => true,
        };
        let is_time = schema["format"] != "date-time" || text.ends_with('Z') || text.contains('+');
        let length = text.chars().count() as u64;
        let is_short = schema["minLength"].as_u64().is_some_and(|least| length < least);
        let is_long = schema["maxLength"].as_u64().is_some_and(|most| length > most);
        if !fits || !is_time || is_short || is_long {
            return wrong("another text");
        }
    }
    if let Some(number) = value.as_u64() {
        let is_small = schema["minimum"].as_u64().is_some_and(|least| number < least);
        let is_large = schema["maximum"].as_u64().is_some_and(|most| number > most);
        if is_small || is_large {
            return wrong("out of bounds");
        }
    } else if value.is_i64() && !schema["minimum"].is_null() {
        return wrong("negative");
    }
    if let Some(list) = value.as_array() {
        let is_short = schema["minItems"].as_u64().is_some_and(|least| (list.len() as u64) < least);
        let is_long = schema["maxItems"].as_u64().is_some_and(|most| list.len() as u64 > most);
        if is_short || is_long {
            return wrong("too short or too long");
        }
        for (number, entry) in list.iter().enumerate() {
            check(document, &schema["items"], entry, &format!("{path}[{number}]"))?;
        }
    }
    if let Some(object) = value.as_object() {
        if schema["minProperties"].as_u64().is_some_and(|least| (object.len() as u64) < least) {
            return wrong("too few fields");
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            if !object.contains_key(name.as_str().expect("a name")) {
                return wrong(&format!("{name} is missing"));
            }
        }
        for (name, entry) in object {
            let path = format!("{path}.{name}");
            match schema["properties"].get(name) {
                Some(schema) => check(document, schema, entry, &path)?,
                None if schema["additionalProperties"] == json!(false) => {
                    return wrong(&format!("{name} is unknown"));
                }
                None => {}
            }
        }
    }
    Ok(())
}
