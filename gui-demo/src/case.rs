//! What is judged: a program, and a trace of what happened.
//!
//! The program of an episode defines what was due, the [`Log`] has recorded when it came, and the
//! rules of the matrix decide what that means. There are no rules here.

use std::collections::BTreeSet;
use std::time::Duration;

use loopnest_core::Program;
use loopnest_core::trace::{End, Event, Key, Meter, Trace, What};
use serde::{Deserialize, Serialize};

use crate::episode::Episode;
use crate::facts::{Beat, Fact, LONGEST};
use crate::log::Log;
use crate::program;

/// The input of `classify`, which the black box also keeps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// The program.
    pub program: Program,
    /// What happened.
    pub real: Trace,
}

impl Case {
    /// The program of an episode up to `until`, and what has happened so far.
    pub fn of(episode: &Episode, log: &Log, until: Duration) -> Self {
        Self::of_beats(episode, &log.since(episode.zero), log.meter(true), until)
    }

    fn of_beats(episode: &Episode, beats: &[Beat], now: Meter, until: Duration) -> Self {
        let until = until.min(episode.zero + LONGEST);
        let (program, keys) = program::write(episode, beats, until);
        let levels = program.levels();
        let level = |i: usize| {
            let name = &episode.openers[i].level;
            levels.iter().position(|level| level == name).map(|i| i as u16)
        };
        // The program begins at zero, and so do its counters.
        let base = beats.first().map(|beat| beat.meter).unwrap_or_default();
        // Switches and CPU time are read only at edges, so they have no base; only their
        // differences count.
        let base = Meter { switches: 0, cpu: Duration::ZERO, ..base };
        let mut inside = Inside::new(base.iterations, !episode.openers.is_empty());
        let mut events = Vec::new();
        for beat in beats {
            let what = match beat.fact {
                Fact::Open(i) => level(i).map(What::Open),
                Fact::Close(i) => level(i).map(What::Close),
                Fact::Quit(i) => level(i).map(What::Quit),
                Fact::Refused(i) => level(i).map(What::Refused),
                fact => keys.key(fact).map(What::Reached),
            };
            let meter = inside.only(beat, beat.meter.saturating_sub(base));
            let Some(what) = what else { continue };
            let at = beat.at.saturating_sub(episode.zero);
            events.push(Event { at, depth: beat.depth, what, meter });
        }
        let meter = inside.now(now.saturating_sub(base), base);
        let notes = episode.openers.iter().filter_map(|opener| opener.refused.clone()).collect();
        Self { program, real: Trace { events, meter, end: End::Finished, notes } }
    }

    /// Completes an unfinished run in the best possible way: every dialog closes now, and
    /// everything owed comes at once. A run that is bad even then is bad already.
    pub fn as_if_closed_now(mut self, ideal: &Trace) -> Self {
        let last = self.real.events.last();
        let at = last.map_or(Duration::ZERO, |event| event.at);
        let at = ideal.events.iter().map(|event| event.at).fold(at, Duration::max);
        let meter = self.real.meter;
        let levels = 0..self.program.levels().len() as u16;
        let mut open: Vec<u16> = levels
            .filter(|level| {
                self.real.find(What::Open(*level)).is_some()
                    && self.real.find(What::Close(*level)).is_none()
            })
            .collect();
        // Innermost first.
        open.sort_by_key(|level| std::cmp::Reverse(self.real.find(What::Open(*level))));
        let mut depth = open.len() as u16;
        for level in open {
            for what in [What::Quit(level), What::Close(level)] {
                self.real.events.push(Event { at, depth, what, meter });
            }
            depth -= 1;
        }
        for key in owed(ideal, &self.real) {
            self.real.events.push(Event { at, depth: 0, what: What::Reached(key), meter });
        }
        self
    }
}

/// What the ideal run delivers and the real one has not delivered.
pub fn owed(ideal: &Trace, real: &Trace) -> Vec<Key> {
    let came: BTreeSet<Key> = real.reached().map(|(_, key)| key).collect();
    ideal.reached().map(|(_, key)| key).filter(|key| !came.contains(key)).collect()
}

/// Leaves out the iterations between nested loops. What the user and a screen reader do there is
/// not part of the program, so the program cannot justify these iterations.
struct Inside {
    /// Whether the episode has nested loops at all.
    levels: bool,
    /// Iterations left out so far.
    out: u64,
    /// The number of iterations when the outermost loop closed.
    closed: Option<u64>,
}

impl Inside {
    fn new(base: u64, levels: bool) -> Self {
        Self { levels, out: 0, closed: Some(base) }
    }

    fn only(&mut self, beat: &Beat, meter: Meter) -> Meter {
        let iterations = beat.meter.iterations;
        if let (Fact::Open(_), 1) = (beat.fact, beat.depth)
            && let Some(closed) = self.closed.take()
        {
            self.out += iterations - closed;
        }
        let seen = self.seen(iterations, meter);
        if let (Fact::Close(_), 1) = (beat.fact, beat.depth) {
            self.closed = Some(iterations);
        }
        seen
    }

    /// The counters at the end.
    fn now(&self, meter: Meter, base: Meter) -> Meter {
        self.seen(meter.iterations + base.iterations, meter)
    }

    fn seen(&self, iterations: u64, meter: Meter) -> Meter {
        let outside = self.closed.map_or(0, |closed| iterations - closed);
        let out = if self.levels { self.out + outside } else { 0 };
        Meter { iterations: meter.iterations.saturating_sub(out), ..meter }
    }
}

#[cfg(test)]
mod tests;
