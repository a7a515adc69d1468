//! A turn of tokio: it runs until it would wait, and then the wait is answered here.
//!
//! The one who asks is tokio's driver, through `epoll_wait`, on the stack of the `block_on` that the
//! turn is. It is never let sleep: GLib sleeps, and learns from the answer for how long.

use std::cell::{Cell, RefCell};
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::wait::{Driver, Wait};

/// How a turn stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Running,
    /// Over, and there was nothing to do.
    Idle,
    /// Over, and something was done.
    Served,
    /// Over with work left.
    OutOfTime,
}

/// Stands in for tokio's wait during a turn.
pub(super) struct Turn {
    driver: Driver,
    pub(super) state: Cell<State>,
    /// A wait was answered with what the kernel had.
    answered: Cell<bool>,
    /// When the turn has lasted long enough.
    end: Cell<Option<Instant>>,
    /// When tokio wants to be run again though no descriptor is ready.
    pub(super) deadline: Cell<Option<Instant>>,
    /// Wakes the future that the turn is run for.
    pub(super) waker: RefCell<Option<Waker>>,
}

impl Turn {
    pub(super) fn new(driver: Driver) -> Self {
        Self {
            driver,
            state: Cell::default(),
            answered: Cell::default(),
            end: Cell::default(),
            deadline: Cell::default(),
            waker: RefCell::default(),
        }
    }

    pub(super) fn begin(&self, end: Instant) {
        // A turn that runs out of time learns no deadline, and an old one would bring what is left
        // forward again and again.
        self.deadline.set(None);
        self.state.set(State::Running);
        self.answered.set(false);
        self.end.set(Some(end));
    }

    fn finish(&self, state: State) {
        self.state.set(state);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Wait for Turn {
    fn driver(&self) -> &Driver {
        &self.driver
    }

    fn wait(&self, timeout: i32, kernel: &mut dyn FnMut(i32) -> i32) {
        if timeout == 0 {
            // Tasks of tokio's own are ready or a timer has expired. It will ask again.
            kernel(0);
            self.answered.set(true);
            if self.end.get().is_some_and(|end| Instant::now() >= end) {
                self.finish(State::OutOfTime);
            }
            return;
        }
        // Once per turn is enough: there is another turn after our tasks have run.
        let answered = self.answered.replace(true);
        if !answered && kernel(0) > 0 {
            return;
        }
        let wait = u64::try_from(timeout).ok().map(Duration::from_millis);
        self.deadline.set(wait.and_then(|wait| Instant::now().checked_add(wait)));
        self.finish(if answered { State::Served } else { State::Idle });
    }
}
