//! Does nothing: cargo requires a build script in a package that has a `links` key.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
