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

/// The number of open connections. Further connections wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 1024;
/// The time limit for the headers of a request, and for the pause between two requests of a connection.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// The limit of the headers of a request, in bytes. GitHub sends less than 2 KiB.
const HEADER_BYTES: usize = 64 << 10;
/// The time limit for the remaining requests after the shutdown began.
const DRAIN_TIME: Duration = Duration::from_secs(15);
/// The length of the kernel's queue of connections, as for the listeners of tokio.
const BACKLOG: i32 = 1024;
/// The pause after an error of the listener, such as too many open files, which ends when connections close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The reason why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is in use, or is not an address of this machine.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
}

/// Listens on an address.
///
/// `[::]` means all IPv4 and IPv6 addresses. A machine without IPv6 listens on `0.0.0.0` instead. The function must
/// be called in a tokio runtime.
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

/// Returns whether the kernel has no IPv6, or has it disabled.
fn is_without_ipv6(error: &io::Error) -> bool {
    let Some(code) = error.raw_os_error() else {
        return false;
    };
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL]
        .iter()
        .any(|errno| errno.raw_os_error() == code)
}

/// Binds a socket. `[::]` includes IPv4, whatever the kernel's `bindv6only` is.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if is_every_address(address) {
        socket.set_only_v6(false)?;
    }
    // A restart does not wait for the connections of the previous process. The standard library sets the same option.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves until the shutdown, and then waits for the remaining requests.
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
        // Small answers are sent without delay. Without this option they are only sent a little later.
        stream.set_nodelay(true).ok();
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME)
            .max_buf_size(HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), service.clone());
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = pin!(connection).await {
                tracing::debug!(error = %stoker_report::chain(&error), "a connection failed");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIME, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(after = ?DRAIN_TIME, "some requests did not finish before the shutdown, and were aborted");
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
    async fn the_unspecified_address_accepts_ipv4_and_ipv6() {
        let listener = listen("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        // This part runs only if the machine has IPv6.
        if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_ok() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port))
                .await
                .unwrap();
        }
    }

    #[tokio::test]
    async fn an_ipv4_address_is_bound_as_ipv4() {
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
    fn only_missing_ipv6_leads_to_ipv4() {
        let is_without = |errno: Errno| is_without_ipv6(&errno.into());
        assert!(is_without(Errno::AFNOSUPPORT) && is_without(Errno::ADDRNOTAVAIL));
        assert!(!is_without(Errno::ADDRINUSE) && !is_without(Errno::ACCESS));
        assert!(!is_every_address("[::1]:80".parse().unwrap()));
        assert!(!is_every_address("0.0.0.0:80".parse().unwrap()));
    }
}
