//! Everything that changes the tree.

use std::sync::Arc;

use onewriter_core::{
    Engine,
    journal::{How, RecipeOutcome},
};
use onewriter_proto::{
    convert,
    v1::{
        self, BatchRequest, HardLinkRequest, MakeDirectoriesRequest, MutationResponse,
        PublishDigestRequest, PublishLocalRequest, PublishStagedRequest, PublishStreamRequest,
        PublishStreamResponse, RemoveRequest, RenameRequest, SetAttributesRequest, SymlinkRequest,
        TouchRequest, mutation::Kind,
    },
};
use onewriter_tree::{Error, mutation::Mutation};
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{Answers, publish_digest, publish_stream};
use crate::{content::Content, peer::Terms, status::status};

pub(crate) struct Mutations {
    engine: Arc<Engine>,
    content: Arc<Content>,
}

type Answer = Result<Response<MutationResponse>, Status>;

impl Mutations {
    pub(crate) fn new(engine: Arc<Engine>, content: Arc<Content>) -> Self {
        Self { engine, content }
    }

    /// Runs the one mutation that a request names.
    async fn one(&self, terms: Terms, kind: Option<Kind>) -> Answer {
        terms.check_key(kind.as_ref().map_or(0, paths)).map_err(status)?;
        self.run(terms, |terms| {
            let kind = kind.ok_or_else(|| convert::bad("request", "it does not say what to do"))?;
            convert::mutation(kind, terms)
        })
        .await
    }

    async fn run(
        &self,
        terms: Terms,
        convert: impl FnOnce(convert::Terms<'_>) -> Result<Box<dyn Mutation>, Error>,
    ) -> Answer {
        let Terms { caller, umask, local, recipe, .. } = terms;
        let recipe = recipe.and_then(|line| self.engine.recipe(&caller, line, How::Direct));
        let done = match convert(convert::Terms { tree: self.engine.tree(), umask, local }) {
            Ok(mutation) => self.engine.run(caller, mutation).await,
            Err(error) => Err(error.into()),
        };
        if let Some(recipe) = recipe {
            match &done {
                Ok(_) => recipe.ended(RecipeOutcome::Done, 0),
                Err(_) => recipe.ended(RecipeOutcome::Refused, 1),
            }
        }
        Ok(Response::new(convert::response(done.map_err(status)?)))
    }
}

/// At how many paths something is to be done.
fn paths(kind: &Kind) -> usize {
    match kind {
        Kind::MakeDirectories(make) => make.paths.len(),
        Kind::Remove(remove) => remove.paths.len(),
        Kind::Touch(touch) => touch.paths.len(),
        Kind::SetAttributes(set) => set.paths.len(),
        _ => 1,
    }
}

/// The context and the message of a request.
fn open<T, M>(
    request: Request<T>,
    split: impl FnOnce(T) -> (Option<v1::Context>, M),
) -> (Terms, M) {
    let (request, message) = super::split(request);
    let (context, message) = split(message);
    (Terms::of(&request, context), message)
}

#[async_trait]
impl v1::mutations_server::Mutations for Mutations {
    async fn make_directories(&self, request: Request<MakeDirectoriesRequest>) -> Answer {
        let (terms, make) = open(request, |r| (r.context, r.make));
        self.one(terms, make.map(Kind::MakeDirectories)).await
    }

    async fn publish_local(&self, request: Request<PublishLocalRequest>) -> Answer {
        let (terms, publish) = open(request, |r| (r.context, r.publish));
        self.one(terms, publish.map(Kind::PublishLocal)).await
    }

    async fn publish_staged(&self, request: Request<PublishStagedRequest>) -> Answer {
        let (terms, publish) = open(request, |r| (r.context, r.publish));
        self.one(terms, publish.map(Kind::PublishStaged)).await
    }

    async fn publish_digest(&self, request: Request<PublishDigestRequest>) -> Answer {
        let done = publish_digest::serve(&self.engine, &self.content, request).await;
        done.map(Response::new)
    }

    async fn symlink(&self, request: Request<SymlinkRequest>) -> Answer {
        let (terms, link) = open(request, |r| (r.context, r.link));
        self.one(terms, link.map(Kind::Symlink)).await
    }

    async fn hard_link(&self, request: Request<HardLinkRequest>) -> Answer {
        let (terms, link) = open(request, |r| (r.context, r.link));
        self.one(terms, link.map(Kind::HardLink)).await
    }

    async fn rename(&self, request: Request<RenameRequest>) -> Answer {
        let (terms, rename) = open(request, |r| (r.context, r.rename));
        self.one(terms, rename.map(Kind::Rename)).await
    }

    async fn remove(&self, request: Request<RemoveRequest>) -> Answer {
        let (terms, remove) = open(request, |r| (r.context, r.remove));
        self.one(terms, remove.map(Kind::Remove)).await
    }

    async fn set_attributes(&self, request: Request<SetAttributesRequest>) -> Answer {
        let (terms, set) = open(request, |r| (r.context, r.set));
        self.one(terms, set.map(Kind::SetAttributes)).await
    }

    async fn touch(&self, request: Request<TouchRequest>) -> Answer {
        let (terms, touch) = open(request, |r| (r.context, r.touch));
        self.one(terms, touch.map(Kind::Touch)).await
    }

    async fn batch(&self, request: Request<BatchRequest>) -> Answer {
        let (terms, mutations) = open(request, |r| (r.context, r.mutations));
        terms.check_key(usize::MAX).map_err(status)?;
        self.run(terms, |terms| convert::batch(mutations, terms)).await
    }

    type PublishStreamStream = Answers<PublishStreamResponse>;

    async fn publish_stream(
        &self,
        request: Request<Streaming<PublishStreamRequest>>,
    ) -> Result<Response<Self::PublishStreamStream>, Status> {
        let (request, steps) = super::split(request);
        let (engine, content) = (Arc::clone(&self.engine), Arc::clone(&self.content));
        Ok(Response::new(publish_stream::serve(engine, content, request, steps)))
    }
}
