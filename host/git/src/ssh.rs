//! The ssh transport: one connection and one channel, in which the server runs `git-upload-pack`.
//!
//! The program speaks ssh itself, so no `ssh` has to be installed, and no file is read.

mod algorithms;
mod host_key;
mod key;
mod known_hosts;
mod pattern;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use percent_encoding::percent_decode_str;
use russh::client::{self, AuthResult, Handle, Handler, Msg};
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{AlgorithmKind, Channel, ChannelMsg, Disconnect};
use stoker_api::detection::RepoUrl;
use url::Url;

use super::Limits;
use super::address::server;
use super::error::{GitError, plain};
use super::hosts::AllowedHosts;
use super::lock::lock;
use super::packet::PacketSource;
use super::remote::{Credentials, Remote};
use super::request::Request;
use super::tcp::connect;

pub use host_key::HostKey;
use host_key::HostKeyPolicy;

pub(super) const PORT: u16 = 22;
/// The user of an address without one. Every forge has this user.
const DEFAULT_USER: &str = "git";
/// The maximum number of bytes of error messages that are kept.
const MAX_MESSAGES: usize = 2048;
/// The maximum wait for the server to confirm the end of a connection.
const MAX_CLOSE: Duration = Duration::from_millis(100);
/// The maximum number of host keys that are kept.
const MAX_SEEN: usize = 16_384;

/// The host keys that servers showed and that were accepted. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct SeenHostKeys(Arc<Mutex<HashMap<Trust, HostKey>>>);

/// A server, and what decides which of its keys are accepted. A key that is accepted for one remote says nothing about
/// another remote with another pinned key, or without known hosts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Trust {
    server: String,
    has_known_hosts: bool,
    pinned: Option<Arc<str>>,
}

impl Trust {
    fn of(remote: &Remote) -> Self {
        let has_known_hosts = match remote.credentials() {
            Credentials::SshKey { known_hosts, .. } => known_hosts.is_some(),
            Credentials::Anonymous | Credentials::Token(_) => false,
        };
        Self {
            server: server(remote.url().url()),
            has_known_hosts,
            pinned: remote.pinned_host_key().map(Arc::from),
        }
    }
}

impl SeenHostKeys {
    /// Returns the host key that the server of a remote showed last.
    pub(super) fn of(&self, remote: &Remote) -> Option<HostKey> {
        lock(&self.0).get(&Trust::of(remote)).cloned()
    }

    fn insert(&self, trust: Trust, key: HostKey) {
        let mut seen = lock(&self.0);
        if seen.len() >= MAX_SEEN {
            seen.clear();
        }
        seen.insert(trust, key);
    }
}

/// A connection to an ssh server that runs `git-upload-pack`.
pub(super) struct SshConnection {
    session: Handle<HostKeyCheck>,
    channel: Channel<Msg>,
    /// The beginning of what the server wrote to its standard error.
    messages: Vec<u8>,
    has_data: bool,
}

impl fmt::Debug for SshConnection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SshConnection").finish_non_exhaustive()
    }
}

impl SshConnection {
    /// Connects, authenticates, and starts `git-upload-pack`.
    pub(super) async fn open(
        remote: &Remote,
        hosts: &AllowedHosts,
        limits: &Limits,
        inactivity: Duration,
        seen: &SeenHostKeys,
    ) -> Result<Self, GitError> {
        let url = remote.url().url();
        let command = command(remote.url())?;
        // Everything that can be wrong with the credentials is found before the connection.
        let key = match remote.credentials() {
            Credentials::SshKey { private_key, .. } => Some(key::parse(private_key)?),
            Credentials::Anonymous | Credentials::Token(_) => None,
        };
        let name = server(url);
        let host = url.host_str().unwrap_or_default();
        let port = url.port().unwrap_or(PORT);
        let policy = HostKeyPolicy::of(remote, host, port, &name)?;
        let handshake = async {
            let stream = connect(hosts, url, PORT, limits.connect).await?;
            let config = client::Config {
                preferred: policy.algorithms(),
                // The task of a connection ends even if the lookup or the fetch that started it was cancelled.
                inactivity_timeout: Some(inactivity),
                ..client::Config::default()
            };
            let check = HostKeyCheck {
                policy: policy.clone(),
                trust: Trust::of(remote),
                seen: seen.clone(),
            };
            client::connect_stream(Arc::new(config), stream, check)
                .await
                .map_err(|error| failed(error, &policy, &name))
        };
        let mut session = tokio::time::timeout(limits.connect, handshake)
            .await
            .map_err(|_| GitError::ConnectTimeout {
                host: name.clone(),
                limit: limits.connect,
            })??;
        authenticate(&mut session, &user(url), key, &name).await?;
        let channel = start(&session, command).await?;
        Ok(Self {
            session,
            channel,
            messages: Vec::new(),
            has_data: false,
        })
    }

    /// Sends a request.
    pub(super) async fn send(&mut self, request: &Request) -> Result<(), GitError> {
        self.channel
            .data_bytes(request.body.clone())
            .await
            .map_err(broken)
    }

    /// Sends the end of the requests, and closes the connection.
    pub(super) async fn close(&mut self) {
        let end = async {
            self.channel.data_bytes(&b"0000"[..]).await?;
            self.channel.eof().await?;
            self.session
                .disconnect(Disconnect::ByApplication, "", "")
                .await
        };
        tokio::time::timeout(MAX_CLOSE, end).await.ok();
    }

    /// Returns the error for a channel that ended without an answer: what the server wrote to its standard error.
    fn ended(&self) -> Result<usize, GitError> {
        let message = plain(&self.messages);
        if self.has_data || message.is_empty() {
            return Ok(0);
        }
        Err(GitError::Remote { message })
    }
}

impl PacketSource for SshConnection {
    async fn read(&mut self, buffer: &mut BytesMut) -> Result<usize, GitError> {
        loop {
            match self.channel.wait().await {
                Some(ChannelMsg::Data { data }) if !data.is_empty() => {
                    self.has_data = true;
                    buffer.extend_from_slice(&data);
                    return Ok(data.len());
                }
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    let room = MAX_MESSAGES.saturating_sub(self.messages.len());
                    self.messages.extend(data.iter().take(room));
                }
                // Servers send the end of the data before their last messages, or after them.
                Some(ChannelMsg::Close) | None => return self.ended(),
                Some(ChannelMsg::Failure) => {
                    return Err(GitError::Remote {
                        message: "the ssh server does not run git-upload-pack".to_owned(),
                    });
                }
                Some(_) => {}
            }
        }
    }
}

/// Checks the host key during the handshake.
struct HostKeyCheck {
    policy: HostKeyPolicy,
    trust: Trust,
    seen: SeenHostKeys,
}

/// Why a handshake failed.
#[derive(Debug)]
enum HandshakeError {
    Library(russh::Error),
    HostKey(Box<GitError>),
}

impl From<russh::Error> for HandshakeError {
    fn from(error: russh::Error) -> Self {
        Self::Library(error)
    }
}

impl Handler for HostKeyCheck {
    type Error = HandshakeError;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, HandshakeError> {
        let key = self
            .policy
            .check(shown)
            .map_err(|error| HandshakeError::HostKey(Box::new(error)))?;
        self.seen.insert(self.trust.clone(), key);
        Ok(true)
    }
}

fn failed(error: HandshakeError, policy: &HostKeyPolicy, server: &str) -> GitError {
    match error {
        HandshakeError::HostKey(error) => *error,
        HandshakeError::Library(russh::Error::NoCommonAlgo {
            kind: AlgorithmKind::Key,
            theirs,
            ..
        }) => policy.no_common_key(&plain(theirs.join(",").as_bytes())),
        HandshakeError::Library(russh::Error::NoCommonAlgo { kind, theirs, .. }) => {
            algorithms::no_common(server, &kind, &theirs)
        }
        HandshakeError::Library(error) => broken(error),
    }
}

fn broken(error: russh::Error) -> GitError {
    GitError::Interrupted(error.into())
}

/// Authenticates with a key, or without one where the server permits it.
async fn authenticate(
    session: &mut Handle<HostKeyCheck>,
    user: &str,
    key: Option<PrivateKey>,
    server: &str,
) -> Result<(), GitError> {
    let refused = |has_key| GitError::SshRefused {
        host: server.to_owned(),
        // A user other than the usual one may be a credential.
        user: if user == DEFAULT_USER {
            DEFAULT_USER
        } else {
            "of the address"
        },
        has_key,
    };
    let Some(key) = key else {
        let outcome = session.authenticate_none(user).await.map_err(broken)?;
        return outcome
            .success()
            .then_some(())
            .ok_or_else(|| refused(false));
    };
    let key = Arc::new(key);
    for hash in hashes(session, &key).await? {
        let key = PrivateKeyWithHashAlg::new(Arc::clone(&key), hash);
        match session.authenticate_publickey(user, key).await {
            Ok(AuthResult::Success) => return Ok(()),
            Ok(AuthResult::Failure { .. }) => {}
            // Servers close the connection after too many attempts.
            Err(russh::Error::Disconnect | russh::Error::HUP | russh::Error::SendError) => break,
            Err(error) => return Err(broken(error)),
        }
    }
    Err(refused(true))
}

/// Returns the hash functions to sign with, in the order of the attempts. Only RSA keys have a choice. SHA-1 is never
/// used.
async fn hashes(
    session: &Handle<HostKeyCheck>,
    key: &PrivateKey,
) -> Result<Vec<Option<HashAlg>>, GitError> {
    if !key.algorithm().is_rsa() {
        return Ok(vec![None]);
    }
    let both = vec![Some(HashAlg::Sha512), Some(HashAlg::Sha256)];
    Ok(
        match session.best_supported_rsa_hash().await.map_err(broken)? {
            Some(Some(hash)) => vec![Some(hash)],
            // The server does not say what it supports, or it names SHA-1 alone.
            Some(None) | None => both,
        },
    )
}

/// Starts the command, with the wish for version 2 of git's protocol. Servers that do not accept the variable answer in
/// version 0.
async fn start(session: &Handle<HostKeyCheck>, command: Vec<u8>) -> Result<Channel<Msg>, GitError> {
    let channel = session.channel_open_session().await.map_err(broken)?;
    channel
        .set_env(false, "GIT_PROTOCOL", "version=2")
        .await
        .map_err(broken)?;
    channel.exec(true, command).await.map_err(broken)?;
    Ok(channel)
}

/// Returns the user of an address.
fn user(url: &Url) -> String {
    match url.username() {
        "" => DEFAULT_USER.to_owned(),
        user => percent_decode_str(user).decode_utf8_lossy().into_owned(),
    }
}

/// Returns the command that git sends: the path is quoted for a shell.
fn command(repo: &RepoUrl) -> Result<Vec<u8>, GitError> {
    let path = repo.path_for_ssh();
    if path.iter().any(u8::is_ascii_control) {
        return Err(GitError::ForbiddenPath);
    }
    let mut command = b"git-upload-pack '".to_vec();
    for byte in path {
        match byte {
            b'\'' | b'!' => command.extend_from_slice(&[b'\'', b'\\', byte, b'\'']),
            byte => command.push(byte),
        }
    }
    command.push(b'\'');
    Ok(command)
}
