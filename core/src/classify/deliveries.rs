//! Why events did not come in time, and whether a side stalled.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Case, FLOOD_SHARE, MARGIN, OVERTAKEN, TICKS_PERCENT};
use crate::measure::ticks_in;
use crate::trace::{CANCELLED, End, Event, FIRED, Key, Kind, Trace, What};
use crate::verdict::{Finding, Tally, Word};

/// A window that an event can be due in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Window {
    /// A nested loop.
    Level(u16),
    /// A flood; the key is that of its end.
    Flood(Key),
}

/// A window in the ideal run: the index of the first event inside, and when it closed.
struct Span {
    window: Window,
    open: usize,
    close: Duration,
}

/// How one kind of event was delivered in one window, or outside all windows.
#[derive(Default)]
struct Count {
    due: u32,
    blames: Vec<Blame>,
    /// When the first event that did not come in time was due.
    first_bad: Option<Duration>,
    /// When the last event that came in time was due.
    last_good: Option<Duration>,
}

impl Count {
    /// Only a minority of events can be late by chance, and none can need a poke by chance.
    ///
    /// During a flood, the number of events in time depends on how much of the processor the
    /// process gets, so it is starvation only if almost none come.
    fn stalled(&self, window: Option<Window>) -> bool {
        let came = (self.due as usize).saturating_sub(self.blames.len());
        let enough = match window {
            Some(Window::Flood(_)) => came * FLOOD_SHARE >= self.due as usize,
            _ => came >= self.blames.len(),
        };
        !enough || self.blames.contains(&Blame::Poke)
    }
}

/// By window (none for the run outside all of them) and kind.
type Counts = BTreeMap<(Option<Window>, Kind), Count>;

/// How an event failed to come in its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blame {
    /// It came after a poke.
    Poke,
    /// It came after the window.
    Deferred,
    /// It never came.
    Never,
}

impl Case<'_> {
    /// How each kind of event was delivered; finds stall and split.
    pub(super) fn deliveries(&mut self) -> BTreeMap<Kind, Tally> {
        let spans = self.spans();
        let positions = positions(self.real);
        // If the run was cut short, events that did not happen prove nothing.
        let cut = matches!(self.real.end, End::Died { .. } | End::Unknown { .. });
        let mut tallies: BTreeMap<Kind, Tally> = BTreeMap::new();
        let mut counts = Counts::new();
        for (i, event) in self.ideal.events.iter().enumerate() {
            let What::Reached(key) = event.what else {
                continue;
            };
            let tally = tallies.entry(key.kind).or_default();
            let at = positions.get(&key).copied();
            // The remaining steps of a cancelled task are not lost.
            let cancelled = Key { step: CANCELLED, n: 0, kind: Kind::Task, ..key };
            if at.is_none() && !cut && !positions.contains_key(&cancelled) {
                tally.lost += 1;
            }
            // The innermost window decides: the one that closes first.
            let inside = spans
                .iter()
                .filter(|s| i >= s.open && event.at + MARGIN <= s.close)
                .min_by_key(|s| (s.close, Reverse(s.open)))
                .map(|s| s.window);
            let judged = match inside {
                Some(window) if self.was_opened(window) => self.inside(window, event, at, cut),
                Some(_) => None,
                None if event.depth > 0 => None,
                None => self.outside(event, at, cut),
            };
            let Some(blame) = judged else { continue };
            let held = at.filter(|_| inside.is_none() && blame == Some(Blame::Deferred));
            let window = inside.or_else(|| self.held(event, held?));
            let count = counts.entry((window, key.kind)).or_default();
            count.due += 1;
            match blame {
                Some(_) => drop(count.first_bad.get_or_insert(event.at)),
                None => count.last_good = Some(event.at),
            }
            count.blames.extend(blame);
        }
        self.stalls(&counts);
        for ((window, kind), count) in counts {
            let tally = tallies.entry(kind).or_default();
            let starved = count.blames.len() as u32;
            // If there are windows, events in time outside them would only hide those late inside.
            tally.due += if window.is_none() && !spans.is_empty() { starved } else { count.due };
            tally.starved += starved;
        }
        tallies
    }

    /// Whether the real run opened the window as the ideal run did.
    fn was_opened(&self, window: Window) -> bool {
        match window {
            Window::Level(level) => {
                self.real.find(What::Open(level)).is_some()
                    && self.real.find(What::Refused(level)).is_none()
            }
            Window::Flood(_) => true,
        }
    }

    /// Where the real run opened and closed the window. Floods count from the beginning.
    fn edges(&self, window: Window) -> (Option<usize>, Option<usize>) {
        match window {
            Window::Level(level) => {
                (self.real.find(What::Open(level)), self.real.find(What::Close(level)))
            }
            Window::Flood(end) => (None, self.real.position(end)),
        }
    }

    /// Judges an event due inside a window: `None` if nothing can be said, else how it failed, if
    /// it did.
    fn inside(
        &mut self,
        window: Window,
        event: &Event,
        at: Option<usize>,
        cut: bool,
    ) -> Option<Option<Blame>> {
        let (_, close) = self.edges(window);
        if cut && close.is_none() {
            return None;
        }
        let delivered = match (at, close) {
            (Some(at), Some(close)) => at < close,
            (at, None) => at.is_some(),
            (None, Some(_)) => false,
        };
        let cured = at.is_some_and(|at| self.cured(event, at));
        if delivered && !cured {
            return Some(None);
        }
        if close.is_some_and(|close| self.real.events[close].at <= event.at) {
            // The window closed too early for this event.
            return None;
        }
        if !self.machine_was_alive(window) {
            self.stood_still = true;
            return None;
        }
        Some(Some(if cured {
            Blame::Poke
        } else if at.is_some() {
            Blame::Deferred
        } else {
            Blame::Never
        }))
    }

    /// Judges an event due outside all windows.
    fn outside(&mut self, event: &Event, at: Option<usize>, cut: bool) -> Option<Option<Blame>> {
        match at {
            None if cut => None,
            // Without a window, an event that came at all came in time, unless it needed a poke or
            // came after an event that was due much later.
            Some(at) if self.cured(event, at) => Some(Some(Blame::Poke)),
            Some(at) if self.overtaken(event, at) => {
                if self.machine_ran(event.at, at) {
                    return Some(Some(Blame::Deferred));
                }
                self.stood_still = true;
                None
            }
            Some(_) => Some(None),
            None => Some(Some(Blame::Never)),
        }
    }

    /// Whether a poke brought the event at index `at`: it came during a poke, no window had closed
    /// since the poke began, it was already late then, and its side had delivered nothing since it
    /// was due. (A side that delivers something is late, but not asleep.)
    fn cured(&self, ideal: &Event, at: usize) -> bool {
        let What::Reached(key) = ideal.what else { return false };
        let before = &self.real.events[..at];
        let edge = before.iter().rposition(|event| {
            matches!(event.what, What::PokeBegin(_) | What::PokeEnd(_) | What::Close(_))
        });
        let Some(poke) = edge.filter(|&i| matches!(before[i].what, What::PokeBegin(_))) else {
            return false;
        };
        let asleep = !before[..poke].iter().any(|event| {
            let What::Reached(other) = event.what else { return false };
            other.kind.side() == key.kind.side() && event.at > ideal.at
        });
        asleep && before[poke].at >= ideal.at + MARGIN
    }

    /// Whether an event that was due much later came before the event at index `at`.
    fn overtaken(&self, ideal: &Event, at: usize) -> bool {
        // GLib counts an interval from the last dispatch and never catches up. Once such a source
        // is late it stays late, and only its first firing shows whether it is starved.
        let again = matches!(
            ideal.what,
            What::Reached(Key { kind: Kind::Timeout, step: FIRED, n: 1.., .. })
        );
        let overtaken = |&latest: &Duration| latest >= ideal.at + OVERTAKEN;
        !again && self.latest_due.get(at).is_some_and(overtaken)
    }

    /// The nested loop that opened when an event was already due, but not yet late, and held it until
    /// it closed. What becomes of such an event is decided there, not outside.
    fn held(&self, ideal: &Event, at: usize) -> Option<Window> {
        let levels = 0..self.levels.len() as u16;
        let held = levels.filter_map(|level| {
            let (open, close) =
                (self.real.find(What::Open(level))?, self.real.find(What::Close(level))?);
            let opened_late = self.latest_due[open] >= ideal.at + OVERTAKEN;
            let after = self.real.events[open].at >= ideal.at;
            (after && close < at && !opened_late).then_some((open, Window::Level(level)))
        });
        held.min().map(|(_, window)| window)
    }

    /// Whether the supervisor's clock ran from `due` until the event at index `at`.
    fn machine_ran(&self, due: Duration, at: usize) -> bool {
        let events = &self.real.events;
        let before = events[..at].iter().rev().find(|event| event.at <= due);
        clock_ran(before, &events[at])
    }

    /// Whether the supervisor's clock ran while the window was open.
    fn machine_was_alive(&self, window: Window) -> bool {
        let (open, Some(close)) = self.edges(window) else {
            return true;
        };
        let events = &self.real.events;
        clock_ran(open.map(|open| &events[open]), &events[close])
    }

    /// Finds stalls. Each side is judged in each window, so that progress in one dialog does not
    /// hide a stall in another.
    fn stalls(&mut self, counts: &Counts) {
        let windows: BTreeSet<_> = counts.keys().map(|(w, kind)| (*w, kind.side())).collect();
        for (window, side) in windows {
            let mine: Vec<&Count> = counts
                .iter()
                .filter(|((w, kind), _)| *w == window && kind.side() == side)
                .map(|(_, count)| count)
                .collect();
            if !mine.iter().any(|c| c.stalled(window)) {
                continue;
            }
            self.words.insert(Word::Stall);
            // Events in time before the first bad one do not show that the side kept running.
            let since = mine.iter().filter(|c| c.stalled(window)).filter_map(|c| c.first_bad).min();
            let flood = matches!(window, Some(Window::Flood(_)));
            let went_on = |c: &Count| c.blames.is_empty() || (flood && !c.stalled(window));
            if mine.iter().any(|c| went_on(c) && c.last_good >= since) {
                self.words.insert(Word::Split);
            }
            let blamed =
                |blame| mine.iter().any(|c| c.stalled(window) && c.blames.contains(&blame));
            self.findings.insert(if blamed(Blame::Poke) {
                Finding::LostWakeUp
            } else if mine.iter().all(|c| c.stalled(window)) {
                Finding::Frozen(side)
            } else {
                Finding::Starved(side)
            });
            if blamed(Blame::Deferred) {
                self.findings.insert(Finding::Deferred(side));
            }
        }
    }

    fn spans(&self) -> Vec<Span> {
        let events = &self.ideal.events;
        let levels = (0..self.levels.len() as u16).filter_map(|level| {
            let open = self.ideal.find(What::Open(level))? + 1;
            let close = self.ideal.find(What::Close(level));
            let close = close.map_or(Duration::MAX, |i| events[i].at);
            Some(Span { window: Window::Level(level), open, close })
        });
        let floods = self.floods.iter().filter_map(|&(end, time)| {
            let close = events[self.ideal.position(end)?].at;
            let open = events.partition_point(|e| e.at < close.saturating_sub(time));
            Some(Span { window: Window::Flood(end), open, close })
        });
        levels.chain(floods).collect()
    }
}

/// Whether the supervisor's clock ran from one event, or from the beginning, until another.
fn clock_ran(from: Option<&Event>, to: &Event) -> bool {
    let (at, meter) = from.map_or_else(Default::default, |event| (event.at, event.meter));
    let ticks = to.meter.saturating_sub(meter).ticks;
    ticks * 100 >= ticks_in(to.at.saturating_sub(at)) * TICKS_PERCENT
}

pub(super) fn positions(trace: &Trace) -> BTreeMap<Key, usize> {
    let mut positions = BTreeMap::new();
    for (i, event) in trace.events.iter().enumerate() {
        if let What::Reached(key) = event.what {
            positions.entry(key).or_insert(i);
        }
    }
    positions
}
