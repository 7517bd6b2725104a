//! Durations in the notation of `spec.polling.interval`: `90s`, `1h30m`, `1.5h`. Pure.

/// The nanoseconds of each unit. Micro has two characters: U+00B5, which keyboards have, and the Greek letter.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
];

/// Parses a duration as Go's `time.ParseDuration` does: an optional sign, then one or more decimal numbers with their
/// units, or `0` alone. Returns nanoseconds, or `None` if the text is invalid or the duration needs more than 64 bits.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (number, behind) = split_where(rest, |c| !c.is_ascii_digit() && c != '.');
        let (unit, behind) = split_where(behind, |c| c.is_ascii_digit() || c == '.');
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(scale(number, *length)?)?;
        rest = behind;
    }
    i64::try_from(sign * total).ok()
}

fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

/// Multiplies a decimal number with a unit. Fractions of a nanosecond are dropped.
fn scale(number: &str, unit: i128) -> Option<i128> {
    // More digits do not change the nanoseconds, and the products stay far below 128 bits.
    const DIGITS: usize = 18;

    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    if whole.len() > DIGITS + 1 {
        return None;
    }
    let value = |digits: &str| {
        if digits.is_empty() {
            Some(0)
        } else {
            digits.parse::<i128>().ok()
        }
    };
    let fraction = &fraction[..fraction.len().min(DIGITS)];
    let divisor = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    Some(value(whole)? * unit + value(fraction)? * unit / divisor)
}

/// Formats whole seconds in the same notation: `30s`, `1m0s`, `1h0m0s`.
pub(super) fn from_seconds(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_parsed() {
        let second = 1_000_000_000;
        let cases = [
            ("0", 0),
            ("-0", 0),
            ("0s", 0),
            ("300ms", 300_000_000),
            ("1.5h", 5400 * second),
            ("1m30s", 90 * second),
            ("-1s", -second),
            ("+5s", 5 * second),
            (".5s", second / 2),
            ("1.s", second),
            ("1h2m3s4ms5us6ns", 3_723_004_005_006),
            ("2us", 2_000),
            ("2\u{b5}s", 2_000),
            ("2\u{3bc}s", 2_000),
            ("1s1s", 2 * second),
            ("0.3333333333333333333333h", 1_199_999_999_999),
            ("00000000000000000000000000001s", second),
            ("9223372036854775807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
            ("2562047h47m16.854775807s", i64::MAX),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn an_invalid_duration_is_refused() {
        let cases = [
            "",
            "3",
            "-",
            "+",
            "s",
            ".",
            "-.",
            ".s",
            "+.s",
            "1d",
            "5 m",
            " 5m",
            "5m ",
            "1..5s",
            "1.5.5s",
            "1e3s",
            "60S",
            "--1s",
            "\u{221e}",
            "9223372036854775808ns",
            "3000000h",
            "99999999999999999999s",
            "1s-1s",
        ];
        for text in cases {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn seconds_are_formatted_with_larger_units() {
        let cases = [
            (0, "0s"),
            (30, "30s"),
            (60, "1m0s"),
            (300, "5m0s"),
            (3661, "1h1m1s"),
            (7200, "2h0m0s"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(from_seconds(seconds), expected);
        }
    }
}
