//! Values as text, as Go's package `fmt` prints them.

use std::fmt::Write as _;

use gotmpl::Value;

use super::MAX_OUTPUT;

/// What stands for the absence of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nil {
    /// A value among others, as in `print`.
    Nil,
    /// The text of a missing value, as in the output.
    NoValue,
}

/// Prints values, with a space between two of which none is a text. Returns `None` if the text is too long.
pub(super) fn print(values: &[Value], nil: Nil) -> Option<String> {
    let mut text = String::new();
    let mut is_after_text = true;
    for value in values {
        let is_nil = matches!(value, Value::Nil);
        let is_text = matches!(value, Value::String(_)) || is_nil && nil == Nil::NoValue;
        if !is_after_text && !is_text {
            text.push(' ');
        }
        if is_nil && nil == Nil::NoValue {
            text.push_str("<no value>");
        } else {
            write(value, &mut text);
        }
        is_after_text = is_text;
        if text.len() > MAX_OUTPUT {
            return None;
        }
    }
    Some(text)
}

/// Prints values with a space between each two, and a newline.
pub(super) fn println(values: &[Value]) -> Option<String> {
    let mut text = String::new();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        write(value, &mut text);
        if text.len() > MAX_OUTPUT {
            return None;
        }
    }
    text.push('\n');
    Some(text)
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Float(float) => text.push_str(&shortest(*float, false)),
        Value::String(string) => text.push_str(string),
        // A string takes everything.
        other => {
            let _ = write!(text, "{other}");
        }
    }
}

/// Writes a number with as many digits as it needs, and with an exponent if it is large or small: the verb `%g`.
pub(super) fn shortest(number: f64, is_upper: bool) -> String {
    general(&format!("{number:e}"), 6, is_upper)
}

/// Writes a number with at most so many digits: the verb `%g` with a precision.
pub(super) fn rounded(number: f64, digits: usize, is_upper: bool) -> String {
    let digits = digits.max(1);
    let text = exact_exponent(number, digits - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = if mantissa.contains('.') {
        mantissa.trim_end_matches('0').trim_end_matches('.')
    } else {
        mantissa
    };
    general(&format!("{mantissa}e{exponent}"), digits, is_upper)
}

/// Writes `d.ddde±x` with an exponent of at least two digits, or without one if it is from -4 to below `limit`.
fn general(text: &str, limit: usize, is_upper: bool) -> String {
    let (mantissa, exponent) = split(text);
    let is_fixed =
        exponent >= -4 && usize::try_from(exponent.max(0)).is_ok_and(|size| size < limit);
    if !is_fixed {
        return with_exponent(mantissa, exponent, is_upper);
    }
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let digits = mantissa.replace('.', "");
    let Ok(exponent) = usize::try_from(exponent) else {
        let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
        return format!("{sign}0.{zeros}{digits}");
    };
    if digits.len() <= exponent + 1 {
        let zeros = "0".repeat(exponent + 1 - digits.len());
        return format!("{sign}{digits}{zeros}");
    }
    let (whole, rest) = digits.split_at(exponent + 1);
    format!("{sign}{whole}.{rest}")
}

/// Writes a number with an exponent: the verb `%e`.
pub(super) fn exponential(number: f64, precision: usize, is_upper: bool) -> String {
    let text = exact_exponent(number, precision);
    let (mantissa, exponent) = split(&text);
    with_exponent(mantissa, exponent, is_upper)
}

/// Writes a number without an exponent: the verb `%f`.
pub(super) fn fixed(number: f64, precision: usize) -> String {
    let (known, zeros) = known_digits(precision);
    let text = format!("{number:.known$}");
    text + &"0".repeat(zeros)
}

fn exact_exponent(number: f64, precision: usize) -> String {
    let (known, zeros) = known_digits(precision);
    let text = format!("{number:.known$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{mantissa}{}e{exponent}", "0".repeat(zeros))
}

/// No number has more than 1,100 digits that are not zero. The standard library does not write many more.
fn known_digits(precision: usize) -> (usize, usize) {
    let known = precision.min(1100);
    (known, precision - known)
}

fn split(text: &str) -> (&str, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    (mantissa, exponent.parse().unwrap_or_default())
}

fn with_exponent(mantissa: &str, exponent: i32, is_upper: bool) -> String {
    let letter = if is_upper { 'E' } else { 'e' };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}{letter}{sign}{:02}", exponent.unsigned_abs())
}

/// Escapes a text for JavaScript. Unlike the library, it also escapes what cannot be printed, as Go does.
pub(super) fn js_escape(text: &str) -> String {
    let escaped = gotmpl::js_escape(text);
    if escaped.is_ascii() {
        return escaped;
    }
    let mut text = String::with_capacity(escaped.len());
    for character in escaped.chars() {
        if character.is_ascii() || is_printable(character) {
            text.push(character);
        } else {
            let _ = write!(text, "\\u{:04X}", u32::from(character));
        }
    }
    text
}

/// Returns whether a character is a letter, a mark, a number, a sign or the space of ASCII.
pub(super) fn is_printable(character: char) -> bool {
    // At the beginning of a text, marks would be escaped.
    let text = ['a', character].iter().collect::<String>();
    matches!(character, '"' | '\'' | '\\') || text.escape_debug().nth(1) == Some(character)
}

/// Quotes a text as Go does.
pub(super) fn quote(text: &str, quote: char, is_ascii: bool) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(quote);
    for character in text.chars() {
        let code = u32::from(character);
        let _ = match character {
            '\\' => write!(quoted, "\\\\"),
            _ if character == quote => write!(quoted, "\\{quote}"),
            _ if is_printable(character) && (character.is_ascii() || !is_ascii) => {
                quoted.push(character);
                Ok(())
            }
            '\u{7}' => write!(quoted, "\\a"),
            '\u{8}' => write!(quoted, "\\b"),
            '\u{c}' => write!(quoted, "\\f"),
            '\n' => write!(quoted, "\\n"),
            '\r' => write!(quoted, "\\r"),
            '\t' => write!(quoted, "\\t"),
            '\u{b}' => write!(quoted, "\\v"),
            '\0'..' ' | '\u{7f}' => write!(quoted, "\\x{code:02x}"),
            '\0'..='\u{ffff}' => write!(quoted, "\\u{code:04x}"),
            _ => write!(quoted, "\\U{code:08x}"),
        };
    }
    quoted.push(quote);
    quoted
}
