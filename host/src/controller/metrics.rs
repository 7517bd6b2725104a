//! The metrics of the controller. The series of an object are removed with the object.

mod gateways;
mod labels;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::gateways::Gateways;
use gateways::GatewayMetrics;
use jiff::Timestamp;
use labels::{AppLabels, ConditionLabels, InfoLabels, ObjectLabels, ResultLabels};
use stoker_api::detection::ObjectKey;
use stoker_api::names::condition;
use stoker_api::{GatewaySyncStatus, GitHubApp};

const PASS_BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const RESOLVE_BUCKETS: [f64; 8] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

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

/// The series of an object whose labels change with the object.
#[derive(Debug, Clone, Default)]
struct ShownSeries {
    info: Option<InfoLabels>,
    conditions: Vec<String>,
    app: Option<AppLabels>,
    gateways: BTreeSet<String>,
}

/// The metrics of the controller.
#[derive(Debug, Clone)]
pub struct ControllerMetrics {
    pass_duration: Family<ObjectLabels, Histogram, fn() -> Histogram>,
    passes: Family<ResultLabels, Counter>,
    resolve_duration: Family<ObjectLabels, Histogram, fn() -> Histogram>,
    ready: Family<ObjectLabels, Gauge>,
    paused: Family<ObjectLabels, Gauge>,
    conditions: Family<ConditionLabels, Gauge>,
    info: Family<InfoLabels, Gauge>,
    token_ends: Family<AppLabels, Gauge>,
    gateways: GatewayMetrics,
    leader: Gauge,
    shown: Arc<Mutex<HashMap<ObjectKey, ShownSeries>>>,
}

impl ControllerMetrics {
    /// Registers the metrics.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            pass_duration: Family::new_with_constructor(|| Histogram::new(PASS_BUCKETS)),
            passes: Family::default(),
            resolve_duration: Family::new_with_constructor(|| Histogram::new(RESOLVE_BUCKETS)),
            ready: Family::default(),
            paused: Family::default(),
            conditions: Family::default(),
            info: Family::default(),
            token_ends: Family::default(),
            gateways: GatewayMetrics::default(),
            leader: Gauge::default(),
            shown: Arc::default(),
        };
        let registry = registry.sub_registry_with_prefix("stoker_controller");
        registry.register(
            "reconcile_duration_seconds",
            "Duration of a pass",
            metrics.pass_duration.clone(),
        );
        registry.register("reconcile", "Passes by result", metrics.passes.clone());
        let help = "Duration of the resolution of the ref, including cached lookups";
        registry.register(
            "ref_resolve_duration_seconds",
            help,
            metrics.resolve_duration.clone(),
        );
        registry.register(
            "cr_ready",
            "Whether the object is ready",
            metrics.ready.clone(),
        );
        registry.register(
            "cr_paused",
            "Whether the object is paused",
            metrics.paused.clone(),
        );
        registry.register(
            "condition_status",
            "Whether a condition of the object is True",
            metrics.conditions.clone(),
        );
        registry.register(
            "cr_info",
            "Fields of the object's spec as labels; always 1",
            metrics.info.clone(),
        );
        metrics.gateways.register(registry);
        registry.register(
            "github_app_token_expiry_timestamp_seconds",
            "End of the validity of a GitHub App's last token, in seconds since 1970",
            metrics.token_ends.clone(),
        );
        registry.register(
            "leader",
            "Whether this replica reconciles; exactly one replica does",
            metrics.leader.clone(),
        );
        metrics
    }

    /// Sets whether this replica reconciles.
    pub fn set_leading(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// Sets the GitHub App of an object, and the end of its token.
    pub(super) fn show_token(&self, key: &ObjectKey, token: Option<(&GitHubApp, Timestamp)>) {
        let now = token.map(|(app, _)| AppLabels::new(app));
        if let (Some(labels), Some((_, ends))) = (&now, token) {
            self.token_ends.get_or_create(labels).set(ends.as_second());
        }
        let before = std::mem::replace(&mut self.shown().entry(key.clone()).or_default().app, now);
        self.remove_unused_app(before);
    }

    /// Removes the series of a GitHub App that no object has any more.
    fn remove_unused_app(&self, app: Option<AppLabels>) {
        let is_used = |app: &AppLabels| {
            let shown = self.shown();
            shown.values().any(|shown| shown.app.as_ref() == Some(app))
        };
        if let Some(app) = app.filter(|app| !is_used(app)) {
            self.token_ends.remove(&app);
        }
    }

    /// Removes the series of all objects, because another replica has them from now on.
    pub fn forget_all(&self) {
        let keys: Vec<_> = self.shown().keys().cloned().collect();
        for key in &keys {
            self.forget(key);
        }
    }

    pub(super) fn observe_pass(&self, key: &ObjectKey, took: Duration, result: PassResult) {
        self.pass_duration
            .get_or_create(&ObjectLabels::new(key))
            .observe(took.as_secs_f64());
        self.passes
            .get_or_create(&ResultLabels::new(key, result))
            .inc();
    }

    pub(super) fn observe_resolution(&self, key: &ObjectKey, took: Duration) {
        self.resolve_duration
            .get_or_create(&ObjectLabels::new(key))
            .observe(took.as_secs_f64());
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
        let labels = ObjectLabels::new(key);
        let is_ready = status
            .condition(condition::READY)
            .is_some_and(|found| found.status == "True");
        self.ready.get_or_create(&labels).set(is_ready.into());
        self.paused.get_or_create(&labels).set(is_paused.into());
        for found in &status.conditions {
            let holds = found.status == "True";
            self.conditions
                .get_or_create(&ConditionLabels::new(key, &found.type_))
                .set(holds.into());
        }
        let info = InfoLabels::new(key, info);
        self.info.get_or_create(&info).set(1);
        let conditions = status
            .conditions
            .iter()
            .map(|found| found.type_.clone())
            .collect();
        let mut shown = self.shown();
        let before = shown.remove(key).unwrap_or_default();
        let gateways: Option<Vec<_>> = match gateways {
            Some(gateways) => Some(gateways.iter().map(|gateway| &gateway.shown).collect()),
            None if before.info.is_none() => Some(status.discovered_gateways.iter().collect()),
            None => None,
        };
        let names = gateways.map(|gateways| {
            self.gateways.show(key, &gateways);
            let names = gateways.iter().map(|gateway| gateway.name.clone());
            names.collect()
        });
        let now = ShownSeries {
            info: Some(info),
            conditions,
            app: before.app.clone(),
            gateways: names.unwrap_or_else(|| before.gateways.clone()),
        };
        shown.insert(key.clone(), now.clone());
        drop(shown);
        self.remove_obsolete(key, before, &now);
    }

    /// Removes the series of an object.
    pub(super) fn forget(&self, key: &ObjectKey) {
        let labels = ObjectLabels::new(key);
        self.pass_duration.remove(&labels);
        self.resolve_duration.remove(&labels);
        self.ready.remove(&labels);
        self.paused.remove(&labels);
        self.gateways.forget(key);
        for result in PassResult::ALL {
            self.passes.remove(&ResultLabels::new(key, result));
        }
        let before = self.shown().remove(key).unwrap_or_default();
        self.remove_unused_app(before.app.clone());
        self.remove_obsolete(key, before, &ShownSeries::default());
    }

    /// Removes the series that an object had before and does not have any more.
    fn remove_obsolete(&self, key: &ObjectKey, before: ShownSeries, now: &ShownSeries) {
        for type_ in before
            .conditions
            .iter()
            .filter(|type_| !now.conditions.contains(type_))
        {
            self.conditions.remove(&ConditionLabels::new(key, type_));
        }
        if let Some(info) = before.info.filter(|info| now.info.as_ref() != Some(info)) {
            self.info.remove(&info);
        }
        for gateway in before.gateways.difference(&now.gateways) {
            self.gateways.forget_gateway(key, gateway);
        }
    }

    fn shown(&self) -> MutexGuard<'_, HashMap<ObjectKey, ShownSeries>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
