//! `cargo xtask loom`: the protocols that cross threads, in more orders than CI has time for.
//!
//! The same program as in CI, `core/tests/loom.rs`, with wider bounds. It runs each model in a process
//! of its own and ends with the table; a model that fails, or a mutant that is not caught, fails it.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::LoomArgs;
use crate::command::{Cmd, workspace};

/// How wide the searches are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width {
    /// The most preemptions of a search with a bound.
    pub preemptions: u32,
    /// The most executions of a search without one.
    pub executions: u32,
}

/// As CI has time for.
pub const QUICK: Width = Width { preemptions: 3, executions: 5_000 };

/// As a lunch break has time for.
const DEEP: Width = Width { preemptions: 4, executions: 30_000 };

/// Runs the task.
pub fn run(args: &LoomArgs) -> Result<ExitCode> {
    let cmd = command(width(args), args.model.as_deref());
    eprintln!("==> loom: {cmd}");
    let status = cmd.status(&workspace())?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn width(args: &LoomArgs) -> Width {
    let width = if args.quick { QUICK } else { DEEP };
    Width {
        preemptions: args.preemptions.unwrap_or(width.preemptions),
        executions: args.executions.unwrap_or(width.executions),
    }
}

/// The command, for all models or for those with a certain word in their name.
///
/// A target folder of its own: the flags would throw away everything built so far, and the next
/// step would build it again.
pub fn command(width: Width, model: Option<&str>) -> Cmd {
    let cmd = Cmd::line(
        "cargo test --release --package loopnest-core --test loom --target-dir target/loom",
    )
    .env("RUSTFLAGS", "--cfg loopnest_loom")
    .env("LOOM_MAX_PREEMPTIONS", &width.preemptions.to_string())
    .env("LOOM_MAX_PERMUTATIONS", &width.executions.to_string());
    match model {
        Some(model) => cmd.args(["--", model]),
        None => cmd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_are_built_apart_under_their_own_cfg() {
        let line = "RUSTFLAGS='--cfg loopnest_loom' LOOM_MAX_PREEMPTIONS=3 \
                    LOOM_MAX_PERMUTATIONS=5000 cargo test --release --package loopnest-core \
                    --test loom --target-dir target/loom";
        assert_eq!(command(QUICK, None).to_string(), line);
        assert_eq!(command(QUICK, Some("depth")).to_string(), format!("{line} -- depth"));
    }

    #[test]
    fn a_bound_of_ones_own_leaves_the_other_as_it_is() {
        let args = |quick, preemptions, executions| LoomArgs {
            preemptions,
            executions,
            model: None,
            quick,
        };
        assert_eq!(width(&args(true, Some(7), None)), Width { preemptions: 7, ..QUICK });
        assert_eq!(width(&args(false, None, Some(9))), Width { executions: 9, ..DEEP });
        assert_eq!(width(&args(false, None, None)), DEEP);
    }
}
