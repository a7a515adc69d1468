//! The command line: what may be asked.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::report::Format;

/// Exit codes, for `--help` and the documentation.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    every cell did what the expectation file says (known stalls included)
  1    at least one cell surprised (or whatever --fail-on names)
  2    wrong usage, an unknown name, an unreadable file
  3    nothing surprised, but at least one cell is inconclusive
  4    the selection ran no cell
  5    this machine cannot measure (a planted subject was misjudged)
  70   the harness itself failed
  130  interrupted; what was found so far is printed, marked partial";

/// Run GLib-and-tokio strategies against scenarios and say what happened.
#[derive(Debug, Parser)]
#[command(
    name = "harness",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "No command means `run`.\n\nExamples:\n  \
        harness --strategy nested                    one strategy, every scenario\n  \
        harness -s all -n 5                          the matrix, five repeats\n  \
        harness -s 'nested*' -c 'dialog-*'           globs; !PATTERN leaves out\n  \
        harness explain nested/dialog-from-callback  why one cell got its verdict\n\n\
        `harness help run` lists the exit codes."
)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the matrix, or the part of it you select
    #[command(after_help = EXIT_CODES)]
    Run(Box<RunArgs>),
    /// List strategies, scenarios, verdicts and rules, with what each means
    List(ListArgs),
    /// Run one cell and say why it got its verdict, with the evidence
    Explain(CellArgs),
    /// Run one cell again and say whether the verdict is what it was
    Replay(ReplayArgs),
    /// Print a stored run (JSON) again, in any format
    Report(ReportArgs),
    /// Can this machine measure? Run the planted subjects, whose verdicts are known
    Doctor(DoctorArgs),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Run one cell in this process; the harness starts itself with this
    #[command(hide = true)]
    Cell(ChildArgs),
}

/// What to run, and what to do with what was found.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Strategies: names, globs, `!glob` to leave out, or `all`
    #[arg(short, long, value_name = "GLOB", help_heading = "Select")]
    pub strategy: Vec<String>,
    /// Scenarios: names, globs, `!glob` to leave out, or `all`
    #[arg(short = 'c', long, value_name = "GLOB", help_heading = "Select")]
    pub scenario: Vec<String>,
    /// How often each cell is run
    #[arg(short = 'n', long, default_value_t = 1, env = "HARNESS_REPEAT",
          value_parser = clap::value_parser!(u32).range(1..), help_heading = "Repeat")]
    pub repeat: u32,
    /// What the order is shuffled with, in hexadecimal
    #[arg(long, value_name = "HEX", default_value = "5eed", env = "HARNESS_SEED",
          value_parser = parse_seed, help_heading = "Repeat")]
    pub seed: u64,
    /// Cells at a time; one per processor by default
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024),
          help_heading = "Repeat")]
    pub jobs: Option<u16>,
    /// How to print what was found
    #[arg(short, long, value_enum, default_value_t = Format::Human, help_heading = "Output")]
    pub format: Format,
    /// Write it to a file instead of stdout
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// With every repeat's judgement (json and jsonl)
    #[arg(long, help_heading = "Output")]
    pub full: bool,
    /// Write a Chrome trace of the first repeat of each cell; opens in Perfetto
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub timeline: Option<PathBuf>,
    /// When to use colour; NO_COLOR and CLICOLOR_FORCE are heard
    #[arg(long, value_enum, default_value_t = When::Auto, help_heading = "Output")]
    pub color: When,
    /// How to show progress on stderr
    #[arg(long, value_enum, default_value_t = ProgressKind::Auto, help_heading = "Output")]
    pub progress: ProgressKind,
    /// What each cell is expected to do; `none` expects nothing. Built in by default
    #[arg(long, value_name = "FILE", help_heading = "Judge")]
    pub expect: Option<PathBuf>,
    /// Write what was found into the expectation file, keeping cells that were not run
    #[arg(long, requires = "expect", help_heading = "Judge")]
    pub write_expectations: bool,
    /// What makes the exit code 1
    #[arg(long, value_enum, default_value_t = FailOn::Unexpected, help_heading = "Judge")]
    pub fail_on: FailOn,
    /// Print what would be run, and run nothing
    #[arg(long, help_heading = "Select")]
    pub dry_run: bool,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How to show progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProgressKind {
    /// A bar on a terminal, nothing elsewhere.
    Auto,
    /// A bar.
    Bar,
    /// A line for each cell.
    Plain,
    /// Nothing.
    None,
}

/// What makes the exit code 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// A verdict other than the expected one.
    Unexpected,
    /// Repeats that disagree, too.
    Mixed,
    /// An inconclusive cell, too.
    Inconclusive,
    /// Any bad verdict, expected or not.
    Bad,
    /// Nothing.
    Never,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// What to list
    #[arg(value_enum, default_value_t = ListWhat::All)]
    pub what: ListWhat,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListWhat {
    All,
    Strategies,
    Scenarios,
    Verdicts,
    Rules,
}

#[derive(Debug, Args)]
pub(crate) struct CellArgs {
    /// STRATEGY/SCENARIO
    pub cell: CellId,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// STRATEGY/SCENARIO
    pub cell: CellId,
    /// The verdict to be seen again, such as `stall+busy-loop`; the expected one by default
    #[arg(long, value_name = "WORDS")]
    pub verdict: Option<String>,
    /// How often
    #[arg(short = 'n', long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// Seed of the run that is replayed; it only decides the order, and there is one cell
    #[arg(long, value_name = "HEX", default_value = "5eed", value_parser = parse_seed)]
    pub seed: u64,
    /// Write a Chrome trace; opens in Perfetto
    #[arg(long, value_name = "FILE")]
    pub timeline: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// A run stored with `--format json`
    pub file: PathBuf,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// When to use colour
    #[arg(long, value_enum, default_value_t = When::Auto)]
    pub color: When,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// How often each planted subject is judged
    #[arg(short = 'n', long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
}

#[derive(Debug, Args)]
pub(crate) struct ChildArgs {
    #[arg(long)]
    pub strategy: String,
    #[arg(long)]
    pub scenario: String,
    #[arg(long)]
    pub page: PathBuf,
    #[arg(long)]
    pub parent: u32,
}

/// `STRATEGY/SCENARIO`.
#[derive(Clone, Debug)]
pub(crate) struct CellId {
    pub strategy: String,
    pub scenario: String,
}

impl std::str::FromStr for CellId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((strategy, scenario)) if !strategy.is_empty() && !scenario.is_empty() => {
                Ok(Self { strategy: strategy.to_owned(), scenario: scenario.to_owned() })
            }
            _ => Err("expected STRATEGY/SCENARIO, such as nested/dialog-quiet".to_owned()),
        }
    }
}

fn parse_seed(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text.trim_start_matches("0x"), 16)
        .map_err(|_| "expected a number in hexadecimal, such as 5eed".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
