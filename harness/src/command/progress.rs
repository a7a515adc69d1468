//! Progress on stderr: a bar, or lines.

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::say;
use crate::cli::ProgressKind;
use crate::matrix::Progress;
use crate::search::{News, n_steps};
use crate::text::plural;

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

/// The progress of a matrix: a bar of cells that names the slowest, or a line for each cell.
pub(super) struct OfCells {
    meter: Meter,
    running: Arc<Running>,
}

impl OfCells {
    pub(super) fn new(kind: ProgressKind, n: u64) -> Self {
        let (meter, running) = (Meter::new(kind, n), Arc::new(Running::default()));
        meter.on_bar(|bar| {
            let (bar, running) = (bar.clone(), Arc::downgrade(&running));
            thread::spawn(move || name_slowest(&bar, &running));
        });
        Self { meter, running }
    }

    pub(super) fn finish(&self) {
        self.meter.finish();
    }
}

impl Progress for OfCells {
    fn begin(&self, id: &str) {
        self.running.begin(id);
    }

    fn end(&self, id: &str, verdict: &str) {
        self.running.end(id);
        self.meter.on_bar(|bar| bar.inc(1));
        self.meter.line(&format!("{id} {verdict}"));
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
            let template = "{bar:24} {pos}/{len} {elapsed} {wide_msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("##-"));
            }
            bar.enable_steady_tick(REDRAW);
            bar
        });
        Self { bar, plain: kind == ProgressKind::Plain }
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
