//! Writes into a payload file what the plugin says, and leaves the rest of the file as it is.

use std::fs;
use std::path::Path;

use super::error::AuthorError;
use super::expectation::Expectation;
use super::payload::PayloadFile;

/// The longest expectation that is kept on one line, where it was on one line before.
const LINE: usize = 100;

impl PayloadFile {
    /// Writes what was said as what is expected.
    pub fn expect(&self, path: &Path, said: &Expectation) -> Result<(), AuthorError> {
        let text = self.with(said)?;
        fs::write(path, text).map_err(AuthorError::file(path))
    }

    fn with(&self, said: &Expectation) -> Result<String, AuthorError> {
        let (text, place) = self.text();
        let pretty = serde_json::to_string_pretty(said)?;
        let (before, after, is_line) = if let Some(place) = place {
            let is_line = !text[place.clone()].contains('\n');
            let (before, after) = (&text[..place.start], &text[place.end..]);
            (before.to_owned(), after.to_owned(), is_line)
        } else {
            // A file that was left open: the member goes before the last brace.
            let end = text.rfind('}').unwrap_or(text.len());
            let (body, end) = (text[..end].trim_end(), &text[end..]);
            let before = format!("{body},\n{}\"expect\": ", indent(body));
            (before, format!("\n{end}"), false)
        };
        let line = on_one_line(&pretty);
        let said = if is_line && line.len() <= LINE {
            line
        } else {
            shift(&pretty, &indent(&before))
        };
        Ok(format!("{before}{said}{after}"))
    }
}

/// The white space at the start of the last line.
fn indent(text: &str) -> String {
    let line = text.rsplit('\n').next().unwrap_or_default();
    line.chars().take_while(|c| c.is_whitespace()).collect()
}

/// Pretty JSON, further in. The indentation of a file's outermost members is its step.
fn shift(pretty: &str, step: &str) -> String {
    let mut lines = pretty.lines();
    let mut shifted = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        let text = line.trim_start();
        let depth = (line.len() - text.len()) / 2;
        shifted.push('\n');
        shifted.push_str(&step.repeat(depth + 1));
        shifted.push_str(text);
    }
    shifted
}

/// No string of pretty JSON holds a line break.
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

    use super::super::expectation::Announced;
    use super::*;

    fn updated(text: &str, said: &Expectation) -> String {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.json");
        fs::write(&path, text).unwrap();
        let file = PayloadFile::read(&path).unwrap();
        file.expect(&path, said).unwrap();
        let updated = fs::read_to_string(&path).unwrap();
        let again = PayloadFile::read(&path).unwrap();
        assert_eq!(again.expected.as_ref(), Some(said));
        updated
    }

    fn found() -> Expectation {
        Expectation::Found(vec![Announced {
            r#ref: "v2".into(),
            commit: None,
            repositories: vec!["o/r".into()],
            occurred_at: None,
            delivery_id: None,
        }])
    }

    #[test]
    fn only_the_expectation_changes() {
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
    fn one_line_stays_one_line() {
        let text = r#"{"description": "", "body": {}, "expect": {"notMine": true}}"#;
        let expected = r#"{"description": "", "body": {}, "expect": {"found": [{"ref": "v2", "repositories": ["o/r"]}]}}"#;
        assert_eq!(updated(text, &found()), expected);
    }

    #[test]
    fn a_file_that_was_left_open_is_completed() {
        let text = "{\n  \"description\": \"\",\n  \"body\": {}\n}\n";
        let said = Expectation::Ignored("a, {\"b\"}".into());
        let expected = "{\n  \"description\": \"\",\n  \"body\": {},\n  \"expect\": {\n    \"ignored\": \"a, {\\\"b\\\"}\"\n  }\n}\n";
        assert_eq!(updated(text, &said), expected);
    }
}
