//! How long a cell may be silent before it is over.
//!
//! A program may itself be silent for long: a task sleeps, a callback computes. So patience is counted
//! from what the ideal run delivers next, and not in time for which the subject was kept from running.

use std::collections::BTreeMap;
use std::time::Duration;

use loopnest_core::Trace;
use loopnest_core::trace::{Key, What};

/// A cell is over when it has been silent for this long and something was due at the beginning.
const SILENCE: Duration = Duration::from_millis(1500);

/// A cell whose actors are all done gets this long to return.
const RETURN: Duration = Duration::from_millis(1000);

/// What the ideal run says about silence.
#[derive(Debug)]
pub struct Patience {
    /// What the ideal run does, in order, and whether the cell has done it.
    due: Vec<(Duration, What, bool)>,
    /// Where each delivery is in it.
    places: BTreeMap<Key, usize>,
    /// The first that the cell has not done.
    first: usize,
    /// When the latest of what it has done was due.
    latest: Duration,
    done: bool,
}

impl Patience {
    /// For a program with this ideal run.
    pub fn new(ideal: &Trace) -> Self {
        let due: Vec<_> = ideal.events.iter().map(|event| (event.at, event.what, false)).collect();
        let place = |(i, (_, what, _)): (usize, &(Duration, What, bool))| match what {
            What::Reached(key) => Some((*key, i)),
            _ => None,
        };
        let places = due.iter().enumerate().filter_map(place).collect();
        Self { due, places, first: 0, latest: Duration::ZERO, done: false }
    }

    /// Something happened in the cell.
    pub fn hear(&mut self, what: What) {
        let place = match what {
            What::Reached(key) => self.places.get(&key).copied(),
            // There are few of these.
            What::Look => None,
            what => self.due.iter().position(|(_, other, heard)| !heard && *other == what),
        };
        if let Some(place) = place {
            self.due[place].2 = true;
            self.latest = self.latest.max(self.due[place].0);
        }
        while self.due.get(self.first).is_some_and(|(_, _, heard)| *heard) {
            self.first += 1;
        }
        self.done |= what == What::Done;
    }

    /// Until when it may be silent, if it was last heard of at `news`. Both count from its beginning.
    ///
    /// A cell that is late sleeps as long as the ideal run, from then on. One that has two threads may
    /// be early with one of them, and then waits for the other.
    pub fn until(&self, news: Duration) -> Duration {
        if self.done {
            return news + RETURN;
        }
        let next = self.due.partition_point(|(at, ..)| *at <= self.latest);
        let gap = self.due.get(next).map_or(Duration::ZERO, |(at, ..)| *at - self.latest);
        let first = self.due.get(self.first).map_or(Duration::ZERO, |(at, ..)| *at);
        (news + gap).max(first) + SILENCE
    }
}

#[cfg(test)]
mod tests {
    use loopnest_core::trace::{End, Event, Kind, Meter};

    use super::*;

    const fn key(n: u32) -> What {
        What::Reached(Key { actor: 0, step: 0, n, kind: Kind::Timer })
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn patience(due: &[(u64, What)]) -> Patience {
        let event = |(at, what): &(u64, What)| Event {
            at: ms(*at),
            depth: 0,
            what: *what,
            meter: Meter::default(),
        };
        let (events, end) = (due.iter().map(event).collect(), End::Finished);
        Patience::new(&Trace { events, meter: Meter::default(), end, notes: Vec::new() })
    }

    #[test]
    fn a_program_that_sleeps_is_given_its_sleep() {
        let mut patience = patience(&[(50, key(0)), (3050, key(1)), (3050, What::Done)]);
        assert_eq!(patience.until(ms(0)), ms(50) + SILENCE);
        patience.hear(key(0));
        // Also if it begins late.
        assert_eq!(patience.until(ms(900)), ms(3900) + SILENCE);
        patience.hear(key(1));
        patience.hear(What::Done);
        assert_eq!(patience.until(ms(3050)), ms(3050) + RETURN);
    }

    #[test]
    fn a_thread_that_computes_is_waited_for_though_another_was_early() {
        // In the ideal run, which has one thread, a callback of three seconds delays the timer.
        let mut patience = patience(&[(100, key(0)), (3100, key(1)), (3100, What::Done)]);
        patience.hear(key(0));
        patience.hear(key(1));
        assert_eq!(patience.until(ms(200)), ms(3100) + SILENCE);
    }

    #[test]
    fn what_comes_out_of_order_does_not_lengthen_it() {
        let mut patience = patience(&[(10, key(0)), (20, key(1)), (5000, key(2))]);
        patience.hear(key(2));
        patience.hear(key(0));
        assert_eq!(patience.until(ms(30)), ms(30) + SILENCE);
    }
}
