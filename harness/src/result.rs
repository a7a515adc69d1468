//! The results of a run of the matrix, from which every report is made.

use std::collections::BTreeMap;

use loopnest_core::strategy::About;
use loopnest_core::verdict::{Figures, Judgement, Word};
use loopnest_core::{Program, Trace};
use serde::{Deserialize, Serialize, Serializer, ser::Error as _};

use crate::rules;

/// So many runs of a cell by itself, with one verdict, decide.
pub const ENOUGH: usize = 2;

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
    /// The load average, over a minute, when the run ended. Above the number of processors, cells wait
    /// for each other and for other work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f32>,
    /// Seed of the order of the cells, in hexadecimal.
    pub seed: String,
    /// How many times each cell was meant to run.
    pub repeat: u32,
    /// How long all of it took, in milliseconds: a figure, never part of a verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
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
    /// How many times it was run again, by itself, because the repeats were unexpected, mixed or
    /// inconclusive.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub again: u32,
    /// How many of all runs had another verdict than this one. Inconclusive runs do not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub odd: u32,
    /// Figures of the first repeat with this verdict.
    pub figures: Figures,
    /// The verdict in the expectation file, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Vec<Word>>,
    /// Every repeat, in order, and then every further run. Left out of the JSON unless `--full` is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judgements: Vec<Judgement>,
    /// The first repeat with this verdict, event by event, to be explained later. Left out of the
    /// JSON unless `--full` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
}

/// One run, with everything that its explanation needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What was run. The scenario of this name may be another one today.
    pub program: Program,
    /// What happened.
    #[serde(serialize_with = "in_one_line")]
    pub trace: Trace,
}

/// A trace has hundreds of events, each of which would take twenty lines.
fn in_one_line<S: Serializer>(trace: &Trace, to: S) -> Result<S::Ok, S::Error> {
    serde_json::value::to_raw_value(trace).map_err(S::Error::custom)?.serialize(to)
}

impl CellResult {
    /// The result of a cell from the judgements of its repeats, and of its runs by itself.
    pub fn of(
        about: &About,
        program: &Program,
        repeats: Vec<Judgement>,
        again: Vec<Judgement>,
    ) -> Self {
        let (n_repeats, n_again) = (repeats.len(), again.len());
        let judgements = [repeats, again].concat();
        let sure: Vec<&Judgement> =
            judgements.iter().filter(|judgement| !judgement.has(Word::Inconclusive)).collect();
        // What is sure outvotes what is not, but one sure run is not enough.
        let leading = majority(&sure);
        let votes = sure.iter().filter(|judgement| judgement.words == leading).count();
        let verdict = if n_again > 0 && votes >= ENOUGH {
            leading
        } else {
            majority(&judgements.iter().collect::<Vec<_>>())
        };
        // What is not sure may still have proven something.
        let proven = |judgement: &Judgement| {
            let mut words = judgement.words.iter().filter(|word| **word != Word::Inconclusive);
            words.any(|word| !verdict.contains(word))
        };
        let odd = judgements.iter().filter(|judgement| proven(judgement)).count()
            + sure.iter().filter(|judgement| is_part(&judgement.words, &verdict)).count();
        let agree = judgements[..n_repeats].iter().filter(|j| j.words == verdict).count();
        let shown = judgements.iter().find(|judgement| judgement.words == verdict);
        let (why, rule) = shown.map_or((String::new(), "inconclusive"), |judgement| {
            rules::why(program, about, judgement)
        });
        Self {
            strategy: about.name.to_owned(),
            scenario: program.name.clone(),
            why,
            rule: rule.to_owned(),
            repeats: n_repeats as u32,
            agree: agree as u32,
            again: n_again as u32,
            odd: odd as u32,
            figures: shown.map(|judgement| judgement.figures.clone()).unwrap_or_default(),
            expected: None,
            verdict,
            judgements,
            record: None,
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

    /// Whether the repeats disagree, or disagree with the runs by itself.
    pub fn is_mixed(&self) -> bool {
        if self.again == 0 { self.agree != self.repeats } else { self.odd > 0 }
    }

    /// Whether it has to be run again by itself before it is reported.
    pub fn is_doubtful(&self) -> bool {
        !self.is_expected() || self.is_mixed() || self.is_inconclusive()
    }

    /// `flaky 1 of 3` if it was run again by itself and some run had another verdict.
    pub fn flaky(&self) -> Option<String> {
        let runs = self.repeats + self.again;
        (self.again > 0 && self.odd > 0).then(|| format!("flaky {} of {runs}", self.odd))
    }

    /// Whether the measurement could not tell.
    pub fn is_inconclusive(&self) -> bool {
        self.verdict.contains(&Word::Inconclusive)
    }

    /// The verdicts of the repeats that disagree, if they are known, and how many had each.
    pub fn other_verdicts(&self) -> Vec<(String, usize)> {
        let mut others: Vec<(String, usize)> = Vec::new();
        for judgement in self.judgements.iter().filter(|j| j.words != self.verdict) {
            let text = judgement.text();
            match others.iter_mut().find(|(name, _)| *name == text) {
                Some((_, n)) => *n += 1,
                None => others.push((text, 1)),
            }
        }
        others
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

/// Whether these words are some of a verdict's, but not all.
fn is_part(words: &[Word], verdict: &[Word]) -> bool {
    words.len() < verdict.len() && words.iter().all(|word| verdict.contains(word))
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// The verdict that most agree on; if tied, the worst.
fn majority(judgements: &[&Judgement]) -> Vec<Word> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::tests::{case, program, strategy};
    use loopnest_core::strategy::Owner;

    const UNSURE: &[Word] = &[Word::Inconclusive];
    const PROVEN: &[Word] = &[Word::Inconclusive, Word::Stall];
    const FINE: &[Word] = &[Word::Progress];
    const STALL: &[Word] = &[Word::Stall];

    fn cell(repeats: &[&[Word]], again: &[&[Word]]) -> CellResult {
        let judgements =
            |all: &[&[Word]]| all.iter().map(|words| case(words).judgement()).collect();
        let about = strategy(Owner::Glib);
        CellResult::of(&about, &program("callback"), judgements(repeats), judgements(again))
    }

    #[test]
    fn runs_by_itself_outvote_a_run_among_others() {
        let flaky = cell(&[STALL], &[FINE, FINE]);
        assert_eq!((&flaky.verdict[..], flaky.flaky().as_deref()), (FINE, Some("flaky 1 of 3")));
        let sure = cell(&[UNSURE], &[FINE, FINE]);
        assert_eq!((&sure.verdict[..], sure.flaky()), (FINE, None));
        assert!(!sure.is_mixed());
    }

    #[test]
    fn one_sure_run_does_not_decide() {
        assert_eq!(cell(&[UNSURE], &[UNSURE, UNSURE, UNSURE, STALL]).verdict, UNSURE);
    }

    #[test]
    fn what_an_unsure_run_has_proven_is_not_forgotten() {
        let cell = cell(&[PROVEN], &[FINE, FINE]);
        assert_eq!((&cell.verdict[..], cell.flaky().as_deref()), (FINE, Some("flaky 1 of 3")));
    }

    #[test]
    fn without_runs_by_itself_repeats_vote_as_ever() {
        let cell = cell(&[STALL, FINE, FINE], &[]);
        assert_eq!((&cell.verdict[..], cell.agree, cell.is_mixed()), (FINE, 2, true));
        assert_eq!(cell.flaky(), None);
    }
}
