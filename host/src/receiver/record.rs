//! What is logged and counted of a delivery.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use stoker_report::escape;

use super::Receiver;
use super::answer::Answer;
use super::path_object::PathObject;
use crate::auth::AuthError;
use crate::plugin::Plugin;

/// The maximum length of a sender's texts in the log, in characters, unless they are the names of an object and the
/// sender is authenticated. Objects have names of at most 253.
const UNVERIFIED_CHARACTERS: usize = 64;

/// The code of a delivery without an answer, in the place of that of an answer.
const DISCONNECTED: &str = "disconnected";

/// Writes the log line of a delivery and updates the metrics.
pub(super) struct Record {
    receiver: Arc<Receiver>,
    namespace: String,
    name: String,
    delivery_id: Option<String>,
    source: Option<IpAddr>,
    bytes: Option<usize>,
    /// The scheme of the valid proof, or `None` if there is none.
    scheme: Option<&'static str>,
    /// Whether an object can have the names.
    is_possible: bool,
    is_answered: bool,
    started: Instant,
}

/// How a delivery ended.
struct End<'a> {
    plugin: Option<&'a Plugin>,
    outcome: &'static str,
    reason: &'static str,
    status: Option<StatusCode>,
    git_ref: Option<&'a str>,
    detail: &'a str,
}

impl Record {
    pub(super) fn start(
        receiver: &Arc<Receiver>,
        (namespace, name): (&str, &str),
        delivery_id: Option<&str>,
        source: Option<IpAddr>,
    ) -> Self {
        receiver.metrics.started();
        Self {
            receiver: Arc::clone(receiver),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            delivery_id: delivery_id.map(str::to_owned),
            source,
            bytes: None,
            scheme: None,
            is_possible: false,
            is_answered: false,
            started: Instant::now(),
        }
    }

    /// Notes the size of the body.
    pub(super) fn received(&mut self, bytes: usize) {
        self.bytes = Some(bytes);
    }

    /// Notes that a proof of this scheme is valid for the object of the path.
    pub(super) fn authenticated(&mut self, object: &PathObject, scheme: &'static str) {
        self.receiver.metrics.authenticated(scheme);
        self.scheme = Some(scheme);
        self.is_possible = object.is_possible();
    }

    /// Writes why the sender is refused, which the answer does not say.
    pub(super) fn refused(&self, error: &AuthError) {
        tracing::debug!(
            sync.namespace = &*shown(&self.namespace, false),
            sync.name = &*shown(&self.name, false),
            delivery.id = self.delivery_id.as_deref().map(|id| shown(id, false)).as_deref(),
            delivery.source = self.source.map(tracing::field::display),
            why = %stoker_report::chain(error),
            "a delivery was refused"
        );
    }

    /// Writes the log line of an answer.
    pub(super) fn finish(mut self, answer: &Answer) {
        self.is_answered = true;
        let status = answer.status();
        let plugin = answer.plugin();
        let metrics = &self.receiver.metrics;
        // As with the Go operator, a refused delivery has no source in the metric.
        let source = plugin.filter(|_| !status.is_client_error());
        let source = source.map(|plugin| plugin.origin().key());
        metrics.answered(source, status.as_u16(), self.started.elapsed());
        self.end(&End {
            plugin,
            outcome: answer.outcome(),
            reason: answer.code(),
            status: Some(status),
            git_ref: answer.git_ref(),
            detail: answer.message(),
        });
    }

    fn end(&self, end: &End<'_>) {
        self.receiver.metrics.outcome(end.reason);
        let is_sampled = self.scheme.is_none() || end.status == Some(StatusCode::TOO_MANY_REQUESTS);
        // Unauthenticated and misconfigured senders can cause any number of lines.
        if !is_sampled || self.receiver.limits.refusal_lines.allows() {
            self.write(end, self.started.elapsed());
        }
    }

    fn write(&self, end: &End<'_>, duration: Duration) {
        tracing::info!(
            sync.namespace = &*shown(&self.namespace, self.is_possible),
            sync.name = &*shown(&self.name, self.is_possible),
            delivery.id = self
                .delivery_id
                .as_deref()
                .map(|id| shown(id, self.scheme.is_some()))
                .as_deref(),
            delivery.source = self.source.map(tracing::field::display),
            delivery.bytes = self.bytes,
            delivery.scheme = self.scheme,
            plugin.name = end.plugin.map(|plugin| plugin.descriptor().name.as_str()),
            outcome = end.outcome,
            reason = end.reason,
            status = end.status.map(|status| status.as_u16()),
            "ref" = end.git_ref.map(escape).as_deref(),
            duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            detail = end.detail,
            "webhook"
        );
    }
}

impl Drop for Record {
    /// Runs also if the connection ended before the answer, which ends the work on a delivery whose sender is not authenticated.
    fn drop(&mut self) {
        self.receiver.metrics.ended();
        if !self.is_answered && !std::thread::panicking() {
            self.end(&End {
                plugin: None,
                outcome: DISCONNECTED,
                reason: DISCONNECTED,
                status: None,
                git_ref: None,
                detail: "the sender disconnected before the answer",
            });
        }
    }
}

/// Returns a text for the log. A text that is not checked may have any length and contain any character.
fn shown(text: &str, is_checked: bool) -> Cow<'_, str> {
    if is_checked {
        return text.into();
    }
    match text.char_indices().nth(UNVERIFIED_CHARACTERS) {
        Some((end, _)) => format!("{}…", escape(&text[..end])).into(),
        None => escape(text).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_not_checked_are_short_and_printable() {
        let long = "ö".repeat(65);
        assert_eq!(shown(&long, false), format!("{}…", "ö".repeat(64)));
        assert_eq!(shown(&long[2..], false), "ö".repeat(64));
        assert_eq!(shown(&long, true), long);
        assert_eq!(shown("", false), "");
        let spoofed = "a\u{202e}b\u{9b}2J\n";
        assert_eq!(shown(spoofed, false), r"a\u{202e}b\u{9b}2J\n");
    }
}
