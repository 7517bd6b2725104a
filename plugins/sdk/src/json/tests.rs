use super::*;

#[test]
fn values_are_found_by_pointer() {
    let text = r#" {"a" : {"b/c": ["x", -1.5e+2, null, {"~": "\u0061\n\ud83d\ude00"}], "a": 1}, "r\u0065f":"first", "ref":"last"} "#;
    let json = Json::parse(text.into()).unwrap();
    let at = |pointer| json.find(pointer);
    assert_eq!(at("/a/b~1c/0"), Some(r#""x""#));
    assert_eq!(at("/a/b~1c/1"), Some("-1.5e+2"));
    assert_eq!(at("/a/a"), Some("1"));
    assert_eq!(string(at("/a/b~1c/3/~0").unwrap()).unwrap(), "a\n😀");
    assert_eq!(string(at("/ref").unwrap()).as_deref(), Some("last"));
    assert_eq!(len(at("/a/b~1c").unwrap()), Some(4));
    assert_eq!(len(at("").unwrap()), Some(3));
    assert_eq!(len(at("/a/a").unwrap()), None);
    assert_eq!(kind(at("/a/b~1c/2").unwrap()), Some(Kind::Null));
    assert_eq!(kind(at("/a/b~1c/1").unwrap()), Some(Kind::Number));
    for nowhere in [
        "/b",
        "/a/b~1c/4",
        "/a/b~1c/00",
        "/a/b~1c/+0",
        "/ref/0",
        "/a/b~1c/x",
        "ref",
        "/a/b",
    ] {
        assert_eq!(at(nowhere), None, "{nowhere}");
    }
}

#[test]
fn the_grammar_is_that_of_rfc_8259() {
    for text in [
        "{}",
        "[]",
        " [ 1 , 2 ] ",
        "\"\"",
        "-0",
        "0.5",
        "1E9",
        "true",
        r#"{"a":{"a":[{}]}}"#,
        r#""\ud83d""#,
    ] {
        let json = Json::parse(text.into()).unwrap();
        assert_eq!(json.find(""), Some(text.trim()));
    }
    for text in [
        "",
        "{",
        "[1,]",
        "{\"a\":}",
        "{\"a\"}",
        "{a:1}",
        "01",
        "1.",
        ".5",
        "1e",
        "+1",
        "tru",
        "nulll",
        "\"a\nb\"",
        r#""\x""#,
        r#""\u12g4""#,
        "\"",
        "[] []",
        "{\"a\":1,}",
        "-",
        "'a'",
    ] {
        assert!(Json::parse(text.into()).is_none(), "{text}");
    }
    let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
    assert!(Json::parse(nested(128)).is_some() && Json::parse(nested(129)).is_none());
}

#[test]
fn a_lone_surrogate_makes_only_its_string_unusable() {
    let text =
        r#"{"message": "cut \ud83d", "low": "\ude00x", "pair": "\ud83d\u0041", "ref": "v1"}"#;
    let json = Json::parse(text.into()).unwrap();
    let at = |pointer| string(json.find(pointer).unwrap());
    assert_eq!(at("/ref").as_deref(), Some("v1"));
    assert_eq!(
        (at("/message"), at("/low"), at("/pair")),
        (None, None, None)
    );
}
