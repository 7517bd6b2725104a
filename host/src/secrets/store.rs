//! Secrets of the cluster, which are read by name when they are needed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use lru::LruCache;
use stoker_api::SecretKey;
use stoker_api::detection::ObjectKey;
use tokio::time::{Instant, timeout, timeout_at};

use super::{PREVIOUS, Secret, SecretError};
use crate::recent::Recent;

/// The time for which a value is used without a new read.
const PERIOD: Duration = Duration::from_secs(1);
/// The time limit of a read.
const READ_TIME: Duration = Duration::from_secs(2);
/// The pause between two tries of a caller that waits. The tries of all callers within `PERIOD` share a read.
const PAUSE: Duration = Duration::from_millis(500);
/// The maximum age of a value that is used while the API server does not answer.
const MAX_AGE: Duration = Duration::from_hours(1);
/// The time between two warnings about one Secret.
const WARNING_PERIOD: Duration = Duration::from_mins(1);
/// The maximum number of Secrets that are remembered.
const CAPACITY: usize = 4096;

/// The values of a Secret by their keys.
pub type SecretData = BTreeMap<String, Vec<u8>>;

/// The Secrets of a cluster.
pub trait SecretStore: Send + Sync {
    /// Reads a Secret by its namespace and name.
    fn get(&self, key: &ObjectKey) -> BoxFuture<'static, Result<SecretData, StoreError>>;
}

/// The reason why a Secret was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It does not exist, or reading it is not permitted.
    #[error("{0}")]
    Refused(String),
    /// The API server did not answer. A later read may succeed.
    #[error("the Kubernetes API server cannot be reached: {0}")]
    Unavailable(String),
}

/// A secret from the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSecret {
    /// The value.
    pub secret: Secret,
    /// Whether it was read within the last second. Otherwise, the API server does not answer, and the value is the
    /// last known one.
    pub is_current: bool,
}

/// Which value a caller waits for while the API server does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The last known value is sufficient.
    Known,
    /// The value must be current.
    Current,
}

/// The Secrets that were read lately. Each is read at most once a second.
pub struct SecretCache {
    store: Arc<dyn SecretStore>,
    reads: Recent<ObjectKey, Result<(Arc<SecretData>, bool), StoreError>>,
    warnings: Recent<ObjectKey, ()>,
    known: Arc<KnownSecrets>,
}

impl SecretCache {
    /// Returns an empty cache.
    #[must_use]
    pub fn new(store: Arc<dyn SecretStore>) -> Self {
        Self {
            store,
            reads: Recent::new(PERIOD, CAPACITY),
            warnings: Recent::new(WARNING_PERIOD, CAPACITY),
            known: Arc::default(),
        }
    }

    /// Returns a value of a Secret, and its previous value under the key with `-previous` appended.
    pub async fn get(
        &self,
        namespace: &str,
        reference: &SecretKey,
    ) -> Result<StoredSecret, SecretError> {
        let name = format!("{namespace}/{}", reference.name);
        // A name with a slash would be the path of another object.
        let key = ObjectKey::new(namespace, &reference.name).map_err(|error| {
            let why = StoreError::Refused(error.to_string());
            SecretError::Stored {
                name: name.clone(),
                why,
            }
        })?;
        let secret = match self.read(&key).await {
            Ok((data, is_current)) => {
                value(&data, &reference.key).map(|secret| StoredSecret { secret, is_current })
            }
            Err(why) => Err(SecretError::Stored { name, why }),
        };
        if let Err(error) = &secret {
            self.warn(&key, error).await;
        }
        secret
    }

    /// Returns a value as [`Self::get`] does. While the API server does not answer, it waits for the wanted value until
    /// the deadline, and then returns what is known.
    pub async fn get_by(
        &self,
        namespace: &str,
        reference: &SecretKey,
        wanted: Wanted,
        deadline: Instant,
    ) -> Result<StoredSecret, SecretError> {
        let mut latest = None;
        loop {
            let Ok(found) = timeout_at(deadline, self.get(namespace, reference)).await else {
                return latest.unwrap_or_else(|| {
                    Err(SecretError::Stored {
                        name: format!("{namespace}/{}", reference.name),
                        why: StoreError::Unavailable("no answer in time".to_owned()),
                    })
                });
            };
            let is_final = match &found {
                Ok(stored) => stored.is_current || wanted == Wanted::Known,
                Err(error) => !error.is_temporary(),
            };
            if is_final || Instant::now() + PAUSE >= deadline {
                return found;
            }
            latest = Some(found);
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn read(&self, key: &ObjectKey) -> Result<(Arc<SecretData>, bool), StoreError> {
        let read = || {
            let known = Arc::clone(&self.known);
            let read = timeout(READ_TIME, self.store.get(key));
            let key = key.clone();
            let read = async move {
                let answer = read.await.unwrap_or_else(|_| {
                    let why = format!("no answer within {READ_TIME:?}");
                    Err(StoreError::Unavailable(why))
                });
                known.update(&key, answer)
            };
            read.boxed()
        };
        self.reads.get(key, read).await
    }

    async fn warn(&self, key: &ObjectKey, error: &SecretError) {
        let (name, error) = (key.to_string(), stoker_report::chain(error).to_string());
        let warn = || {
            let warn = async move {
                tracing::warn!(secret = name, error, "a Secret for webhooks cannot be used");
            };
            warn.boxed()
        };
        self.warnings.get(key, warn).await;
    }
}

/// Returns a value of a Secret with its previous value.
fn value(data: &SecretData, key: &str) -> Result<Secret, SecretError> {
    let text = |key: &str| {
        let value = data.get(key).map(|value| std::str::from_utf8(value));
        value.transpose().map_err(|_| SecretError::NotText {
            key: key.to_owned(),
        })
    };
    let present = text(key)?.ok_or_else(|| SecretError::NoKey {
        key: key.to_owned(),
    })?;
    Secret::parse(present, text(&format!("{key}{PREVIOUS}"))?)
}

/// What was read last, for the time in which the API server does not answer.
struct KnownSecrets(Mutex<LruCache<ObjectKey, KnownSecret>>);

impl Default for KnownSecrets {
    fn default() -> Self {
        Self(Mutex::new(LruCache::unbounded()))
    }
}

struct KnownSecret {
    data: Arc<SecretData>,
    read_at: Instant,
}

impl KnownSecrets {
    /// Stores an answer, and replaces a missing one by the last known data. The result says whether the data are
    /// current. A Secret that was removed is forgotten.
    fn update(
        &self,
        key: &ObjectKey,
        answer: Result<SecretData, StoreError>,
    ) -> Result<(Arc<SecretData>, bool), StoreError> {
        let now = Instant::now();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_usable = |secret: &KnownSecret| now.duration_since(secret.read_at) <= MAX_AGE;
        match answer {
            Ok(data) => {
                let data = Arc::new(data);
                let secret = KnownSecret {
                    data: Arc::clone(&data),
                    read_at: now,
                };
                known.put(key.clone(), secret);
                if known.len() > CAPACITY {
                    known.pop_lru();
                }
                Ok((data, true))
            }
            Err(StoreError::Unavailable(why)) => match known.peek(key) {
                Some(secret) if is_usable(secret) => Ok((Arc::clone(&secret.data), false)),
                _ => {
                    known.pop(key);
                    Err(StoreError::Unavailable(why))
                }
            },
            Err(refused) => {
                known.pop(key);
                Err(refused)
            }
        }
    }
}

#[cfg(test)]
mod tests;
