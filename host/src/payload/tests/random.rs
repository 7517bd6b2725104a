//! Random bodies, compared with the JSON library.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map("[a-z/~\"\u{e9}]{0,3}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Collects every pointer into a value, with the value at the pointer.
fn pointers(value: &Value, at: &str, into: &mut Vec<(String, Value)>) {
    into.push((at.to_owned(), value.clone()));
    match value {
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                pointers(element, &format!("{at}/{index}"), into);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let token = name.replace('~', "~0").replace('/', "~1");
                pointers(member, &format!("{at}/{token}"), into);
            }
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn the_tape_agrees_with_the_tree(value in json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        // The text is parsed again, because the parser may round a float differently than the generator.
        let value: Value = serde_json::from_str(&text).unwrap();
        let document = parse(&text);
        let mut all = Vec::new();
        pointers(&value, "", &mut all);
        for (pointer, expected) in all {
            prop_assert_eq!(document.string_at(&pointer), expected.as_str());
            let len = expected.as_array().map(Vec::len).or(expected.as_object().map(serde_json::Map::len));
            prop_assert_eq!(document.len_at(&pointer).map(|len| len as usize), len);
            let raw: Value = serde_json::from_str(&document.json_at(&pointer).unwrap()).unwrap();
            prop_assert_eq!(raw, expected);
        }
    }

    #[test]
    fn any_bytes_are_accepted_if_the_grammar_accepts_them(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&body).to_owned();
        prop_assert_eq!(Document::parse(&Bytes::from(body)).is_ok(), is_json(&text));
    }

    #[test]
    fn escapes_and_numbers_are_accepted_if_the_grammar_accepts_them(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "\"", "\"", "\\", "\\ud83d", "\\uDE00", "\\u00e9", "\\uD8", "\\n", "1", "0", "e400", "-", ".", "[", "]", ",", ":", "{", "}", " ",
            ]),
            0..12,
        ),
    ) {
        let text = parts.concat();
        prop_assert_eq!(Document::parse(&Bytes::from(text.clone())).is_ok(), is_json(text.as_bytes()), "{}", text);
    }
}

/// Whether the grammar of RFC 8259 accepts a text. The parser skips values without converting them, so surrogates and
/// the range of numbers do not matter.
fn is_json(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok()
        && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}
