//! Does nothing: cargo wants a build script of whoever says `links`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
