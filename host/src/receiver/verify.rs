//! Verifies the senders of deliveries, each by the key of its object.
//!
//! A sender that is not verified cannot find out whether an object exists or has its own key: a refusal is the same in
//! all cases, and is final only after one read of the API server's present state. That read also finds an object that
//! was created an instant ago, and a key that was changed an instant ago. All refusals within a second share it.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::Request;
use stoker_api::SecretKey;
use tokio::time::Instant;

use super::Receiver;
use super::answer::{Answer, Reason};
use super::body::{self, Received};
use super::budget::Share;
use super::limits::accepts;
use super::path_object::PathObject;
use super::record::Record;
use crate::auth::{AuthError, AuthState, Refused, Verified};
use crate::delivery::Delivery;
use crate::request::{RequestError, Target, Unannounced};

/// The time from the last byte of a body to the answer. GitHub and GitLab wait ten seconds, the body included.
const ANSWER_TIME: Duration = Duration::from_secs(8);

/// The refusal of a delivery from a source that is not allowed.
const WRONG_SOURCE: AuthError =
    AuthError::Unauthorized("deliveries of this source are not allowed");

/// The answer to a refused delivery, whatever its scheme and the reason are.
const REFUSED: &str = "the signature, token or password is missing or wrong, or the address of the sender is not \
                       allowed; SHA-1 is not accepted; see docs/webhook-setup.md";

/// A refusal is answered at a multiple of this time after the last byte of the body. The API server needs another time
/// for an object that exists than for one that does not, and this difference must not show.
const REFUSAL_STEP: Duration = Duration::from_millis(25);

/// A delivery whose sender is verified.
pub(super) struct Authenticated {
    pub(super) delivery: Verified<Delivery>,
    /// The object, or the reason why it was not found.
    pub(super) target: Result<Target, RequestError>,
    /// The latest time of the answer.
    pub(super) deadline: Instant,
    /// The share of the body in the memory for bodies.
    pub(super) share: Option<Share>,
}

/// Reads a delivery and verifies its sender. The body is not read if its headers cannot be accepted.
pub(super) async fn authenticate(
    receiver: &Receiver,
    object: &PathObject,
    source: Option<IpAddr>,
    request: Request,
    record: &mut Record,
) -> Result<Authenticated, Answer> {
    let (parts, body) = request.into_parts();
    let limits = &receiver.limits;
    let acceptable = body::check_length(&parts.headers, &limits.bounds).and_then(|()| {
        if !limits.allows(source) {
            Err(refuse(receiver, record, &WRONG_SOURCE))
        } else if receiver.auth.may_accept(&parts.headers) {
            Ok(())
        } else {
            let missing = AuthError::Unauthorized("neither a signature nor a token was sent");
            Err(refuse(receiver, record, &missing))
        }
    });
    if let Err(answer) = acceptable {
        body::discard(body);
        return Err(answer);
    }
    let Received { bytes, share } = body::read(&parts, body, source, limits).await?;
    record.received(bytes.len());
    let arrived = Instant::now();
    let deadline = arrived + ANSWER_TIME;
    let delivery = Delivery {
        headers: parts.headers,
        body: bytes,
    };
    let verified = verify(receiver, object, delivery, deadline).await;
    let verified = verified.and_then(|(delivery, target)| {
        let target = restrict(receiver, target, source)?;
        Ok((delivery, target))
    });
    match verified {
        Ok((delivery, target)) => Ok(Authenticated {
            delivery,
            target,
            deadline,
            share,
        }),
        Err(error) => {
            drop(share);
            let answer = refuse(receiver, record, &error);
            // How long the API server does not answer must not show what was asked of it.
            let is_unavailable = matches!(error, AuthError::Unavailable);
            let answer_at = if is_unavailable {
                deadline
            } else {
                next_step(arrived, Instant::now())
            };
            tokio::time::sleep_until(answer_at).await;
            Err(answer)
        }
    }
}

/// Returns the object of an authenticated delivery if it accepts deliveries of the source. The answer for an object that
/// is not found does not depend on the source. The answer to a wrong source does not say that the proof is right, because
/// the secret may be leaked. The event on the object says so.
fn restrict(
    receiver: &Receiver,
    target: Result<Target, RequestError>,
    source: Option<IpAddr>,
) -> Result<Result<Target, RequestError>, AuthError> {
    let Ok(target) = target else {
        return Ok(target);
    };
    match accepts(&target.policy, source) {
        Ok(true) => Ok(Ok(target)),
        Ok(false) => {
            let from = source.map_or_else(|| "an unknown address".to_owned(), |ip| ip.to_string());
            let why = format!("spec.webhook.allowedSources does not allow {from}");
            report(receiver, &target, Unannounced::WrongSource, &why);
            Err(WRONG_SOURCE)
        }
        Err(error) => {
            let why = format!("spec.webhook.allowedSources: {error}");
            report(receiver, &target, Unannounced::Misconfigured, &why);
            Ok(Err(RequestError::Invalid {
                key: target.key,
                why,
            }))
        }
    }
}

/// Returns the next time at which a refusal is answered.
fn next_step(arrived: Instant, now: Instant) -> Instant {
    let passed = now.duration_since(arrived).as_millis() / REFUSAL_STEP.as_millis();
    let steps = u32::try_from(passed).unwrap_or(u32::MAX).saturating_add(1);
    arrived + REFUSAL_STEP.saturating_mul(steps)
}

type Outcome = (Verified<Delivery>, Result<Target, RequestError>);

async fn verify(
    receiver: &Receiver,
    object: &PathObject,
    delivery: Delivery,
    deadline: Instant,
) -> Result<Outcome, AuthError> {
    let key = object.key();
    let watched = object.is_possible().then(|| receiver.requests.find(key));
    let watched = match watched.flatten() {
        Some(target) if let Some(own) = target.policy.secret.clone() => {
            return verify_own(receiver, target, &own, delivery, deadline).await;
        }
        watched => watched,
    };
    let keyring = receiver.auth.keyring(key.namespace(), None, deadline).await;
    match (keyring.verify(delivery), watched) {
        (Ok(delivery), Some(target)) => Ok((delivery, Ok(target))),
        (Ok(delivery), None) if !object.is_possible() => {
            Ok((delivery, Err(RequestError::NotFound(key.clone()))))
        }
        (Ok(delivery), None) => match receiver.requests.read(key, deadline).await {
            // The watch has not reported the object yet. Only its own key opens it.
            Ok(target) if let Some(own) = target.policy.secret.clone() => {
                let delivery = delivery.into_unverified();
                verify_own(receiver, target, &own, delivery, deadline).await
            }
            target => Ok((delivery, target)),
        },
        (Err(refused), _) => verify_again(receiver, object, *refused, deadline).await,
    }
}

/// Verifies a delivery for an object by its own key.
async fn verify_own(
    receiver: &Receiver,
    target: Target,
    own: &SecretKey,
    delivery: Delivery,
    deadline: Instant,
) -> Result<Outcome, AuthError> {
    let (auth, namespace) = (&receiver.auth, target.key.namespace());
    let keyring = auth.keyring(namespace, Some(own), deadline).await;
    let delivery = match keyring.verify(delivery) {
        Ok(delivery) => return Ok((delivery, Ok(target))),
        Err(refused) if keyring.is_current() => {
            report_own(receiver, &target, &refused.error);
            return Err(refused.error);
        }
        Err(refused) => refused.delivery,
    };
    // The key may have changed while the API server did not answer.
    let keyring = auth.current_keyring(namespace, own, deadline).await;
    match keyring.verify(delivery) {
        Ok(delivery) => Ok((delivery, Ok(target))),
        Err(refused) if keyring.is_current() => {
            report_own(receiver, &target, &refused.error);
            Err(refused.error)
        }
        Err(_) => Err(AuthError::Unavailable),
    }
}

/// Reports on an object that its own secret cannot be used. Strangers can cause the report, but it does not depend on
/// what they send, and repeated reports are only counted.
fn report_own(receiver: &Receiver, target: &Target, error: &AuthError) {
    if let AuthError::OwnUnusable(why) = error {
        let why = format!("spec.webhook.secretRef: {}", stoker_report::chain(why));
        report(receiver, target, Unannounced::Misconfigured, &why);
    }
}

/// Reports a refusal on the object.
fn report(receiver: &Receiver, target: &Target, refusal: Unannounced, why: &str) {
    let requests = &receiver.requests;
    requests.report(target, refusal, why);
}

/// Verifies a refused delivery by the present state of the object.
async fn verify_again(
    receiver: &Receiver,
    object: &PathObject,
    refused: Refused,
    deadline: Instant,
) -> Result<Outcome, AuthError> {
    let Refused { error, delivery } = refused;
    match receiver
        .refusal_reads
        .read(&receiver.requests, object.key(), deadline)
        .await
    {
        Some(Ok(target))
            if object.is_possible()
                && let Some(own) = target.policy.secret.clone() =>
        {
            verify_own(receiver, target, &own, delivery, deadline).await
        }
        Some(Err(RequestError::Unavailable(_))) => Err(AuthError::Unavailable),
        // The global keys have not changed since the check.
        Some(Ok(_) | Err(_)) | None => Err(error),
    }
}

/// Returns the answer to a delivery whose sender is not verified. It depends neither on the object nor on what is wrong
/// with the proof, which would be more useful to an attacker than to a sender.
fn refuse(receiver: &Receiver, record: &Record, error: &AuthError) -> Answer {
    record.refused(error);
    if let AuthState::Unusable(why) = receiver.auth.state() {
        if receiver.limits.refusal_lines.allows() {
            tracing::error!(error = %stoker_report::chain(&why), "a delivery was refused, because the webhook secret cannot be used");
        }
        let error = "the receiver's webhook secret cannot be used; see the log of Stoker";
        return Answer::unavailable(Reason::SecretUnusable, error, None);
    }
    match error {
        AuthError::Unavailable => {
            let error = "the Kubernetes API server cannot be reached; try again";
            Answer::unavailable(Reason::ApiUnavailable, error, None)
        }
        AuthError::Unauthorized(_) | AuthError::Unusable(_) | AuthError::OwnUnusable(_) => {
            Answer::refused(Reason::Unauthorized, REFUSED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_answered_at_a_multiple_of_a_fixed_time() {
        let arrived = Instant::now();
        for (passed, expected) in [(0, 25), (1, 25), (24, 25), (25, 50), (49, 50), (2000, 2025)] {
            let answered = next_step(arrived, arrived + Duration::from_millis(passed));
            assert_eq!(answered - arrived, Duration::from_millis(expected));
        }
    }
}
