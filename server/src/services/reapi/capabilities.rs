//! What the daemon can do.

use onewriter_proto::{
    reapi::{
        ActionCacheUpdateCapabilities, CacheCapabilities, GetCapabilitiesRequest,
        ServerCapabilities, capabilities_server::Capabilities, compressor, digest_function,
        symlink_absolute_path_strategy,
    },
    standard::build::bazel::semver::SemVer,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Api, MAX_BATCH};

#[async_trait]
impl Capabilities for Api {
    async fn get_capabilities(
        &self,
        _: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<ServerCapabilities>, Status> {
        let functions = [digest_function::Value::Sha256, digest_function::Value::Blake3];
        let compressors = vec![compressor::Value::Zstd.into()];
        let version = |minor| Some(SemVer { major: 2, minor, ..SemVer::default() });
        let cache = CacheCapabilities {
            digest_functions: functions.map(i32::from).into(),
            action_cache_update_capabilities: Some(ActionCacheUpdateCapabilities {
                update_enabled: true,
            }),
            max_batch_total_size_bytes: MAX_BATCH as i64,
            symlink_absolute_path_strategy: symlink_absolute_path_strategy::Value::Allowed.into(),
            supported_compressors: compressors.clone(),
            supported_batch_update_compressors: compressors,
            max_cas_blob_size_bytes: i64::try_from(self.content.max()).unwrap_or(i64::MAX),
        };
        Ok(Response::new(ServerCapabilities {
            cache_capabilities: Some(cache),
            low_api_version: version(0),
            high_api_version: version(3),
            ..ServerCapabilities::default()
        }))
    }
}
