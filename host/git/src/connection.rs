//! A connection to a git server by any transport.
//!
//! This module handles transports. It does not depend on the protocol that they carry.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use super::Limits;
use super::error::GitError;
use super::hosts::AllowedHosts;
use super::http::{Http, HttpConnection};
use super::packet::PacketSource;
use super::remote::Remote;
use super::request::Request;
use super::ssh::{SeenHostKeys, SshConnection};
use super::tcp::TcpConnection;

/// What connections by all transports need. Clones share connections.
#[derive(Debug, Clone)]
pub(super) struct Transports {
    http: Http,
    hosts: Arc<AllowedHosts>,
    pub(super) seen_host_keys: SeenHostKeys,
    limits: Limits,
    /// The longest silence of a server that does not end a connection.
    inactivity: Duration,
}

impl Transports {
    pub(super) fn new(
        limits: Limits,
        inactivity: Duration,
        hosts: AllowedHosts,
    ) -> Result<Self, GitError> {
        let hosts = Arc::new(hosts);
        Ok(Self {
            http: Http::new(limits.connect, Arc::clone(&hosts))?,
            hosts,
            seen_host_keys: SeenHostKeys::default(),
            limits,
            inactivity,
        })
    }

    /// Connects. The server sends its advertisement first.
    pub(super) async fn open(&self, remote: &Remote) -> Result<Connection, GitError> {
        let url = remote.url().url();
        match url.scheme() {
            "ssh" => SshConnection::open(
                remote,
                &self.hosts,
                &self.limits,
                self.inactivity,
                &self.seen_host_keys,
            )
            .await
            .map(Box::new)
            .map(Connection::Ssh),
            "git" => TcpConnection::open(url, &self.hosts, &self.limits)
                .await
                .map(Connection::Tcp),
            // The address of a repository has no other schemes.
            _ => self
                .http
                .open(remote)
                .await
                .map(Box::new)
                .map(Connection::Http),
        }
    }

    /// Connects to a server whose capabilities are known. Returns `None` if every connection of the transport begins
    /// with the advertisement.
    pub(super) fn resume(&self, remote: &Remote) -> Option<Connection> {
        self.http.resume(remote).map(Box::new).map(Connection::Http)
    }
}

/// An open connection.
#[derive(Debug)]
pub(super) enum Connection {
    /// Requests and responses of HTTP.
    Http(Box<HttpConnection>),
    /// One ssh connection.
    Ssh(Box<SshConnection>),
    /// One TCP connection.
    Tcp(TcpConnection),
}

impl Connection {
    /// Returns whether the next lookup in this repository can omit the advertisement.
    pub(super) fn can_resume(&self) -> bool {
        match self {
            Self::Http(connection) => connection.can_resume(),
            Self::Ssh(_) | Self::Tcp(_) => false,
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
            Self::Ssh(connection) => connection.send(request).await,
            Self::Tcp(connection) => connection.send(request).await,
        }
    }

    /// Closes the connection cleanly after the last answer. Errors are ignored.
    pub(super) async fn close(&mut self) {
        match self {
            Self::Http(connection) => connection.finish().await,
            Self::Ssh(connection) => connection.close().await,
            Self::Tcp(connection) => connection.close().await,
        }
    }
}

impl PacketSource for Connection {
    async fn read(&mut self, buffer: &mut BytesMut) -> Result<usize, GitError> {
        match self {
            Self::Http(connection) => connection.read(buffer).await,
            Self::Ssh(connection) => connection.read(buffer).await,
            Self::Tcp(connection) => connection.read(buffer).await,
        }
    }
}
