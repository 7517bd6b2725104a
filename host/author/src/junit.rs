//! The report for CI systems, as JUnit XML.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::error::AuthorError;
use super::suite::{Case, Outcome, Suite};

/// Returns the test results as JUnit XML.
pub fn junit(suites: &[Suite]) -> Result<String, AuthorError> {
    let mut report = Report::unnamed();
    report.add_test_suites(suites.iter().map(test_suite));
    Ok(report.to_string()?)
}

fn test_suite(suite: &Suite) -> TestSuite {
    let mut tests = TestSuite::new(text(&suite.name));
    tests.set_time(suite.cases.iter().map(|case| case.duration).sum());
    tests.add_test_cases(suite.cases.iter().map(|case| test_case(&suite.name, case)));
    tests
}

fn test_case(suite: &str, case: &Case) -> TestCase {
    let status = match &case.outcome {
        Outcome::Passed(_) | Outcome::Updated(_) => TestCaseStatus::success(),
        Outcome::Failed(lines) => non_success(
            NonSuccessKind::Failure,
            "the answer is not the one that the payload file expects",
            &lines.join("\n"),
        ),
        Outcome::Error(why) => non_success(NonSuccessKind::Error, "the test could not be run", why),
    };
    let mut test = TestCase::new(text(&case.name), status);
    test.set_classname(text(suite)).set_time(case.duration);
    test
}

fn non_success(kind: NonSuccessKind, message: &str, description: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status
        .set_message(message)
        .set_description(text(description));
    status
}

/// Replaces U+FFFE and U+FFFF, which XML 1.0 forbids. The library drops control characters.
fn text(text: &str) -> XmlString {
    let replacement = char::REPLACEMENT_CHARACTER.to_string();
    XmlString::new(text.replace(['\u{fffe}', '\u{ffff}'], &replacement))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn markup_is_escaped_and_characters_that_xml_lacks_are_left_out() {
        let case = |name: &str, outcome| Case {
            name: name.to_owned(),
            duration: Duration::from_millis(2),
            outcome,
        };
        let suite = Suite {
            name: "a\"b".into(),
            cases: vec![
                case("x<y>.json", Outcome::Passed("found")),
                case(
                    "z.json",
                    Outcome::Failed(vec!["expect".into(), "+ \"]]>&\u{1}\u{ffff}\"".into()]),
                ),
                case("none.json", Outcome::Error("it is invalid".into())),
            ],
        };
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" skipped="0" failures="1" errors="1">
    <testsuite name="a&quot;b" tests="3" skipped="0" errors="1" failures="1" time="0.006">
        <testcase name="x&lt;y&gt;.json" classname="a&quot;b" time="0.002"/>
        <testcase name="z.json" classname="a&quot;b" time="0.002">
            <failure message="the answer is not the one that the payload file expects">expect
+ &quot;]]&gt;&amp;�&quot;</failure>
        </testcase>
        <testcase name="none.json" classname="a&quot;b" time="0.002">
            <error message="the test could not be run">it is invalid</error>
        </testcase>
    </testsuite>
</testsuites>
"#;
        assert_eq!(junit(&[suite]).unwrap(), expected);
    }
}
