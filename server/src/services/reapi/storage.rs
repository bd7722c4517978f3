//! Content in batches.

use bytes::Bytes;
use onewriter_proto::reapi::{
    BatchReadBlobsRequest, BatchReadBlobsResponse, BatchUpdateBlobsRequest,
    BatchUpdateBlobsResponse, FindMissingBlobsRequest, FindMissingBlobsResponse, GetTreeRequest,
    GetTreeResponse, batch_read_blobs_response as read, batch_update_blobs_request as update,
    batch_update_blobs_response as updated, compressor,
    content_addressable_storage_server::ContentAddressableStorage,
};
use onewriter_store::{Digest, Function, Store};
use onewriter_tree::mutation::Deed;
use tonic::{Code, Request, Response, Status, async_trait};

use super::{
    Api, MAX_BATCH, bad, digest, directories, function,
    refusal::{message, missing, stored},
    required,
};
use crate::{content::Inlet, peer, services::Answers};

#[async_trait]
impl ContentAddressableStorage for Api {
    async fn find_missing_blobs(
        &self,
        request: Request<FindMissingBlobsRequest>,
    ) -> Result<Response<FindMissingBlobsResponse>, Status> {
        self.permit(&request, Deed::Stay).await?;
        let request = request.into_inner();
        let function = function(request.digest_function)?;
        let parse = |given| Ok((digest(function, &given)?, given));
        let wanted = request.blob_digests.into_iter().map(parse);
        let mut wanted = wanted.collect::<Result<Vec<_>, Status>>()?;
        let missing = self.content.run(move |store| {
            let mut failed = None;
            wanted.retain(|(digest, _)| match store.contains(digest) {
                Ok(is_there) => !is_there,
                Err(error) => failed.replace(error).is_none(),
            });
            failed.map_or(Ok(wanted), Err)
        });
        let missing = missing.await.map_err(stored)?;
        let missing_blob_digests = missing.into_iter().map(|(_, given)| given).collect();
        Ok(Response::new(FindMissingBlobsResponse { missing_blob_digests }))
    }

    async fn batch_update_blobs(
        &self,
        request: Request<BatchUpdateBlobsRequest>,
    ) -> Result<Response<BatchUpdateBlobsResponse>, Status> {
        self.permit(&request, Deed::Publish).await?;
        let request = request.into_inner();
        let function = function(request.digest_function)?;
        let sizes = request.requests.iter().filter_map(|one| one.digest.as_ref());
        check_total(MAX_BATCH, sizes.map(|digest| digest.size_bytes))?;
        let responses = self.content.run(move |store| {
            let responses = request.requests.into_iter().map(|one| {
                let status = match update(store, function, &one) {
                    Ok(()) => Default::default(),
                    Err(status) => message(&status),
                };
                updated::Response { digest: one.digest, status: Some(status) }
            });
            Ok(responses.collect())
        });
        let responses = responses.await.map_err(stored)?;
        Ok(Response::new(BatchUpdateBlobsResponse { responses }))
    }

    async fn batch_read_blobs(
        &self,
        request: Request<BatchReadBlobsRequest>,
    ) -> Result<Response<BatchReadBlobsResponse>, Status> {
        self.permit(&request, Deed::Read).await?;
        let request = request.into_inner();
        let function = function(request.digest_function)?;
        check_total(MAX_BATCH, request.digests.iter().map(|digest| digest.size_bytes))?;
        let responses = self.content.run(move |store| {
            let responses = request.digests.into_iter().map(|given| {
                let (data, status) = match read(store, function, &given) {
                    Ok(data) => (data, Default::default()),
                    Err(status) => (Bytes::new(), message(&status)),
                };
                let compressor = compressor::Value::Identity.into();
                read::Response { digest: Some(given), data, status: Some(status), compressor }
            });
            Ok(responses.collect())
        });
        let responses = responses.await.map_err(stored)?;
        Ok(Response::new(BatchReadBlobsResponse { responses }))
    }

    type GetTreeStream = Answers<GetTreeResponse>;

    async fn get_tree(
        &self,
        request: Request<GetTreeRequest>,
    ) -> Result<Response<Self::GetTreeStream>, Status> {
        self.permit(&request, Deed::Read).await?;
        let deadline = peer::deadline(request.metadata());
        let request = request.into_inner();
        let root = required(function(request.digest_function)?, request.root_digest.as_ref())?;
        if !request.page_token.is_empty() {
            return Err(bad("page_token: all directories come in one stream"));
        }
        let page = usize::try_from(request.page_size).ok().filter(|page| *page > 0);
        Ok(Response::new(directories::stream(self.content.clone(), root, page, deadline)))
    }
}

/// Refuses batches whose contents are more than `max` bytes.
pub(super) fn check_total(max: u64, mut sizes: impl Iterator<Item = i64>) -> Result<(), Status> {
    let add = |sum: u64, size| sum.checked_add(u64::try_from(size).unwrap_or(0));
    match sizes.try_fold(0, add) {
        Some(sum) if sum <= max => Ok(()),
        _ => {
            let what = format!(
                "the contents of a batch are at most {max} bytes; larger ones are streamed"
            );
            Err(bad(what))
        }
    }
}

fn update(store: &Store, function: Function, one: &update::Request) -> Result<(), Status> {
    let digest: Digest = required(function, one.digest.as_ref())?;
    let compressed = match compressor::Value::try_from(one.compressor) {
        Ok(compressor::Value::Identity) => false,
        Ok(compressor::Value::Zstd) => true,
        _ => return Err(bad("compressor: IDENTITY and ZSTD are known here")),
    };
    if store.contains(&digest).map_err(stored)? {
        return Ok(());
    }
    let take = || {
        let mut inlet = Inlet::new(store.upload(digest)?, compressed)?;
        inlet.push(&one.data)?;
        inlet.finish()
    };
    take().map_err(stored)
}

fn read(
    store: &Store,
    function: Function,
    given: &onewriter_proto::reapi::Digest,
) -> Result<Bytes, Status> {
    let digest = digest(function, given)?;
    let found = store.get(&digest).map_err(stored)?;
    let blob = found.ok_or_else(|| missing(Code::NotFound, &digest))?;
    blob.read(0, MAX_BATCH as usize).map(Bytes::from).map_err(stored)
}
