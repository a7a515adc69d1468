//! The environment of the steps of `cargo xtask test`: the tools on this machine, and the files in
//! this checkout.
//!
//! Looked up once before the first step, and passed on as plain data, so that a test can describe a
//! machine that has everything, or nothing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{Cmd, target_folder};
use crate::machine::Machine;
use crate::packages;
use crate::published::{Published, published};

/// What the steps need to know about the machine and the checkout.
#[derive(Debug)]
pub struct Site {
    pub rustfmt: bool,
    pub clippy: bool,
    pub nextest: bool,
    pub deny: bool,
    pub hack: bool,
    /// The published packages; `None` if the manifests cannot be read.
    pub published: Option<Published>,
    /// The oldest supported Rust is installed.
    pub oldest_rust: bool,
    pub nightly: bool,
    pub valgrind: bool,
    /// GTK is installed, so the package with the window can be built.
    pub gtk: bool,
    /// What is missing for the tests of the window.
    pub no_desk: Vec<String>,
    pub loom_models: bool,
    pub suppressions: bool,
    pub examples: Vec<String>,
    pub target: PathBuf,
}

/// What the window needs, by its name in `packages.toml`.
const GTK: &str = "GTK";

/// What the tests of the window need, by the names in `packages.toml`.
const DESK: [&str; 5] = ["Xvfb", "xdotool", "openbox", "AT-SPI", "D-Bus session"];

impl Site {
    /// Detects it.
    pub fn of(root: &Path) -> Self {
        let machine = Machine::this();
        let lacking = |names: &[&str]| {
            let needs = packages::all().into_iter().filter(|need| names.contains(&&*need.name));
            needs.filter(|need| !machine.meets(need)).map(|need| need.name).collect::<Vec<_>>()
        };
        let toolchain =
            |name: &str| Cmd::line("rustup run").arg(name).args(["cargo", "--version"]).succeeds();
        // Every other step fails on a bad manifest, and cargo explains it better than we could.
        let published = published(root).ok();
        Self {
            oldest_rust: published.as_ref().is_some_and(|it| toolchain(&it.rust)),
            published,
            nightly: toolchain("nightly"),
            hack: Cmd::line("cargo hack --version").succeeds(),
            gtk: has_gtk(&machine),
            no_desk: lacking(&DESK),
            rustfmt: Cmd::line("cargo fmt --version").succeeds(),
            clippy: Cmd::line("cargo clippy --version").succeeds(),
            nextest: Cmd::line("cargo nextest --version").succeeds(),
            deny: Cmd::line("cargo deny --version").succeeds(),
            valgrind: machine.has("valgrind"),
            loom_models: root.join("core/tests/loom.rs").is_file(),
            suppressions: root.join("strategies/valgrind.supp").is_file(),
            examples: examples(&root.join("strategies/examples")),
            target: target_folder(),
        }
    }
}

/// Whether GTK is installed.
pub fn has_gtk(machine: &Machine) -> bool {
    packages::all().iter().filter(|need| need.name == GTK).all(|need| machine.meets(need))
}

/// The names of the examples in a folder, sorted so that every run has the same order.
fn examples(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let files = entries.flatten().map(|entry| entry.path());
    let mut names: Vec<String> = files
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|file| file.file_stem()?.to_str().map(String::from))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_window_needs_is_in_the_list_of_packages() {
        let known: Vec<String> = packages::all().into_iter().map(|need| need.name).collect();
        for name in DESK.iter().chain(&[GTK]) {
            assert!(known.iter().any(|known| known == name), "{name}");
        }
    }
}
