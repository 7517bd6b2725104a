//! An ssh server with configurable keys and answers.

use std::sync::{Arc, Mutex};

use russh::keys::{Certificate, PrivateKey, PublicKey, decode_secret_key};
use russh::server::{self, Auth, ChannelOpenHandle, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use tokio::task::JoinHandle;

use super::super::fake::{listen, packets};
use super::super::id;
use super::{ECDSA, ED25519, RSA};

/// How the server answers a command.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// By version 2.
    V2,
    /// By version 0, after it has refused the variable.
    V0,
    /// By a text on the standard error, and the exit status 1.
    Message(&'static str),
    /// By refusing the command.
    Refuse,
}

/// What one client did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) user: String,
    pub(super) variables: Vec<String>,
    pub(super) command: String,
}

/// A server that accepts the keys of the tests, and the user `anonymous` without a key.
pub(super) struct Server {
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts a server with these host keys.
    pub(super) async fn start(keys: &[&str], answer: Answer) -> Self {
        let keys = keys.iter().map(|text| decode(text)).collect();
        let config = server::Config {
            keys,
            ..server::Config::default()
        };
        Self::serve(config, answer).await
    }

    /// Starts a server that shows a certificate of its ed25519 key.
    pub(super) async fn with_certificate(certificate: &str) -> Self {
        let config = server::Config {
            keys: vec![decode(ED25519)],
            certificates: vec![Certificate::from_openssh(certificate).unwrap()],
            ..server::Config::default()
        };
        Self::serve(config, Answer::V2).await
    }

    async fn serve(config: server::Config, answer: Answer) -> Self {
        let config = Arc::new(server::Config {
            auth_rejection_time: std::time::Duration::ZERO,
            ..config
        });
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let (address, task) = listen(move |stream| {
            let config = Arc::clone(&config);
            let client = Client {
                answer,
                seen: Seen::default(),
                log: Arc::clone(&log),
            };
            async move {
                if let Ok(session) = server::run_stream(config, stream, client).await {
                    session.await.ok();
                }
            }
        })
        .await;
        Self {
            address,
            seen,
            task,
        }
    }

    /// Returns the address of a repository. Without a user, the address has none.
    pub(super) fn url(&self, user: &str, path: &str) -> String {
        let separator = if user.is_empty() { "" } else { "@" };
        format!("ssh://{user}{separator}{}{path}", self.address)
    }

    pub(super) fn port(&self) -> &str {
        self.address.rsplit(':').next().unwrap()
    }

    /// Returns what the clients did that ran a command.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn decode(text: &str) -> PrivateKey {
    decode_secret_key(text, None).unwrap()
}

/// Returns the public key of a private key, as a line without a comment.
pub(super) fn public(key: &str) -> String {
    let key = decode(key);
    PublicKey::new(key.public_key().key_data().clone(), "")
        .to_openssh()
        .unwrap()
}

struct Client {
    answer: Answer,
    seen: Seen,
    log: Arc<Mutex<Vec<Seen>>>,
}

impl Handler for Client {
    type Error = russh::Error;

    async fn auth_none(&mut self, user: &str) -> Result<Auth, Self::Error> {
        user.clone_into(&mut self.seen.user);
        Ok(if user == "anonymous" {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        user.clone_into(&mut self.seen.user);
        let shown = key.public_key.key_data().clone();
        let is_known = [ED25519, ECDSA, RSA]
            .iter()
            .any(|text| *decode(text).public_key().key_data() == shown);
        Ok(if is_known {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.seen.variables.push(format!("{name}={value}"));
        match self.answer {
            Answer::V0 => session.channel_failure(channel),
            _ => session.channel_success(channel),
        }
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.seen.command = String::from_utf8(command.to_vec()).unwrap();
        self.log.lock().unwrap().push(self.seen.clone());
        let main = format!("{} refs/heads/main", id('a'));
        match self.answer {
            Answer::Refuse => return session.channel_failure(channel),
            Answer::V2 => {
                session.channel_success(channel)?;
                session.data(channel, packets(&["version 2", "ls-refs", "0000"]))?;
            }
            Answer::V0 => {
                session.channel_success(channel)?;
                let first = format!("{main}\0side-band-64k");
                session.data(channel, packets(&[&first, "0000"]))?;
            }
            Answer::Message(text) => {
                session.channel_success(channel)?;
                session.extended_data(channel, 1, text.as_bytes().to_vec())?;
                session.exit_status_request(channel, 1)?;
                session.eof(channel)?;
                session.close(channel)?;
            }
        }
        Ok(())
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if data.starts_with(b"0014command=ls-refs") {
            let main = format!("{} refs/heads/main", id('a'));
            session.data(channel, packets(&[&main, "0000"]))?;
        }
        Ok(())
    }
}
