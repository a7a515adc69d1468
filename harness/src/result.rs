//! The results of a run of the matrix, from which every report is made.

use std::collections::BTreeMap;

use loopnest_core::Program;
use loopnest_core::strategy::About;
use loopnest_core::verdict::{Figures, Judgement, Word};
use serde::{Deserialize, Serialize};

use crate::rules;

/// Version of the JSON contract (`harness/schema/run.schema.json`).
pub const SCHEMA: u32 = 1;

/// A run of the matrix, or of a part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of the verdict rules.
    pub rules: u32,
    /// What it ran on.
    pub machine: Machine,
    /// Seed of the order of the cells, in hexadecimal.
    pub seed: String,
    /// How many times each cell was meant to run.
    pub repeat: u32,
    /// The run was interrupted and cells are missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// In the order of the strategies, then of the scenarios.
    pub cells: Vec<CellResult>,
}

/// The machine and the versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Version of the harness.
    pub harness: String,
    /// GLib at run time.
    pub glib: String,
    /// glib-rs.
    pub glib_rs: String,
    /// tokio.
    pub tokio: String,
    /// Operating system and kernel.
    pub os: String,
    /// Processors.
    pub cpus: u32,
    /// `debug` or `release`.
    pub profile: String,
}

/// One cell: a strategy with a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// Name of the strategy.
    pub strategy: String,
    /// Name of the scenario.
    pub scenario: String,
    /// What was found, worst first: the verdict that most repeats agree on.
    pub verdict: Vec<Word>,
    /// The reason, in a sentence or two.
    pub why: String,
    /// Name of the rule that recognised the cause, see METHODOLOGY.md.
    pub rule: String,
    /// How many times it ran.
    pub repeats: u32,
    /// How many of the repeats had this verdict.
    pub agree: u32,
    /// Figures of the first repeat with this verdict.
    pub figures: Figures,
    /// The verdict in the expectation file, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Vec<Word>>,
    /// Every repeat, in order. Left out of the JSON unless `--full` is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judgements: Vec<Judgement>,
}

impl CellResult {
    /// The result of a cell from the judgements of its repeats.
    pub fn of(about: &About, program: &Program, judgements: Vec<Judgement>) -> Self {
        let verdict = majority(&judgements);
        let agreeing = || judgements.iter().filter(|judgement| judgement.words == verdict);
        let shown = agreeing().next();
        let (why, rule) = shown.map_or((String::new(), "inconclusive"), |judgement| {
            rules::why(program, about, judgement)
        });
        Self {
            strategy: about.name.to_owned(),
            scenario: program.name.clone(),
            why,
            rule: rule.to_owned(),
            repeats: judgements.len() as u32,
            agree: agreeing().count() as u32,
            figures: shown.map(|judgement| judgement.figures.clone()).unwrap_or_default(),
            expected: None,
            verdict,
            judgements,
        }
    }

    /// `strategy/scenario`, its name everywhere.
    pub fn id(&self) -> String {
        format!("{}/{}", self.strategy, self.scenario)
    }

    /// The words in one string, worst first.
    pub fn text(&self) -> String {
        self.verdict.iter().map(|w| w.name()).collect::<Vec<_>>().join("+")
    }

    /// Whether it is what the expectation file says. Without an expectation, every verdict is.
    pub fn is_expected(&self) -> bool {
        self.expected.as_ref().is_none_or(|words| *words == self.verdict)
    }

    /// Whether the repeats disagree.
    pub fn is_mixed(&self) -> bool {
        self.agree != self.repeats
    }

    /// Whether the measurement could not tell.
    pub fn is_inconclusive(&self) -> bool {
        self.verdict.contains(&Word::Inconclusive)
    }

    /// The worst word.
    pub fn worst(&self) -> Word {
        self.verdict.first().copied().unwrap_or(Word::Inconclusive)
    }
}

impl RunResult {
    /// The names of the strategies, in order of appearance.
    pub fn strategies(&self) -> Vec<&str> {
        in_order(self.cells.iter().map(|c| c.strategy.as_str()))
    }

    /// The names of the scenarios, in order of appearance.
    pub fn scenarios(&self) -> Vec<&str> {
        in_order(self.cells.iter().map(|c| c.scenario.as_str()))
    }

    /// The cell of a strategy and a scenario.
    pub fn cell(&self, strategy: &str, scenario: &str) -> Option<&CellResult> {
        self.cells.iter().find(|c| c.strategy == strategy && c.scenario == scenario)
    }
}

/// The verdict that most repeats agree on; if tied, the worst.
fn majority(judgements: &[Judgement]) -> Vec<Word> {
    let votes = |words: &[Word]| judgements.iter().filter(|j| j.words == words).count();
    judgements
        .iter()
        .map(|judgement| &judgement.words)
        .max_by_key(|words| (votes(words), words.first().copied()))
        .cloned()
        .unwrap_or_default()
}

fn in_order<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = BTreeMap::new();
    names.filter(|name| seen.insert(*name, ()).is_none()).collect()
}
