//! Turns a [`RunResult`] into text: one file per format.
//!
//! Every format is a pure function of the result, so that a stored run gives the same text again.
//! All formats for people have the same order: what was measured on what, the matrix, then only the
//! surprises, each with its reason and the command that replays it.
//! There is no total score.
//!
//! | format | for |
//! |---|---|
//! | [`Format::Human`] | a terminal |
//! | [`Format::Json`] | scripts; the contract is `harness/schema/run.schema.json` |
//! | [`Format::Jsonl`] | `jq` and `grep`: one cell per line |
//! | [`Format::Csv`] | spreadsheets: one cell per row |
//! | [`Format::Junit`] | continuous integration |
//! | [`Format::Markdown`] | the README, issues, papers |

mod csv;
mod human;
mod json;
mod junit;
mod markdown;
mod style;
mod table;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use style::of_word;
pub use style::{Format, Style};

use crate::result::RunResult;

/// The text of `result` in `format`, ending with a newline.
///
/// # Errors
/// When a writer fails, which does not happen for any run.
pub fn render(result: &RunResult, format: Format, style: &Style) -> anyhow::Result<String> {
    let mut text = match format {
        Format::Human => human::render(result, style),
        Format::Json => json::render(result, style)?,
        Format::Jsonl => json::render_lines(result, style)?,
        Format::Csv => csv::render(result)?,
        Format::Junit => junit::render(result, style)?,
        Format::Markdown => markdown::render(result),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
