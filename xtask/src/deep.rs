//! `cargo xtask deep`: the tests' random searches, with more cases than CI has time for.
//!
//! These are the same tests as in CI; a variable makes them try more cases. They shrink and print
//! what they find, and save its seed beside the test. Every search runs, even after a failure, so
//! that one night shows everything.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cli::DeepArgs;
use crate::command::{Cmd, ending, workspace};
use crate::packages::Group;
use crate::setup;

/// The variable from which the tests read how many cases to try.
const VARIABLE: &str = "LOOPNEST_CASES";

/// A search: a test of `loopnest-tests`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Search {
    test: &'static str,
    /// How many of every five requested cases it tries: a program on the real loops takes a good
    /// part of a second, and one on GLib without tokio much less.
    of_five: u32,
    /// Further arguments.
    args: &'static [&'static str],
}

const SEARCHES: [Search; 2] = [
    Search { test: "model_vs_glib", of_five: 5, args: &[] },
    // Its programs mostly sleep, so four at once do not slow each other down.
    Search { test: "random_programs", of_five: 1, args: &["--", "--test-threads", "4"] },
];

impl Search {
    fn cases(self, asked: u32) -> u32 {
        (u64::from(asked) * u64::from(self.of_five)).div_ceil(5) as u32
    }

    fn command(self, asked: u32) -> Cmd {
        Cmd::line("cargo test --package loopnest-tests --test")
            .arg(self.test)
            .env(VARIABLE, &self.cases(asked).to_string())
            .args(self.args)
    }

    /// Why it cannot be run in this checkout.
    fn is_missing(self, root: &Path) -> Option<String> {
        let file = format!("tests/tests/{}.rs", self.test);
        (!root.join(&file).is_file()).then(|| format!("{file} does not exist"))
    }
}

/// How a search ended.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    NothingFound,
    Failed(String),
    Skipped(String),
}

/// A line of the table.
#[derive(Debug)]
struct Report {
    search: Search,
    outcome: Outcome,
    took: Duration,
}

/// Runs the task.
pub fn run(args: &DeepArgs) -> Result<ExitCode> {
    let (root, mut out) = (workspace(), io::stdout());
    if args.list {
        for search in SEARCHES {
            writeln!(out, "{}", search.command(args.cases))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    setup::ensure(&[Group::Build], &[Group::Build])?;
    let reports = SEARCHES.map(|search| perform(search, args.cases, &root));
    let table = Summary { reports: &reports, asked: args.cases };
    // A reader that has gone away must not turn a failure into a success.
    let _ = write!(out, "\n{table}").and_then(|()| out.flush());
    let failed = reports.iter().any(|report| matches!(report.outcome, Outcome::Failed(_)));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn perform(search: Search, asked: u32, root: &Path) -> Report {
    let start = Instant::now();
    let outcome = match search.is_missing(root) {
        Some(why) => {
            eprintln!("==> {}: skipped: {why}", search.test);
            Outcome::Skipped(why)
        }
        None => {
            let command = search.command(asked);
            eprintln!("==> {}: {command}", search.test);
            match command.status(root) {
                Ok(status) if status.success() => Outcome::NothingFound,
                Ok(status) => Outcome::Failed(ending(status)),
                Err(error) => Outcome::Failed(format!("{error:#}")),
            }
        }
    };
    Report { search, outcome, took: start.elapsed() }
}

/// The table at the end.
struct Summary<'a> {
    reports: &'a [Report],
    asked: u32,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<16} {:>7} {:<8} {:>7}", "search", "cases", "result", "seconds")?;
        for Report { search, outcome, took } in self.reports {
            let (result, why) = match outcome {
                Outcome::NothingFound => ("ok", String::new()),
                Outcome::Failed(why) => {
                    ("FAILED", format!("{why}; again: {}", search.command(self.asked)))
                }
                Outcome::Skipped(why) => ("skipped", why.clone()),
            };
            let (test, cases) = (search.test, search.cases(self.asked));
            let seconds = took.as_secs_f64();
            let line = format!("{test:<16} {cases:>7} {result:<8} {seconds:>7.1}  {why}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_loops_get_a_fifth_of_the_cases_and_at_least_one() {
        let lines = |asked| SEARCHES.map(|search| search.command(asked).to_string());
        assert_eq!(
            lines(10_000),
            [
                "LOOPNEST_CASES=10000 cargo test --package loopnest-tests --test model_vs_glib",
                "LOOPNEST_CASES=2000 cargo test --package loopnest-tests --test random_programs \
                 -- --test-threads 4",
            ]
        );
        assert!(lines(1).iter().all(|line| line.starts_with("LOOPNEST_CASES=1 ")));
        assert_eq!(SEARCHES[1].cases(u32::MAX), u32::MAX / 5);
    }

    #[test]
    fn summary_gives_each_search_a_line_and_each_failure_a_command_to_repeat_it() {
        let [vs_glib, random] = SEARCHES;
        let reports = [
            Report {
                search: vs_glib,
                outcome: Outcome::Skipped("tests/tests/model_vs_glib.rs does not exist".into()),
                took: Duration::ZERO,
            },
            Report {
                search: random,
                outcome: Outcome::Failed("exit code 101".into()),
                took: Duration::from_secs(61),
            },
        ];
        let expected = "\
search             cases result   seconds
model_vs_glib         50 skipped      0.0  tests/tests/model_vs_glib.rs does not exist
random_programs       10 FAILED      61.0  exit code 101; again: LOOPNEST_CASES=10 cargo test \
             --package loopnest-tests --test random_programs -- --test-threads 4
";
        assert_eq!(Summary { reports: &reports, asked: 50 }.to_string(), expected);
    }
}
