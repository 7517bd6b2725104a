use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn parse(text: &str) -> Document {
    Document::parse(&Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

#[test]
fn strings_kinds_and_lengths_are_found_by_pointer() {
    let document = parse(
        r#"{"a":{"b":[1,"two",{"c":null}]},"git.ref":"v1","x/y":{"~":"t\u0065xt"},"":true,"e":[]}"#,
    );
    assert_eq!(document.string_at("/a/b/1"), Some("two"));
    assert_eq!(document.string_at("/git.ref"), Some("v1"));
    assert_eq!(document.string_at("/x~1y/~0"), Some("text"));
    assert_eq!(document.kind_at(""), Some(Kind::Object));
    assert_eq!(document.kind_at("/"), Some(Kind::Boolean));
    assert_eq!(document.kind_at("/a/b/2/c"), Some(Kind::Null));
    assert_eq!(
        (
            document.len_at(""),
            document.len_at("/a/b"),
            document.len_at("/e")
        ),
        (Some(5), Some(3), Some(0))
    );
    assert_eq!(document.len_at("/git.ref"), None);
}

#[test]
fn pointers_that_lead_nowhere_find_nothing() {
    let document = parse(r#"{"a":[1,2],"b":"x"}"#);
    for pointer in [
        "a",
        "/c",
        "/a/2",
        "/a/-",
        "/a/01",
        "/a/x",
        "/b/0",
        "/a/0/0",
        "//",
        "/a/99999999999999999999",
    ] {
        assert!(!document.has(pointer), "{pointer}");
        assert_eq!(document.json_at(pointer), None, "{pointer}");
    }
}

#[test]
fn json_is_given_exactly_as_it_was_sent() {
    let document = parse(" {\"n\": 1.50e1 , \"o\" : { \"k\":[ 1,2 ] }, \"s\":\"\\u0061\"} ");
    let literals = parse(
        r#"{"z":0,"i":-17,"big":18446744073709551615,"huge":18446744073709551616,"m":-0,"t":true,"u":null}"#,
    );
    for (pointer, text) in [
        ("/z", "0"),
        ("/i", "-17"),
        ("/big", "18446744073709551615"),
        ("/huge", "18446744073709551616"),
        ("/m", "-0"),
        ("/t", "true"),
        ("/u", "null"),
    ] {
        assert_eq!(literals.json_at(pointer).as_deref(), Some(text));
    }
    assert_eq!(document.json_at("/n").as_deref(), Some("1.50e1"));
    assert_eq!(document.json_at("/o").as_deref(), Some("{ \"k\":[ 1,2 ] }"));
    assert_eq!(document.json_at("/o/k/1").as_deref(), Some("2"));
    assert_eq!(document.json_at("/s").as_deref(), Some("\"\\u0061\""));
}

#[test]
fn the_last_of_two_equal_names_counts() {
    let document = parse(r#"{"ref":"first","ref":"last"}"#);
    assert_eq!(document.string_at("/ref"), Some("last"));
    assert_eq!(document.json_at("/ref").as_deref(), Some("\"last\""));
}

#[test]
fn a_byte_order_mark_is_ignored() {
    let document = parse("\u{feff}{\"ref\":\"v1\"}");
    assert_eq!(document.string_at("/ref"), Some("v1"));
    assert_eq!(document.json_at("/ref").as_deref(), Some("\"v1\""));
}

#[test]
fn what_is_not_json_is_refused() {
    let deep = "[".repeat(200);
    let bodies: [&[u8]; 9] = [
        b"",
        b"\xEF\xBB\xBF",
        b"{",
        b"ref=v1",
        b"{} {}",
        b"{\"a\":\"\xff\"}",
        b"nul",
        b"[1,]",
        deep.as_bytes(),
    ];
    for body in bodies {
        assert!(
            Document::parse(&Bytes::copy_from_slice(body)).is_err(),
            "{body:?}"
        );
    }
}

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

/// Every pointer into a value, with what stands there.
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
        // Read back, since the parser may round a float differently than the generator.
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
    fn any_bytes_are_judged_as_the_tree_judges_them(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let tree = serde_json::from_slice::<Value>(body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&body));
        prop_assert_eq!(Document::parse(&Bytes::from(body)).is_ok(), tree.is_ok());
    }
}
