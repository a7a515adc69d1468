//! The pace of an ending.
//!
//! Whoever has ended waits for silence: `while pending() { iteration(false) }`, as in the last lines
//! of `g_application_run` (gapplication.c 2.74.6, line 2603). While a task is always ready, or other
//! threads go on waking, there is none. So once the end has begun, a source of ours that has worked
//! rests: it does not count as ready for [`REST`], and not in the next iteration however late that
//! is. All sources of a context rest together, because two that took turns would never be silent. A
//! loop that sleeps goes on after the rest, and what was begun still comes to its end.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gio::prelude::*;
use glib::MainContext;

/// How long a rest is.
const REST: Duration = Duration::from_millis(1);

/// How many rests an application is given when it has ended, unless the end was asked for. Its last
/// iterations take one; a program that goes on without it is not slowed down for ever.
const RESTS: u32 = 1000;

/// Whether the end has begun for one strategy, and the rests from then on.
pub(crate) struct Quiet {
    context: MainContext,
    asked: Cell<bool>,
    /// How many callers wait for something of ours. They do not wait for silence.
    waiting: Cell<usize>,
    /// The application whose end is ours.
    tied: RefCell<Option<Arc<AtomicBool>>>,
    rests_left: Cell<u32>,
    rest: Rc<Shared>,
}

/// The rest of all sources of ours in one context.
struct Shared {
    context: MainContext,
    rest: Cell<Option<Rest>>,
}

#[derive(Clone, Copy)]
struct Rest {
    until: Instant,
    /// An iteration has found us resting.
    seen: bool,
}

thread_local! {
    static ALL: RefCell<Vec<Weak<Shared>>> = const { RefCell::new(Vec::new()) };
}

impl Shared {
    /// This thread's for `context`.
    fn of(context: &MainContext) -> Rc<Self> {
        let new = || Rc::new(Self { context: context.clone(), rest: Cell::default() });
        let found = ALL.try_with(|all| {
            let mut all = all.borrow_mut();
            all.retain(|shared| shared.strong_count() > 0);
            let mut alive = all.iter().filter_map(Weak::upgrade);
            alive.find(|shared| shared.context == *context).unwrap_or_else(|| {
                let shared = new();
                all.push(Rc::downgrade(&shared));
                shared
            })
        });
        // While thread-locals are being destroyed, one of its own.
        found.unwrap_or_else(|_| new())
    }
}

impl Quiet {
    pub(crate) fn new(context: &MainContext) -> Self {
        let quiet = Self {
            context: context.clone(),
            asked: Cell::default(),
            waiting: Cell::default(),
            tied: RefCell::default(),
            rests_left: Cell::new(RESTS),
            rest: Shared::of(context),
        };
        quiet.look_for_application();
        quiet
    }

    /// The context that is to fall silent.
    #[cfg(feature = "epoll-hook")]
    pub(crate) fn context(&self) -> &MainContext {
        &self.context
    }

    /// Begins the end.
    pub(crate) fn ask(&self) {
        self.asked.set(true);
    }

    /// Whether the end was asked for, or the application does not run any more, or not yet.
    pub(crate) fn has_begun(&self) -> bool {
        let runs = |tied: &Arc<AtomicBool>| tied.load(Ordering::Relaxed);
        self.asked.get() || self.tied.borrow().as_ref().is_some_and(|tied| !runs(tied))
    }

    /// Call this after each slice: whether a rest begins.
    pub(crate) fn slice_ended(&self) -> bool {
        let mut rests = self.waiting.get() == 0 && self.has_begun();
        if rests && !self.asked.get() {
            let left = self.rests_left.get();
            self.rests_left.set(left.saturating_sub(1));
            rests = left > 0;
        }
        if rests {
            self.rest.rest.set(Some(Rest { until: Instant::now() + REST, seen: false }));
        }
        rests
    }

    /// Call this in `prepare`: how long to rest from now on, if at all.
    pub(crate) fn prepare(&self) -> Option<Duration> {
        // It must be known before it ends.
        self.look_for_application();
        let rest = self.rest.rest.get()?;
        let left = rest.until.saturating_duration_since(Instant::now());
        if rest.seen && left.is_zero() {
            self.rest.rest.set(None);
            return None;
        }
        (self.waiting.get() == 0 && self.has_begun()).then_some(left)
    }

    /// Call this in `check`: whether the iteration that runs was prepared as a rest.
    pub(crate) fn is_resting(&self) -> bool {
        let Some(rest) = self.rest.rest.get() else { return false };
        let rests = self.waiting.get() == 0 && self.has_begun();
        if rests {
            self.rest.rest.set(Some(Rest { seen: true, ..rest }));
        }
        rests
    }

    /// No rests until this is dropped: somebody waits for something of ours.
    pub(crate) fn lift(&self) -> Lifted<'_> {
        self.waiting.set(self.waiting.get() + 1);
        Lifted(self)
    }

    /// Begins the end of `other`, if this one's was asked for.
    #[cfg(feature = "epoll-hook")]
    pub(crate) fn pass_on(&self, other: &Self) {
        if self.asked.get() {
            other.ask();
        }
    }

    /// Ties the end to that of `application`.
    pub(crate) fn tie(&self, application: &gio::Application) {
        // An application that is remote, or answers `--version`, never starts up, and ends all the same.
        let runs =
            Arc::new(AtomicBool::new(application.is_registered() && !application.is_remote()));
        let (begins, ends) = (runs.clone(), runs.clone());
        // These stay when we go: they hold nothing of ours, and to disconnect them the application
        // would have to be alive.
        application.connect_startup(move |_| begins.store(true, Ordering::Relaxed));
        application.connect_shutdown(move |_| ends.store(false, Ordering::Relaxed));
        self.tied.replace(Some(runs));
    }

    /// Ties the end to that of the default application, once there is one.
    fn look_for_application(&self) {
        if self.tied.borrow().is_none()
            && self.context == MainContext::default()
            && let Some(application) = gio::Application::default()
        {
            self.tie(&application);
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
