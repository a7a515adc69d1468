//! What can be run: strategies and scenarios, by name.

use loopnest_core::program::ProgramError;
use loopnest_core::strategy::Strategy;
use loopnest_core::{Program, Word};

use crate::called::Called;
use crate::result::CellResult;
use crate::scenarios;
use crate::subjects::{self, controls};
use crate::values::{did_you_mean, near};

/// The strategies and scenarios that a harness knows.
pub struct Registry {
    strategies: Vec<Box<dyn Strategy>>,
    scenarios: Vec<Program>,
    refused: Vec<Refused>,
    controls: Vec<(String, Vec<Word>)>,
}

/// A scenario that cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the scenario `{name}` cannot run: {source}")]
pub struct Refused {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub source: ProgramError,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("n_strategies", &self.strategies.len())
            .field("n_scenarios", &self.scenarios.len())
            .finish_non_exhaustive()
    }
}

impl Default for Registry {
    /// Everything that ships, the planted subjects included.
    fn default() -> Self {
        let controls = controls::all();
        let known = controls.iter().map(|c| (c.name.to_owned(), c.verdict.to_vec())).collect();
        let mut strategies = subjects::all();
        strategies.extend(controls.into_iter().map(|c| Box::new(c) as Box<dyn Strategy>));
        Self { strategies, scenarios: scenarios::all(), refused: Vec::new(), controls: known }
    }
}

/// A pattern that matches nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no {what} matches `{pattern}`{}", remedy(what, near))]
pub struct Unknown {
    /// `strategy` or `scenario`.
    pub what: &'static str,
    /// What was asked for.
    pub pattern: String,
    /// The nearest names, nearest first.
    pub near: Vec<String>,
}

/// What to do about an unknown name.
fn remedy(what: &str, near: &[String]) -> String {
    if !near.is_empty() {
        return did_you_mean(near);
    }
    let kind = if what == "strategy" { "strategies" } else { "scenarios" };
    format!("; `{}` lists them", Called::now().line(["list", kind]))
}

impl Registry {
    /// Adds a strategy as the first row, replacing one of the same name.
    pub fn add(&mut self, strategy: Box<dyn Strategy>) {
        let name = strategy.about().name;
        self.strategies.retain(|s| s.about().name != name);
        self.strategies.insert(0, strategy);
    }

    /// Adds a planted subject: a strategy with a known fault, and the verdict that it must get,
    /// worst first. `doctor` judges it with the others, and a harness that misjudges it refuses to
    /// report.
    pub fn add_control(&mut self, strategy: Box<dyn Strategy>, verdict: &[Word]) {
        let name = strategy.about().name;
        self.strategies.retain(|s| s.about().name != name);
        self.strategies.push(strategy);
        self.controls.retain(|(known, _)| known != name);
        self.controls.push((name.to_owned(), verdict.to_vec()));
    }

    /// Adds a scenario, replacing one of the same name.
    ///
    /// One that fails [`Program::check`] is not added but [refused](Self::refused), and then
    /// [`main_with`](crate::main_with) says why and does nothing else.
    pub fn add_scenario(&mut self, program: Program) {
        match program.check() {
            Ok(()) => {
                self.scenarios.retain(|p| p.name != program.name);
                self.scenarios.push(program);
            }
            Err(source) => self.refused.push(Refused { name: program.name, source }),
        }
    }

    /// The scenarios that were not added because they cannot run.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// All strategies; the planted subjects come last.
    pub fn strategies(&self) -> impl Iterator<Item = &dyn Strategy> {
        self.strategies.iter().map(|s| s.as_ref())
    }

    /// All scenarios of the matrix.
    pub fn scenarios(&self) -> &[Program] {
        &self.scenarios
    }

    /// The verdict that a planted subject must get; `None` for every other cell.
    pub fn known(&self, cell: &CellResult) -> Option<&[Word]> {
        let mut controls = self.controls.iter().filter(|_| cell.scenario == "control");
        controls.find(|(name, _)| *name == cell.strategy).map(|(_, known)| known.as_slice())
    }

    /// The planted subjects with the verdicts they must get.
    pub fn controls(&self) -> &[(String, Vec<Word>)] {
        &self.controls
    }

    /// The strategy of this name.
    pub fn strategy(&self, name: &str) -> Result<&dyn Strategy, Unknown> {
        let found = self.strategies().find(|s| s.about().name == name);
        found.ok_or_else(|| unknown("strategy", name, self.strategy_names().collect()))
    }

    /// The scenario of this name, or the one that planted subjects are judged on.
    pub fn scenario(&self, name: &str) -> Result<Program, Unknown> {
        let control = scenarios::control();
        if name == control.name {
            return Ok(control);
        }
        let found = self.scenarios.iter().find(|p| p.name == name).cloned();
        found.ok_or_else(|| unknown("scenario", name, self.scenario_names().collect()))
    }

    /// Names of the strategies that match any of `patterns`, in order. A planted subject
    /// matches only its own name, or a pattern that begins with `control`.
    pub fn select_strategies(&self, patterns: &[String]) -> Result<Vec<String>, Unknown> {
        let all: Vec<(String, bool)> = self
            .strategies()
            .map(|s| s.about())
            .map(|about| (about.name.to_owned(), about.control || self.is_control(about.name)))
            .collect();
        let matches = |pattern: &str, (name, control): &(String, bool)| {
            let planted = || pattern == name || pattern.starts_with("control");
            glob(pattern, name) && (!control || planted())
        };
        select("strategy", patterns, &all, matches, |(name, _)| name)
    }

    /// Names of the scenarios that match any of `patterns`, in order. The one that planted subjects
    /// are judged on matches only its own name.
    pub fn select_scenarios(&self, patterns: &[String]) -> Result<Vec<String>, Unknown> {
        let control = scenarios::control().name;
        let mut all: Vec<String> = self.scenario_names().map(str::to_owned).collect();
        all.push(control.clone());
        let matches = |pattern: &str, name: &String| {
            if *name == control { pattern == control } else { glob(pattern, name) }
        };
        select("scenario", patterns, &all, matches, |name| name)
    }

    fn is_control(&self, name: &str) -> bool {
        self.controls.iter().any(|(known, _)| known == name)
    }

    fn strategy_names(&self) -> impl Iterator<Item = &'static str> {
        self.strategies.iter().map(|s| s.about().name)
    }

    fn scenario_names(&self) -> impl Iterator<Item = &str> {
        self.scenarios.iter().map(|p| p.name.as_str())
    }
}

/// Everything that matches a pattern and no `!pattern`; a pattern that matches nothing is an
/// error.
fn select<T>(
    what: &'static str,
    patterns: &[String],
    all: &[T],
    matches: impl Fn(&str, &T) -> bool,
    name: impl Fn(&T) -> &String,
) -> Result<Vec<String>, Unknown> {
    let names = || all.iter().map(|item| name(item).as_str()).collect();
    let (not, wanted): (Vec<&str>, Vec<&str>) =
        patterns.iter().map(String::as_str).partition(|p| p.starts_with('!'));
    let wanted = if wanted.is_empty() { vec!["all"] } else { wanted };
    for pattern in wanted.iter().copied().chain(not.iter().map(|p| &p[1..])) {
        if !all.iter().any(|item| matches(pattern, item)) {
            return Err(unknown(what, pattern, names()));
        }
    }
    Ok(all
        .iter()
        .filter(|item| wanted.iter().any(|p| matches(p, item)))
        .filter(|item| !not.iter().any(|p| matches(&p[1..], item)))
        .map(|item| name(item).clone())
        .collect())
}

fn unknown(what: &'static str, pattern: &str, names: Vec<&str>) -> Unknown {
    Unknown { what, pattern: pattern.to_owned(), near: near(pattern, names) }
}

/// Whether `name` matches a pattern of letters, `*` and `?`; `all` matches everything.
fn glob(pattern: &str, name: &str) -> bool {
    fn matches(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                matches(rest, name) || name.split_first().is_some_and(|(_, n)| matches(pattern, n))
            }
            (Some((b'?', rest)), Some((_, name))) => matches(rest, name),
            (Some((p, rest)), Some((n, name))) => p == n && matches(rest, name),
            _ => false,
        }
    }
    pattern == "all" || matches(pattern.as_bytes(), name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(all: &[&str]) -> Vec<String> {
        all.iter().map(|&p| p.to_owned()).collect()
    }

    #[test]
    fn stars_and_exclamation_marks_select() -> Result<(), Unknown> {
        let registry = Registry::default();
        let nested = registry.select_strategies(&patterns(&["nested*"]))?;
        assert_eq!(nested, ["nested", "nested-no-wake"]);
        let one = registry.select_strategies(&patterns(&["nested*", "!*wake"]))?;
        assert_eq!(one, ["nested"]);
        let floods = registry.select_scenarios(&patterns(&["?????-flood"]))?;
        assert_eq!(floods, ["async-flood"]);
        Ok(())
    }

    #[test]
    fn planted_subjects_are_selected_only_by_name() -> Result<(), Unknown> {
        let registry = Registry::default();
        let all = registry.select_strategies(&patterns(&["*"]))?;
        assert!(all.iter().all(|name| !name.starts_with("control")), "{all:?}");
        let controls = registry.select_strategies(&patterns(&["control-*"]))?;
        assert_eq!(controls.len(), registry.controls().len());
        Ok(())
    }

    #[test]
    fn an_unknown_name_gets_the_nearest_as_a_suggestion() {
        let registry = Registry::default();
        let error = registry.select_strategies(&patterns(&["dispach"])).unwrap_err();
        assert_eq!(error.near.first().map(String::as_str), Some("dispatch"));
        let error = registry.select_scenarios(&patterns(&["zzz"])).unwrap_err();
        assert_eq!(error.near, [""; 0]);
        let said = error.to_string();
        assert!(said.starts_with("no scenario matches `zzz`; `"), "{said}");
        assert!(said.ends_with(" list scenarios` lists them"), "{said}");
    }

    #[test]
    fn the_scenario_of_the_planted_subjects_is_selected_only_by_its_name() -> Result<(), Unknown> {
        let registry = Registry::default();
        let all = registry.select_scenarios(&patterns(&["*", "all"]))?;
        assert_eq!(all.len(), registry.scenarios().len());
        let both = registry.select_scenarios(&patterns(&["control", "idle"]))?;
        assert_eq!(both, ["idle", "control"]);
        Ok(())
    }

    #[test]
    fn a_scenario_replaces_its_namesake_and_must_be_well_formed() {
        let mut registry = Registry::default();
        let n = registry.scenarios().len();
        let mut idle = registry.scenario("idle").unwrap();
        idle.about = "Another one.".to_owned();
        registry.add_scenario(idle.clone());
        assert_eq!(registry.scenarios().len(), n);
        assert_eq!(registry.scenario("idle").unwrap(), idle);
        idle.actors.push(idle.actors[0].clone());
        assert_eq!(registry.refused(), []);
        registry.add_scenario(idle);
        assert_eq!(registry.scenarios().len(), n);
        let [refused] = registry.refused() else { panic!("{registry:?}") };
        let said = "the scenario `idle` cannot run: the name `waiter` is used twice";
        assert_eq!(refused.to_string(), said);
    }
}
