//! `harness replay`: runs one cell or counterexample again, and says whether its verdict was seen
//! again.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use loopnest_core::classify::RULES_VERSION;

use super::cells::{launch, on_interrupt, write_timeline, write_timelines};
use super::failure::usage;
use super::output::{print, say};
use crate::cli::{CellId, ReplayArgs, Subject};
use crate::counterexample::{self, Counterexample};
use crate::exit::Exit;
use crate::expect::Expectations;
use crate::matrix::{self, Plan, Silent};
use crate::registry::Registry;
use crate::result::CellResult;
use crate::trial::Trial;

pub(super) fn replay(registry: &Registry, args: &ReplayArgs) -> anyhow::Result<Exit> {
    let wanted = args.verdict.as_deref().map(counterexample::words).transpose().map_err(usage)?;
    let found = match &args.what {
        Subject::Cell(_) if args.strategy.is_some() => {
            return Err(usage(
                "--strategy is for a counterexample; a cell already names its strategy",
            ));
        }
        Subject::Cell(cell) => of_cell(registry, args, cell)?,
        Subject::File(path) => of_file(registry, args, path)?,
    };
    let Some(cell) = found else {
        return Ok(Exit::Interrupted);
    };
    let wanted = wanted.or_else(|| cell.expected.clone());
    let mut text = format!("{}  {}  {}/{}\n", cell.id(), cell.text(), cell.agree, cell.repeats);
    writeln!(text, "{}", cell.why)?;
    let exit = match wanted {
        None => Exit::Ok,
        Some(words) if cell.is_inconclusive() && words != cell.verdict => {
            writeln!(text, "inconclusive: cannot tell whether the verdict is the same")?;
            Exit::Inconclusive
        }
        Some(words) if words == cell.verdict && !cell.is_mixed() => {
            writeln!(text, "seen again")?;
            Exit::Ok
        }
        Some(words) => {
            let (wanted, got) = (counterexample::text(&words), cell.text());
            write!(text, "not seen again: expected {wanted}, got {got}")?;
            if cell.is_mixed() {
                write!(text, " in {} of {} runs", cell.agree, cell.repeats)?;
            }
            writeln!(text)?;
            Exit::Surprise
        }
    };
    print(text.as_bytes())?;
    Ok(exit)
}

/// Runs a cell of the matrix; `None` if interrupted.
fn of_cell(
    registry: &Registry,
    args: &ReplayArgs,
    cell: &CellId,
) -> anyhow::Result<Option<CellResult>> {
    let plan = Plan {
        cells: vec![(cell.strategy.clone(), cell.scenario.clone())],
        repeat: args.repeat,
        expectations: None,
        seed: args.seed,
        jobs: 1,
        launch: launch()?,
    };
    let interrupted = on_interrupt()?;
    let mut found = matrix::run(registry, &plan, &Silent, &interrupted)?.whole()?;
    Expectations::built_in().map_err(usage)?.apply(&mut found.result);
    if let Some(path) = &args.timeline {
        write_timelines(registry, &found, path)?;
    }
    Ok(found.result.cells.into_iter().next().filter(|_| !found.result.partial))
}

/// Runs a counterexample, and expects the verdict in its file.
fn of_file(
    registry: &Registry,
    args: &ReplayArgs,
    path: &Path,
) -> anyhow::Result<Option<CellResult>> {
    let file = Counterexample::load(path).map_err(usage)?;
    let about = registry.strategy(args.strategy.as_ref().unwrap_or(&file.strategy))?.about();
    if file.rules != RULES_VERSION {
        let (path, rules) = (path.display(), file.rules);
        say(format_args!(
            "warning: {path} was judged by rules {rules}; this harness has rules {RULES_VERSION}"
        ));
    }
    let (launch, interrupted) = (launch()?, on_interrupt()?);
    let trial = Trial::of(about, file.program)?;
    let mut attempts = Vec::new();
    for _ in 0..args.repeat {
        let attempt = trial.run(&launch, &interrupted).context("cannot start a cell")?;
        let Some(attempt) = attempt else { return Ok(None) };
        attempts.push(attempt);
    }
    if let (Some(path), Some(attempt)) = (&args.timeline, attempts.first()) {
        write_timeline(&[(trial.id(), &trial.program, &attempt.trace)], path)?;
    }
    Ok(Some(CellResult { expected: Some(file.verdict), ..trial.result(&attempts, &[]) }))
}
