//! Connections of the HTTP servers: their number, their time limits, their encryption, and their end.
//!
//! A server answers HTTP/1.1, and HTTP/2 to clients that begin with it ("prior knowledge") or choose it by ALPN.

mod certificate;
mod connections;
mod listener;
mod log_lines;
mod metrics;
mod open_files;
mod open_request;
mod request;
mod tls;
mod traffic;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Body;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use connections::{Admitted, Connections, OpenConnection, Pause};
use metrics::Closed;
use request::TrackedService;
use traffic::{Traffic, Useless};

pub use certificate::CertificateEnd;
pub(crate) use connections::group;
pub use listener::{ServeError, listen};
pub use metrics::ServerMetrics;
pub use open_files::raise_open_files;
pub use request::{Peer, RequestBody};
pub use tls::{Tls, TlsError, TlsFiles};

/// The time limit for the headers of a request, and for everything before the first request. It is also that for the pause
/// between two requests of an HTTP/1.1 connection, unless the options set another.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// The time limit for the pause between two requests of an HTTP/2 connection, unless the options set another.
const IDLE_TIME: Duration = Duration::from_mins(1);
/// The time limit for sending an answer, which is small and ready. A client that does not take it, such as one whose HTTP/2
/// windows stay closed, loses its connection.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// The time for which an HTTP/2 connection without requests is kept behind an answer that ends it. Some clients forget all
/// streams when they hear of the end, also one whose answer they have received and not read.
const READ_TIME: Duration = Duration::from_millis(250);
/// The time limit for it if the client sends further requests.
const CLOSING_TIME: Duration = Duration::from_secs(2);
/// The limit of the headers of a request, in bytes. GitHub sends less than 2 KiB.
const HEADER_BYTES: u32 = 32 << 10;
/// The time limit for the remaining requests after the shutdown began.
pub const DRAIN_TIME: Duration = Duration::from_secs(15);
/// The pause after an error of the listener, such as too many open files, which ends when connections close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The number of requests that an HTTP/2 connection may have at a time.
const STREAMS: u32 = 16;
/// The number of bytes of bodies that an HTTP/2 connection may send before they are read, the smallest that HTTP/2
/// allows for a connection (RFC 9113 §6.9.2).
const WINDOW_BYTES: u32 = 65_535;
/// The number of requests that an HTTP/2 client may cancel before they are handled. More end the connection.
const RESET_STREAMS: usize = 20;
/// The number of invalid requests of an HTTP/2 client that are reset. More end the connection.
const ERROR_STREAMS: usize = 64;
/// The time between two pings of an HTTP/2 connection.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// The time limit for the answer to a ping.
const PING_TIME: Duration = Duration::from_secs(10);

/// The settings of a server.
#[derive(Default)]
pub struct Options {
    /// The certificate and the key, or `None` for a server without TLS.
    pub tls: Option<Arc<Tls>>,
    /// The metrics of the connections.
    pub metrics: ServerMetrics,
    /// The maximum number of connections, of which the limit of open files may permit fewer. `None` for a large number.
    pub connections: Option<usize>,
    /// The time limit for the pause between two requests of a connection, and in HTTP/1.1 for the headers of the second
    /// and further ones. `None` for 10 seconds in HTTP/1.1, and a minute in HTTP/2.
    pub idle_time: Option<Duration>,
}

/// Serves until the shutdown, and then waits for the remaining requests.
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    options: Options,
    shutdown: CancellationToken,
) where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let limit = open_files::connections_now(options.connections);
    let connections = Connections::new(limit);
    let tasks = TaskTracker::new();
    options.metrics.set_limit(limit);
    let next = async || {
        let (stream, address) = accept(&listener).await;
        let admitted = if let Some(admitted) = connections.try_admit(address.ip()) {
            admitted
        } else {
            options.metrics.delayed();
            log_lines::waits(limit);
            connections.admit(address.ip()).await
        };
        (admitted, stream, address)
    };
    while let Some((
        Admitted {
            connection: open,
            has_replaced,
        },
        stream,
        address,
    )) = shutdown.run_until_cancelled(next()).await
    {
        if has_replaced {
            options.metrics.closed(Closed::Replaced);
            log_lines::replaced(limit);
        }
        let connection = Connection {
            open: Arc::new(open),
            peer: Peer(address),
            service: service.clone(),
            tls: options.tls.clone(),
            metrics: options.metrics.clone(),
            idle_time: options.idle_time,
            shutdown: shutdown.clone(),
        };
        tasks.spawn(connection.run(stream));
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(DRAIN_TIME, tasks.wait())
        .await
        .is_err()
    {
        tracing::warn!(after = ?DRAIN_TIME, "some requests did not finish before the shutdown, and were aborted");
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                log_lines::not_accepted(&error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection, from the first byte to the last.
struct Connection<S> {
    open: Arc<OpenConnection>,
    peer: Peer,
    service: S,
    tls: Option<Arc<Tls>>,
    metrics: ServerMetrics,
    idle_time: Option<Duration>,
    shutdown: CancellationToken,
}

impl<S, B> Connection<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    async fn run(self, stream: TcpStream) {
        let _open = self.metrics.opened();
        // Small answers are sent without delay. Without this option they are only sent a little later.
        stream.set_nodelay(true).ok();
        let replaced = self.open.replaced.clone();
        let limit = Instant::now() + HEADER_TIME;
        let served = async {
            if !self.begins(&stream, limit).await {
                return;
            }
            // Most of the memory of a connection is allocated here.
            Box::pin(async {
                match self.tls.clone() {
                    None => self.serve(stream).await,
                    Some(tls) => self.shake_hands(&tls, stream, limit).await,
                }
            })
            .await;
        };
        replaced.run_until_cancelled(served).await;
    }

    /// Waits for the first bytes of the client, and returns whether they arrived in time. Until then, a connection costs
    /// little more than its socket, and little time if another one replaces it.
    async fn begins(&self, stream: &TcpStream, limit: Instant) -> bool {
        let readable = tokio::time::timeout_at(limit, stream.readable());
        match self.shutdown.run_until_cancelled(readable).await {
            Some(Ok(readable)) => readable.is_ok(),
            Some(Err(_)) => {
                self.metrics.closed(Closed::Silent);
                false
            }
            None => false,
        }
    }

    async fn shake_hands(&self, tls: &Tls, stream: TcpStream, limit: Instant) {
        let accepted = tokio::time::timeout_at(limit, tls.accept(stream));
        match self.shutdown.run_until_cancelled(accepted).await {
            Some(Ok(Ok(stream))) => self.serve(stream).await,
            Some(Ok(Err(error))) => {
                self.metrics.closed(Closed::Handshake);
                log_lines::handshake_failed(self.peer, &error);
            }
            Some(Err(_)) => self.metrics.closed(Closed::Silent),
            None => {}
        }
    }

    async fn serve<I>(&self, stream: I)
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (closing, useless) = (CancellationToken::new(), Useless::default());
        let service = TrackedService {
            service: self.service.clone(),
            peer: self.peer,
            connection: Arc::clone(&self.open),
            closing: closing.clone(),
            useless: useless.clone(),
        };
        let builder = http(self.idle_time.unwrap_or(HEADER_TIME));
        let stream = TokioIo::new(Traffic::new(stream, useless.clone()));
        let mut connection = pin!(builder.serve_connection(stream, service));
        let closing = answer_read(&self.open, &closing);
        let mut ending = pin!(self.shutdown.run_until_cancelled(closing));
        let idle_time = self.idle_time.unwrap_or(IDLE_TIME);
        let mut silence = pin!(silence(&self.open, idle_time, ANSWER_TIME));
        let mut is_ending = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if useless.are_too_many() {
                        self.metrics.closed(Closed::Flood);
                    }
                    if let Err(error) = ended {
                        tracing::debug!(error = %stoker_report::chain(&*error), "a connection failed");
                    }
                    return;
                }
                _ = ending.as_mut(), if !is_ending => {
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                    // An HTTP/2 client must answer a ping before the connection ends.
                    silence.set(self::silence(&self.open, HEADER_TIME, HEADER_TIME));
                }
                reason = silence.as_mut() => {
                    if !is_ending {
                        self.metrics.closed(reason);
                    }
                    return;
                }
            }
        }
    }
}

/// Returns when the client of a connection has had the time to read an answer that ends the connection.
async fn answer_read(connection: &OpenConnection, closing: &CancellationToken) {
    closing.cancelled().await;
    let started = Instant::now();
    let latest = started + CLOSING_TIME;
    loop {
        let idle = match connection.pause() {
            Some((since, Pause::FirstRequest | Pause::NextRequest)) => since.max(started),
            Some((_, Pause::Answers)) | None => Instant::now(),
        };
        let end = latest.min(idle + READ_TIME);
        if Instant::now() >= end {
            return;
        }
        tokio::time::sleep_until(end).await;
    }
}

/// Returns when a connection had no request for too long, or did not take an answer in time.
async fn silence(
    connection: &OpenConnection,
    idle_time: Duration,
    answer_time: Duration,
) -> Closed {
    loop {
        let (since, limit, reason) = match connection.pause() {
            Some((since, Pause::FirstRequest)) => (since, HEADER_TIME, Closed::Silent),
            Some((since, Pause::NextRequest)) => (since, idle_time, Closed::Silent),
            Some((since, Pause::Answers)) => (since, answer_time, Closed::Unread),
            None => (Instant::now(), HEADER_TIME, Closed::Silent),
        };
        let end = since + limit;
        if Instant::now() >= end {
            return reason;
        }
        tokio::time::sleep_until(end).await;
    }
}

/// Returns the settings of HTTP. The time limit is that of HTTP/1.1 for a pause and the headers after it.
fn http(header_time: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // A client may end its side of the connection after its request, and still reads the answer.
        .half_close(true)
        .header_read_timeout(header_time)
        .max_buf_size(HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_BYTES)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_pending_accept_reset_streams(RESET_STREAMS)
        .max_local_error_reset_streams(ERROR_STREAMS)
        .max_send_buf_size(WINDOW_BYTES as usize)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIME);
    builder
}

#[cfg(test)]
mod tests;
