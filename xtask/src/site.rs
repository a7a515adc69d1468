//! What the steps of `cargo xtask test` find: the tools of this machine, the files of this checkout.
//!
//! Looked up once, before the first step, and passed on as plain data: a test can then make up a
//! machine that has everything, or nothing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{Cmd, target_folder};
use crate::machine::Machine;

/// What the steps need to know about the machine and the checkout.
#[derive(Debug)]
pub struct Site {
    pub rustfmt: bool,
    pub clippy: bool,
    pub nextest: bool,
    pub deny: bool,
    pub valgrind: bool,
    pub loom_models: bool,
    pub suppressions: bool,
    pub examples: Vec<String>,
    pub target: PathBuf,
}

impl Site {
    /// Looks around.
    pub fn of(root: &Path) -> Self {
        Self {
            rustfmt: Cmd::line("cargo fmt --version").succeeds(),
            clippy: Cmd::line("cargo clippy --version").succeeds(),
            nextest: Cmd::line("cargo nextest --version").succeeds(),
            deny: Cmd::line("cargo deny --version").succeeds(),
            valgrind: Machine::this().has("valgrind"),
            loom_models: root.join("core/tests/loom.rs").is_file(),
            suppressions: root.join("strategies/valgrind.supp").is_file(),
            examples: examples(&root.join("strategies/examples")),
            target: target_folder(),
        }
    }
}

/// The names of the examples in a folder, sorted: each run must show them in the same order.
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
