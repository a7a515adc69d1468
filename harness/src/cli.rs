//! The command line: what may be asked.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use loopnest_core::Word;

use crate::formats::Format;
use crate::rules::RULES;

/// Exit codes, for `--help` and the documentation.
const EXIT_CODES: &str = "\
Exit codes:
  0    every cell did what the expectation file says (known stalls included)
  1    at least one cell surprised (or whatever --fail-on names)
  2    wrong usage, an unknown name, an unreadable file
  3    nothing surprised, but at least one cell is inconclusive
  4    the selection ran no cell
  5    this machine cannot measure (a planted subject was misjudged)
  70   the harness itself failed
  130  interrupted; what was found so far is printed, marked partial";

/// Exit codes of `explore`.
const EXPLORE_CODES: &str = "\
The search is on the model of the strategy; what it finds is run on the real loops.
The same seed finds the same program.

Exit codes:
  0    found, and the real loops say the same
  1    found, but the real loops say otherwise: the model is wrong there
  2    wrong usage, an unknown name, a strategy without a model
  3    found, but the run on the real loops is inconclusive
  4    nothing found
  70   the harness itself failed
  130  interrupted; what was found so far is printed and saved";

/// Exit codes of `replay`.
const REPLAY_CODES: &str = "\
Exit codes:
  0    the verdict was seen again
  1    it was not
  2    wrong usage, an unknown name, an unreadable file
  3    inconclusive: it cannot be told
  70   the harness itself failed
  130  interrupted";

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
        harness explain nested/dialog-from-callback  why one cell got its verdict\n  \
        harness explore --strategy nested            a program that it fails on\n\n\
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
    /// Search for a program with a bad verdict, and make it as small as it gets
    #[command(after_help = EXPLORE_CODES)]
    Explore(ExploreArgs),
    /// Run one cell or counterexample again; is the verdict what it was?
    #[command(after_help = REPLAY_CODES)]
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
    /// As Markdown, in full; for rules only
    #[arg(long, conflicts_with = "json")]
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

#[derive(Debug, Args)]
pub(crate) struct CellArgs {
    /// STRATEGY/SCENARIO
    pub cell: CellId,
}

#[derive(Debug, Args)]
pub(crate) struct ExploreArgs {
    /// The strategy, by its name
    #[arg(short, long, value_name = "NAME")]
    pub strategy: String,
    /// The word that the verdict is to have, such as `stall`; any bad one by default
    #[arg(long, value_name = "WORD", value_parser = parse_want)]
    pub want: Option<Word>,
    /// Leave out what has this cause, such as `driver-held-by-library-task`: a rule that `list rules`
    /// names (repeatable)
    #[arg(long, value_name = "RULE", value_parser = parse_rule)]
    pub skip: Vec<String>,
    /// How many programs are tried
    #[arg(long, value_name = "N", default_value_t = 2000,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub cases: u32,
    /// What the programs are made from, in hexadecimal; another each time by default
    #[arg(long, value_name = "HEX", value_parser = parse_seed)]
    pub seed: Option<u64>,
    /// Where what was found is saved [default: counterexamples/STRATEGY-WORD-SEED.toml]
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Search on the real loops, for a strategy without a model: slow, and what is found must be
    /// seen three times in a row
    #[arg(long)]
    pub real: bool,
    /// How to show progress on stderr
    #[arg(long, value_enum, default_value_t = ProgressKind::Auto)]
    pub progress: ProgressKind,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// STRATEGY/SCENARIO, or a counterexample that `explore` has saved
    #[arg(value_name = "CELL|FILE")]
    pub what: Subject,
    /// The strategy that a counterexample is run on; the one that it was found on by default
    #[arg(short, long, value_name = "NAME")]
    pub strategy: Option<String>,
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
    #[arg(long, required_unless_present = "program")]
    pub scenario: Option<String>,
    /// A program in TOML, in place of a scenario
    #[arg(long, conflicts_with = "scenario")]
    pub program: Option<PathBuf>,
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

/// What is to be replayed.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    Cell(CellId),
    File(PathBuf),
}

impl std::str::FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = Path::new(text);
        // Not every file that is there: what is called `nested/idle` is a cell.
        if path.extension().is_some_and(|extension| extension == "toml") {
            return Ok(Self::File(path.to_owned()));
        }
        text.parse().map(Self::Cell).map_err(|_: String| {
            "expected STRATEGY/SCENARIO, such as nested/dialog-quiet, or the .toml file of a \
             counterexample"
                .to_owned()
        })
    }
}

/// A word that can be searched for.
fn parse_want(text: &str) -> Result<Word, String> {
    let wanted = |word: &Word| word.is_bad() || *word == Word::Refused;
    if let Some(word) = Word::from_name(text) {
        return if wanted(&word) {
            Ok(word)
        } else {
            Err(format!("a search is for what goes wrong, and `{word}` does not say so"))
        };
    }
    let names: Vec<_> = Word::ALL.iter().filter(|w| wanted(w)).map(|w| w.name()).collect();
    let near = nearest(text, &names);
    Err(format!("no verdict is called so; did you mean {near}? There are {}", names.join(", ")))
}

/// The name of a rule.
fn parse_rule(text: &str) -> Result<String, String> {
    let names: Vec<_> = RULES.iter().map(|rule| rule.name).collect();
    if names.contains(&text) {
        return Ok(text.to_owned());
    }
    let near = nearest(text, &names);
    Err(format!("no rule is called so; did you mean {near}? `harness list rules` names them all"))
}

fn nearest<'a>(text: &str, names: &[&'a str]) -> &'a str {
    let likeness = |name: &str| strsim::jaro_winkler(text, name);
    let near = names.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    near.copied().unwrap_or_default()
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
