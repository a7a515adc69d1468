//! A turn of tokio: tokio runs until it would wait, and this module answers the wait.
//!
//! A turn is one `block_on`. Inside it, tokio's driver calls `epoll_wait`, which ends up here.
//! tokio never sleeps in that call: GLib does the sleeping, for the time that tokio asked for.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use loopnest_core::executor::Executor;

use crate::runtime::{IsHeld, Runtime};
use crate::wait::{self, Driver, Wait};

/// The state of a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Running,
    /// Over; there was nothing to do.
    Idle,
    /// Over; something was done, or has to be.
    Served,
    /// Over, with work left.
    OutOfTime,
}

/// Answers tokio's wait during a turn.
pub(super) struct Turn {
    pub(super) driver: Driver,
    /// What tokio does not know of when it takes itself to be idle.
    executor: Rc<Executor>,
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
    pub(super) fn new(driver: Driver, executor: Rc<Executor>) -> Self {
        Self {
            driver,
            executor,
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
        if runtime.has_queued() {
            self.leave_more();
        }
        Ok(self.state.get())
    }

    /// Ends the turn although tokio has more to do: another one is due at once, also in a loop that one
    /// of our tasks opens before it.
    fn leave_more(&self) {
        self.deadline.set(Some(Instant::now()));
        if self.state.get() != State::OutOfTime {
            self.finish(State::Served);
        }
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
            } else if self.executor.is_ready() {
                // With a paused clock tokio asks so when it is idle, and advances the clock to the next
                // timer unless it is woken meanwhile. Our tasks come first (tokio#4522).
                self.leave_more();
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

// Only there can anything of the kind happen, and be looked at.
#[cfg(all(test, tokio_unstable))]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};

    use tokio::runtime::Builder;

    use crate::dispatch::turn::*;

    /// io-uring's completions are queued so: after the kernel's answer and before the wait is over.
    #[test]
    fn what_tokio_queues_at_the_end_of_its_wait_is_seen_before_glib_sleeps() {
        let (queued, polls) = (Arc::new(Mutex::new(None::<Waker>)), Arc::new(AtomicU32::new(0)));
        let (slot, count) = (queued.clone(), polls.clone());
        let after_the_wait = move || {
            let waker = queued.lock().ok().and_then(|mut queued| queued.take());
            waker.into_iter().for_each(Waker::wake);
        };
        let mut builder = Builder::new_current_thread();
        builder.enable_all().on_thread_unpark(after_the_wait);
        let runtime = Runtime::built(&mut builder).expect("the system has descriptors");
        let driver = Driver::of(&runtime).expect("tokio waits with epoll");
        let turn = Rc::new(Turn::new(driver, Rc::new(Executor::new(|| {}))));
        runtime.handle().spawn(poll_fn(move |cx| {
            if count.fetch_add(1, Ordering::Relaxed) == 20 {
                return Poll::Ready(());
            }
            *slot.lock().expect("nobody panics") = Some(cx.waker().clone());
            Poll::Pending
        }));
        let far = Instant::now() + Duration::from_secs(3600);
        while turn.run(&runtime, far).expect("nothing holds tokio") != State::Idle {}
        assert_eq!(polls.load(Ordering::Relaxed), 21);
    }
}
