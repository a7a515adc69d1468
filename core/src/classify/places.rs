//! Where it is decided whether an event came in time: in a nested loop, in a flood, or outside both.

use std::cmp::Reverse;
use std::time::Duration;

use super::{Case, MARGIN};
use crate::measure::TICK;
use crate::program::{ActorKind, Program, Step};
use crate::trace::{Event, FIRED, Key, Kind, Trace, What};
use crate::verdict::Place;

/// A window in the ideal run: the index of the first event inside, and when it closed.
pub(super) struct Span {
    place: Place,
    open: usize,
    close: Duration,
}

/// A nested loop in the real run: the indices of its edges.
pub(super) struct Loop {
    open: Option<usize>,
    close: Option<usize>,
    refused: bool,
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

impl Case<'_> {
    /// The place of the ideal run's event with this index; `None` if it is due too near to the end of
    /// a window to be judged. The innermost window decides: the one that closes first.
    pub(super) fn place(&self, i: usize, event: &Event) -> Option<Place> {
        let inside = self.spans.iter().filter(|s| i >= s.open && event.at + MARGIN <= s.close);
        match inside.min_by_key(|s| (s.close, Reverse(s.open))) {
            Some(span) => Some(span.place),
            None if event.depth > 0 => None,
            None => Some(Place::Outside),
        }
    }

    /// Whether the real run opened a window later than the ideal run, so that it may have missed what
    /// was due in it.
    pub(super) fn opened_late(&self, place: Place) -> bool {
        let Place::Level(level) = place else { return false };
        let at = |trace: &Trace| trace.find(What::Open(level)).map(|i| trace.events[i].at);
        let (ideal, real) = (at(self.ideal), at(self.real));
        ideal.zip(real).is_some_and(|(ideal, real)| real > ideal + TICK)
    }

    /// Whether the real run had this place, as the ideal run did.
    pub(super) fn has(&self, place: Place) -> bool {
        match place {
            Place::Level(level) => {
                let its = &self.loops[usize::from(level)];
                its.open.is_some() && !its.refused
            }
            Place::Outside | Place::Flood(_) => true,
        }
    }

    /// Where the real run opened and closed a window. Floods count from the beginning.
    pub(super) fn window(&self, place: Place) -> (Option<usize>, Option<usize>) {
        match place {
            Place::Level(level) => {
                let its = &self.loops[usize::from(level)];
                (its.open, its.close)
            }
            Place::Flood(end) => (None, self.positions.get(&end).copied()),
            Place::Outside => (None, None),
        }
    }
}
