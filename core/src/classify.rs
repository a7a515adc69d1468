//! The verdict: a pure function of what should have happened and what did.
//!
//! Order and counts decide, never a wall-clock threshold, so a noisy machine gives the same answer
//! every time.
//! `METHODOLOGY.md` has the formulae; [`RULES_VERSION`] changes with them, and with the numbers in
//! [`measure`](crate::measure).

mod able;
mod endings;
mod fates;
mod figures;
mod places;
mod stalls;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use self::windows::{Loop, Span};
use crate::program::{How, Program, Side, Step};
use crate::trace::{Key, Meter, Trace};
use crate::verdict::{Finding, Judgement, WindowFigures, Word};

/// Version of the rules below, and of the measurements that they depend on.
pub const RULES_VERSION: u32 = 2;

/// Iterations that any window may use. In a quiet window a correct loop used 1, and the slowest
/// millisecond ticker used 227.
pub const ITERATIONS_FREE: u64 = 16;

/// Iterations per thing done. GLib itself spends two on a descriptor event, because blocking and
/// unblocking a source signals the context's own eventfd.
pub const ITERATIONS_PER_EVENT: u64 = 8;

/// An event is due *well inside* a window if the ideal run delivers it at least this long before
/// the window closes.
pub const MARGIN: Duration = Duration::from_millis(100);

/// Time to run that is enough to deliver an event that is due.
pub const CHANCE: Duration = Duration::from_millis(50);

/// Outside nested loops, an event is starved if one that was due this much later comes first.
pub const OVERTAKEN: Duration = Duration::from_millis(200);

/// During a flood, one in this many events must come in time.
pub const FLOOD_SHARE: usize = 8;

/// If there are fewer opportunity ticks than this percentage of the window's length, the machine
/// stood still and a stall proves nothing.
pub const TICKS_PERCENT: u64 = 25;

/// However little of the time the subject got, its iterations count for at most this many times as
/// many. A correct loop stays below the limit even then.
const STRETCHED: u64 = 4;

/// Judges one run of `program`.
pub fn classify(program: &Program, ideal: &Trace, real: &Trace) -> Judgement {
    let mut case = Case {
        program,
        ideal,
        real,
        latest_due: fates::latest_due(ideal, real),
        positions: fates::positions(real),
        levels: program.levels(),
        drained: drained(program),
        spans: windows::spans(program, ideal),
        edges: able::edges(real),
        loops: windows::loops(program, real),
        stalled: BTreeSet::new(),
        words: BTreeSet::new(),
        doubts: BTreeSet::new(),
        findings: BTreeSet::new(),
        message: None,
    };
    let windows = case.windows();
    let deliveries = case.fates(&windows);
    let tallies = case.deliveries(&deliveries);
    case.iterations(&windows);
    case.levels_in_order();
    case.end(&tallies);
    let figures = case.figures(&tallies, &windows);
    let mut words: Vec<Word> = case.words.iter().rev().copied().collect();
    if words.is_empty() {
        words.push(Word::Progress);
    }
    Judgement {
        words,
        findings: case.findings,
        stalled: case.stalled,
        deliveries,
        tallies: tallies.into_iter().collect(),
        windows,
        figures,
        message: case.message,
    }
}

struct Case<'a> {
    program: &'a Program,
    ideal: &'a Trace,
    real: &'a Trace,
    /// By index of the real trace: the latest due time of all earlier events.
    latest_due: Vec<Duration>,
    /// By key, the index of the event of the real trace that delivered it.
    positions: BTreeMap<Key, usize>,
    levels: Vec<String>,
    /// The levels that run as [`How::Drain`].
    drained: BTreeSet<u16>,
    spans: Vec<Span>,
    /// By index of the real trace: the last edge of a poke or close of a nested loop before it.
    edges: Vec<Option<usize>>,
    /// By level, where the real run opened and closed it, and whether it refused it.
    loops: Vec<Loop>,
    /// The sides that stalled somewhere.
    stalled: BTreeSet<Side>,
    words: BTreeSet<Word>,
    /// What may be true as well, if the subject could have run.
    doubts: BTreeSet<Word>,
    findings: BTreeSet<Finding>,
    message: Option<String>,
}

impl Case<'_> {
    fn last(&self) -> (Duration, Meter) {
        let at = self.real.events.last().map_or(Duration::ZERO, |e| e.at);
        (at, self.real.meter)
    }

    /// Finds busy loops.
    fn iterations(&mut self, windows: &[WindowFigures]) {
        for window in windows {
            if window.busy {
                self.words.insert(Word::BusyLoop);
                let spin = window.switches < window.iterations / 2;
                self.findings.insert(if spin { Finding::Spin } else { Finding::Tick });
            } else if would_be_busy(window) {
                self.doubts.insert(Word::BusyLoop);
            }
        }
    }
}

/// Whether a window would be over its limit if the subject had run all the time.
fn would_be_busy(window: &WindowFigures) -> bool {
    let ran = u64::from(1000 - window.kept_permille.min(1000)).max(1000 / STRETCHED);
    window.iterations * 1000 > window.limit * ran
}

/// The levels that run as [`How::Drain`].
fn drained(program: &Program) -> BTreeSet<u16> {
    let opening = program.steps().filter(|step| step.level().is_some());
    let drains = |step: &Step| matches!(step, Step::Dialog { how: How::Drain, .. });
    let drained = opening.enumerate().filter(|(_, step)| drains(step));
    drained.map(|(level, _)| level as u16).collect()
}
