//! Parses the time of a detection. The WIT defines it as RFC 3339 text.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;

use super::printable;

/// The maximum number of digits in a fraction of a second that the library parses.
const FRACTION_DIGITS: usize = 9;
/// The last year that RFC 3339 can represent.
const LAST_YEAR: i16 = 9999;

/// Parses a time. The error describes the fault in the text.
pub(super) fn parse(text: &str) -> Result<Timestamp, String> {
    let shortened = without_further_digits(text);
    let error = match shortened.parse() {
        Ok(time) => return Ok(time),
        Err(error) => error,
    };
    let why = match Pieces::parse(&*shortened) {
        Ok(pieces) if pieces.time().is_none() => "it has no time of day".to_owned(),
        Ok(pieces) if pieces.offset().is_none() => {
            "it has no offset from UTC, such as Z or +01:00".to_owned()
        }
        // The maximum time of the library is 26 hours before the end of this year. Senders write the end of this year
        // for "never".
        Ok(pieces) if pieces.date().year() == LAST_YEAR => return Ok(Timestamp::MAX),
        _ => error.to_string(),
    };
    Err(format!(
        "{:?} is not RFC 3339, such as 2026-01-02T03:04:05Z: {}",
        printable(text, 64),
        printable(&why, 256)
    ))
}

/// Truncates a fraction of a second to nanoseconds. RFC 3339 permits any number of digits.
fn without_further_digits(text: &str) -> Cow<'_, str> {
    let Some((seconds, rest)) = text.split_once('.') else {
        return Cow::Borrowed(text);
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits <= FRACTION_DIGITS {
        return Cow::Borrowed(text);
    }
    let (fraction, offset) = (&rest[..FRACTION_DIGITS], &rest[digits..]);
    Cow::Owned(format!("{seconds}.{fraction}{offset}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_rfc_3339_is_parsed() {
        for (text, expected) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02t03:04:05z", "2026-01-02T03:04:05Z"),
            ("2026-01-02 03:04:05Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05Z"),
            ("2026-01-02T03:04:05-23:59", "2026-01-03T03:03:05Z"),
            ("2026-01-02T03:04:05-00:00", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:05.5Z", "2026-01-02T03:04:05.5Z"),
            (
                "2026-01-02T03:04:05.1234567890123+01:00",
                "2026-01-02T02:04:05.123456789Z",
            ),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
            ("0000-01-01T00:00:00+23:59", "-000001-12-31T00:01:00Z"),
            ("9999-12-30T22:00:00Z", "9999-12-30T22:00:00Z"),
            ("9999-12-31T23:59:59Z", "9999-12-30T22:00:00.999999999Z"),
            (
                "9999-12-31T23:59:59.9999999-23:59",
                "9999-12-30T22:00:00.999999999Z",
            ),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn an_error_says_what_is_wrong() {
        for (text, expected) in [
            ("", "found end of input"),
            ("yesterday", "year"),
            ("1767323045", "is not RFC 3339"),
            ("2026-01-02", "it has no time of day"),
            ("2026-01-02T03:04:05", "it has no offset from UTC"),
            ("2026-13-02T03:04:05Z", "month"),
            ("2026-02-30T03:04:05Z", "day"),
            ("2026-01-02T24:00:00Z", "hour"),
            ("2026-01-02T03:04:61Z", "second"),
            ("2026-01-02T03:04:05+99:00", "offset"),
            ("10000-01-01T00:00:00Z", "is not RFC 3339"),
            ("-009999-01-01T00:00:00Z", "is not RFC 3339"),
            ("2026-01-02T03:04:05.Z", "is not RFC 3339"),
            ("\u{1b}[31m", "is not RFC 3339"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains('\u{1b}'), "{error}");
        }
        assert!(parse(&"9".repeat(100_000)).unwrap_err().len() < 500);
    }
}
