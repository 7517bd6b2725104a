//! Where two expectations differ, as a person looks for it.

use serde_json::Value;

use super::expectation::Expectation;

/// Two lines, `-` for what was expected and `+` for what was said, below each place that differs.
pub(super) fn differences(expected: &Expectation, said: &Expectation) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Ok(expected), Ok(said)) = (serde_json::to_value(expected), serde_json::to_value(said)) {
        walk("expect", Some(&expected), Some(&said), &mut lines);
    }
    lines
}

fn walk(place: &str, expected: Option<&Value>, said: Option<&Value>, lines: &mut Vec<String>) {
    match (expected, said) {
        (Some(one), Some(other)) if one == other => {}
        (Some(Value::Object(one)), Some(Value::Object(other)))
            if one.keys().any(|name| other.contains_key(name)) =>
        {
            let added = other.keys().filter(|name| !one.contains_key(*name));
            for name in one.keys().chain(added) {
                walk(
                    &format!("{place}.{name}"),
                    one.get(name),
                    other.get(name),
                    lines,
                );
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            for index in 0..one.len().max(other.len()) {
                let place = format!("{place}[{index}]");
                walk(&place, one.get(index), other.get(index), lines);
            }
        }
        (expected, said) => {
            lines.push(place.to_owned());
            lines.extend(expected.map(|value| format!("- {value}")));
            lines.extend(said.map(|value| format!("+ {value}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(expected: &str, said: &str) -> Vec<String> {
        let parse = |text| serde_json::from_str(text).unwrap();
        differences(&parse(expected), &parse(said))
    }

    #[test]
    fn a_difference_is_told_where_it_is() {
        assert_eq!(
            diff(
                r#"{"found":[{"ref":"v1","deliveryId":"7"},{"ref":"v3"}]}"#,
                r#"{"found":[{"ref":"v2","repositories":["o/r"]}]}"#,
            ),
            [
                "expect.found[0].deliveryId",
                r#"- "7""#,
                "expect.found[0].ref",
                r#"- "v1""#,
                r#"+ "v2""#,
                "expect.found[0].repositories",
                r#"+ ["o/r"]"#,
                "expect.found[1]",
                r#"- {"ref":"v3"}"#,
            ]
        );
    }

    #[test]
    fn another_outcome_is_told_as_a_whole() {
        assert_eq!(
            diff(r#"{"ignored":"ping"}"#, r#"{"notMine":true}"#),
            ["expect", r#"- {"ignored":"ping"}"#, r#"+ {"notMine":true}"#]
        );
    }
}
