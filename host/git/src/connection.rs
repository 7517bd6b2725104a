//! A conversation with a git server, whatever carries it.
//!
//! It knows transports, and not what is said.

use bytes::BytesMut;
use url::Url;

use super::Limits;
use super::error::GitError;
use super::http::{Http, HttpConnection};
use super::packet::Incoming;
use super::tcp::TcpConnection;

/// An open conversation.
#[derive(Debug)]
pub(super) enum Connection {
    /// By requests and answers.
    Http(Box<HttpConnection>),
    /// On one connection.
    Tcp(TcpConnection),
}

impl Connection {
    /// Connects; the server's greeting comes first.
    pub(super) async fn open(http: &Http, repo: &Url, limits: &Limits) -> Result<Self, GitError> {
        match repo.scheme() {
            "http" | "https" => http.open(repo).await.map(Box::new).map(Self::Http),
            "git" => TcpConnection::open(repo, limits).await.map(Self::Tcp),
            scheme => Err(GitError::UnsupportedTransport {
                scheme: scheme.to_owned(),
            }),
        }
    }

    /// Goes on with a server that greeted before; none where each conversation begins with the greeting.
    pub(super) fn resume(http: &Http, repo: &Url) -> Option<Self> {
        http.resume(repo).map(Box::new).map(Self::Http)
    }

    /// Whether the next conversation about this repository can go on from here.
    pub(super) fn can_resume(&self) -> bool {
        match self {
            Self::Http(connection) => !connection.was_redirected(),
            Self::Tcp(_) => false,
        }
    }

    /// Asks a question of version 2; its answer is read next.
    pub(super) async fn ask(&mut self, question: Vec<u8>) -> Result<(), GitError> {
        match self {
            Self::Http(connection) => connection.ask(question).await,
            Self::Tcp(connection) => connection.ask(&question).await,
        }
    }

    /// Takes leave once the last answer was read whole. What goes wrong here harms nobody.
    pub(super) async fn close(&mut self) {
        match self {
            Self::Http(connection) => connection.finish().await,
            Self::Tcp(connection) => connection.close().await,
        }
    }
}

impl Incoming for Connection {
    async fn read(&mut self, buffer: &mut BytesMut) -> Result<usize, GitError> {
        match self {
            Self::Http(connection) => connection.read(buffer).await,
            Self::Tcp(connection) => connection.read(buffer).await,
        }
    }
}
