//! A turn of tokio: tokio runs until it would wait, and this module answers the wait.
//!
//! A turn is one `block_on`. Inside it, tokio's driver calls `epoll_wait`, which ends up here.
//! tokio never sleeps in that call: GLib does the sleeping, for the time that tokio asked for.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::runtime::{IsHeld, Runtime};
use crate::wait::{self, Driver, Wait};

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
    state: Cell<State>,
    /// A wait was answered with the kernel's events.
    answered: Cell<bool>,
    /// When to end the turn even if work is left.
    end: Cell<Option<Instant>>,
    /// When tokio needs another turn even if no descriptor is ready.
    pub(super) deadline: Cell<Option<Instant>>,
    /// Wakes the future that the turn blocks on.
    waker: RefCell<Option<Waker>>,
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

    /// Runs tokio until it would park, or until `end` at the latest.
    ///
    /// # Errors
    /// If tokio refuses.
    pub(super) fn run(self: &Rc<Self>, runtime: &Runtime, end: Instant) -> Result<State, IsHeld> {
        // A turn that runs out of time learns no deadline. Keeping an old one would make the source
        // due in every iteration.
        self.deadline.set(None);
        self.state.set(State::Running);
        self.answered.set(false);
        self.end.set(Some(end));
        let _installed = wait::install(self.clone());
        runtime.try_block_on(poll_fn(|cx| {
            if self.state.get() != State::Running {
                return Poll::Ready(());
            }
            self.waker.replace(Some(cx.waker().clone()));
            Poll::Pending
        }))?;
        Ok(self.state.get())
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
