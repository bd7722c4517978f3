//! The generated code that is checked in is what the .proto files say.
//!
//! `UPDATE_GENERATED=1 cargo test -p onewriter-proto --test generated` writes it anew.

use std::{env, fs, path::Path};

use prost::Message as _;
use prost_types::FileDescriptorSet;

#[test]
#[allow(clippy::disallowed_methods, reason = "writes generated source, not a build tree")]
fn generated_code_is_current() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = tempfile::tempdir().unwrap();
    generate(home, fresh.path());
    let packages = [
        "onewriter.v1.rs",
        "build.bazel.remote.execution.v2.rs",
        "build.bazel.semver.rs",
        "google.bytestream.rs",
        "google.rpc.rs",
        "opentelemetry.proto.collector.trace.v1.rs",
        "etcdserverpb.rs",
        "mvccpb.rs",
    ];
    for name in packages.into_iter().chain(["descriptor.bin"]) {
        let (new, old) = (fresh.path().join(name), home.join("src/gen").join(name));
        if env::var_os("UPDATE_GENERATED").is_some() {
            fs::copy(&new, &old).unwrap();
        }
        assert!(
            fs::read(&new).unwrap() == fs::read(&old).unwrap_or_default(),
            "{name} is out of date: UPDATE_GENERATED=1 cargo test -p onewriter-proto --test generated"
        );
    }
}

fn generate(home: &Path, out: &Path) {
    let services = ["mutations", "reading", "administration", "transactions", "leases", "builds"];
    let files = services.map(|name| format!("onewriter/v1/{name}.proto"));
    let standard = [
        "build/bazel/remote/execution/v2/remote_execution.proto",
        "google/bytestream/bytestream.proto",
    ];
    let files = files.into_iter().chain(standard.map(str::to_owned));
    let descriptors = protox::compile(files, [home]).expect("the .proto files compile");
    #[allow(clippy::disallowed_methods, reason = "writes generated source, not a build tree")]
    fs::write(out.join("descriptor.bin"), descriptors.encode_to_vec()).unwrap();
    compile(descriptors, out);
    // Not served, and so in no descriptor by which clients find what is.
    for file in ["etcd/rpc.proto", "opentelemetry/proto/collector/trace/v1/trace_service.proto"] {
        compile(protox::compile([file], [home]).expect("the .proto file compiles"), out);
    }
}

fn compile(descriptors: FileDescriptorSet, out: &Path) {
    let tonic_only = "#[cfg(feature = \"tonic\")]";
    tonic_prost_build::configure()
        .out_dir(out)
        .bytes(".onewriter.v1.PublishStreamRequest.chunk")
        .bytes(".onewriter.v1.ReadFileResponse.chunk")
        .bytes(".onewriter.v1.RemoteRequest.chunk")
        .bytes(".google.bytestream")
        .bytes(".build.bazel.remote.execution.v2")
        .btree_map(".")
        .build_transport(false)
        .server_mod_attribute(".", tonic_only)
        .client_mod_attribute(".", tonic_only)
        .compile_fds(descriptors)
        .unwrap();
}
