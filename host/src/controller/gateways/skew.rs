//! Whether a gateway runs another commit than the published one for too long. Pure.

use std::time::Duration;

use jiff::Timestamp;
use stoker_api::detection::CommitId;
use stoker_api::{DiscoveredGateway, GatewayState, GatewaySync, GatewaySyncStatus};

use super::Gateways;
use crate::controller::profiles;

/// The gateways that run another commit than the published one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::controller) struct Skew {
    /// The gateways that have done so for longer than the sync period of their profile.
    pub(super) gateways: Vec<String>,
    /// The time until the next gateway does so.
    pub(super) due: Option<Duration>,
}

impl Skew {
    /// Compares the gateways with the commit in the status.
    pub(in crate::controller) fn new(
        sync: &GatewaySync,
        gateways: Option<&Gateways>,
        status: &GatewaySyncStatus,
        now: Timestamp,
    ) -> Self {
        let mut skew = Self::default();
        let (Some(commit), Some(published)) = (&status.last_sync_commit, &status.last_sync_time)
        else {
            return skew;
        };
        for gateway in gateways.into_iter().flat_map(Gateways::iter) {
            let gateway = &gateway.shown;
            let Some(synced) = other_commit(gateway, commit) else {
                continue;
            };
            let Some(period) = profiles::period(&sync.spec.sync, gateway.profile.as_deref()) else {
                continue;
            };
            let elapsed = now.duration_since(since(gateway, published.0));
            let elapsed = Duration::try_from(elapsed).unwrap_or_default();
            let Some(left) = period.checked_sub(elapsed).filter(|left| !left.is_zero()) else {
                let synced = CommitId::shorten(synced);
                skew.gateways.push(format!("{} ({synced})", gateway.name));
                continue;
            };
            // Times in the status are whole seconds.
            let left = left + Duration::from_secs(1);
            skew.due = Some(skew.due.map_or(left, |due| due.min(left)));
        }
        skew
    }
}

/// Returns the commit of a gateway if it is another one. A gateway whose agent reports none is not compared.
fn other_commit<'a>(gateway: &'a DiscoveredGateway, commit: &str) -> Option<&'a str> {
    let synced = gateway.synced_commit.as_deref()?;
    (!gateway.has_commit(commit)).then_some(synced)
}

/// Returns the time from which on a gateway has run another commit than the published one. An agent can be ahead of the
/// controller, so it is not earlier than its last sync. A failed sync does not change what the gateway runs.
fn since(gateway: &DiscoveredGateway, published: Timestamp) -> Timestamp {
    match &gateway.last_sync_time {
        Some(synced) if gateway.sync_status != Some(GatewayState::Error) => published.max(synced.0),
        _ => published,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controller::gateways::{AgentContainer, Gateway};
    use crate::controller::tests::fixture::{GatewaySyncExt as _, commit, noon};

    const PUBLISHED: &str = "2026-03-01T11:59:40Z";

    fn gateway(change: &serde_json::Value) -> Gateways {
        let mut fields =
            json!({"name": "blue", "namespace": "edge", "podName": "gw-0", "profile": "p"});
        for (name, value) in change.as_object().unwrap() {
            fields[name] = value.clone();
        }
        Gateways(vec![Gateway {
            shown: serde_json::from_value(fields).unwrap(),
            agent: AgentContainer::Ready,
            report: Ok(true),
        }])
    }

    /// The skew of a gateway, twenty seconds after the commit of only `a` was published.
    fn skew(period: i32, change: &serde_json::Value) -> Skew {
        let sync = GatewaySync::sample().with(|sync| {
            let profile = sync.spec.sync.profiles.get_mut("p").unwrap();
            profile.sync_period = Some(period);
        });
        let status = GatewaySyncStatus {
            last_sync_commit: Some(commit('a').to_string()),
            last_sync_time: serde_json::from_value(json!(PUBLISHED)).unwrap(),
            ..GatewaySyncStatus::default()
        };
        Skew::new(&sync, Some(&gateway(change)), &status, noon())
    }

    fn other(synced_at: &str, state: &str) -> serde_json::Value {
        let commit = commit('b').to_string();
        json!({"syncedCommit": commit, "lastSyncTime": synced_at, "syncStatus": state})
    }

    #[test]
    fn a_gateway_is_skewed_after_its_sync_period() {
        let before = other("2026-03-01T11:00:00Z", "Synced");
        let skewed = skew(20, &before);
        assert_eq!(skewed.gateways, ["blue (bbbbbbb)"]);
        assert_eq!(skewed.due, None);
        let in_time = skew(30, &before);
        assert_eq!(in_time.gateways, [""; 0]);
        assert_eq!(in_time.due, Some(Duration::from_millis(10_750)));
    }

    #[test]
    fn a_gateway_that_is_ahead_is_skewed_a_period_after_its_sync() {
        let ahead = |state| skew(10, &other("2026-03-01T11:59:55Z", state));
        assert_eq!(ahead("Synced").gateways, [""; 0]);
        assert_eq!(ahead("Error").gateways, ["blue (bbbbbbb)"]);
    }

    #[test]
    fn a_gateway_without_a_commit_or_with_the_published_one_is_not_skewed() {
        let published = commit('a').to_string();
        for change in [
            json!({}),
            json!({"syncedCommit": published}),
            json!({"syncedCommit": &published[..7]}),
            json!({"syncedCommit": commit('b').to_string(), "profile": "unknown"}),
        ] {
            assert_eq!(skew(10, &change), Skew::default(), "{change}");
        }
        let short = skew(10, &json!({"syncedCommit": "aaa"}));
        assert_eq!(short.gateways, ["blue (aaa)"]);
    }

    #[test]
    fn a_paused_profile_has_no_skew() {
        let sync = GatewaySync::sample().with(|sync| {
            sync.spec.sync.profiles.get_mut("p").unwrap().paused = Some(true);
        });
        let status = GatewaySyncStatus {
            last_sync_commit: Some(commit('a').to_string()),
            last_sync_time: serde_json::from_value(json!(PUBLISHED)).unwrap(),
            ..GatewaySyncStatus::default()
        };
        let gateways = gateway(&other("2026-03-01T11:00:00Z", "Synced"));
        assert_eq!(
            Skew::new(&sync, Some(&gateways), &status, noon()),
            Skew::default()
        );
    }
}
