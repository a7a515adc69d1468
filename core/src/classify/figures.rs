//! The figures beside a verdict: counters of each stretch of a run, gaps, lateness.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Case, ITERATIONS_FREE, ITERATIONS_PER_EVENT};
use crate::measure::DRAIN_PAUSE;
use crate::program::Side;
use crate::trace::{Event, Kind, Meter, What};
use crate::verdict::{Figures, Tally, WindowFigures};

impl Case<'_> {
    /// Figures of every nested loop, every quiet window, and the rest of the run.
    pub(super) fn windows(&self) -> Vec<WindowFigures> {
        let end = self.last();
        let mut windows = Vec::new();
        let (mut rest_time, mut rest) = end;
        for (i, event) in self.real.events.iter().enumerate() {
            let (name, closing) = match event.what {
                // A trace from a file may name a level that the program does not have.
                What::Open(level) => match self.levels.get(usize::from(level)) {
                    Some(name) => (name.clone(), What::Close(level)),
                    None => continue,
                },
                What::QuietBegin => ("quiet".to_owned(), What::QuietEnd),
                _ => continue,
            };
            let close = self.real.events[i..].iter().find(|e| e.what == closing);
            let (at, meter) = close.map_or(end, |e| (e.at, e.meter));
            // A poke makes descriptors readable, and a frozen side does not drain them. What the
            // loop does from then on is caused by the poke.
            let poke = |e: &&Event| matches!(e.what, What::PokeBegin(_)) && e.at < at;
            let poke = self.real.events[i..].iter().find(poke);
            let (until, reading) = poke.map_or((at, meter), |e| (e.at, e.meter));
            let paced = self.paced(event.at, until);
            let time = until.saturating_sub(event.at);
            windows.push(window(name, time, reading.saturating_sub(event.meter), paced));
            if matches!(event.what, What::Open(_)) && event.depth == 1 {
                rest_time = rest_time.saturating_sub(at.saturating_sub(event.at));
                rest = rest.saturating_sub(meter.saturating_sub(event.meter));
            }
        }
        windows.push(window("run".to_owned(), rest_time, rest, 0));
        windows
    }

    /// Iterations between two times that come from the program's own drained loops.
    pub(super) fn paced(&self, from: Duration, to: Duration) -> u64 {
        let drained = self.drained.iter().map(|&level| {
            let Some(open) = self.real.find(What::Open(level)) else {
                return 0;
            };
            let close = self.real.find(What::Close(level));
            let close = close.map_or(to, |i| self.real.events[i].at);
            let time = close.min(to).saturating_sub(self.real.events[open].at.max(from));
            (time.as_millis() / DRAIN_PAUSE.as_millis()) as u64
        });
        drained.sum()
    }

    pub(super) fn figures(
        &self,
        tallies: &BTreeMap<Kind, Tally>,
        windows: &[WindowFigures],
    ) -> Figures {
        let mut figures = Figures::default();
        for (kind, tally) in tallies {
            let (due, starved, lost) = match kind.side() {
                Side::Glib => {
                    (&mut figures.glib_due, &mut figures.glib_starved, &mut figures.glib_lost)
                }
                _ => (&mut figures.async_due, &mut figures.async_starved, &mut figures.async_lost),
            };
            *due += tally.due;
            *starved += tally.starved;
            *lost += tally.lost;
        }
        let worst = windows.iter().max_by_key(|w| w.iterations * 1000 / (w.justified + 1));
        if let Some(worst) = worst {
            figures.iterations = worst.iterations;
            figures.justified = worst.justified;
            figures.cpu_ratio = f64::from(worst.cpu_permille) / 1000.0;
        }
        figures.longest_gap_ms = self.longest_gap().as_millis() as u64;
        (figures.timer_late_us, figures.timer_early_us) = self.lateness();
        figures
    }

    /// The longest stretch of a nested loop without an async event.
    pub(super) fn longest_gap(&self) -> Duration {
        let mut longest = Duration::ZERO;
        let mut since: Option<Duration> = None;
        for event in &self.real.events {
            let mark = match event.what {
                What::Open(_) => {
                    since.get_or_insert(event.at);
                    continue;
                }
                What::Reached(key) => key.kind.side() == Side::Async,
                What::Close(_) => true,
                _ => false,
            };
            if let (true, Some(start)) = (mark, since) {
                longest = longest.max(event.at.saturating_sub(start));
                let closed = matches!(event.what, What::Close(_)) && event.depth <= 1;
                since = (!closed).then_some(event.at);
            }
        }
        // A window that never closed is a gap up to the end.
        since.map_or(longest, |start| longest.max(self.last().0.saturating_sub(start)))
    }

    /// Median lateness and greatest earliness of async timers, in microseconds.
    pub(super) fn lateness(&self) -> (i64, i64) {
        let mut late: Vec<i64> = self
            .ideal
            .events
            .iter()
            .filter_map(|due| {
                let What::Reached(key) = due.what else {
                    return None;
                };
                let at = self.real.events[*self.positions.get(&key)?].at;
                (key.kind == Kind::Timer).then(|| at.as_micros() as i64 - due.at.as_micros() as i64)
            })
            .collect();
        late.sort_unstable();
        let median = late.get(late.len() / 2).copied().unwrap_or(0);
        let early = late.first().map_or(0, |&first| (-first).max(0));
        (median, early)
    }
}

/// Figures of a window from what was counted in it.
fn window(name: String, time: Duration, counted: Meter, paced: u64) -> WindowFigures {
    let Meter { iterations, useful: justified, switches, cpu, delay, .. } = counted;
    let limit = ITERATIONS_FREE + ITERATIONS_PER_EVENT * justified + paced;
    WindowFigures {
        name,
        ms: time.as_millis() as u64,
        iterations,
        justified,
        switches,
        cpu_permille: permille(cpu, time),
        kept_permille: permille(delay, time).min(1000),
        limit,
        busy: iterations > limit,
    }
}

/// A part of a time, in thousandths.
fn permille(part: Duration, time: Duration) -> u32 {
    (part.as_micros() * 1000 / time.as_micros().max(1)) as u32
}
