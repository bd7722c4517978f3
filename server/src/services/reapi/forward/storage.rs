//! Content in batches.

use onewriter_proto::reapi::{
    BatchReadBlobsRequest, BatchReadBlobsResponse, BatchUpdateBlobsRequest,
    BatchUpdateBlobsResponse, FindMissingBlobsRequest, FindMissingBlobsResponse, GetTreeRequest,
    GetTreeResponse, compressor, content_addressable_storage_server::ContentAddressableStorage,
};
use onewriter_tree::mutation::Deed;
use tonic::{Request, Response, Status, async_trait};

use super::{
    super::{bad, function, storage::check_total},
    Forward, refused,
};
use crate::services::{Answers, answers, send};

#[async_trait]
impl ContentAddressableStorage for Forward {
    async fn find_missing_blobs(
        &self,
        request: Request<FindMissingBlobsRequest>,
    ) -> Result<Response<FindMissingBlobsResponse>, Status> {
        let asking = self.permit(&request, Deed::Stay).await?;
        let mut request = request.into_inner();
        self.abilities(&asking, function(request.digest_function)?).await?;
        request.instance_name = self.instance(request.instance_name);
        let mut storage = self.store.storage();
        let answer = storage.find_missing_blobs(self.store.unary(&asking, request));
        self.store.answer(&asking, answer).await.map(Response::new).map_err(refused)
    }

    async fn batch_update_blobs(
        &self,
        request: Request<BatchUpdateBlobsRequest>,
    ) -> Result<Response<BatchUpdateBlobsResponse>, Status> {
        let asking = self.permit(&request, Deed::Publish).await?;
        let mut request = request.into_inner();
        let abilities = self.abilities(&asking, function(request.digest_function)?).await?;
        let sizes = request.requests.iter().filter_map(|one| one.digest.as_ref());
        check_total(abilities.max_batch, sizes.map(|digest| digest.size_bytes))?;
        let zstd = i32::from(compressor::Value::Zstd);
        if !abilities.zstd_batches && request.requests.iter().any(|one| one.compressor == zstd) {
            return Err(bad("compressor: the store takes no batches in ZSTD"));
        }
        request.instance_name = self.instance(request.instance_name);
        let mut storage = self.store.storage();
        let answer = storage.batch_update_blobs(self.store.unary(&asking, request));
        self.store.answer(&asking, answer).await.map(Response::new).map_err(refused)
    }

    async fn batch_read_blobs(
        &self,
        request: Request<BatchReadBlobsRequest>,
    ) -> Result<Response<BatchReadBlobsResponse>, Status> {
        let asking = self.permit(&request, Deed::Read).await?;
        let mut request = request.into_inner();
        let abilities = self.abilities(&asking, function(request.digest_function)?).await?;
        let sizes = request.digests.iter().map(|digest| digest.size_bytes);
        check_total(abilities.max_batch, sizes)?;
        request.instance_name = self.instance(request.instance_name);
        let mut storage = self.store.storage();
        let answer = storage.batch_read_blobs(self.store.unary(&asking, request));
        self.store.answer(&asking, answer).await.map(Response::new).map_err(refused)
    }

    type GetTreeStream = Answers<GetTreeResponse>;

    async fn get_tree(
        &self,
        request: Request<GetTreeRequest>,
    ) -> Result<Response<Self::GetTreeStream>, Status> {
        let asking = self.permit(&request, Deed::Read).await?;
        let mut request = request.into_inner();
        self.abilities(&asking, function(request.digest_function)?).await?;
        request.instance_name = self.instance(request.instance_name);
        let mut storage = self.store.storage();
        let answer = storage.get_tree(self.store.streamed(&asking, request));
        let mut pages = self.store.answer(&asking, answer).await.map_err(refused)?;
        let store = self.store.clone();
        Ok(Response::new(answers(1, asking.deadline(), |to| async move {
            while let Some(page) = store.next(&asking, &mut pages).await.map_err(refused)? {
                send(&to, page).await?;
            }
            Ok(())
        })))
    }
}
