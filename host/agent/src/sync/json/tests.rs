mod cases;

use super::{Document, JsonError, MAX_DEPTH, MAX_GROWTH, MAX_PARTS, to_json};
use cases::{DERIVED, OBSERVED, QUERIES};

fn set(document: &str, path: &str, value: &str) -> Result<String, JsonError> {
    let mut document = Document::parse(document.as_bytes().to_vec())?;
    document.set(path, value)?;
    Ok(String::from_utf8(document.into_bytes()).unwrap())
}

fn patch(document: &str, path: &str, value: &str) -> String {
    let patched = to_json(value).and_then(|value| set(document, path, &value));
    patched.unwrap_or_else(|error| format!("error: {error}"))
}

#[test]
fn values_are_set_as_observed() {
    for (document, path, value, expected) in OBSERVED {
        assert_eq!(
            patch(document, path, value),
            expected,
            "{document} {path} {value}"
        );
    }
}

#[test]
fn values_are_set_by_the_rules() {
    for (document, path, value, expected) in DERIVED {
        assert_eq!(
            patch(document, path, value),
            expected,
            "{document} {path} {value}"
        );
    }
}

#[test]
fn values_are_selected_as_observed() {
    for (document, path, value, expected) in QUERIES {
        assert_eq!(
            patch(document, path, value),
            *expected,
            "{document} {path} {value}"
        );
    }
}

#[test]
fn deep_values_are_values_or_errors() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for depth in [130, MAX_DEPTH] {
        assert_eq!(to_json(&deep(depth)), Ok(deep(depth)));
    }
    for depth in [MAX_DEPTH + 1, 100_000] {
        assert_eq!(to_json(&deep(depth)), Err(JsonError::Depth));
    }
    assert_eq!(to_json(&"[".repeat(9)), Ok("\"[[[[[[[[[\"".to_owned()));
}

#[test]
fn bytes_that_are_not_utf_8_stay() {
    let mut document =
        Document::parse(b"{\"a\xfc\":1,\"n\":\"M\xfcller\",\"b\":[\"\xe4\"]}".to_vec()).unwrap();
    for (path, value) in [("n2", "1"), ("b.2", "3"), ("c*", "1")] {
        document.set(path, value).unwrap();
    }
    let expected = b"{\"a\xfc\":1,\"n\":\"M\xfcller\",\"b\":[\"\xe4\",null,3],\"n2\":1}";
    assert_eq!(document.into_bytes(), expected);
}

#[test]
fn queries_without_a_right_answer_are_errors() {
    let nested = format!("a.{}b{}", "#(".repeat(1000), ")".repeat(1000));
    for path in [
        "a.#(b.#.c==1).v",
        "a.#(b.#(c>0)#).v",
        "a.#(b!1).v",
        "a.#(!b).v",
        "a.#(b=~true).v",
        "#(a)é",
        "#(a==1)x.b",
        &nested,
    ] {
        assert!(
            matches!(set("{}", path, "1"), Err(JsonError::Query(_))),
            "{path}"
        );
    }
}

#[test]
fn deep_documents_do_not_exhaust_the_stack() {
    let document = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(set(&document, "0.0", "2").is_ok_and(|patched| patched == "[[2]]"));
    for (step, document) in [
        ("a", "{}".to_owned()),
        (
            "*",
            format!("{}1{}", r#"{"a":"#.repeat(50_000), "}".repeat(50_000)),
        ),
        ("#", document),
    ] {
        let path = |parts: usize| vec![step; parts].join(".");
        assert!(set(&document, &path(MAX_PARTS), "2").is_ok(), "{step}");
        for parts in [MAX_PARTS + 1, 50_000] {
            assert_eq!(set(&document, &path(parts), "2"), Err(JsonError::Parts));
        }
    }
}

#[test]
fn the_growth_of_a_document_is_bounded() {
    let document = format!("[{}0]", "0,".repeat(99));
    let large = "1".repeat(MAX_GROWTH / 64);
    let array = format!(r#"{{"a":{document}}}"#);
    let objects = format!("[{}{{}}]", r#"{"a":1},"#.repeat(99));
    assert!(set(&objects, "#.a", "2").is_ok());
    assert_eq!(set(&objects, "#.a", &large), Err(JsonError::TooLarge));
    let path = vec!["65535"; 60].join(".");
    assert_eq!(set(&array, &path, "1"), Err(JsonError::TooLarge));
    let mut document = Document::parse(b"{}".to_vec()).unwrap();
    let set = (0..100).try_for_each(|index| document.set(&format!("a{index}"), &large));
    assert_eq!(set, Err(JsonError::TooLarge));
}

#[test]
fn paths_are_errors_before_anything_is_changed() {
    assert_eq!(set("{}", "", "1"), Err(JsonError::EmptyPath));
    assert_eq!(
        set("{}", "a.#(b", "1"),
        Err(JsonError::Query("a.#(b".to_owned()))
    );
}

proptest::proptest! {
    /// Any document stays valid, and the value is at the path afterwards.
    #[test]
    fn a_set_value_is_found_again(
        document in proptest::sample::select(vec!["{}", "[]", r#"{"a":{"b":[1,{"c":2}]},"b":"x"}"#, " [ {\"a\":1} , 2 ] \n", "7"]),
        path in proptest::collection::vec(proptest::sample::select(vec!["a", "b", "c", "0", "1", "3"]), 1..5),
        value in 0_u32..100,
    ) {
        let text = path.join(".");
        if let Ok(patched) = set(document, &text, &value.to_string()) {
            let parsed: serde_json::Value = serde_json::from_str(&patched).unwrap();
            let found = parsed.pointer(&format!("/{}", path.join("/"))).and_then(serde_json::Value::as_u64);
            proptest::prop_assert_eq!(found, Some(u64::from(value)));
            let again = set(&patched, &text, &value.to_string());
            proptest::prop_assert_eq!(again, Ok(patched));
        }
    }
}
