//! Writes a plugin's answer into a payload file, and leaves the rest of the file unchanged.

use std::fs;
use std::path::Path;

use super::answer::Answer;
use super::error::AuthorError;
use super::payload::PayloadFile;

/// The maximum length, in bytes, of an answer that is written on one line if the replaced answer was on one line.
const LINE_BYTES: usize = 100;

impl PayloadFile {
    /// Writes an answer into the file as the expected one.
    pub fn update(&self, path: &Path, answer: &Answer) -> Result<(), AuthorError> {
        let text = self.with(answer)?;
        fs::write(path, text).map_err(AuthorError::file(path))
    }

    /// Returns the text of the file with another expected answer.
    fn with(&self, answer: &Answer) -> Result<String, AuthorError> {
        let (text, span) = self.text();
        let newline = line_end(text);
        let pretty = serde_json::to_string_pretty(answer)?;
        let (before, after, is_line) = if let Some(span) = span {
            let is_line = !text[span.clone()].contains('\n');
            let (before, after) = (&text[..span.start], &text[span.end..]);
            (before.to_owned(), after.to_owned(), is_line)
        } else {
            // The file has no `expect`: the member goes before the last brace.
            let end = text.rfind('}').unwrap_or(text.len());
            let (body, end) = (text[..end].trim_end(), &text[end..]);
            let before = format!("{body},{newline}{}\"expect\": ", indent(body));
            (before, format!("{newline}{end}"), false)
        };
        let line = on_one_line(&pretty);
        let answer = if is_line && line.len() <= LINE_BYTES {
            line
        } else {
            shift(&pretty, &indent(&before), newline)
        };
        Ok(format!("{before}{answer}{after}"))
    }
}

/// Returns the line end of a file, which is that of its first line.
fn line_end(text: &str) -> &'static str {
    match text.split_once('\n') {
        Some((line, _)) if line.ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Returns the white space at the start of the last line.
fn indent(text: &str) -> String {
    let line = text.rsplit('\n').next().unwrap_or_default();
    line.chars().take_while(|c| c.is_whitespace()).collect()
}

/// Indents pretty JSON. `step` is the indentation of the file's outermost members.
fn shift(pretty: &str, step: &str, newline: &str) -> String {
    let mut lines = pretty.lines();
    let mut shifted = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        let text = line.trim_start();
        let depth = (line.len() - text.len()) / 2;
        shifted.push_str(newline);
        shifted.push_str(&step.repeat(depth + 1));
        shifted.push_str(text);
    }
    shifted
}

/// Puts pretty JSON on one line. No string in it holds a line break.
fn on_one_line(pretty: &str) -> String {
    let mut line = String::new();
    for part in pretty.lines().map(str::trim_start) {
        if line.ends_with(',') {
            line.push(' ');
        }
        line.push_str(part);
    }
    line
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::answer::FoundRef;
    use super::*;

    fn updated(text: &str, answer: &Answer) -> String {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("a.json");
        fs::write(&path, text).unwrap();
        let file = PayloadFile::read(&path).unwrap();
        file.update(&path, answer).unwrap();
        let updated = fs::read_to_string(&path).unwrap();
        let again = PayloadFile::read(&path).unwrap();
        assert_eq!(again.expected.as_ref(), Some(answer));
        updated
    }

    fn found() -> Answer {
        Answer::Found(vec![FoundRef {
            r#ref: "v2".into(),
            ref_kind: None,
            commit: None,
            repositories: vec!["o/r".into()],
            event: None,
            occurred_at: None,
            delivery_id: None,
        }])
    }

    #[test]
    fn only_the_expected_answer_changes() {
        let text = r#"{
    "expect": {
        "ignored": "x"
    },
    "description":   "b",
    "body": {"z":1,  "a":2}
}
"#;
        let expected = r#"{
    "expect": {
        "found": [
            {
                "ref": "v2",
                "repositories": [
                    "o/r"
                ]
            }
        ]
    },
    "description":   "b",
    "body": {"z":1,  "a":2}
}
"#;
        assert_eq!(updated(text, &found()), expected);
    }

    #[test]
    fn an_answer_on_one_line_stays_on_one_line() {
        let text = r#"{"description": "", "body": {}, "expect": {"notMine": true}}"#;
        let expected = r#"{"description": "", "body": {}, "expect": {"found": [{"ref": "v2", "repositories": ["o/r"]}]}}"#;
        assert_eq!(updated(text, &found()), expected);
    }

    #[test]
    fn an_expected_answer_of_null_is_replaced() {
        let text = r#"{"description": "", "expect": null, "body": null}"#;
        let answer = Answer::Ignored("x".into());
        let expected = r#"{"description": "", "expect": {"ignored": "x"}, "body": null}"#;
        assert_eq!(updated(text, &answer), expected);
    }

    #[test]
    fn a_file_without_an_expected_answer_gets_one() {
        let text = "{\n  \"description\": \"\",\n  \"body\": {}\n}\n";
        let answer = Answer::Ignored("a, {\"b\"}".into());
        let expected = "{\n  \"description\": \"\",\n  \"body\": {},\n  \"expect\": {\n    \"ignored\": \"a, {\\\"b\\\"}\"\n  }\n}\n";
        assert_eq!(updated(text, &answer), expected);
    }

    #[test]
    fn the_line_ends_and_the_byte_order_mark_of_a_file_stay() {
        for text in [
            "\u{feff}{\r\n  \"description\": \"\",\r\n  \"body\": {}\r\n}\r\n",
            "\u{feff}{\r\n  \"description\": \"\",\r\n  \"body\": {},\r\n  \"expect\": {\r\n    \"notMine\": true\r\n  }\r\n}\r\n",
        ] {
            let expected = "\u{feff}{\r\n  \"description\": \"\",\r\n  \"body\": {},\r\n  \"expect\": {\r\n    \"ignored\": \"x\"\r\n  }\r\n}\r\n";
            assert_eq!(updated(text, &Answer::Ignored("x".into())), expected);
        }
    }
}
