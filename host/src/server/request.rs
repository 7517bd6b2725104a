//! What a server adds to each request: the address of the client, and the state of the request for the table of the
//! connections.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
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

/// The address of the client of a connection, an extension of each request. It may be a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// The body of a request.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    arriving: Option<Arriving>,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(context);
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
    /// Cancelled when the connection ends after the requests that it has.
    pub(super) ending: CancellationToken,
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
        let open = OpenRequest::begin(&self.connection);
        let mut request = request.map(|incoming| RequestBody {
            arriving: (!incoming.is_end_stream()).then(|| open.body()),
            incoming,
        });
        if request.body().arriving.is_none() {
            drop(open.body());
        }
        request.extensions_mut().insert(self.peer);
        let service = self.service.clone();
        let ending = (request.version() == Version::HTTP_2).then(|| self.ending.clone());
        async move {
            let mut response = service.oneshot(request).await?;
            if let Some(ending) = ending
                && closes(response.headers_mut())
            {
                ending.cancel();
            }
            open.answered();
            Ok(response.map(|body| AnswerBody {
                body: Box::pin(body),
                _open: open,
            }))
        }
        .boxed()
    }
}
