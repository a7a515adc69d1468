//! `nested`: async drives GLib. tokio's wait is an iteration, or a run, of the GLib context.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use super::base::Base;
use super::fault::Fault;
use super::guest::Guest;
use super::runtime::Runtime;
use super::tasks::lock;
use crate::loops::{BoxFuture, Canceller, Home, Refused};
use crate::model::clock::Clock;
use crate::model::context::Context;
use crate::model::fd::{Events, Pipe};
use crate::model::main_loop::MainLoop;
use crate::model::source::{Callbacks, Prepare, Source};
use crate::pace::TOKIO_POLLS;

/// tokio, whose selector is a source of the context.
pub(super) struct Nested {
    runtime: Runtime,
    context: Context,
    main_loop: MainLoop,
    wake_after_dispatch: bool,
    arms: bool,
    deadline: Arc<Mutex<Option<Duration>>>,
    source: Source,
}

impl Nested {
    pub(super) fn new(base: &Base, wake_after_dispatch: bool) -> Self {
        let runtime = Runtime::new(base, TOKIO_POLLS);
        let main_loop = MainLoop::new(&base.context);
        let deadline = Arc::new(Mutex::new(None));
        let ready = Ready { main_loop: main_loop.clone(), deadline: deadline.clone() };
        let source = base.context.source("nested", ready);
        source.add_unix_fd(runtime.epfd(), Events::IN);
        source.attach();
        // From here on everything happens inside `block_on`.
        runtime.enter();
        let context = base.context.clone();
        let arms = !base.has(Fault::TimerNotArmed);
        Self { runtime, context, main_loop, wake_after_dispatch, arms, deadline, source }
    }

    /// Replaces epoll_wait.
    fn wait(&self, clock: &Clock, timeout: Option<Duration>) {
        if timeout == Some(Duration::ZERO) {
            self.arm(clock, None);
            self.context.iteration(false);
        } else {
            self.arm(clock, timeout);
            if self.wake_after_dispatch {
                self.context.iteration(true);
                self.arm(clock, None);
            } else {
                self.main_loop.run();
            }
        }
    }

    fn arm(&self, clock: &Clock, timeout: Option<Duration>) {
        let deadline = timeout.filter(|_| self.arms).map(|timeout| clock.now() + timeout);
        if self.wake_after_dispatch {
            *lock(&self.deadline) = deadline;
        } else {
            self.source.set_ready_time(deadline);
        }
    }
}

impl Guest for Nested {
    fn spawn(&self, _home: Home, task: BoxFuture) -> Canceller {
        self.runtime.spawn(task)
    }

    fn wake_at(&self, deadline: Duration, waker: Waker) {
        self.runtime.wake_at(deadline, waker);
    }

    fn wake_readable(&self, pipe: &Pipe, waker: Waker) {
        self.runtime.wake_readable(pipe, waker);
    }

    fn refuses_block_on(&self) -> Option<Refused> {
        Some(Refused {
            strategy: if self.wake_after_dispatch { "nested" } else { "nested-no-wake" },
            what: "block on a future inside a callback",
            why: "tokio is on the stack and does not nest; spawn the future instead",
        })
    }

    fn run(&self, base: &Base) {
        while base.clock.stuck().is_none() {
            let more = self.runtime.run_some();
            self.wait(
                &base.clock,
                if more { Some(Duration::ZERO) } else { self.runtime.timeout() },
            );
            self.runtime.take_events();
            self.runtime.expire_timers();
        }
    }

    fn clear(&self) {
        self.runtime.clear();
    }
}

/// Ready when tokio's wait is over; quits the loop that replaces it, even if another loop is
/// running.
struct Ready {
    main_loop: MainLoop,
    deadline: Arc<Mutex<Option<Duration>>>,
}

impl Ready {
    fn wait(&self, this: &Source) -> Option<Duration> {
        let now = this.context().clock().now();
        lock(&self.deadline).map(|deadline| deadline.saturating_sub(now))
    }
}

impl Callbacks for Ready {
    fn prepare(&self, this: &Source) -> Prepare {
        match self.wait(this) {
            Some(Duration::ZERO) => Prepare::Ready,
            wait => Prepare::Wait(wait),
        }
    }

    fn check(&self, this: &Source) -> bool {
        self.wait(this) == Some(Duration::ZERO)
    }

    fn dispatch(&self, _this: &Source) -> ControlFlow<()> {
        self.main_loop.quit();
        ControlFlow::Continue(())
    }
}
