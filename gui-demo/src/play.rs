//! Plays a scenario of the matrix in the window: its nested loops become dialogs.
//!
//! The interpreter is `core`'s, the loops are the strategy's, and a thin layer between them gives
//! each nested loop a window. What the harness measures without a display is thereby seen with one.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use gtk4::glib::{self, MainContext, Priority, Propagation};
use gtk4::prelude::*;
use loopnest_core::Program;
use loopnest_core::interp::Run;
use loopnest_core::loops::{
    BoxFuture, Callback, Canceller, Channel, Home, Job, Loops, Pipe, Refused,
};
use loopnest_core::model::ideal;
use loopnest_core::program::{ActorKind, How, Reply, Side, Step};
use loopnest_core::trace::{End, Event, Meter, Recorder, Trace, What};

use crate::case::Case;
use crate::demo;
use crate::dialog_run::{Answer, dialog_run};
use crate::dialogs::Dialog;
use crate::log::Log;

/// A scenario that is not over this long after it should be never will.
const PATIENCE: Duration = Duration::from_secs(8);

/// How much slower than in the matrix a scenario is played.
const SLOWER: u64 = 4;

/// A scenario being played.
#[derive(Debug)]
pub struct Play {
    program: Arc<Program>,
    tape: Arc<Tape>,
    /// When it should be over.
    due: Duration,
    asked: AtomicBool,
    levels: Arc<WindowLoops>,
    _run: Run,
}

impl Drop for Play {
    /// A scenario that is given up leaves no dialog that nobody can close.
    fn drop(&mut self) {
        self.program.levels().iter().for_each(|level| self.levels.quit(level));
    }
}

impl Play {
    /// Starts a scenario.
    ///
    /// # Errors
    /// When a pipe of the program cannot be made.
    pub fn start(program: Program, loops: &Arc<dyn Loops>, log: &Arc<Log>) -> anyhow::Result<Self> {
        let program = Arc::new(slowed(program));
        let ideal = ideal(&program);
        let due = ideal.events.last().map_or(Duration::ZERO, |event| event.at);
        let tape = Arc::new(Tape {
            log: log.clone(),
            base: log.meter(false),
            depth: AtomicU16::new(0),
            written: Mutex::default(),
        });
        let levels = Arc::new(WindowLoops {
            begin: loops.now(),
            inner: loops.clone(),
            closed: Closed::default(),
        });
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

    /// Whether it has come to its end.
    pub fn is_done(&self) -> bool {
        self.tape.written().events.iter().any(|event| event.what == What::Done)
    }

    /// What happened, once, when it is over or never will be.
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
            // What it did at the last: it is asked only whether it still turned.
            End::Deadline { last: Meter { useful: 0, ..meter }, in_lock: false }
        };
        let written = self.tape.written();
        let (events, notes) = (written.events.clone(), written.notes.clone());
        Some(Case { program: (*self.program).clone(), real: Trace { events, meter, end, notes } })
    }
}

/// The program with all its times multiplied: its dialogs are open for half a second, which is
/// enough for the harness, and neither for the eye nor for GTK to make windows in.
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

/// Takes down what the interpreter says.
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

thread_local! {
    /// The names of the open nested loops, outermost first.
    static LEVELS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };

    /// What closes each open dialog of the scenario, outermost first.
    static OPEN: RefCell<Vec<(String, Answer<()>)>> = const { RefCell::new(Vec::new()) };
}

/// The strategy's loops, with a window for each nested one, and with a clock that begins with the
/// scenario.
#[derive(Debug)]
struct WindowLoops {
    inner: Arc<dyn Loops>,
    begin: Duration,
    closed: Closed,
}

/// The levels that somebody has quit.
#[derive(Clone, Debug, Default)]
struct Closed(Arc<Mutex<Vec<String>>>);

impl Closed {
    fn push(&self, level: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(level.to_owned());
    }

    /// Answers the innermost dialog if it has been quit. One further out waits for those inside it,
    /// as a `GMainLoop` does: an answer to it would abort them.
    fn answer_innermost(&self) {
        let innermost = OPEN.with_borrow(|open| open.last().cloned());
        let Some((level, answer)) = innermost else { return };
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&level) {
            answer.give(());
        }
    }
}

/// The levels are shown on the stack, without the innermost when this is dropped.
struct Shown;

impl Shown {
    fn new() -> Self {
        show_levels();
        Self
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        LEVELS.with_borrow_mut(Vec::pop);
        show_levels();
    }
}

fn show_levels() {
    let levels = LEVELS.with_borrow(Clone::clone);
    let levels: Vec<&str> = levels.iter().map(String::as_str).collect();
    demo::with(|demo| demo.ui.set_levels(&levels));
}

/// A window for a level. It is the scenario that closes it, so the user cannot.
fn window(level: &str) -> Option<Dialog> {
    let mut dialog = None;
    demo::with(|demo| {
        let text = "A dialog of the scenario; the scenario closes it.";
        let new = Dialog::new(&demo.ui.window, level, text);
        new.close.set_sensitive(false);
        new.another.set_sensitive(false);
        new.pulse.set_visible(false);
        new.window.connect_close_request(|_| Propagation::Stop);
        dialog = Some(new);
    });
    dialog
}

impl Loops for WindowLoops {
    fn now(&self) -> Duration {
        self.inner.now().saturating_sub(self.begin)
    }

    fn spawn(&self, home: Home, task: BoxFuture) -> Canceller {
        self.inner.spawn(home, task)
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture {
        self.inner.sleep_until(self.begin + deadline)
    }

    fn yield_now(&self) -> BoxFuture {
        self.inner.yield_now()
    }

    fn channel(&self) -> Arc<dyn Channel> {
        self.inner.channel()
    }

    fn pipe(&self) -> std::io::Result<Arc<dyn Pipe>> {
        self.inner.pipe()
    }

    fn call(&self, home: Home, after: Duration, reply: Reply) -> BoxFuture<Option<Reply>> {
        self.inner.call(home, after, reply)
    }

    fn add_timeout(&self, priority: i32, interval: Duration, callback: Callback) {
        self.inner.add_timeout(priority, interval, callback);
    }

    fn add_idle(&self, priority: i32, callback: Callback) {
        self.inner.add_idle(priority, callback);
    }

    fn run_nested(&self, level: &str, how: How) -> Result<(), Refused> {
        let Some(dialog) = window(level) else { return self.inner.run_nested(level, how) };
        LEVELS.with_borrow_mut(|levels| levels.push(level.to_owned()));
        let _shown = Shown::new();
        if how == How::Run {
            dialog_run::<()>(&dialog.window, |answer| {
                OPEN.with_borrow_mut(|open| open.push((level.to_owned(), answer)));
                self.closed.answer_innermost();
            });
            OPEN.with_borrow_mut(Vec::pop);
            // The one below may have waited for this one.
            self.closed.answer_innermost();
            Ok(())
        } else {
            // A loop that is iterated by hand: the window stands beside it.
            dialog.window.present();
            let result = self.inner.run_nested(level, how);
            dialog.window.destroy();
            result
        }
    }

    fn quit(&self, level: &str) {
        self.closed.push(level);
        self.inner.quit(level);
        let closed = self.closed.clone();
        if MainContext::default().is_owner() {
            closed.answer_innermost();
        } else {
            glib::idle_source_new(None, Priority::DEFAULT, move || {
                closed.answer_innermost();
                glib::ControlFlow::Break
            })
            .attach(Some(&MainContext::default()));
        }
    }

    fn block_on(&self, task: BoxFuture) -> Result<(), Refused> {
        self.inner.block_on(task)
    }

    fn on_host(&self, home: Home, job: Job) -> BoxFuture<Result<(), Refused>> {
        self.inner.on_host(home, job)
    }

    fn thread(&self, script: Vec<(Duration, Job)>) {
        self.inner.thread(script);
    }

    fn compute(&self, time: Duration) {
        self.inner.compute(time);
    }
}
