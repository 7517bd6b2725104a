//! Follows the ConfigMap with what is published: by a watch, or by reading it from time to time where the agent may not
//! watch.

use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watch_object};
use tokio::sync::watch;

use super::{Cluster, METADATA_PREFIX};
use crate::metadata::{MetadataError, Published};

/// The time between two reads where the agent may not watch.
const POLL_PERIOD: Duration = Duration::from_secs(3);
/// The number of reads after which a watch is tried again, five minutes.
const POLLS: u32 = 100;

/// Sends what is published, from the first usable state on. Something unusable is logged, and what was published before
/// stays.
pub(crate) async fn follow(cluster: Cluster, published: watch::Sender<Option<Published>>) {
    let name = format!("{METADATA_PREFIX}{}", cluster.object);
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let mut follower = Follower {
        name,
        maps,
        published,
        last_error: String::new(),
    };
    loop {
        follower.watch().await;
        tracing::warn!(
            configmap = follower.name,
            "the agent may not watch ConfigMaps, so it reads the ConfigMap every 3 s; check the RoleBinding of the agents"
        );
        follower.poll().await;
    }
}

struct Follower {
    name: String,
    maps: Api<ConfigMap>,
    published: watch::Sender<Option<Published>>,
    last_error: String,
}

impl Follower {
    /// Watches until the watch is refused.
    async fn watch(&mut self) {
        let stream = watch_object(self.maps.clone(), &self.name).default_backoff();
        let mut stream = std::pin::pin!(stream);
        while let Some(found) = stream.next().await {
            match found {
                Ok(map) => self.take(map),
                Err(error) if is_forbidden(&error) => return,
                Err(error) => self.report(&stoker_report::chain(&error).to_string()),
            }
        }
    }

    /// Reads the ConfigMap for some time.
    async fn poll(&mut self) {
        for _ in 0..POLLS {
            match self.maps.get_opt(&self.name).await {
                Ok(map) => self.take(map),
                Err(error) => self.report(&stoker_report::chain(&error).to_string()),
            }
            tokio::time::sleep(POLL_PERIOD).await;
        }
    }

    fn take(&mut self, map: Option<ConfigMap>) {
        let data = map.and_then(|map| map.data);
        let parsed = data.map_or(Err(MetadataError::NoCommit), |data| Published::parse(&data));
        match parsed {
            Ok(found) => {
                self.last_error.clear();
                let take = |present: &mut Option<Published>| {
                    let is_new = present.as_ref() != Some(&found);
                    *present = Some(found);
                    is_new
                };
                self.published.send_if_modified(take);
            }
            Err(error) => self.report(&stoker_report::chain(&error).to_string()),
        }
    }

    /// Logs an error, once while it stays the same.
    fn report(&mut self, error: &str) {
        if self.last_error != error {
            error.clone_into(&mut self.last_error);
            tracing::warn!(configmap = self.name, error, "nothing usable is published");
        }
    }
}

fn is_forbidden(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 403,
        watcher::Error::WatchError(status) => status.code == 403,
        _ => false,
    }
}
