//! Content by its digest, as clients of the Remote Execution API ask for it.

mod batches;
mod external;
mod publishing;
mod results;
mod streams;

use onewriter_proto::{
    bytestream::{WriteRequest, byte_stream_client::ByteStreamClient},
    reapi::{
        self, Digest, action_cache_client::ActionCacheClient,
        capabilities_client::CapabilitiesClient,
        content_addressable_storage_client::ContentAddressableStorageClient,
    },
};

use super::*;

impl Daemon {
    async fn storage(&self) -> ContentAddressableStorageClient<Wire> {
        let storage = ContentAddressableStorageClient::with_origin(
            self.wire().await,
            ORIGIN.parse().unwrap(),
        );
        storage.max_decoding_message_size(8 << 20)
    }

    async fn results(&self) -> ActionCacheClient<Wire> {
        ActionCacheClient::with_origin(self.wire().await, ORIGIN.parse().unwrap())
    }

    async fn streams(&self) -> ByteStreamClient<Wire> {
        ByteStreamClient::with_origin(self.wire().await, ORIGIN.parse().unwrap())
    }

    /// Which of these contents are not there.
    async fn missing(&self, digests: &[&Digest]) -> Vec<Digest> {
        let blob_digests = digests.iter().map(|&digest| digest.clone()).collect();
        let request = reapi::FindMissingBlobsRequest { blob_digests, ..Default::default() };
        let answer = self.storage().await.find_missing_blobs(request).await.unwrap();
        answer.into_inner().missing_blob_digests
    }

    /// Puts a small content into the store.
    async fn put(&self, content: &[u8]) -> Digest {
        let digest = sha256(content);
        let one = reapi::batch_update_blobs_request::Request {
            digest: Some(digest.clone()),
            data: content.to_vec().into(),
            compressor: 0,
        };
        let request = reapi::BatchUpdateBlobsRequest { requests: vec![one], ..Default::default() };
        let answer = self.storage().await.batch_update_blobs(request).await.unwrap();
        assert_eq!(answer.into_inner().responses[0].status.as_ref().unwrap().code, 0);
        digest
    }

    /// The files of the store.
    fn stored(&self) -> Vec<PathBuf> {
        let spaces = ["sha256", "blake3"].map(|space| self.path(".onewriter/cas").join(space));
        let below = |dir: PathBuf| std::fs::read_dir(dir).into_iter().flatten().flatten();
        let parts = spaces.into_iter().flat_map(below);
        parts.flat_map(|part| below(part.path())).map(|file| file.path()).collect()
    }

    /// What is arriving, or waits to be gone on with.
    fn arriving(&self) -> usize {
        std::fs::read_dir(self.path(".onewriter/cas/incoming")).map_or(0, |dir| dir.count())
    }
}

fn sha256(content: &[u8]) -> Digest {
    named(onewriter_store::Function::Sha256, content)
}

fn blake3(content: &[u8]) -> Digest {
    named(onewriter_store::Function::Blake3, content)
}

fn named(function: onewriter_store::Function, content: &[u8]) -> Digest {
    let digest = onewriter_store::Digest::of(function, content);
    Digest { hash: digest.hex(), size_bytes: digest.size as i64 }
}

#[tokio::test]
async fn the_daemon_says_what_it_can_do() {
    let daemon = Daemon::start().await;
    let mut capabilities =
        CapabilitiesClient::with_origin(daemon.wire().await, ORIGIN.parse().unwrap());
    let said = capabilities.get_capabilities(reapi::GetCapabilitiesRequest::default()).await;
    let said = said.unwrap().into_inner();
    let cache = said.cache_capabilities.unwrap();
    assert_eq!(cache.digest_functions, [1, 9]);
    assert_eq!(cache.max_batch_total_size_bytes, 4 << 20);
    assert_eq!(cache.max_cas_blob_size_bytes, 10 << 30);
    assert!(cache.action_cache_update_capabilities.unwrap().update_enabled);
    assert_eq!((cache.supported_compressors, said.low_api_version.unwrap().major), (vec![1], 2));
    assert!(!daemon.path(".onewriter/cas").exists(), "nobody needed a store so far");
    daemon.end().await;
}
