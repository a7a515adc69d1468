//! Runs cells: interleaved, in an order shuffled from the seed, several at a time.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use loopnest_core::classify::RULES_VERSION;

use crate::machine;
use crate::registry::{Registry, Unknown};
use crate::result::{RunResult, SCHEMA};
use crate::supervisor::Launch;
use crate::trial::{Attempt, Trial};

/// What to run and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Names of strategies and scenarios, in the order of the report.
    pub cells: Vec<(String, String)>,
    /// How many times to run each.
    pub repeat: u32,
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
}

/// Everything that a run found, with the traces.
#[derive(Debug)]
pub struct Found {
    /// The values for the reports.
    pub result: RunResult,
    /// The attempts of each cell, in the order of `result.cells`.
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
/// When the plan names a strategy or a scenario that does not exist.
pub fn run(
    registry: &Registry,
    plan: &Plan,
    progress: &dyn Progress,
    interrupted: &AtomicBool,
) -> Result<Found, Unknown> {
    let cells: Vec<Trial> = plan
        .cells
        .iter()
        .map(|(strategy, scenario)| Trial::named(registry, strategy, scenario))
        .collect::<Result<_, Unknown>>()?;
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
                    match cell.run(&plan.launch, interrupted) {
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
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let attempts = attempts.into_inner().unwrap_or_else(PoisonError::into_inner);
    let partial = attempts.iter().any(|attempts| attempts.len() < plan.repeat as usize);
    let (results, attempts): (Vec<_>, Vec<_>) = cells
        .iter()
        .zip(attempts)
        .filter(|(_, attempts)| !attempts.is_empty())
        .map(|(cell, attempts)| (cell.result(&attempts), attempts))
        .unzip();
    let result = RunResult {
        schema: SCHEMA,
        rules: RULES_VERSION,
        machine: machine::describe(),
        seed: format!("{:x}", plan.seed),
        repeat: plan.repeat,
        partial,
        cells: results,
    };
    Ok(Found { result, attempts, failed })
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
