//! What became of every event that the ideal run delivers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::able::Poke;
use super::{CHANCE, Case, OVERTAKEN};
use crate::trace::{CANCELLED, End, Event, FIRED, Key, Kind, Trace, What};
use crate::verdict::{Delivery, Fate, Place, Unjudged, WindowFigures};

impl Case<'_> {
    /// The fate of every event, in the order in which they are due.
    pub(super) fn fates(&self, windows: &[WindowFigures]) -> Vec<Delivery> {
        let due = self.ideal.events.iter().enumerate();
        due.filter_map(|(i, event)| {
            let What::Reached(key) = event.what else { return None };
            let (place, fate) = self.fate(i, event, key, windows);
            Some(Delivery { key, due: event.at, place, fate })
        })
        .collect()
    }

    fn fate(
        &self,
        i: usize,
        event: &Event,
        key: Key,
        windows: &[WindowFigures],
    ) -> (Option<Place>, Fate) {
        let at = self.positions.get(&key).copied();
        let place = self.place(i, event);
        let judged = match place {
            None => Fate::NotJudged(Unjudged::NearTheEnd),
            Some(place) if !self.has(place) => Fate::NotJudged(Unjudged::NoWindow),
            Some(Place::Outside) => {
                let (place, fate) = self.outside(event, key, at, windows);
                return (Some(place), fate);
            }
            Some(place) => self.inside(place, event, key, at, windows),
        };
        match (judged, at) {
            // Whatever its window says, it was lost.
            (Fate::NotJudged(_), None) if !self.is_cut() && !self.is_cancelled(key) => {
                (None, Fate::Never)
            }
            (fate, _) => (place, fate),
        }
    }

    /// If the run was cut short, events that did not happen prove nothing.
    fn is_cut(&self) -> bool {
        matches!(self.real.end, End::Died { .. } | End::Unknown { .. })
    }

    /// Whether the task of this event was dropped: its remaining steps are not lost.
    fn is_cancelled(&self, key: Key) -> bool {
        let cancelled = Key { step: CANCELLED, n: 0, kind: Kind::Task, ..key };
        self.positions.contains_key(&cancelled)
    }

    /// Judges an event due inside a window.
    fn inside(
        &self,
        place: Place,
        event: &Event,
        key: Key,
        at: Option<usize>,
        windows: &[WindowFigures],
    ) -> Fate {
        let (open, close) = self.window(place);
        if self.is_cut() && close.is_none() {
            return Fate::NotJudged(Unjudged::CutShort);
        }
        let poke = at.map_or(Poke::Idle, |at| self.poke(key.kind.side(), event.at, at));
        match (at, poke) {
            (Some(_), Poke::Cured) => return Fate::Cured,
            (Some(_), Poke::Unknown) => return Fate::NotJudged(Unjudged::CouldNotRun),
            (Some(at), Poke::Idle) if open.is_some_and(|open| at < open) => {
                let late = self.opened_late(place);
                let why = if late { Unjudged::BeforeTheWindow } else { Unjudged::Early };
                return Fate::NotJudged(why);
            }
            (Some(at), Poke::Idle) if close.is_none_or(|close| at < close) => return Fate::InTime,
            (None, _) if self.is_cancelled(key) => return Fate::NotJudged(Unjudged::CutShort),
            _ => {}
        }
        if close.is_some_and(|close| self.real.events[close].at < event.at + CHANCE) {
            Fate::NotJudged(Unjudged::ClosedEarly)
        } else if !self.could_come_inside(place, key, event.at, windows) {
            Fate::NotJudged(Unjudged::CouldNotRun)
        } else if at.is_some() {
            Fate::Late
        } else {
            Fate::Never
        }
    }

    /// Judges an event due outside all windows: if it came at all it came in time, unless it needed a
    /// poke or came after an event that was due much later.
    fn outside(
        &self,
        event: &Event,
        key: Key,
        at: Option<usize>,
        windows: &[WindowFigures],
    ) -> (Place, Fate) {
        let Some(at) = at else {
            let cut = self.is_cut() || self.is_cancelled(key);
            let fate = if cut { Fate::NotJudged(Unjudged::CutShort) } else { Fate::Never };
            return (Place::Outside, fate);
        };
        match self.poke(key.kind.side(), event.at, at) {
            Poke::Cured => return (Place::Outside, Fate::Cured),
            Poke::Unknown => return (Place::Outside, Fate::NotJudged(Unjudged::CouldNotRun)),
            Poke::Idle => {}
        }
        let Some(overtaker) = self.overtaker(event, at) else {
            return (Place::Outside, Fate::InTime);
        };
        let place = self.held(event, at).unwrap_or(Place::Outside);
        let could = self.is_busy(place, windows)
            || self.could_run(event.at, Some(overtaker), Some(at), OVERTAKEN / 2);
        if could && self.machine_ran(event.at, at) {
            (place, Fate::Late)
        } else {
            (place, Fate::NotJudged(Unjudged::CouldNotRun))
        }
    }

    /// The first event that was due much later than `ideal` and came before index `at`.
    fn overtaker(&self, ideal: &Event, at: usize) -> Option<usize> {
        // GLib counts an interval from the last dispatch and never catches up. Once such a source
        // is late it stays late, and only its first firing shows whether it is starved.
        let again = matches!(
            ideal.what,
            What::Reached(Key { kind: Kind::Timeout, step: FIRED, n: 1.., .. })
        );
        self.first_past(ideal.at + OVERTAKEN).filter(|&i| !again && i < at)
    }

    /// The first event of the real run that was due at this time or later.
    pub(super) fn first_past(&self, due: Duration) -> Option<usize> {
        // The latest due time of all events before an index: past from the next index on.
        self.latest_due.partition_point(|latest| *latest < due).checked_sub(1)
    }

    /// The nested loop that opened when an event was already due, but not yet late, and held it until
    /// it closed. What becomes of such an event is decided there, not outside.
    fn held(&self, ideal: &Event, at: usize) -> Option<Place> {
        let levels = 0..self.levels.len() as u16;
        let held = levels.filter_map(|level| {
            let (open, close) =
                (self.real.find(What::Open(level))?, self.real.find(What::Close(level))?);
            let opened_late = self.latest_due[open] >= ideal.at + OVERTAKEN;
            let after = self.real.events[open].at >= ideal.at;
            (after && close < at && !opened_late).then_some((open, Place::Level(level)))
        });
        held.min().map(|(_, place)| place)
    }
}

/// By key, the index of the event that delivered it.
pub(super) fn positions(trace: &Trace) -> BTreeMap<Key, usize> {
    let mut positions = BTreeMap::new();
    for (i, event) in trace.events.iter().enumerate() {
        if let What::Reached(key) = event.what {
            positions.entry(key).or_insert(i);
        }
    }
    positions
}

/// For each event of the real trace, the latest due time of all events before it that had been due;
/// and, at the end, of all of them.
pub(super) fn latest_due(ideal: &Trace, real: &Trace) -> Vec<Duration> {
    let due: BTreeMap<Key, Duration> = ideal.reached().map(|(at, key)| (key, at)).collect();
    let mut latest = vec![Duration::ZERO];
    for event in &real.events {
        let so_far = latest[latest.len() - 1];
        latest.push(match event.what {
            // What came before it was due, on another thread, says nothing about what is late.
            What::Reached(key) => {
                let due = due.get(&key).copied().unwrap_or_default();
                if event.at >= due { so_far.max(due) } else { so_far }
            }
            _ => so_far,
        });
    }
    latest
}
