//! `cargo xtask loom`: the cross-thread protocols, in more orders than CI has time for.
//!
//! The same program as in CI, `core/tests/loom.rs`, with wider bounds. It runs each model in a
//! separate process and ends with a table. It fails if a model fails or a mutant is not caught.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::LoomArgs;
use crate::command::workspace;
use crate::protocols::{DEEP, QUICK, Width, command};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_are_built_separately_with_their_own_cfg() {
        let line = "RUSTFLAGS='--cfg loopnest_loom' LOOM_MAX_PREEMPTIONS=3 \
                    LOOM_MAX_PERMUTATIONS=5000 cargo test --release --package loopnest-core \
                    --features lab --test loom --target-dir target/loom";
        assert_eq!(command(QUICK, None).to_string(), line);
        assert_eq!(command(QUICK, Some("depth")).to_string(), format!("{line} -- depth"));
    }

    #[test]
    fn setting_one_bound_leaves_the_other_unchanged() {
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
