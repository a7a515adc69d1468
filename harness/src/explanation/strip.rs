//! A strip of time: a column is a stretch of milliseconds, a row is a side.
//!
//! What it judges, it judges by order: `x` marks what was due in a nested loop and not delivered
//! before that loop closed, however long that took.

use std::time::Duration;

use loopnest_core::classify::MARGIN;
use loopnest_core::program::{Program, Side};
use loopnest_core::trace::{End, Event, Key, Trace, What};

/// Columns of the strip itself.
const COLUMNS: usize = 70;

/// Columns of the rows' names, with the blanks around them.
const NAMES: usize = 7;

/// Columns between two figures of the scale.
const SCALE: usize = 10;

/// Draws both runs.
pub(super) fn strip(program: &Program, ideal: &Trace, real: &Trace) -> String {
    let step = step(ideal, real);
    let mut sketch = Sketch { step, rows: Vec::new(), used: Vec::new() };
    sketch.scale(end(ideal, real));
    for (name, side) in [("glib", Side::Glib), ("async", Side::Async)] {
        let cells = sketch.side(real, side);
        sketch.row(name, &cells);
    }
    let due = sketch.due(program, ideal, real);
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
fn step(ideal: &Trace, real: &Trace) -> u64 {
    let needed = (end(ideal, real).as_millis() as u64).div_ceil(COLUMNS as u64 - 1).max(1);
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
    rows: Vec<String>,
    used: Vec<char>,
}

impl Sketch {
    fn column(&self, at: Duration) -> usize {
        ((at.as_millis() as u64 / self.step) as usize).min(COLUMNS - 1)
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
    fn due(&self, program: &Program, ideal: &Trace, real: &Trace) -> Vec<char> {
        let end = end(ideal, real);
        let mut cells = vec![' '; self.column(end) + 1];
        // If a run was cut short, what was due in its last moment means nothing.
        let shown = |event: &&Event| event.at < end || real.end == End::Finished;
        for event in ideal.events.iter().filter(shown) {
            let What::Reached(key) = event.what else { continue };
            let Some(cell) = cells.get_mut(self.column(event.at)) else { continue };
            if *cell != 'x' {
                *cell = if came(program, ideal, real, event, key) { 'o' } else { 'x' };
            }
        }
        cells
    }

    /// Whatever is neither a delivery nor a window.
    fn marks(&self, real: &Trace) -> Option<Vec<char>> {
        let mut cells = vec![' '; COLUMNS];
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
            ('P', "P poke"),
            ('!', "! panic"),
            ('R', "R refused"),
        ];
        let used = signs.iter().filter(|(sign, _)| self.used.contains(sign));
        let mut line = " ".repeat(NAMES - 2);
        for (_, text) in used {
            if line.len() + text.len() + 2 > NAMES + COLUMNS {
                self.rows.push(std::mem::replace(&mut line, " ".repeat(NAMES - 2)));
            }
            line.push_str("  ");
            line.push_str(text);
        }
        self.rows.push(line.trim_end().to_owned());
    }
}

/// Whether an event came, and before the nested loop that it was due in closed.
fn came(program: &Program, ideal: &Trace, real: &Trace, due: &Event, key: Key) -> bool {
    let Some(at) = real.position(key) else { return false };
    if cured(real, due, at) {
        return false;
    }
    let mut inside: Option<(Duration, u16)> = None;
    for level in 0..program.levels().len() as u16 {
        let time = |what| ideal.find(what).map(|i| ideal.events[i].at);
        let Some(open) = time(What::Open(level)) else { continue };
        let close = time(What::Close(level)).unwrap_or(Duration::MAX);
        let innermost = inside.is_none_or(|(since, _)| open > since);
        if due.at > open && due.at.saturating_add(MARGIN) <= close && innermost {
            inside = Some((open, level));
        }
    }
    match inside.and_then(|(_, level)| real.find(What::Close(level))) {
        Some(close) => at < close,
        None => true,
    }
}

/// Whether an event, at index `at` of the real run, was overdue and came only with a poke.
pub(super) fn cured(real: &Trace, due: &Event, at: usize) -> bool {
    let mut before = real.events[..at].iter().rev();
    let last = before
        .find(|event| matches!(event.what, What::PokeBegin(_) | What::PokeEnd(_) | What::Close(_)));
    last.is_some_and(|event| {
        matches!(event.what, What::PokeBegin(_)) && event.at >= due.at + MARGIN
    })
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
