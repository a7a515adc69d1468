//! Plays a scenario of the matrix in the window.
//!
//! The interpreter is `core`'s, and the loops are the strategy's, with a window for each nested one
//! ([`window_loops`](crate::window_loops)). So you can watch what the harness measures without a
//! display.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use loopnest_core::Program;
use loopnest_core::interp::Run;
use loopnest_core::loops::Loops;
use loopnest_core::model::ideal;
use loopnest_core::program::{ActorKind, Side, Step};
use loopnest_core::trace::{End, Event, Meter, Recorder, Trace, What};

use crate::case::Case;
use crate::log::Log;
use crate::window::MainWindow;
use crate::window_loops::WindowLoops;

/// A scenario that has not ended this long after it should have never will.
const PATIENCE: Duration = Duration::from_secs(8);

/// How many times slower than in the matrix a scenario is played.
const SLOWER: u64 = 4;

/// A scenario being played.
#[derive(Debug)]
pub struct Play {
    program: Arc<Program>,
    tape: Arc<Tape>,
    /// When it should have ended.
    due: Duration,
    asked: AtomicBool,
    levels: Arc<WindowLoops>,
    _run: Run,
}

impl Drop for Play {
    /// Closes the dialogs of an abandoned scenario, which the user cannot close.
    fn drop(&mut self) {
        self.program.levels().iter().for_each(|level| self.levels.quit(level));
    }
}

impl Play {
    /// Starts a scenario.
    ///
    /// # Errors
    /// When a pipe of the program cannot be made.
    pub fn start(
        program: Program,
        loops: &Arc<dyn Loops>,
        log: &Arc<Log>,
        ui: &Rc<MainWindow>,
    ) -> anyhow::Result<Self> {
        let program = Arc::new(slowed(program));
        let ideal = ideal(&program);
        let due = ideal.events.last().map_or(Duration::ZERO, |event| event.at);
        let tape = Arc::new(Tape {
            log: log.clone(),
            base: log.meter(false),
            depth: AtomicU16::new(0),
            written: Mutex::default(),
        });
        let levels = Arc::new(WindowLoops::new(loops, ui));
        let run = Run::new(program.clone(), levels.clone(), tape.clone())
            .context("cannot make a pipe for the program")?;
        run.start();
        let (due, asked) = (log.now() + due, AtomicBool::new(false));
        Ok(Self { program, tape, due, asked, levels, _run: run })
    }

    /// The scenario's name.
    pub fn name(&self) -> &str {
        &self.program.name
    }

    /// Whether a nested loop is open.
    pub fn is_in_dialog(&self) -> bool {
        self.tape.depth.load(Relaxed) > 0
    }

    /// Whether it has run to its end.
    pub fn is_done(&self) -> bool {
        self.tape.written().events.iter().any(|event| event.what == What::Done)
    }

    /// What happened; once, when it has ended or never will.
    pub fn case_if_over(&self, log: &Log) -> Option<Case> {
        let done = self.is_done();
        let late = log.now() > self.due + PATIENCE;
        if !(done || late) || self.asked.swap(true, Relaxed) {
            return None;
        }
        let meter = self.tape.meter(true);
        let end = if done {
            End::Finished
        } else {
            // The last meter: it only has to show whether GLib was still iterating.
            End::Deadline { last: Meter { useful: 0, ..meter }, in_lock: false }
        };
        let written = self.tape.written();
        let (events, notes) = (written.events.clone(), written.notes.clone());
        Some(Case { program: (*self.program).clone(), real: Trace { events, meter, end, notes } })
    }
}

/// The scenario of the command line.
#[derive(Debug, Default)]
pub struct Player {
    play: RefCell<Option<Play>>,
    has_ended: Cell<bool>,
}

impl Player {
    /// Takes over a scenario that has been started.
    pub fn begin(&self, play: Play) {
        self.play.replace(Some(play));
    }

    /// Whether a scenario is being played.
    pub fn is_on(&self) -> bool {
        self.play.borrow().is_some()
    }

    /// Whether the scenario has a nested loop open.
    pub fn is_in_dialog(&self) -> bool {
        self.play.borrow().as_ref().is_some_and(Play::is_in_dialog)
    }

    /// What happened; once, when it has ended or never will.
    pub fn case_if_over(&self, log: &Log) -> Option<Case> {
        self.play.borrow().as_ref()?.case_if_over(log)
    }

    /// Ends the scenario after its verdict. Returns whether there was one.
    pub fn end(&self) -> bool {
        // Dropped after the borrow has ended.
        let play = self.play.take();
        if let Some(play) = &play {
            self.has_ended.set(play.is_done());
        }
        play.is_some()
    }

    /// Ends the scenario, if one is being played, and closes its dialogs.
    pub fn abandon(&self) {
        let play = self.play.take();
        drop(play);
    }

    /// Whether a scenario has run to its end.
    pub fn has_ended(&self) -> bool {
        self.has_ended.get()
    }
}

/// The program with all its times multiplied. Its dialogs are open for half a second, which is
/// enough for the harness, but too short for the eye, and for GTK to show windows.
fn slowed(mut program: Program) -> Program {
    for actor in &mut program.actors {
        match &mut actor.kind {
            ActorKind::Timeout { every_ms: ms, .. } | ActorKind::Flood { for_ms: ms, .. } => {
                *ms *= SLOWER;
            }
            _ => {}
        }
        slow(&mut actor.steps);
    }
    program
}

fn slow(steps: &mut [Step]) {
    for step in steps {
        match step {
            Step::Sleep { ms }
            | Step::Tick { every_ms: ms, .. }
            | Step::Yield { for_ms: ms }
            | Step::Compute { ms }
            | Step::Dialog { close_after_ms: Some(ms), .. } => *ms *= SLOWER,
            Step::BlockOn { steps, .. } => slow(steps),
            _ => {}
        }
    }
}

/// Records what the interpreter reports.
#[derive(Debug)]
struct Tape {
    log: Arc<Log>,
    /// The counters when the scenario began.
    base: Meter,
    depth: AtomicU16,
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    events: Vec<Event>,
    notes: Vec<String>,
}

impl Tape {
    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meter(&self, with_thread: bool) -> Meter {
        let now = self.log.meter(with_thread);
        Meter {
            iterations: now.iterations - self.base.iterations,
            useful: now.useful - self.base.useful,
            ticks: now.ticks - self.base.ticks,
            ..now
        }
    }
}

impl Recorder for Tape {
    fn record(&self, at: Duration, depth: u16, what: What) {
        match what {
            What::Reached(key) if key.kind.side() == Side::Async => self.log.async_event(),
            What::Open(_) => self.depth.store(depth, Relaxed),
            What::Close(_) => self.depth.store(depth.saturating_sub(1), Relaxed),
            _ => {}
        }
        let edge = !matches!(what, What::Reached(_) | What::Quit(_));
        let meter = self.meter(edge);
        self.written().events.push(Event { at, depth, what, meter });
    }

    fn useful(&self) {
        self.log.useful();
    }

    fn note(&self, text: &str) {
        self.written().notes.push(text.to_owned());
    }
}
