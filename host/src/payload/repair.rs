//! Texts that RFC 8259 allows, made readable for a stricter parser.

use std::ops::Range;

use serde::de::IgnoredAny;

/// A JSON text that the parser accepts, made from one that it refuses. Both texts have the same length, and each value
/// has the same position in both.
pub(super) struct Repaired {
    pub(super) text: Vec<u8>,
    /// The strings that contain a lone surrogate, as indices among the strings with escapes.
    pub(super) unusable: Vec<usize>,
}

/// Replaces text that RFC 8259 allows and the parser refuses. Returns `None` if there is nothing to replace. It
/// replaces:
///
/// - An escape of one half of a surrogate pair. The grammar allows it (§7, §8.2), and senders that truncate a text by
///   UTF-16 units write it.
/// - A number beyond the range of a double, such as `1e400`. The grammar does not limit the range (§6).
pub(super) fn repair(text: &[u8]) -> Option<Repaired> {
    let mut scanner = Scanner {
        repaired: Repaired {
            text: text.to_vec(),
            unusable: Vec::new(),
        },
        escaped_strings: 0,
        has_changed: false,
    };
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at = match byte {
            b'"' => scanner.string(text, at + 1),
            b'-' | b'0'..=b'9' => scanner.number(text, at),
            _ => at + 1,
        };
    }
    scanner.has_changed.then_some(scanner.repaired)
}

struct Scanner {
    repaired: Repaired,
    escaped_strings: usize,
    has_changed: bool,
}

impl Scanner {
    /// Returns the position after the string whose first byte is at `at`.
    fn string(&mut self, text: &[u8], mut at: usize) -> usize {
        let (mut has_escape, mut is_unusable) = (false, false);
        loop {
            match text.get(at) {
                None => return at,
                Some(b'"') => break,
                Some(b'\\') => {
                    has_escape = true;
                    at = match surrogates(text, at) {
                        Surrogates::None => at + 2,
                        Surrogates::Pair => at + 12,
                        Surrogates::Lone => {
                            is_unusable = true;
                            self.replace(at..at + 6, br"\ufffd");
                            at + 6
                        }
                    };
                }
                Some(_) => at += 1,
            }
        }
        if is_unusable {
            self.repaired.unusable.push(self.escaped_strings);
        }
        self.escaped_strings += usize::from(has_escape);
        at + 1
    }

    /// Returns the position after the number that starts at `at`.
    fn number(&mut self, text: &[u8], at: usize) -> usize {
        let rest = &text[at..];
        let is_part =
            |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
        let number = &rest[..rest.iter().take_while(is_part).count()];
        let value = std::str::from_utf8(number).map_or(Ok(0.0), str::parse::<f64>);
        let is_valid = || serde_json::from_slice::<IgnoredAny>(number).is_ok();
        if value.is_ok_and(f64::is_infinite) && is_valid() {
            // The shortest number beyond the range, 1e309, has five bytes.
            self.replace(at..at + number.len(), b"0.0");
        }
        at + number.len()
    }

    fn replace(&mut self, place: Range<usize>, by: &[u8]) {
        self.has_changed = true;
        let place = &mut self.repaired.text[place];
        place.fill(b' ');
        place[..by.len()].copy_from_slice(by);
    }
}

/// The kinds of escape at a position, with regard to surrogates.
enum Surrogates {
    None,
    Pair,
    Lone,
}

fn surrogates(text: &[u8], at: usize) -> Surrogates {
    match code_unit(text, at) {
        Some(0xD800..=0xDBFF) if matches!(code_unit(text, at + 6), Some(0xDC00..=0xDFFF)) => {
            Surrogates::Pair
        }
        Some(0xD800..=0xDFFF) => Surrogates::Lone,
        _ => Surrogates::None,
    }
}

/// The UTF-16 code unit of the escape `\uXXXX` at a position.
fn code_unit(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 6)?.strip_prefix(br"\u")?;
    digits.iter().try_fold(0, |unit, &digit| {
        Some(unit * 16 + char::from(digit).to_digit(16)?)
    })
}
