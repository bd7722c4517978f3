//! What a store can do, as it says itself.

use onewriter_proto::reapi::{
    GetCapabilitiesRequest, ServerCapabilities, compressor, digest_function,
};
use onewriter_store::Function;

use crate::services::MAX_BATCH;

/// What the daemon asks of a store, as far as the store can do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Abilities {
    pub(crate) functions: Vec<Function>,
    /// The contents of one batch, in bytes: its own limit, or ours.
    pub(crate) max_batch: u64,
    /// One content, in bytes, where it says so.
    pub(crate) max_blob: Option<i64>,
    /// Whether it takes and sends streams that are compressed by zstd.
    pub(crate) zstd: bool,
    /// The same in batches.
    pub(crate) zstd_batches: bool,
    /// Whether it takes results of actions.
    pub(crate) takes_results: bool,
    /// As it gives it.
    pub(crate) symlinks: i32,
}

pub(super) fn question(instance: &str) -> GetCapabilitiesRequest {
    GetCapabilitiesRequest { instance_name: instance.to_owned() }
}

impl Abilities {
    pub(super) fn of(said: ServerCapabilities) -> Self {
        let said = said.cache_capabilities.unwrap_or_default();
        let zstd = i32::from(compressor::Value::Zstd);
        // A store that says nothing is one of the time when there was nothing else.
        let functions = match said.digest_functions.is_empty() {
            true => vec![Function::Sha256],
            false => Function::ALL
                .into_iter()
                .filter(|function| said.digest_functions.contains(&number(*function)))
                .collect(),
        };
        Self {
            functions,
            max_batch: match u64::try_from(said.max_batch_total_size_bytes) {
                Ok(limit @ 1..) => limit.min(MAX_BATCH),
                _ => MAX_BATCH,
            },
            max_blob: Some(said.max_cas_blob_size_bytes).filter(|max| *max > 0),
            zstd: said.supported_compressors.contains(&zstd),
            zstd_batches: said.supported_batch_update_compressors.contains(&zstd),
            takes_results: said
                .action_cache_update_capabilities
                .is_some_and(|results| results.update_enabled),
            symlinks: said.symlink_absolute_path_strategy,
        }
    }
}

/// A digest function's number on the wire.
pub(crate) fn number(function: Function) -> i32 {
    match function {
        Function::Sha256 => digest_function::Value::Sha256.into(),
        Function::Blake3 => digest_function::Value::Blake3.into(),
    }
}

#[cfg(test)]
mod tests {
    use onewriter_proto::reapi::CacheCapabilities;

    use super::*;

    fn of(cache: CacheCapabilities) -> Abilities {
        let cache_capabilities = Some(cache);
        Abilities::of(ServerCapabilities { cache_capabilities, ..Default::default() })
    }

    #[test]
    fn a_store_that_says_little_is_taken_for_the_least() {
        let said = of(CacheCapabilities::default());
        assert_eq!((said.functions, said.max_batch), (vec![Function::Sha256], MAX_BATCH));
        assert!(!said.zstd && !said.zstd_batches && !said.takes_results);
        assert_eq!(said.max_blob, None);
    }

    #[test]
    fn what_is_unknown_or_beyond_our_own_limits_is_left_out() {
        let said = of(CacheCapabilities {
            digest_functions: vec![2, 9, 77],
            max_batch_total_size_bytes: i64::MAX,
            supported_compressors: vec![0, 1],
            ..Default::default()
        });
        assert_eq!((said.functions, said.max_batch), (vec![Function::Blake3], MAX_BATCH));
        assert!(said.zstd && !said.zstd_batches);
        let small = of(CacheCapabilities { max_batch_total_size_bytes: 7, ..Default::default() });
        assert_eq!(small.max_batch, 7);
    }
}
