//! What `stoker status` shows of an object. Pure.

use jiff::Timestamp;
use kube::ResourceExt as _;
use serde::Serialize;
use stoker_api::detection::{CommitId, RepoUrl};
use stoker_api::names::{annotation, condition};
use stoker_api::{DiscoveredGateway, GatewaySync, GatewaySyncStatus, SyncedRefKind};

use super::problems::{self, Problem};

/// The state of an object as one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum State {
    /// It is being deleted.
    Deleting,
    /// It is paused.
    Paused,
    /// Something must be changed before it can be synced.
    Failed,
    /// The controller has not handled it, or its last request, yet.
    Pending,
    /// The ref is resolved, and there are no gateways.
    Resolved,
    /// Gateways are not synced yet.
    Syncing,
    /// All gateways are synced.
    Ready,
}

/// An object as `stoker status` shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectView {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) state: State,
    /// The repository without credentials.
    pub(super) repo: String,
    /// The ref that applies: the requested one, or that of the spec.
    pub(super) git_ref: String,
    /// The ref of the spec, if a request replaces it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spec_ref: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) requested_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) requested_at: Option<String>,
    /// The ref that was resolved last. It differs from the one that applies while that is not resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resolved_ref: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ref_kind: Option<SyncedRefKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) commit: Option<String>,
    /// The time since which the commit has applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<Timestamp>,
    /// The number of gateways that are synced at the commit.
    pub(super) gateways_synced: usize,
    /// The number of all gateways, of which the status may list only a part.
    pub(super) gateway_count: usize,
    pub(super) gateways: Vec<DiscoveredGateway>,
    pub(super) problems: Vec<Problem>,
}

impl ObjectView {
    pub(super) fn new(object: &GatewaySync, now: Timestamp) -> Self {
        let status = object.status.clone().unwrap_or_default();
        let annotation = |name| object.annotations().get(name).cloned();
        let is_replaced = object.effective_ref() != object.spec.git.git_ref;
        let (gateways_synced, gateway_count) = status.gateways_at_commit();
        let problems = problems::of(object, &status, now);
        Self {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            state: state(object, &status, &problems),
            repo: RepoUrl::parse(&object.spec.git.repo)
                .map(|repo| repo.to_string())
                .unwrap_or_default(),
            git_ref: object.effective_ref().to_owned(),
            spec_ref: is_replaced.then(|| object.spec.git.git_ref.clone()),
            requested_by: annotation(annotation::REQUESTED_BY).filter(|_| is_replaced),
            requested_at: annotation(annotation::REQUESTED_AT).filter(|_| is_replaced),
            resolved_ref: status.last_sync_ref,
            ref_kind: status.last_sync_ref_kind,
            commit: status.last_sync_commit,
            since: status.last_sync_time.map(|time| time.0),
            gateways_synced,
            gateway_count,
            gateways: status.discovered_gateways,
            problems,
        }
    }

    /// Returns the first seven digits of the commit.
    pub(super) fn short_commit(&self) -> Option<&str> {
        self.commit.as_deref().map(CommitId::shorten)
    }
}

fn state(object: &GatewaySync, status: &GatewaySyncStatus, problems: &[Problem]) -> State {
    let holds = |type_| status.condition(type_).map(|found| found.status == "True");
    if object.metadata.deletion_timestamp.is_some() {
        State::Deleting
    } else if object.spec.is_paused() {
        State::Paused
    } else if problems.iter().any(|problem| problem.is_blocking) {
        State::Failed
    } else if holds(condition::REF_RESOLVED) != Some(true) || object.has_unhandled_request() {
        State::Pending
    } else if status.discovered_gateways.is_empty() {
        State::Resolved
    } else if holds(condition::READY) == Some(true) && !is_behind(status) {
        State::Ready
    } else {
        State::Syncing
    }
}

/// Returns whether gateways are synced at another commit. Such gateways are synced as far as `Ready` is concerned.
fn is_behind(status: &GatewaySyncStatus) -> bool {
    let (synced, _) = status.gateway_counts();
    let (at_commit, _) = status.gateways_at_commit();
    let skew = status.condition(condition::REF_SKEW);
    at_commit < synced || skew.is_some_and(|found| found.status == "True")
}
