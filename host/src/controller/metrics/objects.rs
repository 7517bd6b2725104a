//! What the metrics say about each object. Each object has one record, from which its series are made when the metrics are
//! read. A family of the library for each metric would take kilobytes for each object.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use stoker_api::GatewayState;
use stoker_api::detection::ObjectKey;
use stoker_report::escape;

use super::{ObjectInfo, PassResult};

/// The types of the conditions of an object.
pub(super) type Types = Arc<[Box<str>]>;

/// The records of all objects.
#[derive(Debug, Default)]
pub(super) struct Objects {
    records: Mutex<BTreeMap<ObjectKey, Arc<ObjectSeries>>>,
    /// The types of the conditions of the object that was changed last.
    last_types: Mutex<Types>,
}

/// The series of one object.
#[derive(Debug, Clone, Default)]
pub(super) struct ObjectSeries {
    /// The numbers of passes, in the order of [`PassResult::ALL`].
    passes: [u64; PassResult::ALL.len()],
    pub(super) status: Option<StatusSeries>,
    /// The gateways, as far as a pass knew them.
    pub(super) gateways: Option<Box<[GatewaySeries]>>,
    pub(super) app: Option<App>,
}

/// The series of an object's status and spec.
#[derive(Debug, Clone)]
pub(super) struct StatusSeries {
    pub(super) is_ready: bool,
    pub(super) is_paused: bool,
    /// The types of the conditions, which most objects share.
    pub(super) types: Types,
    /// Whether they are true.
    pub(super) holds: Box<[bool]>,
    /// `None` for an object that cannot be read.
    pub(super) info: Option<ObjectInfo>,
}

/// The series of one gateway.
#[derive(Debug, Clone)]
pub(super) struct GatewaySeries {
    pub(super) name: Box<str>,
    pub(super) state: Option<GatewayState>,
    /// The time of its last sync, in seconds since 1970.
    pub(super) last_sync: Option<i64>,
}

/// A GitHub App, and the end of its last token in seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct App {
    pub(super) id: i64,
    pub(super) installation_id: i64,
    pub(super) token_ends: i64,
}

impl ObjectSeries {
    pub(super) fn count_pass(&mut self, result: PassResult) {
        for (number, one) in self.passes.iter_mut().zip(PassResult::ALL) {
            *number += u64::from(one == result);
        }
    }
}

impl Objects {
    /// Changes the record of an object. It is created where there is none.
    pub(super) fn change(&self, key: &ObjectKey, change: impl FnOnce(&mut ObjectSeries)) {
        let mut objects = self.lock();
        if !objects.contains_key(key) {
            objects.insert(key.clone(), Arc::default());
        }
        if let Some(object) = objects.get_mut(key) {
            // It is shared only while the metrics are read.
            change(Arc::make_mut(object));
        }
    }

    /// Returns the types of the conditions of an object: a shared copy, if they are those of the object before.
    pub(super) fn types<'a>(&self, types: impl Iterator<Item = &'a str> + Clone) -> Types {
        let mut last = self
            .last_types
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !types.clone().eq(last.iter().map(|kind| &**kind)) {
            *last = types.map(Into::into).collect();
        }
        Arc::clone(&last)
    }

    pub(super) fn remove(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Arc<ObjectSeries>>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Objects {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // Passes do not wait until the series of ten thousand objects are written.
        let snapshot = self.lock().clone();
        let objects: Vec<_> = snapshot
            .iter()
            .map(|(key, object)| (key, &**object))
            .collect();
        encode_passes(&mut encoder, &objects)?;
        encode_status(&mut encoder, &objects)?;
        encode_gateways(&mut encoder, &objects)?;
        encode_apps(&mut encoder, &objects)
    }
}

type Listed<'a> = [(&'a ObjectKey, &'a ObjectSeries)];
type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

fn labels(key: &ObjectKey) -> Labels<'_, 2> {
    [("name", key.name()), ("namespace", key.namespace())]
}

fn labels_with<'a>(key: &'a ObjectKey, label: &'static str, value: &'a str) -> Labels<'a, 3> {
    let [name, namespace] = labels(key);
    [name, namespace, (label, value)]
}

/// Writes a metric with one value for each set of labels. A metric without a series is omitted.
fn encode_gauge<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: impl Iterator<Item = (L, i64)>,
) -> fmt::Result {
    let mut series = series.peekable();
    if series.peek().is_none() {
        return Ok(());
    }
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in series {
        metric.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

fn encode_passes(encoder: &mut DescriptorEncoder<'_>, objects: &Listed<'_>) -> fmt::Result {
    // All results from the start: the increase of a series that begins with its first pass does not contain this pass.
    let passes = objects.iter().flat_map(|(key, object)| {
        let results = PassResult::ALL.into_iter().zip(object.passes);
        results.map(|(result, number)| (labels_with(key, "result", result.label()), number))
    });
    let mut passes = passes.peekable();
    if passes.peek().is_none() {
        return Ok(());
    }
    let help = "Passes by result";
    let mut metric = encoder.encode_descriptor("reconcile", help, None, MetricType::Counter)?;
    let none: Option<&Exemplar<Labels<'_, 0>, f64>> = None;
    for (labels, number) in passes {
        metric
            .encode_family(&labels)?
            .encode_counter(&number, none)?;
    }
    Ok(())
}

fn encode_status(encoder: &mut DescriptorEncoder<'_>, objects: &Listed<'_>) -> fmt::Result {
    let shown = || {
        objects
            .iter()
            .filter_map(|(key, object)| Some((*key, object.status.as_ref()?)))
    };
    let ready = shown().map(|(key, status)| (labels(key), status.is_ready.into()));
    encode_gauge(encoder, "cr_ready", "Whether the object is ready", ready)?;
    let paused = shown().map(|(key, status)| (labels(key), status.is_paused.into()));
    encode_gauge(encoder, "cr_paused", "Whether the object is paused", paused)?;
    let conditions = shown().flat_map(|(key, status)| {
        let conditions = status.types.iter().zip(&status.holds);
        conditions.map(move |(kind, holds)| (labels_with(key, "type", kind), (*holds).into()))
    });
    let help = "Whether a condition of the object is True";
    encode_gauge(encoder, "condition_status", help, conditions)?;
    let infos = shown().filter_map(|(key, StatusSeries { info, .. })| {
        let info = info.as_ref()?;
        let [name, namespace] = [key.name(), key.namespace()].map(str::to_owned);
        // An object may have any texts in its spec. They are reported as invalid.
        let labels = [
            ("name", name),
            ("namespace", namespace),
            ("git_repo", info.git_repo.clone()),
            ("git_ref", escape(&info.git_ref)),
            ("auth_type", info.auth_type.to_owned()),
            ("polling_interval", escape(&info.polling_interval)),
        ];
        Some((labels, 1))
    });
    let help = "Fields of the object's spec as labels; always 1";
    encode_gauge(encoder, "cr_info", help, infos)
}

/// Writes the series of gateways. Their names and values are those of the Go operator.
fn encode_gateways(encoder: &mut DescriptorEncoder<'_>, objects: &Listed<'_>) -> fmt::Result {
    let known = || {
        objects
            .iter()
            .filter_map(|(key, object)| Some((*key, object.gateways.as_deref()?)))
    };
    for (name, help, state) in [
        (
            "gateways_discovered",
            "Number of gateways of the object",
            None,
        ),
        (
            "gateways_synced",
            "Number of gateways of the object that are synced",
            Some(GatewayState::Synced),
        ),
        (
            "gateways_missing_sidecar",
            "Number of gateways of the object whose pod has no agent",
            Some(GatewayState::MissingSidecar),
        ),
    ] {
        let counts = known().map(|(key, gateways)| {
            let counted = gateways
                .iter()
                .filter(|one| state.is_none() || one.state == state);
            let number = i64::try_from(counted.count()).unwrap_or(i64::MAX);
            (labels(key), number)
        });
        encode_gauge(encoder, name, help, counts)?;
    }
    let each = || {
        known().flat_map(|(key, gateways)| {
            let named = by_name(gateways).into_iter();
            named.map(move |(name, one)| (labels_with(key, "gateway", name), one))
        })
    };
    let states = each().map(|(labels, (state, _))| {
        let state = match state {
            None | Some(GatewayState::Pending) => 0,
            Some(GatewayState::Synced) => 1,
            Some(GatewayState::Error) => 2,
            Some(GatewayState::MissingSidecar) => 3,
        };
        (labels, state)
    });
    let help = "State of a gateway: 0 is pending, 1 synced, 2 error, 3 a missing agent";
    encode_gauge(encoder, "gateway_sync_status", help, states)?;
    let syncs = each().filter_map(|(labels, (_, last_sync))| Some((labels, last_sync?)));
    let (name, help) = (
        "gateway_last_sync_timestamp_seconds",
        "Time of a gateway's last sync, as a Unix time",
    );
    encode_gauge(encoder, name, help, syncs)
}

/// Returns the state and the last sync by the name of the gateway. Of several pods with one name, the worst state and the
/// oldest sync count, so that an alert sees the pod with a problem.
fn by_name(gateways: &[GatewaySeries]) -> BTreeMap<&str, (Option<GatewayState>, Option<i64>)> {
    let badness = |state: Option<GatewayState>| match state {
        Some(GatewayState::Synced) => 0,
        None | Some(GatewayState::Pending) => 1,
        Some(GatewayState::Error) => 2,
        Some(GatewayState::MissingSidecar) => 3,
    };
    let mut named = BTreeMap::new();
    for one in gateways {
        let (state, last_sync) = named
            .entry(&*one.name)
            .or_insert((one.state, one.last_sync));
        if badness(one.state) > badness(*state) {
            *state = one.state;
        }
        *last_sync = [*last_sync, one.last_sync].into_iter().flatten().min();
    }
    named
}

/// Writes the end of the last token of each GitHub App, which objects may share.
fn encode_apps(encoder: &mut DescriptorEncoder<'_>, objects: &Listed<'_>) -> fmt::Result {
    let mut apps = BTreeMap::new();
    for app in objects.iter().filter_map(|(_, object)| object.app) {
        let ends = apps
            .entry((app.id, app.installation_id))
            .or_insert(app.token_ends);
        *ends = app.token_ends.max(*ends);
    }
    let series = apps.into_iter().map(|((app, installation), ends)| {
        let labels = [("app_id", app), ("installation_id", installation)];
        (labels, ends)
    });
    let (name, help) = (
        "github_app_token_expiry_timestamp_seconds",
        "End of the validity of a GitHub App's last token, in seconds since 1970",
    );
    encode_gauge(encoder, name, help, series)
}
