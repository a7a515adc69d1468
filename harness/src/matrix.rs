//! Runs cells: interleaved, in an order shuffled from the seed, several at a time.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use loopnest_core::Word;
use loopnest_core::classify::RULES_VERSION;

use crate::expect::Expectations;
use crate::launch::Launch;
use crate::machine;
use crate::registry::Registry;
use crate::result::{CellResult, ENOUGH, RunResult, SCHEMA};
use crate::trial::{Attempt, Trial, TrialError};

/// What to run and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Names of strategies and scenarios, in the order of the report.
    pub cells: Vec<(String, String)>,
    /// How many times to run each.
    pub repeat: u32,
    /// What they are expected to do. A cell that does something else is run again by itself.
    pub expectations: Option<Expectations>,
    /// Seed of the order.
    pub seed: u64,
    /// How many to run at a time.
    pub jobs: usize,
    /// How to start a child. The names are added to its arguments.
    pub launch: Launch,
}

/// Receives the progress of a run.
pub trait Progress: Sync {
    /// A cell begins.
    fn begin(&self, id: &str);
    /// A cell has ended.
    fn end(&self, id: &str, verdict: &str);
    /// `n` cells are about to be run again, each by itself.
    fn again(&self, n: usize) {
        let _ = n;
    }
}

/// A cell is run again at most this many times, until [`ENOUGH`] runs agree.
const AGAIN: usize = 4;

/// Everything that a run found, with the traces.
#[derive(Debug)]
pub struct Found {
    /// The values for the reports.
    pub result: RunResult,
    /// The attempts of each cell, in the order of `result.cells`, and then those made by itself.
    pub attempts: Vec<Vec<Attempt>>,
    /// Why it ended early, if a child could not be started. The results until then are here all
    /// the same.
    pub failed: Option<io::Error>,
}

impl Found {
    /// Itself, unless a child could not be started.
    ///
    /// # Errors
    /// The reason for that.
    pub fn whole(mut self) -> anyhow::Result<Self> {
        match self.failed.take() {
            None => Ok(self),
            Some(error) => Err(anyhow::Error::new(error).context("cannot start a cell")),
        }
    }
}

/// Runs the plan.
///
/// # Errors
/// When the plan names a strategy or a scenario that does not exist, or one that cannot be judged.
pub fn run(
    registry: &Registry,
    plan: &Plan,
    progress: &dyn Progress,
    interrupted: &AtomicBool,
) -> Result<Found, TrialError> {
    let cells: Vec<Trial> = plan
        .cells
        .iter()
        .map(|(strategy, scenario)| Trial::named(registry, strategy, scenario))
        .collect::<Result<_, TrialError>>()?;
    let begun = Instant::now();
    let order = Mutex::new(order(cells.len(), plan.repeat, plan.seed));
    let attempts: Mutex<Vec<Vec<Attempt>>> = Mutex::new(vec![Vec::new(); cells.len()]);
    let failed: Mutex<Option<io::Error>> = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..plan.jobs.clamp(1, cells.len().max(1) * plan.repeat as usize) {
            scope.spawn(|| {
                while !interrupted.load(Ordering::Relaxed) && lock(&failed).is_none() {
                    let Some(index) = lock(&order).next() else {
                        return;
                    };
                    let cell = &cells[index];
                    progress.begin(&cell.id());
                    match cell.run_once(&plan.launch, interrupted) {
                        Ok(Some(attempt)) => {
                            progress.end(&cell.id(), &attempt.judgement.text());
                            lock(&attempts)[index].push(attempt);
                        }
                        Ok(None) => return,
                        Err(error) => drop(lock(&failed).replace(error)),
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let attempts = attempts.into_inner().unwrap_or_else(PoisonError::into_inner);
    let partial = attempts.iter().any(|attempts| attempts.len() < plan.repeat as usize);
    let expect = |result: CellResult| match (registry.known(&result), &plan.expectations) {
        (Some(known), _) => CellResult { expected: Some(known.to_vec()), ..result },
        (None, Some(expectations)) => expectations.of(result),
        (None, None) => result,
    };
    let mut found: Vec<(&Trial, CellResult, Vec<Attempt>)> = cells
        .iter()
        .zip(attempts)
        .filter(|(_, attempts)| !attempts.is_empty())
        .map(|(cell, attempts)| (cell, expect(cell.result(&attempts, &[])), attempts))
        .collect();
    let doubtful = |(_, result, _): &&mut (_, CellResult, _)| result.is_doubtful();
    progress.again(found.iter_mut().filter(doubtful).count());
    for (cell, result, attempts) in found.iter_mut().filter(doubtful) {
        if failed.is_some() || interrupted.load(Ordering::Relaxed) {
            break;
        }
        match again(cell, plan, progress, interrupted) {
            Ok(alone) => {
                *result = expect(cell.result(attempts, &alone));
                attempts.extend(alone);
            }
            Err(error) => failed = Some(error),
        }
    }
    let (results, attempts) = found.into_iter().map(|(_, cell, attempts)| (cell, attempts)).unzip();
    let result = RunResult {
        schema: SCHEMA,
        rules: RULES_VERSION,
        machine: machine::describe(),
        load: machine::load(),
        seed: format!("{:x}", plan.seed),
        repeat: plan.repeat,
        elapsed_ms: Some(begun.elapsed().as_millis() as u64),
        partial,
        cells: results,
    };
    Ok(Found { result, attempts, failed })
}

/// Runs a cell by itself until enough of these runs agree.
fn again(
    cell: &Trial,
    plan: &Plan,
    progress: &dyn Progress,
    interrupted: &AtomicBool,
) -> io::Result<Vec<Attempt>> {
    let mut alone: Vec<Attempt> = Vec::new();
    while alone.len() < AGAIN {
        progress.begin(&cell.id());
        let Some(attempt) = cell.run_once(&plan.launch, interrupted)? else { break };
        progress.end(&cell.id(), &attempt.judgement.text());
        let words = attempt.judgement.words.clone();
        let sure = !attempt.judgement.has(Word::Inconclusive);
        alone.push(attempt);
        let votes = alone.iter().filter(|attempt| attempt.judgement.words == words).count();
        if sure && votes == ENOUGH {
            break;
        }
    }
    Ok(alone)
}

/// ABCABC, each round in a new order, so that drift of the machine affects all cells alike.
/// A round is made when it begins, so that a million repeats need no memory in advance.
fn order(n_cells: usize, repeat: u32, seed: u64) -> impl Iterator<Item = usize> + Send {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..repeat).flat_map(move |_| {
        let mut round: Vec<usize> = (0..n_cells).collect();
        random.shuffle(&mut round);
        round
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ignores the progress.
#[derive(Debug)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _id: &str) {}
    fn end(&self, _id: &str, _verdict: &str) {}
}
