//! A matrix in Markdown, for the README, issues and papers.
//!
//! Committed files contain it between markers and a test compares it. So it depends only on the
//! result, and leaves out what differs from run to run, such as seed and times.

use loopnest_core::verdict::Word;

use crate::result::{CellResult, RunResult};
use crate::text::ascii;

pub(super) fn render(result: &RunResult) -> String {
    let strategies = result.strategies();
    let mut text = row("scenario", strategies.iter().map(|name| format!("`{name}`")));
    text.push_str(&row("---", strategies.iter().map(|_| "---".to_owned())));
    for scenario in result.scenarios() {
        let cells = strategies.iter().map(|s| result.cell(s, scenario).map_or("".into(), words));
        text.push_str(&row(&format!("`{scenario}`"), cells));
    }
    text.push('\n');
    for word in Word::ALL {
        if result.cells.iter().any(|cell| cell.verdict.contains(&word)) {
            text.push_str(&format!("- {}: {}.\n", name(word), word.meaning()));
        }
    }
    text.push_str(&format!("\n{}\n", footer(result)));
    text
}

fn row(first: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.collect();
    format!("| {first} | {} |\n", cells.join(" | "))
}

/// A verdict. Bad words are bold, and a surprise is marked.
fn words(cell: &CellResult) -> String {
    let names: Vec<String> = cell.verdict.iter().map(|word| name(*word)).collect();
    let mut text = names.join(" + ");
    if let Some(flaky) = cell.flaky() {
        text.push_str(&format!(" ({flaky})"));
    } else if cell.is_mixed() {
        text.push_str(&format!(" ({}/{})", cell.agree, cell.repeats));
    }
    if !cell.is_expected() {
        text.push_str(" (unexpected)");
    }
    text
}

fn name(word: Word) -> String {
    if word.is_bad() { format!("**{word}**") } else { word.to_string() }
}

/// What it ran on.
fn footer(result: &RunResult) -> String {
    let machine = &result.machine;
    let repeats = match result.repeat {
        1 => "one run of each cell".to_owned(),
        n => format!("{n} repeats of each cell"),
    };
    let partial = if result.partial { ", interrupted" } else { "" };
    ascii(&format!(
        "GLib {}, glib-rs {}, tokio {}; {repeats}{partial}; verdict rules {}.",
        machine.glib, machine.glib_rs, machine.tokio, result.rules
    ))
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::super::{Format, Style, render};

    #[test]
    fn the_matrix_has_a_legend_of_the_words_that_occur() {
        let text = render(&sample(), Format::Markdown, &Style::default()).unwrap();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn nothing_in_it_differs_from_run_to_run() {
        let mut other = sample();
        other.seed = "beef".to_owned();
        other.machine.os = "another".to_owned();
        other.cells.iter_mut().for_each(|cell| cell.figures.iterations += 1);
        let text = |run| render(run, Format::Markdown, &Style::default()).unwrap();
        assert_eq!(text(&sample()), text(&other));
    }
}
