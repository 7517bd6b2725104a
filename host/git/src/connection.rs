//! A connection to a git server by any transport.
//!
//! This module handles transports. It does not depend on the protocol that they carry.

use bytes::BytesMut;
use url::Url;

use super::Limits;
use super::error::GitError;
use super::http::{Http, HttpConnection};
use super::packet::PacketSource;
use super::request::Request;
use super::tcp::TcpConnection;

/// An open connection.
#[derive(Debug)]
pub(super) enum Connection {
    /// Requests and responses of HTTP.
    Http(Box<HttpConnection>),
    /// One TCP connection.
    Tcp(TcpConnection),
}

impl Connection {
    /// Connects. The server sends its advertisement first.
    pub(super) async fn open(http: &Http, repo: &Url, limits: &Limits) -> Result<Self, GitError> {
        match repo.scheme() {
            "http" | "https" => http.open(repo).await.map(Box::new).map(Self::Http),
            "git" => TcpConnection::open(repo, limits).await.map(Self::Tcp),
            scheme => Err(GitError::UnsupportedTransport {
                scheme: scheme.to_owned(),
            }),
        }
    }

    /// Connects to a server whose capabilities are known. Returns `None` if every connection of the transport begins
    /// with the advertisement.
    pub(super) fn resume(http: &Http, repo: &Url) -> Option<Self> {
        http.resume(repo).map(Box::new).map(Self::Http)
    }

    /// Returns whether the next lookup in this repository can omit the advertisement.
    pub(super) fn can_resume(&self) -> bool {
        match self {
            Self::Http(connection) => !connection.was_redirected(),
            Self::Tcp(_) => false,
        }
    }

    /// Returns whether each request is independent of the previous answer. If so, an answer need not be read to its
    /// end.
    pub(super) fn is_stateless(&self) -> bool {
        matches!(self, Self::Http(_))
    }

    /// Sends a request. The next packets that are read are its answer.
    pub(super) async fn send(&mut self, request: &Request) -> Result<(), GitError> {
        match self {
            Self::Http(connection) => connection.send(request).await,
            Self::Tcp(connection) => connection.send(request).await,
        }
    }

    /// Closes the connection cleanly after the last answer. Errors are ignored.
    pub(super) async fn close(&mut self) {
        match self {
            Self::Http(connection) => connection.finish().await,
            Self::Tcp(connection) => connection.close().await,
        }
    }
}

impl PacketSource for Connection {
    async fn read(&mut self, buffer: &mut BytesMut) -> Result<usize, GitError> {
        match self {
            Self::Http(connection) => connection.read(buffer).await,
            Self::Tcp(connection) => connection.read(buffer).await,
        }
    }
}
