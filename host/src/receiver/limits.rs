//! The limits of the receiver: sources, sizes, memory, times, the number of deliveries at a time, and rates.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use stoker_api::detection::ObjectKey;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::answer::{Answer, Reason};
use super::budget::Budget;
use super::metrics::{Limited, ReceiverMetrics};
use super::rate::{Rate, RateLimit};
use super::source::{NetworkError, Networks, source};
use crate::delivery::Delivery;
use crate::payload::Document;
use crate::request::Policy;
use crate::sampling::Sampler;
use crate::server::{self, Peer};

/// The memory for parsing in bytes. A push of 25 MiB that lists files takes 16 MiB, and the body has to fit beside it in
/// a container of 128 MiB.
const PARSING_BYTES: usize = 24 << 20;
/// The number of authenticated deliveries that are handled at a time. Each waits for the API server, eight seconds at
/// most.
const IN_FLIGHT: usize = 512;
/// How often a wrong proof may be in the deliveries of one source: a hundred times a minute.
const FAILURES: Rate = Rate {
    burst: 100,
    interval: Duration::from_millis(600),
};
/// The number of log lines per second about refusals.
const REFUSAL_LINES: u32 = 10;

/// The limits for deliveries.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// The maximum size of a body in bytes.
    pub body_bytes: usize,
    /// The maximum time from the last header to the last byte of a small body. A body has a second more for each MiB that
    /// arrived.
    pub body_time: Duration,
    /// The maximum memory of all bodies in bytes, at least `body_bytes`. If it is not at least 1 MiB more, 1 MiB more than
    /// `body_bytes` is used.
    pub body_memory: usize,
    /// The maximum number of deliveries per second for one object.
    pub object_rate: u32,
    /// The proxies whose `X-Forwarded-For` names the source of a delivery.
    pub trusted_proxies: Networks,
    /// The sources from which deliveries are accepted, or `None` for all.
    pub allowed_sources: Option<Networks>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            body_bytes: 25 << 20,
            body_time: Duration::from_secs(10),
            body_memory: 32 << 20,
            object_rate: 1000,
            trusted_proxies: Networks::default(),
            allowed_sources: None,
        }
    }
}

/// The limits, and what is taken of them.
pub struct Limits {
    pub(super) bounds: Bounds,
    pub(super) bodies: Budget,
    /// The memory for parsing in KiB.
    parsing: Arc<Semaphore>,
    in_flight: Arc<Semaphore>,
    deliveries: RateLimit<ObjectKey>,
    failures: RateLimit<IpAddr>,
    /// Samples the log lines about refusals, which strangers can cause.
    pub(super) refusal_lines: Sampler,
    metrics: ReceiverMetrics,
}

impl Limits {
    /// Returns the limits with nothing taken.
    #[must_use]
    pub fn new(bounds: Bounds, metrics: ReceiverMetrics) -> Self {
        let rate = bounds.object_rate.max(1);
        let bodies = Budget::new(bounds.body_memory, bounds.body_bytes, &metrics.body_bytes());
        Self {
            bodies,
            parsing: Arc::new(Semaphore::new(PARSING_BYTES >> 10)),
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT)),
            deliveries: RateLimit::new(Rate {
                burst: rate,
                interval: Duration::from_secs(1) / rate,
            }),
            failures: RateLimit::new(FAILURES),
            refusal_lines: Sampler::per_second(REFUSAL_LINES),
            metrics,
            bounds,
        }
    }

    /// Returns the source of a request, or `None` if the server does not know the peer.
    pub(super) fn source(&self, peer: Option<Peer>, headers: &HeaderMap) -> Option<IpAddr> {
        let Peer(address) = peer?;
        Some(source(address, headers, &self.bounds.trusted_proxies))
    }

    /// Returns whether the receiver accepts deliveries from a source, whatever their object is.
    pub(super) fn allows(&self, source: Option<IpAddr>) -> bool {
        is_in(self.bounds.allowed_sources.as_ref(), source)
    }

    /// Counts a refused delivery that carries a proof. Returns the answer to it, which is 429 if the source had too
    /// many.
    ///
    /// Only refusals are limited, after the proof was checked: a delivery with a valid proof is accepted even if
    /// others behind the same proxy guess secrets. The limit does not save work. The other limits bound the work. This
    /// one tells the log and a misconfigured sender that something is wrong, and slows down guesses.
    ///
    /// A delivery without a proof guesses nothing. Some senders wait for the challenge in a refusal before they send
    /// their password, and need it for each delivery.
    pub(super) fn refuse(
        &self,
        source: Option<IpAddr>,
        carries_proof: bool,
        refused: Answer,
    ) -> Answer {
        if !carries_proof || !refused.is(Reason::Unauthorized) {
            return refused;
        }
        let counted = source.map_or(Ok(()), |source| self.failures.count(server::group(source)));
        match counted {
            Ok(()) => refused,
            Err(wait) => {
                self.metrics.limited(Limited::Failures);
                let error = "too many deliveries of this source were refused";
                Answer::again_in(Reason::RateLimited, error, wait).closing()
            }
        }
    }

    /// Admits an authenticated delivery to the work on it. The delivery is in work until the permit is dropped.
    pub(super) fn admit(&self) -> Result<OwnedSemaphorePermit, Answer> {
        Arc::clone(&self.in_flight)
            .try_acquire_owned()
            .map_err(|_| {
                self.metrics.limited(Limited::InFlight);
                let error = format!("{IN_FLIGHT} deliveries are being handled; try again");
                Answer::unavailable(Reason::Overloaded, error, None)
            })
    }

    /// Counts a delivery for an object.
    pub(super) fn count(&self, key: &ObjectKey) -> Result<(), Answer> {
        self.deliveries.count(key.clone()).map_err(|wait| {
            self.metrics.limited(Limited::Object);
            let error = format!(
                "more than {} deliveries per second for one object",
                self.bounds.object_rate
            );
            Answer::again_in(Reason::RateLimited, error, wait)
        })
    }

    /// Takes the memory for parsing a body, until the permit is dropped.
    pub(super) async fn parse(
        &self,
        delivery: &Delivery,
        deadline: Instant,
    ) -> Result<OwnedSemaphorePermit, Answer> {
        let bytes = Document::memory(&delivery.body, delivery.media_type().as_deref());
        if bytes > PARSING_BYTES {
            let error = "the body contains too many values";
            return Err(Answer::refused(Reason::TooManyValues, error));
        }
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.parsing).acquire_many_owned(kib);
        match tokio::time::timeout_at(deadline, permit).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(self.no_memory()),
        }
    }

    /// Returns the answer to a delivery for which there was no memory in time.
    pub(super) fn no_memory(&self) -> Answer {
        self.metrics.limited(Limited::Memory);
        let error = "too many bodies are being received and handled; try again";
        Answer::unavailable(Reason::Overloaded, error, None)
    }
}

/// Returns whether an object accepts deliveries from a source. If a network cannot be parsed, this is an error, because
/// the author of the list wanted to exclude somebody.
pub(super) fn accepts(policy: &Policy, source: Option<IpAddr>) -> Result<bool, NetworkError> {
    let networks = policy.allowed_sources.as_deref().map(Networks::parse);
    Ok(is_in(networks.transpose()?.as_ref(), source))
}

fn is_in(networks: Option<&Networks>, source: Option<IpAddr>) -> bool {
    networks.is_none_or(|networks| source.is_some_and(|source| networks.contain(source)))
}
