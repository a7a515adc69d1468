//! The committed expectation file: what we said would happen.
//!
//! A verdict is a fact about a cell, not a pass or a fail.
//! The file names the verdict of each cell, known stalls included. A run reports as unexpected only
//! what differs from it.
//!
//! ```toml
//! [nested]
//! dialog-from-callback = "stall+busy-loop"
//! ticker = "progress"
//! ```
//!
//! Rendering is deterministic, sorted by strategy and scenario, so a changed verdict is one changed
//! line. Cells that were not run stay as they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use loopnest_core::verdict::Word;
use toml::Spanned;

use crate::result::{CellResult, RunResult};

/// The comment at the top of the file.
const HEADER: &str = "\
# What each strategy is expected to do in each scenario: a finding, not a wish.
# `run` exits 1 where a verdict differs from this file.
# Written by `run -s all --expect harness/expected.toml --write-expectations`;
# read the diff before you commit it.
";

/// What is wrong with an expectation file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExpectError {
    /// It cannot be read.
    #[error("cannot read {}: {source}; --write-expectations writes such a file", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is not TOML, or not a table of strategies.
    #[error(
        "{file}:{line}: {message}; write `[STRATEGY]` and below it lines of \
         `SCENARIO = \"WORD+WORD\"`"
    )]
    Syntax {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A verdict with a word that does not exist.
    #[error("{file}:{line}: no such verdict, `{word}`; the words are {}", names())]
    UnknownWord {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is written there.
        word: String,
    },
    /// A word that excludes all others, beside another one.
    #[error("{file}:{line}: `{word}` cannot be joined with other words; leave one of them out")]
    Contradiction {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// The word that must be alone.
        word: Word,
    },
}

/// Verdicts by strategy and scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectations {
    cells: BTreeMap<String, BTreeMap<String, Vec<Word>>>,
}

impl Expectations {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or is not an expectation file; the message names the line.
    pub fn load(path: &Path) -> Result<Self, ExpectError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ExpectError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads a file, or starts empty if there is none: for `--write-expectations`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_or_new(path: &Path) -> Result<Self, ExpectError> {
        match Self::load(path) {
            Err(ExpectError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            other => other,
        }
    }

    /// The file that was committed when this was built, for a harness that runs elsewhere.
    ///
    /// # Errors
    /// When it is not an expectation file; a test makes sure that it is.
    pub fn built_in() -> Result<Self, ExpectError> {
        Self::parse(include_str!("../expected.toml"), "harness/expected.toml")
    }

    /// Reads the text of a file; `file` names it in errors.
    ///
    /// # Errors
    /// When it is not an expectation file; the message names the line.
    pub fn parse(text: &str, file: &str) -> Result<Self, ExpectError> {
        type Raw = BTreeMap<String, BTreeMap<String, Spanned<String>>>;
        let raw: Raw = toml::from_str(text).map_err(|error| ExpectError::Syntax {
            file: file.to_owned(),
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            message: error.message().lines().next().unwrap_or("not TOML").to_owned(),
        })?;
        let mut cells = BTreeMap::new();
        for (strategy, scenarios) in raw {
            let mut row = BTreeMap::new();
            for (scenario, verdict) in scenarios {
                let line = line_of(text, verdict.span().start);
                row.insert(scenario, words(verdict.get_ref(), file, line)?);
            }
            cells.insert(strategy, row);
        }
        Ok(Self { cells })
    }

    /// The verdict that is expected of a cell.
    pub fn get(&self, strategy: &str, scenario: &str) -> Option<&[Word]> {
        self.cells.get(strategy)?.get(scenario).map(Vec::as_slice)
    }

    /// Fills in `expected` in every cell that has an expectation, and clears it in the others.
    pub fn apply(&self, result: &mut RunResult) {
        for cell in &mut result.cells {
            cell.expected = self.get(&cell.strategy, &cell.scenario).map(<[Word]>::to_vec);
        }
    }

    /// The same cell, with its expectation.
    pub fn of(&self, cell: CellResult) -> CellResult {
        let expected = self.get(&cell.strategy, &cell.scenario).map(<[Word]>::to_vec);
        CellResult { expected, ..cell }
    }

    /// Expects the verdicts of a run from now on. Cells that were not run stay as they are.
    ///
    /// Returns the names of the cells that it left alone: inconclusive ones, and those whose
    /// repeats disagree.
    pub fn learn(&mut self, result: &RunResult) -> Vec<String> {
        let mut left = Vec::new();
        for cell in &result.cells {
            if cell.is_inconclusive() || cell.is_mixed() {
                left.push(cell.id());
                continue;
            }
            let row = self.cells.entry(cell.strategy.clone()).or_default();
            row.insert(cell.scenario.clone(), cell.verdict.clone());
        }
        left
    }

    /// The text of the file: the same cells always give the same text.
    pub fn render(&self) -> String {
        let mut text = HEADER.to_owned();
        for (strategy, row) in &self.cells {
            text.push_str(&format!("\n[{}]\n", key(strategy)));
            for (scenario, verdict) in row {
                let names: Vec<&str> = verdict.iter().map(|word| word.name()).collect();
                text.push_str(&format!("{} = \"{}\"\n", key(scenario), names.join("+")));
            }
        }
        text
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ExpectError> {
        fs::write(path, self.render())
            .map_err(|source| ExpectError::Write { path: path.to_owned(), source })
    }
}

/// The words of a verdict, worst first, in whatever order the file has them.
fn words(text: &str, file: &str, line: usize) -> Result<Vec<Word>, ExpectError> {
    let mut words = Vec::new();
    for name in text.split('+').map(str::trim) {
        let word = Word::from_name(name).ok_or_else(|| ExpectError::UnknownWord {
            file: file.to_owned(),
            line,
            word: name.to_owned(),
        })?;
        words.push(word);
    }
    words.sort_unstable_by(|a, b| b.cmp(a));
    words.dedup();
    let alone = words.iter().find(|w| matches!(w, Word::Progress | Word::NotApplicable));
    match alone {
        Some(&word) if words.len() > 1 => {
            Err(ExpectError::Contradiction { file: file.to_owned(), line, word })
        }
        _ => Ok(words),
    }
}

fn names() -> String {
    Word::ALL.map(Word::name).join(", ")
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
}

/// A name as a TOML key: bare where TOML allows it.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        toml::Value::String(name.to_owned()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{cell, run};

    const FILE: &str = "[nested]\nticker = \"progress\"\ndialog = \"busy-loop + stall\"\n";

    fn parse(text: &str) -> Result<Expectations, ExpectError> {
        Expectations::parse(text, "expected.toml")
    }

    fn error(text: &str) -> String {
        parse(text).expect_err("this file must be refused").to_string()
    }

    #[test]
    fn what_is_rendered_is_read_back_the_same() {
        let first = parse(FILE).unwrap();
        let text = first.render();
        assert_eq!(parse(&text).unwrap(), first);
        assert_eq!(parse(&text).unwrap().render(), text);
        assert!(
            text.ends_with("\n[nested]\ndialog = \"stall+busy-loop\"\nticker = \"progress\"\n")
        );
    }

    #[test]
    fn the_committed_file_is_what_would_be_written() {
        let file = Expectations::built_in().unwrap();
        assert_eq!(file.render(), include_str!("../expected.toml"));
    }

    #[test]
    fn every_word_can_be_expected() {
        for word in Word::ALL {
            let file = parse(&format!("[s]\nc = \"{word}\"")).unwrap();
            assert_eq!(file.get("s", "c"), Some(&[word][..]));
        }
    }

    #[test]
    fn an_unknown_word_is_refused_with_the_line_and_all_words() {
        let message = error("[nested]\n\nticker = \"stall+stuck\"\n");
        assert_eq!(
            message,
            "expected.toml:3: no such verdict, `stuck`; the words are progress, n/a, refused, \
             busy-loop, split, stall, held-open, lost, wrong-level, livelock, deadlock, abort, \
             inconclusive"
        );
    }

    #[test]
    fn a_syntax_error_names_the_line_and_the_form() {
        let message = error("[nested]\nticker = \n");
        assert!(message.starts_with("expected.toml:2: "), "{message}");
        assert!(message.contains("SCENARIO = \"WORD+WORD\""), "{message}");
        let message = error("[nested]\nticker = 3\n");
        assert!(message.starts_with("expected.toml:2: "), "{message}");
    }

    #[test]
    fn progress_excludes_other_words() {
        let message = error("[nested]\nticker = \"progress+stall\"\n");
        assert!(message.starts_with("expected.toml:2: `progress` cannot be joined"), "{message}");
    }

    #[test]
    fn applying_fills_what_is_known_and_clears_the_rest() {
        let mut result = run(vec![
            cell("nested", "ticker", &[Word::Stall]),
            cell("nested", "other", &[Word::Progress]),
        ]);
        result.cells[1].expected = Some(vec![Word::Abort]);
        parse(FILE).unwrap().apply(&mut result);
        assert_eq!(result.cells[0].expected, Some(vec![Word::Progress]));
        assert!(!result.cells[0].is_expected());
        assert_eq!(result.cells[1].expected, None);
        assert!(result.cells[1].is_expected());
    }

    #[test]
    fn learning_leaves_alone_cells_that_were_not_run_and_those_it_cannot_know() {
        let mut file = parse(FILE).unwrap();
        let mut mixed = cell("nested", "dialog", &[Word::Abort]);
        mixed.agree = 4;
        let left = file.learn(&run(vec![
            cell("nested", "idle", &[Word::Progress]),
            cell("dispatch", "ticker", &[Word::Lost, Word::BusyLoop]),
            cell("nested", "ticker", &[Word::Inconclusive]),
            mixed,
        ]));
        assert_eq!(left, ["nested/ticker", "nested/dialog"]);
        assert_eq!(file.get("nested", "ticker"), Some(&[Word::Progress][..]));
        assert_eq!(file.get("nested", "dialog"), Some(&[Word::Stall, Word::BusyLoop][..]));
        assert_eq!(file.get("nested", "idle"), Some(&[Word::Progress][..]));
        assert_eq!(file.get("dispatch", "ticker"), Some(&[Word::Lost, Word::BusyLoop][..]));
    }

    #[test]
    fn a_name_that_is_not_a_bare_key_is_quoted() {
        let text = "[\"own strategy\"]\nc = \"progress\"\n";
        let file = parse(text).unwrap();
        assert!(file.render().ends_with(&format!("\n{text}")));
    }

    #[test]
    fn a_missing_file_says_how_to_write_it_or_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("expected.toml");
        let message = Expectations::load(&path).unwrap_err().to_string();
        assert!(message.contains("--write-expectations"), "{message}");
        let mut file = Expectations::load_or_new(&path).unwrap();
        file.learn(&run(vec![cell("nested", "idle", &[Word::Progress])]));
        file.save(&path).unwrap();
        assert_eq!(Expectations::load(&path).unwrap(), file);
    }
}
