//! A turn of tokio: tokio runs until it would wait, and this module answers the wait.
//!
//! A turn is one `block_on`. Inside it, tokio's driver calls `epoll_wait`, which ends up here.
//! tokio never sleeps in that call: GLib does the sleeping, for the time that tokio asked for.

use std::cell::{Cell, RefCell};
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::wait::{Driver, Wait};

/// The state of a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Running,
    /// Over; there was nothing to do.
    Idle,
    /// Over; something was done.
    Served,
    /// Over, with work left.
    OutOfTime,
}

/// Answers tokio's wait during a turn.
pub(super) struct Turn {
    driver: Driver,
    pub(super) state: Cell<State>,
    /// A wait was answered with the kernel's events.
    answered: Cell<bool>,
    /// When to end the turn even if work is left.
    end: Cell<Option<Instant>>,
    /// When tokio needs another turn even if no descriptor is ready.
    pub(super) deadline: Cell<Option<Instant>>,
    /// Wakes the future that the turn blocks on.
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
        // A turn that runs out of time learns no deadline. Keeping an old one would make the source
        // due in every iteration.
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
            // Tasks on tokio's own queue are ready, or a timer has expired. tokio will ask again.
            kernel(0);
            self.answered.set(true);
            if self.end.get().is_some_and(|end| Instant::now() >= end) {
                self.finish(State::OutOfTime);
            }
            return;
        }
        // Once per turn is enough: another turn follows after our tasks have run.
        let answered = self.answered.replace(true);
        if !answered && kernel(0) > 0 {
            return;
        }
        let wait = u64::try_from(timeout).ok().map(Duration::from_millis);
        self.deadline.set(wait.and_then(|wait| Instant::now().checked_add(wait)));
        self.finish(if answered { State::Served } else { State::Idle });
    }
}
