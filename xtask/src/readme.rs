//! `cargo xtask readme`: writes what the harness knows into the documents, so that nobody types it.
//!
//! The harness prints the recorded matrix and the page of rules, and this puts each between two
//! marker lines. A part that was edited by hand, or that the harness would now print differently,
//! fails `--check`, and so CI.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::cli::ReadmeArgs;
use crate::command::{Cmd, ending, workspace};
use crate::markers::{first_difference, splice};

const RECORD: &str = "papers/stall-or-spin/matrix.json";

/// A generated part of documents.
struct Part {
    /// The name in the markers.
    name: &'static str,
    documents: &'static [&'static str],
    /// The arguments that make the harness print it.
    args: &'static [&'static str],
}

const PARTS: [Part; 2] = [
    Part {
        name: "matrix",
        documents: &["README.md", "papers/stall-or-spin/paper.md"],
        args: &["report", RECORD, "--format", "markdown"],
    },
    Part { name: "rules", documents: &["METHODOLOGY.md"], args: &["list", "rules", "--markdown"] },
];

/// Runs the task.
pub fn run(args: &ReadmeArgs) -> Result<ExitCode> {
    let root = workspace();
    if args.record {
        record(&root, args)?;
    }
    ensure!(
        root.join(RECORD).is_file(),
        "there is no recorded matrix in {RECORD}; `cargo xtask readme --record` measures one"
    );
    let mut stale = Vec::new();
    for part in &PARTS {
        let text = printed(&root, args, part)?;
        for name in part.documents {
            stale.extend(fill_in(&root.join(name), name, part.name, &text, args.check)?);
        }
    }
    ensure!(
        stale.is_empty(),
        "the documents do not match what the harness prints; \
         run `cargo xtask readme` and commit the result\n{}",
        stale.join("\n")
    );
    Ok(ExitCode::SUCCESS)
}

/// Writes a part into a document. With `check` it writes nothing, and returns the first stale line.
fn fill_in(
    file: &Path,
    name: &str,
    part: &'static str,
    text: &str,
    check: bool,
) -> Result<Option<String>> {
    let old = fs::read_to_string(file)
        .with_context(|| format!("cannot read {name}, which holds the {part}"))?;
    let new = splice(&old, part, text).with_context(|| format!("cannot update {name}"))?;
    if old == new {
        eprintln!("{name} is up to date");
    } else if check {
        return Ok(Some(format!("{name}{}", first_difference(&old, &new))));
    } else {
        fs::write(file, new).with_context(|| format!("cannot write {name}; is it read-only?"))?;
        eprintln!("{name} was updated");
    }
    Ok(None)
}

/// The harness, without arguments.
fn harness(args: &ReadmeArgs) -> Cmd {
    match &args.harness {
        Some(file) => Cmd::program(file),
        None => Cmd::line("cargo run --quiet --package harness --"),
    }
}

fn record(root: &Path, args: &ReadmeArgs) -> Result<()> {
    let cmd = harness(args)
        .args("run --strategy all --repeat 5 --format json --output".split(' '))
        .arg(RECORD);
    eprintln!("==> record: {cmd}");
    let status = cmd.status(root)?;
    ensure!(
        status.success(),
        "the harness ended with {}: a verdict was not the expected one, or was uncertain. \
         The documents were not changed. Find out why, and run `cargo xtask readme` if {RECORD} \
         is right after all",
        ending(status)
    );
    Ok(())
}

fn printed(root: &Path, args: &ReadmeArgs, part: &Part) -> Result<String> {
    let cmd = harness(args).args(part.args.iter().copied());
    let (status, text) = cmd.stdout(root)?;
    if !status.success() {
        bail!("`{cmd}` failed ({}); see its message above", ending(status));
    }
    ensure!(!text.trim().is_empty(), "`{cmd}` printed nothing; run it to see why");
    Ok(text)
}
