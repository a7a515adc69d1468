//! `harness explain`: one cell, with the evidence.

use loopnest_core::model::ideal;

use super::cells::{launch, on_interrupt};
use super::output::print;
use crate::cli::CellId;
use crate::exit::Exit;
use crate::explanation::explanation;
use crate::matrix::{self, Plan, Silent};
use crate::registry::Registry;

pub(super) fn explain(registry: &Registry, cell: &CellId) -> anyhow::Result<Exit> {
    let about = registry.strategy(&cell.strategy)?.about();
    let program = registry.scenario(&cell.scenario)?;
    let plan = Plan {
        cells: vec![(cell.strategy.clone(), cell.scenario.clone())],
        repeat: 1,
        expectations: None,
        seed: 0,
        jobs: 1,
        launch: launch()?,
    };
    let interrupted = on_interrupt()?;
    let found = matrix::run(registry, &plan, &Silent, &interrupted)?.whole()?;
    let Some(attempt) = found.attempts.first().and_then(|attempts| attempts.first()) else {
        return Ok(Exit::Interrupted);
    };
    let ideal = ideal(&program);
    let seed = &found.result.seed;
    let text = explanation(&program, &about, &attempt.judgement, &ideal, &attempt.trace, seed);
    print(text.as_bytes())?;
    Ok(Exit::Ok)
}
