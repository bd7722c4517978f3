//! Past tonic's codec for what carries content by the gigabyte: see [`super::messages`].

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, header::CONTENT_TYPE};
use onewriter_core::Engine;
use onewriter_proto::v1::PublishStreamResponse;
use tonic::{
    Request,
    body::Body,
    codec::{Codec as _, EncodeBody, SingleMessageCompressionOverride},
    codegen::{BoxFuture, Service},
    server::NamedService,
};
use tonic_prost::ProstCodec;

use super::{Answers, messages::Uncopied, publish_stream};
use crate::content::Content;

/// The method that is served here.
const PUBLISH_STREAM: &str = "/onewriter.v1.Mutations/PublishStream";

/// The service of mutations `S`, but for that method.
#[derive(Clone)]
pub(crate) struct Bulk<S> {
    others: S,
    engine: Arc<Engine>,
    content: Arc<Content>,
}

impl<S> Bulk<S> {
    pub(crate) fn new(others: S, engine: &Arc<Engine>, content: &Arc<Content>) -> Self {
        Self { others, engine: Arc::clone(engine), content: Arc::clone(content) }
    }
}

impl<S: NamedService> NamedService for Bulk<S> {
    const NAME: &'static str = S::NAME;
}

type Response = http::Response<Body>;

impl<S> Service<http::Request<Body>> for Bulk<S>
where
    S: Service<
            http::Request<Body>,
            Response = Response,
            Error = Infallible,
            Future = BoxFuture<Response, Infallible>,
        >,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<Response, Infallible>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.others.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != PUBLISH_STREAM {
            return self.others.call(request);
        }
        let (parts, body) = request.into_parts();
        let request = Request::from_http(http::Request::from_parts(parts, ()));
        let (engine, content) = (Arc::clone(&self.engine), Arc::clone(&self.content));
        let answers = publish_stream::serve(engine, content, request, Uncopied::new(body));
        Box::pin(std::future::ready(Ok(response(answers))))
    }
}

fn response(answers: Answers<PublishStreamResponse>) -> Response {
    let encoder = ProstCodec::<PublishStreamResponse, ()>::default().encoder();
    let compression = SingleMessageCompressionOverride::default();
    let body = EncodeBody::new_server(encoder, answers, None, compression, None);
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
