//! `cargo xtask bench`: the cost of each strategy and of GAsyncResult calls, as ratios against what a
//! user would choose instead, and the speed of the model.
//!
//! Ratios within one run, because absolute times from two machines, or from one machine on two
//! days, cannot be compared.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::BenchArgs;
use crate::command::Cmd;
use crate::packages::Group;
use crate::setup;

/// Runs the task.
pub fn run(args: &BenchArgs) -> Result<ExitCode> {
    setup::ensure(&[Group::Build, Group::Test], &[Group::Build])?;
    ratios(args.quick).replace_process()
}

fn ratios(quick: bool) -> Cmd {
    let packages = "--package harness --package loopnest-tests";
    let cmd =
        Cmd::line(&format!("cargo bench {packages} --bench ratios --bench gasync --bench model"));
    if quick { cmd.args(["--", "--quick"]) } else { cmd }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_is_passed_to_the_benchmark_and_not_to_cargo() {
        let full = "cargo bench --package harness --package loopnest-tests --bench ratios \
                    --bench gasync --bench model";
        assert_eq!(ratios(false).to_string(), full);
        assert_eq!(ratios(true).to_string(), format!("{full} -- --quick"));
    }
}
