//! An answer on its way, whose end is the end of a span.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use hyper::body::{Body, Frame, SizeHint};
use tonic::Status;

use super::Span;

/// A body that tells a span how it ends: gRPC says so in the trailers, or in the headers where there
/// is nothing else to say.
pub(crate) struct Traced<B> {
    body: B,
    span: Option<Box<Span>>,
}

impl<B> Traced<B> {
    pub(crate) fn new(response: Response<B>, span: Option<Box<Span>>) -> Response<Self> {
        let mut span = span;
        let said = span.is_some().then(|| Status::from_header_map(response.headers())).flatten();
        if let (Some(span), Some(status)) = (&mut span, said) {
            span.ends_as(&status);
        }
        response.map(|body| Self { body, span })
    }
}

impl<B: Body + Unpin> Body for Traced<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let (Some(span), Some(Ok(frame))) = (&mut self.span, &frame)
            && let Some(status) = frame.trailers_ref().and_then(Status::from_header_map)
        {
            span.ends_as(&status);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
