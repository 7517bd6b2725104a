//! The `git:` transport: one TCP connection, without encryption and without credentials.

use std::time::Duration;

use bytes::BytesMut;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::{Host, Url};

use super::Limits;
use super::error::GitError;
use super::hosts::{AllowedHosts, ResolveError};
use super::packet::{PacketSource, frame};
use super::request::Request;

const PORT: u16 = 9418;

/// A connection to `git daemon`.
#[derive(Debug)]
pub(super) struct TcpConnection(TcpStream);

impl TcpConnection {
    /// Connects, and sends the name of the repository.
    pub(super) async fn open(
        repo: &Url,
        hosts: &AllowedHosts,
        limits: &Limits,
    ) -> Result<Self, GitError> {
        let request = request(repo)?;
        let mut stream = connect(hosts, repo, PORT, limits.connect).await?;
        stream.write_all(&request).await.map_err(broken)?;
        Ok(Self(stream))
    }

    /// Sends a request.
    pub(super) async fn send(&mut self, request: &Request) -> Result<(), GitError> {
        self.0.write_all(&request.body).await.map_err(broken)
    }

    /// Sends the end of the requests. Without it, the server would log an error.
    pub(super) async fn close(&mut self) {
        if self.0.write_all(b"0000").await.is_ok() {
            self.0.shutdown().await.ok();
        }
    }
}

impl PacketSource for TcpConnection {
    async fn read(&mut self, buffer: &mut BytesMut) -> Result<usize, GitError> {
        buffer.reserve(8 * 1024);
        self.0.read_buf(buffer).await.map_err(broken)
    }
}

fn broken(error: std::io::Error) -> GitError {
    GitError::Interrupted(error.into())
}

/// Connects to the server of an address, if its host and its IP address are allowed.
pub(super) async fn connect(
    hosts: &AllowedHosts,
    url: &Url,
    default_port: u16,
    limit: Duration,
) -> Result<TcpStream, GitError> {
    hosts.check(url, default_port)?;
    let host = match url.host() {
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(host) => host.to_string(),
        None => String::new(),
    };
    let port = url.port().unwrap_or(default_port);
    let name = || format!("{host}:{port}");
    let connect = async {
        let addresses = hosts.resolve(&host, port).await?;
        Ok::<_, ResolveError>(TcpStream::connect(&addresses[..]).await?)
    };
    match timeout(limit, connect).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(ResolveError::Forbidden(found))) => Err(GitError::AddressForbidden {
            host: found.host,
            address: found.address,
        }),
        Ok(Err(ResolveError::Io(error))) => Err(GitError::Unreachable {
            host: name(),
            source: error.into(),
        }),
        Err(_) => Err(GitError::ConnectTimeout {
            host: name(),
            limit,
        }),
    }
}

/// Returns the first packet of a connection (gitprotocol-pack, "Git Transport"). It contains the service, the path, the
/// host (for servers with several hosts), and the version.
fn request(repo: &Url) -> Result<Vec<u8>, GitError> {
    let mut path: Vec<u8> = percent_decode_str(repo.path()).collect();
    if path.iter().any(u8::is_ascii_control) {
        return Err(GitError::ForbiddenPath);
    }
    if path.starts_with(b"/~") {
        path.remove(0);
    }
    let host = repo.host_str().unwrap_or_default();
    let port = repo
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let mut request = b"git-upload-pack ".to_vec();
    request.extend_from_slice(&path);
    request.extend_from_slice(format!("\0host={host}{port}\0\0version=2\0").as_bytes());
    Ok(frame(&request))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(address: &str) -> Result<String, GitError> {
        request(&Url::parse(address).unwrap()).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_request_names_path_host_and_version() {
        assert_eq!(
            sent("git://h/o/r.git").unwrap(),
            "002fgit-upload-pack /o/r.git\0host=h\0\0version=2\0"
        );
        assert!(
            sent("git://h:1234/a%20b%zz%")
                .unwrap()
                .contains(" /a b%zz%\0host=h:1234\0")
        );
        assert!(
            sent("git://[::1]/~me/r")
                .unwrap()
                .contains(" ~me/r\0host=[::1]\0")
        );
    }

    #[test]
    fn a_path_cannot_smuggle_parameters_in() {
        for address in ["git://h/r%00host=other", "git://h/r%0a", "git://h/r%7F"] {
            assert!(
                matches!(sent(address), Err(GitError::ForbiddenPath)),
                "{address}"
            );
        }
    }
}
