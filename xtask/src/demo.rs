//! `cargo xtask demo`: the demo's window, from a fresh clone, in one command.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use crate::cli::DemoArgs;
use crate::command::{Cmd, target_folder, workspace};
use crate::packages::Group;
use crate::setup;

/// Runs the task.
pub fn run(args: DemoArgs) -> Result<ExitCode> {
    let groups = [Group::Build, Group::Demo];
    setup::ensure(&groups, &groups)?;
    if !workspace().join(target_folder()).join("debug/gui-demo").exists() {
        // Cargo runs with `--quiet` below, and the first build takes a while.
        eprintln!("building the demo; the first build takes a few minutes");
    }
    // In the current folder: the arguments may name files relative to it.
    demo(args.args).replace_process()
}

fn demo(args: Vec<OsString>) -> Cmd {
    Cmd::line("cargo run --quiet --package gui-demo --").args(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_follow_the_double_dash() {
        let cmd = demo(vec!["--strategy".into(), "nested".into()]);
        let shown = "cargo run --quiet --package gui-demo -- --strategy nested";
        assert_eq!(cmd.to_string(), shown);
    }
}
