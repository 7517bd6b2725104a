//! Texts, and the forms of text that a host accepts. If a plugin forwards another form from a sender, the host treats
//! this as a fault of the plugin.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

/// Concatenates the parts. Formatting and the standard library's `concat` would each add kilobytes to a component.
#[must_use]
pub fn concat(parts: &[&str]) -> String {
    let mut text = String::new();
    for part in parts {
        text.push_str(part);
    }
    text
}

/// Returns whether the text matches a pattern in a list. Patterns are separated by commas, and `*` matches any run of
/// characters: `v*, main`.
#[must_use]
pub fn matches_any(list: &str, text: &str) -> bool {
    list.split(',')
        .any(|pattern| matches(pattern.trim_ascii().as_bytes(), text.as_bytes()))
}

/// A star first matches nothing. If the rest does not match, the last star matches one more byte.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut next) = (0, 0);
    let mut star = None;
    while let Some(byte) = text.get(next) {
        match pattern.get(at) {
            Some(b'*') => {
                at += 1;
                star = Some((at, next));
            }
            Some(other) if other == byte => (at, next) = (at + 1, next + 1),
            _ => {
                let Some((behind, taken)) = star else {
                    return false;
                };
                (at, next) = (behind, taken + 1);
                star = Some((behind, next));
            }
        }
    }
    pattern
        .get(at..)
        .is_none_or(|rest| rest.iter().all(|byte| *byte == b'*'))
}

/// Returns the text without percent encoding (RFC 3986 §2.1). Invalid encodings, and encodings of invalid UTF-8, stay
/// unchanged.
#[must_use]
pub fn percent_decoded(text: &str) -> String {
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let encoded = match after {
            [high, low, behind @ ..] if *first == b'%' => {
                byte(*high, *low).map(|byte| (byte, behind))
            }
            _ => None,
        };
        let (byte, behind) = encoded.unwrap_or((*first, after));
        decoded.push(byte);
        rest = behind;
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.into())
}

fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |letter: u8| char::from(letter).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// Returns whether the text is the full id of a commit: 40 or 64 hexadecimal digits that are not all zero.
#[must_use]
pub fn is_commit_id(text: &str) -> bool {
    is_id_length(text) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) && !is_zero_id(text)
}

/// Returns whether the text is the id that git writes for "no commit": 40 or 64 zeros. As the new id of a ref, it means
/// that the ref was deleted.
#[must_use]
pub fn is_zero_id(text: &str) -> bool {
    is_id_length(text) && text.bytes().all(|byte| byte == b'0')
}

fn is_id_length(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
}

/// Returns a time in one of two further forms of senders as RFC 3339: `2026-01-02T03:04:05+0100`, the basic form of an
/// offset in ISO 8601, and `2026-01-02 03:04:05 UTC` or `2026-01-02 03:04:05 +0100`, the form of Ruby. A time that is RFC
/// 3339 already is returned as it is, and `None` for another text.
#[must_use]
pub fn rfc3339(text: &str) -> Option<String> {
    let time = match text.split_once(' ') {
        Some((date, rest)) => {
            let (time, zone) = rest.split_once(' ')?;
            concat(&[date, "T", time, if zone == "UTC" { "Z" } else { zone }])
        }
        None => text.into(),
    };
    let (start, offset) = time.split_at_checked(time.len().checked_sub(5)?)?;
    let time = match offset.as_bytes() {
        [b'+' | b'-', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            let (hours, minutes) = offset.split_at(3);
            concat(&[start, hours, ":", minutes])
        }
        _ => time,
    };
    is_timestamp(&time).then_some(time)
}

/// Returns whether the text is an RFC 3339 time with upper-case `T` and `Z`, at most nine fractional digits, no leap
/// second, and a year before 9999. The limit of the year keeps the time in range in any time zone.
#[must_use]
pub fn is_timestamp(text: &str) -> bool {
    timestamp(text.as_bytes()).is_some()
}

fn timestamp(text: &[u8]) -> Option<()> {
    let (fixed, mut zone) = text.split_at_checked(19)?;
    for (at, mark) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
        (fixed.get(at) == Some(&mark)).then_some(())?;
    }
    let (year, month) = (below(fixed, 0..4, 9999)?, below(fixed, 5..7, 13)?);
    let day = below(fixed, 8..10, days_in(year, month) + 1)?;
    below(fixed, 11..13, 24)?;
    below(fixed, 14..16, 60)?;
    below(fixed, 17..19, 60)?;
    if let Some(fraction) = zone.strip_prefix(b".") {
        let digits = fraction
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        zone = fraction.get(digits..).filter(|_| matches!(digits, 1..=9))?;
    }
    if let [b'+' | b'-', _, _, b':', _, _] = zone {
        below(zone, 1..3, 24)?;
        below(zone, 4..6, 60)?;
    } else if zone != b"Z" {
        return None;
    }
    (month > 0 && day > 0).then_some(())
}

/// Returns the number at a place, if it is less than the limit.
fn below(text: &[u8], place: Range<usize>, limit: u32) -> Option<u32> {
    let mut number = 0;
    for byte in text.get(place)? {
        number = number * 10 + char::from(*byte).to_digit(10)?;
    }
    (number < limit).then_some(number)
}

fn days_in(year: u32, month: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_is_decoded() {
        for (encoded, text) in [
            ("", ""),
            ("release%2F2.4", "release/2.4"),
            ("%e2%82%AC", "€"),
            ("50%25%2", "50%%2"),
            ("%zz%", "%zz%"),
            ("%ff", "%ff"),
        ] {
            assert_eq!(percent_decoded(encoded), text);
        }
    }

    #[test]
    fn a_star_matches_any_run() {
        for (list, text) in [
            ("v*", "v1"),
            ("v*", "v"),
            ("*", ""),
            ("a, v* ,b", "v1.0"),
            ("v*.*-rc*", "v1.2.3-rc1"),
            ("*a*b", "aabab"),
            ("**", "é"),
            ("main", "main"),
        ] {
            assert!(matches_any(list, text), "{list} {text}");
        }
        for (list, text) in [
            ("v*", "1v"),
            ("main", "main2"),
            ("main2", "main"),
            ("*a*b", "aba"),
            ("a,b", "a,b"),
            ("", "x"),
        ] {
            assert!(!matches_any(list, text), "{list} {text}");
        }
    }

    #[test]
    fn a_commit_id_is_full_and_not_zero() {
        assert!(is_commit_id(&"aB".repeat(20)) && is_commit_id(&"0f".repeat(32)));
        for text in [
            "",
            "abc1234",
            &"g".repeat(40),
            &"0".repeat(40),
            &"a".repeat(41),
        ] {
            assert!(!is_commit_id(text), "{text}");
        }
        assert!(is_zero_id(&"0".repeat(40)) && is_zero_id(&"0".repeat(64)));
        assert!(!is_zero_id("0") && !is_zero_id("") && !is_zero_id(&"a".repeat(40)));
    }

    #[test]
    fn the_times_of_senders_become_rfc_3339() {
        for (text, expected) in [
            ("2026-01-02T03:04:05Z", Some("2026-01-02T03:04:05Z")),
            (
                "2026-01-02T03:04:05.250+01:00",
                Some("2026-01-02T03:04:05.250+01:00"),
            ),
            (
                "2026-01-02T03:04:05+0100",
                Some("2026-01-02T03:04:05+01:00"),
            ),
            (
                "2026-01-02T03:04:05.5-0930",
                Some("2026-01-02T03:04:05.5-09:30"),
            ),
            ("2026-01-02 03:04:05 UTC", Some("2026-01-02T03:04:05Z")),
            (
                "2026-01-02 03:04:05 +0200",
                Some("2026-01-02T03:04:05+02:00"),
            ),
            (
                "2026-01-02 03:04:05 -09:30",
                Some("2026-01-02T03:04:05-09:30"),
            ),
            ("2026-01-02 03:04:05+0200", None),
            ("2026-01-02 03:04:05 +02", None),
            ("2026-01-02 03:04:05 +2500", None),
            ("2026-01-02  03:04:05 UTC", None),
            ("2026-01-02 03:04:05 UTC +0200", None),
            ("2026-01-02T03:04:05 UTC", None),
            ("2026-01-02 03:04:05", None),
            ("2026-01-02T03:04:05+2500", None),
            ("2026-01-02T03:04:05", None),
            ("2026-01-02 03:04:05 CET", None),
            ("2026-01-02 UTC", None),
            (" UTC", None),
            ("é+100", None),
            ("+0100", None),
            ("", None),
        ] {
            assert_eq!(rfc3339(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_timestamp_is_one_of_rfc_3339() {
        for text in [
            "2026-01-02T03:04:05Z",
            "2026-12-31T23:59:59.123456789+14:00",
            "2024-02-29T00:00:00-00:30",
            "2000-02-29T00:00:00.5Z",
        ] {
            assert!(is_timestamp(text), "{text}");
        }
        for text in [
            "",
            "2026-01-02",
            "2026-01-02 03:04:05Z",
            "2026-01-02T03:04:05",
            "2026-13-02T03:04:05Z",
            "2026-00-02T03:04:05Z",
            "2026-02-29T03:04:05Z",
            "2100-02-29T03:04:05Z",
            "2026-04-31T03:04:05Z",
            "2026-01-00T03:04:05Z",
            "2026-01-02T24:04:05Z",
            "2026-01-02T03:60:05Z",
            "2026-01-02T03:04:60Z",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05.1234567890Z",
            "2026-01-02T03:04:05+24:00",
            "2026-01-02T03:04:05+0100",
            "2026-01-02T03:04:05ZZ",
            "9999-12-31T23:59:59Z",
            "2026-01-0ⅷT03:04:05Z",
            "1557933657",
        ] {
            assert!(!is_timestamp(text), "{text}");
        }
    }
}
