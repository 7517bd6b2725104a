//! The `git:` transport: one TCP connection, without encryption and without credentials.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::{Host, Url};

use super::Limits;
use super::error::GitError;
use super::hosts::{AllowedHosts, ResolveError};
use super::packet::{PacketSource, frame};
use super::request::Request;

const PORT: u16 = 9418;
/// The wait for an address before the next one is tried too.
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

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

fn broken(error: io::Error) -> GitError {
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
        Ok::<_, ResolveError>(first_to_connect(addresses, TcpStream::connect).await?)
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

/// Connects to several addresses of a server, and returns the first connection. The next address is tried if the one
/// before has failed, or has not answered for a while (RFC 8305). So an address that never answers, such as one of IPv6
/// in a network without a route, does not hide the others.
async fn first_to_connect<T: Send + 'static, F>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut attempts = JoinSet::new();
    let mut failure = None;
    let mut waiting = addresses.into_iter();
    loop {
        let next = waiting.next();
        let is_last = next.is_none();
        if let Some(address) = next {
            attempts.spawn(connect(address));
        }
        let outcome = if is_last {
            attempts.join_next().await
        } else {
            match timeout(NEXT_ADDRESS, attempts.join_next()).await {
                Ok(outcome) => outcome,
                Err(_) => continue,
            }
        };
        match outcome.map(|joined| joined.unwrap_or_else(|error| Err(io::Error::other(error)))) {
            Some(Ok(connection)) => return Ok(connection),
            Some(Err(error)) => failure = Some(error),
            None if is_last => {
                return Err(failure.unwrap_or_else(|| io::Error::other("the name has no address")));
            }
            None => {}
        }
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

    /// Tries addresses with these ports, and returns the one that connects and the seconds that it took.
    async fn tried(ports: &[u16]) -> (io::Result<u16>, u64) {
        let start = tokio::time::Instant::now();
        let addresses = ports
            .iter()
            .map(|port| SocketAddr::from(([192, 0, 2, 1], *port)));
        let outcome = first_to_connect(addresses.collect(), |address| async move {
            match address.port() {
                SILENT => std::future::pending().await,
                REFUSING => Err(io::ErrorKind::ConnectionRefused.into()),
                SLOW => {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    Ok(SLOW)
                }
                port => Ok(port),
            }
        })
        .await;
        (outcome, start.elapsed().as_secs())
    }

    const SILENT: u16 = 1;
    const REFUSING: u16 = 2;
    const SLOW: u16 = 3;
    const GOOD: u16 = 4;

    #[tokio::test(start_paused = true)]
    async fn an_address_that_does_not_answer_does_not_hide_the_others() {
        for (ports, connected, seconds) in [
            (&[GOOD][..], GOOD, 0),
            (&[SILENT, GOOD], GOOD, 0),
            (&[REFUSING, SILENT, REFUSING, GOOD], GOOD, 0),
            (&[SLOW, REFUSING], SLOW, 5),
            (&[SILENT, SLOW], SLOW, 5),
        ] {
            let (outcome, took) = tried(ports).await;
            assert_eq!((outcome.unwrap(), took), (connected, seconds), "{ports:?}");
        }
        let (outcome, _) = tried(&[REFUSING, REFUSING]).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        tried(&[]).await.0.unwrap_err();
    }

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
