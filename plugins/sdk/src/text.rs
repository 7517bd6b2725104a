//! The forms of text that the host takes, so that a plugin passes on no other: what a sender wrote wrongly would count
//! as the plugin's fault.

use alloc::string::String;

/// The parts in a row. Formatting, and the standard library's way of joining, would add kilobytes to a component.
#[must_use]
pub fn concat(parts: &[&str]) -> String {
    let mut text = String::new();
    for part in parts {
        text.push_str(part);
    }
    text
}

/// Whether the text is the full id of a commit: 40 or 64 hexadecimal digits that are not all zero.
#[must_use]
pub fn is_commit_id(text: &str) -> bool {
    is_id_length(text) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) && !is_zero_id(text)
}

/// Whether the text is the id that git writes for "no commit": 40 or 64 zeros. As the new id of a ref it means that
/// the ref was deleted.
#[must_use]
pub fn is_zero_id(text: &str) -> bool {
    is_id_length(text) && text.bytes().all(|byte| byte == b'0')
}

fn is_id_length(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
}

/// Whether the text is a time by RFC 3339, with `T` and `Z` as capitals, at most nine digits of a second, no leap
/// second, and a year before 9999, so that it stays in range in any time zone.
#[must_use]
pub fn is_timestamp(text: &str) -> bool {
    timestamp(text.as_bytes()).is_some()
}

fn timestamp(text: &[u8]) -> Option<()> {
    let (fixed, rest) = text.split_at_checked(19)?;
    let is_punctuated = fixed.iter().enumerate().all(|(at, byte)| match at {
        4 | 7 => *byte == b'-',
        10 => *byte == b'T',
        13 | 16 => *byte == b':',
        _ => byte.is_ascii_digit(),
    });
    if !is_punctuated {
        return None;
    }
    let year = u32::from(two_digits(fixed, 0)?) * 100 + u32::from(two_digits(fixed, 2)?);
    let (month, day) = (two_digits(fixed, 5)?, two_digits(fixed, 8)?);
    let is_date = year < 9999 && matches!(month, 1..=12) && day >= 1 && day <= days_in(year, month);
    let is_time =
        two_digits(fixed, 11)? < 24 && two_digits(fixed, 14)? < 60 && two_digits(fixed, 17)? < 60;
    let zone = match rest.strip_prefix(b".") {
        None => rest,
        Some(fraction) => {
            let digits = fraction
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            matches!(digits, 1..=9).then_some(())?;
            fraction.get(digits..)?
        }
    };
    (is_date && is_time && is_zone(zone)).then_some(())
}

fn is_zone(zone: &[u8]) -> bool {
    let hours_and_minutes = || two_digits(zone, 1).zip(two_digits(zone, 4));
    match zone {
        b"Z" => true,
        [b'+' | b'-', _, _, b':', _, _] => {
            hours_and_minutes().is_some_and(|(hours, minutes)| hours < 24 && minutes < 60)
        }
        _ => false,
    }
}

fn two_digits(text: &[u8], at: usize) -> Option<u8> {
    match (text.get(at)?, text.get(at + 1)?) {
        (tens @ b'0'..=b'9', ones @ b'0'..=b'9') => Some((tens - b'0') * 10 + (ones - b'0')),
        _ => None,
    }
}

fn days_in(year: u32, month: u8) -> u8 {
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
