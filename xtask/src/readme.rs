//! `cargo xtask readme`: tables of measurements are generated, never typed.
//!
//! The harness renders the recorded matrix, and this puts the text between two marker lines. A table
//! that was edited by hand, or that an older record left behind, fails `--check`, and so CI.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::cli::ReadmeArgs;
use crate::command::{Cmd, ending, workspace};
use crate::markers::{first_difference, splice};

const RECORD: &str = "papers/stall-or-spin/matrix.json";
const DOCUMENTS: [&str; 2] = ["README.md", "papers/stall-or-spin/paper.md"];
/// What the markers name.
const TABLE: &str = "matrix";

/// Runs the task.
pub fn run(args: &ReadmeArgs) -> Result<ExitCode> {
    let root = workspace();
    if args.record {
        record(&root)?;
    }
    let matrix = rendered(&root)?;
    let mut stale = Vec::new();
    for name in DOCUMENTS {
        let file = root.join(name);
        let old = fs::read_to_string(&file)
            .with_context(|| format!("cannot read {name}; the table has its place in it"))?;
        let new =
            splice(&old, TABLE, &matrix).with_context(|| format!("{name} cannot be filled in"))?;
        match (old == new, args.check) {
            (true, _) => eprintln!("{name} is up to date"),
            (false, true) => stale.push(format!("{name}{}", first_difference(&old, &new))),
            (false, false) => {
                fs::write(&file, new)
                    .with_context(|| format!("cannot write {name}; is it read-only?"))?;
                eprintln!("{name} was updated");
            }
        }
    }
    ensure!(
        stale.is_empty(),
        "the matrix is not the one recorded in {RECORD}; \
         run `cargo xtask readme` and commit the result\n{}",
        stale.join("\n")
    );
    Ok(ExitCode::SUCCESS)
}

fn record(root: &Path) -> Result<()> {
    let cmd = Cmd::line(
        "cargo run --quiet --package harness -- run --strategy all --repeat 5 --format json",
    )
    .args(["--output", RECORD]);
    eprintln!("==> record: {cmd}");
    let status = cmd.status(root)?;
    ensure!(
        status.success(),
        "the harness ended with {}: a verdict that is not the expected one, or not certain; \
         the documents were left alone. Look into it, and run `cargo xtask readme` if {RECORD} \
         is right after all",
        ending(status)
    );
    Ok(())
}

fn rendered(root: &Path) -> Result<String> {
    ensure!(
        root.join(RECORD).is_file(),
        "there is no {RECORD} to make the table from; `cargo xtask readme --record` measures one"
    );
    let cmd = Cmd::line("cargo run --quiet --package harness -- report")
        .args([RECORD, "--format", "markdown"]);
    let (status, matrix) = cmd.stdout(root)?;
    if !status.success() {
        bail!("`{cmd}` failed ({}); its message above says why", ending(status));
    }
    ensure!(!matrix.trim().is_empty(), "`{cmd}` printed nothing; run it by hand and look");
    Ok(matrix)
}
