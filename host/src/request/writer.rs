use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::Client;
use kube::api::{Api, ApiResource, Patch, PatchParams};
use serde_json::json;
use tokio::sync::Mutex;

use super::cache::{self, Deferred, DueDeliveries, ObjectCache, Target};
use super::choose::choose;
use super::events::EventQueue;
use super::repeat::News;
use super::{Announcement, RequestError, RequestSink, Submitted};
use crate::api::names::annotation;
use crate::detection::{GitRef, ObjectKey, Selection};
use crate::report;

/// Who wrote the annotations, in `managedFields`.
const FIELD_MANAGER: &str = "stoker-receiver";
/// A sender waits ten seconds at most; it is told before that.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Writes to one object go one after the other, so the API server rarely has a conflict to report; each is tried
/// again this often.
const ATTEMPTS: u32 = 5;
/// Locks for all objects; two objects that share one wait for each other, and nothing else happens.
const SHARDS: usize = 64;

/// Writes requests as annotations, by merge patches that no other write can conflict with.
pub struct Requester {
    client: Client,
    resource: ApiResource,
    cache: Arc<ObjectCache>,
    events: EventQueue,
    shards: [Mutex<()>; SHARDS],
    clock: Clock,
    namespace: Option<String>,
}

impl Requester {
    /// A requester that decides by the cache and writes through the client. Where it is given a namespace, there are no
    /// objects outside.
    #[must_use]
    pub fn new(
        client: Client,
        cache: Arc<ObjectCache>,
        events: EventQueue,
        namespace: Option<String>,
    ) -> Self {
        Self {
            client,
            resource: cache::resource(),
            cache,
            events,
            shards: std::array::from_fn(|_| Mutex::new(())),
            clock: Clock::default(),
            namespace,
        }
    }

    /// Requests again what was deferred, once the request that it waited for is handled.
    pub async fn repeat_deferred(&self, mut due: DueDeliveries) {
        while let Some((key, deferred)) = due.next(&self.cache).await {
            let _order = self.shard(&key).lock().await;
            if let Err(error) = self.write(&key, &deferred.git_ref, &deferred.plugin).await {
                tracing::warn!(sync.namespace = key.namespace(), sync.name = key.name(), error = %report::chain(&error), "cannot repeat a request; polling will find what it announced");
            }
        }
    }

    async fn request(
        &self,
        key: &ObjectKey,
        announcement: &Announcement,
    ) -> Result<Submitted, RequestError> {
        self.check_scope(key)?;
        // In order per object: the last of two deliveries is also the last that is written.
        let _order = self.shard(key).lock().await;
        let known = self.cache.get(key);
        let repo = known.as_ref().map(|known| known.repo.as_str());
        let current = known.as_ref().map(|known| {
            known
                .standing
                .requested_ref
                .as_deref()
                .unwrap_or(&known.standing.spec_ref)
        });
        let chosen =
            choose(&announcement.detections, repo, current).ok_or(RequestError::Nothing)?;
        let git_ref = chosen.git_ref.clone();
        let news = match self.cache.opinion(key, known.as_ref(), &git_ref) {
            Some(news) => news,
            None => cache::standing(&self.ask(key).await?).news(&git_ref),
        };
        match news {
            News::Settled => return Ok(Submitted::AlreadySet(git_ref)),
            News::Pending { at } => {
                let plugin = announcement.plugin.to_string();
                self.cache.defer(
                    key,
                    Deferred {
                        requested_at: at,
                        git_ref: git_ref.clone(),
                        plugin,
                    },
                );
                return Ok(Submitted::AlreadySet(git_ref));
            }
            News::Fresh => {}
        }
        self.write(key, &git_ref, &announcement.plugin).await?;
        Ok(Submitted::Written(git_ref))
    }

    /// The object by the API server's own word.
    async fn ask(&self, key: &ObjectKey) -> Result<Target, RequestError> {
        match tokio::time::timeout(WRITE_TIMEOUT, self.api(key).get(key.name())).await {
            Err(_) => Err(RequestError::Unavailable(None)),
            Ok(Err(error)) => Err(refusal(key, error)),
            Ok(Ok(target)) => Ok(target),
        }
    }

    async fn selection(&self, key: &ObjectKey) -> Result<Selection, RequestError> {
        if let Some(selection) = self.cache.selection(key) {
            return Ok(selection);
        }
        // The watch may not have told of it yet.
        self.check_scope(key)?;
        Ok(cache::selection(&self.ask(key).await?))
    }

    /// The API server would refuse to say what is in another namespace.
    fn check_scope(&self, key: &ObjectKey) -> Result<(), RequestError> {
        let is_inside = |namespace: &String| namespace == key.namespace();
        if self.namespace.as_ref().is_none_or(is_inside) {
            Ok(())
        } else {
            Err(RequestError::NotFound(key.clone()))
        }
    }

    async fn write(
        &self,
        key: &ObjectKey,
        git_ref: &GitRef,
        plugin: &str,
    ) -> Result<(), RequestError> {
        let api = self.api(key);
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let requested_at = self.clock.next();
        let patch = Patch::Merge(json!({"metadata": {"annotations": {
            annotation::REQUESTED_REF: git_ref.as_str(),
            annotation::REQUESTED_AT: format_stamp(requested_at),
            annotation::REQUESTED_BY: plugin,
        }}}));
        let attempts = async {
            let mut attempt = 1;
            loop {
                match api.patch_metadata(key.name(), &params, &patch).await {
                    Err(kube::Error::Api(status)) if status.is_conflict() && attempt < ATTEMPTS => {
                        attempt += 1;
                    }
                    answer => return answer,
                }
            }
        };
        match tokio::time::timeout(WRITE_TIMEOUT, attempts).await {
            Err(_) => Err(RequestError::Unavailable(None)),
            Ok(Err(error)) => Err(refusal(key, error)),
            Ok(Ok(written)) => {
                self.cache.note_write(key, requested_at, git_ref);
                self.events.received(&written.metadata, git_ref, plugin);
                Ok(())
            }
        }
    }

    fn api(&self, key: &ObjectKey) -> Api<Target> {
        Api::namespaced_with(self.client.clone(), key.namespace(), &self.resource)
    }

    fn shard(&self, key: &ObjectKey) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "any bits of the hash will do"
        )]
        let index = hasher.finish() as usize % SHARDS;
        &self.shards[index]
    }
}

impl RequestSink for Requester {
    fn detectors<'a>(
        &'a self,
        target: &'a ObjectKey,
    ) -> BoxFuture<'a, Result<Selection, RequestError>> {
        self.selection(target).boxed()
    }

    fn submit<'a>(
        &'a self,
        target: &'a ObjectKey,
        announcement: &'a Announcement,
    ) -> BoxFuture<'a, Result<Submitted, RequestError>> {
        self.request(target, announcement).boxed()
    }
}

fn refusal(key: &ObjectKey, error: kube::Error) -> RequestError {
    match &error {
        kube::Error::Api(status) if status.is_not_found() => RequestError::NotFound(key.clone()),
        kube::Error::Api(status) if status.code < 500 && status.code != 429 => {
            RequestError::Refused(Box::new(error))
        }
        _ => RequestError::Unavailable(Some(Box::new(error))),
    }
}

/// RFC 3339 with all nine digits, so that stamps of one process sort as text.
fn format_stamp(stamp: Timestamp) -> String {
    format!("{stamp:.9}")
}

/// Stamps that never repeat and never go back, whatever the system's clock does.
#[derive(Default)]
struct Clock {
    last: AtomicI64,
}

impl Clock {
    fn next(&self) -> Timestamp {
        let now = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
        let advance = |last: i64| now.max(last.saturating_add(1));
        let last = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(advance(last))
            });
        let stamp = last.map_or(now, advance);
        Timestamp::from_nanosecond(i128::from(stamp)).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_grow_and_have_nine_digits() {
        let clock = Clock::default();
        let stamps: Vec<_> = (0..1000).map(|_| format_stamp(clock.next())).collect();
        assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(stamps[0].len(), "2026-01-02T03:04:05.123456789Z".len());
    }
}
