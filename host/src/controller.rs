//! Reconciles every `GatewaySync`: resolves its ref to a commit, publishes the commit for the agents, and reports.
//!
//! A pass has five steps, each in its own file: **dereference** (reads the cluster, while `gateways` observes the
//! gateways) → **validate** (pure) → **resolve** (asks the git server) → **publish** (writes the cluster) → **status**
//! (pure, then one write). `reconcile` takes them. Beside the first step, `agent_binding` binds the agents to their role,
//! which must not wait for a git server. Between the first two, `credentials` exchanges the key of the
//! object's GitHub App for a token, unless one is valid. A pass is idempotent and may start at any time: it asks the
//! git server only for a new request, for a changed spec, or after the polling interval, and it writes only what
//! differs. The status is written while the commit is published where this process has published for the object before,
//! and is written again if the publication fails.
//!
//! The object is the queue: the receiver stores requests as annotations, and the controller handles them. This module
//! depends neither on the receiver nor on the plugins.

mod agent_binding;
mod announced;
mod clear;
mod condition;
mod config_map;
mod credentials;
mod definition;
mod dereference;
mod duration;
mod error;
mod events;
mod finalizer;
mod gateways;
mod merge_patch;
mod metrics;
mod own_writes;
mod owned;
mod ownership;
mod profiles;
mod publish;
mod published;
mod reconcile;
mod resolve;
mod state;
mod status;
mod token_secret;
mod validate;
mod watch;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use kube::api::{ObjectMeta, PatchParams, PostParams};
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::controller::{self, Action};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Client, Resource as _};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use agent_binding::AgentRole;
pub use error::ControllerError;
pub use events::COMPONENT;
pub use metrics::ControllerMetrics;

use definition::Definition;
use dereference::SecretReads;
use gateways::PodIndex;
use reconcile::reconcile;
use state::ObjectStates;
use stoker_api::GatewaySync;
use stoker_api::detection::ObjectKey;
use stoker_api::names;
use stoker_git::RefSource;

use own_writes::OwnWrites;
use published::PublishedMaps;

use crate::cluster::events::EventQueue;
use crate::cluster::watch_backoff::WatchMetrics;
use crate::cluster::written::WrittenObjects;
use crate::github_app::InstallationTokens;
use crate::lookups::Lookups;

/// The name of the writer in `managedFields`.
const FIELD_MANAGER: &str = "stoker-controller";
/// The maximum number of concurrent passes that use the API server.
const PERMITS: usize = 16;

/// The maximum number of concurrent passes. At the start, a pass over each object is due, and each that has begun takes
/// kilobytes. Those that wait for a git server, for a second at most, must leave enough passes for the other
/// objects.
const PASSES: u16 = 1024;

/// The time between two passes over an object that cannot be read.
const UNREADABLE_CHECK: Duration = Duration::from_mins(5);

/// The data that all passes share.
struct Context<G> {
    client: Client,
    lookups: Lookups<G>,
    tokens: InstallationTokens,
    metrics: ControllerMetrics,
    events: EventQueue,
    states: ObjectStates,
    /// The permits of passes that use the API server. A pass that waits for a git server needs none.
    permits: Semaphore,
    pods: Arc<PodIndex>,
    secret_reads: SecretReads,
    definition: Definition,
    /// The published ConfigMaps.
    config_maps: PublishedMaps,
    /// The RoleBindings of agents.
    role_bindings: Arc<OwnWrites>,
    /// The role that agents are bound to. `None` if they are bound by hand.
    agent_role: Option<AgentRole>,
    clock: fn() -> Timestamp,
}

/// The controller.
pub struct Controller<G> {
    /// The client for the API server.
    pub client: Client,
    /// The namespace whose objects are reconciled. `None` for all.
    pub namespace: Option<String>,
    /// The role that agents are bound to. `None` if they are bound by hand.
    pub agent_role: Option<AgentRole>,
    /// The lookups of refs.
    pub lookups: Lookups<G>,
    /// The metrics of the controller.
    pub metrics: ControllerMetrics,
    /// The metrics of its watches.
    pub watches: WatchMetrics,
    /// Its events.
    pub events: EventQueue,
    /// The objects that the receiver of this process writes.
    pub written: WrittenObjects,
}

impl<G: RefSource> Controller<G> {
    /// Reconciles until the token is cancelled and the current passes have ended.
    ///
    /// Only one controller may run per cluster, because two would overwrite each other's status.
    ///
    /// # Errors
    ///
    /// Fails if the watch of the objects ends by itself.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), ControllerError> {
        let (client, watches) = (&self.client, &self.watches);
        let namespace = self.namespace.as_deref();
        let context = Arc::new(self.context());
        let (objects, reader) = watch::objects(client.clone(), watches, &self.written, namespace);
        let writes = &context.config_maps.writes;
        let config_maps = watch::config_maps(client, watches, namespace, writes);
        let pods = watch::pods(
            client.clone(),
            watches,
            namespace,
            Arc::clone(&context.pods),
        );
        let writes = Arc::clone(&context.role_bindings);
        let bindings = match self.agent_role {
            Some(_) => watch::role_bindings(client.clone(), watches, namespace, writes).boxed(),
            None => futures::stream::pending().boxed(),
        };
        let mut woken = self.lookups.woken();
        let woken = stream::poll_fn(move |context| woken.poll_recv(context)).map(reference);
        controller::Controller::for_stream(objects, reader)
            .with_config(controller::Config::default().concurrency(PASSES))
            .watches_stream(config_maps, |map| {
                let key = owner(&map, names::METADATA_PREFIX);
                key.or_else(|| owner(&map, names::REPORTS_PREFIX))
                    .map(reference)
            })
            .watches_stream(bindings, |binding| {
                owner(&binding, agent_binding::NAME_PREFIX).map(reference)
            })
            .reconcile_on(pods)
            .reconcile_on(woken)
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

    /// Returns the data of the passes, without what an earlier run knew.
    fn context(&self) -> Context<G> {
        Context {
            client: self.client.clone(),
            lookups: self.lookups.clone(),
            tokens: InstallationTokens::default(),
            metrics: self.metrics.clone(),
            events: self.events.clone(),
            states: ObjectStates::default(),
            permits: Semaphore::new(PERMITS),
            pods: Arc::new(PodIndex::new()),
            secret_reads: dereference::secret_reads(dereference::SHARED_FOR),
            definition: Definition::default(),
            config_maps: PublishedMaps::default(),
            role_bindings: Arc::default(),
            agent_role: self.agent_role,
            clock: Timestamp::now,
        }
    }
}

/// Returns the `GatewaySync` that an object belongs to, if the object's name has this beginning. It is derived from the
/// name, because the owner reference may be missing.
fn owner<K>(found: &PartialObjectMeta<K>, prefix: &str) -> Option<ObjectKey> {
    let ObjectMeta {
        name, namespace, ..
    } = &found.metadata;
    let name = name.as_deref()?.strip_prefix(prefix)?;
    ObjectKey::new(namespace.as_deref()?, name).ok()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is the end of a chain of calls"
)]
fn reference(key: ObjectKey) -> ObjectRef<DeserializeGuard<GatewaySync>> {
    ObjectRef::new(key.name()).within(key.namespace())
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
    context.config_maps.forget(key);
    context.role_bindings.forget(key);
    context.lookups.forget(key);
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
        // It may be deleted, and without a finalizer nothing else starts a pass that forgets its series.
        Ok(_) if matches!(error, ControllerError::InvalidObject(_)) => {
            Action::requeue(UNREADABLE_CHECK)
        }
        Ok(key) if !error.is_final() => Action::requeue(context.states.record_error(&key)),
        _ => Action::await_change(),
    }
}

fn key_of(meta: &ObjectMeta) -> Result<ObjectKey, ControllerError> {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    ObjectKey::new(&text(&meta.namespace), &text(&meta.name)).map_err(ControllerError::Name)
}

fn create_params() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    }
}

fn patch_params() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER)
}
