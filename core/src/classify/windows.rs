//! The windows of a program in which events can be due, and its nested loops in a run.

use std::time::Duration;

use crate::program::{ActorKind, Program, Step};
use crate::trace::{FIRED, Key, Kind, Trace, What};
use crate::verdict::Place;

/// A window in the ideal run: the index of the first event inside, and when it closed.
pub(super) struct Span {
    pub(super) place: Place,
    pub(super) open: usize,
    pub(super) close: Duration,
}

/// A nested loop in the real run: the indices of its edges.
pub(super) struct Loop {
    pub(super) open: Option<usize>,
    pub(super) close: Option<usize>,
    pub(super) refused: bool,
}

/// The nested loops of the real run, by level.
pub(super) fn loops(program: &Program, real: &Trace) -> Vec<Loop> {
    let its = |level| Loop {
        open: real.find(What::Open(level)),
        close: real.find(What::Close(level)),
        refused: real.find(What::Refused(level)).is_some(),
    };
    (0..program.levels().len() as u16).map(its).collect()
}

/// The windows that events can be due in.
pub(super) fn spans(program: &Program, ideal: &Trace) -> Vec<Span> {
    let events = &ideal.events;
    let levels = (0..program.levels().len() as u16).filter_map(|level| {
        let open = ideal.find(What::Open(level))? + 1;
        let close = ideal.find(What::Close(level));
        let close = close.map_or(Duration::MAX, |i| events[i].at);
        Some(Span { place: Place::Level(level), open, close })
    });
    let floods = floods(program);
    let floods = floods.iter().filter_map(|&(end, time)| {
        let close = events[ideal.position(end)?].at;
        let open = events.partition_point(|e| e.at < close.saturating_sub(time));
        Some(Span { place: Place::Flood(end), open, close })
    });
    levels.chain(floods).collect()
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
