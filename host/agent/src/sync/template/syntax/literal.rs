//! Numbers, texts and characters in actions, as Go's package `strconv` reads them.
//!
//! The library accepts more than Go, and reads some literals in another way. So each is read here, and written in a form
//! that both read in the same way.

use super::Problem;

/// The largest exponent of a hexadecimal number.
const MAX_EXPONENT: u32 = 900;

/// Returns the length of the number at the beginning of a text, by the rules of Go's scanner, with all characters of a
/// word that follow. Returns 0 if there is no number.
pub(super) fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = usize::from(text.starts_with(['+', '-']));
    let digit = bytes.get(at + usize::from(bytes.get(at) == Some(&b'.')));
    if !digit.is_some_and(u8::is_ascii_digit) {
        return 0;
    }
    let prefix = bytes.get(at..at + 2).unwrap_or_default();
    let is_hex = prefix.eq_ignore_ascii_case(b"0x");
    while let Some(byte) = bytes.get(at) {
        let is_exponent = match bytes[at - at.min(1)] {
            b'e' | b'E' => !is_hex,
            b'p' | b'P' => is_hex,
            _ => false,
        };
        let is_part = byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'.')
            || is_exponent && matches!(byte, b'+' | b'-');
        if !is_part {
            break;
        }
        at += 1;
    }
    at
}

/// Writes a number so that the library reads the one that Go reads.
pub(super) fn number(text: &str) -> Result<String, Problem> {
    read_number(text).ok_or_else(|| Problem::Number(text.to_owned()))
}

fn read_number(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let plain = without_underscores(digits)?;
    let base = match plain.get(..2).unwrap_or_default() {
        "0x" | "0X" => 16,
        "0o" | "0O" => 8,
        "0b" | "0B" => 2,
        _ => 10,
    };
    let is_float = match base {
        16 => plain.contains(['.', 'p', 'P']),
        10 => plain.contains(['.', 'e', 'E']),
        _ => false,
    };
    if is_float && base == 16 {
        let (_, exponent) = plain.split_once(['p', 'P'])?;
        let exponent: i32 = exponent.parse().ok()?;
        return (exponent.unsigned_abs() <= MAX_EXPONENT).then(|| format!("{sign}{plain}"));
    }
    if is_float {
        let number: f64 = plain.parse().ok()?;
        return number.is_finite().then(|| format!("{sign}{number:e}"));
    }
    let number = match base {
        10 if plain.len() > 1 && plain.starts_with('0') => u64::from_str_radix(&plain, 8),
        10 => plain.parse(),
        base => u64::from_str_radix(&plain[2..], base),
    };
    let number = number.ok()?;
    let sign = if number == 0 { "" } else { sign };
    Some(format!("{sign}{number}"))
}

/// Removes underscores, which are allowed between digits and after the prefix of a base.
fn without_underscores(digits: &str) -> Option<String> {
    let bytes = digits.as_bytes();
    let is_hex = bytes
        .get(..2)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"0x"));
    let is_digit = |byte: &u8| byte.is_ascii_digit() || is_hex && byte.is_ascii_hexdigit();
    for (at, _) in digits.match_indices('_') {
        let before = at.checked_sub(1).and_then(|at| bytes.get(at))?;
        let is_prefix = at == 2 && bytes[0] == b'0' && b"xXoObB".contains(before);
        let after = bytes.get(at + 1)?;
        if !(is_prefix || is_digit(before)) || !is_digit(after) {
            return None;
        }
    }
    Some(digits.replace('_', ""))
}

/// Writes a text or a character in quotes so that the library reads what Go reads. The quotes are closed.
pub(super) fn quoted(text: &str) -> Result<String, Problem> {
    let inner = &text[1..text.len() - 1];
    match text.as_bytes()[0] {
        // Go leaves carriage returns out.
        b'`' => Ok(text.replace('\r', "")),
        b'\'' => {
            let mut rest = inner;
            let character = next(&mut rest, '\'').filter(|_| rest.is_empty());
            let code = match character.ok_or_else(|| Problem::Escape(text.to_owned()))? {
                Unit::Byte(byte) => u32::from(byte),
                Unit::Character(character) => u32::from(character),
            };
            // Without spaces, two of them would become one number.
            Ok(format!(" {code} "))
        }
        _ => {
            let (mut rest, mut bytes) = (inner, Vec::with_capacity(inner.len()));
            while !rest.is_empty() {
                match next(&mut rest, '"').ok_or_else(|| Problem::Escape(text.to_owned()))? {
                    Unit::Byte(byte) => bytes.push(byte),
                    Unit::Character(character) => {
                        bytes.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                }
            }
            let value = String::from_utf8(bytes).map_err(|_| Problem::Encoding(text.to_owned()))?;
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            Ok(format!("\"{value}\""))
        }
    }
}

enum Unit {
    /// A byte of a text, which may be a part of a character.
    Byte(u8),
    Character(char),
}

/// Takes a character or an escape from the beginning of a text.
fn next(rest: &mut &str, quote: char) -> Option<Unit> {
    let mut characters = rest.chars();
    let first = characters.next()?;
    if first != '\\' {
        *rest = characters.as_str();
        return Some(Unit::Character(first));
    }
    let escape = characters.next()?;
    *rest = characters.as_str();
    let character = match escape {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        'x' => return digits(rest, 2, 16).and_then(byte),
        'u' => {
            return digits(rest, 4, 16)
                .and_then(char::from_u32)
                .map(Unit::Character);
        }
        'U' => {
            return digits(rest, 8, 16)
                .and_then(char::from_u32)
                .map(Unit::Character);
        }
        '0'..='7' => {
            let first = escape.to_digit(8)?;
            return byte(first * 64 + digits(rest, 2, 8)?);
        }
        other if other == quote => quote,
        _ => return None,
    };
    Some(Unit::Character(character))
}

fn byte(number: u32) -> Option<Unit> {
    u8::try_from(number).ok().map(Unit::Byte)
}

fn digits(rest: &mut &str, length: usize, base: u32) -> Option<u32> {
    let digits = rest.get(..length)?;
    if !digits.chars().all(|digit| digit.is_digit(base)) {
        return None;
    }
    *rest = &rest[length..];
    u32::from_str_radix(digits, base).ok()
}
