//! The pace of an ending.
//!
//! Whoever has ended waits for silence: `while pending() { iteration(false) }`, as in the last lines
//! of `g_application_run` (gapplication.c 2.74.6, line 2603). While a task is always ready, or other
//! threads go on waking, there is none. So once the end has begun, a source of ours rests after each
//! slice: it does not count as ready for [`REST`], and not in the next iteration however late that
//! is. A loop that sleeps goes on after the rest, and what was begun still comes to its end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use gio::prelude::*;
use glib::object::WeakRefNotify;
use glib::{MainContext, SignalHandlerId, WeakRef};

/// How long a rest is.
const REST: Duration = Duration::from_millis(1);

/// Whether the end has begun, and the rests from then on.
pub(crate) struct Quiet {
    /// Whether a `GApplication` runs in this context.
    is_default: bool,
    application: RefCell<Option<Watched>>,
    asked: Cell<bool>,
    /// How many callers wait for something of ours. They do not wait for silence.
    waiting: Cell<usize>,
    rest: Cell<Option<Rest>>,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Instant,
    /// An iteration has found us resting.
    seen: bool,
}

impl Quiet {
    pub(crate) fn new(context: &MainContext) -> Self {
        Self {
            is_default: *context == MainContext::default(),
            application: RefCell::default(),
            asked: Cell::default(),
            waiting: Cell::default(),
            rest: Cell::default(),
        }
    }

    /// Begins the end.
    pub(crate) fn ask(&self) {
        self.asked.set(true);
    }

    /// Call this after each slice: whether a rest begins.
    pub(crate) fn slice_ended(&self) -> bool {
        // Asked each time, because a program may run an application after another.
        let rests = self.has_begun() && self.waiting.get() == 0;
        self.rest.set(rests.then(|| Rest { until: Instant::now() + REST, seen: false }));
        rests
    }

    /// Whether the end has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.asked.get() || self.application() == Some(State::Over)
    }

    /// Call this in `prepare`: how long to rest from now on, if at all.
    pub(crate) fn prepare(&self) -> Option<Duration> {
        // It must be known before it ends.
        self.application();
        let rest = self.rest.get()?;
        let left = rest.until.saturating_duration_since(Instant::now());
        let is_over = (rest.seen && left.is_zero()) || self.waiting.get() > 0;
        self.rest.set((!is_over).then_some(Rest { seen: true, ..rest }));
        (!is_over).then_some(left)
    }

    /// Whether the iteration that runs was prepared as a rest.
    pub(crate) fn is_resting(&self) -> bool {
        self.rest.get().is_some()
    }

    /// No rests until this is dropped: somebody waits for something of ours.
    pub(crate) fn lift(&self) -> Lifted<'_> {
        self.waiting.set(self.waiting.get() + 1);
        Lifted(self)
    }

    /// The default application's state, if there is one.
    fn application(&self) -> Option<State> {
        if !self.is_default {
            return None;
        }
        let mut watched = self.application.borrow_mut();
        let state = watched.as_ref().and_then(|watched| watched.state.get());
        if state.is_none() {
            // The first, or the one before is gone.
            *watched = gio::Application::default().map(|application| Watched::new(&application));
        }
        state
    }
}

/// The default application, which says when it begins and ends.
struct Watched {
    application: WeakRef<gio::Application>,
    handlers: Vec<SignalHandlerId>,
    gone: Option<WeakRefNotify<gio::Application>>,
    /// None once the application is gone.
    state: Rc<Cell<Option<State>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It runs, or has not run yet.
    On,
    /// It was shut down. Only its last iterations are left.
    Over,
}

impl Watched {
    fn new(application: &gio::Application) -> Self {
        let state = Rc::new(Cell::new(Some(State::On)));
        let (begins, ends, gone) = (state.clone(), state.clone(), state.clone());
        let handlers = vec![
            application.connect_startup(move |_| begins.set(Some(State::On))),
            application.connect_shutdown(move |_| ends.set(Some(State::Over))),
        ];
        let gone = application.add_weak_ref_notify_local(move || gone.set(None));
        Self { application: application.downgrade(), handlers, gone: Some(gone), state }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(application) = self.application.upgrade() {
            self.handlers.drain(..).for_each(|handler| application.disconnect(handler));
        }
        if let Some(gone) = self.gone.take().filter(|_| self.state.get().is_some()) {
            gone.disconnect();
        }
    }
}

/// Rests are lifted.
pub(crate) struct Lifted<'a>(&'a Quiet);

impl Drop for Lifted<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}
