//! The `git:` transport: one TCP connection, without encryption and without credentials.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::{Host, Url};

use super::Limits;
use super::error::GitError;
use super::packet::{PacketSource, frame};
use super::request::Request;

const PORT: u16 = 9418;

/// A connection to `git daemon`.
#[derive(Debug)]
pub(super) struct TcpConnection(TcpStream);

impl TcpConnection {
    /// Connects, and sends the name of the repository.
    pub(super) async fn open(repo: &Url, limits: &Limits) -> Result<Self, GitError> {
        let request = request(repo)?;
        let host = match repo.host() {
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(host) => host.to_string(),
            None => String::new(),
        };
        let port = repo.port().unwrap_or(PORT);
        let mut stream = connect(&host, port, limits.connect).await?;
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

async fn connect(host: &str, port: u16, limit: Duration) -> Result<TcpStream, GitError> {
    let name = || format!("{host}:{port}");
    match timeout(limit, TcpStream::connect((host, port))).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(GitError::Unreachable {
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
    let mut path = percent_decoded(repo.path());
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

fn percent_decoded(path: &str) -> Vec<u8> {
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = bytes
            .get(at + 1..at + 3)
            .filter(|_| byte == b'%')
            .and_then(two_digits);
        out.push(escaped.unwrap_or(byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    out
}

fn two_digits(text: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*text.first()?)? * 16 + digit(*text.get(1)?)?).ok()
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
