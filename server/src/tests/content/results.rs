//! Results of actions.

use onewriter_proto::reapi::{
    ActionResult, Directory, FileNode, GetActionResultRequest, OutputDirectory, OutputFile, Tree,
    UpdateActionResultRequest,
};
use prost::Message as _;

use super::*;

pub(super) fn get(instance: &str, action: &Digest) -> GetActionResultRequest {
    GetActionResultRequest {
        instance_name: instance.into(),
        action_digest: Some(action.clone()),
        ..Default::default()
    }
}

pub(super) fn set(
    instance: &str,
    action: &Digest,
    result: &ActionResult,
) -> UpdateActionResultRequest {
    UpdateActionResultRequest {
        instance_name: instance.into(),
        action_digest: Some(action.clone()),
        action_result: Some(result.clone()),
        ..Default::default()
    }
}

/// A result with a file, a directory with a file, and an output.
pub(super) async fn result(daemon: &Daemon) -> (ActionResult, Vec<Digest>) {
    let [file, inner, stdout] =
        [daemon.put(b"file").await, daemon.put(b"inner").await, daemon.put(b"out").await];
    let node = FileNode { name: "f".into(), digest: Some(inner.clone()), ..Default::default() };
    let child = Directory { files: vec![node], ..Default::default() };
    let tree = Tree { root: Some(Directory::default()), children: vec![child] };
    let tree = daemon.put(&tree.encode_to_vec()).await;
    let output = OutputFile { path: "o".into(), digest: Some(file.clone()), ..Default::default() };
    let directory =
        OutputDirectory { path: "d".into(), tree_digest: Some(tree.clone()), ..Default::default() };
    let result = ActionResult {
        output_files: vec![output],
        output_directories: vec![directory],
        stdout_digest: Some(stdout.clone()),
        exit_code: 3,
        stderr_raw: b"raw".to_vec().into(),
        ..Default::default()
    };
    (result, vec![file, inner, stdout, tree])
}

#[tokio::test]
async fn a_result_is_given_back_to_its_instance() {
    let daemon = Daemon::start().await;
    let (result, _) = result(&daemon).await;
    let action = sha256(b"action");
    let mut results = daemon.results().await;
    let nothing = results.get_action_result(get("main", &action)).await.unwrap_err();
    assert_eq!(told(&nothing, "").1, "NOT_FOUND");
    results.update_action_result(set("main", &action, &result)).await.unwrap();
    let found = results.get_action_result(get("main", &action)).await.unwrap().into_inner();
    assert_eq!(found, result);
    for other in [get("", &action), get("main", &sha256(b"another"))] {
        let nothing = results.get_action_result(other).await.unwrap_err();
        assert_eq!(nothing.code(), Code::NotFound);
    }
    daemon.end().await;
}

#[tokio::test]
async fn a_result_is_none_when_any_content_of_it_is_gone() {
    let daemon = Daemon::start().await;
    let action = sha256(b"action");
    let (result, contents) = result(&daemon).await;
    let mut results = daemon.results().await;
    for (n, digest) in contents.iter().enumerate() {
        results.update_action_result(set("", &action, &result)).await.unwrap();
        let path = daemon.stored().into_iter().find(|path| path.ends_with(&digest.hash)).unwrap();
        let aside = daemon.path("aside");
        std::fs::rename(&path, &aside).unwrap();
        let nothing = results.get_action_result(get("", &action)).await.unwrap_err();
        assert_eq!(nothing.code(), Code::NotFound, "content {n}");
        let refused = results.update_action_result(set("", &action, &result)).await.unwrap_err();
        let said = (Code::FailedPrecondition, "MISSING_BLOB".to_owned(), String::new());
        assert_eq!(told(&refused, ""), said);
        let violations = refused.get_details_precondition_failure().unwrap().violations;
        assert_eq!(violations[0].subject, format!("blobs/{}/{}", digest.hash, digest.size_bytes));
        daemon.put(&std::fs::read(aside).unwrap()).await;
    }
    let found = results.get_action_result(get("", &action)).await.unwrap().into_inner();
    assert_eq!(found, result, "all is back");
    daemon.end().await;
}
