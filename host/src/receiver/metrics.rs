//! The metrics of the receiver.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lru::LruCache;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use stoker_api::detection::ObjectKey;

/// The upper bounds of the buckets in seconds. A repeated request takes tens of microseconds and a write some
/// milliseconds. Senders wait for at most ten seconds.
const BUCKETS: [f64; 10] = [1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 5.0];

/// The source of requests that no plugin recognised.
const UNKNOWN: &str = "unknown";

/// The status codes of failures of which an alert computes the increase.
const FAILURES: [u16; 2] = [500, 503];

/// The labels of a counted webhook.
///
/// `source` is the plugin that recognised the delivery, or `unknown`; the Go operator uses the same label. Its value is
/// the name of a built-in plugin, or the file name of a drop-in plugin without `.wasm`. The name in the description of
/// a component is not used, because it is untrusted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    source: String,
    status_code: u16,
}

/// The label of an outcome: the code of the answer's reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    reason: &'static str,
}

/// The label of an authenticated delivery: the name of a scheme in the table of the module `auth`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SchemeLabel {
    scheme: &'static str,
}

/// The label of a limit that a delivery reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Limit {
    limit: &'static str,
}

/// The labels of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Object {
    namespace: String,
    name: String,
}

impl Object {
    fn of(key: &ObjectKey) -> Self {
        Self {
            namespace: key.namespace().to_owned(),
            name: key.name().to_owned(),
        }
    }
}

/// The limits that deliveries reach.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limited {
    /// The refused deliveries of one source.
    Failures,
    /// The deliveries for one object.
    Object,
    /// The deliveries that are handled at a time.
    InFlight,
    /// The memory for bodies and for parsing.
    Memory,
}

impl Limited {
    const ALL: [Self; 4] = [Self::Failures, Self::Object, Self::InFlight, Self::Memory];

    fn label(self) -> Limit {
        let limit = match self {
            Self::Failures => "failures",
            Self::Object => "object",
            Self::InFlight => "in-flight",
            Self::Memory => "memory",
        };
        Limit { limit }
    }
}

/// The maximum number of objects with a time stamp. The one without a delivery for the longest time is left out.
const MAX_OBJECTS: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

/// The metrics of the receiver.
#[derive(Debug, Clone)]
pub struct ReceiverMetrics {
    requests: Family<Labels, Counter>,
    duration: Histogram,
    in_flight: Gauge,
    outcomes: Family<Outcome, Counter>,
    authenticated: Family<SchemeLabel, Counter>,
    limited: Family<Limit, Counter>,
    body_bytes: Gauge,
    last_accepted: Family<Object, Gauge<f64, AtomicU64>>,
    accepted_objects: Arc<Mutex<LruCache<ObjectKey, ()>>>,
    unauthenticated: Gauge,
    secret_usable: Gauge,
}

impl ReceiverMetrics {
    /// Creates the metrics and registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            duration: Histogram::new(BUCKETS),
            in_flight: Gauge::default(),
            outcomes: Family::default(),
            authenticated: Family::default(),
            limited: Family::default(),
            body_bytes: Gauge::default(),
            last_accepted: Family::default(),
            accepted_objects: Arc::new(Mutex::new(LruCache::new(MAX_OBJECTS))),
            unauthenticated: Gauge::default(),
            secret_usable: Gauge::default(),
        };
        // Without a receiver, the value is not updated.
        metrics.set_secret_usable(true);
        metrics.begin(UNKNOWN);
        let registry = registry.sub_registry_with_prefix("stoker_webhook_receiver");
        metrics.register_requests(registry);
        metrics.register_limits(registry);
        metrics.register_authentication(registry);
        metrics
    }

    fn register_requests(&self, registry: &mut Registry) {
        registry.register(
            "requests",
            "Webhooks by recognising plugin and status",
            self.requests.clone(),
        );
        registry.register(
            "request_duration_seconds",
            "Time from the headers of a webhook to its answer",
            self.duration.clone(),
        );
        registry.register(
            "requests_in_flight",
            "Webhooks without an answer yet",
            self.in_flight.clone(),
        );
        registry.register(
            "outcomes",
            "Answers by the code of their reason",
            self.outcomes.clone(),
        );
        registry.register(
            "last_accepted_timestamp_seconds",
            "Time of the last accepted webhook of an object, in seconds since 1970",
            self.last_accepted.clone(),
        );
    }

    fn register_limits(&self, registry: &mut Registry) {
        registry.register(
            "limited",
            "Webhooks that reached a limit: failures (refusals of a source), object (rate of an object), in-flight, memory",
            self.limited.clone(),
        );
        registry.register(
            "body_bytes",
            "Memory of the bodies that are being received and parsed",
            self.body_bytes.clone(),
        );
        for limited in Limited::ALL {
            drop(self.limited.get_or_create(&limited.label()));
        }
    }

    fn register_authentication(&self, registry: &mut Registry) {
        registry.register(
            "authenticated",
            "Webhooks with a valid proof, by its scheme; none if no proof is required",
            self.authenticated.clone(),
        );
        registry.register(
            "unauthenticated",
            "1 if no secret is configured, so that every sender is accepted",
            self.unauthenticated.clone(),
        );
        registry.register(
            "secret_usable",
            "0 if a configured secret cannot be used, so that every webhook is refused",
            self.secret_usable.clone(),
        );
    }

    /// Begins the series of a plugin's failures. The increase of a series that begins with its first failures does not
    /// contain them.
    pub fn begin(&self, source: &str) {
        for status_code in FAILURES {
            let source = source.to_owned();
            let labels = Labels {
                source,
                status_code,
            };
            drop(self.requests.get_or_create(&labels));
        }
    }

    /// Sets whether webhooks are accepted without authentication.
    pub fn set_unauthenticated(&self, is_open: bool) {
        self.unauthenticated.set(i64::from(is_open));
    }

    /// Sets whether the configured secrets can be used.
    pub fn set_secret_usable(&self, is_usable: bool) {
        self.secret_usable.set(i64::from(is_usable));
    }

    /// Counts an answer by the code of its reason.
    pub(super) fn outcome(&self, reason: &'static str) {
        self.outcomes.get_or_create(&Outcome { reason }).inc();
    }

    /// Counts an authenticated delivery by the scheme of its proof.
    pub(super) fn authenticated(&self, scheme: &'static str) {
        let label = SchemeLabel { scheme };
        self.authenticated.get_or_create(&label).inc();
    }

    /// Counts a delivery that reached a limit.
    pub(super) fn limited(&self, limit: Limited) {
        self.limited.get_or_create(&limit.label()).inc();
    }

    /// Returns the gauge of the memory for bodies.
    pub(super) fn body_bytes(&self) -> Gauge {
        self.body_bytes.clone()
    }

    /// Notes the time at which a delivery for an object was accepted.
    pub(super) fn accepted(&self, key: &ObjectKey, time: SystemTime) {
        let time = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut objects = self.accepted_objects();
        self.last_accepted
            .get_or_create(&Object::of(key))
            .set(time.as_secs_f64());
        if let Some((forgotten, ())) = objects.push(key.clone(), ())
            && forgotten != *key
        {
            self.last_accepted.remove(&Object::of(&forgotten));
        }
    }

    /// Removes the series of objects that do not exist any more.
    pub fn forget(&self, is_gone: &dyn Fn(&ObjectKey) -> bool) {
        let mut objects = self.accepted_objects();
        let gone = objects.iter().map(|(key, ())| key);
        let gone: Vec<_> = gone.filter(|key| is_gone(key)).cloned().collect();
        for key in gone {
            objects.pop(&key);
            self.last_accepted.remove(&Object::of(&key));
        }
    }

    fn accepted_objects(&self) -> MutexGuard<'_, LruCache<ObjectKey, ()>> {
        self.accepted_objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn started(&self) {
        self.in_flight.inc();
    }

    pub(super) fn ended(&self) {
        self.in_flight.dec();
    }

    pub(super) fn answered(&self, source: Option<&str>, status_code: u16, duration: Duration) {
        self.requested(source, status_code);
        self.duration.observe(duration.as_secs_f64());
    }

    /// Counts a request that is no delivery.
    pub(super) fn misdirected(&self, status_code: u16) {
        self.requested(None, status_code);
    }

    fn requested(&self, source: Option<&str>, status_code: u16) {
        let source = source.unwrap_or(UNKNOWN);
        let labels = Labels {
            source: source.to_owned(),
            status_code,
        };
        let before = self.requests.get_or_create(&labels).inc();
        // The plugin may be new.
        if before == 0 {
            self.begin(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_from_zero() {
        let mut registry = Registry::default();
        let metrics = ReceiverMetrics::register(&mut registry);
        metrics.answered(Some("acme"), 202, Duration::ZERO);
        metrics.answered(Some("acme"), 503, Duration::ZERO);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for (source, status_code, number) in [
            ("unknown", 500, 0),
            ("unknown", 503, 0),
            ("acme", 202, 1),
            ("acme", 500, 0),
            ("acme", 503, 1),
        ] {
            let labels = format!("{{source=\"{source}\",status_code=\"{status_code}\"}}");
            let line = format!("stoker_webhook_receiver_requests_total{labels} {number}\n");
            assert!(text.contains(&line), "{line}\n{text}");
        }
    }

    #[test]
    fn the_number_of_objects_with_a_time_is_bounded_and_those_that_are_gone_have_none() {
        let mut registry = Registry::default();
        let metrics = ReceiverMetrics::register(&mut registry);
        let accepted = |number: usize| {
            let key = ObjectKey::new("plants", &format!("line-{number}")).unwrap();
            metrics.accepted(&key, UNIX_EPOCH + Duration::from_millis(1500));
        };
        for number in 0..MAX_OBJECTS.get() {
            accepted(number);
        }
        accepted(0);
        accepted(MAX_OBJECTS.get());
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let times: Vec<_> = text
            .lines()
            .filter(|line| line.contains("last_accepted_timestamp_seconds{"))
            .collect();
        assert_eq!(times.len(), MAX_OBJECTS.get());
        assert!(times.iter().all(|line| line.ends_with(" 1.5")));
        let has = |name: &str| {
            times
                .iter()
                .any(|line| line.contains(&format!("\"{name}\"")))
        };
        assert!(has("line-0") && has("line-1000") && !has("line-1"));
        metrics.forget(&|key| key.name() != "line-7");
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let times = text
            .lines()
            .filter(|line| line.contains("last_accepted_timestamp_seconds{"));
        let line = r#"stoker_webhook_receiver_last_accepted_timestamp_seconds{namespace="plants",name="line-7"} 1.5"#;
        assert_eq!(times.collect::<Vec<_>>(), [line]);
    }
}
