//! The command line: the arguments and their help.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use loopnest_core::Word;

use crate::called::Called;
use crate::formats::Format;
use crate::values::{Subject, rule, seed, wanted};

/// Exit codes of `run`, for its help.
const EXIT_CODES: &str = "\
Exit codes:
  0    every cell did what the expectation file says (known stalls included)
  1    at least one cell was unexpected (or what --fail-on names)
  2    wrong usage, an unknown name, a file that cannot be read or written
  3    no cell was unexpected, but at least one is inconclusive
  4    the selection has no cell
  5    this machine cannot measure (a planted subject was misjudged)
  70   the harness itself failed
  130  interrupted; the results so far are printed, marked partial";

/// Exit codes of `explore`.
const EXPLORE_CODES: &str = "\
It searches on the model of the strategy, and runs what it finds on the real loops.
The same seed finds the same program.

Exit codes:
  0    found, and the real loops agree
  1    found, but the real loops disagree: the model is wrong there
  2    wrong usage, an unknown name, a strategy without a model
  3    found, but the run on the real loops is inconclusive
  4    nothing found
  70   the harness itself failed
  130  interrupted; the best find so far is printed and saved";

/// Exit codes of `replay`.
const REPLAY_CODES: &str = "\
Exit codes:
  0    the verdict was seen again
  1    it was not
  2    wrong usage, an unknown name, a file that cannot be read or written
  3    inconclusive
  70   the harness itself failed
  130  interrupted";

/// Run GLib-and-tokio strategies against scenarios and say what happened.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// The command line of a program that was called like this.
pub fn command(called: &Called) -> clap::Command {
    let lines = [
        (&["--strategy", "nested"][..], "one strategy, every scenario"),
        (&["-s", "all", "-n", "5"], "the matrix, five repeats"),
        (&["-s", "nested*", "-c", "dialog-*"], "globs; !GLOB leaves out"),
        (&["explain", "nested/dialog-from-callback"], "why one cell got its verdict"),
        (&["explore", "--strategy", "nested"], "find a program that it fails on"),
    ];
    let lines = lines.map(|(words, what)| {
        let line = called.line(words.iter().copied());
        format!("  {what}:\n      {line}\n")
    });
    let codes = called.line(["help", "run"]);
    Cli::command().name(called.name().to_owned()).bin_name(called.to_string()).after_help(format!(
        "No command means `run`.\n\nExamples:\n{}\n`{codes}` lists the exit codes.",
        lines.concat()
    ))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the matrix, or the part of it you select
    #[command(after_help = EXIT_CODES)]
    Run(Box<RunArgs>),
    /// List strategies, scenarios, verdicts and rules, and what each means
    List(ListArgs),
    /// Run one cell or counterexample and say why it got its verdict, with the evidence
    Explain(ExplainArgs),
    /// Search for a program with a bad verdict, and shrink it
    #[command(after_help = EXPLORE_CODES)]
    Explore(ExploreArgs),
    /// Run one cell or counterexample again and compare the verdict
    #[command(after_help = REPLAY_CODES)]
    Replay(ReplayArgs),
    /// Print a stored run (JSON) in any format
    Report(ReportArgs),
    /// Check that this machine can measure: run the planted subjects, whose verdicts are known
    Doctor(DoctorArgs),
    /// Print completions for a shell, with the names of strategies and scenarios
    Completions {
        /// Which shell; elvish and powershell get no names
        shell: Shell,
    },
    /// Run one cell in this process; the harness starts itself this way
    #[command(hide = true)]
    Cell(ChildArgs),
    /// Kill what cells leave behind when the harness is killed; the harness starts itself this way
    #[command(hide = true)]
    Keep,
}

/// What to run, and what to do with the results.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Strategies: names, globs, `!glob` to leave out, or `all`
    #[arg(short, long, value_name = "GLOB", help_heading = "Select")]
    pub strategy: Vec<String>,
    /// Scenarios: names, globs, `!glob` to leave out, or `all`
    #[arg(short = 'c', long, value_name = "GLOB", help_heading = "Select")]
    pub scenario: Vec<String>,
    /// How many times to run each cell
    #[arg(short = 'n', long, default_value_t = 1, env = "HARNESS_REPEAT",
          value_parser = clap::value_parser!(u32).range(1..), help_heading = "Repeat")]
    pub repeat: u32,
    /// Seed of the order of the cells, in hexadecimal
    #[arg(long, value_name = "HEX", default_value = "5eed", env = "HARNESS_SEED",
          value_parser = seed, help_heading = "Repeat")]
    pub seed: u64,
    /// How many cells to run at a time; one per processor by default
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024),
          help_heading = "Repeat")]
    pub jobs: Option<u16>,
    /// Format of the results
    #[arg(short, long, value_enum, default_value_t = Format::Human, help_heading = "Output")]
    pub format: Format,
    /// Write the results to a file instead of stdout
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Include the judgement of every repeat (json and jsonl)
    #[arg(long, help_heading = "Output")]
    pub full: bool,
    /// Write a Chrome trace of the first repeat of each cell; opens in Perfetto
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub timeline: Option<PathBuf>,
    /// When to use colour; NO_COLOR and CLICOLOR_FORCE count too
    #[arg(long, value_enum, default_value_t = When::Auto, help_heading = "Output")]
    pub color: When,
    /// How to show progress on stderr
    #[arg(long, value_enum, default_value_t = ProgressKind::Auto, help_heading = "Output")]
    pub progress: ProgressKind,
    /// File of expected verdicts; `none` expects nothing. Built in by default
    #[arg(long, value_name = "FILE", help_heading = "Judge")]
    pub expect: Option<PathBuf>,
    /// Write the verdicts into the expectation file; cells that were not run stay as they are
    #[arg(long, requires = "expect", help_heading = "Judge")]
    pub write_expectations: bool,
    /// What makes the exit code 1
    #[arg(long, value_enum, default_value_t = FailOn::Unexpected, help_heading = "Judge")]
    pub fail_on: FailOn,
    /// Print the cells that would run, and run nothing
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
    /// An unexpected verdict.
    Unexpected,
    /// Also repeats that disagree.
    Mixed,
    /// Also an inconclusive cell.
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
    /// Only this one, in full
    pub name: Option<String>,
    /// Format of the list; `markdown` is for rules only
    #[arg(short, long, value_enum, default_value_t = ListFormat::Human)]
    pub format: ListFormat,
    /// The same as `--format json`
    #[arg(long, hide = true, conflicts_with = "format")]
    pub json: bool,
    /// The same as `--format markdown`
    #[arg(long, hide = true, conflicts_with_all = ["format", "json"])]
    pub markdown: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListWhat {
    All,
    Strategies,
    Scenarios,
    Verdicts,
    Rules,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    Human,
    Json,
    Markdown,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// STRATEGY/SCENARIO, or a counterexample that `explore` saved
    #[arg(value_name = "CELL|FILE", value_parser = OsStringValueParser::new().try_map(Subject::of))]
    pub what: Subject,
    /// Strategy to run a counterexample on; by default the one it was found on
    #[arg(short, long, value_name = "NAME")]
    pub strategy: Option<String>,
    /// How many times to run it; the verdict that most repeats agree on is explained
    #[arg(short = 'n', long, default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// Run nothing; take the cell from a run stored with `--format json --full`
    #[arg(long, value_name = "RUN", conflicts_with_all = ["strategy", "repeat"])]
    pub from: Option<PathBuf>,
    /// When to use colour
    #[arg(long, value_enum, default_value_t = When::Auto)]
    pub color: When,
}

#[derive(Debug, Args)]
pub(crate) struct ExploreArgs {
    /// Name of the strategy
    #[arg(short, long, value_name = "NAME")]
    pub strategy: String,
    /// Search for a verdict with this word, such as `stall`; any bad one by default
    #[arg(long, value_name = "WORD", value_parser = wanted())]
    pub want: Option<Word>,
    /// Ignore programs that fail for this cause, such as `driver-held-by-library-task`: a rule from
    /// `list rules` (repeatable)
    #[arg(long, value_name = "RULE", value_parser = rule(), hide_possible_values = true)]
    pub skip: Vec<String>,
    /// How many programs to try
    #[arg(long, value_name = "N", default_value_t = 2000,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub cases: u32,
    /// Seed of the programs, in hexadecimal; random by default
    #[arg(long, value_name = "HEX", value_parser = seed)]
    pub seed: Option<u64>,
    /// Where to save the program [default: counterexamples/STRATEGY-WORD-SEED.toml]
    #[arg(short, long, alias = "out", value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Search on the real loops, for a strategy without a model. This is slow, and a find must be
    /// seen three times in a row
    #[arg(long)]
    pub real: bool,
    /// When to use colour
    #[arg(long, value_enum, default_value_t = When::Auto)]
    pub color: When,
    /// How to show progress on stderr
    #[arg(long, value_enum, default_value_t = ProgressKind::Auto)]
    pub progress: ProgressKind,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// STRATEGY/SCENARIO, or a counterexample that `explore` saved
    #[arg(value_name = "CELL|FILE", value_parser = OsStringValueParser::new().try_map(Subject::of))]
    pub what: Subject,
    /// Strategy to run a counterexample on; by default the one it was found on
    #[arg(short, long, value_name = "NAME")]
    pub strategy: Option<String>,
    /// The verdict to compare with, such as `stall+busy-loop`; the expected one by default
    #[arg(long, value_name = "WORDS")]
    pub verdict: Option<String>,
    /// How many times to run it
    #[arg(short = 'n', long, default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// Seed of the run to replay; it decides only the order, so here it changes nothing
    #[arg(long, value_name = "HEX", default_value = "5eed", value_parser = seed)]
    pub seed: u64,
    /// Write a Chrome trace; opens in Perfetto
    #[arg(long, value_name = "FILE")]
    pub timeline: Option<PathBuf>,
    /// When to use colour
    #[arg(long, value_enum, default_value_t = When::Auto)]
    pub color: When,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// A run stored with `--format json`
    pub file: PathBuf,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// When to use colour
    #[arg(long, value_enum, default_value_t = When::Auto)]
    pub color: When,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// How many times to judge each planted subject
    #[arg(short = 'n', long, default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
}

#[derive(Debug, Args)]
pub(crate) struct ChildArgs {
    #[arg(long)]
    pub strategy: String,
    #[arg(long, required_unless_present = "program")]
    pub scenario: Option<String>,
    /// A program in TOML, instead of a scenario
    #[arg(long, conflicts_with = "scenario")]
    pub program: Option<PathBuf>,
    #[arg(long)]
    pub page: PathBuf,
    #[arg(long)]
    pub parent: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command(&Called::default()).debug_assert();
    }

    #[test]
    fn an_option_has_the_same_letter_and_value_in_every_command() {
        let root = command(&Called::default());
        let mut seen = std::collections::BTreeMap::new();
        for below in root.get_subcommands().filter(|below| !below.is_hide_set()) {
            for option in below.get_opts().filter(|option| !option.is_hide_set()) {
                let Some(name) = option.get_long() else { panic!("{option} has no long name") };
                let said = (option.get_short(), option.get_value_names().map(<[_]>::to_vec));
                let first = seen.entry(name.to_owned()).or_insert(said.clone());
                // `run` and its like take a pattern where the others take a name.
                if !["strategy", "scenario"].contains(&name) {
                    assert_eq!(*first, said, "--{name} of {}", below.get_name());
                }
            }
        }
        for old in ["out", "json"] {
            assert!(!seen.contains_key(old), "--{old}");
        }
    }
}
