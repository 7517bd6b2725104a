//! How long a try may take, and the pauses between tries.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

/// The maximum time of one try, unless one before it had no answer. A connection that hangs is then replaced before the
/// sender's deadline.
const TRY: Duration = Duration::from_secs(2);
/// The minimum time of one try, in which an API server under load can answer.
pub(super) const SHORTEST_TRY: Duration = Duration::from_millis(500);
/// How long before the deadline of a sender a try ends.
pub(super) const MARGIN: Duration = Duration::from_millis(100);
/// The first pause, and the longest one, each without the jitter, which at most doubles it.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_millis(500);
/// The longest pause that an API server can ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(8);

/// Returns when a try ends that begins now: after a limited time or, if a try before it had no answer, at the end of all
/// tries, because an API server that is slow would not answer a shorter one either.
pub(super) fn try_until(end: Instant, had_no_answer: bool) -> Instant {
    if had_no_answer {
        end
    } else {
        end.min(Instant::now() + TRY)
    }
}

/// The pauses between the tries of one task.
pub(super) struct Pauses(ExponentialBackoff);

impl Pauses {
    pub(super) fn new() -> Self {
        let builder = ExponentialBuilder::default()
            .with_min_delay(FIRST)
            .with_max_delay(LONGEST)
            .with_factor(2.0)
            .with_jitter()
            .without_max_times();
        Self(builder.build())
    }

    /// Returns the next pause: at least as long as the API server asks for.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let own = self.0.next().unwrap_or(LONGEST);
        asked.map_or(own, |asked| own.max(asked.min(LONGEST_ASKED)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_short_unless_the_api_server_asks_for_longer_ones() {
        let mut pauses = Pauses::new();
        for _ in 0..100 {
            let pause = pauses.next(None);
            assert!(pause >= FIRST && pause <= 2 * LONGEST, "{pause:?}");
        }
        assert_eq!(pauses.next(Some(Duration::from_secs(3))).as_secs(), 3);
        assert_eq!(pauses.next(Some(Duration::from_hours(1))), LONGEST_ASKED);
    }
}
