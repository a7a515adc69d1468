//! The command that runs the models of the protocols under loom, and how wide it searches.
//!
//! `cargo xtask loom`, a step of `cargo xtask test` and the table of mutants all run it.

use crate::command::Cmd;

/// How wide the searches are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width {
    /// The most preemptions of a search with a bound.
    pub preemptions: u32,
    /// The most executions of a search without one.
    pub executions: u32,
}

/// For CI.
pub const QUICK: Width = Width { preemptions: 3, executions: 5_000 };

/// For about a lunch break.
pub const DEEP: Width = Width { preemptions: 4, executions: 30_000 };

/// The command, for all models or for those with `model` in their names.
///
/// It uses a separate target folder: its flags would discard everything built so far, and the next
/// step would build it again.
pub fn command(width: Width, model: Option<&str>) -> Cmd {
    let cmd = Cmd::line(
        "cargo test --release --package loopnest-core --features lab --test loom \
         --target-dir target/loom",
    )
    .env("RUSTFLAGS", "--cfg loopnest_loom")
    .env("LOOM_MAX_PREEMPTIONS", &width.preemptions.to_string())
    .env("LOOM_MAX_PERMUTATIONS", &width.executions.to_string());
    match model {
        Some(model) => cmd.args(["--", model]),
        None => cmd,
    }
}
