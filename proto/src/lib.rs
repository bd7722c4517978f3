//! The wire protocol: messages, services, and the one border between them and the core's
//! vocabulary.
//!
//! `v1` is generated from `onewriter/v1/*.proto`, which are the protocol's documentation.

pub mod address;
pub mod convert;
pub mod traceparent;

/// Version 1 of the protocol, generated from `onewriter/v1/*.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated; the .proto files are the documentation"
)]
pub mod v1 {
    include!("gen/onewriter.v1.rs");
}

/// What the daemon serves of the Remote Execution API, generated from `build/` and `google/`. The
/// modules are nested as the packages are, since the generated code counts on it.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated; the .proto files are the documentation"
)]
pub mod standard {
    pub mod build {
        pub mod bazel {
            pub mod remote {
                pub mod execution {
                    pub mod v2 {
                        include!("gen/build.bazel.remote.execution.v2.rs");
                    }
                }
            }
            pub mod semver {
                include!("gen/build.bazel.semver.rs");
            }
        }
    }
    pub mod google {
        pub mod bytestream {
            include!("gen/google.bytestream.rs");
        }
        pub mod rpc {
            include!("gen/google.rpc.rs");
        }
    }
}

/// How spans are handed over, generated from `opentelemetry/`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated; the .proto files are the documentation"
)]
pub mod otlp {
    include!("gen/opentelemetry.proto.collector.trace.v1.rs");
}

pub use standard::{
    build::bazel::remote::execution::v2 as reapi,
    google::{self, bytestream},
};

/// What is asked of etcd, generated from `etcd/`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated; the .proto files are the documentation"
)]
pub mod etcd {
    pub mod etcdserverpb {
        include!("gen/etcdserverpb.rs");
    }
    pub mod mvccpb {
        include!("gen/mvccpb.rs");
    }
}

/// The compiled `FileDescriptorSet` of the protocol, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!("gen/descriptor.bin");

/// Clients and daemons of the same number understand each other. It grows with every change that
/// an older peer would misunderstand.
pub const PROTOCOL: u32 = 1;

/// The metadata key in which a client says its protocol number.
pub const PROTOCOL_KEY: &str = "onewriter-protocol";

/// The domain of every `google.rpc.ErrorInfo` that the daemon sends.
pub const ERROR_DOMAIN: &str = "onewriter";
