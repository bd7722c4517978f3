//! Results of actions.

use onewriter_proto::reapi::{
    self, ActionResult, GetActionResultRequest, UpdateActionResultRequest,
    action_cache_server::ActionCache,
};
use onewriter_store::{Digest, Function, ResultKey, Store};
use onewriter_tree::Reason;
use onewriter_tree::mutation::Deed;
use prost::Message as _;
use tonic::{Code, Request, Response, Status, async_trait};

use super::{
    Api, bad, digest, function,
    refusal::{missing, refuse, stored},
    required,
    tree::{Stopped, each_file},
};

/// The largest result, and the largest message that describes a tree, in bytes.
const MAX_RESULT: usize = 4 << 20;
const MAX_TREE: u64 = 64 << 20;

#[async_trait]
impl ActionCache for Api {
    async fn get_action_result(
        &self,
        request: Request<GetActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        self.permit(&request, Deed::Read).await?;
        let request = request.into_inner();
        let function = function(request.digest_function)?;
        let action = required(function, request.action_digest.as_ref())?;
        let key = ResultKey::new(&request.instance_name, &action);
        let found = self.content.run(move |store| {
            let Some(record) = store.result(key)? else { return Ok(None) };
            let Ok(result) = ActionResult::decode(&*record) else { return Ok(None) };
            // A result is worth nothing without what it names.
            Ok(check(store, function, &result).is_ok().then_some(result))
        });
        let nothing = || {
            let what = format!("no result of {action} is there with all its content");
            refuse(Code::NotFound, Reason::NotFound, what)
        };
        found.await.map_err(stored)?.map(Response::new).ok_or_else(nothing)
    }

    async fn update_action_result(
        &self,
        request: Request<UpdateActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        self.permit(&request, Deed::Publish).await?;
        let request = request.into_inner();
        let function = function(request.digest_function)?;
        let action = required(function, request.action_digest.as_ref())?;
        let key = ResultKey::new(&request.instance_name, &action);
        let result = request.action_result.ok_or_else(|| bad("action_result: there is none"))?;
        if result.encoded_len() > MAX_RESULT {
            return Err(bad("action_result: it has more than 4 MiB"));
        }
        let kept = self.content.run(move |store| {
            if let Err(refused) = check(store, function, &result) {
                return Ok(Err(refused));
            }
            store.set_result(key, &result.encode_to_vec())?;
            Ok(Ok(result))
        });
        kept.await.map_err(stored)?.map(Response::new)
    }
}

/// Whether all content that a result names is there. It becomes the youngest.
fn check(store: &Store, function: Function, result: &ActionResult) -> Result<(), Status> {
    let need = |given: &reapi::Digest| need(store, &digest(function, given)?);
    for file in &result.output_files {
        need(file.digest.as_ref().ok_or_else(|| bad("output_files: one has no digest"))?)?;
    }
    for output in [&result.stdout_digest, &result.stderr_digest].into_iter().flatten() {
        need(output)?;
    }
    for directory in &result.output_directories {
        if let Some(given) = &directory.tree_digest {
            check_tree(store, &digest(function, given)?)?;
        }
        if let Some(root) = &directory.root_directory_digest {
            need(root)?;
        }
    }
    Ok(())
}

fn need(store: &Store, digest: &Digest) -> Result<(), Status> {
    match store.contains(digest).map_err(stored)? {
        true => Ok(()),
        false => Err(missing(Code::FailedPrecondition, digest)),
    }
}

fn check_tree(store: &Store, tree: &Digest) -> Result<(), Status> {
    if tree.size > MAX_TREE {
        return Err(bad(format!("{tree} is no tree: it has more than 64 MiB")));
    }
    let found = store.get(tree).map_err(stored)?;
    let blob = found.ok_or_else(|| missing(Code::FailedPrecondition, tree))?;
    let bytes = blob.read(0, MAX_TREE as usize).map_err(stored)?;
    let named = each_file(&bytes, |given| need(store, &digest(tree.function, given)?));
    named.map_err(|stopped| match stopped {
        Stopped::Malformed => bad(format!("{tree} is no tree")),
        Stopped::By(refused) => refused,
    })
}
