//! Progress on stderr: a bar, or lines.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::output::say;
use crate::cli::ProgressKind;
use crate::counterexample;
use crate::expect::Expectations;
use crate::matrix::Progress;
use crate::search::{News, n_steps};
use crate::text::{duration, plural};

/// How often a bar is redrawn while nothing changes.
const REDRAW: Duration = Duration::from_millis(200);

/// The progress of a search: a bar of programs, or a line for each find.
pub(super) struct OfSearch(Meter);

impl OfSearch {
    pub(super) fn new(kind: ProgressKind, cases: u32) -> Self {
        Self(Meter::new(kind, u64::from(cases)))
    }

    pub(super) fn tell(&self, news: News<'_>) {
        match news {
            News::Tried(n) => self.0.on_bar(|bar| bar.set_position(u64::from(n))),
            News::Found(find) => {
                let steps = plural(n_steps(&find.program) as u64, "step");
                let line = format!("program {}: {}, {steps}", find.case, find.judgement.text());
                self.0.on_bar(|bar| bar.set_message(line.clone()));
                self.0.line(&line);
            }
        }
    }

    pub(super) fn finish(&self) {
        self.0.finish();
    }
}

/// The progress of cells: a bar that names the slowest, or a line for each run. Above the bar is a
/// line for each run that needs a look.
pub(super) struct OfCells<'a> {
    meter: Meter,
    running: Arc<Running>,
    expectations: Option<&'a Expectations>,
    done: AtomicU64,
    /// Cells are run again, each by itself.
    again: AtomicBool,
}

impl<'a> OfCells<'a> {
    /// For `n` runs. Without expectations, every bad verdict needs a look.
    pub(super) fn new(kind: ProgressKind, n: u64, expectations: Option<&'a Expectations>) -> Self {
        let (meter, running) = (Meter::new(kind, n), Arc::new(Running::default()));
        meter.on_bar(|bar| {
            let (bar, running) = (bar.clone(), Arc::downgrade(&running));
            thread::spawn(move || name_slowest(&bar, &running));
        });
        Self {
            meter,
            running,
            expectations,
            done: AtomicU64::new(0),
            again: AtomicBool::new(false),
        }
    }

    pub(super) fn finish(&self) {
        self.meter.finish();
    }

    /// What to say of a verdict beside itself, if it needs a look.
    fn remark(&self, id: &str, verdict: &str) -> Option<String> {
        let found = counterexample::words(verdict).ok()?;
        let expected = id
            .split_once('/')
            .and_then(|(strategy, scenario)| self.expectations?.get(strategy, scenario));
        match expected {
            Some(words) if words == found => None,
            Some(words) => Some(format!(", expected {}", counterexample::text(words))),
            None => found.iter().any(|word| word.is_bad()).then(String::new),
        }
    }
}

impl Progress for OfCells<'_> {
    fn again(&self, n: usize) {
        if n > 0 {
            self.again.store(true, Ordering::Relaxed);
            let line = format!("{} to run again, each by itself", plural(n as u64, "cell"));
            self.meter.on_bar(|bar| bar.println(line.clone()));
            self.meter.line(&line);
        }
    }

    fn begin(&self, id: &str) {
        self.running.begin(id);
    }

    fn end(&self, id: &str, verdict: &str) {
        self.running.end(id);
        let remark = self.remark(id, verdict);
        if self.again.load(Ordering::Relaxed) {
            let remark = remark.unwrap_or_default();
            self.meter.on_bar(|bar| bar.println(format!("{id} {verdict}{remark}, by itself")));
            self.meter.line(&format!("{id} {verdict}{remark}  by itself"));
            return;
        }
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.meter.on_bar(|bar| {
            bar.inc(1);
            if let Some(remark) = &remark {
                bar.println(format!("{id} {verdict}{remark}"));
            }
        });
        let remark = remark.unwrap_or_default();
        self.meter.line(&format!("{id} {verdict}{remark}  {}", self.meter.place(done)));
    }
}

/// Ages must grow even while no cell ends: a stuck cell should show while it is stuck.
fn name_slowest(bar: &ProgressBar, running: &Weak<Running>) {
    while let Some(running) = running.upgrade() {
        if let Some((id, age)) = running.slowest() {
            bar.set_message(format!("slowest {id} {:.1} s", age.as_secs_f32()));
        }
        drop(running);
        thread::sleep(REDRAW);
    }
}

/// A bar, lines, or neither, as the user wants.
struct Meter {
    bar: Option<ProgressBar>,
    plain: bool,
    n: u64,
    begun: Instant,
}

impl Meter {
    fn new(kind: ProgressKind, n: u64) -> Self {
        let wanted = match kind {
            ProgressKind::Auto => io::stderr().is_terminal(),
            ProgressKind::Bar => true,
            ProgressKind::Plain | ProgressKind::None => false,
        };
        let bar = wanted.then(|| {
            let bar = ProgressBar::with_draw_target(Some(n), ProgressDrawTarget::stderr());
            let template = "{bar:24} {pos}/{len}{left} {wide_msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("##-").with_key("left", left));
            }
            bar.enable_steady_tick(REDRAW);
            bar
        });
        Self { bar, plain: kind == ProgressKind::Plain, n, begun: Instant::now() }
    }

    /// How far it is, and how long the rest will take if it goes on like this.
    fn place(&self, done: u64) -> String {
        let left = self.n.saturating_sub(done);
        let rest = self.begun.elapsed().mul_f64(left as f64 / done.max(1) as f64);
        match left {
            0 => format!("{done}/{}", self.n),
            _ => format!("{done}/{}, {} left", self.n, duration(rest)),
        }
    }

    /// Changes the bar, if there is one.
    fn on_bar(&self, change: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = &self.bar {
            change(bar);
        }
    }

    /// Prints a line, if lines are wanted.
    fn line(&self, line: &str) {
        if self.plain {
            say(line);
        }
    }

    fn finish(&self) {
        self.on_bar(ProgressBar::finish_and_clear);
    }
}

/// The time that is left, as soon as there is something to tell it from.
fn left(state: &ProgressState, text: &mut dyn fmt::Write) {
    if state.pos() > 0 {
        // A bar that cannot be written is a matter of its own.
        let _ = write!(text, ", {} left", duration(state.eta()));
    }
}

/// How long the current cells have been running.
#[derive(Default)]
struct Running(Mutex<Vec<(String, Instant)>>);

impl Running {
    fn begin(&self, id: &str) {
        self.lock().push((id.to_owned(), Instant::now()));
    }

    fn end(&self, id: &str) {
        let mut running = self.lock();
        if let Some(index) = running.iter().position(|(name, _)| name == id) {
            running.remove(index);
        }
    }

    /// The cell that has been running longest, and for how long.
    fn slowest(&self) -> Option<(String, Duration)> {
        let running = self.lock();
        let (id, begun) = running.iter().min_by_key(|(_, begun)| *begun)?;
        Some((id.clone(), begun.elapsed()))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(String, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;

    #[test]
    fn a_run_needs_a_look_if_it_is_unexpected_or_bad_where_nothing_is_expected() {
        let file = "[nested]\nidle = \"stall\"\n";
        let expectations =
            Expectations::parse(file, "expected.toml", &Registry::default()).unwrap();
        let some = OfCells::new(ProgressKind::None, 4, Some(&expectations));
        assert_eq!(some.remark("nested/idle", "stall"), None);
        let remark = some.remark("nested/idle", "progress");
        assert_eq!(remark.as_deref(), Some(", expected stall"));
        assert_eq!(some.remark("nested/ticker", "progress"), None);
        assert_eq!(some.remark("nested/ticker", "lost+busy-loop").as_deref(), Some(""));
        let none = OfCells::new(ProgressKind::None, 4, None);
        assert_eq!(none.remark("nested/idle", "stall").as_deref(), Some(""));
        assert_eq!(none.remark("nested/idle", "refused"), None);
    }

    #[test]
    fn the_last_run_has_nothing_left() {
        let meter = Meter::new(ProgressKind::Plain, 3);
        assert_eq!(meter.place(3), "3/3");
        assert!(meter.place(1).starts_with("1/3, "), "{}", meter.place(1));
    }
}
