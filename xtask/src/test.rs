//! `cargo xtask test`: everything that CI runs, on any machine, with one table at the end.
//!
//! CI runs this and nothing else, so a red run there can be reproduced here. Every step is reported
//! as ok, failed, or skipped with a reason; none is left out silently.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cli::TestArgs;
use crate::command::{Cmd, ending, workspace};
use crate::packages::Group;
use crate::selection::select_or_exit;
use crate::setup;
use crate::site::Site;
use crate::steps::{Step, Work};

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Ok,
    Failed(String),
    Skipped(String),
}

/// A row of the table.
#[derive(Debug)]
struct Report {
    step: Step,
    outcome: Outcome,
    took: Duration,
}

/// Runs the task.
pub fn run(args: &TestArgs) -> Result<ExitCode> {
    let chosen = select_or_exit(&args.only, &args.skip);
    let root = workspace();
    let mut out = io::stdout();
    if args.list {
        write!(out, "{}", listing(&chosen, &Site::of(&root)))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.no_setup {
        setup::ensure(&Group::ALL, &[Group::Build])?;
    }
    // After the set-up, which may have installed what a step needs.
    let site = Site::of(&root);
    let reports: Vec<Report> = chosen.iter().map(|&step| perform(step, &site, &root)).collect();
    // Ignored: a closed pipe must not turn a failure into a success.
    let _ = write!(out, "\n{}", Summary(&reports)).and_then(|()| out.flush());
    let failed = reports.iter().any(|report| matches!(report.outcome, Outcome::Failed(_)));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn perform(step: Step, site: &Site, root: &Path) -> Report {
    let start = Instant::now();
    let outcome = match step.work(site) {
        Work::Skip(why) => {
            eprintln!("==> {}: skipped: {why}", step.name());
            Outcome::Skipped(why)
        }
        Work::Do { prepare, commands } => carry_out(step, &prepare, &commands, root),
    };
    Report { step, outcome, took: start.elapsed() }
}

fn carry_out(step: Step, prepare: &[Cmd], commands: &[Cmd], root: &Path) -> Outcome {
    for cmd in prepare {
        if let Some(problem) = attempt(step, cmd, root) {
            return Outcome::Failed(problem);
        }
    }
    let problems: Vec<String> =
        commands.iter().filter_map(|cmd| attempt(step, cmd, root)).collect();
    match &problems[..] {
        [] => Outcome::Ok,
        [problem] => Outcome::Failed(problem.clone()),
        [first, rest @ ..] => Outcome::Failed(format!("{first}; and {} more", rest.len())),
    }
}

/// Runs one command; returns what went wrong, if anything.
fn attempt(step: Step, cmd: &Cmd, root: &Path) -> Option<String> {
    eprintln!("==> {}: {cmd}", step.name());
    match cmd.status(root) {
        Ok(status) if status.success() => None,
        Ok(status) => Some(match step.meaning(status.code()) {
            Some(meaning) => format!("{} ({meaning})", ending(status)),
            None => ending(status),
        }),
        Err(error) => Some(format!("{error:#}")),
    }
}

fn listing(steps: &[Step], site: &Site) -> String {
    let mut text = String::new();
    for step in steps {
        let lines = match step.work(site) {
            Work::Skip(why) => vec![format!("skipped: {why}")],
            Work::Do { prepare, commands } => {
                prepare.iter().chain(&commands).map(Cmd::to_string).collect()
            }
        };
        for (nth, line) in lines.iter().enumerate() {
            let name = if nth == 0 { step.name() } else { String::new() };
            text += &format!("{name:<10} {line}\n");
        }
    }
    text
}

/// The table at the end.
struct Summary<'a>(&'a [Report]);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut ok, mut failed, mut skipped) = (0, 0, 0);
        writeln!(f, "{:<10} {:<8} {:>7}", "step", "result", "seconds")?;
        for Report { step, outcome, took } in self.0 {
            let name = step.name();
            let (result, why) = match outcome {
                Outcome::Ok => {
                    ok += 1;
                    ("ok", String::new())
                }
                Outcome::Failed(why) => {
                    failed += 1;
                    ("FAILED", format!("{why}; again: cargo xtask test --only {name}"))
                }
                Outcome::Skipped(why) => {
                    skipped += 1;
                    ("skipped", why.clone())
                }
            };
            let line = format!("{name:<10} {result:<8} {:>7.1}  {why}", took.as_secs_f64());
            writeln!(f, "{}", line.trim_end())?;
        }
        let all: Duration = self.0.iter().map(|report| report.took).sum();
        let seconds = all.as_secs_f64();
        writeln!(f, "{ok} ok, {failed} failed, {skipped} skipped in {seconds:.1} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_has_a_line_for_each_step_and_a_remedy_for_each_problem() {
        let second = Duration::from_secs(1);
        let reports = [
            Report { step: Step::Format, outcome: Outcome::Ok, took: second },
            Report {
                step: Step::DocTests,
                outcome: Outcome::Failed("exit code 101".into()),
                took: 2 * second,
            },
            Report {
                step: Step::Deny,
                outcome: Outcome::Skipped("cargo-deny is not installed; get it".into()),
                took: Duration::ZERO,
            },
        ];
        let expected = "\
step       result   seconds
format     ok           1.0
doc-tests  FAILED       2.0  exit code 101; again: cargo xtask test --only doc-tests
deny       skipped      0.0  cargo-deny is not installed; get it
1 ok, 1 failed, 1 skipped in 3.0 s
";
        assert_eq!(Summary(&reports).to_string(), expected);
    }
}
