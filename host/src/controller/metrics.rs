//! The metrics of the controller. What they say about one object is removed with the object.

mod objects;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use stoker_api::detection::ObjectKey;
use stoker_api::names::condition;
use stoker_api::{DiscoveredGateway, GatewaySyncStatus, GitHubApp};

use super::gateways::Gateways;
use objects::{App, GatewaySeries, Objects, StatusSeries};

const PASS_BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The result of a pass, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PassResult {
    /// All steps succeeded.
    Success,
    /// It failed with an error.
    Error,
    /// Something is missing, and the pass is repeated later.
    Requeue,
}

impl PassResult {
    const ALL: [Self; 3] = [Self::Success, Self::Error, Self::Requeue];

    fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Requeue => "requeue",
        }
    }
}

/// The labels of an object's info series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ObjectInfo {
    pub(super) git_repo: String,
    pub(super) git_ref: String,
    pub(super) auth_type: &'static str,
    pub(super) polling_interval: String,
}

/// The metrics of the controller. Clones share them.
///
/// The histogram is of all objects together: with one for each, ten thousand objects would have a quarter of a million
/// series.
#[derive(Debug, Clone)]
pub struct ControllerMetrics {
    pass_duration: Histogram,
    leader: Gauge,
    objects: Arc<Objects>,
}

impl ControllerMetrics {
    /// Registers the metrics.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            pass_duration: Histogram::new(PASS_BUCKETS),
            leader: Gauge::default(),
            objects: Arc::default(),
        };
        let registry = registry.sub_registry_with_prefix("stoker_controller");
        registry.register(
            "reconcile_duration_seconds",
            "Duration of a pass",
            metrics.pass_duration.clone(),
        );
        registry.register(
            "leader",
            "Whether this replica reconciles; exactly one replica does",
            metrics.leader.clone(),
        );
        registry.register_collector(Box::new(Arc::clone(&metrics.objects)));
        metrics
    }

    /// Sets whether this replica reconciles.
    pub fn set_leading(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// Sets the GitHub App of an object, and the end of its token.
    pub(super) fn show_token(&self, key: &ObjectKey, token: Option<(&GitHubApp, Timestamp)>) {
        let app = token.map(|(app, ends)| App {
            id: app.app_id,
            installation_id: app.installation_id,
            token_ends: ends.as_second(),
        });
        self.objects.change(key, |object| object.app = app);
    }

    /// Removes the series of all objects, because another replica has them from now on.
    pub fn forget_all(&self) {
        self.objects.clear();
    }

    pub(super) fn observe_pass(&self, key: &ObjectKey, took: Duration, result: PassResult) {
        self.pass_duration.observe(took.as_secs_f64());
        self.objects.change(key, |object| object.count_pass(result));
    }

    /// Sets the metrics of an object's status and of its gateways, of which the status may list only a part. The series of
    /// gateways that are unknown stay. If there are none, they are those of the status.
    pub(super) fn show(
        &self,
        key: &ObjectKey,
        is_paused: bool,
        status: &GatewaySyncStatus,
        gateways: Option<&Gateways>,
        info: ObjectInfo,
    ) {
        let is_ready = status
            .condition(condition::READY)
            .is_some_and(|found| found.status == "True");
        let conditions = status.conditions.iter();
        let types = conditions.clone().map(|found| found.type_.as_str());
        let series = StatusSeries {
            is_ready,
            is_paused,
            types: self.objects.types(types),
            holds: conditions.map(|found| found.status == "True").collect(),
            info: Some(info),
        };
        let of_status = || gateway_series(status.discovered_gateways.iter());
        let known = gateways.map(|known| gateway_series(known.iter().map(|one| &one.shown)));
        self.objects.change(key, |object| {
            if object.status.is_none() || known.is_some() {
                object.gateways = Some(known.unwrap_or_else(of_status));
            }
            object.status = Some(series);
        });
    }

    /// Sets the metrics of an object that cannot be read: it does not follow its ref. What its spec said before is not
    /// shown any more. Its gateways run what they ran before.
    pub(super) fn show_unreadable(&self, key: &ObjectKey) {
        let types = [condition::READY, condition::REF_RESOLVED];
        let series = StatusSeries {
            is_ready: false,
            is_paused: false,
            holds: types.map(|_| false).into(),
            types: self.objects.types(types.into_iter()),
            info: None,
        };
        self.objects.change(key, |object| {
            object.status = Some(series);
            object.app = None;
        });
    }

    /// Removes the series of an object.
    pub(super) fn forget(&self, key: &ObjectKey) {
        self.objects.remove(key);
    }
}

fn gateway_series<'a>(
    gateways: impl Iterator<Item = &'a DiscoveredGateway>,
) -> Box<[GatewaySeries]> {
    let series = gateways.map(|gateway| GatewaySeries {
        name: gateway.name.as_str().into(),
        state: gateway.sync_status,
        last_sync: gateway.last_sync_time.as_ref().map(|at| at.0.as_second()),
    });
    series.collect()
}

#[cfg(test)]
mod tests;
