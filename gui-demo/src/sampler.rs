//! Five times a second: the charts, the status line, and the frames that GTK cannot draw.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use gtk4::glib::{ControlFlow, SourceId};

use crate::charts::short;
use crate::frames::process_time;
use crate::meters::Meters;
use crate::report::Stretch;
use crate::timer;
use crate::window::MainWindow;

/// Samples between two updates of the status line. Each update makes GTK lay out the window again.
const STATUS_EVERY: u32 = 5;

/// After this many samples without a frame, we raise the one that is due.
const STARVED_SAMPLES: u32 = 2;

/// Where even that draws nothing, we close the dialogs after this many samples: the user cannot see
/// what to press.
const BLIND_SAMPLES: u32 = 40;

/// Takes samples while there is something to show.
pub struct Sampler {
    meters: Rc<Meters>,
    ui: Rc<MainWindow>,
    /// Called for each sample; `false` when no other is needed.
    each: Box<dyn Fn() -> bool>,
    timer: RefCell<Option<SourceId>>,
    last: Cell<Reading>,
    status: Cell<Reading>,
    n: Cell<u32>,
    starved: Cell<u32>,
    blind: Cell<u32>,
}

/// The state of the window when a sample is taken.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// The charts are paused.
    pub paused: bool,
    /// A dialog is open.
    pub in_dialog: bool,
    /// Async tasks are running.
    pub active: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    stretch: Stretch,
    cpu: Duration,
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampler").field("n", &self.n).finish_non_exhaustive()
    }
}

impl Sampler {
    /// Time between two samples.
    const EVERY: Duration = Duration::from_millis(200);

    /// Shows the counters of `meters`. Calls `each` for every sample; it returns whether to take
    /// another.
    pub fn new(
        meters: &Rc<Meters>,
        ui: &Rc<MainWindow>,
        each: impl Fn() -> bool + 'static,
    ) -> Rc<Self> {
        Rc::new(Self {
            meters: meters.clone(),
            ui: ui.clone(),
            each: Box::new(each),
            timer: RefCell::default(),
            last: Cell::default(),
            status: Cell::default(),
            n: Cell::new(0),
            starved: Cell::new(0),
            blind: Cell::new(0),
        })
    }

    /// Takes samples until no other is needed. Does nothing if it is doing so already.
    pub fn keep_going(self: &Rc<Self>) {
        if self.timer.borrow().is_some() {
            return;
        }
        self.begin();
        let sampler = Rc::downgrade(self);
        let sample = move || {
            let Some(sampler) = sampler.upgrade() else { return ControlFlow::Break };
            if (sampler.each)() {
                return ControlFlow::Continue;
            }
            sampler.timer.replace(None);
            ControlFlow::Break
        };
        self.timer.replace(Some(timer::every(Self::EVERY, sample)));
    }

    /// Stops taking samples.
    pub fn stop(&self) {
        if let Some(timer) = self.timer.take() {
            timer.remove();
        }
    }

    /// Takes a sample.
    pub fn sample(&self, scene: Scene) {
        let Meters { log, frames, .. } = &*self.meters;
        let Scene { paused, in_dialog, active } = scene;
        log.charts_are_at_work(0);
        let now = Reading { stretch: self.meters.stretch(), cpu: process_time() };
        let last = self.last.replace(now);
        let n = self.n.get();
        self.n.set(n.wrapping_add(1));
        if n == 0 {
            self.status.set(now);
            return;
        }
        let part = Stretch::between(last.stretch, now.stretch);
        if !paused {
            let per_second = |n: u64| n as f64 / part.seconds;
            let gap = log.take_gap().map(|gap| gap.as_secs_f64() * 1000.0);
            let cpu = (now.cpu - last.cpu).as_secs_f64() / part.seconds * 100.0;
            let [gaps, iterations, processor, drawn] = &self.ui.charts;
            gaps.push(gap, in_dialog);
            iterations.push(Some(per_second(part.iterations)), in_dialog);
            processor.push(Some(cpu), in_dialog);
            drawn.push(active.then(|| per_second(part.frames)), in_dialog);
            frames.charts_changed();
        } else if in_dialog {
            // Perhaps nothing else asks for a frame; then its absence would prove nothing.
            frames.ask(&self.ui.window);
        }
        self.raise_if_starved(part, in_dialog);
        if n.is_multiple_of(STATUS_EVERY) {
            self.show_status(now);
        }
    }

    /// Whether to give up: true once, after nothing could be drawn for long.
    pub fn is_blind(&self) -> bool {
        self.blind.get() == BLIND_SAMPLES
    }

    /// Starts afresh: the next sample is not compared with one from before a pause.
    fn begin(&self) {
        self.n.set(0);
        self.starved.set(0);
        self.blind.set(0);
    }

    /// Raises the frames that are due where GTK draws none. In a dialog each sample asks for a frame,
    /// so none at all means that GTK's source is starved.
    fn raise_if_starved(&self, part: Stretch, in_dialog: bool) {
        if part.frames > 0 || !in_dialog {
            self.starved.set(0);
            self.blind.set(0);
            return;
        }
        self.starved.set(self.starved.get() + 1);
        if part.frames_raised > 0 {
            self.blind.set(0);
        } else if self.starved.get() > STARVED_SAMPLES {
            self.blind.set(self.blind.get() + 1);
        }
        if self.starved.get() >= STARVED_SAMPLES {
            self.meters.frames.raise(&self.ui.window);
        }
    }

    fn show_status(&self, now: Reading) {
        let part = Stretch::between(self.status.replace(now).stretch, now.stretch);
        let chart_share = part.chart_seconds / part.seconds * 100.0;
        let own = (part.iterations - part.chart_iterations) as f64 / part.seconds;
        let charts = part.chart_iterations as f64 / part.seconds;
        let mut text = format!(
            "iterations: {} /s, plus {} /s for the charts, which take {chart_share:.1} % of a processor",
            short(own),
            short(charts),
        );
        if part.frames_raised > 0 {
            text.push_str("; GTK draws no frames by itself");
        }
        if part.task_steps > 0 {
            let steps = short(part.task_steps as f64 / part.seconds);
            text.push_str(&format!("; {steps} task steps /s"));
        }
        self.ui.set_status(&text);
        self.ui.charts.iter().for_each(|chart| chart.describe());
    }
}
