//! Reconciles every `GatewaySync`: resolves its ref to a commit, publishes the commit for the agents, and reports.
//!
//! A pass has six steps, each in its own file: **dereference** (reads the cluster) → **validate** (pure) → **resolve**
//! (asks the git server) → **publish** (writes the cluster) → **gateways** (what the agents report) → **status** (pure,
//! then one write). A pass is idempotent
//! and may start at any time: it asks the git server only for a new request, for a changed spec, or after the polling
//! interval, and it writes only what differs.
//!
//! The object is the queue: the receiver stores requests as annotations, and the controller handles them. This module
//! depends neither on the receiver nor on the plugins.

mod agent_binding;
mod clear;
mod condition;
mod config_map;
mod dereference;
mod duration;
mod error;
mod events;
mod finalizer;
mod gateways;
mod metrics;
mod ownership;
mod profiles;
mod publish;
mod resolve;
mod state;
mod status;
mod validate;
mod watch;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::api::{ObjectMeta, PatchParams};
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::controller::{self, Action};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Client, Resource as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use agent_binding::AgentRole;
pub use error::ControllerError;
pub use metrics::ControllerMetrics;

use gateways::{PodIndex, Skew};
use metrics::{ObjectInfo, PassResult};
use publish::Publication;
use resolve::{Blocked, Resolution};
use state::{ObjectStates, Retry};
use status::Outcome;
use stoker_api::detection::{ObjectKey, RepoUrl};
use stoker_api::{GatewaySync, GatewaySyncStatus};
use stoker_git::RefSource;

/// The name of the writer in `managedFields`.
const FIELD_MANAGER: &str = "stoker-controller";
/// The maximum number of concurrent passes. Slow repositories do not delay the others.
const CONCURRENCY: u16 = 16;
/// The delay after a conflict with the write of another client. Usually, that write starts the next pass earlier.
const CONFLICT_RETRY: Duration = Duration::from_secs(1);

/// The data that all passes share.
struct Context<G> {
    client: Client,
    git: Arc<G>,
    metrics: ControllerMetrics,
    states: ObjectStates,
    pods: Arc<PodIndex>,
    /// The role that agents are bound to. `None` if they are bound by hand.
    agent_role: Option<AgentRole>,
    clock: fn() -> Timestamp,
}

/// The result of a pass, and the delay until the next pass if nothing changes.
#[derive(Debug, PartialEq, Eq)]
struct ReconcileResult {
    result: PassResult,
    next: Option<Duration>,
}

impl ReconcileResult {
    /// Returns the result of a pass that is complete until something changes.
    fn done() -> Self {
        Self {
            result: PassResult::Success,
            next: None,
        }
    }

    /// Returns the result of a pass that lacks something. Without a retry, only a change of the object can help.
    fn retry(retry: Option<Retry>) -> Self {
        Self {
            result: PassResult::Requeue,
            next: retry.map(|retry| retry.left),
        }
    }
}

/// Runs the controller for one namespace, or for all, until the token is cancelled and the current passes have ended.
/// Agents are bound to the role, if there is one.
///
/// Only one may run per cluster, because two would overwrite each other's status.
///
/// # Errors
///
/// Fails if the watch of the objects ends by itself.
pub async fn run<G: RefSource>(
    client: Client,
    namespace: Option<&str>,
    agent_role: Option<AgentRole>,
    git: Arc<G>,
    metrics: ControllerMetrics,
    shutdown: CancellationToken,
) -> Result<(), ControllerError> {
    let (objects, reader) = watch::objects(client.clone(), namespace);
    let config_maps = watch::config_maps(client.clone(), namespace);
    let pods = Arc::new(PodIndex::new());
    let changed_pods = watch::pods(client.clone(), namespace, Arc::clone(&pods));
    let bindings = match agent_role {
        Some(_) => watch::role_bindings(client.clone(), namespace).boxed(),
        None => futures::stream::pending().boxed(),
    };
    let context = Arc::new(Context {
        client,
        git,
        metrics,
        states: ObjectStates::default(),
        pods,
        agent_role,
        clock: Timestamp::now,
    });
    controller::Controller::for_stream(objects, reader)
        .watches_stream(config_maps, |map| {
            owner(&map, &[publish::NAME_PREFIX, gateways::REPORTS_PREFIX])
        })
        .watches_stream(bindings, |binding| {
            owner(&binding, &[agent_binding::NAME_PREFIX])
        })
        .reconcile_on(changed_pods)
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(shutdown.clone().cancelled_owned())
        .run(reconcile, retry, Arc::clone(&context))
        .for_each(|passed| {
            if let Err(error) = passed {
                handle_error(&context, &error);
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

/// Returns the `GatewaySync` that an object belongs to. It is derived from the object's name, because the owner reference
/// may be missing.
fn owner<K>(
    found: &PartialObjectMeta<K>,
    prefixes: &[&str],
) -> Option<ObjectRef<DeserializeGuard<GatewaySync>>> {
    let name = found.metadata.name.as_deref()?;
    let name = prefixes
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))?;
    Some(ObjectRef::new(name).within(found.metadata.namespace.as_deref()?))
}

/// Logs an error, or removes the data of an object that does not exist any more.
fn handle_error<G>(
    context: &Context<G>,
    error: &controller::Error<ControllerError, watcher::Error>,
) {
    match error {
        controller::Error::ObjectNotFound(object) => {
            if let Ok(key) = ObjectKey::new(
                object.namespace.as_deref().unwrap_or_default(),
                &object.name,
            ) {
                forget(context, &key);
            }
        }
        controller::Error::ReconcilerFailed(error, object) => tracing::warn!(
            sync.namespace = object.namespace,
            sync.name = object.name,
            reason = error.reason(),
            error = %stoker_report::chain(error),
            "the pass failed"
        ),
        controller::Error::QueueError(_) | controller::Error::RunnerError(_) => {
            tracing::warn!(error = %stoker_report::chain(error), "the watch of the controller failed");
        }
    }
}

fn forget<G>(context: &Context<G>, key: &ObjectKey) {
    context.states.remove(key);
    context.metrics.forget(key);
}

/// Returns the delay after an error. An error that only a change of the object can fix is not retried.
#[expect(clippy::needless_pass_by_value, reason = "the runtime calls it")]
fn retry<G>(
    object: Arc<DeserializeGuard<GatewaySync>>,
    error: &ControllerError,
    context: Arc<Context<G>>,
) -> Action {
    match key_of(object.meta()) {
        Ok(key) if !error.is_final() => Action::requeue(context.states.record_error(&key)),
        _ => Action::await_change(),
    }
}

fn key_of(meta: &ObjectMeta) -> Result<ObjectKey, ControllerError> {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    ObjectKey::new(&text(&meta.namespace), &text(&meta.name)).map_err(ControllerError::Name)
}

fn patch_params() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

async fn reconcile<G: RefSource>(
    object: Arc<DeserializeGuard<GatewaySync>>,
    context: Arc<Context<G>>,
) -> Result<Action, ControllerError> {
    let started = Instant::now();
    let meta = object.meta();
    let key = key_of(meta)?;
    let is_deleted = meta.deletion_timestamp.is_some();
    let outcome = match &object.0 {
        // This also applies to an invalid object. Otherwise, the object would never be deleted.
        _ if is_deleted => remove(&context, &key, meta).await,
        Ok(sync) => pass(&context, &key, sync).await,
        Err(invalid) => Err(ControllerError::InvalidObject(Box::new(invalid.clone()))),
    };
    let outcome = outcome.or_else(|error| {
        if !error.is_conflict() {
            return Err(error);
        }
        tracing::debug!(
            sync.namespace = key.namespace(),
            sync.name = key.name(),
            "another client wrote in the meantime"
        );
        Ok(ReconcileResult {
            result: PassResult::Requeue,
            next: Some(CONFLICT_RETRY),
        })
    });
    if !is_deleted {
        // After a deletion, this would create the series of the object again.
        let result = outcome
            .as_ref()
            .map_or(PassResult::Error, |outcome| outcome.result);
        context
            .metrics
            .observe_pass(&key, started.elapsed(), result);
    }
    Ok(outcome?
        .next
        .map_or_else(Action::await_change, Action::requeue))
}

/// Runs the last pass over an object that is being deleted.
async fn remove<G>(
    context: &Context<G>,
    key: &ObjectKey,
    meta: &ObjectMeta,
) -> Result<ReconcileResult, ControllerError> {
    finalizer::clean_up(&context.client, key, meta).await?;
    forget(context, key);
    Ok(ReconcileResult::done())
}

/// Runs a pass over an object that is not being deleted.
async fn pass<G: RefSource>(
    context: &Context<G>,
    key: &ObjectKey,
    sync: &GatewaySync,
) -> Result<ReconcileResult, ControllerError> {
    if !sync.has_finalizer() {
        // This change of the object starts the next pass.
        finalizer::add(&context.client, key, &sync.metadata).await?;
        return Ok(ReconcileResult::done());
    }
    if sync.spec.is_paused() {
        write_status(context, key, sync, &Outcome::Paused).await?;
        publish::pause(&context.client, key, sync).await?;
        return Ok(ReconcileResult::done());
    }
    let refs = dereference::dereference(&context.client, key, sync).await?;
    let desired = validate::validate(sync, &refs);
    let resolution = resolve::resolve(context, key, &desired).await;
    let publication = publish::publish(context, key, sync, &refs, &desired, &resolution).await?;
    let fleet = gateways::observe(context, key, sync).await;
    let outcome = Outcome::Reconciled {
        desired: &desired,
        resolution: &resolution,
        publication: &publication,
        fleet: &fleet,
    };
    let (status, written) = write_status(context, key, sync, &outcome).await?;
    let skew = Skew::new(sync, fleet.gateways.as_ref(), &status, (context.clock)());
    let next_look = fleet.next_look(&skew);
    match (publication, resolution) {
        (Publication::Failed(error), _) => Err(error),
        (Publication::Blocked(Blocked { retry, .. }), _)
        | (_, Resolution::Blocked(Blocked { retry, .. })) => {
            Ok(ReconcileResult::retry(Some(retry)))
        }
        (_, Resolution::Failed(failure)) => Ok(ReconcileResult::retry(failure.retry)),
        (Publication::Published | Publication::Skipped, Resolution::Resolved(resolved)) => {
            if resolved.request_is_obsolete {
                let meta = written.as_ref().unwrap_or(&sync.metadata);
                clear::clear(&context.client, key, meta).await?;
            }
            context.states.record_success(key, &desired.lookup_key);
            Ok(ReconcileResult {
                result: PassResult::Success,
                next: [resolved.next_lookup, next_look]
                    .into_iter()
                    .flatten()
                    .min(),
            })
        }
    }
}

/// Writes the status and the events, and sets the metrics. Returns the status, and the new metadata of the object if it
/// was written.
async fn write_status<G>(
    context: &Context<G>,
    key: &ObjectKey,
    sync: &GatewaySync,
    outcome: &Outcome<'_>,
) -> Result<(GatewaySyncStatus, Option<ObjectMeta>), ControllerError> {
    let next = status::next(sync, outcome, (context.clock)());
    let written = status::write(&context.client, key, sync, &next).await?;
    let before = sync.status.clone().unwrap_or_default();
    let events = events::between(&before, &next, outcome);
    events::create(&context.client, sync, &events).await;
    context
        .metrics
        .show(key, sync.spec.is_paused(), &next, info(sync));
    Ok((next, written))
}

fn info(sync: &GatewaySync) -> ObjectInfo {
    let git = &sync.spec.git;
    ObjectInfo {
        // An invalid address is left out, because any part of it may be a credential.
        git_repo: RepoUrl::parse(&git.repo)
            .map(|repo| repo.to_string())
            .unwrap_or_default(),
        git_ref: git.git_ref.clone(),
        auth_type: config_map::auth_type(git.auth.as_ref()),
        polling_interval: sync.spec.polling.clone().unwrap_or_default().interval,
    }
}
