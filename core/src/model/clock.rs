//! Virtual time, and what other threads do in it.
//!
//! Nothing here looks at a real clock.
//! Time moves when a poll sleeps, when something [costs](Config) time, and when a callback
//! [computes](Clock::advance).
//! Anything outside the modelled thread (another thread writes to a pipe, a peer hangs up) is an
//! event: a closure with a time.
//! Events are never late: before time moves past an event, it runs at its own time.
//!
//! # The end of a run
//!
//! A model run must end even if the program does not.
//! If nothing can happen any more, or a [limit](Config) is passed, the clock is [`Stuck`] and every
//! loop on the stack returns.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What things cost in virtual time, and when to give up a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Cost of one iteration of any context, besides its poll. With zero, a loop that never sleeps
    /// does not move the clock, and only [`max_iterations`](Self::max_iterations) ends it.
    pub iteration_cost: Duration,
    /// Cost of one call of poll.
    pub poll_cost: Duration,
    /// The run is given up at this time.
    pub horizon: Duration,
    /// The run is given up after this many iterations of all contexts together.
    pub max_iterations: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            iteration_cost: Duration::ZERO,
            poll_cost: Duration::ZERO,
            horizon: Duration::from_secs(3600),
            max_iterations: 1_000_000,
        }
    }
}

/// How exactly a poll can wait for a ready time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    /// In milliseconds, rounded up: GLib before 2.82, and any GLib with a custom poll function.
    #[default]
    Millis,
    /// Until that time itself, with ppoll(2): GLib since 2.82. It counted microseconds, and counts
    /// nanoseconds since 2.90, which is the same for ready times in microseconds.
    Exact,
}

impl Rounding {
    /// That of GLib `2.minor` with its own poll function.
    pub fn of_glib(minor: u32) -> Self {
        // The development series of 2.82 has it from its first release on (c840d75395, 368cb7eb7b).
        if minor < 81 { Self::Millis } else { Self::Exact }
    }
}

/// A thread of the model. Calls of [`Thread::MAIN`] are plain Rust calls; all other threads exist
/// in events only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread(pub u32);

impl Thread {
    /// The modelled thread.
    pub const MAIN: Self = Self(0);
    /// Any other thread.
    pub const OTHER: Self = Self(1);
}

/// Why a run cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stuck {
    /// A poll waits without a timeout, and no event is left.
    Idle,
    /// [`Config::horizon`] was reached.
    Horizon,
    /// [`Config::max_iterations`] was reached.
    Iterations,
}

/// How [`Clock::wait`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The condition is true.
    Ready,
    /// The time has passed.
    TimedOut,
    /// The condition will never be true, or not within the limits.
    Stuck,
}

/// Identifies an event, to [cancel](Clock::cancel) it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    at: u64,
    order: u64,
}

/// Virtual time, shared by everything in one run. Clones are the same clock.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    config: Config,
    now: AtomicU64,
    /// When the first event is due, so that checking for due events needs no lock.
    next: AtomicU64,
    thread: AtomicU32,
    depth: AtomicU32,
    iterations: AtomicU64,
    stuck: AtomicU8,
    next_fd: AtomicU32,
    /// How long the modelled thread has run, in microseconds.
    busy: AtomicU64,
    asleep: AtomicBool,
    events: Mutex<Events>,
}

type Event = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Events {
    order: u64,
    queue: BTreeMap<EventId, (Thread, Event)>,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl Clock {
    /// Creates a clock at zero.
    pub fn new(config: Config) -> Self {
        Self(Arc::new(Inner {
            config,
            now: AtomicU64::new(0),
            next: AtomicU64::new(u64::MAX),
            thread: AtomicU32::new(Thread::MAIN.0),
            depth: AtomicU32::new(0),
            iterations: AtomicU64::new(0),
            stuck: AtomicU8::new(0),
            // 0, 1 and 2 are used in every process.
            next_fd: AtomicU32::new(3),
            busy: AtomicU64::new(0),
            asleep: AtomicBool::new(false),
            events: Mutex::default(),
        }))
    }

    /// Time since the run began.
    pub fn now(&self) -> Duration {
        Duration::from_micros(self.micros())
    }

    /// Time since the run began, in GLib's unit.
    pub(super) fn micros(&self) -> u64 {
        self.0.now.load(Relaxed)
    }

    /// How long the modelled thread has run: everything but its sleep.
    pub fn busy(&self) -> Duration {
        Duration::from_micros(self.0.busy.load(Relaxed))
    }

    /// Whether the modelled thread sleeps. For an event: it runs while that thread sleeps.
    pub fn is_asleep(&self) -> bool {
        self.0.asleep.load(Relaxed)
    }

    /// What things cost, and the limits.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Runs `event` at `time` on [`Thread::OTHER`]. If that time is past, it runs when time next
    /// moves or a loop next polls. Events of the same time run in the order in which they were
    /// added.
    pub fn at(&self, time: Duration, event: impl FnOnce() + Send + 'static) -> EventId {
        self.at_on(Thread::OTHER, time, event)
    }

    /// Like [`at`](Self::at), on a given thread.
    pub fn at_on(
        &self,
        thread: Thread,
        time: Duration,
        event: impl FnOnce() + Send + 'static,
    ) -> EventId {
        let mut events = self.events();
        let id = EventId { at: micros(time), order: events.order };
        events.order += 1;
        events.queue.insert(id, (thread, Box::new(event)));
        self.note_next(&events);
        id
    }

    /// Cancels an event; `false` if it has already run.
    pub fn cancel(&self, id: EventId) -> bool {
        let mut events = self.events();
        let event = events.queue.remove(&id);
        self.note_next(&events);
        drop(events);
        event.is_some()
    }

    /// When the next event is due.
    pub fn next_event(&self) -> Option<Duration> {
        let next = self.0.next.load(Relaxed);
        (next != u64::MAX).then(|| Duration::from_micros(next))
    }

    /// Moves time forward: the calling thread computes. Events in between run at their times.
    /// Does nothing inside an event, which takes no time.
    pub fn advance(&self, by: Duration) {
        if self.thread() == Thread::MAIN {
            let from = self.micros();
            self.advance_to(from.saturating_add(micros(by)));
            self.0.busy.fetch_add(self.micros() - from, Relaxed);
        }
    }

    /// Waits until `ready` returns `true` or `deadline` has passed. This is the only way to sleep.
    ///
    /// `ready` is called first, and again after every event. An event cannot sleep, so there the
    /// wait times out at once.
    pub fn wait(&self, deadline: Option<Duration>, mut ready: impl FnMut() -> bool) -> Wait {
        self.wait_micros(deadline.map(micros), &mut ready).0
    }

    /// Like [`wait`](Self::wait), and also returns whether it slept at all.
    pub(super) fn wait_micros(
        &self,
        deadline: Option<u64>,
        ready: &mut dyn FnMut() -> bool,
    ) -> (Wait, bool) {
        let mut slept = false;
        loop {
            if self.thread() == Thread::MAIN {
                self.0.asleep.store(slept, Relaxed);
            }
            self.run_due();
            if self.thread() == Thread::MAIN {
                self.0.asleep.store(false, Relaxed);
            }
            if ready() {
                return (Wait::Ready, slept);
            }
            let over = deadline.is_some_and(|deadline| deadline <= self.micros());
            // Events take no time, so another thread cannot wait.
            if over || self.thread() != Thread::MAIN {
                return (Wait::TimedOut, slept);
            }
            if self.stuck().is_some() {
                return (Wait::Stuck, slept);
            }
            slept = true;
            let next = self.0.next.load(Relaxed).min(deadline.unwrap_or(u64::MAX));
            if next == u64::MAX {
                self.set_stuck(Stuck::Idle);
                return (Wait::Stuck, slept);
            }
            if next > micros(self.0.config.horizon) {
                self.set_stuck(Stuck::Horizon);
                return (Wait::Stuck, slept);
            }
            self.0.now.store(next.max(self.micros()), Relaxed);
        }
    }

    /// Why the run cannot go on; `None` while it can.
    pub fn stuck(&self) -> Option<Stuck> {
        match self.0.stuck.load(Relaxed) {
            0 => None,
            1 => Some(Stuck::Idle),
            2 => Some(Stuck::Horizon),
            _ => Some(Stuck::Iterations),
        }
    }

    /// Gives the run up. The first reason stays.
    pub fn set_stuck(&self, why: Stuck) {
        let code = match why {
            Stuck::Idle => 1,
            Stuck::Horizon => 2,
            Stuck::Iterations => 3,
        };
        let _ = self.0.stuck.compare_exchange(0, code, Relaxed, Relaxed);
    }

    /// The caller's thread.
    pub fn thread(&self) -> Thread {
        Thread(self.0.thread.load(Relaxed))
    }

    /// How many dispatches of any context are on the calling thread's stack (`g_main_depth`,
    /// gmain.c:3207).
    pub fn depth(&self) -> u32 {
        self.0.depth.load(Relaxed)
    }

    /// Iterations of all contexts so far.
    pub fn iterations(&self) -> u64 {
        self.0.iterations.load(Relaxed)
    }

    /// Drops all events that have not run.
    pub fn clear(&self) {
        let mut events = self.events();
        let queue = std::mem::take(&mut events.queue);
        self.note_next(&events);
        drop(events);
        drop(queue);
    }

    /// Runs the events that are due.
    pub(super) fn run_due(&self) {
        while self.0.next.load(Relaxed) <= self.micros() {
            let mut events = self.events();
            let Some((_, (thread, event))) = events.queue.pop_first() else { return };
            self.note_next(&events);
            drop(events);
            // Another thread has its own stack.
            let depth = self.0.depth.swap(0, Relaxed);
            let before = self.0.thread.swap(thread.0, Relaxed);
            event();
            self.0.thread.store(before, Relaxed);
            self.0.depth.store(depth, Relaxed);
        }
    }

    /// Counts an iteration and lets its cost pass; `false` if the run is given up.
    pub(super) fn begin_iteration(&self) -> bool {
        if self.stuck().is_some() {
            return false;
        }
        let n = self.iterations() + 1;
        self.0.iterations.store(n, Relaxed);
        if n > self.0.config.max_iterations {
            self.set_stuck(Stuck::Iterations);
            return false;
        }
        self.pay(self.0.config.iteration_cost);
        self.stuck().is_none()
    }

    /// Lets a cost pass.
    pub(super) fn pay(&self, cost: Duration) {
        if cost.is_zero() {
            self.run_due();
        } else {
            self.advance(cost);
        }
    }

    pub(super) fn enter_dispatch(&self) {
        self.0.depth.store(self.depth() + 1, Relaxed);
    }

    pub(super) fn leave_dispatch(&self) {
        self.0.depth.store(self.depth().saturating_sub(1), Relaxed);
    }

    pub(super) fn next_fd(&self) -> u32 {
        self.0.next_fd.fetch_add(1, Relaxed)
    }

    fn advance_to(&self, to: u64) {
        loop {
            let next = self.0.next.load(Relaxed);
            if next > to {
                break;
            }
            self.0.now.store(next.max(self.micros()), Relaxed);
            self.run_due();
        }
        self.0.now.store(to.max(self.micros()), Relaxed);
        if to > micros(self.0.config.horizon) {
            self.set_stuck(Stuck::Horizon);
        }
    }

    fn note_next(&self, events: &Events) {
        let next = events.queue.first_key_value().map_or(u64::MAX, |(id, _)| id.at);
        self.0.next.store(next, Relaxed);
    }

    fn events(&self) -> MutexGuard<'_, Events> {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("now", &self.now()).field("stuck", &self.stuck()).finish()
    }
}

/// Converts to GLib's unit of time, rounded up so that nothing is early. Saturates, which means
/// never.
pub(super) fn micros(time: Duration) -> u64 {
    let whole = time.as_secs().saturating_mul(1_000_000);
    whole.saturating_add(u64::from(time.subsec_nanos().div_ceil(1_000)))
}
