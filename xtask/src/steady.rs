//! `cargo xtask steady`: does the matrix say the same on a busy machine?
//!
//! It runs the whole matrix and the controls again and again, beside other work, and counts the cells
//! whose verdict is not the expected one. A long measurement is interrupted sooner or later, so what was
//! found is saved after each run, and the next call goes on where the last one stopped.

mod beside;
mod record;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use self::beside::Beside;
use self::record::{Record, Run};
use crate::cli::SteadyArgs;
use crate::command::{Cmd, cargo_of_workspace, target_folder, workspace};
use crate::machine::Machine;
use crate::packages::Group;
use crate::setup;
use crate::site::has_gtk;

/// Runs the task.
pub fn run(args: &SteadyArgs) -> Result<ExitCode> {
    setup::ensure(&[Group::Build], &[Group::Build])?;
    let root = workspace();
    // As the tests build it.
    let build = cargo_of_workspace("build", has_gtk(&Machine::this()));
    let build = build.args(["--bins", "--examples"]);
    ensure!(build.status(&root)?.success(), "the harness does not compile");
    let folder = root.join(target_folder());
    let harness = folder.join("debug/harness");
    let state = args.state.clone().unwrap_or_else(|| folder.join("steady.json"));
    let commit = commit(&root)?;
    let mut record = Record::load(&state)?.filter(|_| !args.fresh).unwrap_or_default();
    if record.commit != commit {
        ensure!(
            record.runs.is_empty() || args.fresh,
            "{} is about another commit ({}); `--fresh` begins anew, and `--state FILE` keeps both",
            state.display(),
            record.commit
        );
        record = Record { commit, runs: Vec::new() };
    }
    let mut loads: Vec<Beside> = args.busy.iter().copied().map(Beside::Busy).collect();
    loads.extend(args.beside.iter().cloned().map(Beside::Command));
    for load in loads {
        let done = record.of(&load.name()).count() as u32;
        if done >= args.runs {
            continue;
        }
        let _working = load.start().with_context(|| format!("cannot start `{}`", load.name()))?;
        for n in done..args.runs {
            eprintln!("==> {}: run {} of {}", load.name(), n + 1, args.runs);
            record.runs.push(one_run(&harness, &folder, &load.name(), n)?);
            record.save(&state)?;
        }
    }
    io::stdout().write_all(record.table().as_bytes())?;
    Ok(if record.wrong() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is measured: the commit.
fn commit(root: &Path) -> Result<String> {
    let git = Cmd::line("git describe --always --dirty --abbrev=12");
    let (status, text) = git.stdout(root)?;
    ensure!(status.success(), "`{git}` failed: the result would not say what was measured");
    let commit = text.trim();
    ensure!(!commit.ends_with("-dirty"), "commit your changes first: a result is about a commit");
    Ok(commit.to_owned())
}

/// Runs the matrix once, and the controls once.
fn one_run(harness: &Path, folder: &Path, load: &str, n: u32) -> Result<Run> {
    let began = Instant::now();
    let file = folder.join("steady-run.json");
    let seed = format!("{n:x}");
    let matrix = ["run", "--strategy", "all", "--seed", &seed, "--fail-on", "never"];
    let (code, stderr) = start(harness, &matrix, &file)?;
    ensure!(matches!(code, Some(0 | 3)), "the harness ended with {code:?}:\n{stderr}");
    let text = fs::read_to_string(&file).context("cannot read what the harness has found")?;
    let mut run = Run::of(load, &text)?;
    let controls =
        ["run", "--strategy", "control-*", "--scenario", "control", "--fail-on", "never"];
    let (code, stderr) = start(harness, &controls, &file)?;
    run.misjudged = stderr.lines().filter_map(misjudged).map(str::to_owned).collect();
    let usual = if run.misjudged.is_empty() { 0 } else { MISJUDGED };
    ensure!(code == Some(usual), "the harness ended with {code:?}:\n{stderr}");
    run.seconds = began.elapsed().as_secs_f64();
    Ok(run)
}

/// The exit code of a harness that misjudges a control.
const MISJUDGED: i32 = 5;

/// The message in a line that says that a control was misjudged.
fn misjudged(line: &str) -> Option<&str> {
    line.strip_prefix("error: ").filter(|rest| rest.contains(": expected "))
}

/// Starts the harness, waits, and returns its exit code and what it wrote on standard error.
fn start(harness: &Path, args: &[&str], output: &PathBuf) -> Result<(Option<i32>, String)> {
    let mut command = Command::new(harness);
    command.args(args).args(["--format", "json", "--output"]).arg(output);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let ran = command.output().with_context(|| format!("cannot start {}", harness.display()))?;
    let stderr = String::from_utf8_lossy(&ran.stderr).into_owned();
    eprint!("{stderr}");
    Ok((ran.status.code(), stderr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misjudged_control_is_seen_in_what_the_harness_says() {
        let line = "error: control-ticker: expected busy-loop, got progress";
        assert_eq!(misjudged(line), Some("control-ticker: expected busy-loop, got progress"));
        assert_eq!(misjudged("error: cannot write it: No space left on device"), None);
        assert_eq!(misjudged("warning: this machine is busy"), None);
    }
}
