//! Installation tokens of GitHub Apps: the credentials with which an app reads the repositories of one installation.
//!
//! GitHub exchanges a token that the app's private key signs for an installation token, which is valid for an hour
//! (<https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app>). This module makes the
//! exchange, and keeps the tokens. It depends on neither a cluster nor git.

mod error;
mod exchange;
mod key;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use stoker_api::Sensitive;
use stoker_http_client::Trust;
use tokio::time::Instant;

pub use error::GitHubAppError;

/// The API of github.com.
pub const PUBLIC_API: &str = "https://api.github.com";
/// How long before its end a token is replaced.
const RENEWAL: SignedDuration = SignedDuration::from_mins(5);
/// How long a failed exchange is not repeated. GitHub may limit an app that asks too often.
const FAILURE_PERIOD: Duration = Duration::from_secs(10);
/// The maximum number of tokens. When it is exceeded, those that have ended are dropped, and then all.
const CAPACITY: usize = 4096;

/// One installation of a GitHub App.
#[derive(Debug, Clone)]
pub struct Installation {
    /// The id of the app.
    pub app_id: i64,
    /// The id of the installation.
    pub installation_id: i64,
    /// The URL of the API, such as [`PUBLIC_API`].
    pub api_url: String,
    /// The private key of the app, in PEM format: PKCS#1 or PKCS#8, RSA.
    pub private_key: Sensitive,
    /// Certificates of authorities, in PEM format, that are trusted in addition to those of this machine.
    pub ca_bundle: Option<Arc<str>>,
}

/// A token for the repositories of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallationToken {
    /// The token.
    pub token: Sensitive,
    /// The end of its validity.
    pub expires_at: Timestamp,
}

impl InstallationToken {
    /// Returns the time at which the token is to be replaced.
    #[must_use]
    pub fn renewal(&self) -> Timestamp {
        self.expires_at
            .saturating_sub(RENEWAL)
            .unwrap_or(self.expires_at)
    }
}

type Outcome = Result<InstallationToken, Arc<GitHubAppError>>;

/// Everything that decides which token an exchange returns. The key is present as a digest only.
#[derive(Clone, PartialEq, Eq, Hash)]
struct TokenKey {
    app_id: i64,
    installation_id: i64,
    api_url: String,
    private_key: [u8; 32],
    ca_bundle: Option<Arc<str>>,
}

impl TokenKey {
    fn of(installation: &Installation) -> Self {
        Self {
            app_id: installation.app_id,
            installation_id: installation.installation_id,
            api_url: installation.api_url.clone(),
            private_key: Sha256::digest(installation.private_key.expose()).into(),
            ca_bundle: installation.ca_bundle.clone(),
        }
    }
}

struct Entry {
    /// The last token, which is used until its end if no newer one can be had.
    token: Option<InstallationToken>,
    began: Instant,
    /// The time by the clock at which the exchange began.
    began_at: Timestamp,
    exchange: Shared<BoxFuture<'static, Outcome>>,
}

impl Entry {
    /// Returns whether a token need not be replaced yet. The clock may have been set back since it was issued.
    fn is_recent(&self, token: &InstallationToken, now: Timestamp) -> bool {
        let left = token.renewal().duration_since(self.began_at);
        let left = Duration::try_from(left).unwrap_or_default();
        now < token.renewal() && self.began.elapsed() < left
    }
}

/// The tokens of all installations. A token is exchanged once, no matter how many objects need it.
pub struct InstallationTokens {
    client: Result<reqwest::Client, Arc<GitHubAppError>>,
    entries: Mutex<HashMap<TokenKey, Entry>>,
    clock: fn() -> Timestamp,
}

impl Default for InstallationTokens {
    fn default() -> Self {
        Self::with_clock(Timestamp::now)
    }
}

impl InstallationTokens {
    /// Returns an empty store with another clock than that of the machine.
    #[must_use]
    pub fn with_clock(clock: fn() -> Timestamp) -> Self {
        let client = stoker_http_client::http_client();
        Self {
            client: client.map_err(|error| Arc::new(GitHubAppError::Client(error))),
            entries: Mutex::default(),
            clock,
        }
    }

    /// Returns a token that is valid for more than five minutes. If GitHub issues none, the last one is used until its
    /// end.
    pub async fn get(&self, installation: &Installation) -> Outcome {
        let key = TokenKey::of(installation);
        let exchange = match self.known(&key) {
            Known::Token(token) => return Ok(token),
            Known::Exchange(exchange) => exchange,
            Known::Nothing(last) => {
                let client = self.client(installation)?;
                self.start(client, &key, installation, last)
            }
        };
        let outcome = exchange.await;
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(&key) else {
            return outcome;
        };
        match outcome {
            Ok(token) => {
                entry.token = Some(token.clone());
                Ok(token)
            }
            Err(error) => {
                let is_valid = |token: &&InstallationToken| (self.clock)() < token.expires_at;
                entry.token.as_ref().filter(is_valid).cloned().ok_or(error)
            }
        }
    }

    /// Returns the client for the certificates of an installation. One with additional certificates is made for each
    /// exchange, which happens once in an hour.
    fn client(&self, installation: &Installation) -> Result<reqwest::Client, Arc<GitHubAppError>> {
        let Some(bundle) = &installation.ca_bundle else {
            return self.client.clone();
        };
        let trust = Trust::of_this_machine().with_bundle(bundle);
        let client = trust.and_then(|trust| stoker_http_client::client_that_trusts(&trust));
        client.map_err(|error| Arc::new(GitHubAppError::Client(error)))
    }

    fn known(&self, key: &TokenKey) -> Known {
        let entries = self.lock();
        let Some(entry) = entries.get(key) else {
            return Known::Nothing(None);
        };
        match entry.exchange.peek() {
            Some(Ok(token)) if entry.is_recent(token, (self.clock)()) => {
                Known::Token(token.clone())
            }
            Some(Err(error)) if entry.began.elapsed() < failure_period(error) => {
                Known::Exchange(entry.exchange.clone())
            }
            None => Known::Exchange(entry.exchange.clone()),
            Some(Ok(token)) => Known::Nothing(Some(token.clone())),
            Some(Err(_)) => Known::Nothing(entry.token.clone()),
        }
    }

    /// Starts an exchange. It continues if the caller leaves.
    fn start(
        &self,
        client: reqwest::Client,
        key: &TokenKey,
        installation: &Installation,
        token: Option<InstallationToken>,
    ) -> Shared<BoxFuture<'static, Outcome>> {
        let (now, installation) = ((self.clock)(), installation.clone());
        let exchange = async move {
            let issued = exchange::exchange(&client, &installation, now).await;
            issued.map_err(Arc::new)
        };
        let mut entries = self.lock();
        if let Some(entry) = entries.get(key)
            && entry.exchange.peek().is_none()
        {
            return entry.exchange.clone();
        }
        let exchange = exchange.boxed().shared();
        tokio::spawn(exchange.clone().map(drop));
        if entries.len() >= CAPACITY && !entries.contains_key(key) {
            self.make_room(&mut entries);
        }
        let entry = Entry {
            token,
            began: Instant::now(),
            began_at: now,
            exchange: exchange.clone(),
        };
        entries.insert(key.clone(), entry);
        exchange
    }

    fn make_room(&self, entries: &mut HashMap<TokenKey, Entry>) {
        let now = (self.clock)();
        entries.retain(|_, entry| match entry.exchange.peek() {
            None => true,
            Some(outcome) => outcome.as_ref().is_ok_and(|token| now < token.expires_at),
        });
        if entries.len() >= CAPACITY {
            entries.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TokenKey, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long an exchange is not repeated after an error.
fn failure_period(error: &GitHubAppError) -> Duration {
    match error {
        GitHubAppError::Refused {
            retry_after: Some(wait),
            ..
        } => FAILURE_PERIOD.max(*wait),
        _ => FAILURE_PERIOD,
    }
}

/// What is known of an installation's token.
enum Known {
    /// A token that is valid for long enough.
    Token(InstallationToken),
    /// An exchange that is under way, or that failed a moment ago.
    Exchange(Shared<BoxFuture<'static, Outcome>>),
    /// An exchange is necessary. The last token may still be valid.
    Nothing(Option<InstallationToken>),
}
