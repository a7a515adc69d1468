//! What `explain` and `replay` run: a cell of the matrix, or a counterexample.

use std::path::Path;

use anyhow::Context as _;
use loopnest_core::Word;
use loopnest_core::classify::RULES_VERSION;

use super::cells::{launch, on_interrupt};
use super::output::say;
use super::progress::OfCells;
use super::usage::usage;
use crate::cli::ProgressKind;
use crate::counterexample::Counterexample;
use crate::expect::Expectations;
use crate::matrix::Progress as _;
use crate::registry::Registry;
use crate::trial::{Attempt, Trial};
use crate::values::Subject;

/// What was asked for, ready to be run.
pub(super) struct Chosen {
    pub(super) trial: Trial,
    /// The verdict that is on record: in the expectation file, or in the counterexample.
    pub(super) expected: Option<Vec<Word>>,
}

impl Chosen {
    /// Finds it. A counterexample may run on another strategy than the one it was found on.
    pub(super) fn find(
        registry: &Registry,
        what: &Subject,
        strategy: Option<&str>,
    ) -> anyhow::Result<Self> {
        match what {
            Subject::Cell(_) if strategy.is_some() => {
                Err(usage("--strategy is for a counterexample; a cell already names its strategy"))
            }
            Subject::Cell(cell) => {
                let trial = Trial::named(registry, &cell.strategy, &cell.scenario)?;
                let expectations = Expectations::built_in().map_err(usage)?;
                let expected = expectations.get(&cell.strategy, &cell.scenario);
                Ok(Self { trial, expected: expected.map(<[Word]>::to_vec) })
            }
            Subject::File(path) => Self::load(registry, path, strategy),
        }
    }

    fn load(registry: &Registry, path: &Path, strategy: Option<&str>) -> anyhow::Result<Self> {
        let file = Counterexample::load(path).map_err(usage)?;
        let about = registry.strategy(strategy.unwrap_or(&file.strategy))?.about();
        if file.rules != RULES_VERSION {
            let (path, rules) = (path.display(), file.rules);
            say(format_args!(
                "warning: {path} was judged by rules {rules}; this harness has rules {RULES_VERSION}"
            ));
        }
        Ok(Self { trial: Trial::of(about, file.program)?, expected: Some(file.verdict) })
    }
}

/// Runs it some times; `None` if interrupted.
pub(super) fn attempts(trial: &Trial, n: u32) -> anyhow::Result<Option<Vec<Attempt>>> {
    let (launch, interrupted) = (launch()?, on_interrupt()?);
    let kind = if n > 1 { ProgressKind::Auto } else { ProgressKind::None };
    let progress = OfCells::new(kind, n.into(), None);
    let mut attempts = Vec::new();
    for _ in 0..n {
        progress.begin(&trial.id());
        let attempt = trial.run(&launch, &interrupted);
        let Some(attempt) = attempt.context("cannot start a cell")? else {
            progress.finish();
            return Ok(None);
        };
        progress.end(&trial.id(), &attempt.judgement.text());
        attempts.push(attempt);
    }
    progress.finish();
    Ok(Some(attempts))
}
