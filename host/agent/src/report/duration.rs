//! Durations as Go prints them.

use std::time::Duration;

/// Returns a duration in whole milliseconds in Go's format, such as `0s`, `2ms`, `1.204s` or `1m2.5s`.
pub(crate) fn go_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let millis = (nanos + 500_000) / 1_000_000;
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    let fraction = format!(".{:03}", rest % 1000);
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    let seconds = format!("{}{fraction}s", rest / 1000);
    match (hours, minutes) {
        (0, 0) => seconds,
        (0, _) => format!("{minutes}m{seconds}"),
        _ => format!("{hours}h{minutes}m{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_as_go_does() {
        for (micros, expected) in [
            (0, "0s"),
            (400, "0s"),
            (500, "1ms"),
            (2_000, "2ms"),
            (999_499, "999ms"),
            (999_500, "1s"),
            (1_204_000, "1.204s"),
            (1_200_000, "1.2s"),
            (62_500_000, "1m2.5s"),
            (60_000_000, "1m0s"),
            (3_600_000_000, "1h0m0s"),
            (90_061_001_000, "25h1m1.001s"),
        ] {
            assert_eq!(go_duration(Duration::from_micros(micros)), expected);
        }
    }
}
