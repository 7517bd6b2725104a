use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Instant;

use axum::http::StatusCode;

use super::Receiver;
use super::answer::Answer;

/// The maximum length of the texts of an unauthenticated sender in the log, in characters. Objects have names of at
/// most 253.
const UNVERIFIED_CHARACTERS: usize = 64;

/// Writes the log line of a delivery and updates the metrics.
pub(super) struct Record<'a> {
    receiver: &'a Receiver,
    namespace: &'a str,
    name: &'a str,
    delivery_id: Option<String>,
    source: Option<IpAddr>,
    bytes: Option<usize>,
    is_authenticated: bool,
    started: Instant,
}

impl<'a> Record<'a> {
    pub(super) fn start(
        receiver: &'a Receiver,
        (namespace, name): (&'a str, &'a str),
        delivery_id: Option<&str>,
        source: Option<IpAddr>,
    ) -> Self {
        receiver.metrics.started();
        Self {
            receiver,
            namespace,
            name,
            delivery_id: delivery_id.map(str::to_owned),
            source,
            bytes: None,
            is_authenticated: false,
            started: Instant::now(),
        }
    }

    /// Notes the size of the body.
    pub(super) fn received(&mut self, bytes: usize) {
        self.bytes = Some(bytes);
    }

    /// Notes that the proof is valid.
    pub(super) fn authenticated(&mut self) {
        self.is_authenticated = true;
    }

    pub(super) fn finish(self, answer: &Answer) {
        let duration = self.started.elapsed();
        let status = answer.status();
        let plugin = answer.plugin();
        let metrics = &self.receiver.metrics;
        let source = plugin.map(|plugin| plugin.origin().key());
        metrics.answered(source, status.as_u16(), duration);
        metrics.outcome(answer.code());
        let is_sampled = !self.is_authenticated || status == StatusCode::TOO_MANY_REQUESTS;
        // Strangers, and senders that run wild, cause any number of lines.
        if !is_sampled || self.receiver.limits.refusal_lines.allows() {
            self.write(answer, duration);
        }
    }

    fn write(&self, answer: &Answer, duration: std::time::Duration) {
        let plugin = answer.plugin();
        tracing::info!(
            sync.namespace = &*self.text(self.namespace),
            sync.name = &*self.text(self.name),
            delivery.id = self
                .delivery_id
                .as_deref()
                .map(|id| self.text(id))
                .as_deref(),
            delivery.source = self.source.map(tracing::field::display),
            delivery.bytes = self.bytes,
            plugin.name = plugin.map(|plugin| plugin.descriptor().name.as_str()),
            outcome = answer.outcome(),
            reason = answer.code(),
            status = answer.status().as_u16(),
            duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            detail = answer.message(),
            "webhook"
        );
    }

    /// Shortens a text of a sender who is not authenticated.
    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.is_authenticated {
            text.into()
        } else {
            shortened(text)
        }
    }
}

impl Drop for Record<'_> {
    /// Runs even if the sender disconnected before the answer.
    fn drop(&mut self) {
        self.receiver.metrics.ended();
    }
}

fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(UNVERIFIED_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_shortened_between_characters() {
        let long = "ö".repeat(65);
        assert_eq!(shortened(&long), format!("{}…", "ö".repeat(64)));
        assert_eq!(shortened(&long[2..]), "ö".repeat(64));
        assert_eq!(shortened(""), "");
    }
}
