//! One delivery: find the object, verify the sender, detect the ref, submit the request, answer.

use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use futures::FutureExt as _;
use stoker_api::detection::{Detection, ObjectKey};
use tokio::time::Instant;

use super::Receiver;
use super::answer::{Answer, Reason};
use super::path_object::PathObject;
use super::record::Record;
use super::router::NO_ROUTE;
use super::verify::{Authenticated, authenticate};
use crate::auth::{Verified, carries_proof};
use crate::delivery::{Delivery, Fingerprint, delivery_id};
use crate::payload::PayloadError;
use crate::plugin::{Plugin, Verdict};
use crate::request::{Announcement, Policy, RequestError, Submitted, Target, Unannounced};
use crate::server::Peer;

/// Answers one delivery.
pub(super) async fn receive(
    State(receiver): State<Arc<Receiver>>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Answer {
    // A path that is not UTF-8 names no object.
    let (namespace, name) = path.map_or_else(|_| Default::default(), |Path(names)| names);
    answer(receiver, &namespace, &name, request).await
}

/// Answers a delivery whose path has another form than that of an object. An unauthenticated sender gets the answer for
/// an object that does not exist.
pub(super) async fn receive_elsewhere(receiver: Arc<Receiver>, request: Request) -> Answer {
    answer(receiver, "", "", request).await
}

async fn answer(receiver: Arc<Receiver>, namespace: &str, name: &str, request: Request) -> Answer {
    let headers = request.headers();
    let peer = request.extensions().get::<Peer>().copied();
    let source = receiver.limits.source(peer, headers);
    let id = delivery_id(headers);
    let has_proof = carries_proof(headers);
    let mut record = Record::start(&receiver, (namespace, name), id, source);
    let object = PathObject::new(namespace, name, request.uri().path());
    let authenticated = authenticate(&receiver, &object, source, request, &mut record).await;
    let authenticated = authenticated.and_then(|authenticated| {
        // From here on, the sender is authenticated.
        record.authenticated(&object, authenticated.delivery.scheme());
        Ok((authenticated, receiver.limits.admit()?))
    });
    match authenticated {
        Ok((authenticated, in_flight)) => {
            let deliveries = receiver.deliveries.clone();
            let mut work = async move {
                let _in_flight = in_flight;
                let answer = match handle(&receiver, &object, authenticated).await {
                    Ok(answer) | Err(answer) => answer,
                };
                record.finish(&answer);
                answer
            }
            .boxed();
            // Work that waits for nothing needs no task, which another thread would wake up for.
            if let Poll::Ready(answer) = futures::poll!(&mut work) {
                return answer;
            }
            // The task continues if the sender disconnects: what arrived completely takes effect, and has a log line.
            match deliveries.spawn(work).await {
                Ok(answer) => answer,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        Err(answer) => {
            let answer = receiver.limits.refuse(source, has_proof, answer);
            record.finish(&answer);
            answer
        }
    }
}

/// Handles a delivery whose sender is authenticated. The error is the answer to a delivery that ends before its last
/// step.
async fn handle(
    receiver: &Receiver,
    object: &PathObject,
    authenticated: Authenticated,
) -> Result<Answer, Answer> {
    let Authenticated {
        delivery,
        target,
        deadline,
        share,
    } = authenticated;
    let limits = &receiver.limits;
    let fail = |error| fail(&error, object.key());
    let target = match target {
        Err(RequestError::NotFound(_)) => {
            return Err(unknown(receiver, object, delivery, deadline).await);
        }
        target => target.map_err(fail)?,
    };
    let key = target.key.clone();
    limits.count(&key)?;
    let fingerprint = delivery.fingerprint();
    if let Some(answer) = recall(receiver, &target, &fingerprint) {
        receiver.metrics.accepted(&key, SystemTime::now());
        return Ok(answer);
    }
    let parsing = limits.parse(&delivery, deadline).await?;
    let detected = detect(receiver, delivery, &target.policy).await;
    // The body and what was parsed are not needed any longer.
    drop((share, parsing));
    let (plugin, detections) =
        detected.map_err(|undetected| undetected.report(receiver, &target))?;
    let announcement = Announcement {
        plugin: plugin.descriptor().name.as_str().into(),
        plugin_number: plugin.number(),
        detections,
        fingerprint,
    };
    let submitted = receiver.requests.submit(target, announcement, deadline);
    let submitted = match submitted.await {
        Ok(submitted) => submitted,
        Err(error) => return Err(fail(error).by(plugin)),
    };
    if !matches!(submitted, Submitted::Ignored(_)) {
        receiver.metrics.accepted(&key, SystemTime::now());
    }
    Ok(accept(&submitted, plugin))
}

/// Returns the answer to a delivery for an object that does not exist. As with the Go operator, a delivery that no object
/// could use is refused for what it is.
async fn unknown(
    receiver: &Receiver,
    object: &PathObject,
    delivery: Verified<Delivery>,
    deadline: Instant,
) -> Answer {
    if !object.is_named() {
        return Answer::refused(Reason::NoRoute, NO_ROUTE);
    }
    let _parsing = match receiver.limits.parse(&delivery, deadline).await {
        Ok(parsing) => parsing,
        Err(answer) => return answer,
    };
    match detect(receiver, delivery, &Policy::default()).await {
        Err(Undetected {
            answer,
            unannounced: Some(Unannounced::Refused),
        }) => answer,
        _ => no_object(object),
    }
}

/// Returns the answer to a delivery that repeats an earlier one, if its plugin may still answer. The body of such a
/// delivery is not parsed. Another version of the plugin, or other settings of it, may find something else.
fn recall(receiver: &Receiver, target: &Target, fingerprint: &Fingerprint) -> Option<Answer> {
    let plugin = |number| {
        let selection = &target.policy.detectors;
        receiver.chain.numbered(number, selection)
    };
    let may_answer = |number| plugin(number).is_some();
    let requests = &receiver.requests;
    let (number, submitted) = requests.recall(target, fingerprint, &may_answer)?;
    Some(accept(&submitted, plugin(number)?))
}

/// The end of a delivery in which no ref was detected.
struct Undetected {
    answer: Answer,
    /// How the delivery ended, or `None` if a plugin could not be called or failed.
    unannounced: Option<Unannounced>,
}

impl Undetected {
    fn refused(answer: Answer) -> Self {
        Self {
            answer,
            unannounced: Some(Unannounced::Refused),
        }
    }

    fn failed(answer: Answer) -> Self {
        Self {
            answer,
            unannounced: None,
        }
    }

    /// Reports on the object that a delivery announces nothing, so that its owner need not read the log. Returns the
    /// answer.
    fn report(self, receiver: &Receiver, target: &Target) -> Answer {
        let Self {
            answer,
            unannounced,
        } = self;
        if let Some(unannounced) = unannounced {
            let requests = &receiver.requests;
            requests.report(target, unannounced, answer.message());
        }
        answer
    }
}

async fn detect(
    receiver: &Receiver,
    delivery: Verified<Delivery>,
    policy: &Policy,
) -> Result<(Arc<Plugin>, Vec<Detection>), Undetected> {
    let form = BodyForm::of(&delivery);
    let chain = &receiver.chain;
    let (verdict, parsed) = chain.detect(delivery, &policy.detectors).await;
    if let Err(error) = parsed
        && expects_json(&verdict)
    {
        return Err(Undetected::refused(not_json(&error, &form)));
    }
    Err(match verdict {
        Verdict::Found { plugin, detections } => return Ok((plugin, detections)),
        Verdict::Ignored { plugin, reason } => Undetected {
            answer: Answer::ignored(plugin, Reason::IgnoredByPlugin, reason),
            unannounced: Some(Unannounced::Ignored),
        },
        Verdict::Malformed { plugin, why } => {
            let error = format!("plugin {}: {why}", plugin.descriptor().name);
            Undetected::refused(Answer::refused(Reason::Malformed, error).by(plugin))
        }
        Verdict::Unrecognised { declined } => Undetected::refused(Answer::unrecognised(declined)),
        Verdict::Unavailable { plugin, again_in } => {
            let name = &plugin.descriptor().name;
            let error = match again_in {
                Some(_) => format!(
                    "plugin {name} failed repeatedly and is not called for a while; try again"
                ),
                None => format!("plugin {name} has no free instance; try again"),
            };
            let answer = Answer::unavailable(Reason::PluginUnavailable, error, again_in);
            Undetected::failed(answer.by(plugin))
        }
        Verdict::Failed { plugin, error } => {
            let name = &plugin.descriptor().name;
            tracing::error!(plugin.file = %plugin.origin(), error = %stoker_report::chain(&error), "plugin failed");
            let error = format!("plugin {name} failed: {error}");
            Undetected::failed(Answer::refused(Reason::PluginFailed, error).by(plugin))
        }
    })
}

/// Returns whether no plugin recognised a delivery that may read other bodies than JSON. If the body is not JSON, its
/// sender then most likely meant to send JSON. The built-in plugins read nothing else; any other plugin can read the
/// bytes, and says itself what is wrong with them.
fn expects_json(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Unrecognised { .. } => true,
        Verdict::Malformed { plugin, .. } => plugin.is_builtin(),
        Verdict::Found { .. }
        | Verdict::Ignored { .. }
        | Verdict::Failed { .. }
        | Verdict::Unavailable { .. } => false,
    }
}

fn accept(submitted: &Submitted, plugin: Arc<Plugin>) -> Answer {
    let (git_ref, message) = match submitted {
        Submitted::Written(git_ref) => (git_ref, "ref requested"),
        Submitted::AlreadySet(git_ref) => (git_ref, "ref already set"),
        Submitted::Duplicate(git_ref) => (git_ref, "the same webhook was accepted before"),
        Submitted::Ignored(ignored) => {
            return Answer::ignored(plugin, ignored.reason(), ignored.to_string());
        }
    };
    Answer::accepted(git_ref.to_string(), plugin, submitted.reason(), message)
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
        return Answer::refused(Reason::Compressed, error);
    }
    let is_in_form = matches!(
        error,
        PayloadError::FormWithSeveral | PayloadError::FormEncoding { .. } | PayloadError::InForm(_)
    );
    match &form.media_type {
        Some(_) if matches!(error, PayloadError::FormWithoutPayload) => {
            Answer::refused(Reason::UnsupportedMediaType, error.to_string())
        }
        Some(other) if !is_json(other) && !is_in_form => {
            let error = format!(
                "the body is {other}, and not JSON: set the content type of the webhook to application/json"
            );
            Answer::refused(Reason::UnsupportedMediaType, error)
        }
        _ => Answer::refused(Reason::NotJson, stoker_report::chain(error).to_string()),
    }
}

fn is_json(media_type: &str) -> bool {
    matches!(media_type, "application/json" | "text/json") || media_type.ends_with("+json")
}

fn fail(error: &RequestError, key: &ObjectKey) -> Answer {
    let reason = error.reason();
    let (namespace, name) = (key.namespace(), key.name());
    match error {
        RequestError::NotFound(key) => Answer::refused(reason, not_found(key)),
        RequestError::Unavailable(_) => {
            tracing::warn!(sync.namespace = namespace, sync.name = name, error = %stoker_report::chain(error), "a request could not be stored");
            Answer::unavailable(reason, format!("{error}; try again"), None)
        }
        RequestError::Invalid { .. } => {
            tracing::warn!(sync.namespace = namespace, sync.name = name, %error, "a request was refused");
            Answer::refused(reason, error.to_string())
        }
        RequestError::Refused(_) => {
            tracing::error!(sync.namespace = namespace, sync.name = name, error = %stoker_report::chain(error), "a request was refused");
            let error = format!("{error}; see the log of Stoker");
            Answer::refused(reason, error)
        }
    }
}

/// Returns the answer to a delivery whose path names no object, or one that cannot exist.
fn no_object(object: &PathObject) -> Answer {
    let error = object.impossible().map_or_else(
        || not_found(object.key()),
        |why| format!("the path names no GatewaySync: {why}"),
    );
    Answer::refused(Reason::NotFound, error)
}

fn not_found(key: &ObjectKey) -> String {
    let (namespace, name) = (key.namespace(), key.name());
    format!("there is no GatewaySync {name:?} in namespace {namespace:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::plugin::{Capacity, Origin, Sandbox, Tuning};

    async fn plugin(origin: Origin) -> Arc<Plugin> {
        let sandbox = Sandbox::new(Capacity::default()).unwrap();
        let metrics = Metrics::new().plugin;
        let bytes = stoker_builtin::EXAMPLE.to_vec();
        let tuning = Arc::new(Tuning::default());
        let plugin = Plugin::load(&sandbox, &metrics, origin, bytes, tuning).await;
        Arc::new(plugin.unwrap())
    }

    #[tokio::test]
    async fn the_words_of_a_plugin_of_ones_own_about_a_body_reach_the_sender() {
        let malformed = |plugin| Verdict::Malformed {
            plugin,
            why: "the release has no tag".to_owned(),
        };
        let own = plugin(Origin::File("acme.wasm".to_owned())).await;
        assert!(!expects_json(&malformed(own)));
        let builtin = plugin(Origin::Builtin("github")).await;
        assert!(expects_json(&malformed(builtin)));
        let declined = Vec::new();
        assert!(expects_json(&Verdict::Unrecognised { declined }));
    }
}
