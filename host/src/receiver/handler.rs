//! One delivery: find the object, verify the sender, detect the ref, submit the request, answer.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use stoker_api::detection::Detection;

use super::Receiver;
use super::admission::{Admitted, Place, admit};
use super::answer::Answer;
use super::record::Record;
use crate::auth::Verified;
use crate::delivery::{Delivery, delivery_id};
use crate::payload::PayloadError;
use crate::plugin::{Plugin, Question, Verdict};
use crate::request::{Announcement, Policy, RequestError, Submitted};

/// Answers one delivery.
pub(super) async fn receive(
    State(receiver): State<Arc<Receiver>>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Answer {
    // A path that is not UTF-8 names no object.
    let (namespace, name) = path.map_or_else(|_| Default::default(), |Path(names)| names);
    answer(&receiver, &namespace, &name, request).await
}

/// Answers a delivery whose path has another form than that of an object. The answer is the one for an object that
/// does not exist.
pub(super) async fn receive_elsewhere(receiver: &Receiver, request: Request) -> Answer {
    answer(receiver, "", "", request).await
}

async fn answer(receiver: &Receiver, namespace: &str, name: &str, request: Request) -> Answer {
    let record = Record::start(
        &receiver.metrics,
        namespace,
        name,
        delivery_id(request.headers()),
    );
    let answer = match handle(receiver, namespace, name, request).await {
        Ok(answer) | Err(answer) => answer,
    };
    record.finish(&answer);
    answer
}

/// Handles a delivery. The error is the answer to a delivery that ends before its last step.
async fn handle(
    receiver: &Receiver,
    namespace: &str,
    name: &str,
    request: Request,
) -> Result<Answer, Answer> {
    let place = Place::new(namespace, name, request.uri().path());
    let Admitted {
        delivery,
        target,
        deadline,
    } = admit(receiver, &place, request).await?;

    // From here on, the sender is authenticated.
    let fail = |error| fail(&error, namespace, name);
    let target = target.map_err(fail)?;
    let (plugin, detections) = detect(receiver, delivery, &target.policy).await?;
    let announcement = Announcement {
        plugin: plugin.descriptor().name.as_str().into(),
        detections,
    };
    let submitted = receiver.requests.submit(target, announcement, deadline);
    match submitted.await {
        Ok(submitted) => Ok(accept(submitted, plugin)),
        Err(error @ RequestError::NotFollowed { .. }) => Ok(Answer::Ignored {
            plugin,
            reason: error.to_string(),
        }),
        Err(error) => Err(fail(error)),
    }
}

async fn detect(
    receiver: &Receiver,
    delivery: Verified<Delivery>,
    policy: &Policy,
) -> Result<(Arc<Plugin>, Vec<Detection>), Answer> {
    let form = BodyForm::of(&delivery);
    let (question, parsed) = Question::new(delivery);
    let verdict = receiver.detector.detect(question, &policy.detectors).await;
    if let Err(error) = parsed
        && !matches!(verdict, Verdict::Ignored { .. })
    {
        // No plugin ignores the delivery by its headers alone, and none can read its body.
        return Err(not_json(&error, &form));
    }
    match verdict {
        Verdict::Found { plugin, detections } => Ok((plugin, detections)),
        Verdict::Ignored { plugin, reason } => Err(Answer::Ignored { plugin, reason }),
        Verdict::Malformed { plugin, why } => {
            let error = format!("plugin {}: {why}", plugin.descriptor().name);
            Err(Answer::refused(StatusCode::BAD_REQUEST, error))
        }
        Verdict::Unrecognised { declined } => Err(Answer::Unrecognised { declined }),
        Verdict::Unavailable { plugin, again_in } => {
            let name = &plugin.descriptor().name;
            let error = match again_in {
                Some(_) => format!(
                    "plugin {name} failed repeatedly and is not asked for a while; try again"
                ),
                None => format!("plugin {name} has no free instance; try again"),
            };
            Err(Answer::unavailable(error, again_in))
        }
        Verdict::Failed { plugin, error } => {
            let name = &plugin.descriptor().name;
            tracing::error!(plugin.file = %plugin.origin(), error = %stoker_report::chain(&error), "plugin failed");
            Err(Answer::Failed {
                error: format!("plugin {name} failed: {error}"),
            })
        }
    }
}

fn accept(submitted: Submitted, plugin: Arc<Plugin>) -> Answer {
    let (git_ref, message) = match submitted {
        Submitted::Written(git_ref) => (git_ref, "ref requested"),
        Submitted::AlreadySet(git_ref) => (git_ref, "ref already set"),
    };
    Answer::Accepted {
        git_ref: git_ref.to_string(),
        plugin,
        message,
    }
}

/// The form of a body by its headers.
struct BodyForm {
    media_type: Option<String>,
    content_encoding: Option<String>,
}

impl BodyForm {
    fn of(delivery: &Delivery) -> Self {
        Self {
            media_type: delivery.media_type(),
            content_encoding: delivery.content_encoding(),
        }
    }
}

/// Returns the answer to a body that is not JSON. A body is parsed as JSON regardless of its headers. After a failure,
/// the headers show the format that the sender intended.
fn not_json(error: &PayloadError, form: &BodyForm) -> Answer {
    if let Some(encoding) = &form.content_encoding {
        let error = format!("the body is compressed with {encoding}: send it without compression");
        return Answer::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, error);
    }
    match &form.media_type {
        Some(other) if !is_json(other) => {
            let error = format!(
                "the body is {other}, and not JSON: set the content type of the webhook to application/json"
            );
            Answer::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, error)
        }
        _ => Answer::refused(
            StatusCode::BAD_REQUEST,
            stoker_report::chain(error).to_string(),
        ),
    }
}

fn is_json(media_type: &str) -> bool {
    matches!(media_type, "application/json" | "text/json") || media_type.ends_with("+json")
}

fn fail(error: &RequestError, namespace: &str, name: &str) -> Answer {
    match error {
        RequestError::NotFound(_) => not_found(namespace, name),
        RequestError::Unavailable(_) => {
            tracing::warn!(sync.namespace = namespace, sync.name = name, error = %stoker_report::chain(error), "a request could not be stored");
            let error = "the Kubernetes API server cannot be reached; try again";
            Answer::unavailable(error, None)
        }
        RequestError::Invalid { .. }
        | RequestError::Refused(_)
        | RequestError::NotFollowed { .. } => {
            tracing::error!(sync.namespace = namespace, sync.name = name, error = %stoker_report::chain(error), "a request was refused");
            Answer::Failed {
                error: format!("{error}; see the log of Stoker"),
            }
        }
    }
}

fn not_found(namespace: &str, name: &str) -> Answer {
    let error = format!("there is no GatewaySync {name:?} in namespace {namespace:?}");
    Answer::refused(StatusCode::NOT_FOUND, error)
}
