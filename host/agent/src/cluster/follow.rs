//! Follows the ConfigMap with what is published: by a watch, or by reading it from time to time where the agent may not
//! watch.

use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watch_object};
use stoker_api::names;
use tokio::sync::watch;

use super::{CALL_TIME, Cluster, within};
use crate::metadata::{self, Metadata, MetadataError};
use crate::problems::ProblemSender;

/// The time between two reads where the agent may not watch.
const POLL_PERIOD: Duration = Duration::from_secs(3);
/// The number of reads after which a watch is tried again, five minutes. At the start, one read is enough: the agent may
/// not have had any rights before.
const POLLS: u32 = 100;

/// Sends what is published, from the first usable state on. Something unusable is a problem, and what was published
/// before stays.
pub(crate) async fn follow(
    cluster: Cluster,
    published: watch::Sender<Option<Metadata>>,
    problems: ProblemSender,
) {
    let name = names::metadata_map(&cluster.object);
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let mut follower = Follower {
        name,
        maps,
        published,
        problems,
        last_error: String::new(),
    };
    let mut polls = 1;
    loop {
        follower.watch().await;
        tracing::warn!(
            configmap = follower.name,
            seconds = POLL_PERIOD.as_secs(),
            "the agent may not watch ConfigMaps, so it reads the ConfigMap from time to time; check the RoleBinding of the agents"
        );
        follower.poll(polls).await;
        polls = POLLS;
    }
}

struct Follower {
    name: String,
    maps: Api<ConfigMap>,
    published: watch::Sender<Option<Metadata>>,
    problems: ProblemSender,
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

    /// Reads the ConfigMap until it was read a number of times.
    async fn poll(&mut self, polls: u32) {
        let mut reads = 0;
        while reads < polls {
            tokio::time::sleep(POLL_PERIOD).await;
            match within(CALL_TIME, self.maps.get_opt(&self.name)).await {
                Ok(map) => {
                    reads += 1;
                    self.take(map);
                }
                Err(error) => self.report(&stoker_report::chain(&error).to_string()),
            }
        }
    }

    fn take(&mut self, map: Option<ConfigMap>) {
        let data = map.and_then(|map| map.data);
        let parsed = data.map_or(Err(MetadataError::NoCommit), |data| Metadata::parse(&data));
        match parsed {
            Ok(found) => {
                self.last_error.clear();
                self.problems.set_published("");
                metadata::publish(&self.published, found);
            }
            Err(MetadataError::NoCommit) => {
                self.problems.set_published("");
                self.report(&MetadataError::NoCommit.to_string());
            }
            Err(error) => {
                let error = stoker_report::chain(&error).to_string();
                self.problems.set_published(&error);
                self.report(&error);
            }
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
    let (watcher::Error::InitialListFailed(kube::Error::Api(status))
    | watcher::Error::WatchStartFailed(kube::Error::Api(status))
    | watcher::Error::WatchError(status)) = error
    else {
        return false;
    };
    status.code == 403
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use serde_json::json;

    use super::*;
    use crate::fake_client::{client, status};

    /// Returns the view of an agent that may read the ConfigMap if `may_read`, and may not watch it.
    fn cluster(may_read: Arc<AtomicBool>) -> Cluster {
        let client = client(move |request| {
            let is_read = request.uri().path().ends_with("/stoker-metadata-plant");
            let is_allowed = is_read && may_read.load(Ordering::Relaxed);
            let answer = if is_allowed {
                let data = json!({"commit": "a".repeat(40), "ref": "main", "gitURL": "https://git.example/o/r.git"});
                let map = json!({"metadata": {"name": "stoker-metadata-plant"}, "data": data});
                (200, map)
            } else {
                status(403, "Forbidden", "configmaps is forbidden")
            };
            std::future::ready(answer)
        });
        Cluster {
            client,
            namespace: "default".to_owned(),
            object: "plant".to_owned(),
            pod_namespace: "default".to_owned(),
            pod_name: "gw-0".to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_the_right_to_watch_the_config_map_is_read_every_three_seconds() {
        let may_read = Arc::new(AtomicBool::new(false));
        let (publish, mut published) = watch::channel(None);
        let (sender, _problems) = ProblemSender::channel();
        let task = tokio::spawn(follow(cluster(Arc::clone(&may_read)), publish, sender));
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(published.borrow().is_none());
        may_read.store(true, Ordering::Relaxed);
        let read = published.wait_for(Option::is_some);
        let read = tokio::time::timeout(Duration::from_secs(4), read).await;
        let metadata = read.unwrap().unwrap().clone();
        let Some(Metadata::Published(published)) = metadata else {
            panic!("{metadata:?}")
        };
        assert_eq!(published.commit.as_str(), "a".repeat(40));
        task.abort();
    }

    #[tokio::test]
    async fn something_unusable_is_a_problem_and_a_missing_commit_is_none() {
        let cluster = cluster(Arc::default());
        let (published, receiver) = watch::channel(None);
        let (sender, problems) = ProblemSender::channel();
        let mut follower = Follower {
            name: "stoker-metadata-plant".to_owned(),
            maps: Api::namespaced(cluster.client, "default"),
            published,
            problems: sender,
            last_error: String::new(),
        };
        let commit = "a".repeat(40);
        for (commit, git_ref, url, expected) in [
            ("", "main", "https://git.example/o/r.git", ""),
            (
                "main",
                "main",
                "https://git.example/o/r.git",
                "the published commit is invalid",
            ),
            (
                &commit,
                "a..b",
                "https://git.example/o/r.git",
                "the published ref is invalid",
            ),
            ("", "main", "https://git.example/o/r.git", ""),
            (
                &commit,
                "main",
                "file:///etc",
                "the published address of the repository is invalid",
            ),
            (&commit, "main", "https://git.example/o/r.git", ""),
        ] {
            let data = json!({"commit": commit, "ref": git_ref, "gitURL": url});
            let map = serde_json::from_value(json!({ "data": data })).unwrap();
            follower.take(Some(map));
            let problem = problems.borrow().to_string();
            assert_eq!(problem.is_empty(), expected.is_empty(), "{problem}");
            assert!(problem.starts_with(expected), "{problem}");
        }
        assert!(receiver.borrow().is_some());
        // An object that is paused before its first publication.
        let map = json!({"data": {"paused": "true", "gitURL": "https://git.example/o/r.git"}});
        follower.take(Some(serde_json::from_value(map).unwrap()));
        assert_eq!(*receiver.borrow(), Some(Metadata::Paused));
        assert_eq!(problems.borrow().to_string(), "");
    }
}
