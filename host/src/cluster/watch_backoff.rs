//! What happens after an error of a watch of the API server: it is logged and counted, and the watch starts again after a
//! delay.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::ExponentialBuilder;
use futures::{Stream, StreamExt as _};
use kube::Resource;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::utils::{Backoff, ResetTimerBackoff};
use kube::runtime::watcher::{self, Event, ExponentialBackoff};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::cluster::api_errors::ApiError;

/// The wait after the first error.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait. A watch that starts again costs the API server one request, and until then its objects are out of
/// date.
const LONGEST: Duration = Duration::from_secs(3);

/// The errors of the watches. Each is followed by another try within seconds, so a watch whose errors continue does not see
/// the API server's present state.
#[derive(Debug, Clone, Default)]
pub struct WatchMetrics {
    errors: Family<WatchLabels, Counter>,
    /// The last error of each watch, by its name.
    last: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WatchLabels {
    watch: &'static str,
}

impl WatchMetrics {
    /// Registers the metrics.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "stoker_watch_errors",
            "Errors of watches of the API server, each followed by another try within seconds",
            metrics.errors.clone(),
        );
        metrics
    }

    /// Returns a watch that starts again after each error. Its errors are logged and counted under this name, and are
    /// not part of the stream.
    pub(crate) fn resumed<K, S>(
        &self,
        watch: &'static str,
        events: S,
    ) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + use<K, S>
    where
        K: Resource<DynamicType = ()> + Send,
        S: Stream<Item = watcher::Result<Event<K>>> + Send,
    {
        // The series exists before the first error, so that its increase can be computed.
        let errors = self.errors.get_or_create_owned(&WatchLabels { watch });
        let last = Arc::clone(&self.last);
        events.backoff(watch_backoff()).filter_map(move |event| {
            let event = event.map_err(|error| {
                errors.inc();
                let error = ApiError::of_watch::<K>(error);
                let error = stoker_report::chain(&error).to_string();
                tracing::warn!(watch, error, "a watch was interrupted");
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                last.insert(watch, error);
            });
            ready(event.ok().map(Ok))
        })
    }

    /// Returns the last error of the watch with this name in words, also if it works again.
    pub(crate) fn last_error(&self, watch: &str) -> Option<String> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(watch).cloned()
    }
}

/// How long a watch must work before the waits start over. An event alone is no sign of that: before each list, a watch
/// reports that the list begins.
const WORKS: Duration = Duration::from_secs(10);

/// Returns the waits of one watch: they double from error to error, with jitter, and start over when the watch works.
fn watch_backoff() -> impl Backoff {
    let builder = ExponentialBuilder::default()
        .with_min_delay(FIRST)
        .with_max_delay(LONGEST)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times();
    Waits(ResetTimerBackoff::new(
        ExponentialBackoff::from(builder),
        WORKS,
    ))
}

/// Waits that start over only after a time without errors.
struct Waits(ResetTimerBackoff<ExponentialBackoff>);

impl Iterator for Waits {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next()
    }
}

impl Backoff for Waits {
    /// Is called for each event, and does nothing.
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use k8s_openapi::api::core::v1::Pod;
    use kube::core::Status;
    use stoker_api::GatewaySync;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_errors_of_a_watch_are_counted_and_not_part_of_it() {
        let mut registry = Registry::default();
        let metrics = WatchMetrics::register(&mut registry);
        let error = || Err(watcher::Error::NoResourceVersion);
        let events = [
            Ok(Event::<Pod>::Init),
            error(),
            error(),
            Ok(Event::InitDone),
        ];
        let resumed = metrics.resumed("controller-pods", stream::iter(events));
        let seen: Vec<_> = resumed
            .filter_map(|event| ready(event.ok()))
            .collect()
            .await;
        assert!(
            matches!(*seen, [Event::Init, Event::InitDone]),
            "{}",
            seen.len()
        );
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let line = r#"stoker_watch_errors_total{watch="controller-pods"} 2"#;
        assert!(text.lines().any(|other| other == line), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_error_of_a_watch_is_told_in_words() {
        let metrics = WatchMetrics::default();
        let status = Status::failure("404 page not found", "Failed to parse error data");
        let status = status.with_code(404).boxed();
        let error = watcher::Error::InitialListFailed(kube::Error::Api(status));
        let events = stream::iter([Err::<Event<GatewaySync>, _>(error)]);
        assert_eq!(metrics.resumed("receiver-objects", events).count().await, 0);
        let said = metrics.last_error("receiver-objects").unwrap();
        let expected = "the API server has no GatewaySync objects: install the definition with `stoker crd | kubectl apply -f -`";
        assert_eq!(said, expected);
        assert_eq!(metrics.last_error("controller-objects"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_waits_grow_while_the_list_fails() {
        let metrics = WatchMetrics::default();
        // Each failed list begins with an event.
        let lists = (0..10).flat_map(|_| {
            [
                Ok(Event::<Pod>::Init),
                Err(watcher::Error::NoResourceVersion),
            ]
        });
        let started = tokio::time::Instant::now();
        let resumed = metrics.resumed("controller-pods", stream::iter(lists));
        assert_eq!(resumed.count().await, 10);
        let waited = started.elapsed();
        assert!(waited >= Duration::from_secs(15), "{waited:?}");
    }
}
