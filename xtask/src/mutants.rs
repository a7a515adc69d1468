//! `cargo xtask mutants`: generates the table of mutants in PROTOCOLS.md from the tests that catch
//! them.
//!
//! A mutant is the subject broken in one place. A test shows that a search finds it, and so that
//! the search is worth something. To add one:
//!
//! 1. Write a test that fails unless the mutant is caught.
//! 2. When it is caught, make the test print one line to standard output:
//!
//!    ```text
//!    mutant: NAME | WHAT IS WRONG | FOUND BY | AFTER
//!    ```
//!
//!    The name is unique, and the table is sorted by it. `FOUND BY` is the instrument: `loom`,
//!    `proptest`. `AFTER` is a number of executions or cases; the table shows it rounded up to a power
//!    of ten, so that it does not go stale with every change. Anything else is copied unchanged:
//!    write `-` if the number differs between runs, as it does with random seeds.
//! 3. If none of [`sources`] runs the test, add a command that runs it and shows its output, such
//!    as `cargo test --workspace --test T -- --nocapture`. The loom models are selected by name: those
//!    of mutants have `mutant` in it.
//! 4. Run `cargo xtask mutants --record`, and commit the result. CI checks it.
//!
//! Nothing else is stored: a row disappears when no test prints it any more.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::cli::MutantsArgs;
use crate::command::{Cmd, cargo_of_workspace, ending, workspace};
use crate::machine::Machine;
use crate::markers::{first_difference, splice};
use crate::protocols;
use crate::site::has_gtk;

const DOCUMENT: &str = "PROTOCOLS.md";
/// The name in the markers.
const TABLE: &str = "mutants";
/// Begins the line of a mutant. The test runner may have written something before it.
const MARK: &str = "mutant: ";

/// The commands that catch mutants.
fn sources(gtk: bool) -> Vec<Cmd> {
    let shown = |test: &str, only: &str| {
        let run = cargo_of_workspace("test", gtk).args(["--test", test]);
        run.args(["--", only, "--nocapture"])
    };
    vec![
        protocols::command(protocols::QUICK, Some("mutant")),
        shown("model_vs_glib", "every_mutant_of_the_model_is_told_apart"),
        shown("strategy_mutants", "every_faulty_model_of_a_strategy"),
    ]
}

/// Runs the task.
pub fn run(args: &MutantsArgs) -> Result<ExitCode> {
    let root = workspace();
    let mut lines = Vec::new();
    for cmd in sources(has_gtk(&Machine::this())) {
        eprintln!("==> mutants: {cmd}");
        let (status, text) = cmd.stdout(&root)?;
        if !status.success() {
            eprint!("{text}");
            bail!(
                "a mutant was not caught, or the test failed for another reason ({}): `{cmd}`",
                ending(status)
            );
        }
        let before = lines.len();
        lines.extend(text.lines().filter_map(marked).map(String::from));
        ensure!(
            lines.len() > before,
            "`{cmd}` printed no line with `{MARK}`; run it to see what it prints"
        );
    }
    let table = table(&lines)?;
    if !args.record && !args.check {
        io::stdout().write_all(table.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let file = root.join(DOCUMENT);
    let old = fs::read_to_string(&file)
        .with_context(|| format!("cannot read {DOCUMENT}, which holds the table"))?;
    let new = splice(&old, TABLE, &table).with_context(|| format!("cannot update {DOCUMENT}"))?;
    if old == new {
        eprintln!("{DOCUMENT} is up to date");
    } else if args.check {
        bail!(
            "the table of mutants is stale; run `cargo xtask mutants --record` and commit the \
             result\n{DOCUMENT}{}",
            first_difference(&old, &new)
        );
    } else {
        fs::write(&file, new)
            .with_context(|| format!("cannot write {DOCUMENT}; is it read-only?"))?;
        eprintln!("{DOCUMENT} was updated");
    }
    Ok(ExitCode::SUCCESS)
}

/// The row in a line, if it has one.
fn marked(line: &str) -> Option<&str> {
    line.split_once(MARK).map(|(_, row)| row)
}

/// The rows as a table, sorted by name.
fn table(lines: &[String]) -> Result<String> {
    let mut rows = BTreeMap::new();
    for line in lines {
        let fields: Vec<&str> = line.split(" | ").map(str::trim).collect();
        let [name, wrong, by, after] = fields[..] else {
            bail!("`{MARK}{line}` does not have four fields separated by ` | `");
        };
        let row = format!("| `{name}` | {wrong} | {by} | {} |\n", rounded(after));
        ensure!(rows.insert(name, row).is_none(), "two mutants are named `{name}`");
    }
    let head = "| mutant | what is wrong | found by | executions or cases |\n|---|---|---|---|\n";
    Ok(head.to_owned() + &rows.into_values().collect::<String>())
}

/// A number rounded up to the next power of ten; anything else unchanged.
fn rounded(after: &str) -> String {
    match after.parse::<u64>() {
        Ok(0 | 1) => "the first".into(),
        Ok(n) => {
            let power = (1..).map(|nth| 10u64.saturating_pow(nth)).find(|&power| power >= n);
            format!("up to {}", power.unwrap_or(u64::MAX))
        }
        Err(_) => after.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(lines: &[&str]) -> Result<String> {
        let lines: Vec<String> =
            lines.iter().filter_map(|line| marked(line)).map(String::from).collect();
        table(&lines)
    }

    #[test]
    fn rows_are_sorted_and_figures_are_rounded_up() {
        let text = made(&[
            "test b ... mutant: b::late | it comes late | proptest | -",
            "running 3 tests",
            "mutant: a::two | it comes twice | loom | 11",
            "mutant: a::lost | it is lost | loom | 1",
        ])
        .unwrap();
        assert_eq!(
            text,
            "| mutant | what is wrong | found by | executions or cases |\n\
             |---|---|---|---|\n\
             | `a::lost` | it is lost | loom | the first |\n\
             | `a::two` | it comes twice | loom | up to 100 |\n\
             | `b::late` | it comes late | proptest | - |\n"
        );
    }

    #[test]
    fn a_power_of_ten_is_its_own_bound() {
        assert_eq!(
            ["2", "10", "101", "1000"].map(rounded),
            ["up to 10", "up to 10", "up to 1000", "up to 1000"]
        );
    }

    #[test]
    fn a_malformed_line_and_a_duplicate_name_are_errors() {
        assert!(made(&["mutant: a | b | c"]).is_err());
        assert!(made(&["mutant: a | b | c | 1", "mutant: a | d | e | 2"]).is_err());
    }
}
