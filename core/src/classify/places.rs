//! Where it is decided whether an event came in time: in a nested loop, in a flood, or outside both.

use std::cmp::Reverse;

use super::{Case, MARGIN};
use crate::measure::TICK;
use crate::trace::{Event, Trace, What};
use crate::verdict::Place;

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
