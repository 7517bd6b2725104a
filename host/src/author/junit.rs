//! The report that CI systems read: JUnit XML.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::error::AuthorError;
use super::suite::{Case, Outcome, Suite};

/// The suites as JUnit XML.
pub fn junit(suites: &[Suite]) -> Result<Vec<u8>, AuthorError> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    write(&mut xml, suites).map_err(AuthorError::Report)?;
    let mut bytes = xml.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

type Xml = Writer<Vec<u8>>;

fn write(xml: &mut Xml, suites: &[Suite]) -> io::Result<()> {
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.create_element("testsuites")
        .write_inner_content(|xml| suites.iter().try_for_each(|one| suite(xml, one)))?;
    Ok(())
}

fn suite(xml: &mut Xml, suite: &Suite) -> io::Result<()> {
    let total: f64 = suite
        .cases
        .iter()
        .map(|case| case.duration.as_secs_f64())
        .sum();
    let counts = [
        ("tests", suite.cases.len().to_string()),
        ("failures", suite.failed().to_string()),
        ("time", format!("{total:.6}")),
    ];
    xml.create_element("testsuite")
        .with_attribute(("name", sound(&suite.name).as_str()))
        .with_attributes(counts.iter().map(|(name, value)| (*name, value.as_str())))
        .write_inner_content(|xml| {
            let mut cases = suite.cases.iter();
            cases.try_for_each(|one| case(xml, &suite.name, one))
        })?;
    Ok(())
}

fn case(xml: &mut Xml, suite: &str, case: &Case) -> io::Result<()> {
    let time = format!("{:.6}", case.duration.as_secs_f64());
    let element = xml
        .create_element("testcase")
        .with_attribute(("classname", sound(suite).as_str()))
        .with_attribute(("name", sound(&case.name).as_str()))
        .with_attribute(("time", time.as_str()));
    let Outcome::Failed(lines) = &case.outcome else {
        element.write_empty()?;
        return Ok(());
    };
    element.write_inner_content(|xml| {
        let text = sound(&lines.join("\n"));
        xml.create_element("failure")
            .with_attribute(("message", "not as the payload file expects"))
            .write_text_content(BytesText::new(&text))?;
        Ok(())
    })?;
    Ok(())
}

/// Without what XML 1.0 has no way to write.
fn sound(text: &str) -> String {
    let is_char = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    text.chars()
        .map(|c| {
            if is_char(c) {
                c
            } else {
                char::REPLACEMENT_CHARACTER
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_has_a_meaning_in_xml_is_escaped() {
        let case = |name: &str, outcome| Case {
            name: name.to_owned(),
            duration: Duration::from_micros(1500),
            outcome,
        };
        let suite = Suite {
            name: "a\"b".into(),
            cases: vec![
                case("x<y>.json", Outcome::Passed("found")),
                case(
                    "z.json",
                    Outcome::Failed(vec!["expect".into(), "+ \"]]>&\u{1}\"".into()]),
                ),
            ],
        };
        let xml = String::from_utf8(junit(&[suite]).unwrap()).unwrap();
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="a&quot;b" tests="2" failures="1" time="0.003000">
    <testcase classname="a&quot;b" name="x&lt;y&gt;.json" time="0.001500"/>
    <testcase classname="a&quot;b" name="z.json" time="0.001500">
      <failure message="not as the payload file expects">expect
+ &quot;]]&gt;&amp;�&quot;</failure>
    </testcase>
  </testsuite>
</testsuites>
"#;
        assert_eq!(xml, expected);
    }
}
