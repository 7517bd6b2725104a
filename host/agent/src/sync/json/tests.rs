use super::{JsonError, set, to_json};

fn patch(document: &str, path: &str, value: &str) -> String {
    set(document, path, &to_json(value)).unwrap_or_else(|error| format!("error: {error}"))
}

/// Document, path, value, result. All rows were observed with the libraries of the Go agent, except that it loses the
/// newline in the second.
const OBSERVED: [(&str, &str, &str, &str); 44] = [
    (
        "{\n  \"a\": 1,\n  \"b\": \"x\"\n}\n",
        "a",
        "2",
        "{\n  \"a\": 2,\n  \"b\": \"x\"\n}\n",
    ),
    (
        "{\n  \"a\": 1\n}\n",
        "c",
        "true",
        "{\n  \"a\": 1\n,\"c\":true}\n",
    ),
    ("{}", "a.b.c", "1", r#"{"a":{"b":{"c":1}}}"#),
    (r#"{"a":[1,2,3]}"#, "a.1", "9", r#"{"a":[1,9,3]}"#),
    (r#"{"a": [ 1, 2 ]}"#, "a.-1", "4", r#"{"a": [ 1, 2 ,4]}"#),
    (
        r#"{"a":[1,2,3]}"#,
        "a.5",
        "9",
        r#"{"a":[1,2,3,null,null,9]}"#,
    ),
    (
        r#"{"a":[1]}"#,
        "a.x",
        "9",
        "error: cannot set array element for non-numeric key \"x\"",
    ),
    (
        r#"{"a":[1]}"#,
        "a.-2",
        "9",
        "error: cannot set array element for non-numeric key \"-2\"",
    ),
    ("{}", "a.0", "x", r#"{"a":["x"]}"#),
    (r#"{"a":{}}"#, "a.0", "x", r#"{"a":{"0":"x"}}"#),
    ("{}", "0", "x", r#"{"0":"x"}"#),
    (r#"{"a":"s"}"#, "a.b", "2", r#"{"a":{"b":2}}"#),
    (r#"{"a.b":1}"#, r"a\.b", "2", r#"{"a.b":2}"#),
    (
        r#"{"a":[{"n":"x","v":1},{"n":"y","v":2}]}"#,
        r#"a.#(n=="y").v"#,
        "3",
        r#"{"a":[{"n":"x","v":1},{"n":"y","v":3}]}"#,
    ),
    (
        r#"{"a":[{"n":"x","v":1},{"n":"y","v":2}]}"#,
        "a.#.v",
        "3",
        r#"{"a":[{"n":"x","v":3},{"n":"y","v":3}]}"#,
    ),
    (r#"{"a":1}"#, "a", "007", r#"{"a":"007"}"#),
    (r#"{"a":1}"#, "a", r#""007""#, r#"{"a":"007"}"#),
    (r#"{"a":1}"#, "a", "1.0", r#"{"a":1}"#),
    (r#"{"a":1}"#, "a", " true ", r#"{"a":true}"#),
    (r#"{"a":1}"#, "a", "", r#"{"a":""}"#),
    (
        r#"{"a":1}"#,
        "a",
        "9007199254740993",
        r#"{"a":9007199254740992}"#,
    ),
    (r#"{"a":1}"#, "a", "1e21", r#"{"a":1000000000000000000000}"#),
    (r#"{"a":1}"#, "a", "1e-7", r#"{"a":0.0000001}"#),
    (
        r#"{"a":1}"#,
        "a",
        r#"{"z":1,"b":[1, 2]}"#,
        r#"{"a":{"b":[1,2],"z":1}}"#,
    ),
    (r#"{"a":1}"#, "a", "<b>", r#"{"a":"<b>"}"#),
    (
        r#"{"a":1}"#,
        "a",
        r#"<b> "q""#,
        r#"{"a":"\u003cb\u003e \"q\""}"#,
    ),
    (r#"{"a":1}"#, "a", "ä<", r#"{"a":"ä\u003c"}"#),
    (r#"{"a":1,"a":2}"#, "a", "3", r#"{"a":3,"a":2}"#),
    (r#"{"a|b":1}"#, "a|b", "2", r#"{"a|b":1}"#),
    ("5", "a", "1", r#"{"a":1}"#),
    (r#""s""#, "a", "1", r#"{"a":1}"#),
    ("null", "a", "1", r#"{"a":1}"#),
    ("[1,2]", "-1", "x", r#"[1,2,"x"]"#),
    ("[1,2]", "0", "x", r#"["x",2]"#),
    (
        "[1,2]",
        "a",
        "x",
        "error: cannot set array element for non-numeric key \"a\"",
    ),
    (r#"{"a":1}"#, "", "2", "error: path cannot be empty"),
    (
        r#"{"a":{"b":[{"c":1}]}}"#,
        "a.b.-1.c",
        "7",
        r#"{"a":{"b":[{"c":1},{"c":7}]}}"#,
    ),
    ("", "a", "1", "error: file is not valid JSON"),
    ("\u{feff}{}", "a", "1", "error: file is not valid JSON"),
    ("{} x", "a", "1", "error: file is not valid JSON"),
    ("{\"a\":1,}", "a", "1", "error: file is not valid JSON"),
    (r#"{"a":1}"#, "a", "null", r#"{"a":null}"#),
    (r#"{"a":1}"#, "a", "1e400", r#"{"a":"1e400"}"#),
    (r#"{"a":1}"#, "a", "{x", r#"{"a":"{x"}"#),
];

/// What follows from the rules of the library.
const DERIVED: [(&str, &str, &str, &str); 48] = [
    ("{}", "a.:0", "x", r#"{"a":{"0":"x"}}"#),
    (r#"{"a":{"0":1}}"#, "a.:0", "x", r#"{"a":{"0":"x"}}"#),
    (
        r#"{"a":[1]}"#,
        "a.:1",
        "x",
        "error: cannot set array element for non-numeric key \"1\"",
    ),
    ("{}", "a.2", "1", r#"{"a":[null,null,1]}"#),
    ("{}", "a.-1.b", "1", r#"{"a":[{"b":1}]}"#),
    (r#"{"a":5}"#, "a.1", "1", r#"{"a":[null,1]}"#),
    (r#"{"a":[ ]}"#, "a.1", "1", r#"{"a":[null,1]}"#),
    (r#"{"a":[ ]}"#, "a.-1", "1", r#"{"a":[ 1]}"#),
    ("{ }", "a", "1", r#"{ "a":1}"#),
    ("  {\"a\":1}\r\n", "b", "2", "  {\"a\":1,\"b\":2}\r\n"),
    (
        "{}",
        "a.70000",
        "1",
        "error: the index 70000 is larger than 65535",
    ),
    (
        "{}",
        "a.99999999999999999999999",
        "1",
        "error: the index 18446744073709551615 is larger than 65535",
    ),
    (r#"{"t":{}}"#, "t.100001", "x", r#"{"t":{"100001":"x"}}"#),
    ("{}", "100001", "x", r#"{"100001":"x"}"#),
    (
        r#"{"t":{}}"#,
        "t.1.70000",
        "x",
        "error: the index 70000 is larger than 65535",
    ),
    (
        r#"{"t":5}"#,
        "t.70000",
        "x",
        "error: the index 70000 is larger than 65535",
    ),
    (r#"{"\u0061":1}"#, "a", "2", r#"{"\u0061":2}"#),
    (
        r#"{"a\"}":{"b":"}]"},"c":1}"#,
        "c",
        "2",
        r#"{"a\"}":{"b":"}]"},"c":2}"#,
    ),
    (r#"{"x":{"c":9},"c":1}"#, "c", "2", r#"{"x":{"c":9},"c":2}"#),
    ("{}", r"a\.b.c", "1", r#"{"a.b":{"c":1}}"#),
    ("{}", "ä", "1", "{\"ä\":1}"),
    (r#"{"user@host":1}"#, "user@host", "2", r#"{"user@host":2}"#),
    ("{}", "user@host", "2", "{}"),
    (
        r#"{"@type":1,"a":{"@id":2}}"#,
        "@type",
        "3",
        r#"{"@type":3,"a":{"@id":2}}"#,
    ),
    (
        r#"{"@type":1,"a":{"@id":2}}"#,
        "a.@id",
        "3",
        r#"{"@type":1,"a":{"@id":3}}"#,
    ),
    (
        r#"{"@type":{"b":1}}"#,
        "@type.b",
        "3",
        r#"{"@type":{"b":3}}"#,
    ),
    (r#"{"@":1}"#, "@", "3", r#"{"@":3}"#),
    ("{}", "@type", "3", "{}"),
    (r#"{"@this":1,"a":1}"#, "@this", "3", r#"{"@this":1,"a":1}"#),
    (
        r#"{"a":{"@this":1}}"#,
        "a.@this",
        "3",
        r#"{"a":{"@this":1}}"#,
    ),
    (r#"{"a":1}"#, "a", "97346.602348", r#"{"a":97346.602348}"#),
    (
        r#"{"a":1}"#,
        "a",
        "[97346.602348,-1.5e300]",
        r#"{"a":[97346.602348,-1.5e+300]}"#,
    ),
    (
        r#"{"a":1}"#,
        "a",
        r#" {"b": [ ], "a": { }, "b": null} "#,
        r#"{"a":{"a":{},"b":null}}"#,
    ),
    (
        r#"{"a":1}"#,
        "a",
        r#"{"b":"A","a":true}"#,
        r#"{"a":{"a":true,"b":"A"}}"#,
    ),
    (
        r#"{"name":1,"next":2}"#,
        "n*t",
        "3",
        r#"{"name":1,"next":3}"#,
    ),
    (r#"{"ab":1,"ac":2}"#, "a?", "3", r#"{"ab":3,"ac":2}"#),
    (r#"{"a":[1,2]}"#, "a.#", "3", r#"{"a":[1,2]}"#),
    (
        r#"{"a":[{"n":1,"v":1},{"n":2,"v":1},{"n":3,"v":1}]}"#,
        "a.#(n>1)#.v",
        "0",
        r#"{"a":[{"n":1,"v":1},{"n":2,"v":0},{"n":3,"v":0}]}"#,
    ),
    (r#"{"a":[1,5,9]}"#, "a.#(>=5)", "0", r#"{"a":[1,0,9]}"#),
    (
        r#"{"a":["x","y"]}"#,
        r#"a.#(=="y")"#,
        "z",
        r#"{"a":["x","z"]}"#,
    ),
    (
        r#"{"a":[{"n":"x.y"},{"n":"z"}]}"#,
        r#"a.#(n=="x.y").n"#,
        "w",
        r#"{"a":[{"n":"w"},{"n":"z"}]}"#,
    ),
    (
        r#"{"a":[{"n":"ab"},{"n":"cd"}]}"#,
        r#"a.#(n%"c*").n"#,
        "w",
        r#"{"a":[{"n":"ab"},{"n":"w"}]}"#,
    ),
    (
        r#"{"a":[{"n":"ab"},{"n":"cd"}]}"#,
        r#"a.#(n!%"a*").n"#,
        "w",
        r#"{"a":[{"n":"ab"},{"n":"w"}]}"#,
    ),
    (
        r#"{"a":[{"on":false},{"on":true}]}"#,
        "a.#(on==true).on",
        "1",
        r#"{"a":[{"on":false},{"on":1}]}"#,
    ),
    (
        r#"{"a":[{"b":1},{"c":1}]}"#,
        "a.#(c).c",
        "2",
        r#"{"a":[{"b":1},{"c":2}]}"#,
    ),
    (
        r#"{"a":[{"b":[{"c":1}]},{"b":[{"c":2}]}]}"#,
        "a.#(b.#(c==2)).b",
        "0",
        r#"{"a":[{"b":[{"c":1}]},{"b":0}]}"#,
    ),
    (
        r#"{"a":[1]}"#,
        "a.#(b==~true)",
        "0",
        "error: the query \"b==~true\" is not supported",
    ),
    (
        r#"{"a":1}"#,
        "a",
        r#"{"n":1e21,"s":1e-7,"t":"<","z":-0.0}"#,
        r#"{"a":{"n":1e+21,"s":1e-7,"t":"\u003c","z":-0}}"#,
    ),
];

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
fn deep_documents_do_not_exhaust_the_stack() {
    let document = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(set(&document, "0.0", "2").is_ok_and(|patched| patched == "[[2]]"));
    let path = vec!["a"; 50_000].join(".");
    assert!(set("{}", &path, "2").is_ok());
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
