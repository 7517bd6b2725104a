//! What arrives on a connection: in turns with the other connections, and not without end if it is of no use.
//!
//! HTTP/2 has frames of some bytes that cost far more time than those of a body. The HTTP library handles all that has
//! arrived at once, so that a flood of them would delay all other connections of the thread.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{STREAMS, WINDOW_BYTES};

/// The number of bytes after which a connection lets others run: one read of the HTTP library. It handles almost a thousand
/// frames of nine bytes in a turn, instead of tens of thousands.
const TURN_BYTES: usize = 8000;
/// The limit of the bytes in a row that begin no request and belong to no body that is read. The bodies of all requests of
/// an HTTP/2 connection may arrive after their answers, and the rest is for other frames.
const USELESS_BYTES: usize = STREAMS as usize * WINDOW_BYTES as usize + (256 << 10);

/// The number of bytes that arrived since the last use of a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Useless(Arc<AtomicUsize>);

impl Useless {
    /// Notes that a request began, or a part of a body was read.
    pub(super) fn end(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Returns whether the connection is ended.
    pub(super) fn are_too_many(&self) -> bool {
        self.0.load(Ordering::Relaxed) > USELESS_BYTES
    }
}

/// The stream of a connection.
pub(super) struct Traffic<I> {
    stream: I,
    /// The number of bytes that were read in this turn.
    turn: usize,
    useless: Useless,
}

impl<I> Traffic<I> {
    pub(super) fn new(stream: I, useless: Useless) -> Self {
        Self {
            stream,
            turn: 0,
            useless,
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Traffic<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.useless.are_too_many() {
            let error = "too many bytes without a request";
            return Poll::Ready(Err(io::Error::other(error)));
        }
        if self.turn >= TURN_BYTES {
            self.turn = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_pending() {
            self.turn = 0;
        }
        ready!(polled)?;
        let bytes = buffer.filled().len() - before;
        self.turn += bytes;
        self.useless.add(bytes);
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Traffic<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn a_connection_with_much_to_read_takes_turns() {
        let mut traffic = Traffic::new(tokio::io::repeat(0), Useless::default());
        let mut read = pin!(async {
            let mut part = [0; 1000];
            for _ in 0..100 {
                traffic.read_exact(&mut part).await.unwrap();
            }
        });
        let mut turns = 1;
        while futures::poll!(read.as_mut()).is_pending() {
            turns += 1;
        }
        assert_eq!(turns, 100_usize.div_ceil(TURN_BYTES / 1000));
    }

    #[tokio::test]
    async fn bytes_without_a_use_are_limited() {
        let useless = Useless::default();
        let mut traffic = Traffic::new(tokio::io::repeat(0), useless.clone());
        let mut part = vec![0; USELESS_BYTES];
        for _ in 0..3 {
            traffic.read_exact(&mut part).await.unwrap();
            useless.end();
        }
        traffic.read_exact(&mut part).await.unwrap();
        assert!(!useless.are_too_many());
        traffic.read_exact(&mut [0]).await.unwrap();
        assert!(useless.are_too_many());
        traffic.read_exact(&mut [0]).await.unwrap_err();
    }
}
