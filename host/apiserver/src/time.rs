//! Times in the two formats of Kubernetes.

use jiff::Timestamp;

/// Now, in whole seconds, as in `metadata.creationTimestamp`.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The age of the time `text` in whole seconds. `None` if it is not an RFC 3339 time.
pub(crate) fn seconds_since(text: &str) -> Option<i64> {
    let then: Timestamp = text.parse().ok()?;
    Some(Timestamp::now().as_second() - then.as_second())
}

/// A duration for people, with at most two units: `5s`, `3m20s`, `4h`, `12d`.
pub(crate) fn human(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let years = days / 365;
    match seconds {
        i64::MIN..=-2 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(years, 'y', days % 365, 'd'),
        _ => format!("{years}y"),
    }
}

fn two(large: i64, large_unit: char, small: i64, small_unit: char) -> String {
    if small == 0 {
        format!("{large}{large_unit}")
    } else {
        format!("{large}{large_unit}{small}{small_unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units_at_most() {
        let cases = [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (200, "3m20s"),
            (600, "10m"),
            (3 * 3600 + 60, "3h1m"),
            (9 * 3600, "9h"),
            (50 * 3600, "2d2h"),
            (9 * 86_400, "9d"),
            (3 * 365 * 86_400, "3y"),
            (9 * 365 * 86_400 + 86_400, "9y"),
            (-5, "<invalid>"),
        ];
        for (seconds, text) in cases {
            assert_eq!(human(seconds), text);
        }
    }

    #[test]
    fn now_can_be_read_back() {
        assert_eq!(
            seconds_since(&now()).map(|age| age.clamp(0, 1)),
            seconds_since(&now())
        );
        assert_eq!(seconds_since("yesterday"), None);
    }
}
