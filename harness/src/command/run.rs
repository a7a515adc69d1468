//! `harness run`: the matrix, or a part of it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::cells::{jobs, launch, misjudged, on_interrupt, write_timelines};
use super::output::{Destination, print, say, style, write_out};
use super::progress::OfCells;
use super::usage::usage;
use crate::cli::{FailOn, RunArgs};
use crate::exit::Exit;
use crate::expect::Expectations;
use crate::formats::render;
use crate::matrix::{self, Found, Plan};
use crate::registry::Registry;
use crate::result::{CellResult, Record, RunResult};
use crate::text::plural;
use crate::threads;

pub(super) fn run(registry: &Registry, args: &RunArgs) -> anyhow::Result<Exit> {
    let cells = select(registry, &args.strategy, &args.scenario)?;
    if cells.is_empty() {
        say("the selection has no cell to run");
        return Ok(Exit::NothingRun);
    }
    if args.dry_run {
        let mut text = String::new();
        for (strategy, scenario) in &cells {
            writeln!(text, "{strategy}/{scenario}")?;
        }
        print(text.as_bytes())?;
        return Ok(Exit::Ok);
    }
    // Before anything runs, so that a mistake costs no time.
    let expectations = expectations(registry, args)?;
    let files = Files::open(args)?;
    let interrupted = on_interrupt()?;
    if threads::scheduled(std::process::id(), threads::this_thread()).is_none() {
        say(
            "warning: this kernel does not say how long a thread waited for a processor; on a busy \
             machine verdicts may be wrong",
        );
    }
    let plan = Plan {
        repeat: args.repeat,
        expectations: expectations.clone(),
        seed: args.seed,
        jobs: args.jobs.map_or_else(jobs, usize::from),
        launch: launch()?,
        cells,
    };
    let n = plan.cells.len() as u64 * u64::from(plan.repeat);
    let progress = OfCells::new(args.progress, n, expectations.as_ref());
    let found = matrix::run(registry, &plan, &progress, &interrupted);
    progress.finish();
    finish(registry, args, files, found?, expectations)
}

/// The files that the results go to.
struct Files {
    output: Option<Destination>,
    timeline: Option<Destination>,
}

impl Files {
    fn open(args: &RunArgs) -> anyhow::Result<Self> {
        let open = |path: &Option<PathBuf>| path.as_deref().map(Destination::open).transpose();
        Ok(Self { output: open(&args.output)?, timeline: open(&args.timeline)? })
    }
}

fn finish(
    registry: &Registry,
    args: &RunArgs,
    files: Files,
    mut found: Found,
    expectations: Option<Expectations>,
) -> anyhow::Result<Exit> {
    let missed = misjudged(registry, &found.result);
    if !missed.is_empty() {
        for (cell, known) in missed {
            let (name, said) = (&cell.strategy, cell.text());
            say(format_args!("error: {name}: expected {known}, got {said}"));
        }
        say("this machine cannot measure: its verdicts mean nothing");
        return Ok(Exit::CannotMeasure);
    }
    warn_if_busy(&found.result);
    let style = style(args.color, args.output.is_some(), args.full);
    if args.full {
        keep_records(registry, &mut found)?;
    }
    let text = render(&found.result, args.format, &style)?;
    write_out(files.output, &text, found.result.partial)?;
    // Half a timeline does not replace a whole one.
    let replaces = |file: &Destination| found.result.partial && file.holds_something();
    if let Some(file) = files.timeline.filter(|file| !replaces(file)) {
        write_timelines(registry, &found, file)?;
    }
    let result = found.whole()?.result;
    if result.partial {
        return Ok(Exit::Interrupted);
    }
    match (&args.expect, expectations) {
        (Some(path), Some(all)) if args.write_expectations => learn(all, path, result),
        _ => Ok(exit(&result, args.fail_on)),
    }
}

/// Says what a busy machine has done to a run.
fn warn_if_busy(result: &RunResult) {
    let again = result.cells.iter().filter(|cell| cell.again > 0).count();
    let unsure = result.cells.iter().filter(|cell| cell.is_inconclusive()).count();
    let busy = result.load.filter(|load| *load > result.machine.cpus as f32);
    if let (Some(load), true) = (busy, again > 0) {
        say(format_args!(
            "warning: this machine is busy (load {load} on {}): {} run again, {unsure} of them \
             inconclusive",
            plural(u64::from(result.machine.cpus), "processor"),
            plural(again as u64, "cell"),
        ));
    }
}

/// Keeps what `explain --from` needs: of each cell, the first run that had its verdict.
fn keep_records(registry: &Registry, found: &mut Found) -> anyhow::Result<()> {
    for (cell, attempts) in found.result.cells.iter_mut().zip(&found.attempts) {
        let shown = attempts.iter().find(|attempt| attempt.judgement.words == cell.verdict);
        if let Some(attempt) = shown {
            let program = registry.scenario(&cell.scenario)?;
            cell.record = Some(Record { program, trace: attempt.trace.clone() });
        }
    }
    Ok(())
}

/// Writes the verdicts into the expectation file. It names the cells that it left alone, and they
/// decide the exit code as in any other run.
fn learn(mut all: Expectations, path: &Path, mut found: RunResult) -> anyhow::Result<Exit> {
    let left = all.learn(&found);
    all.save(path)?;
    say(format_args!("wrote {}", path.display()));
    for cell in left {
        say(format_args!("did not write {cell}: it is inconclusive, or its repeats disagree"));
    }
    all.apply(&mut found);
    Ok(exit(&found, FailOn::Unexpected))
}

/// The cells of a selection, strategy by strategy, in the order of the matrix.
fn select(
    registry: &Registry,
    strategies: &[String],
    scenarios: &[String],
) -> anyhow::Result<Vec<(String, String)>> {
    let strategies = registry.select_strategies(strategies)?;
    let scenarios = registry.select_scenarios(scenarios)?;
    let cells = strategies
        .iter()
        .flat_map(|strategy| scenarios.iter().map(move |s| (strategy.clone(), s.clone())));
    Ok(cells.collect())
}

/// The expectations: from a file, none, or the built-in ones.
fn expectations(registry: &Registry, args: &RunArgs) -> anyhow::Result<Option<Expectations>> {
    match &args.expect {
        Some(path) if path.as_os_str() == "none" && args.write_expectations => {
            Err(usage("--write-expectations needs a file; `--expect none` is not one"))
        }
        Some(path) if path.as_os_str() == "none" => Ok(None),
        Some(path) if args.write_expectations => {
            Expectations::load_or_new(path, registry).map(Some).map_err(usage)
        }
        Some(path) => Expectations::load(path, registry).map(Some).map_err(usage),
        None => Expectations::built_in().map(Some).map_err(usage),
    }
}

/// The exit code for a result.
fn exit(result: &RunResult, fail_on: FailOn) -> Exit {
    let any = |test: fn(&CellResult) -> bool| result.cells.iter().any(test);
    let unexpected = any(|c| !c.is_expected() && !c.is_inconclusive());
    let inconclusive = any(|c| c.is_inconclusive());
    let mixed = any(|c| c.is_mixed());
    let failed = match fail_on {
        FailOn::Never => return Exit::Ok,
        FailOn::Unexpected => unexpected,
        FailOn::Mixed => unexpected || mixed,
        FailOn::Inconclusive => unexpected || mixed || inconclusive,
        FailOn::Bad => unexpected || any(|c| c.worst().is_bad()),
    };
    match (failed, inconclusive) {
        (true, _) => Exit::Surprise,
        (false, true) => Exit::Inconclusive,
        (false, false) => Exit::Ok,
    }
}
