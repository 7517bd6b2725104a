use bytes::Bytes;

use super::*;

mod memory;
mod random;

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
fn a_lone_surrogate_makes_only_its_string_unusable() {
    for half in [
        r"\ud83d",
        r"\uDE00",
        r"\ud83d\ud83d",
        r"\ude00\ud83d",
        r"\ud83d\u0041",
        r"\\\ud83d\n",
        r"\ud83dx",
    ] {
        let text = format!(
            r#"{{"\u0061":"\u0062","message":"cut {half}","na{half}me":{{"x":1}},"ref":"refs/heads/m\u0061in","emoji":"\ud83d\ude00","list":["{half}",2]}}"#
        );
        let document = parse(&text);
        assert_eq!(document.string_at("/message"), None, "{half}");
        assert_eq!(document.kind_at("/message"), Some(Kind::Text));
        assert_eq!(
            document.json_at("/message"),
            Some(format!(r#""cut {half}""#).into())
        );
        assert_eq!(document.string_at("/a"), Some("b"));
        assert_eq!(document.string_at("/ref"), Some("refs/heads/main"));
        assert_eq!(document.string_at("/emoji"), Some("\u{1f600}"));
        assert_eq!(document.len_at(""), Some(6));
        assert_eq!(document.json_at("/list/1").as_deref(), Some("2"));
        assert_eq!(document.string_at("/list/0"), None);
        assert_eq!(
            document.json_at("/list"),
            Some(format!(r#"["{half}",2]"#).into())
        );
        assert!(!document.has("/na\u{fffd}me"));
    }
}

#[test]
fn a_number_may_be_of_any_size() {
    let digits = "9".repeat(400);
    for number in [
        "1e400",
        "-1E+400",
        "1e309",
        "1e99999999999999999999",
        "1e-400",
        "12.5e999",
        &digits,
    ] {
        let document = parse(&format!(r#"{{"n":{number},"ref":"v1","list":[{number}]}}"#));
        assert_eq!(document.kind_at("/n"), Some(Kind::Number), "{number}");
        assert_eq!(document.json_at("/n").as_deref(), Some(number));
        assert_eq!(document.json_at("/list/0").as_deref(), Some(number));
        assert_eq!(document.string_at("/ref"), Some("v1"));
    }
    for text in [
        "[01e400]",
        "[1.e400]",
        "[1e400.]",
        "[--1e400]",
        "1e400 1e400",
    ] {
        assert!(Document::parse(&Bytes::from(text)).is_err(), "{text}");
    }
}

#[test]
fn every_element_of_a_long_list_is_found() {
    for len in [15, 16, 17, 32, 1000] {
        let elements: Vec<_> = (0..len)
            .map(|index| format!(r#"{{"name":"v{index}","nested":[[],{{}}]}}"#))
            .collect();
        let document = parse(&format!(
            r#"{{"before":[1,[2]],"list":[{}]}}"#,
            elements.join(",")
        ));
        for index in 0..len {
            let name = document.string_at(&format!("/list/{index}/name"));
            assert_eq!(name, Some(format!("v{index}").as_str()));
        }
        assert!(!document.has(&format!("/list/{len}")));
        assert!(!document.has(&format!("/list/{}", len + 16)));
    }
}

#[test]
fn a_body_that_is_not_json_is_explained() {
    let utf16 = |text: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        text.encode_utf16().flat_map(order).collect()
    };
    let utf32 = |text: &str, order: fn(u32) -> [u8; 4]| -> Vec<u8> {
        text.chars().flat_map(|c| order(c as u32)).collect()
    };
    let json = r#"{"ref":"v1"}"#;
    let marked = format!("\u{feff}{json}");
    let deep = "[".repeat(200);
    let cases: &[(&[u8], &str)] = &[
        (b"", "the body is empty"),
        (b"\xEF\xBB\xBF", "the body is empty"),
        (b" \r\n", "the body is empty"),
        (&utf16(json, u16::to_le_bytes), "UTF-16 (little-endian)"),
        (&utf16(json, u16::to_be_bytes), "UTF-16 (big-endian)"),
        (&utf16(&marked, u16::to_le_bytes), "UTF-16 (little-endian)"),
        (&utf16(&marked, u16::to_be_bytes), "UTF-16 (big-endian)"),
        (&utf32(json, u32::to_le_bytes), "UTF-32 (little-endian)"),
        (&utf32(json, u32::to_be_bytes), "UTF-32 (big-endian)"),
        (&utf32(&marked, u32::to_le_bytes), "UTF-32 (little-endian)"),
        (&utf32(&marked, u32::to_be_bytes), "UTF-32 (big-endian)"),
        (
            b"{\"a\":\"caf\xe9\"}",
            "the body is not UTF-8, which JSON has to be: byte 10 is invalid",
        ),
        (b"{\"a\":\"\xed\xa0\xbd\"}", "not UTF-8"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "compressed with gzip"),
        (b"\x28\xb5\x2f\xfd\x04", "compressed with zstd"),
        (b"\x78\x9c\xab\x56", "compressed with deflate"),
        (
            b"payload=%7B%22ref%22%3A%22v1%22%7D",
            "the body is a form, and not JSON: set the content type",
        ),
        (
            b"--boundary\r\nContent-Disposition: form-data",
            "a multipart form",
        ),
        (b"<?xml version=\"1.0\"?><push/>", "XML or HTML"),
        (b"{'ref': 'v1'}", "in single quotes"),
        (b"[ 'v1' ]", "in single quotes"),
        (b"{\"ref\":\"v1", "the body ends too early"),
        (b"{\"ref\":\"v1\"", "the body ends too early"),
        (b"{\"a\":\"\\ud83d", "the body ends too early"),
        (b"{\"ref\":\"v1\"}\0\0", "zero bytes follow it"),
        (
            b"{\"ref\":\"v1\"}\n{\"ref\":\"v2\"}\n",
            "another one follows it",
        ),
        (b"{\"a\":\"\\ud83d\"} x", "other characters follow it"),
        (
            b"{ref: \"v1\"}",
            "the body is not JSON: key must be a string",
        ),
        (b"{\"ref\":\"v1\",}", "the body is not JSON: trailing comma"),
        (b"// v1\n{}", "the body is not JSON: expected value"),
        (b"[NaN]", "the body is not JSON: expected value"),
        (b"\"a\nb\"", "the body is not JSON: control character"),
        (
            deep.as_bytes(),
            "the body is not JSON: recursion limit exceeded",
        ),
    ];
    for (body, expected) in cases {
        let error = Document::parse(&Bytes::copy_from_slice(body)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(expected), "{body:?}: {text}");
    }
}

#[test]
fn the_text_of_an_error_does_not_repeat_its_cause() {
    for (body, media_type) in [
        (&b"{} {}"[..], None),
        (b"{", None),
        (b"[1,]", None),
        (b"payload={} {}", Some("application/x-www-form-urlencoded")),
    ] {
        let error = Document::open(&Bytes::from_static(body), media_type).unwrap_err();
        let text = stoker_report::chain(&error).to_string();
        assert_eq!(text.matches("at line 1").count(), 1, "{text}");
    }
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

/// An object with this number of members, of which two have the name `0`.
fn members(count: usize, value: &str) -> String {
    let names = (0..count - 1).chain([0]);
    let members = names.map(|name| format!("\"{name}\":{value}"));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

#[test]
fn members_are_found_among_many() {
    for count in [names::LEAST - 1, names::LEAST, 10_000] {
        let inner = members(count, "1").replacen("\"0\":1", "\"0\":0", 1);
        let inner = inner.replacen("\"7\"", r#""\u0037""#, 1);
        let text = format!(r#"{{"a":{inner},"b":{{"0":2}}}}"#);
        let document = Document::parse(&text.into()).unwrap();
        let at = |pointer: &str| document.json_at(pointer).map(Cow::into_owned);
        // The last of two members with a name counts.
        for (pointer, expected) in [("/a/0", "1"), ("/a/7", "1"), ("/a/1", "1"), ("/b/0", "2")] {
            assert_eq!(at(pointer).as_deref(), Some(expected), "{count} {pointer}");
        }
        assert_eq!(at(&format!("/a/{}", count - 2)).as_deref(), Some("1"));
        for pointer in ["/a/-1", "/a/", "/a/1/0", "/b/1", "/0"] {
            assert!(!document.has(pointer), "{count} {pointer}");
        }
    }
}

#[test]
fn a_pointer_that_is_too_long_leads_to_no_value() {
    let name = "x".repeat(pointer::MAX_BYTES);
    let document = Document::parse(&format!(r#"{{"{name}":1,"{}":2}}"#, &name[1..]).into());
    let document = document.unwrap();
    assert!(document.has(&format!("/{}", &name[1..])));
    assert!(!document.has(&format!("/{name}")));
}
