//! Has the linker lay out the client for its start-up.

fn main() {
    println!("cargo::rerun-if-changed=client/hot.ld");
    // Elsewhere it is linked dynamically, and starts slower than that would mend.
    if std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "musl") {
        let here = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where this is");
        println!("cargo::rustc-link-arg-bin=onewriter=-Wl,-T,{here}/client/hot.ld");
    }
}
