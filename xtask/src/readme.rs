//! `cargo xtask readme`: tables of measurements are generated, never typed.
//!
//! The harness renders the recorded matrix, and this puts the text between two marker lines. A table
//! that was edited by hand, or that an older record left behind, fails `--check`, and so CI.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::cli::ReadmeArgs;
use crate::command::{Cmd, ending, workspace};

const RECORD: &str = "papers/stall-or-spin/matrix.json";
const DOCUMENTS: [&str; 2] = ["README.md", "papers/stall-or-spin/paper.md"];
const BEGIN: &str = "<!-- BEGIN matrix";
const END: &str = "<!-- END matrix -->";

/// Why a document cannot take the table.
#[derive(Debug, PartialEq, Eq)]
enum Misfit {
    NoBegin,
    NoEnd,
    Twice,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::NoBegin => "has no line that begins the table",
            Self::NoEnd => "has no line that ends the table after the one that begins it",
            Self::Twice => "has more than one place for the table",
        };
        write!(f, "{what}; put `{BEGIN} -->` and `{END}` on lines of their own, once")
    }
}

impl std::error::Error for Misfit {}

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
        let new = splice(&old, &matrix).with_context(|| format!("{name} cannot be filled in"))?;
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

/// The document with the matrix between its markers. The marker lines stay as they are, so that the
/// first one can carry a word on where the table comes from.
fn splice(document: &str, matrix: &str) -> Result<String, Misfit> {
    let lines: Vec<&str> = document.split_inclusive('\n').collect();
    let mut begins = (0..lines.len()).filter(|&nth| is_begin(lines[nth]));
    let begin = begins.next().ok_or(Misfit::NoBegin)?;
    let mut ends = (0..lines.len()).filter(|&nth| lines[nth].trim() == END);
    let end = ends.next().filter(|&end| end > begin).ok_or(Misfit::NoEnd)?;
    if begins.next().is_some() || ends.next().is_some() {
        return Err(Misfit::Twice);
    }
    let (head, tail) = (lines[..=begin].concat(), lines[end..].concat());
    // Blank lines around it: without them a Markdown reader takes the table for a part of a comment.
    Ok(format!("{head}\n{}\n\n{tail}", matrix.trim_matches('\n')))
}

/// `<!-- BEGIN matrix -->`, or the same with a remark inside or after the comment.
fn is_begin(line: &str) -> bool {
    line.trim().strip_prefix(BEGIN).is_some_and(|rest| rest.starts_with([' ', ':']))
}

fn first_difference(old: &str, new: &str) -> String {
    let mut nth = 1;
    let (mut old, mut new) = (old.lines(), new.lines());
    loop {
        match (old.next(), new.next()) {
            (Some(is), Some(due)) if is == due => nth += 1,
            (is, due) => {
                let (is, due) = (is.unwrap_or("(nothing)"), due.unwrap_or("(nothing)"));
                return format!(":{nth}\n  committed  {is}\n  recorded   {due}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Title\n\n<!-- BEGIN matrix -->\nold\n<!-- END matrix -->\nafter\n";

    #[test]
    fn the_table_takes_the_place_between_the_markers_and_nothing_else() {
        let page = splice(PAGE, "| a |\n| b |\n").unwrap();
        let begin = "# Title\n\n<!-- BEGIN matrix -->\n\n";
        assert_eq!(page, format!("{begin}| a |\n| b |\n\n<!-- END matrix -->\nafter\n"));
    }

    #[test]
    fn a_second_splice_changes_nothing() {
        let once = splice(PAGE, "| a |").unwrap();
        assert_eq!(splice(&once, "\n| a |\n\n").unwrap(), once);
    }

    #[test]
    fn the_first_marker_may_say_where_the_table_comes_from() {
        for marker in [
            "<!-- BEGIN matrix (cargo xtask readme) -->",
            "<!-- BEGIN matrix: made by `cargo xtask readme` -->",
            "<!-- BEGIN matrix --> <!-- cargo xtask readme -->",
        ] {
            let page = PAGE.replace("<!-- BEGIN matrix -->", marker);
            assert!(splice(&page, "| a |").unwrap().contains(&format!("{marker}\n\n| a |\n")));
        }
    }

    #[test]
    fn a_document_that_ends_at_the_marker_keeps_its_end() {
        let page = "<!-- BEGIN matrix -->\n<!-- END matrix -->";
        let spliced = splice(page, "x").unwrap();
        assert_eq!(spliced, "<!-- BEGIN matrix -->\n\nx\n\n<!-- END matrix -->");
    }

    #[test]
    fn markers_that_are_absent_reversed_or_doubled_are_told_apart() {
        assert_eq!(splice("text\n", "x"), Err(Misfit::NoBegin));
        assert_eq!(splice("<!-- BEGIN matrixes -->\n", "x"), Err(Misfit::NoBegin));
        assert_eq!(splice("<!-- BEGIN matrix -->\n", "x"), Err(Misfit::NoEnd));
        let reversed = "<!-- END matrix -->\n<!-- BEGIN matrix -->\n";
        assert_eq!(splice(reversed, "x"), Err(Misfit::NoEnd));
        assert_eq!(splice(&PAGE.repeat(2), "x"), Err(Misfit::Twice));
    }

    #[test]
    fn the_first_stale_line_is_named() {
        let shown = first_difference("a\nb\n", "a\nc\n");
        assert_eq!(shown, ":2\n  committed  b\n  recorded   c");
        assert!(first_difference("a\n", "a\nb\n").contains("committed  (nothing)"));
    }
}
