//! What the store can do, as far as the daemon passes it on.

use onewriter_proto::{
    reapi::{
        ActionCacheUpdateCapabilities, CacheCapabilities, GetCapabilitiesRequest,
        ServerCapabilities, capabilities_server::Capabilities, compressor,
    },
    standard::build::bazel::semver::SemVer,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Forward, refused};
use crate::external::{Asking, number};

#[async_trait]
impl Capabilities for Forward {
    async fn get_capabilities(
        &self,
        request: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<ServerCapabilities>, Status> {
        let asking = Asking::of(request.metadata());
        let store = self.store.abilities(&asking).await.map_err(refused)?;
        let zstd = |can: bool| can.then(|| compressor::Value::Zstd.into()).into_iter().collect();
        let version = |minor| Some(SemVer { major: 2, minor, ..SemVer::default() });
        let cache = CacheCapabilities {
            digest_functions: store.functions.iter().copied().map(number).collect(),
            action_cache_update_capabilities: Some(ActionCacheUpdateCapabilities {
                update_enabled: store.takes_results,
            }),
            max_batch_total_size_bytes: store.max_batch as i64,
            symlink_absolute_path_strategy: store.symlinks,
            supported_compressors: zstd(store.zstd),
            supported_batch_update_compressors: zstd(store.zstd_batches),
            max_cas_blob_size_bytes: store.max_blob.unwrap_or_default(),
        };
        Ok(Response::new(ServerCapabilities {
            cache_capabilities: Some(cache),
            low_api_version: version(0),
            high_api_version: version(3),
            ..ServerCapabilities::default()
        }))
    }
}
