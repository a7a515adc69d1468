//! A strip of time: a column is a stretch of milliseconds, a row is a side.
//!
//! It judges nothing: the judgement says what became of every event.

use std::collections::BTreeSet;
use std::time::Duration;

use loopnest_core::program::Side;
use loopnest_core::trace::{End, Trace, What};
use loopnest_core::verdict::{Delivery, Fate, Judgement, Unjudged};

/// Columns of the rows' names, with the blanks around them.
const NAMES: usize = 7;

/// Columns between two figures of the scale.
const SCALE: usize = 10;

/// Draws both runs.
pub(super) fn strip(judgement: &Judgement, ideal: &Trace, real: &Trace, width: usize) -> String {
    // The last figure of the scale has room too.
    let columns = width.saturating_sub(NAMES).max(SCALE) / SCALE * SCALE;
    let step = step(ideal, real, columns);
    let mut sketch = Sketch { step, columns, rows: Vec::new(), used: Vec::new() };
    sketch.scale(end(ideal, real));
    for (name, side) in [("glib", Side::Glib), ("async", Side::Async)] {
        let cells = sketch.side(real, side);
        sketch.row(name, &cells);
    }
    let due = sketch.due(&judgement.deliveries, real, end(ideal, real));
    sketch.row("due", &due);
    if let Some(marks) = sketch.marks(real) {
        sketch.row("mark", &marks);
    }
    sketch.legend();
    sketch.rows.join("\n")
}

/// The last moment drawn.
fn end(ideal: &Trace, real: &Trace) -> Duration {
    let last = |trace: &Trace| trace.events.last().map_or(Duration::ZERO, |e| e.at);
    // What is due after a run was cut short is of no interest.
    match real.end {
        End::Finished => last(real).max(last(ideal)),
        _ => last(real),
    }
}

/// How long a column is: a round number of milliseconds.
fn step(ideal: &Trace, real: &Trace, columns: usize) -> u64 {
    let needed = (end(ideal, real).as_millis() as u64).div_ceil(columns as u64 - 1).max(1);
    let mut unit = 1;
    loop {
        for factor in [1, 2, 5] {
            if unit * factor >= needed {
                return unit * factor;
            }
        }
        unit *= 10;
    }
}

struct Sketch {
    step: u64,
    /// Columns of the strip itself.
    columns: usize,
    rows: Vec<String>,
    used: Vec<char>,
}

impl Sketch {
    fn column(&self, at: Duration) -> usize {
        ((at.as_millis() as u64 / self.step) as usize).min(self.columns - 1)
    }

    fn row(&mut self, name: &str, cells: &[char]) {
        self.used.extend(cells);
        let text: String = cells.iter().collect();
        let line = format!("{name:>5}  {text}");
        self.rows.push(line.trim_end().to_owned());
    }

    /// The milliseconds, a figure every ten columns.
    fn scale(&mut self, end: Duration) {
        let last = self.column(end);
        let (mut figures, mut ruler) = (String::new(), String::new());
        for column in (0..=last).step_by(SCALE) {
            figures.push_str(&format!("{:<SCALE$}", column as u64 * self.step));
            ruler.push_str(&format!("{:-<SCALE$}", '|'));
        }
        ruler.truncate(last + 1);
        let figures = format!("{:>5}  {}", "ms", figures.trim_end());
        self.rows.push(figures);
        self.rows.push(format!("{:NAMES$}{ruler}", ""));
    }

    /// What a side did, and the windows.
    fn side(&self, real: &Trace, side: Side) -> Vec<char> {
        let last = self.column(real.events.last().map_or(Duration::ZERO, |e| e.at));
        let mut cells = vec!['.'; last + 1];
        for window in nested(real) {
            let (open, close) = self.columns(&window, last);
            cells[open..=close].fill('-');
        }
        for event in &real.events {
            if matches!(event.what, What::Reached(key) if key.kind.side() == side) {
                cells[self.column(event.at)] = '#';
            }
        }
        for event in &real.events {
            let sign = match event.what {
                What::Open(_) => '[',
                What::Close(_) => ']',
                What::QuietBegin => '(',
                What::QuietEnd => ')',
                _ => continue,
            };
            cells[self.column(event.at)] = sign;
        }
        cells
    }

    fn columns(&self, window: &Window, last: usize) -> (usize, usize) {
        let close = window.close.map_or(last, |at| self.column(at));
        (self.column(window.open), close.min(last))
    }

    /// What the ideal run delivers, and what became of it.
    fn due(&self, deliveries: &[Delivery], real: &Trace, end: Duration) -> Vec<char> {
        let mut cells = vec![' '; self.column(end) + 1];
        let came: BTreeSet<_> = real.reached().map(|(_, key)| key).collect();
        for delivery in deliveries.iter().filter(|delivery| delivery.due <= end) {
            let sign = match delivery.fate {
                Fate::NotJudged(Unjudged::CouldNotRun) => '?',
                Fate::NotJudged(_) if !came.contains(&delivery.key) => continue,
                fate if fate.is_failure() => 'x',
                _ => 'o',
            };
            let Some(cell) = cells.get_mut(self.column(delivery.due)) else { continue };
            // The worst of a column.
            let rank = |sign: char| " o?x".find(sign);
            if rank(sign) > rank(*cell) {
                *cell = sign;
            }
        }
        cells
    }

    /// Whatever is neither a delivery nor a window.
    fn marks(&self, real: &Trace) -> Option<Vec<char>> {
        let mut cells = vec![' '; self.columns];
        let mut any = false;
        for event in &real.events {
            let sign = match event.what {
                What::PokeBegin(_) => 'P',
                What::Panicked => '!',
                What::Refused(_) => 'R',
                _ => continue,
            };
            cells[self.column(event.at)] = sign;
            any = true;
        }
        any.then_some(cells)
    }

    /// The signs that were used.
    fn legend(&mut self) {
        let signs = [
            ('#', "# event"),
            ('[', "[ ] nested loop"),
            ('-', "- nothing in it"),
            ('(', "( ) quiet window"),
            ('o', "o due, came"),
            ('x', "x due, did not come in time"),
            ('?', "? due, could not run in time"),
            ('P', "P poke"),
            ('!', "! panic"),
            ('R', "R refused"),
        ];
        let used = signs.iter().filter(|(sign, _)| self.used.contains(sign));
        let mut line = " ".repeat(NAMES - 2);
        for (_, text) in used {
            if line.len() + text.len() + 2 > NAMES + self.columns {
                self.rows.push(std::mem::replace(&mut line, " ".repeat(NAMES - 2)));
            }
            line.push_str("  ");
            line.push_str(text);
        }
        self.rows.push(line.trim_end().to_owned());
    }
}

/// A nested loop of a run.
pub(super) struct Window {
    /// Its level.
    pub(super) level: u16,
    /// When it was opened.
    pub(super) open: Duration,
    /// When it was closed, if it was.
    pub(super) close: Option<Duration>,
}

/// The nested loops of a run, in the order of their opening.
pub(super) fn nested(trace: &Trace) -> Vec<Window> {
    let close = |level| trace.find(What::Close(level)).map(|i| trace.events[i].at);
    trace
        .events
        .iter()
        .filter_map(|event| match event.what {
            What::Open(level) => Some(Window { level, open: event.at, close: close(level) }),
            _ => None,
        })
        .collect()
}
