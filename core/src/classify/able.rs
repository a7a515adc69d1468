//! Whether the subject could have done what it did not do.
//!
//! "It did not come in time" may be said only of time in which what owed it could run. Linux says for
//! how long a thread was runnable and did not run, and the supervisor's clock says whether the whole
//! machine stood still. A loop that iterates for nothing runs, whatever the clocks say.

use std::time::Duration;

use super::{CHANCE, Case, ITERATIONS_FREE, ITERATIONS_PER_EVENT, MARGIN, TICKS_PERCENT};
use crate::measure::ticks_in;
use crate::program::Side;
use crate::trace::{Event, FIRED, Key, Kind, Meter, Trace, What};
use crate::verdict::{Place, WindowFigures};

/// What a poke did to an event that came with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Poke {
    /// Nothing: the event would have come without it.
    Idle,
    /// It brought the event.
    Cured,
    /// It cannot be known, because what owed the event could not run.
    Unknown,
}

impl Case<'_> {
    /// The last reading of the counters until a time, and when it was made. Something is read every
    /// tick.
    fn reading(&self, time: Duration) -> (Duration, Meter) {
        let events = &self.real.events;
        let after = events.partition_point(|event| event.at <= time);
        let last = after.checked_sub(1).map(|last| &events[last]);
        last.map_or_else(Default::default, |event| (event.at, event.meter))
    }

    /// Whether what is due at `due` could run for at least `least` until `end`. What `end` lacks is
    /// only known from the counters at a later event, `seen`, because the kernel counts a wait when it
    /// is over. `None` is the end of the run.
    pub(super) fn could_run(
        &self,
        due: Duration,
        end: Option<usize>,
        seen: Option<usize>,
        least: Duration,
    ) -> bool {
        let events = &self.real.events;
        let until = end.map_or_else(|| self.last().0, |i| events[i].at);
        let seen = seen.map_or(self.real.meter, |i| events[i].meter);
        let kept = seen.saturating_sub(self.reading(due).1).delay;
        until.saturating_sub(due).saturating_sub(kept) >= least
    }

    /// For how long the loop thread did not run between a moment and the event at `end`, and for how
    /// long the subject was kept from running, as far as the event at `seen` tells.
    pub(super) fn idle(&self, from: Duration, end: usize, seen: usize) -> (Duration, Duration) {
        let events = &self.real.events;
        let (_, meter) = self.reading(from);
        let ran = events[end].meter.saturating_sub(meter).cpu;
        let asleep = events[end].at.saturating_sub(from).saturating_sub(ran);
        (asleep, events[seen].meter.saturating_sub(meter).delay)
    }

    /// Whether GLib iterated so often from one moment to the event with this index that it would have
    /// dispatched whatever had been ready all the while.
    pub(super) fn was_offered(&self, from: Duration, to: usize) -> bool {
        let (since, meter) = self.reading(from);
        let Event { at, meter: now, .. } = self.real.events[to];
        // What the program iterates for nothing is no offer.
        let paced = self.paced(since, at);
        now.saturating_sub(meter).iterations > ITERATIONS_FREE + paced
    }

    /// Whether an event that came too late for its window could have come before it closed.
    pub(super) fn could_come_inside(
        &self,
        place: Place,
        key: Key,
        due: Duration,
        windows: &[WindowFigures],
    ) -> bool {
        let (open, close) = self.window(place);
        let events = &self.real.events;
        let Some(end) = close else { return true };
        let side = key.kind.side();
        // What makes these ready is GLib's own clock, and no other thread can be late with it.
        let by_itself = matches!(key.kind, Kind::Timeout | Kind::Idle) && key.step == FIRED;
        if self.is_busy(place, windows) || (by_itself && key.n == 0 && self.was_offered(due, end)) {
            return true;
        }
        if !clock_ran(open.map(|open| &events[open]), &events[end]) {
            return false;
        }
        let from = open.map_or(due, |open| events[open].at.max(due));
        // The first sign of life of the side after the window shows for how long it was kept.
        let alive =
            |event: &Event| matches!(event.what, What::Reached(key) if key.kind.side() == side);
        let seen = events[end..].iter().position(alive).map_or(end, |n| end + n);
        self.could_run(from, close, Some(seen), CHANCE)
    }

    /// Whether the loop iterated for nothing in a nested loop.
    pub(super) fn is_busy(&self, place: Place, windows: &[WindowFigures]) -> bool {
        let Place::Level(level) = place else { return false };
        let name = self.levels.get(usize::from(level));
        windows.iter().any(|window| window.busy && Some(&window.name) == name)
    }

    /// Whether a poke brought the event at index `at`: it came during a poke, no window had closed
    /// since the poke began, it was already late then, its side had delivered nothing since it was
    /// due, and all the while the loop slept, or iterated for nothing.
    ///
    /// A side that delivers something is late, but not asleep. What runs, or waits for a processor,
    /// will come anyway.
    pub(super) fn poke(&self, side: Side, due: Duration, at: usize) -> Poke {
        let before = &self.real.events[..at];
        let Some(begin) = self.edges[at].filter(|&i| matches!(before[i].what, What::PokeBegin(_)))
        else {
            return Poke::Idle;
        };
        let poke = &before[begin];
        let came =
            |event: &Event| matches!(event.what, What::Reached(other) if other.kind.side() == side);
        let since = before.partition_point(|event| event.at <= due).min(begin);
        if poke.at < due + MARGIN || before[since..begin].iter().any(came) {
            return Poke::Idle;
        }
        let (read, meter) = self.reading(due);
        let since = poke.meter.saturating_sub(meter);
        let paced = self.paced(read, poke.at);
        if since.iterations > ITERATIONS_FREE + ITERATIONS_PER_EVENT * since.useful + paced {
            return Poke::Cured;
        }
        let mut states = before[..begin].iter().rev();
        let state = states.find(|e| matches!(e.what, What::Awake | What::PokeEnd(_)));
        if state.is_some_and(|event| event.what == What::Awake) {
            return Poke::Idle;
        }
        let idle = poke.at.saturating_sub(due).saturating_sub(since.cpu);
        if idle.saturating_sub(since.delay) >= MARGIN {
            Poke::Cured
        } else if idle >= MARGIN {
            Poke::Unknown
        } else {
            Poke::Idle
        }
    }

    /// Whether the supervisor's clock ran from `due` until the event at index `at`.
    pub(super) fn machine_ran(&self, due: Duration, at: usize) -> bool {
        let events = &self.real.events;
        let before = events[..at].iter().rev().find(|event| event.at <= due);
        clock_ran(before, &events[at])
    }
}

/// Whether the supervisor's clock ran from one event, or from the beginning, until another.
fn clock_ran(from: Option<&Event>, to: &Event) -> bool {
    let (at, meter) = from.map_or_else(Default::default, |event| (event.at, event.meter));
    let ticks = to.meter.saturating_sub(meter).ticks;
    ticks * 100 >= ticks_in(to.at.saturating_sub(at)) * TICKS_PERCENT
}

/// By index of the real trace: the last edge of a poke, or of a nested loop that closed, before it.
pub(super) fn edges(real: &Trace) -> Vec<Option<usize>> {
    let mut last = None;
    let before = |(i, event): (usize, &Event)| {
        let so_far = last;
        if matches!(event.what, What::PokeBegin(_) | What::PokeEnd(_) | What::Close(_)) {
            last = Some(i);
        }
        so_far
    };
    real.events.iter().enumerate().map(before).collect()
}
