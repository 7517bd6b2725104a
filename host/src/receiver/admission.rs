//! Admits deliveries whose sender is verified, each by the key of its object.
//!
//! Whoever is not verified cannot tell whether an object exists or has its own key: a refusal is the same in all cases,
//! and is final only after one read of the API server's present state. That read also finds an object that was created
//! an instant ago, and a key that was changed an instant ago.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::request::Parts;
use futures::FutureExt as _;
use stoker_api::detection::ObjectKey;
use tokio::time::Instant;

use super::Receiver;
use super::answer::Answer;
use super::body;
use crate::auth::{AuthError, AuthState, Refused, Verified};
use crate::delivery::Delivery;
use crate::recent::Recent;
use crate::request::{RequestError, Requests, Target};

/// The time from the last byte of a body to the answer. GitHub and GitLab wait ten seconds, the body included.
const ANSWER_TIME: Duration = Duration::from_secs(8);
/// The time limit of a read that a refused delivery causes.
const LOOK_TIME: Duration = Duration::from_secs(2);
/// The time for which the result of such a read is used.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// The maximum number of results that are remembered.
const LOOK_CAPACITY: usize = 4096;
/// The maximum number of such reads per second, for all objects. Senders that are not verified cause them.
const LOOKS_PER_SECOND: u32 = 100;

/// A delivery whose sender is verified.
pub(super) struct Admitted {
    pub(super) delivery: Verified<Delivery>,
    /// The object, or the reason why it was not found.
    pub(super) target: Result<Target, RequestError>,
    /// The latest time of the answer.
    pub(super) deadline: Instant,
}

/// What the path of a request names.
pub(super) struct Place {
    key: ObjectKey,
    /// Whether an object can have the name. If not, the key is one that no object has.
    is_possible: bool,
}

impl Place {
    /// Returns the object of these names, or a place without an object for names that no object can have. The API
    /// server is asked for both, so that the answers take as long.
    pub(super) fn new(namespace: &str, name: &str, path: &str) -> Self {
        if let Ok(key) = ObjectKey::new(namespace, name) {
            return Self {
                key,
                is_possible: true,
            };
        }
        let digits = hex::encode(&path.as_bytes()[..path.len().min(NOWHERE_BYTES)]);
        let key = ObjectKey::new("default", &format!("x-{digits}-x"));
        #[expect(clippy::expect_used, reason = "hexadecimal digits are part of a name")]
        Self {
            key: key.expect("a name of digits and letters"),
            is_possible: false,
        }
    }
}

/// The number of bytes of a path in the name of an object that does not exist. A name has at most 253 bytes.
const NOWHERE_BYTES: usize = 100;

/// The reads that refused deliveries caused within the last second.
pub struct Looks {
    reads: Recent<ObjectKey, Result<Target, RequestError>>,
    allowance: Mutex<Allowance>,
}

/// A token bucket.
struct Allowance {
    /// The number of reads that are allowed now.
    reads: f64,
    since: Instant,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            reads: Recent::new(LOOK_PERIOD, LOOK_CAPACITY),
            allowance: Mutex::new(Allowance {
                reads: f64::from(LOOKS_PER_SECOND),
                since: Instant::now(),
            }),
        }
    }
}

impl Looks {
    /// Reads an object, or returns the result of a read within the last second. Returns `None` if there were too many
    /// reads.
    async fn look(
        &self,
        requests: &Arc<dyn Requests>,
        key: &ObjectKey,
    ) -> Option<Result<Target, RequestError>> {
        let read = || {
            let is_allowed = self
                .allowance
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            let (requests, wanted) = (Arc::clone(requests), key.clone());
            let deadline = Instant::now() + LOOK_TIME;
            let read = async move { requests.read(&wanted, deadline).await };
            is_allowed.then(|| read.boxed())
        };
        self.reads.get(key, read).await
    }
}

impl Allowance {
    fn take(&mut self) -> bool {
        let now = Instant::now();
        let limit = f64::from(LOOKS_PER_SECOND);
        let earned = now.duration_since(self.since).as_secs_f64() * limit;
        self.reads = (self.reads + earned).min(limit);
        self.since = now;
        let is_allowed = self.reads >= 1.0;
        if is_allowed {
            self.reads -= 1.0;
        }
        is_allowed
    }
}

/// Reads a delivery and verifies its sender. The body is not read if its headers cannot be accepted.
pub(super) async fn admit(
    receiver: &Receiver,
    place: &Place,
    request: Request,
) -> Result<Admitted, Answer> {
    let (Parts { headers, .. }, body) = request.into_parts();
    let acceptable = body::check_length(&headers, receiver.bounds).and_then(|()| {
        if receiver.auth.may_accept(&headers) {
            Ok(())
        } else {
            let missing = AuthError::Unauthorized("neither a signature nor a token was sent");
            Err(refuse(receiver, &missing))
        }
    });
    if let Err(answer) = acceptable {
        body::discard(body);
        return Err(answer);
    }
    let body = body::read(body, receiver.bounds).await?;
    let deadline = Instant::now() + ANSWER_TIME;
    let delivery = Delivery { headers, body };
    let (delivery, target) = verify(receiver, place, delivery, deadline)
        .await
        .map_err(|error| refuse(receiver, &error))?;
    Ok(Admitted {
        delivery,
        target,
        deadline,
    })
}

type Outcome = (Verified<Delivery>, Result<Target, RequestError>);

async fn verify(
    receiver: &Receiver,
    place: &Place,
    delivery: Delivery,
    deadline: Instant,
) -> Result<Outcome, AuthError> {
    let key = &place.key;
    let watched = place.is_possible.then(|| receiver.requests.find(key));
    let watched = match watched.flatten() {
        Some(target) if has_own_secret(&target) => {
            return verify_own(receiver, target, delivery).await;
        }
        watched => watched,
    };
    let keyring = receiver.auth.keyring(key.namespace(), None).await;
    match (keyring.verify(delivery), watched) {
        (Ok(delivery), Some(target)) => Ok((delivery, Ok(target))),
        (Ok(delivery), None) if !place.is_possible => {
            Ok((delivery, Err(RequestError::NotFound(key.clone()))))
        }
        (Ok(delivery), None) => match receiver.requests.read(key, deadline).await {
            // The watch has not reported the object yet. Only its own key opens it.
            Ok(target) if has_own_secret(&target) => {
                verify_own(receiver, target, delivery.into_unverified()).await
            }
            target => Ok((delivery, target)),
        },
        (Err(refused), _) => look(receiver, place, *refused).await,
    }
}

/// Verifies a delivery for an object with its own key.
async fn verify_own(
    receiver: &Receiver,
    target: Target,
    delivery: Delivery,
) -> Result<Outcome, AuthError> {
    let own = target.policy.secret.as_ref();
    let keyring = receiver.auth.keyring(target.key.namespace(), own).await;
    match keyring.verify(delivery) {
        Ok(delivery) => Ok((delivery, Ok(target))),
        Err(refused) if keyring.is_current() => Err(refused.error),
        // The key may have changed while the API server did not answer.
        Err(_) => Err(AuthError::Unavailable),
    }
}

/// Verifies a refused delivery by the present state of the object.
async fn look(receiver: &Receiver, place: &Place, refused: Refused) -> Result<Outcome, AuthError> {
    let Refused { error, delivery } = refused;
    match receiver.looks.look(&receiver.requests, &place.key).await {
        Some(Ok(target)) if place.is_possible && has_own_secret(&target) => {
            verify_own(receiver, target, delivery).await
        }
        Some(Err(RequestError::Unavailable(_))) => Err(AuthError::Unavailable),
        // The global keys have not changed since the check.
        Some(Ok(_) | Err(_)) | None => Err(error),
    }
}

fn has_own_secret(target: &Target) -> bool {
    target.policy.secret.is_some()
}

/// Returns the answer to a delivery whose sender is not verified. It depends neither on the object nor on what is wrong
/// with the proof, which would be more useful to an attacker than to a sender.
fn refuse(receiver: &Receiver, error: &AuthError) -> Answer {
    tracing::debug!(why = %stoker_report::chain(error), "a delivery was refused");
    if let AuthState::Unusable(why) = receiver.auth.state() {
        tracing::error!(error = %stoker_report::chain(&why), "a delivery was refused, because the webhook secret cannot be used");
        let error = "the receiver's webhook secret cannot be used; see the log of Stoker";
        return Answer::unavailable(error, None);
    }
    match error {
        AuthError::Unavailable => {
            let error = "the Kubernetes API server cannot be reached; try again";
            Answer::unavailable(error, None)
        }
        AuthError::Unauthorized(_) | AuthError::Unusable(_) => Answer::refused(
            StatusCode::UNAUTHORIZED,
            "missing or wrong signature: sign the body with the webhook secret (X-Hub-Signature-256); SHA-1 is not accepted",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_reads_of_refused_deliveries_are_limited_to_a_hundred_a_second() {
        let mut allowance = Allowance {
            reads: f64::from(LOOKS_PER_SECOND),
            since: Instant::now(),
        };
        let taken = |allowance: &mut Allowance| (0..1000).filter(|_| allowance.take()).count();
        assert_eq!(taken(&mut allowance), 100);
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(taken(&mut allowance), 50);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(taken(&mut allowance), 100);
    }

    #[test]
    fn a_path_of_any_length_is_a_place() {
        for path in ["/webhook/", "/webhook/a/b/c", &"/".repeat(10_000)] {
            let place = Place::new("", "", path);
            assert!(!place.is_possible && place.key.name().len() <= 253);
        }
        assert!(Place::new("plants", "north", "/webhook/plants/north").is_possible);
    }
}
