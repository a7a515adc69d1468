//! What the window counted, written as JSON when it ends. Tests and benchmarks read it.

use std::cell::{Cell, RefCell};
use std::io;
use std::path::Path;
use std::time::Duration;

use loopnest_core::Word;
use serde::{Deserialize, Serialize};

/// The report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The strategy.
    pub strategy: String,
    /// Counted over the whole run.
    pub run: Stretch,
    /// Counted over the second half of `--exit-after`, when the window has settled.
    pub settled: Option<Stretch>,
    /// The nested loops, in the order in which they closed.
    pub dialogs: Vec<DialogReport>,
    /// The final verdicts, and the last live one of a dialog that was still open.
    pub verdicts: Vec<Verdict>,
}

/// Counters over a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stretch {
    /// Seconds.
    pub seconds: f64,
    /// Iterations of the GLib context.
    pub iterations: u64,
    /// Those of them that the charts caused.
    pub chart_iterations: u64,
    /// Async ticks.
    pub async_ticks: u64,
    /// Answers of the echo server.
    pub echoes: u64,
    /// Answers of the session bus.
    pub answers: u64,
    /// Steps of the many tasks.
    pub task_steps: u64,
    /// Frames that GTK drew by itself.
    pub frames: u64,
    /// Frames that GTK drew only because their source was raised.
    pub frames_raised: u64,
    /// Processor time of the frames with charts in them, in seconds.
    pub chart_seconds: f64,
}

/// One nested loop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DialogReport {
    /// Its name.
    pub level: String,
    /// How it ended.
    pub outcome: String,
    /// Counted while it was open.
    pub inside: Stretch,
}

/// A verdict with its reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Which episode it belongs to.
    pub episode: u64,
    /// Whether the run was still going on.
    pub live: bool,
    /// Up to when the run was judged. Only the window asks.
    #[serde(skip)]
    pub until: Duration,
    /// The words, worst first.
    pub words: Vec<Word>,
    /// Why, with the figures that prove it.
    pub reason: String,
    /// The rule that recognised the cause; METHODOLOGY.md describes it.
    pub rule: String,
    /// The cause in a few words.
    pub cause: String,
    /// What to try; empty if nothing is wrong.
    pub advice: String,
    /// How many of the due events have not come yet.
    pub owed: usize,
}

impl Stretch {
    /// From one reading of the counters to a later one.
    pub fn between(from: Self, to: Self) -> Self {
        Self {
            seconds: to.seconds - from.seconds,
            iterations: to.iterations - from.iterations,
            chart_iterations: to.chart_iterations - from.chart_iterations,
            async_ticks: to.async_ticks - from.async_ticks,
            echoes: to.echoes - from.echoes,
            answers: to.answers - from.answers,
            // The tasks may have been stopped and started again.
            task_steps: to.task_steps.saturating_sub(from.task_steps),
            frames: to.frames - from.frames,
            frames_raised: to.frames_raised - from.frames_raised,
            chart_seconds: to.chart_seconds - from.chart_seconds,
        }
    }

    /// Iterations per second without those that the charts caused.
    pub fn own_iterations_per_second(&self) -> f64 {
        (self.iterations - self.chart_iterations) as f64 / self.seconds
    }
}

impl Verdict {
    /// The words in one string, worst first.
    pub fn text(&self) -> String {
        self.words.iter().map(|word| word.name()).collect::<Vec<_>>().join(" + ")
    }

    /// Whether an application would suffer.
    pub fn is_bad(&self) -> bool {
        self.words.iter().any(|word| word.is_bad())
    }
}

/// The report while the program runs.
#[derive(Debug)]
pub struct Draft {
    report: RefCell<Report>,
    /// The verdict on the dialogs that are still open.
    so_far: RefCell<Option<Verdict>>,
    half: Cell<Option<Stretch>>,
}

impl Draft {
    /// An empty one.
    pub fn new(strategy: &str) -> Self {
        let report = Report { strategy: strategy.to_owned(), ..Report::default() };
        Self { report: RefCell::new(report), so_far: RefCell::default(), half: Cell::default() }
    }

    /// Adds a nested loop that has closed.
    pub fn add_dialog(&self, dialog: DialogReport) {
        self.report.borrow_mut().dialogs.push(dialog);
    }

    /// Keeps a verdict that is not final.
    pub fn set_so_far(&self, verdict: Verdict) {
        self.so_far.replace(Some(verdict));
    }

    /// Adds a final verdict.
    pub fn conclude(&self, verdict: Verdict) {
        self.so_far.replace(None);
        self.report.borrow_mut().verdicts.push(verdict);
    }

    /// Keeps the counters at half of `--exit-after`.
    pub fn half_time(&self, now: Stretch) {
        self.half.set(Some(now));
    }

    /// Completes the report with the last counters and writes it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, now: Stretch, file: &Path) -> io::Result<()> {
        let mut report = self.report.borrow_mut();
        report.run = now;
        report.verdicts.extend(self.so_far.take());
        report.settled = self.half.get().map(|half| Stretch::between(half, now));
        let json = serde_json::to_string_pretty(&*report).unwrap_or_default();
        std::fs::write(file, json)
    }
}
