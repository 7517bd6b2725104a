//! Reconciles one object: takes the steps of a pass, each with the results of those before it.

mod result;

use std::sync::Arc;
use std::time::Duration;

use kube::Resource as _;
use kube::api::ObjectMeta;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use stoker_api::detection::{ObjectKey, RepoUrl};
use stoker_api::{GatewaySync, GatewaySyncStatus};
use stoker_git::RefSource;
use tokio::time::Instant;

use result::{CONFLICT_RETRY, ReconcileResult};

use super::definition::Dropped;
use super::dereference::References;
use super::error::ControllerError;
use super::gateways::{self, Fleet, Skew};
use super::metrics::{ObjectInfo, PassResult};
use super::publish::{self, Publication};
use super::resolve::{self, Blocked, Resolution};
use super::status::{self, Outcome};
use super::validate::{self, Desired};
use super::{
    Context, agent_binding, clear, config_map, dereference, events, finalizer, forget, key_of,
};

/// The delay until the agents of a paused object are bound again.
const BINDING_RETRY: Duration = Duration::from_mins(5);

/// Runs a pass over an object.
pub(super) async fn reconcile<G: RefSource>(
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
        Err(invalid) => {
            let invalid = InvalidObject {
                error: stoker_report::without_values(&invalid.error),
                metadata: invalid.metadata.clone(),
            };
            events::add(&context.events, &key, meta, vec![events::invalid(&invalid)]);
            context.metrics.show_unreadable(&key);
            Err(ControllerError::InvalidObject(Box::new(invalid)))
        }
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
        Ok(ReconcileResult::conflict())
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
    // Another client wrote while this pass did, which started no pass of its own.
    let is_overtaken =
        context.config_maps.writes.is_overtaken(&key) || context.role_bindings.is_overtaken(&key);
    let repair = is_overtaken.then_some(CONFLICT_RETRY);
    let next = [outcome?.next, repair].into_iter().flatten().min();
    Ok(next.map_or_else(Action::await_change, Action::requeue))
}

/// Runs the last pass over an object that is being deleted.
async fn remove<G>(
    context: &Context<G>,
    key: &ObjectKey,
    meta: &ObjectMeta,
) -> Result<ReconcileResult, ControllerError> {
    let _permit = context.permits.acquire().await;
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
    let permit = context.permits.acquire().await;
    if let Some(result) = prepare(context, key, sync).await? {
        return Ok(result);
    }
    // On the heap, so that a pass that waits for a git server is small. The agents are bound to their role here, and not
    // with the other writes, because a new agent can read nothing before that, whatever git answers, and when.
    let (refs, fleet, binding) = tokio::join!(
        Box::pin(dereference::dereference(context, key, sync)),
        Box::pin(gateways::observe(context, key)),
        Box::pin(agent_binding::bind(context, key, sync)),
    );
    let refs = refs?;
    let fleet = fleet.bound(binding);
    drop(permit);
    let git = match refs.git.clone() {
        Ok(secrets) => secrets.access(&context.tokens).await,
        Err(error) => Err(error),
    };
    let desired = validate::validate(sync, &refs, &git);
    show_token(context, key, sync, &desired);
    let resolution = resolve::resolve(context, key, &desired).await;
    let _permit = context.permits.acquire().await;
    let resolution = match resolution {
        Ok(resolution) => resolution,
        Err(pending) => {
            write_status(context, key, sync, &Outcome::Pending).await?;
            publish::end_pause(&context.client, key, sync, &refs).await?;
            return Ok(ReconcileResult {
                result: PassResult::Requeue,
                next: Some(pending.next),
            });
        }
    };
    let desired = Desired {
        gateway: dereference::confirm(context, key, sync, &refs, &resolution).await?,
        ..desired
    };
    let steps = Steps {
        refs: &refs,
        desired: &desired,
        resolution: &resolution,
        fleet: &fleet,
    };
    let (publication, report) = publish_and_report(context, key, sync, &steps).await?;
    conclude(context, key, sync, &steps, publication, &report).await
}

/// Determines the result of a pass, and removes a request that is obsolete.
async fn conclude<G: RefSource>(
    context: &Context<G>,
    key: &ObjectKey,
    sync: &GatewaySync,
    steps: &Steps<'_>,
    publication: Publication,
    report: &Report,
) -> Result<ReconcileResult, ControllerError> {
    let next_check = steps.fleet.next_check(&report.skew);
    match (publication, steps.resolution) {
        (Publication::Failed(error), _) => Err(error),
        // The ref is followed meanwhile.
        (Publication::Blocked(Blocked { retry, .. }), Resolution::Resolved(resolved)) => {
            Ok(ReconcileResult::retry(Some(retry)).within(resolved.next_pass))
        }
        (_, Resolution::Blocked(Blocked { retry, .. })) => Ok(ReconcileResult::retry(Some(*retry))),
        (_, Resolution::Failed(failure)) => Ok(ReconcileResult::retry(failure.retry)),
        (Publication::Published | Publication::Skipped, Resolution::Resolved(resolved)) => {
            context
                .states
                .record_success(key, &steps.desired.lookup_key);
            let done = ReconcileResult::done();
            let done = done.within(resolved.next_pass).within(next_check);
            let done = done.within(report.is_outdated.then_some(CONFLICT_RETRY));
            if !resolved.request_is_obsolete {
                return Ok(done);
            }
            let meta = report.written.as_ref().unwrap_or(&sync.metadata);
            let is_cleared = clear::clear(&context.client, key, meta).await?;
            Ok(done.within((!is_cleared).then_some(CONFLICT_RETRY)))
        }
    }
}

/// The results of the steps of a pass before the publication.
struct Steps<'a> {
    refs: &'a References,
    desired: &'a Desired,
    resolution: &'a Resolution,
    fleet: &'a Fleet,
}

/// What a pass has reported.
struct Report {
    status: GatewaySyncStatus,
    /// The gateways that run another commit.
    skew: Skew,
    /// The new metadata of the object, if the status was written.
    written: Option<ObjectMeta>,
    /// Whether the status says wrongly that the host key of the ssh server is pinned, or that it is not.
    is_outdated: bool,
}

/// Publishes the commit and writes the status: at the same time where the publication is not expected to fail. If it
/// fails nevertheless, the status is written again.
async fn publish_and_report<G: RefSource>(
    context: &Context<G>,
    key: &ObjectKey,
    sync: &GatewaySync,
    steps: &Steps<'_>,
) -> Result<(Publication, Report), ControllerError> {
    let Steps {
        refs,
        desired,
        resolution,
        fleet,
    } = *steps;
    let outcome = |publication, published| Outcome::Reconciled {
        desired,
        resolution,
        publication,
        fleet,
        published,
    };
    let publication = Box::pin(publish::publish(
        context, key, sync, refs, desired, resolution,
    ));
    let Some(expected) = publish::expected(refs, desired, resolution) else {
        let (publication, published) = publication.await?;
        let outcome = outcome(&publication, published);
        let report = write_status(context, key, sync, &outcome).await?;
        return Ok((publication, report));
    };
    let expected = outcome(&Publication::Published, Some(expected));
    let (publication, reported) =
        tokio::join!(publication, write_status(context, key, sync, &expected));
    let ((publication, published), report) = (publication?, reported?);
    let Publication::Failed(_) = publication else {
        return Ok((publication, report));
    };
    let mut reported = sync.clone();
    reported.status = Some(report.status);
    reported.metadata = report.written.unwrap_or(reported.metadata);
    let outcome = outcome(&publication, published);
    let report = write_status(context, key, &reported, &outcome).await?;
    Ok((publication, report))
}

/// Prepares an object for the steps of a pass: adds the finalizer, and removes a request that the spec supersedes. Each of
/// these changes starts the next pass. Returns the result of a pass without steps, which is also that of a paused object.
async fn prepare<G: RefSource>(
    context: &Context<G>,
    key: &ObjectKey,
    sync: &GatewaySync,
) -> Result<Option<ReconcileResult>, ControllerError> {
    if !sync.has_finalizer() {
        finalizer::add(&context.client, key, &sync.metadata).await?;
    } else if sync.is_request_superseded() {
        if !clear::clear(&context.client, key, &sync.metadata).await? {
            return Ok(Some(ReconcileResult::conflict()));
        }
        events::add(
            &context.events,
            key,
            &sync.metadata,
            vec![events::superseded(sync)],
        );
    } else if sync.spec.is_paused() {
        context.lookups.forget(key);
        write_status(context, key, sync, &Outcome::Paused).await?;
        publish::pause(context, key, sync).await?;
        // New agents can then read that the object is paused.
        let bound = Box::pin(agent_binding::bind(context, key, sync)).await;
        return bound_in_pause(bound).map(Some);
    } else {
        return Ok(None);
    }
    Ok(Some(ReconcileResult::done()))
}

/// Returns the result of a pass over a paused object. Its status has no condition about the RoleBinding.
fn bound_in_pause(bound: Result<(), ControllerError>) -> Result<ReconcileResult, ControllerError> {
    match bound {
        Ok(()) => Ok(ReconcileResult::done()),
        Err(error) if error.is_conflict() => Err(error),
        Err(_) => Ok(ReconcileResult::done().within(Some(BINDING_RETRY))),
    }
}

/// Shows the end of the token of the object's GitHub App.
fn show_token<G>(context: &Context<G>, key: &ObjectKey, sync: &GatewaySync, desired: &Desired) {
    let auth = sync.spec.git.auth.as_ref();
    let app = auth.and_then(|auth| auth.github_app.as_ref());
    let ends = desired.app_token.as_ref().map(|token| token.expires_at);
    context.metrics.show_token(key, app.zip(ends));
}

/// Writes the status, adds the events, and sets the metrics.
async fn write_status<G>(
    context: &Context<G>,
    key: &ObjectKey,
    sync: &GatewaySync,
    outcome: &Outcome<'_>,
) -> Result<Report, ControllerError> {
    let known = context.definition.dropped();
    let (status, skew) = status::next(sync, outcome, (context.clock)(), &known);
    let stored = status::write(&context.client, key, sync, &status, &known).await?;
    let before = sync.status.clone().unwrap_or_default();
    let events = events::between(&before, &status, outcome);
    events::log_resolution(key, &events);
    events::add(&context.events, key, &sync.metadata, events);
    let gateways = outcome.gateways();
    let is_paused = sync.spec.is_paused();
    context
        .metrics
        .show(key, is_paused, &status, gateways, info(sync));
    let said_to_be_pinned = !known.has_host_key(sync.status.as_ref());
    let is_about_host_key = status.ssh_host_key.is_some();
    let is_outdated = stored.as_ref().is_some_and(|stored| {
        show_dropped(context, key, sync, &stored.dropped);
        is_about_host_key && stored.has_host_key != said_to_be_pinned
    });
    Ok(Report {
        status,
        skew,
        written: stored.map(|stored| stored.metadata),
        is_outdated,
    })
}

/// Shows that the API server has dropped fields of the status.
fn show_dropped<G>(context: &Context<G>, key: &ObjectKey, sync: &GatewaySync, dropped: &Dropped) {
    if dropped.is_empty() {
        return;
    }
    let event = events::outdated(dropped);
    if context.definition.add(dropped) {
        tracing::warn!(
            sync.namespace = key.namespace(),
            sync.name = key.name(),
            "{}",
            event.note
        );
    }
    events::add(&context.events, key, &sync.metadata, vec![event]);
}

fn info(sync: &GatewaySync) -> ObjectInfo {
    let git = &sync.spec.git;
    ObjectInfo {
        git_repo: RepoUrl::as_written(&git.repo).unwrap_or_default(),
        git_ref: git.git_ref.clone(),
        auth_type: config_map::auth_type(git.auth.as_ref()),
        polling_interval: sync.spec.polling.clone().unwrap_or_default().interval,
    }
}
