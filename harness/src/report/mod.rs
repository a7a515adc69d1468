//! Turns a [`RunResult`] into text: one file per format.
//!
//! Every format is a pure function of the result, so that a stored run gives the same text again.
//! The order of attention is the same in all that are read by people: what was measured on what,
//! the matrix, then only what surprises, each with its reason and the line that replays it.
//! There is no total score.
//!
//! | format | for whom |
//! |---|---|
//! | [`Format::Human`] | a terminal |
//! | [`Format::Json`] | scripts; the contract is `harness/schema/run.schema.json` |
//! | [`Format::Jsonl`] | `jq` and `grep`: one cell a line |
//! | [`Format::Csv`] | spreadsheets: one cell a row |
//! | [`Format::Junit`] | continuous integration |
//! | [`Format::Markdown`] | the README, issues, papers |

mod csv;
mod human;
mod json;
mod junit;
mod markdown;
mod matrix;
pub(crate) mod text;

#[cfg(test)]
pub(crate) mod tests;

use clap::ValueEnum;

use crate::result::RunResult;

/// How a result is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for a terminal.
    #[default]
    Human,
    /// The whole run as one JSON document.
    Json,
    /// One JSON object a line and cell.
    Jsonl,
    /// One row a cell, with a header.
    Csv,
    /// JUnit XML: a failure is a verdict that was not expected.
    Junit,
    /// A matrix in Markdown.
    Markdown,
}

/// How text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns that there are.
    pub width: usize,
    /// Colour beside the words; it never says what they do not.
    pub color: bool,
    /// Everything: each repeat in JSON, every bad cell's reason in the human matrix.
    pub full: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { width: 80, color: false, full: false }
    }
}

/// The text of `result` in `format`, with a line end at its end.
///
/// # Errors
/// When a writer fails, which none does for what a run can hold.
pub fn render(result: &RunResult, format: Format, style: &Style) -> anyhow::Result<String> {
    let mut text = match format {
        Format::Human => human::render(result, style),
        Format::Json => json::render(result, style)?,
        Format::Jsonl => json::render_lines(result, style)?,
        Format::Csv => csv::render(result)?,
        Format::Junit => junit::render(result)?,
        Format::Markdown => markdown::render(result),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
