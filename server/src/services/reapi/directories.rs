//! All directories below one.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use onewriter_proto::reapi::{Directory, GetTreeResponse};
use onewriter_store::Digest;
use prost::Message as _;
use tonic::{Code, Status};

use super::{
    bad, digest,
    refusal::{missing, stored},
};
use crate::{
    content::OwnStore,
    services::{Answers, Sender, answers, send},
};

/// Directories of one message at most, and bytes after which a message is sent.
const PAGE: usize = 1000;
const PAGE_BYTES: usize = 1 << 20;

/// The largest message that is read as a directory, in bytes, and the most directories of one tree:
/// they are not the daemon's own.
const MAX_DIRECTORY: u64 = 4 << 20;
const MAX_DIRECTORIES: usize = 1 << 20;

/// Streams the directory that is the content `root`, and all below it.
pub(super) fn stream(
    content: Arc<OwnStore>,
    root: Digest,
    page: Option<usize>,
    deadline: Option<Instant>,
) -> Answers<GetTreeResponse> {
    let page = page.map_or(PAGE, |page| page.min(PAGE));
    answers(1, deadline, move |to| async move { walk(content, root, page, &to).await })
}

async fn walk(
    content: Arc<OwnStore>,
    root: Digest,
    page: usize,
    answers: &Sender<GetTreeResponse>,
) -> Result<(), Status> {
    let (mut seen, mut ahead) = (HashSet::from([root]), VecDeque::from([root]));
    let (mut directories, mut bytes) = (Vec::new(), 0);
    while let Some(next) = ahead.pop_front() {
        let Some(directory) = read(&content, next).await? else {
            if next == root {
                return Err(missing(Code::NotFound, &root));
            }
            continue;
        };
        for below in directory.directories.iter().filter_map(|node| node.digest.as_ref()) {
            let below = digest(root.function, below)?;
            if seen.insert(below) {
                ahead.push_back(below);
            }
        }
        if seen.len() > MAX_DIRECTORIES {
            return Err(bad("the tree has more than 1,048,576 directories"));
        }
        bytes += directory.encoded_len();
        directories.push(directory);
        if directories.len() >= page || bytes >= PAGE_BYTES {
            bytes = 0;
            let directories = std::mem::take(&mut directories);
            send(answers, GetTreeResponse { directories, ..Default::default() }).await?;
        }
    }
    if directories.is_empty() {
        return Ok(());
    }
    send(answers, GetTreeResponse { directories, ..Default::default() }).await
}

async fn read(content: &Arc<OwnStore>, digest: Digest) -> Result<Option<Directory>, Status> {
    if digest.size > MAX_DIRECTORY {
        return Err(bad(format!("{digest} is no directory: it has more than 4 MiB")));
    }
    let bytes = content.run(move |store| {
        let found = store.get(&digest)?;
        found.map(|blob| blob.read(0, MAX_DIRECTORY as usize)).transpose()
    });
    let Some(bytes) = bytes.await.map_err(stored)? else { return Ok(None) };
    let directory = Directory::decode(&*bytes);
    directory.map(Some).map_err(|_| bad(format!("{digest} is no directory")))
}
