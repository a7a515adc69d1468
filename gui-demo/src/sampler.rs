//! Five times a second: the charts, the line at the foot, and the drawing by hand.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::charts::short;
use crate::demo::Demo;
use crate::frames::{Frames, process_time};
use crate::log::Log;
use crate::report::Stretch;

/// Samples between two lines at the foot: each lays the window out anew.
const STATUS_EVERY: u32 = 5;

/// After this many samples without a frame, one is drawn by hand.
const STARVED_SAMPLES: u32 = 2;

/// A dialog that GTK cannot draw, on a display where we cannot either, is closed after this many
/// samples: nobody can see what to press.
const BLIND_SAMPLES: u32 = 40;

/// What was read last.
#[derive(Debug)]
pub struct Sampler {
    log: Arc<Log>,
    frames: Rc<Frames>,
    last: Cell<Reading>,
    status: Cell<Reading>,
    n: Cell<u32>,
    starved: Cell<u32>,
    blind: Cell<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    stretch: Stretch,
    cpu: Duration,
}

impl Sampler {
    /// Time between two samples.
    pub const EVERY: Duration = Duration::from_millis(200);

    /// Reads these.
    pub fn new(log: &Arc<Log>, frames: &Rc<Frames>) -> Self {
        Self {
            log: log.clone(),
            frames: frames.clone(),
            last: Cell::default(),
            status: Cell::default(),
            n: Cell::new(0),
            starved: Cell::new(0),
            blind: Cell::new(0),
        }
    }

    /// What comes now is not compared with what was before a pause.
    pub fn begin(&self) {
        self.n.set(0);
        self.starved.set(0);
        self.blind.set(0);
    }

    /// Takes a sample.
    pub fn sample(&self, demo: &Demo, paused: bool, in_dialog: bool) {
        self.log.charts_are_at_work(0);
        let now = Reading { stretch: demo.stretch(), cpu: process_time() };
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
            let gap = self.log.take_gap().map(|gap| gap.as_secs_f64() * 1000.0);
            let cpu = (now.cpu - last.cpu).as_secs_f64() / part.seconds * 100.0;
            let [gaps, iterations, processor, frames] = &demo.ui.charts;
            gaps.push(gap, in_dialog);
            iterations.push(Some(per_second(part.iterations)), in_dialog);
            processor.push(Some(cpu), in_dialog);
            frames.push(demo.is_active().then(|| per_second(part.frames)), in_dialog);
            self.frames.charts_changed();
        } else if in_dialog {
            // Nobody else need want one, and then none would say nothing.
            self.frames.ask(&demo.ui.window);
        }
        self.draw_if_starved(part.frames, in_dialog);
        if n.is_multiple_of(STATUS_EVERY) {
            self.show_status(demo, now);
        }
    }

    /// Whether it is time to give up: once, when nothing could be drawn for long.
    pub fn is_blind(&self) -> bool {
        self.blind.get() == BLIND_SAMPLES
    }

    /// In a dialog each sample asks for a frame, so none at all means that GTK's idle source is not
    /// let in.
    fn draw_if_starved(&self, frames: u64, in_dialog: bool) {
        if frames > 0 || !in_dialog {
            self.starved.set(0);
            self.blind.set(0);
            return;
        }
        self.starved.set(self.starved.get() + 1);
        if self.starved.get() >= STARVED_SAMPLES && !self.frames.draw_by_hand() {
            self.blind.set(self.blind.get() + 1);
        }
    }

    fn show_status(&self, demo: &Demo, now: Reading) {
        let part = Stretch::between(self.status.replace(now).stretch, now.stretch);
        let chart_share = part.chart_seconds / part.seconds * 100.0;
        let own = (part.iterations - part.chart_iterations) as f64 / part.seconds;
        let charts = part.chart_iterations as f64 / part.seconds;
        let mut text = format!(
            "iterations: {} /s and {} /s for the charts, which take {chart_share:.1} % of a processor",
            short(own),
            short(charts),
        );
        if part.frames_by_hand > 0 {
            text.push_str("; GTK draws no frames, this is drawn by hand");
        }
        if part.task_steps > 0 {
            let steps = short(part.task_steps as f64 / part.seconds);
            text.push_str(&format!("; {steps} task steps /s"));
        }
        demo.ui.set_status(&text);
        demo.ui.charts.iter().for_each(|chart| chart.describe());
    }
}
