//! Switches `src/sync.rs` to loom's types, for this crate alone.

fn main() {
    println!("cargo:rustc-cfg=otlp_loom");
    println!("cargo:rerun-if-changed=build.rs");
}
