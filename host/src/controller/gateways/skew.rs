//! Whether a gateway runs another commit than the published one for too long. Pure, except for the age of the
//! publication.

use std::time::Duration;

use jiff::Timestamp;
use stoker_api::detection::CommitId;
use stoker_api::{DiscoveredGateway, GatewayState, GatewaySync};

use super::Gateways;
use crate::controller::profiles;
use crate::controller::published::PublishedCommit;

/// The gateways that run another commit than the published one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::controller) struct Skew {
    /// The gateways that have done so for longer than the sync period of their profile.
    pub(super) gateways: Vec<String>,
    /// The time until the next gateway does so.
    pub(super) due: Option<Duration>,
}

impl Skew {
    /// Compares the gateways with the commit that their agents follow.
    pub(in crate::controller) fn new(
        sync: &GatewaySync,
        gateways: Option<&Gateways>,
        published: Option<&PublishedCommit>,
        now: Timestamp,
    ) -> Self {
        let mut skew = Self::default();
        let Some(published) = published else {
            return skew;
        };
        let age = published.age();
        for gateway in gateways.into_iter().flat_map(Gateways::iter) {
            let shown = &gateway.shown;
            let Some(synced) = other_commit(shown, &published.commit) else {
                continue;
            };
            let Some(period) = profiles::period(&sync.spec.sync, gateway.profile.as_deref()) else {
                continue;
            };
            let synced_ago = synced_ago(shown, period, now);
            let elapsed = synced_ago.map_or(age, |synced_ago| synced_ago.min(age));
            let Some(left) = period.checked_sub(elapsed).filter(|left| !left.is_zero()) else {
                let synced = CommitId::shorten(synced);
                skew.gateways.push(gateway.listed(synced));
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

/// Returns how long a gateway has run its commit. An agent can be ahead of the controller. A failed sync does not change
/// what the gateway runs. A time in the future counts as now. If it is further away than the period, a clock is wrong,
/// and the time is not used.
fn synced_ago(gateway: &DiscoveredGateway, period: Duration, now: Timestamp) -> Option<Duration> {
    let synced = gateway.last_sync_time.as_ref()?;
    if gateway.sync_status == Some(GatewayState::Error) {
        return None;
    }
    let ago = now.duration_since(synced.0);
    let is_wrong = ago.is_negative() && ago.unsigned_abs() > period;
    (!is_wrong).then(|| Duration::try_from(ago).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controller::gateways::{AgentContainer, Gateway};
    use crate::controller::tests::fixture::{GatewaySyncExt as _, commit, noon};

    /// The commit of only `a`, which was published a little more than twenty seconds ago.
    fn published() -> PublishedCommit {
        PublishedCommit::new(commit('a').as_str(), Duration::from_millis(20_250))
    }

    fn gateway(change: &serde_json::Value) -> Gateways {
        let mut fields =
            json!({"name": "blue", "namespace": "edge", "podName": "gw-0", "profile": "p"});
        for (name, value) in change.as_object().unwrap() {
            fields[name] = value.clone();
        }
        let shown: DiscoveredGateway = serde_json::from_value(fields).unwrap();
        Gateways(vec![Gateway {
            profile: shown.profile.clone(),
            shares_name: false,
            shown,
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
        Skew::new(&sync, Some(&gateway(change)), Some(&published()), noon())
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
        let due = in_time.due.unwrap().as_millis();
        assert!((9_750..=10_750).contains(&due), "{due}");
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
    fn the_time_of_a_wrong_clock_does_not_hide_that_a_gateway_is_skewed() {
        let at = |time| skew(20, &other(time, "Synced"));
        for soon in ["2026-03-01T12:00:10Z", "2026-03-01T12:00:20Z"] {
            assert_eq!(at(soon).gateways, [""; 0], "{soon}");
            assert!(at(soon).due.is_some());
        }
        for late in ["2026-03-01T12:00:21Z", "2027-03-01T12:00:00Z"] {
            assert_eq!(at(late).gateways, ["blue (bbbbbbb)"], "{late}");
        }
    }

    #[test]
    fn a_paused_profile_has_no_skew() {
        let sync = GatewaySync::sample().with(|sync| {
            sync.spec.sync.profiles.get_mut("p").unwrap().paused = Some(true);
        });
        let gateways = gateway(&other("2026-03-01T11:00:00Z", "Synced"));
        assert_eq!(
            Skew::new(&sync, Some(&gateways), Some(&published()), noon()),
            Skew::default()
        );
    }
}
