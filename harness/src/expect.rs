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

use crate::counterexample::{WordsError, words};
use crate::file;
use crate::registry::{Registry, Unknown};
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
    /// A verdict that does not exist.
    #[error("{file}:{line}: {source}")]
    Words {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        source: WordsError,
    },
    /// A strategy or a scenario that does not exist. Its rows would never be compared with anything.
    #[error("{file}:{line}: {source}")]
    Unknown {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is not known, and what is like it.
        source: Unknown,
    },
}

/// Verdicts by strategy and scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectations {
    cells: BTreeMap<String, BTreeMap<String, Vec<Word>>>,
}

impl Expectations {
    /// Reads a file about what is registered.
    ///
    /// # Errors
    /// When it cannot be read, is not an expectation file, or names something that is not
    /// registered; the message names the line.
    pub fn load(path: &Path, registry: &Registry) -> Result<Self, ExpectError> {
        let text = file::read(path)
            .map_err(|source| ExpectError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, &path.display().to_string(), registry)
    }

    /// Reads a file, or starts empty if there is none: for `--write-expectations`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_or_new(path: &Path, registry: &Registry) -> Result<Self, ExpectError> {
        match Self::load(path, registry) {
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
        Self::read(include_str!("../expected.toml"), "harness/expected.toml", None)
    }

    /// Reads the text of a file about what is registered; `file` names it in errors.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(text: &str, file: &str, registry: &Registry) -> Result<Self, ExpectError> {
        Self::read(text, file, Some(registry))
    }

    /// Reads a text. Without a registry, it may name anything.
    fn read(text: &str, file: &str, registry: Option<&Registry>) -> Result<Self, ExpectError> {
        type Raw = BTreeMap<Spanned<String>, BTreeMap<Spanned<String>, Spanned<String>>>;
        let raw: Raw = toml::from_str(text).map_err(|error| ExpectError::Syntax {
            file: file.to_owned(),
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            message: error.message().lines().next().unwrap_or("not TOML").to_owned(),
        })?;
        let line = |at: &Spanned<String>| line_of(text, at.span().start);
        let unknown = |at: &Spanned<String>, source| {
            Err(ExpectError::Unknown { file: file.to_owned(), line: line(at), source })
        };
        let mut cells = BTreeMap::new();
        for (strategy, scenarios) in raw {
            if let Some(Err(error)) = registry.map(|known| known.strategy(strategy.get_ref())) {
                return unknown(&strategy, error);
            }
            let mut row = BTreeMap::new();
            for (scenario, verdict) in scenarios {
                if let Some(Err(error)) = registry.map(|known| known.scenario(scenario.get_ref())) {
                    return unknown(&scenario, error);
                }
                let words = words(verdict.get_ref()).map_err(|source| ExpectError::Words {
                    file: file.to_owned(),
                    line: line(&verdict),
                    source,
                })?;
                row.insert(scenario.into_inner(), words);
            }
            cells.insert(strategy.into_inner(), row);
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

    /// Reads a text that may name anything.
    fn parse(text: &str) -> Result<Expectations, ExpectError> {
        Expectations::read(text, "expected.toml", None)
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
            "expected.toml:3: no such verdict, `stuck`; did you mean `stall`? The words are \
             progress, n/a, refused, busy-loop, split, stall, held-open, lost, wrong-level, \
             livelock, deadlock, abort, inconclusive"
        );
    }

    #[test]
    fn a_word_that_is_there_twice_is_refused() {
        let message = error("[nested]\nticker = \"stall+stall\"\n");
        assert_eq!(message, "expected.toml:2: `stall` is there twice; leave one of them out");
    }

    #[test]
    fn a_name_that_is_not_registered_is_refused_with_the_line_and_the_nearest() {
        let registry = Registry::default();
        let error = |text| {
            let read = Expectations::parse(text, "expected.toml", &registry);
            read.expect_err("this file must be refused").to_string()
        };
        let message = error("[nested]\nidle = \"progress\"\n\n[dispach]\nidle = \"stall\"\n");
        assert!(message.starts_with("expected.toml:4: no strategy matches `dispach`"), "{message}");
        assert!(message.contains("did you mean dispatch"), "{message}");
        let message = error("[nested]\nidle = \"progress\"\nidel = \"stall\"\n");
        assert!(message.starts_with("expected.toml:3: no scenario matches `idel`"), "{message}");
        assert!(message.contains("did you mean idle"), "{message}");
        assert!(error("[nobody]\n").starts_with("expected.toml:1: "));
        let all = include_str!("../expected.toml");
        Expectations::parse(all, "expected.toml", &registry).unwrap();
        Expectations::parse("[control-correct]\ncontrol = \"progress\"", "", &registry).unwrap();
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
        let registry = Registry::default();
        let message = Expectations::load(&path, &registry).unwrap_err().to_string();
        assert!(message.contains("--write-expectations"), "{message}");
        let mut file = Expectations::load_or_new(&path, &registry).unwrap();
        file.learn(&run(vec![cell("nested", "idle", &[Word::Progress])]));
        file.save(&path).unwrap();
        assert_eq!(Expectations::load(&path, &registry).unwrap(), file);
    }
}
