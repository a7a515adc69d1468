//! `harness explain`: one cell, with the evidence.
//!
//! The run on the page is a new one, the one of several that most agree with, or a stored one.

use std::path::Path;

use loopnest_core::classify::{RULES_VERSION, classify};
use loopnest_core::model::ideal;

use super::output::{print, say, style};
use super::report::stored;
use super::subject::{Chosen, attempts};
use super::usage::usage;
use crate::cli::ExplainArgs;
use crate::exit::Exit;
use crate::explanation::{Page, explanation};
use crate::formats::Style;
use crate::registry::Registry;
use crate::result::CellResult;
use crate::text::READABLE;
use crate::values::Subject;

pub(super) fn explain(registry: &Registry, args: &ExplainArgs) -> anyhow::Result<Exit> {
    let style = style(args.color, false, false);
    let style = Style { width: style.width.min(READABLE), ..style };
    let text = match &args.from {
        Some(path) => Some(from_stored(registry, args, path, &style)?),
        None => from_new(registry, args, &style)?,
    };
    let Some(text) = text else {
        return Ok(Exit::Interrupted);
    };
    print(text.as_bytes())?;
    Ok(Exit::Ok)
}

/// Runs it; `None` if interrupted.
fn from_new(
    registry: &Registry,
    args: &ExplainArgs,
    style: &Style,
) -> anyhow::Result<Option<String>> {
    let strategy = args.strategy.as_deref();
    let trial = Chosen::find(registry, &args.what, strategy)?.trial;
    let Some(attempts) = attempts(&trial, args.repeat)? else { return Ok(None) };
    let cell = trial.result(&attempts, &[]);
    let shown = attempts.iter().find(|attempt| attempt.judgement.words == cell.verdict);
    let Some(attempt) = shown else { return Ok(None) };
    let mut replay = vec!["replay".to_owned()];
    replay.push(match &args.what {
        Subject::Cell(cell) => format!("{}/{}", cell.strategy, cell.scenario),
        Subject::File(path) => path.display().to_string(),
    });
    replay.extend(strategy.into_iter().flat_map(|name| ["--strategy".to_owned(), name.to_owned()]));
    let page = Page { style, votes: &votes(&cell), replay: &replay };
    let (program, about) = (&trial.program, &trial.about);
    let text = explanation(program, about, &attempt.judgement, &trial.ideal, &attempt.trace, &page);
    Ok(Some(text))
}

/// Explains a cell of a stored run. It is judged anew from what was recorded, so that the page says
/// what these rules say.
fn from_stored(
    registry: &Registry,
    args: &ExplainArgs,
    path: &Path,
    style: &Style,
) -> anyhow::Result<String> {
    let Subject::Cell(id) = &args.what else {
        return Err(usage("--from explains a cell of a stored run; name STRATEGY/SCENARIO"));
    };
    let result = stored(path)?;
    let path = path.display();
    let name = format!("{}/{}", id.strategy, id.scenario);
    let Some(cell) = result.cell(&id.strategy, &id.scenario) else {
        let ids: Vec<String> = result.cells.iter().map(CellResult::id).collect();
        let near = crate::values::near(&name, ids.iter().map(String::as_str));
        let meant = crate::values::did_you_mean(&near);
        return Err(usage(format!("{path} has no cell {name}{meant}")));
    };
    let Some(record) = &cell.record else {
        let run = style.called.line(["run", "--format", "json", "--full"]);
        return Err(usage(format!("{path} does not say what happened in {name}; `{run}` does")));
    };
    record.program.check().map_err(|error| usage(format!("{path}: {name} cannot run: {error}")))?;
    let about = registry.strategy(&id.strategy)?.about();
    let due = ideal(&record.program);
    let judgement = classify(&record.program, &due, &record.trace);
    if result.rules != RULES_VERSION {
        let (rules, then) = (result.rules, cell.text());
        say(format_args!(
            "warning: {path} was judged by rules {rules}, which said {then}; this is what rules \
             {RULES_VERSION} say"
        ));
    }
    let replay = ["replay".to_owned(), name];
    let page = Page { style, votes: &votes(cell), replay: &replay };
    Ok(explanation(&record.program, &about, &judgement, &due, &record.trace, &page))
}

/// How many of several runs had the verdict on the page, and what the others had.
fn votes(cell: &CellResult) -> String {
    if cell.repeats < 2 {
        return String::new();
    }
    let mut text = format!("{} of {} runs had this verdict", cell.agree, cell.repeats);
    for (verdict, n) in cell.other_verdicts() {
        text.push_str(&format!("; {n} had {verdict}"));
    }
    text + "."
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::sample;

    #[test]
    fn the_votes_name_the_verdict_of_every_run() {
        let run = sample();
        let mixed = run.cell("dispatch", "wake-from-thread").unwrap();
        assert_eq!(votes(mixed), "4 of 5 runs had this verdict; 1 had stall.");
        let all = run.cell("nested", "idle").unwrap();
        assert_eq!(votes(all), "5 of 5 runs had this verdict.");
        assert_eq!(votes(&CellResult { repeats: 1, agree: 1, ..all.clone() }), "");
    }
}
