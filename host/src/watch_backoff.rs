//! The delay after an error before a watch of the API server starts again.

use std::time::Duration;

use backon::ExponentialBuilder;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::ExponentialBackoff;

/// The wait after the first error.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait. A watch that starts again costs the API server one request, and until then its objects are out of
/// date.
const LONGEST: Duration = Duration::from_secs(3);

/// Returns the waits of one watch: they double from error to error, with jitter, and start over when the watch works.
pub(crate) fn watch_backoff() -> impl Backoff {
    let builder = ExponentialBuilder::default()
        .with_min_delay(FIRST)
        .with_max_delay(LONGEST)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times();
    ExponentialBackoff::from(builder)
}
