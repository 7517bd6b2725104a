//! Connections of the HTTP servers: their number, their time limits, and their end.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::Service;

/// Open connections at one time; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 1024;
/// From the first byte of a request to the end of its headers, and between two requests.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// Bytes of all headers of a request together. GitHub's are below 2 KiB.
const HEADER_BYTES: usize = 64 << 10;
/// How long requests that are under way may take once the process is told to end.
const DRAIN_TIME: Duration = Duration::from_secs(15);
/// Connections that wait for a place in the kernel's queue, as many as tokio's own listeners have.
const BACKLOG: i32 = 1024;
/// After an error of the listener, such as too many open files, which passes when connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the server could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken, or not of this machine.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// Listens on an address.
///
/// `[::]` means all addresses of both families. A machine without IPv6 listens on `0.0.0.0` instead. Must be called in
/// a runtime of tokio.
pub fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let bound = match bind(address) {
        Err(error) if is_without_ipv6(&error) && is_every_address(address) => {
            bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        }
        bound => bound,
    };
    bound.map_err(|source| ServeError::Bind { address, source })
}

fn is_every_address(address: SocketAddr) -> bool {
    address.is_ipv6() && address.ip().is_unspecified()
}

/// Whether the kernel was started without IPv6, or has it switched off.
fn is_without_ipv6(error: &io::Error) -> bool {
    let Some(code) = error.raw_os_error() else {
        return false;
    };
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL]
        .iter()
        .any(|errno| errno.raw_os_error() == code)
}

/// Binds a socket. The kernel's `bindv6only` decides nothing: `[::]` always takes IPv4 as well.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if is_every_address(address) {
        socket.set_only_v6(false)?;
    }
    // As the standard library does: a restart does not wait for connections of the process before.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves until the shutdown, then lets the requests that are under way finish.
pub async fn serve<S, B>(listener: TcpListener, service: S, shutdown: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let service = TowerToHyperService::new(service);
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    while let Some(stream) = accept(&listener, &connections, &shutdown).await {
        let (stream, permit) = stream;
        // Small answers leave at once; where that cannot be set, they leave a little later.
        stream.set_nodelay(true).ok();
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME)
            .max_buf_size(HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), service.clone());
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = pin!(connection).await {
                tracing::debug!(error = %crate::report::chain(&error), "a connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIME, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(after = ?DRAIN_TIME, "some webhooks were still under way, and were cut off");
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    loop {
        let next = async {
            let permit = Arc::clone(connections).acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            () = shutdown.cancelled() => return None,
            next = next => next,
        };
        match (accepted, permit) {
            (Ok((stream, _)), Ok(permit)) => return Some((stream, permit)),
            (Err(error), _) => {
                tracing::warn!(error = %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            (_, Err(_)) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[tokio::test]
    async fn every_address_takes_both_families() {
        let listener = listen("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        // Where the machine has IPv6 at all.
        if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_ok() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port))
                .await
                .unwrap();
        }
    }

    #[tokio::test]
    async fn an_ipv4_address_stays_one() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(listener.local_addr().unwrap().is_ipv4());
    }

    #[tokio::test]
    async fn a_port_in_use_is_an_error() {
        let first = listen("[::]:0".parse().unwrap()).unwrap();
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, first.local_addr().unwrap().port()));
        let error = listen(address).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen on {address}"));
    }

    #[test]
    fn only_the_lack_of_ipv6_leads_to_ipv4() {
        let is_without = |errno: Errno| is_without_ipv6(&errno.into());
        assert!(is_without(Errno::AFNOSUPPORT) && is_without(Errno::ADDRNOTAVAIL));
        assert!(!is_without(Errno::ADDRINUSE) && !is_without(Errno::ACCESS));
        assert!(!is_every_address("[::1]:80".parse().unwrap()));
        assert!(!is_every_address("0.0.0.0:80".parse().unwrap()));
    }
}
