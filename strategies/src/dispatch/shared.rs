//! What both sources of `dispatch` work on: our tasks and tokio, in slices.

use std::cell::Cell;
use std::future::ready;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Instant;

use glib::{ControlFlow, MainContext, Priority};
use loopnest_core::executor::{Executor, Panic, Slice};
use loopnest_core::pace::{POLLS, SLICE};

use super::turn::{State, Turn};
use crate::advice;
use crate::error::SetupError;
use crate::pace::{Backlog, Work};
use crate::quiet::Quiet;
use crate::runtime::{IsHeld, Runtime, is_running};
use crate::wait::Driver;

pub(super) struct Shared {
    // Dropped in this order: the tasks go with the last of the first two, and before the runtime.
    pub(super) executor: Rc<Executor>,
    turn: Rc<Turn>,
    pub(super) runtime: Runtime,
    pub(super) backlog: Backlog,
    pub(super) quiet: Quiet,
    /// The last slice made no turn, because the runtime is held.
    held: Cell<bool>,
    warned: Cell<bool>,
}

impl Shared {
    /// Starts a runtime, and makes its first turn, which finds the first deadline.
    pub(super) fn new(context: &MainContext) -> Result<Self, SetupError> {
        let runtime = Runtime::new(POLLS)?;
        let driver = Driver::of(&runtime)?;
        let ring = context.clone();
        let executor = Rc::new(Executor::new(move || ring.wakeup()));
        let turn = Rc::new(Turn::new(driver, executor.clone()));
        let first = runtime.try_outside(|| turn.run(&runtime, Instant::now() + SLICE)).flatten();
        first.map_err(|IsHeld| SetupError::Held)?;
        Ok(Self {
            executor,
            runtime,
            turn,
            backlog: Backlog::default(),
            quiet: Quiet::new(context),
            held: Cell::default(),
            warned: Cell::default(),
        })
    }

    /// What to watch: tokio's descriptor.
    pub(super) fn watched(&self) -> Rc<OwnedFd> {
        self.turn.driver.watched.clone()
    }

    /// The time left until tokio's deadline.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.turn.deadline.get()
    }

    /// Whether tokio cannot make a turn now.
    pub(super) fn is_held(&self) -> bool {
        if !self.held.get() {
            return is_running();
        }
        let held = self.runtime.is_held();
        if !held {
            self.held.set(false);
            // The refused turn did not learn a deadline.
            self.turn.deadline.set(Some(Instant::now()));
        }
        held
    }

    /// Whether tokio makes a turn here if it is asked to.
    pub(super) fn can_turn(&self) -> bool {
        self.runtime.forget_refusal();
        let turn = || self.runtime.try_block_on(ready(()));
        matches!(self.runtime.try_outside(turn), Ok(Ok(())))
    }

    /// Runs our tasks and tokio alternately until neither has anything to do, for about one slice.
    /// If tokio is held, only our tasks. Says whether work is left.
    fn run_slice(&self) -> bool {
        let end = Instant::now() + SLICE;
        // All of it outside, so that a nested loop in one of our tasks is outside too.
        let more = self.runtime.try_outside(|| self.run_both(end));
        more.flatten().unwrap_or_else(|IsHeld| {
            // Otherwise a `block_on` of ours is on the stack, and a turn that goes on later learns a
            // deadline then.
            self.held.set(!is_running());
            self.warn();
            self.runtime.while_held(|| self.executor.run_until(end)) == Slice::More
        })
    }

    /// The last turn finds nothing to do and learns the next deadline. This saves the iterations
    /// that tokio's own wake-ups would cost, one for each timer that a task arms.
    fn run_both(&self, end: Instant) -> Result<bool, IsHeld> {
        loop {
            // tokio gets its turn even if our tasks have used up the time.
            let slice = {
                let _entered = self.runtime.enter();
                self.executor.run_until(end)
            };
            let state = self.turn.run(&self.runtime, end)?;
            if slice == Slice::More || state == State::OutOfTime || Instant::now() >= end {
                return Ok(true);
            }
            if state == State::Idle && !self.executor.is_ready() {
                return Ok(false);
            }
        }
    }

    /// Ends a slice.
    fn leave(&self, more: bool) {
        let rests = self.quiet.slice_ended();
        self.backlog.set((more && !rests).then(Instant::now));
        if more && rests {
            // The rest of it is due when the rest is over.
            self.turn.deadline.set(Some(Instant::now()));
        }
    }

    fn warn(&self) {
        if !self.warned.replace(true) {
            advice::warn(WAITS);
        }
    }

    /// Says so in an iteration of its own: who handles GLib's log must not be called by a `prepare`.
    pub(super) fn warn_later(&self) {
        if !self.warned.replace(true) {
            let warn = || {
                advice::warn(WAITS);
                ControlFlow::Break
            };
            glib::idle_source_new(None, Priority::HIGH, warn).attach(Some(self.quiet.context()));
        }
    }
}

const WAITS: &str = "a nested loop was opened inside a task of tokio::spawn or \
    tokio::task::spawn_local, or inside another runtime's block_on: tokio's I/O and timers wait until \
    it closes; open it from a callback or from a task of Dispatch::spawn_local";

impl Work for Shared {
    fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    fn run(&self) {
        // The loop is awake, even if GLib has not called `check` since the flag was armed: a source
        // of a higher priority may have ended that iteration. A wake during this slice needs no
        // ring, because the task is polled here or the next `prepare` finds it.
        self.executor.check();
        // Tasks keep their own panics. Others come from misuse of tokio, such as a guard of
        // `Handle::enter` that a task keeps across an await. They must not end the source.
        match catch_unwind(AssertUnwindSafe(|| self.run_slice())) {
            Ok(more) => self.leave(more),
            Err(panic) => {
                drop(Panic::new(panic));
                advice::warn("a panic outside of all tasks was caught; the loop continues");
                self.leave(true);
            }
        }
    }
}
