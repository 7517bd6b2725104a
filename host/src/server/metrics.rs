//! The metrics of the connections of one server.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::certificate::CertificateEnd;

/// The metrics of the connections of one server.
#[derive(Debug, Clone, Default)]
pub struct ServerMetrics {
    open: Gauge,
    limit: Gauge,
    delayed: Counter,
    closed: Family<Reason, Counter>,
    certificate_end: CertificateEnd,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// The reason why a server closed a connection that had no request, or only a part of one, or only answers to send.
#[derive(Debug, Clone, Copy)]
pub(super) enum Closed {
    /// The limit of the connections was reached, and another connection replaced it.
    Replaced,
    /// No request arrived in time.
    Silent,
    /// The client did not take its answers in time.
    Unread,
    /// The TLS handshake failed.
    Handshake,
    /// Very much arrived that was neither a request nor a body.
    Flood,
}

impl Closed {
    fn label(self) -> Reason {
        let reason = match self {
            Self::Replaced => "replaced",
            Self::Silent => "silent",
            Self::Unread => "unread",
            Self::Handshake => "handshake",
            Self::Flood => "flood",
        };
        Reason { reason }
    }
}

/// An open connection. Dropping it means that the connection is closed.
pub(super) struct Opened(Gauge);

impl ServerMetrics {
    /// Creates the metrics of the receiver's connections and registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("stoker_webhook_receiver");
        registry.register(
            "connections",
            "Open connections of the receiver",
            metrics.open.clone(),
        );
        registry.register(
            "connections_limit",
            "Limit of the open connections of the receiver",
            metrics.limit.clone(),
        );
        registry.register(
            "connections_delayed",
            "Connections that waited for a place, because all others were being answered",
            metrics.delayed.clone(),
        );
        registry.register(
            "connections_closed",
            "Connections that the receiver closed, by reason: replaced (the limit was reached), silent (no request in time), unread (answers not taken in time), handshake (TLS failed), flood (very much without a request)",
            metrics.closed.clone(),
        );
        metrics.certificate_end.register(
            registry,
            "certificate_expiry_timestamp_seconds",
            "End of the TLS certificate of the receiver, in seconds since 1970",
        );
        for reason in [
            Closed::Replaced,
            Closed::Silent,
            Closed::Unread,
            Closed::Handshake,
            Closed::Flood,
        ] {
            drop(metrics.closed.get_or_create(&reason.label()));
        }
        metrics
    }

    /// Returns the end of the certificate, which a server with TLS sets.
    #[must_use]
    pub fn certificate_end(&self) -> &CertificateEnd {
        &self.certificate_end
    }

    pub(super) fn opened(&self) -> Opened {
        self.open.inc();
        Opened(self.open.clone())
    }

    pub(super) fn set_limit(&self, limit: usize) {
        self.limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
    }

    pub(super) fn delayed(&self) {
        self.delayed.inc();
    }

    #[cfg(test)]
    pub(super) fn delays(&self) -> u64 {
        self.delayed.get()
    }

    #[cfg(test)]
    pub(super) fn count(&self, reason: Closed) -> u64 {
        self.closed.get_or_create(&reason.label()).get()
    }

    pub(super) fn closed(&self, reason: Closed) {
        self.closed.get_or_create(&reason.label()).inc();
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.dec();
    }
}
