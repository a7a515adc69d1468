//! The command line: every task, its options, and the text of `--help`.
//!
//! Kept apart from the code that does the work, so that the whole interface fits on one page.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::packages::Group;
use crate::steps::Step;
use crate::suite::Suite;

const EXAMPLES: &str = "\
Start here:
  cargo xtask run --strategy nested    install what is missing, then run every scenario
  cargo xtask demo                     see in a window whether a dialog stops the async side
  cargo xtask test                     everything that CI runs

Exit codes:
  0  done
  1  a step failed, or a generated table is stale
  2  wrong usage, or an unknown name
  5  this machine lacks a package that could not be installed
`run`, `demo`, `bench` and `compat` end with the exit code of the program that they start.";

/// Set-up and chores for the loopnest workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub task: Task,
}

// Each task is documented on its arguments below; a line here would hide that text from `--help`.
#[derive(Debug, Subcommand)]
pub enum Task {
    Setup(SetupArgs),
    Run(RunArgs),
    Demo(DemoArgs),
    Test(TestArgs),
    Compat(CompatArgs),
    Deep(DeepArgs),
    Loom(LoomArgs),
    Mutants(MutantsArgs),
    Bench(BenchArgs),
    Readme(ReadmeArgs),
    Package(PackageArgs),
    Steady(SteadyArgs),
}

/// Install the system packages that are missing.
///
/// Looks for a C compiler, pkg-config, GLib and GTK, and for the tools that some tests need.
/// Installs what is missing with apt-get, dnf, pacman or brew, through sudo where needed. If
/// nothing is missing, it runs nothing. xtask/packages.toml lists the packages.
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// Print the commands, one per line, and run none
    #[arg(long)]
    pub dry_run: bool,

    /// Only the packages of this group (repeatable) [default: all]
    #[arg(long, value_name = "GROUP")]
    pub group: Vec<Group>,
}

/// Set up, then run the harness with the arguments given here.
///
/// Installs what the build needs, then becomes `cargo run --quiet --package harness -- ARGS` in the
/// current folder, so that exit code, signals and streams are the harness's own.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Arguments for the harness, passed on unchanged (`cargo xtask run -- --help` for its help)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub args: Vec<OsString>,
}

/// Set up, then open the demo's window.
///
/// Installs what the build and the window need, then becomes `cargo run --package gui-demo -- ARGS`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Arguments for the demo, passed on unchanged (`cargo xtask demo -- --help` for its help)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub args: Vec<OsString>,
}

/// Set up, then run every step that CI runs.
///
/// Continues after a failed step, so that one run shows every failure, and ends with a table. A
/// step that cannot run on this machine is shown as skipped, with the reason and the remedy.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Install nothing; steps whose tools are missing are skipped or fail
    #[arg(long)]
    pub no_setup: bool,

    /// Print the steps and their commands, and run none
    #[arg(long)]
    pub list: bool,

    /// Only this step (repeatable)
    #[arg(long, value_name = "STEP")]
    pub only: Vec<Step>,

    /// All steps except this one (repeatable; the same names)
    #[arg(long, value_name = "STEP", hide_possible_values = true)]
    pub skip: Vec<Step>,
}

/// Run the steps of CI on another Debian, with its own GLib and GTK, in a chroot.
///
/// Makes the chroot with debootstrap, installs there what packages.toml lists, and becomes `cargo
/// xtask test` inside, so that the table and the exit code are that command's own. Needs root (or
/// sudo), `apt-get install debootstrap`, Rust from rustup, and 8 GB of free space for each suite.
///
/// FOLDER/SUITE has the chroot (`root`), what was built in it (`target`) and a script (`enter`).
/// They are kept, so that the next run takes as long as the steps alone. `enter` runs a command in
/// the chroot, and a shell if none is given. All mounts are in a namespace of their own and end with
/// it, whatever is killed: the folder can be removed like any other.
///
/// Rust's toolchains and the crates come from this machine, which nothing inside can change; only
/// what the registry here lacks is downloaded. The checkout is this one, at the same path.
#[derive(Debug, Args)]
pub struct CompatArgs {
    /// The Debian to run on
    #[arg(value_name = "SUITE")]
    pub suite: Suite,

    /// Keep the chroots there [default: target/compat]
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,

    /// Where Debian's packages come from [default: the mirror in /etc/apt, else deb.debian.org]
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,

    /// Make the chroot anew, such as for a newer sid; what was built is kept
    #[arg(long)]
    pub fresh: bool,

    /// Print the commands, and run none
    #[arg(long)]
    pub list: bool,

    /// Only this step of `cargo xtask test` (repeatable)
    #[arg(long, value_name = "STEP")]
    pub only: Vec<Step>,

    /// All steps except this one (repeatable; the same names)
    #[arg(long, value_name = "STEP", hide_possible_values = true)]
    pub skip: Vec<Step>,
}

/// Set up, then run the tests' random searches with far more cases, such as overnight.
///
/// Runs random programs on the model of GLib and on GLib itself, and on every strategy. CI runs the
/// same tests with few cases. A program that fails is shrunk and printed, and its seed is saved
/// beside the test; commit it. Ends with a table.
#[derive(Debug, Args)]
pub struct DeepArgs {
    /// Cases of the model against GLib; the strategies on the real loops get a fifth as many
    #[arg(long, value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub cases: u32,

    /// Print the commands, and run none
    #[arg(long)]
    pub list: bool,
}

/// Search the cross-thread protocols for an order of steps that breaks them.
///
/// Runs the models of core/tests/loom.rs under loom, each in a separate process. Ends with a table
/// that shows whether each search was *exhausted*, or *bounded* by a number of preemptions, and how
/// many executions it took. Fails if a model fails, or if a mutant (a protocol broken on purpose)
/// is not caught.
#[derive(Debug, Args)]
pub struct LoomArgs {
    /// The most preemptions, for a search that takes too long without a bound [default: 4, quick:
    /// 3]
    #[arg(long, value_name = "N")]
    pub preemptions: Option<u32>,

    /// The most executions of a search without a bound; one with a bound may take four times as
    /// many [default: 30000, quick: 5000]
    #[arg(long, value_name = "N")]
    pub executions: Option<u32>,

    /// Only models whose names contain this, such as `depth` or `baton::mutant`
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,

    /// Use the narrow bounds of CI
    #[arg(long)]
    pub quick: bool,
}

/// Print the table of mutants and what caught them.
///
/// A mutant is a protocol or a strategy broken on purpose. This runs the tests that catch them, and
/// each mutant becomes a row. The table is in PROTOCOLS.md, between the lines
/// `<!-- BEGIN mutants -->` and `<!-- END mutants -->`.
#[derive(Debug, Args)]
pub struct MutantsArgs {
    /// Change nothing; fail if the table in PROTOCOLS.md does not match the tests
    #[arg(long)]
    pub check: bool,

    /// Write the table into PROTOCOLS.md
    #[arg(long, conflicts_with = "check")]
    pub record: bool,
}

/// Set up, then measure strategies against plain tokio, GAsyncResult calls against other ways to
/// make them, and the model's speed in programs per second.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Fewer samples: good enough to look at, not to publish
    #[arg(long)]
    pub quick: bool,
}

/// Write the recorded matrix into README.md and the paper, and the rules into METHODOLOGY.md.
///
/// Each goes between two lines such as `<!-- BEGIN matrix -->` and `<!-- END matrix -->`. The
/// matrix is generated from papers/stall-or-spin/matrix.json, and the rules from the harness's
/// catalogue, so nobody types either by hand.
#[derive(Debug, Args)]
pub struct ReadmeArgs {
    /// Change nothing; fail if a document does not match what the harness prints
    #[arg(long)]
    pub check: bool,

    /// Measure the whole matrix again first, and record it
    #[arg(long, conflicts_with = "check")]
    pub record: bool,

    /// A harness that is already built, in place of `cargo run --package harness`
    #[arg(long, value_name = "FILE")]
    pub harness: Option<PathBuf>,
}

/// Pack the published packages, unpack them outside the workspace, and compile them there.
///
/// A package is published unless its manifest says `publish = false`. Everything happens in
/// target/package and target/outside.
#[derive(Debug, Args)]
pub struct PackageArgs {
    /// Use the oldest Rust and the lowest versions that the manifests promise
    ///
    /// Finding the lowest versions needs a nightly toolchain.
    #[arg(long)]
    pub oldest: bool,
}

/// Run the matrix beside other work, again and again, and count the wrong verdicts.
///
/// Prints for each load how many cells were judged, how many verdicts were wrong or inconclusive, and
/// how many cells had to be run again. Twenty runs take half an hour and more. Each is saved in
/// target/steady.json, and the next call goes on there. Fails if a verdict was wrong.
#[derive(Debug, Args)]
pub struct SteadyArgs {
    /// Runs of the whole matrix beside each load
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,

    /// Numbers of processes that never sleep; 0 is a quiet machine
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [0, 4, 12],
          value_parser = clap::value_parser!(u32).range(..=1000))]
    pub busy: Vec<u32>,

    /// A shell command that runs meanwhile, again and again, such as a clean build elsewhere
    #[arg(long, value_name = "COMMAND")]
    pub beside: Vec<String>,

    /// Keep the results there [default: target/steady.json]
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,

    /// Forget what was found before
    #[arg(long)]
    pub fresh: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    fn harness_args(line: &[&str]) -> Vec<OsString> {
        let line = ["xtask", "run"].iter().chain(line);
        match Cli::try_parse_from(line).expect("the line is valid").task {
            Task::Run(run) => run.args,
            other => panic!("parsed as {other:?}"),
        }
    }

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_passes_its_arguments_on_verbatim() {
        for line in [
            &["--strategy", "nested"][..],
            &["-s", "nested", "--", "-x"],
            &["list", "--help"],
            &["-snested", "--version", "-h"],
            &["explain", "nested/idle", "--color=never", ""],
            &[],
        ] {
            assert_eq!(harness_args(line), line, "{line:?}");
        }
    }

    #[test]
    fn run_takes_a_leading_double_dash_as_its_own() {
        assert_eq!(harness_args(&["--", "--help"]), ["--help"]);
    }

    #[test]
    fn unknown_step_names_the_nearest_and_is_a_usage_error() {
        let error = Cli::try_parse_from(["xtask", "test", "--only", "clipy"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidValue);
        assert_eq!(error.exit_code(), 2);
        let message = error.to_string();
        assert!(message.contains("a similar value exists: 'clippy'"), "{message}");
        assert!(message.contains("doc-tests"), "{message}");
    }

    #[test]
    fn a_check_cannot_record() {
        let error = Cli::try_parse_from(["xtask", "readme", "--check", "--record"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ArgumentConflict);
    }
}
