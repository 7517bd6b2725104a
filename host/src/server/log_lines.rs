//! The log lines about connections. Strangers can cause each of them, so each is sampled.

use std::io;

use super::{Peer, tls};
use crate::sampling::Sampler;

/// The number of log lines per second about the limit of the connections.
static AT_LIMIT: Sampler = Sampler::per_second(1);
/// The number of log lines per second about connections that wait for a place.
static BUSY: Sampler = Sampler::per_second(1);
/// The number of log lines per second about connections that cannot be accepted.
static NOT_ACCEPTED: Sampler = Sampler::per_second(1);
/// The number of log lines per second about clients that do not use TLS.
static PLAIN: Sampler = Sampler::per_second(1);
/// The number of log lines per second about clients that refuse the certificate.
static UNTRUSTED: Sampler = Sampler::per_second(1);

/// Logs that a new connection has replaced an old one.
pub(super) fn replaced(limit: usize) {
    if AT_LIMIT.allows() {
        let omitted = AT_LIMIT.take_omitted();
        tracing::warn!(
            limit,
            omitted,
            "the limit of the connections is reached, and a new one replaced an old one"
        );
    }
}

/// Logs that a new connection waits for a place.
pub(super) fn waits(limit: usize) {
    if BUSY.allows() {
        let omitted = BUSY.take_omitted();
        tracing::warn!(
            limit,
            omitted,
            "the limit of the connections is reached, and a new one waits, because all others are being answered"
        );
    }
}

/// Logs that a connection cannot be accepted.
pub(super) fn not_accepted(error: &io::Error) {
    if NOT_ACCEPTED.allows() {
        let omitted = NOT_ACCEPTED.take_omitted();
        tracing::warn!(%error, omitted, "cannot accept a connection");
    }
}

/// Logs why a TLS handshake failed. What the other side of a TLS connection may have to change is a warning.
pub(super) fn handshake_failed(peer: Peer, error: &io::Error) {
    let client = peer.0.ip();
    if tls::is_refused_certificate(error) && UNTRUSTED.allows() {
        let omitted = UNTRUSTED.take_omitted();
        tracing::warn!(
            %client,
            %error,
            omitted,
            "a client refuses the TLS certificate: it has expired, or the client does not trust its authority"
        );
    } else if tls::is_not_tls(error) && PLAIN.allows() {
        let omitted = PLAIN.take_omitted();
        tracing::warn!(
            %client,
            omitted,
            "a client does not use TLS: this port requires it, and the address of a webhook begins with https://"
        );
    } else {
        tracing::debug!(%error, "a TLS handshake failed");
    }
}
