//! CSV: a row for each cell, figures as columns, the same columns for every run.

use anyhow::Context;
use loopnest_core::verdict::{Figures, Word};

use crate::result::{CellResult, RunResult};

/// Columns of the cell itself. Those of the figures come after them.
const COLUMNS: [&str; 9] =
    ["strategy", "scenario", "verdict", "expected", "agree", "repeats", "rule", "why", "seed"];

/// The header and the rows.
pub(super) fn render(result: &RunResult) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let figures = columns(&Figures::default());
    writer.write_record(COLUMNS.into_iter().chain(figures.iter().map(|(name, _)| *name)))?;
    for cell in &result.cells {
        let figures = columns(&cell.figures).into_iter().map(|(_, value)| value);
        writer.write_record(head(cell, &result.seed).into_iter().chain(figures))?;
    }
    let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    String::from_utf8(bytes).context("the rows are made of strings")
}

fn head(cell: &CellResult, seed: &str) -> [String; 9] {
    [
        cell.strategy.clone(),
        cell.scenario.clone(),
        cell.text(),
        cell.expected.as_deref().map(join).unwrap_or_default(),
        cell.agree.to_string(),
        cell.repeats.to_string(),
        cell.rule.clone(),
        cell.why.clone(),
        seed.to_owned(),
    ]
}

fn join(words: &[Word]) -> String {
    words.iter().map(|word| word.name()).collect::<Vec<_>>().join("+")
}

/// The figures by name. The pattern names every field, so that a new one is not forgotten here.
fn columns(figures: &Figures) -> [(&'static str, String); 12] {
    let Figures {
        async_due,
        async_starved,
        async_lost,
        glib_due,
        glib_starved,
        glib_lost,
        longest_gap_ms,
        iterations,
        justified,
        cpu_ratio,
        timer_late_us,
        timer_early_us,
    } = figures;
    [
        ("async_due", async_due.to_string()),
        ("async_starved", async_starved.to_string()),
        ("async_lost", async_lost.to_string()),
        ("glib_due", glib_due.to_string()),
        ("glib_starved", glib_starved.to_string()),
        ("glib_lost", glib_lost.to_string()),
        ("longest_gap_ms", longest_gap_ms.to_string()),
        ("iterations", iterations.to_string()),
        ("justified", justified.to_string()),
        ("cpu_ratio", cpu_ratio.to_string()),
        ("timer_late_us", timer_late_us.to_string()),
        ("timer_early_us", timer_early_us.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::super::{Format, Style, render};

    #[test]
    fn every_cell_is_a_row_and_the_columns_are_those_of_the_contract() {
        let text = render(&sample(), Format::Csv, &Style::default()).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        assert_eq!(header.iter().take(3).collect::<Vec<_>>(), ["strategy", "scenario", "verdict"]);
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), sample().cells.len());
        assert!(rows.iter().all(|row| row.len() == header.len()));
        let at = |name| header.iter().position(|column| column == name).unwrap();
        assert_eq!(&rows[1][at("verdict")], "stall+busy-loop");
        assert_eq!(&rows[1][at("iterations")], "141000");
        assert_eq!(&rows[1][at("why")], sample().cells[1].why);
    }
}
