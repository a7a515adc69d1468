//! When a run is poked, and which tasks a poke wakes.
//!
//! A *poke* wakes everything. A correct program cannot notice it, and its effect distinguishes a
//! lost wake-up from a frozen side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use super::ticks::{MAX_POKES, OVERDUE_TICKS, time_of};
use crate::program::Side;
use crate::trace::{Key, Trace};

/// How long a side owes something before it is overdue.
pub const OVERDUE: Duration = time_of(OVERDUE_TICKS);
const SIDES: [Side; 2] = [Side::Async, Side::Glib];

/// What the ideal run delivers, minus what has been delivered.
///
/// The program has one clock, *now*, and the supervisor has another, *clock*, which stands still
/// when the machine does. The first says when something becomes due, the second how long it has
/// been owed. In the model they are the same.
#[derive(Debug)]
pub struct Owed {
    /// What each side owes, in order of time.
    owes: BTreeMap<Side, BTreeSet<(Duration, Key)>>,
    due: BTreeMap<Key, Duration>,
    /// The supervisor's clock when each side last delivered anything, or was last seen to owe
    /// nothing.
    alive: BTreeMap<Side, Duration>,
    pokes: u16,
    /// No other poke before the supervisor's clock shows this.
    not_before: Duration,
}

impl Owed {
    /// Owes everything that `ideal` delivers.
    pub fn new(ideal: &Trace) -> Self {
        let mut owes: BTreeMap<Side, BTreeSet<(Duration, Key)>> = BTreeMap::new();
        for (at, key) in ideal.reached() {
            owes.entry(key.kind.side()).or_default().insert((at, key));
        }
        let due = ideal.reached().map(|(at, key)| (key, at)).collect();
        Self { owes, due, alive: BTreeMap::new(), pokes: 0, not_before: Duration::ZERO }
    }

    /// Notes that `key` was delivered.
    pub fn deliver(&mut self, key: Key, clock: Duration) {
        self.alive.insert(key.kind.side(), clock);
        if let Some(at) = self.due.get(&key) {
            self.owes.entry(key.kind.side()).or_default().remove(&(*at, key));
        }
    }

    /// Whether to poke now, because a side has owed something for [`OVERDUE_TICKS`] and has
    /// delivered nothing meanwhile. A side that delivers some events but not others is starving
    /// those, and waking it would prove nothing.
    ///
    /// Call this once per tick, because that is how it learns when something became due.
    pub fn wants_poke(&mut self, now: Duration, clock: Duration) -> bool {
        let mut overdue = false;
        for side in SIDES {
            let owes = self.first_due(side).is_some_and(|due| due <= now);
            let since = self.alive.entry(side).or_insert(clock);
            if !owes {
                *since = clock;
            }
            overdue |= clock >= *since + OVERDUE;
        }
        overdue && self.pokes < MAX_POKES && clock >= self.not_before
    }

    /// When to poke if nothing more is delivered, for runs in which both clocks are the same.
    /// `None` if nothing is owed any more, or if there were already [`MAX_POKES`].
    pub fn next_poke(&self) -> Option<Duration> {
        let overdue = SIDES.into_iter().filter_map(|side| {
            let alive = self.alive.get(&side).copied().unwrap_or_default();
            Some(self.first_due(side)?.max(alive) + OVERDUE)
        });
        let at = overdue.min()?.max(self.not_before);
        (self.pokes < MAX_POKES).then_some(at)
    }

    /// Notes that a poke is over.
    pub fn poked(&mut self, clock: Duration) {
        self.pokes += 1;
        self.not_before = clock + OVERDUE;
    }

    /// How many pokes are over.
    pub fn n_pokes(&self) -> u16 {
        self.pokes
    }

    fn first_due(&self, side: Side) -> Option<Duration> {
        self.owes.get(&side)?.first().map(|(at, _)| *at)
    }
}

/// The last waker of every task, for the poke.
#[derive(Debug, Default)]
pub struct Wakers(Mutex<BTreeMap<u16, Waker>>);

impl Wakers {
    /// Notes that the task `actor` is about to be polled with this waker.
    pub fn keep(&self, actor: u16, waker: &Waker) {
        let mut wakers = self.lock();
        match wakers.get_mut(&actor) {
            Some(last) => last.clone_from(waker),
            None => drop(wakers.insert(actor, waker.clone())),
        }
    }

    /// Wakes every task.
    pub fn wake(&self) {
        // A copy, because a wake may poll at once and then calls `keep`.
        let wakers: Vec<Waker> = self.lock().values().cloned().collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Drops the wakers, which keep the tasks alive.
    pub fn clear(&self) {
        let wakers = std::mem::take(&mut *self.lock());
        drop(wakers);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u16, Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::TICK;
    use crate::trace::{End, Event, Kind, Meter, What};

    const TIMER: Key = Key { actor: 0, step: 0, n: 0, kind: Kind::Timer };
    const TIMEOUT: Key = Key { actor: 1, step: 0, n: 0, kind: Kind::Timeout };

    fn owed(due: &[(u64, Key)]) -> Owed {
        let event = |&(ms, key)| Event {
            at: Duration::from_millis(ms),
            depth: 0,
            what: What::Reached(key),
            meter: Meter::default(),
        };
        let events = due.iter().map(event).collect();
        let (meter, end) = (Meter::default(), End::Finished);
        Owed::new(&Trace { events, meter, end, notes: Vec::new() })
    }

    /// The first tick, from `from` on, at which a poke is wanted.
    fn first_poke(owed: &mut Owed, from: u64) -> Option<u64> {
        (from..1000).find(|&ticks| owed.wants_poke(time_of(ticks), time_of(ticks)))
    }

    #[test]
    fn looking_every_tick_and_reckoning_agree() {
        let mut owed = owed(&[(100, TIMER), (300, TIMEOUT)]);
        let reckoned = owed.next_poke();
        assert_eq!(reckoned, Some(time_of(10) + OVERDUE));
        // Something due at a tick is first seen at that tick, so nothing was owed at the one
        // before.
        let seen = first_poke(&mut owed, 0).map(|ticks| time_of(ticks) + TICK);
        assert_eq!(seen, reckoned);
    }

    #[test]
    fn what_is_delivered_is_not_owed_and_shows_that_its_side_is_alive() {
        let later = Key { n: 1, ..TIMER };
        let mut owed = owed(&[(100, TIMER), (110, later)]);
        owed.deliver(TIMER, time_of(20));
        assert_eq!(owed.next_poke(), Some(time_of(20) + OVERDUE));
        owed.deliver(later, time_of(21));
        assert_eq!((owed.next_poke(), first_poke(&mut owed, 22)), (None, None));
    }

    #[test]
    fn a_machine_that_stands_still_makes_nothing_overdue() {
        let mut owed = owed(&[(100, TIMER)]);
        let mut wants = |ms, ticks| owed.wants_poke(Duration::from_millis(ms), time_of(ticks));
        assert!(!wants(90, 9));
        assert!(!wants(60_000, 10), "a minute went by in one tick");
        assert!(wants(60_250, 9 + OVERDUE_TICKS));
    }

    #[test]
    fn a_side_is_not_overdue_for_what_another_has_owed_all_the_time() {
        let mut owed = owed(&[(0, TIMER), (950, TIMEOUT)]);
        assert_eq!(first_poke(&mut owed, 0), Some(OVERDUE_TICKS));
        (OVERDUE_TICKS..100).for_each(|ticks| _ = owed.wants_poke(time_of(ticks), time_of(ticks)));
        owed.deliver(TIMER, time_of(100));
        assert_eq!(first_poke(&mut owed, 100), Some(94 + OVERDUE_TICKS));
    }

    #[test]
    fn pokes_keep_their_distance_and_are_few() {
        let mut owed = owed(&[(0, TIMER)]);
        for n in 0..MAX_POKES {
            let tick = (u64::from(n) + 1) * OVERDUE_TICKS;
            assert_eq!((owed.n_pokes(), owed.next_poke()), (n, Some(time_of(tick))));
            assert_eq!(first_poke(&mut owed, tick - OVERDUE_TICKS), Some(tick));
            owed.poked(time_of(tick));
        }
        assert_eq!((owed.next_poke(), first_poke(&mut owed, 200)), (None, None));
    }
}
