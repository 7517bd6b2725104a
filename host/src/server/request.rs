//! What a server adds to each request: the address of the client, and the state of the request for the table of the
//! connections.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::{CONNECTION, HeaderMap};
use http::{Request, Response, Version};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt as _};

use super::connections::OpenConnection;
use super::open_request::{Arriving, OpenRequest};
use super::traffic::Useless;

/// The address of the client of a connection, an extension of each request. It may be a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// An HTTP/2 request, until nobody reads its body any more and its answer is sent. Then the connection ends if the answer
/// ends it.
#[derive(Debug)]
struct Exchange {
    is_last: AtomicBool,
    closing: CancellationToken,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if *self.is_last.get_mut() {
            self.closing.cancel();
        }
    }
}

/// The body of a request.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    arriving: Option<Arriving>,
    useless: Useless,
    _exchange: Option<Arc<Exchange>>,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && frame.data_ref().is_some_and(|part| !part.is_empty())
        {
            self.useless.end();
        }
        if matches!(polled, Poll::Ready(None)) || self.incoming.is_end_stream() {
            self.arriving = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// The body of an answer. The request is open until it is sent.
pub(super) struct AnswerBody<B> {
    body: Pin<Box<B>>,
    _open: OpenRequest,
    _exchange: Option<Arc<Exchange>>,
}

impl<B: Body> Body for AnswerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.body.as_mut().poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Removes the header that ends the connection behind an answer, and returns whether it was there. HTTP/2 has no such
/// header (RFC 9113 §8.2.2).
fn closes(headers: &mut HeaderMap) -> bool {
    let value = headers.remove(CONNECTION);
    value.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

/// The service of one connection.
#[derive(Clone)]
pub(super) struct TrackedService<S> {
    pub(super) service: S,
    pub(super) peer: Peer,
    pub(super) connection: Arc<OpenConnection>,
    /// Cancelled behind an answer that ends an HTTP/2 connection, and behind the body of its request.
    pub(super) closing: CancellationToken,
    pub(super) useless: Useless,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for TrackedService<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
{
    type Response = Response<AnswerBody<B>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.useless.end();
        let exchange = (request.version() == Version::HTTP_2).then(|| {
            Arc::new(Exchange {
                is_last: AtomicBool::new(false),
                closing: self.closing.clone(),
            })
        });
        let open = OpenRequest::begin(&self.connection);
        let mut request = request.map(|incoming| RequestBody {
            arriving: (!incoming.is_end_stream()).then(|| open.body()),
            incoming,
            useless: self.useless.clone(),
            _exchange: exchange.clone(),
        });
        if request.body().arriving.is_none() {
            drop(open.body());
        }
        request.extensions_mut().insert(self.peer);
        let service = self.service.clone();
        async move {
            let mut response = service.oneshot(request).await?;
            if let Some(exchange) = &exchange
                && closes(response.headers_mut())
            {
                exchange.is_last.store(true, Ordering::Relaxed);
            }
            open.answered();
            Ok(response.map(|body| AnswerBody {
                body: Box::pin(body),
                _open: open,
                _exchange: exchange,
            }))
        }
        .boxed()
    }
}
