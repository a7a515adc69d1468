//! What the runs have found so far: a file, and a table.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// All runs of one commit.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// The commit.
    pub commit: String,
    /// In the order in which they were made.
    pub runs: Vec<Run>,
}

/// One run of the matrix and of the controls.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Run {
    /// What ran beside it.
    pub beside: String,
    /// The load average when it ended.
    pub load: Option<f64>,
    /// Cells of the matrix.
    pub cells: usize,
    /// Cells with another verdict than the expected one, and that verdict.
    pub wrong: Vec<String>,
    /// Cells that stayed inconclusive.
    pub inconclusive: Vec<String>,
    /// Cells that were run again, by themselves.
    pub again: usize,
    /// Cells that some of their runs judged otherwise, and were outvoted.
    pub outvoted: usize,
    /// Controls with another verdict than theirs.
    pub misjudged: Vec<String>,
    /// How long it took.
    pub seconds: f64,
}

/// As the harness writes a run.
#[derive(Deserialize)]
struct Found {
    load: Option<f64>,
    cells: Vec<Cell>,
}

#[derive(Deserialize)]
struct Cell {
    strategy: String,
    scenario: String,
    verdict: Vec<String>,
    expected: Option<Vec<String>>,
    #[serde(default)]
    again: u32,
    #[serde(default)]
    odd: u32,
}

impl Cell {
    fn is_inconclusive(&self) -> bool {
        self.verdict.iter().any(|word| word == INCONCLUSIVE)
    }

    /// Whether a word was found that is not expected. An inconclusive verdict may also have proven
    /// something.
    fn is_wrong(&self, expected: &[String]) -> bool {
        if !self.is_inconclusive() {
            return self.verdict != expected;
        }
        let mut proven = self.verdict.iter().filter(|word| *word != INCONCLUSIVE);
        proven.any(|word| !expected.contains(word))
    }
}

/// The word of the harness for what it cannot tell.
const INCONCLUSIVE: &str = "inconclusive";

impl Run {
    /// From the report of the harness.
    pub fn of(beside: &str, json: &str) -> Result<Self> {
        let found: Found =
            serde_json::from_str(json).context("the harness wrote a report of another form")?;
        let mut run = Self { beside: beside.to_owned(), load: found.load, ..Self::default() };
        for cell in found.cells {
            let id = format!("{}/{}", cell.strategy, cell.scenario);
            run.cells += 1;
            run.again += usize::from(cell.again > 0);
            run.outvoted += usize::from(cell.odd > 0);
            if cell.expected.as_ref().is_some_and(|expected| cell.is_wrong(expected)) {
                run.wrong.push(format!("{id}: {}", cell.verdict.join("+")));
            } else if cell.is_inconclusive() {
                run.inconclusive.push(id);
            }
        }
        Ok(run)
    }
}

impl Record {
    /// Reads the file; `None` if there is none.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let record = serde_json::from_str(&text);
        record.map(Some).with_context(|| format!("{} was not written by this", path.display()))
    }

    /// Replaces the file in one step, so that an interruption loses nothing.
    pub fn save(&self, path: &Path) -> Result<()> {
        let beside = path.with_extension("new");
        fs::write(&beside, serde_json::to_string(self)?)
            .and_then(|()| fs::rename(&beside, path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// The runs beside this.
    pub fn of<'a>(&'a self, beside: &'a str) -> impl Iterator<Item = &'a Run> {
        self.runs.iter().filter(move |run| run.beside == beside)
    }

    /// Cells and controls with a wrong verdict.
    pub fn wrong(&self) -> usize {
        self.runs.iter().map(|run| run.wrong.len() + run.misjudged.len()).sum()
    }

    /// A row for each load, and a line for each wrong verdict.
    pub fn table(&self) -> String {
        let mut text = format!("{}\n\n", self.commit);
        text.push_str(
            "| beside | runs | cells | wrong | inconclusive | run again | outvoted | \
             controls misjudged | load | s per run | a report is wrong, 95 % |\n\
             |---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        let mut names: Vec<&str> = Vec::new();
        for run in &self.runs {
            if !names.contains(&run.beside.as_str()) {
                names.push(&run.beside);
            }
        }
        for name in &names {
            let runs: Vec<&Run> = self.of(name).collect();
            text.push_str(&row(name, &runs));
        }
        for run in &self.runs {
            for wrong in run.wrong.iter().chain(&run.misjudged) {
                let _ = writeln!(text, "\n{}: {wrong}", run.beside);
            }
        }
        text
    }
}

fn row(name: &str, runs: &[&Run]) -> String {
    let sum = |count: fn(&Run) -> usize| runs.iter().map(|run| count(run)).sum::<usize>();
    let (cells, wrong) = (sum(|run| run.cells), sum(|run| run.wrong.len()));
    let share = |n: usize| format!("{n} ({:.2} %)", 100.0 * n as f64 / cells.max(1) as f64);
    let n = runs.len().max(1) as f64;
    let seconds = runs.iter().map(|run| run.seconds).sum::<f64>() / n;
    let load = runs.iter().filter_map(|run| run.load).sum::<f64>() / n;
    format!(
        "| {name} | {} | {cells} | {wrong} | {} | {} | {} | {} | {load:.1} | {seconds:.0} | {} |\n",
        runs.len(),
        share(sum(|run| run.inconclusive.len())),
        share(sum(|run| run.again)),
        sum(|run| run.outvoted),
        sum(|run| run.misjudged.len()),
        if wrong == 0 { format!("below {:.3} %", 100.0 * bound(cells)) } else { "-".to_owned() },
    )
}

/// With 95 % confidence, the probability of something that happened in none of `n` cases is below
/// this.
fn bound(n: usize) -> f64 {
    1.0 - 0.05_f64.powf(1.0 / n.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"schema": 1, "load": 3.5, "cells": [
        {"strategy": "a", "scenario": "x", "verdict": ["progress"], "expected": ["progress"]},
        {"strategy": "a", "scenario": "y", "verdict": ["stall"], "expected": ["progress"], "again": 2},
        {"strategy": "a", "scenario": "z", "verdict": ["inconclusive"], "again": 4, "odd": 1},
        {"strategy": "c", "scenario": "z", "verdict": ["inconclusive", "stall"], "expected": ["lost"]},
        {"strategy": "b", "scenario": "x", "verdict": ["stall"]}]}"#;

    #[test]
    fn a_report_is_counted() {
        let run = Run::of("quiet", JSON).unwrap();
        assert_eq!((run.cells, run.again, run.outvoted, run.load), (5, 2, 1, Some(3.5)));
        assert_eq!(run.wrong, ["a/y: stall", "c/z: inconclusive+stall"]);
        assert_eq!(run.inconclusive, ["a/z"]);
        assert!(Run::of("quiet", "{}").is_err());
    }

    #[test]
    fn the_table_has_a_row_for_each_load_and_names_what_was_wrong() {
        let mut record = Record { commit: "abc".to_owned(), runs: Vec::new() };
        record.runs.push(Run::of("quiet", JSON).unwrap());
        record.runs.push(Run { beside: "4 busy".to_owned(), cells: 60, ..Run::default() });
        let table = record.table();
        assert!(
            table.contains("\n| quiet | 1 | 5 | 2 | 1 (20.00 %) | 2 (40.00 %) | 1 | 0 |"),
            "{table}"
        );
        assert!(table.contains("\n| 4 busy | 1 | 60 | 0 | 0 (0.00 %) |"), "{table}");
        assert!(table.contains("| below 4.870 % |\n"), "{table}");
        assert!(table.contains("\nquiet: a/y: stall\n"), "{table}");
        assert_eq!(record.wrong(), 2);
    }

    #[test]
    fn what_was_saved_is_read_back_and_a_missing_file_is_no_error() {
        let path = std::env::temp_dir().join(format!("loopnest-record-{}", std::process::id()));
        assert!(Record::load(&path).unwrap().is_none());
        let record = Record { commit: "abc".to_owned(), runs: vec![Run::of("q", JSON).unwrap()] };
        record.save(&path).unwrap();
        let again = Record::load(&path).unwrap().unwrap();
        assert_eq!(again.table(), record.table());
        fs::write(&path, "{").unwrap();
        assert!(Record::load(&path).is_err());
        fs::remove_file(&path).unwrap();
    }
}
