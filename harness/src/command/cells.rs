//! What the commands that run cells share: how they start and interrupt cells and use the results.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use anyhow::Context as _;

use super::output::Destination;
use crate::keeper;
use crate::launch::Launch;
use crate::matrix::Found;
use crate::registry::Registry;
use crate::result::{CellResult, RunResult};
use crate::timeline::{self, Shown};
use crate::trial::Attempt;

/// How to start this program again for a cell; and from now on no cell leaves anything behind.
pub(super) fn launch() -> anyhow::Result<Launch> {
    let name = std::env::current_exe().context("cannot find this program")?;
    // Not by its path: that file may be rebuilt or deleted while the matrix runs.
    let program = PathBuf::from("/proc/self/exe");
    let keeper = Launch { program, name, args: vec!["keep".to_owned()] };
    keeper::start(&keeper).context("cannot start the keeper of cells")?;
    Ok(Launch { args: vec!["cell".to_owned()], ..keeper })
}

/// A flag that Ctrl-C or SIGTERM sets. A second one ends the harness at once, and its children with
/// it.
pub(super) fn on_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, flag.clone())
            .and_then(|_| signal_hook::flag::register(signal, flag.clone()))
            .context("cannot watch for signals")?;
    }
    Ok(flag)
}

/// As many cells at a time as there are processors.
pub(super) fn jobs() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// The planted subjects that were misjudged, each with its known verdict.
pub(super) fn misjudged<'a>(
    registry: &Registry,
    result: &'a RunResult,
) -> Vec<(&'a CellResult, String)> {
    let missed = |cell: &'a CellResult| {
        let known = registry.known(cell)?;
        let mixed = cell.is_mixed() && cell.again == 0;
        let names: Vec<_> = known.iter().map(|word| word.name()).collect();
        (cell.verdict != known || mixed).then(|| (cell, names.join("+")))
    };
    result.cells.iter().filter_map(missed).collect()
}

/// Writes the first repeat of each cell as a Chrome trace.
pub(super) fn write_timelines(
    registry: &Registry,
    found: &Found,
    file: Destination,
) -> anyhow::Result<()> {
    let mut programs = Vec::new();
    for cell in &found.result.cells {
        let about = registry.strategy(&cell.strategy)?.about();
        programs.push((about, registry.scenario(&cell.scenario)?));
    }
    let shown: Vec<_> = programs
        .iter()
        .zip(&found.attempts)
        .filter_map(|((about, program), attempts)| {
            let Attempt { trace, judgement, .. } = attempts.first()?;
            Some(Shown { about, program, trace, judgement })
        })
        .collect();
    write_timeline(&shown, file)
}

/// Writes runs as a Chrome trace.
pub(super) fn write_timeline(runs: &[Shown<'_>], file: Destination) -> anyhow::Result<()> {
    file.write(&serde_json::to_string(&timeline::chrome_trace(runs))?)
}
