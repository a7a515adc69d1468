//! The verdict: a pure function of what should have happened and what did.
//!
//! Order and counts decide, never a wall-clock threshold, so a noisy machine gives the same answer
//! every time.
//! `METHODOLOGY.md` has the formulae; [`RULES_VERSION`] changes with them, and with the numbers in
//! [`measure`](crate::measure).

mod deliveries;
mod endings;
mod figures;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::program::{ActorKind, How, Program, Step};
use crate::trace::{Event, FIRED, Key, Kind, Meter, Trace, What};
use crate::verdict::{Finding, Judgement, WindowFigures, Word};

/// Version of the rules below, and of the measurements that they depend on.
pub const RULES_VERSION: u32 = 1;

/// Iterations that any window may use. In a quiet window a correct loop used 1, and the slowest
/// millisecond ticker used 227.
pub const ITERATIONS_FREE: u64 = 16;

/// Iterations per thing done. GLib itself spends two on a descriptor event, because blocking and
/// unblocking a source signals the context's own eventfd.
pub const ITERATIONS_PER_EVENT: u64 = 8;

/// An event is due *well inside* a window if the ideal run delivers it at least this long before
/// the window closes.
pub const MARGIN: Duration = Duration::from_millis(100);

/// Outside nested loops, an event is starved if one that was due this much later comes first.
pub const OVERTAKEN: Duration = Duration::from_millis(200);

/// During a flood, one in this many events must come in time.
pub const FLOOD_SHARE: usize = 8;

/// If there are fewer opportunity ticks than this percentage of the window's length, the machine
/// stood still and a stall proves nothing.
pub const TICKS_PERCENT: u64 = 25;

/// Judges one run of `program`.
pub fn classify(program: &Program, ideal: &Trace, real: &Trace) -> Judgement {
    let mut case = Case {
        ideal,
        real,
        latest_due: latest_due(ideal, real),
        levels: program.levels(),
        drained: drained(program),
        floods: floods(program),
        words: BTreeSet::new(),
        findings: BTreeSet::new(),
        message: None,
        stood_still: false,
    };
    let windows = case.windows();
    let tallies = case.deliveries();
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
        tallies: tallies.into_iter().collect(),
        windows,
        figures,
        message: case.message,
    }
}

struct Case<'a> {
    ideal: &'a Trace,
    real: &'a Trace,
    /// By index of the real trace: the latest due time of all earlier events.
    latest_due: Vec<Duration>,
    levels: Vec<String>,
    /// The levels that run as [`How::Drain`].
    drained: BTreeSet<u16>,
    floods: Vec<(Key, Duration)>,
    words: BTreeSet<Word>,
    findings: BTreeSet<Finding>,
    message: Option<String>,
    /// Something could not be judged because the machine stood still.
    stood_still: bool,
}

impl Case<'_> {
    fn last(&self) -> (Duration, Meter) {
        let at = self.real.events.last().map_or(Duration::ZERO, |e| e.at);
        (at, self.real.meter)
    }

    /// Finds busy loops.
    fn iterations(&mut self, windows: &[WindowFigures]) {
        for window in windows.iter().filter(|w| w.busy) {
            self.words.insert(Word::BusyLoop);
            let spin = window.switches < window.iterations / 2;
            self.findings.insert(if spin { Finding::Spin } else { Finding::Tick });
        }
    }
}

/// The floods of a program: the key of the end of each, and how long it is.
fn floods(program: &Program) -> Vec<(Key, Duration)> {
    let mut floods = Vec::new();
    for (actor, a) in program.actors.iter().enumerate() {
        let mut flood = |step, kind, ms| {
            let key = Key { actor: actor as u16, step, n: 0, kind };
            floods.push((key, Duration::from_millis(ms)));
        };
        if let ActorKind::Flood { for_ms, .. } = a.kind {
            flood(FIRED, Kind::Idle, for_ms);
        }
        for (i, step) in a.steps.iter().enumerate() {
            if let Step::Yield { for_ms } = step {
                flood(i as u16, Kind::Task, *for_ms);
            }
        }
    }
    floods
}

/// The levels that run as [`How::Drain`].
fn drained(program: &Program) -> BTreeSet<u16> {
    let opening = program.steps().filter(|step| step.level().is_some());
    let drains = |step: &Step| matches!(step, Step::Dialog { how: How::Drain, .. });
    let drained = opening.enumerate().filter(|(_, step)| drains(step));
    drained.map(|(level, _)| level as u16).collect()
}

/// For each event of the real trace, the latest due time of all events before it.
fn latest_due(ideal: &Trace, real: &Trace) -> Vec<Duration> {
    let due: BTreeMap<Key, Duration> = ideal.reached().map(|(at, key)| (key, at)).collect();
    let mut latest = Duration::ZERO;
    let before = |event: &Event| {
        let so_far = latest;
        if let What::Reached(key) = event.what {
            latest = latest.max(due.get(&key).copied().unwrap_or_default());
        }
        so_far
    };
    real.events.iter().map(before).collect()
}
