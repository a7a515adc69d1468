//! `cargo xtask run`: the main job from a fresh clone, in one command.
//!
//! After the set-up this process becomes cargo, which becomes the harness, so that exit codes,
//! signals and streams are the harness's own and a script cannot tell the difference.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use crate::cli::RunArgs;
use crate::command::{Cmd, target_folder, workspace};
use crate::packages::Group;
use crate::setup;

/// Runs the task.
pub fn run(args: RunArgs) -> Result<ExitCode> {
    setup::ensure(&[Group::Build], &[Group::Build])?;
    if !workspace().join(target_folder()).join("debug/harness").exists() {
        // Cargo runs with `--quiet` below, and the first build takes a while.
        eprintln!("building the harness; the first build takes a few minutes");
    }
    // In the current folder: the arguments may name files relative to it.
    harness(args.args).replace_process()
}

fn harness(args: Vec<OsString>) -> Cmd {
    Cmd::line("cargo run --quiet --package harness --").args(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_follow_the_double_dash() {
        let cmd = harness(vec!["--strategy".into(), "nested".into()]);
        let shown = "cargo run --quiet --package harness -- --strategy nested";
        assert_eq!(cmd.to_string(), shown);
    }
}
