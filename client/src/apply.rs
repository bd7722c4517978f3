//! Having mutations done: by the daemon, in as many requests as it takes, or by this process.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, slice};

use onewriter_proto::{
    convert,
    v1::{
        self, BatchRequest, HardLinkRequest, MakeDirectoriesRequest, Mutation, MutationResponse,
        PublishLocalRequest, PublishStagedRequest, RemoveRequest, RenameRequest,
        SetAttributesRequest, SymlinkRequest, TouchRequest, mutation::Kind,
    },
};
use onewriter_tree::{
    Tree,
    mutation::{self, Effects},
};
use prost::Message;

use crate::{
    context::Context,
    failure::Failure,
    output,
    repeat::{Repeat, repeatable},
    replay::repeatable_in_order,
    requests::Requests,
    server::Server,
    session::Session,
    upload,
};

const MUTATIONS: &str = "/onewriter.v1.Mutations/";

impl Context {
    /// Has mutations done, by the daemon or by this process, and tells what they did.
    pub(crate) fn mutate(
        &mut self,
        server: &Server,
        kinds: Vec<Kind>,
        verbose: bool,
    ) -> Result<(), Failure> {
        let response = self.apply(server, kinds)?;
        self.tell(&response, verbose)
    }

    /// Has mutations done, in as many requests as it takes.
    pub(crate) fn apply(
        &mut self,
        server: &Server,
        kinds: Vec<Kind>,
    ) -> Result<MutationResponse, Failure> {
        if self.is_direct() {
            return self.apply_directly(server, kinds);
        }
        match server {
            Server::Remote(_) => self.apply_afar(server, kinds),
            Server::Root(_) | Server::Unix(_) => self.request_all(server, kinds),
        }
    }

    /// Has mutations done by a daemon that opens none of this machine's files.
    fn apply_afar(
        &mut self,
        server: &Server,
        kinds: Vec<Kind>,
    ) -> Result<MutationResponse, Failure> {
        let (mut done, mut waiting) = (MutationResponse::default(), Vec::new());
        for kind in kinds {
            let Kind::PublishLocal(publish) = kind else {
                waiting.push(kind);
                continue;
            };
            if !waiting.is_empty() {
                let before = self.request_all(server, std::mem::take(&mut waiting))?;
                done.changes.extend(before.changes);
            }
            let source = OsStr::from_bytes(&publish.source);
            let to = publish.to.unwrap_or_default();
            let upload = if publish.consume { upload::used_up } else { upload::file };
            done.changes.extend(upload(self, server, &to, source)?.changes);
        }
        if !waiting.is_empty() {
            done.changes.extend(self.request_all(server, waiting)?.changes);
        }
        Ok(done)
    }

    fn request_all(
        &mut self,
        server: &Server,
        kinds: Vec<Kind>,
    ) -> Result<MutationResponse, Failure> {
        let mut session = self.session(server)?;
        let (mut done, mut failed) = (MutationResponse::default(), None);
        let requests = match server.takes_one_by_one(&kinds) {
            true => Requests::one_by_one(kinds),
            false => Requests::of(kinds),
        };
        match requests {
            Requests::Apart(kinds) => {
                for kind in kinds {
                    match session.mutate(self.request(server), kind) {
                        Ok(response) => done.changes.extend(response.changes),
                        Err(refused @ Failure::Refused { .. }) => failed = failed.or(Some(refused)),
                        Err(failure) => return Err(failure),
                    }
                }
            }
            Requests::OneByOne(kinds) => {
                for kind in kinds {
                    done.changes.extend(session.mutate(self.request(server), kind)?.changes);
                }
            }
            Requests::InOrder(batches) => {
                for kinds in batches {
                    done.changes.extend(session.batch(self.request(server), kinds)?.changes);
                }
            }
        }
        failed.map_or(Ok(done), Err)
    }

    /// Has mutations done by this process.
    pub(crate) fn apply_directly(
        &mut self,
        server: &Server,
        kinds: Vec<Kind>,
    ) -> Result<MutationResponse, Failure> {
        let umask = self.umask();
        let everything = matches!(server, Server::Root(place) if place.is_everything());
        let mut effects = Effects::new(false);
        for kind in kinds {
            let first = targets(&kind).first().map(Vec::as_slice).unwrap_or_default();
            let tree = self.open_tree(server, first)?;
            let terms = convert::Terms { tree: &tree, umask, local: true };
            let done = mutation::run(&mut *convert::mutation(kind, terms)?, &tree, &mut effects);
            let done = done.map_err(|error| if everything { from_the_top(error) } else { error });
            // Nobody else will delete what was removed.
            for name in tree.staging().leftovers(false).unwrap_or_default() {
                let _ = tree.staging().delete(&name);
            }
            done?;
        }
        Ok(convert::response(effects.changes))
    }

    /// The tree, to work on `path` in this process. The umask is read before: opening sets it to 0.
    pub(crate) fn open_tree(&mut self, server: &Server, path: &[u8]) -> Result<Tree, Failure> {
        self.umask();
        match server {
            Server::Root(place) if place.is_everything() => {
                Ok(Tree::without_root(&place.root().join(OsStr::from_bytes(path)))?)
            }
            Server::Root(place) => Ok(place.open()?),
            Server::Unix(_) | Server::Remote(_) => Err(Failure::Usage(
                "ONEWRITER=off works on a build root, not on a server's address".into(),
            )),
        }
    }

    /// Prints changes: all as JSON, or those that changed something where it is to be `verbose`.
    pub(crate) fn tell(
        &mut self,
        response: &MutationResponse,
        verbose: bool,
    ) -> Result<(), Failure> {
        if self.is_json() {
            return self.output.json(&output::changes(&response.changes));
        }
        if verbose {
            for change in &response.changes {
                self.output.line(format_args!(
                    "{} '{}'",
                    output::outcome(change),
                    output::shown(&change.path)
                ))?;
            }
        }
        Ok(())
    }
}

impl Session<'_> {
    /// Makes the rpc that belongs to a mutation.
    pub(crate) fn mutate(
        &mut self,
        context: v1::Context,
        kind: Kind,
    ) -> Result<MutationResponse, Failure> {
        let key = self.server.key(&kind);
        let repeat = if key.is_empty() { repeatable(&kind) } else { Repeat::Safe };
        let context = Some(v1::Context { idempotency_key: key, ..context });
        macro_rules! call {
            ($rpc:literal, $request:ident { $field:ident }) => {{
                let request = $request { context, $field: Some($field) };
                self.once(&[MUTATIONS, $rpc].concat(), &request, &|| repeat)
            }};
        }
        match kind {
            Kind::MakeDirectories(make) => {
                call!("MakeDirectories", MakeDirectoriesRequest { make })
            }
            Kind::PublishLocal(publish) => call!("PublishLocal", PublishLocalRequest { publish }),
            Kind::PublishStaged(publish) => {
                call!("PublishStaged", PublishStagedRequest { publish })
            }
            Kind::Symlink(link) => call!("Symlink", SymlinkRequest { link }),
            Kind::HardLink(link) => call!("HardLink", HardLinkRequest { link }),
            Kind::Rename(rename) => call!("Rename", RenameRequest { rename }),
            Kind::Remove(remove) => call!("Remove", RemoveRequest { remove }),
            Kind::SetAttributes(set) => call!("SetAttributes", SetAttributesRequest { set }),
            Kind::Touch(touch) => call!("Touch", TouchRequest { touch }),
        }
    }

    /// Several mutations in one call.
    pub(crate) fn batch(
        &mut self,
        context: v1::Context,
        kinds: Vec<Kind>,
    ) -> Result<MutationResponse, Failure> {
        let mutations = kinds.into_iter().map(|kind| Mutation { kind: Some(kind) }).collect();
        let request = BatchRequest { context: Some(context), mutations };
        let kinds = || request.mutations.iter().filter_map(|mutation| mutation.kind.as_ref());
        self.once(&[MUTATIONS, "Batch"].concat(), &request, &|| repeatable_in_order(kinds()))
    }

    /// Makes a call that changes the tree: where it breaks off and may not be repeated, says so.
    fn once<Q: Message>(
        &mut self,
        method: &str,
        request: &Q,
        repeat: &dyn Fn() -> Repeat,
    ) -> Result<MutationResponse, Failure> {
        self.unary_if(method, request, repeat).map_err(|failure| match failure {
            Failure::Broken(why) if repeat() == Repeat::Never => Failure::Unknown(format!(
                "the daemon broke off, and it is not known what of this was done: {why}"
            )),
            failure => failure,
        })
    }
}

/// An error about a path below `/`, as which it is told.
fn from_the_top(error: onewriter_tree::Error) -> onewriter_tree::Error {
    let absolute = |path: Vec<u8>| [b"/", &path[..]].concat();
    let component = error.component.map(absolute);
    onewriter_tree::Error { path: absolute(error.path), component, ..error }
}

/// The paths that a mutation is about: those that it makes, changes or removes.
pub(crate) fn targets(kind: &Kind) -> &[Vec<u8>] {
    match kind {
        Kind::MakeDirectories(make) => &make.paths,
        Kind::PublishLocal(publish) => to(&publish.to),
        Kind::PublishStaged(publish) => to(&publish.to),
        Kind::Symlink(link) => slice::from_ref(&link.path),
        Kind::HardLink(link) => slice::from_ref(&link.path),
        Kind::Rename(rename) => slice::from_ref(&rename.to),
        Kind::Remove(remove) => &remove.paths,
        Kind::SetAttributes(set) => &set.paths,
        Kind::Touch(touch) => &touch.paths,
    }
}

fn to(to: &Option<v1::Publication>) -> &[Vec<u8>] {
    to.as_ref().map(|to| slice::from_ref(&to.path)).unwrap_or_default()
}
