//! The waits before retries.

use std::time::Duration;

/// Returns the wait after a number of failures in a row: the first wait, doubled for each further failure, up to the
/// longest.
#[must_use]
pub fn retry_delay(first: Duration, longest: Duration, failures: u32) -> Duration {
    let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
    first.saturating_mul(factor).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_wait_up_to_the_longest() {
        let (first, longest) = (Duration::from_secs(30), Duration::from_mins(5));
        for (failures, expected) in [
            (0, 30),
            (1, 30),
            (2, 60),
            (4, 240),
            (5, 300),
            (40, 300),
            (u32::MAX, 300),
        ] {
            let delay = retry_delay(first, longest, failures);
            assert_eq!(delay, Duration::from_secs(expected), "{failures}");
        }
    }
}
