//! The figures behind a verdict, each beside its limit and the ideal run's figure.

use std::time::Duration;

use loopnest_core::program::Program;
use loopnest_core::trace::{Kind, Trace, What};
use loopnest_core::verdict::{Fate, Judgement, Unjudged, WindowFigures};

use super::strip::nested;
use crate::text::grouped;

/// Columns of a figure.
const FIGURE: usize = 12;

/// How many windows are shown although they are not busy.
const CALM: usize = 4;

/// The table of evidence.
pub(super) fn table(
    program: &Program,
    judgement: &Judgement,
    reference: &Judgement,
    ideal: &Trace,
    real: &Trace,
    width: usize,
) -> String {
    let mut rows = Rows { lines: Vec::new(), label: width.saturating_sub(3 * FIGURE) };
    rows.push("Evidence", ["measured", "limit", "reference"].map(str::to_owned));
    deliveries(&mut rows, judgement, reference, real);
    let calm = judgement.windows.iter().filter(|w| !w.busy).take(CALM);
    for shown in judgement.windows.iter().filter(|w| w.busy).chain(calm) {
        window(&mut rows, program, shown, ideal);
    }
    times(&mut rows, judgement, reference);
    rows.lines.join("\n")
}

struct Rows {
    lines: Vec<String>,
    /// Columns of the label.
    label: usize,
}

impl Rows {
    /// A row. A label that is too long for its column goes on a line of its own.
    fn push(&mut self, what: &str, figures: [String; 3]) {
        let figures = figures.map(|figure| format!("{figure:>FIGURE$}")).concat();
        let label = self.label;
        if what.len() > label {
            self.lines.push(what.to_owned());
            self.lines.push(format!("{:label$}{figures}", ""));
        } else {
            self.lines.push(format!("{what:label$}{figures}"));
        }
    }

    fn add(&mut self, what: &str, measured: String, limit: String, reference: String) {
        self.push(&format!("  {what}"), [measured, limit, reference]);
    }
}

fn none() -> String {
    "-".to_owned()
}

/// What was owed.
fn deliveries(rows: &mut Rows, judgement: &Judgement, reference: &Judgement, real: &Trace) {
    for (kind, tally) in judgement.tallies.iter().filter(|(_, tally)| tally.due > 0) {
        let came = tally.came();
        let best = reference.tallies.iter().find(|(other, _)| other == kind);
        let best = best.map_or(none(), |(_, t)| format!("{} / {}", t.came(), t.due));
        rows.add(
            &format!("{} events in time", kind.name()),
            format!("{came} / {}", tally.due),
            // It is a stall if more than half of a kind is missing in some window.
            "half".to_owned(),
            best,
        );
    }
    let lost: u32 = judgement.tallies.iter().map(|(_, tally)| tally.lost).sum();
    if lost > 0 {
        rows.add("events never delivered", lost.to_string(), "0".into(), "0".into());
    }
    let count = |fate| judgement.deliveries.iter().filter(|d| d.fate == fate).count();
    if real.events.iter().any(|e| matches!(e.what, What::PokeBegin(_))) {
        let cured = count(Fate::Cured).to_string();
        rows.add("overdue events that came with a poke", cured, "0".into(), "0".into());
    }
    let unsure = count(Fate::NotJudged(Unjudged::CouldNotRun));
    if unsure > 0 {
        rows.add("events that could not run in time", unsure.to_string(), none(), "0".into());
    }
}

/// How often the loop iterated in a window, and if that was too often, what else the thread did.
fn window(rows: &mut Rows, program: &Program, window: &WindowFigures, ideal: &Trace) {
    let place = match window.name.as_str() {
        "quiet" => "the quiet window".to_owned(),
        "run" if program.levels().is_empty() => "the run".to_owned(),
        "run" => "the rest of the run".to_owned(),
        level => format!("`{level}`"),
    };
    rows.add(
        &format!("iterations in {place}, {} ms", grouped(window.ms)),
        grouped(window.iterations),
        grouped(window.limit),
        none(),
    );
    if !window.busy {
        return;
    }
    let done = done(program, &window.name, ideal).map_or(none(), grouped);
    rows.add("  things done in it", grouped(window.justified), none(), done);
    rows.add("  times the thread slept in it", grouped(window.switches), none(), none());
    let cpu = format!("{} %", window.cpu_permille / 10);
    rows.add("  processor time", cpu, none(), none());
}

/// How many things the ideal run does in a window of this name.
fn done(program: &Program, name: &str, ideal: &Trace) -> Option<u64> {
    let (open, close) = match program.levels().iter().position(|level| level == name) {
        Some(level) => {
            let window = nested(ideal).into_iter().find(|w| usize::from(w.level) == level)?;
            (window.open, window.close.unwrap_or(Duration::MAX))
        }
        None if name == "quiet" => {
            let at = |what| ideal.find(what).map(|i| ideal.events[i].at);
            (at(What::QuietBegin)?, at(What::QuietEnd)?)
        }
        None => return None,
    };
    let inside = |at: Duration| at > open && at < close;
    let reached = ideal.events.iter().filter(|e| matches!(e.what, What::Reached(_)));
    Some(reached.filter(|e| inside(e.at)).count() as u64)
}

/// Times are only for information; none is judged.
fn times(rows: &mut Rows, judgement: &Judgement, reference: &Judgement) {
    let ms = |figure: u64| format!("{} ms", grouped(figure));
    if !judgement.windows.iter().all(|w| ["quiet", "run"].contains(&w.name.as_str())) {
        let gap = ms(judgement.figures.longest_gap_ms);
        let ideal = ms(reference.figures.longest_gap_ms);
        rows.add("longest wait for an async event, nested", gap, none(), ideal);
    }
    if judgement.tallies.iter().any(|(kind, _)| *kind == Kind::Timer) {
        let us = |figure: i64| {
            let sign = if figure < 0 { "-" } else { "" };
            match figure.unsigned_abs() {
                us @ 0..10_000 => format!("{sign}{us} us"),
                us => format!("{sign}{} ms", grouped(us / 1000)),
            }
        };
        let late = us(judgement.figures.timer_late_us);
        rows.add("async timers late, median", late, none(), "0 us".into());
        let early = us(judgement.figures.timer_early_us);
        rows.add("async timers early, at most", early, none(), "0 us".into());
    }
}
