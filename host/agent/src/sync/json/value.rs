//! Writes values as Go's libraries do, because agents of other versions compare the bytes.

use std::fmt::Write as _;

use serde_json::Value;

/// Converts the text of a patch to JSON: a text that is JSON stands for its value, and any other text for itself.
pub(crate) fn to_json(text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(Value::String(text)) => quote(&text),
        // Numbers have no exponent at the top, but have one inside objects and arrays.
        Ok(Value::Number(number)) => format!("{}", number.as_f64().unwrap_or_default()),
        Ok(value) => {
            let mut json = String::new();
            write(&value, &mut json);
            json
        }
        Err(_) => quote(text),
    }
}

/// Writes a text as a JSON string. `<`, `>` and `&` are escaped only if another character needs an escape or is not in
/// ASCII.
pub(super) fn quote(text: &str) -> String {
    let is_plain = |byte: u8| (b' '..=0x7f).contains(&byte) && !matches!(byte, b'"' | b'\\');
    if text.bytes().all(is_plain) {
        return format!("\"{text}\"");
    }
    let mut json = String::new();
    write_text(text, &mut json);
    json
}

fn write_text(text: &str, json: &mut String) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a text does not fail.
                let _ = write!(json, "\\u{:04x}", u32::from(character));
            }
            other => json.push(other),
        }
    }
    json.push('"');
}

fn write(value: &Value, json: &mut String) {
    match value {
        Value::Null => json.push_str("null"),
        Value::Bool(value) => json.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => json.push_str(&write_number(number.as_f64().unwrap_or_default())),
        Value::String(text) => write_text(text, json),
        Value::Array(items) => {
            json.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    json.push(',');
                }
                write(item, json);
            }
            json.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(key, _)| key.as_str());
            json.push('{');
            for (index, (key, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    json.push(',');
                }
                write_text(key, json);
                json.push(':');
                write(value, json);
            }
            json.push('}');
        }
    }
}

fn write_number(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return format!("{number}");
    }
    let text = format!("{number:e}");
    if text.contains("e-") {
        text
    } else {
        text.replace('e', "e+")
    }
}
