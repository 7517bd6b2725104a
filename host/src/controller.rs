//! Keeps every `GatewaySync` true: resolves its ref to a commit, publishes the commit for the agents, and reports.
//!
//! A pass is five steps, each a file: **dereference** (reads the cluster) → **validate** (pure) → **resolve** (asks
//! git) → **publish** (writes the cluster) → **status** (pure, then one write). A pass may come at any time and as often
//! as it likes: it asks git only for a new request, a changed spec, or when the polling interval is over, and writes
//! only what differs.
//!
//! The object is the queue: the receiver leaves requests as annotations, and whoever runs this room picks them up. The
//! room knows neither the web server nor the sandbox of the plugins.

mod clear;
mod condition;
mod dereference;
mod duration;
mod error;
mod events;
mod finalizer;
mod memory;
mod metrics;
mod obstacle;
mod profiles;
mod publish;
mod resolve;
mod status;
mod validate;
mod wake;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ObjectMeta;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::controller::{self, Action};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Client, Resource as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use error::ControllerError;
pub use metrics::ControllerMetrics;

use crate::api::GatewaySync;
use crate::detection::{ObjectKey, RepoUrl};
use crate::git::RefSource;
use crate::report;
use dereference::Dereferenced;
use memory::{Matter, Memory, Retry};
use metrics::{Info, PassResult};
use obstacle::Obstacle;
use resolve::Resolution;
use status::{Examined, Findings};
use validate::Validated;

/// Who writes, in `managedFields`.
const FIELD_MANAGER: &str = "stoker-controller";
/// Passes at once: enough that some slow repositories do not hold up the rest.
const CONCURRENCY: u16 = 16;
/// After somebody else wrote first. Their write wakes a pass anyway, as a rule before this.
const CONFLICT_RETRY: Duration = Duration::from_secs(1);

/// What every pass is given.
struct Context<G> {
    client: Client,
    git: Arc<G>,
    metrics: ControllerMetrics,
    memory: Memory,
    clock: fn() -> Timestamp,
}

/// How a pass ended, and when the next one is due if nothing happens before.
#[derive(Debug, PartialEq, Eq)]
struct Done {
    result: PassResult,
    next: Option<Duration>,
}

impl Done {
    /// Nothing is left to do until something changes.
    fn until_changed() -> Self {
        Self {
            result: PassResult::Success,
            next: None,
        }
    }

    /// Something is missing. It is waited for, unless only a change of the object can help.
    fn failed(retry: Option<Retry>) -> Self {
        Self {
            result: PassResult::Requeue,
            next: retry.map(|retry| retry.left),
        }
    }
}

/// Runs the controller, for one namespace or for all, until it is told to stop; then the passes under way come to their end. Only one may run per
/// cluster, or two would write over each other's status.
pub async fn run<G: RefSource>(
    client: Client,
    namespace: Option<&str>,
    git: Arc<G>,
    metrics: ControllerMetrics,
    shutdown: CancellationToken,
) -> Result<(), ControllerError> {
    let (objects, reader) = wake::objects(client.clone(), namespace);
    let published = wake::published(client.clone(), namespace);
    let context = Arc::new(Context {
        client,
        git,
        metrics,
        memory: Memory::default(),
        clock: Timestamp::now,
    });
    controller::Controller::for_stream(objects, reader)
        .watches_stream(published, published_by)
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(shutdown.clone().cancelled_owned())
        .run(reconcile, retry, Arc::clone(&context))
        .for_each(|passed| {
            if let Err(error) = passed {
                log(&context, &error);
            }
            std::future::ready(())
        })
        .await;
    if shutdown.is_cancelled() {
        Ok(())
    } else {
        Err(ControllerError::WatchEnded)
    }
}

/// The object whose ConfigMap this is, by its name: the owner may have been removed.
fn published_by(
    map: PartialObjectMeta<ConfigMap>,
) -> Option<ObjectRef<DeserializeGuard<GatewaySync>>> {
    let name = map.metadata.name?;
    let name = name.strip_prefix(publish::NAME_PREFIX)?;
    Some(ObjectRef::new(name).within(&map.metadata.namespace?))
}

/// Tells of an error once, and forgets an object that is gone.
fn log<G>(context: &Context<G>, error: &controller::Error<ControllerError, watcher::Error>) {
    match error {
        controller::Error::ObjectNotFound(object) => {
            if let Ok(key) = ObjectKey::new(
                object.namespace.as_deref().unwrap_or_default(),
                &object.name,
            ) {
                context.memory.forget(&key);
                context.metrics.forget(&key);
            }
        }
        controller::Error::ReconcilerFailed(error, object) => tracing::warn!(
            sync.namespace = object.namespace,
            sync.name = object.name,
            reason = error.reason(),
            error = %report::chain(error),
            "pass failed"
        ),
        controller::Error::QueueError(_) | controller::Error::RunnerError(_) => {
            tracing::warn!(error = %report::chain(error), "watch failed");
        }
    }
}

/// When to try again after an error. What only a change of the object can help waits for one.
#[expect(clippy::needless_pass_by_value, reason = "the runtime calls it")]
fn retry<G>(
    object: Arc<DeserializeGuard<GatewaySync>>,
    error: &ControllerError,
    context: Arc<Context<G>>,
) -> Action {
    match key_of(object.meta()) {
        Ok(key) if !error.is_final() => Action::requeue(context.memory.error(&key)),
        _ => Action::await_change(),
    }
}

fn key_of(meta: &ObjectMeta) -> Result<ObjectKey, ControllerError> {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    ObjectKey::new(&text(&meta.namespace), &text(&meta.name)).map_err(ControllerError::Name)
}

async fn reconcile<G: RefSource>(
    object: Arc<DeserializeGuard<GatewaySync>>,
    context: Arc<Context<G>>,
) -> Result<Action, ControllerError> {
    let started = Instant::now();
    let meta = object.meta();
    let key = key_of(meta)?;
    let is_deleted = meta.deletion_timestamp.is_some();
    let done = match &object.0 {
        // Also where the object cannot be read: it must still be able to go.
        _ if is_deleted => remove(&context, &key, meta).await,
        Ok(sync) => pass(&context, &key, sync).await,
        Err(invalid) => Err(ControllerError::InvalidObject(Box::new(invalid.clone()))),
    };
    let done = done.or_else(|error| {
        if !error.is_conflict() {
            return Err(error);
        }
        tracing::debug!(
            sync.namespace = key.namespace(),
            sync.name = key.name(),
            "somebody else wrote first"
        );
        Ok(Done {
            result: PassResult::Requeue,
            next: Some(CONFLICT_RETRY),
        })
    });
    if !is_deleted {
        // Counting the last pass would bring the series of the object back.
        let result = done.as_ref().map_or(PassResult::Error, |done| done.result);
        context
            .metrics
            .observe_pass(&key, started.elapsed(), result);
    }
    Ok(done?
        .next
        .map_or_else(Action::await_change, Action::requeue))
}

/// The last pass over an object: it goes, with all that belongs to it.
async fn remove<G>(
    context: &Context<G>,
    key: &ObjectKey,
    meta: &ObjectMeta,
) -> Result<Done, ControllerError> {
    finalizer::clean_up(&context.client, key, meta).await?;
    context.memory.forget(key);
    context.metrics.forget(key);
    Ok(Done::until_changed())
}

/// One pass over an object that is not being deleted.
async fn pass<G: RefSource>(
    context: &Context<G>,
    key: &ObjectKey,
    sync: &GatewaySync,
) -> Result<Done, ControllerError> {
    if !sync.has_finalizer() {
        // The changed object wakes the next pass.
        finalizer::add(&context.client, key, &sync.metadata).await?;
        return Ok(Done::until_changed());
    }
    if sync.spec.is_paused() {
        tell(context, key, sync, &Findings::Paused).await?;
        return Ok(Done::until_changed());
    }
    let matter = Matter::of(sync);
    let validated = validate::validate(sync);
    let (dereferenced, resolution) = look(context, key, sync, &matter, &validated).await?;
    let published = match (&resolution, dereferenced.git.and(dereferenced.gateway_api)) {
        (Some(Resolution::Unresolved(_)), _) | (None, Ok(())) => Ok(()),
        (_, Err(missing)) => Err(missing),
        (Some(Resolution::Resolved(resolved)), Ok(())) => {
            let present = dereferenced.published.as_ref();
            publish::publish(&context.client, key, sync, resolved, present).await
        }
    };
    let obstacle = match published {
        Ok(()) => None,
        Err(error) => Some(Obstacle::new(error, || context.memory.fail(key, &matter))?),
    };
    let findings = Findings::Examined(Examined {
        profiles: validated.profiles,
        interval_fault: validated.interval_fault,
        host_keys_checked: validated.host_keys_checked,
        resolution: resolution.clone(),
        obstacle: obstacle.as_ref().map(|obstacle| obstacle.message.clone()),
    });
    let written = tell(context, key, sync, &findings).await?;
    match (obstacle, resolution) {
        (Some(obstacle), _) => obstacle.end,
        (None, Some(Resolution::Resolved(resolved))) => {
            if resolved.request_is_obsolete {
                clear::clear(&context.client, key, written.as_ref().unwrap_or(sync)).await?;
            }
            context.memory.succeed(key, &matter);
            Ok(Done {
                result: PassResult::Success,
                next: resolved.next_look,
            })
        }
        (None, Some(Resolution::Unresolved(unresolved))) => Ok(Done::failed(unresolved.retry)),
        (None, None) => Ok(Done::failed(None)),
    }
}

/// Dereferences and resolves. Where git is asked without credentials, neither waits for the other.
async fn look<G: RefSource>(
    context: &Context<G>,
    key: &ObjectKey,
    sync: &GatewaySync,
    matter: &Matter,
    validated: &Validated,
) -> Result<(Dereferenced, Option<Resolution>), ControllerError> {
    let dereference = dereference::dereference(&context.client, key, sync);
    let resolve = resolve::resolve(context, key, matter, validated);
    if sync.spec.git.auth.is_none() {
        let (dereferenced, resolution) = tokio::join!(dereference, resolve);
        return Ok((dereferenced?, Some(resolution)));
    }
    let dereferenced = dereference.await?;
    let resolution = match &dereferenced.git {
        Ok(()) => Some(resolve.await),
        Err(_) => None,
    };
    Ok((dereferenced, resolution))
}

/// Writes the status, then the events, and shows the metrics. Gives the object as written, if it was.
async fn tell<G>(
    context: &Context<G>,
    key: &ObjectKey,
    sync: &GatewaySync,
    findings: &Findings,
) -> Result<Option<GatewaySync>, ControllerError> {
    let next = status::next(sync, findings, (context.clock)());
    let written = status::write(&context.client, key, sync, &next).await?;
    let before = sync.status.clone().unwrap_or_default();
    events::publish(
        &context.client,
        sync,
        &events::between(&before, &next, findings),
    )
    .await;
    context
        .metrics
        .show(key, sync.spec.is_paused(), &next, info(sync));
    Ok(written)
}

fn info(sync: &GatewaySync) -> Info {
    let git = &sync.spec.git;
    Info {
        // Without credentials; an address that is none could hold some anywhere.
        git_repo: RepoUrl::parse(&git.repo)
            .map(|repo| repo.to_string())
            .unwrap_or_default(),
        git_ref: git.git_ref.clone(),
        auth_type: publish::auth_type(git.auth.as_ref()),
        polling_interval: sync.spec.polling.clone().unwrap_or_default().interval,
    }
}
