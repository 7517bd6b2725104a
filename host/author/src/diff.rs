//! The differences between two answers, in a form for authors.

use serde_json::Value;

use super::answer::Answer;

/// Returns the path of each value that differs, followed by a line with `-` for the expected value and a line with `+`
/// for the actual one.
pub(super) fn differences(expected: &Answer, actual: &Answer) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Ok(expected), Ok(actual)) =
        (serde_json::to_value(expected), serde_json::to_value(actual))
    {
        compare("expect", Some(&expected), Some(&actual), &mut lines);
    }
    lines
}

fn compare(path: &str, expected: Option<&Value>, actual: Option<&Value>, lines: &mut Vec<String>) {
    match (expected, actual) {
        (Some(expected), Some(actual)) if expected == actual => {}
        (Some(Value::Object(expected)), Some(Value::Object(actual)))
            if expected.keys().any(|name| actual.contains_key(name)) =>
        {
            let added = actual.keys().filter(|name| !expected.contains_key(*name));
            for name in expected.keys().chain(added) {
                let path = format!("{path}.{name}");
                compare(&path, expected.get(name), actual.get(name), lines);
            }
        }
        (Some(Value::Array(expected)), Some(Value::Array(actual))) => {
            for index in 0..expected.len().max(actual.len()) {
                let path = format!("{path}[{index}]");
                compare(&path, expected.get(index), actual.get(index), lines);
            }
        }
        (expected, actual) => {
            lines.push(path.to_owned());
            lines.extend(expected.map(|value| format!("- {value}")));
            lines.extend(actual.map(|value| format!("+ {value}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(expected: &str, actual: &str) -> Vec<String> {
        let parse = |text| serde_json::from_str(text).unwrap();
        differences(&parse(expected), &parse(actual))
    }

    #[test]
    fn each_difference_has_its_path() {
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
    fn answers_of_different_kinds_differ_as_a_whole() {
        assert_eq!(
            diff(r#"{"ignored":"ping"}"#, r#"{"notMine":true}"#),
            ["expect", r#"- {"ignored":"ping"}"#, r#"+ {"notMine":true}"#]
        );
    }
}
