//! The memory of a parsed body, which is bounded before it is parsed.

use super::*;

#[test]
fn the_memory_of_parsing_is_known_in_advance() {
    let many = |one: &str, count: usize| format!("[{}]", vec![one; count].join(","));
    for body in [
        many("0", 100_000),
        many("[]", 50_000),
        many(r#""\n""#, 50_000),
        many(r#"{"name":"v1","text":"two\nlines"}"#, 10_000),
        members(names::LEAST, "0"),
        members(10_000, "0"),
        many(&members(names::LEAST, r#""\n""#), 100),
        many(&many("1", 17), 5_000),
        "[".repeat(100),
        String::new(),
    ] {
        let bound = Document::memory(body.as_bytes(), None);
        let body = Bytes::from(body);
        let memory = Document::parse(&body).map_or(0, |document| document.tape.memory());
        assert!(memory <= bound, "{memory} > {bound}: {:?}", body.get(..40));
    }
}

#[test]
fn the_memory_of_what_a_form_or_an_envelope_holds_is_known_in_advance() {
    let values = format!("[{}]", vec!["0"; 20_000].join(","));
    let form = format!("payload={}", values.replace(',', "%2C"));
    let topic = "arn:aws:sns:eu-west-1:111122223333:plant";
    let envelope =
        serde_json::json!({"Type": "Notification", "TopicArn": topic, "Message": values});
    for body in [form, envelope.to_string()] {
        let bound = Document::memory(body.as_bytes(), None);
        let (text, document) = Document::open(&Bytes::from(body), None).unwrap();
        assert_eq!(text.len(), values.len());
        let memory = text.len() + document.tape.memory();
        assert!(memory <= bound, "{memory} > {bound}");
    }
}
