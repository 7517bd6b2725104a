//! The metrics of the gateways of objects.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use stoker_api::detection::ObjectKey;
use stoker_api::{DiscoveredGateway, GatewayState};

use super::labels::{GatewayLabels, ObjectLabels};

/// The series of gateways. Their names and values are those of the Go operator.
#[derive(Debug, Clone, Default)]
pub(super) struct GatewayMetrics {
    discovered: Family<ObjectLabels, Gauge>,
    synced: Family<ObjectLabels, Gauge>,
    missing_sidecar: Family<ObjectLabels, Gauge>,
    state: Family<GatewayLabels, Gauge>,
    last_sync: Family<GatewayLabels, Gauge>,
}

impl GatewayMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let of_objects = [
            (
                "gateways_discovered",
                "Number of gateways of the object",
                &self.discovered,
            ),
            (
                "gateways_synced",
                "Number of gateways of the object that are synced",
                &self.synced,
            ),
            (
                "gateways_missing_sidecar",
                "Number of gateways of the object whose pod has no agent",
                &self.missing_sidecar,
            ),
        ];
        for (name, help, family) in of_objects {
            registry.register(name, help, family.clone());
        }
        registry.register(
            "gateway_sync_status",
            "State of a gateway: 0 is pending, 1 synced, 2 error, 3 a missing agent",
            self.state.clone(),
        );
        registry.register(
            "gateway_last_sync_timestamp_seconds",
            "Time of a gateway's last sync, as a Unix time",
            self.last_sync.clone(),
        );
    }

    /// Sets the series of the gateways of an object.
    pub(super) fn show(&self, key: &ObjectKey, gateways: &[&DiscoveredGateway]) {
        let labels = ObjectLabels::new(key);
        let count = |state: Option<GatewayState>| {
            let is_counted =
                |one: &&&DiscoveredGateway| state.is_none() || one.sync_status == state;
            i64::try_from(gateways.iter().filter(is_counted).count()).unwrap_or(i64::MAX)
        };
        for (family, state) in [
            (&self.discovered, None),
            (&self.synced, Some(GatewayState::Synced)),
            (&self.missing_sidecar, Some(GatewayState::MissingSidecar)),
        ] {
            family.get_or_create(&labels).set(count(state));
        }
        for gateway in gateways {
            let labels = GatewayLabels::new(key, &gateway.name);
            let state = match gateway.sync_status {
                None | Some(GatewayState::Pending) => 0,
                Some(GatewayState::Synced) => 1,
                Some(GatewayState::Error) => 2,
                Some(GatewayState::MissingSidecar) => 3,
            };
            self.state.get_or_create(&labels).set(state);
            match &gateway.last_sync_time {
                Some(time) => {
                    let seconds = time.0.as_second();
                    self.last_sync.get_or_create(&labels).set(seconds);
                }
                None => {
                    self.last_sync.remove(&labels);
                }
            }
        }
    }

    /// Removes the series of one gateway.
    pub(super) fn forget_gateway(&self, key: &ObjectKey, gateway: &str) {
        let labels = GatewayLabels::new(key, gateway);
        self.state.remove(&labels);
        self.last_sync.remove(&labels);
    }

    /// Removes the series about the gateways of an object together.
    pub(super) fn forget(&self, key: &ObjectKey) {
        let labels = ObjectLabels::new(key);
        for family in [&self.discovered, &self.synced, &self.missing_sidecar] {
            family.remove(&labels);
        }
    }
}
