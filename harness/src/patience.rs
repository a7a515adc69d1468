//! How long a cell may be silent before it is over.
//!
//! A program may itself be silent for long: a task sleeps, a callback computes. So patience is counted
//! from the event that the ideal run delivers next, and not in time for which the subject was kept
//! from running.

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
    due: BTreeMap<Key, Duration>,
    /// Of all events, in order.
    times: Vec<Duration>,
    /// When the latest of the events that came was due.
    latest: Duration,
    done: bool,
}

impl Patience {
    /// For a program with this ideal run.
    pub fn new(ideal: &Trace) -> Self {
        let due = ideal.reached().map(|(at, key)| (key, at)).collect();
        let times = ideal.events.iter().map(|event| event.at).collect();
        Self { due, times, latest: Duration::ZERO, done: false }
    }

    /// Something happened in the cell.
    pub fn hear(&mut self, what: What) {
        match what {
            What::Reached(key) => {
                self.latest = self.latest.max(self.due.get(&key).copied().unwrap_or_default());
            }
            What::Done => self.done = true,
            _ => {}
        }
    }

    /// How long the cell may be silent now.
    pub fn silence(&self) -> Duration {
        if self.done {
            return RETURN;
        }
        let next = self.times.partition_point(|at| *at <= self.latest);
        let next = self.times.get(next).map_or(Duration::ZERO, |at| at.saturating_sub(self.latest));
        next + SILENCE
    }
}

#[cfg(test)]
mod tests {
    use loopnest_core::trace::{End, Event, Kind, Meter};

    use super::*;

    const fn key(n: u32) -> Key {
        Key { actor: 0, step: 0, n, kind: Kind::Timer }
    }

    fn patience(due: &[u64]) -> Patience {
        let event = |(n, ms): (u32, &u64)| Event {
            at: Duration::from_millis(*ms),
            depth: 0,
            what: What::Reached(key(n)),
            meter: Meter::default(),
        };
        let events = (0..).zip(due).map(event).collect();
        let (meter, end) = (Meter::default(), End::Finished);
        Patience::new(&Trace { events, meter, end, notes: Vec::new() })
    }

    #[test]
    fn a_program_that_sleeps_is_given_its_sleep() {
        let mut patience = patience(&[50, 3050]);
        assert_eq!(patience.silence(), SILENCE + Duration::from_millis(50));
        patience.hear(What::Reached(key(0)));
        assert_eq!(patience.silence(), SILENCE + Duration::from_secs(3));
        patience.hear(What::Reached(key(1)));
        assert_eq!(patience.silence(), SILENCE);
        patience.hear(What::Done);
        assert_eq!(patience.silence(), RETURN);
    }

    #[test]
    fn what_comes_out_of_order_does_not_lengthen_it() {
        let mut patience = patience(&[10, 20, 5000]);
        patience.hear(What::Reached(key(2)));
        patience.hear(What::Reached(key(0)));
        assert_eq!(patience.silence(), SILENCE);
    }
}
