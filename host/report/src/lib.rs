//! Formats errors and untrusted text for display.

use std::error::Error;
use std::fmt;

use icu_properties::props::{
    DefaultIgnorableCodePoint, ExtendedPictographic, GeneralCategory, NoncharacterCodePoint,
};
use icu_properties::{CodePointMapData, CodePointSetData};

/// The number of characters of an excerpt.
const EXCERPT_CHARACTERS: usize = 200;

/// Formats an error and its causes on one line, separated by colons and escaped as by [`escape`].
#[must_use]
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + 'a {
    Chain(error)
}

struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        write!(out, "{}", one_line(&last))?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some libraries repeat the text of the cause in their own text.
            if !last.ends_with(&text) {
                write!(out, ": {}", one_line(&text))?;
            }
            last = text;
            cause = error.source();
        }
        Ok(())
    }
}

fn one_line(text: &str) -> String {
    escape(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Escapes the characters that a terminal interprets, for example as `\u{1b}`. Text from a plugin, a file name or
/// another program must not move the cursor, change colours or reverse the direction of writing.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (c, is_unprintable) in characters(text) {
        if is_unprintable {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Returns the beginning of a text from another program for use in a message: one line of at most 200 characters.
/// Spaces take the places of characters that cannot be printed.
#[must_use]
pub fn excerpt(text: &str) -> String {
    characters(text.trim())
        .take(EXCERPT_CHARACTERS)
        .map(|(c, is_unprintable)| if is_unprintable { ' ' } else { c })
        .collect()
}

/// Returns the error of a deserialization without the values that it quotes: of an object that may have credentials in a
/// wrong field.
#[must_use]
pub fn without_values(error: &str) -> String {
    // The texts of serde end in what is expected. A variant is quoted in the way of a field, whose name is known.
    const VARIANT: &str = "unknown variant `";
    let quoted = if error.starts_with(VARIANT) {
        error.rfind("`, expected ").map(|end| (VARIANT.len(), end))
    } else {
        let first = error.find('"').map(|start| start + 1);
        first
            .zip(error.rfind('"'))
            .filter(|(start, end)| start <= end)
    };
    quoted.map_or_else(
        || error.to_owned(),
        |(start, end)| format!("{}…{}", &error[..start], &error[end..]),
    )
}

/// The characters without a shape of their own that Unicode classifies as symbols: an empty braille pattern, and the place
/// of an object.
const SHAPELESS: [char; 2] = ['\u{2800}', '\u{fffc}'];

/// The variation selector that shows the character in front of it as an emoji.
const EMOJI_STYLE: char = '\u{fe0f}';

/// Returns the characters of a text, each with whether it is unprintable at its place: a control character, or one that
/// cannot be seen. The variation selector of an emoji is printable directly after a character that can be shown as one.
pub fn characters(text: &str) -> impl Iterator<Item = (char, bool)> {
    let mut before = None;
    text.chars().map(move |c| {
        let is_styled = c == EMOJI_STYLE && before.is_some_and(is_pictograph);
        before = Some(c);
        (c, is_unprintable(c) && !is_styled)
    })
}

/// Returns the first character of a text that is unprintable at its place.
#[must_use]
pub fn first_unprintable(text: &str) -> Option<char> {
    let mut characters = characters(text);
    characters.find_map(|(c, is_unprintable)| is_unprintable.then_some(c))
}

fn is_pictograph(c: char) -> bool {
    CodePointSetData::new::<ExtendedPictographic>().contains(c)
}

/// Returns whether a character is a control character, or cannot be seen: formatting such as a change of direction, a
/// filler, a variation selector, a space of an unusual width, or no character at all.
fn is_unprintable(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    matches!(
        CodePointMapData::<GeneralCategory>::new().get(c),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::SpaceSeparator
    ) || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || CodePointSetData::new::<NoncharacterCodePoint>().contains(c)
        || SHAPELESS.contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open\n the door")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_follow_on_one_line() {
        let error = Outer(std::io::Error::other("it is stuck"));
        assert_eq!(
            chain(&error).to_string(),
            "cannot open the door: it is stuck"
        );
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt(" a\nb\u{1b}c\u{202e}\n"), "a b c ");
        assert_eq!(excerpt(&"ü".repeat(201)), "ü".repeat(200));
    }

    #[test]
    fn the_values_of_an_object_are_not_shown() {
        for (error, expected) in [
            (
                "invalid type: string \"https://u:\\\"s3cret\\\"@h\", expected struct Git at line 1 column 9",
                "invalid type: string \"…\", expected struct Git at line 1 column 9",
            ),
            (
                "unknown variant `s3`, expected cret`, expected `Enabled` or `Disabled`",
                "unknown variant `…`, expected `Enabled` or `Disabled`",
            ),
            ("missing field `git`", "missing field `git`"),
            ("a \" alone", "a \" alone"),
        ] {
            assert_eq!(without_values(error), expected);
        }
    }

    #[test]
    fn what_cannot_be_seen_is_unprintable() {
        let invisible = "\u{80}\u{a0}\u{ad}\u{34f}\u{61c}\u{6dd}\u{115f}\u{1680}\u{17b4}\u{180b}\u{180e}\u{2003}\u{200b}\
             \u{202f}\u{2065}\u{2800}\u{3000}\u{3164}\u{fdd0}\u{fe00}\u{fe0f}\u{feff}\u{ffa0}\u{fff0}\u{fffc}\u{ffff}\
             \u{110bd}\u{13430}\u{1bca0}\u{1d173}\u{1fffe}\u{e0000}\u{e0100}\u{e01ef}\u{e0fff}\u{10ffff}";
        for c in invisible.chars() {
            assert!(is_unprintable(c), "{:x}", u32::from(c));
        }
        for c in " ~–üλगרה版ﬃ🎉\u{fffd}\u{301}".chars() {
            assert!(!is_unprintable(c), "{:x}", u32::from(c));
        }
    }

    #[test]
    fn the_style_of_an_emoji_is_printable() {
        for text in [
            "♻\u{fe0f}",
            "x-⚡\u{fe0f}/y",
            "🏷\u{fe0f}✏\u{fe0f}",
            "©\u{fe0f}",
        ] {
            assert_eq!(first_unprintable(text), None, "{text}");
            assert_eq!(escape(text), text);
            assert_eq!(excerpt(text), text);
        }
        for text in [
            "\u{fe0f}",
            "v1\u{fe0f}",
            "#\u{fe0f}",
            "ü\u{fe0f}",
            "版\u{fe0f}",
            "♻x\u{fe0f}",
            "♻\u{fe0f}\u{fe0f}",
            "♻\u{301}\u{fe0f}",
        ] {
            assert_eq!(first_unprintable(text), Some('\u{fe0f}'), "{text:?}");
        }
        assert_eq!(escape("⚡\u{fe0f}\u{fe0f}"), "⚡\u{fe0f}\\u{fe0f}");
        for text in ["♻\u{fe0e}", "♻\u{200d}", "♻\u{3000}"] {
            assert!(first_unprintable(text).is_some(), "{text:?}");
        }
    }

    #[test]
    fn what_a_terminal_would_act_on_is_escaped() {
        for (text, expected) in [
            ("a b – ü", "a b – ü"),
            ("\u{1b}[31mred", r"\u{1b}[31mred"),
            ("a\tb\nc\r", r"a\tb\nc\r"),
            ("\u{9b}2J\u{7f}", r"\u{9b}2J\u{7f}"),
            ("a\u{202e}b\u{2066}\u{feff}", r"a\u{202e}b\u{2066}\u{feff}"),
        ] {
            assert_eq!(escape(text), expected);
        }
        let error = std::io::Error::other("\u{1b}]0;title\u{7} is missing");
        assert_eq!(chain(&error).to_string(), r"\u{1b}]0;title\u{7} is missing");
    }
}
