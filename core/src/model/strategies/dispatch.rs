//! The model of `dispatch`, in virtual time: GLib drives async.
//!
//! One source ([`Main`]) runs tokio until it would wait, and polls our own tasks, a slice at a time.
//! A second one ([`Later`]) continues unfinished work at idle priority. Both can be dispatched again
//! inside themselves. They are the sources of the real `Dispatch`, in the same order, with the same
//! [`Backlog`] and [`WakeFlag`].

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Waker;
use std::time::Duration;

use super::base::Base;
use super::fault::Fault;
use super::guest::Guest;
use super::runtime::Runtime;
use super::tasks::{POLL, RunQueue, Tasks, lock};
use crate::loops::{BoxFuture, Canceller, Home, Refused};
use crate::model::clock::Clock;
use crate::model::context::Context;
use crate::model::fd::{Events, Pipe};
use crate::model::source::{Callbacks, FdTag, Prepare, Source};
use crate::pace::{Backlog, LATER, POLLS, SLICE};
use crate::protocol::wake::WakeFlag;

/// The executor and tokio, as sources.
pub(super) struct Dispatch {
    tasks: Tasks,
    context: Context,
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    runtime: Runtime,
    ready: RunQueue,
    /// Armed while the loop sleeps: a wake then rings the loop.
    flag: WakeFlag,
    /// Turns of tokio on the stack. In a nested loop inside one, tokio refuses another.
    turns: AtomicU32,
    /// Whether GLib polls tokio's descriptor. If not, tokio's deadline does not count either.
    watching: AtomicBool,
    tag: OnceLock<FdTag>,
    /// The moment at which tokio needs another turn even if no descriptor is ready.
    deadline: Mutex<Option<Duration>>,
    /// Whether the last slice left work, since when, and how many iterations have passed it over.
    backlog: Mutex<Backlog<Duration>>,
    /// Faults that a test can switch on while it runs.
    leaves_descriptor: bool,
    keeps_deadline: bool,
}

impl Dispatch {
    pub(super) fn new(base: &Base) -> Self {
        let shared = Arc::new(Shared {
            clock: base.clock.clone(),
            runtime: Runtime::new(base, POLLS),
            ready: RunQueue::default(),
            flag: WakeFlag::new(),
            turns: AtomicU32::new(0),
            watching: AtomicBool::new(true),
            tag: OnceLock::new(),
            deadline: Mutex::new(None),
            backlog: Mutex::default(),
            leaves_descriptor: base.has(Fault::DescriptorLeft),
            keeps_deadline: base.has(Fault::DeadlineKept),
        });
        let main = base.context.source("dispatch", Main(shared.clone()));
        main.set_can_recurse(!base.has(Fault::SourceCannotRecurse));
        let _ = shared.tag.set(main.add_unix_fd(shared.runtime.epfd(), Events::IN));
        main.attach();
        let later = base.context.source("dispatch, later", Later(shared.clone()));
        later.set_can_recurse(true);
        later.set_priority(LATER);
        later.attach();
        Self { tasks: base.tasks.clone(), context: base.context.clone(), shared }
    }
}

impl Guest for Dispatch {
    fn spawn(&self, home: Home, task: BoxFuture) -> Canceller {
        if home == Home::Library {
            return self.shared.runtime.spawn(task);
        }
        let (context, shared) = (self.context.clone(), Arc::downgrade(&self.shared));
        self.tasks.spawn(task, move |runnable| {
            let Some(shared) = shared.upgrade() else { return };
            shared.ready.push(runnable);
            if shared.flag.trip() {
                context.wakeup();
            }
        })
    }

    fn wake_at(&self, deadline: Duration, waker: Waker) {
        self.shared.runtime.wake_at(deadline, waker);
    }

    fn wake_readable(&self, pipe: &Pipe, waker: Waker) {
        self.shared.runtime.wake_readable(pipe, waker);
    }

    fn refuses_block_on(&self) -> Option<Refused> {
        (self.shared.turns.load(Relaxed) > 0).then_some(Refused {
            strategy: "dispatch",
            what: "block on a future inside a task on tokio's own queue",
            why: "tokio is on the stack and does not nest; use a task of spawn_local",
        })
    }

    fn clear(&self) {
        self.shared.runtime.clear();
        self.shared.ready.clear();
    }
}

/// How a turn ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Idle,
    Served,
    OutOfTime,
}

impl Shared {
    /// Runs tokio until it would park.
    fn turn(&self, end: Duration) -> Turn {
        if !self.keeps_deadline {
            *lock(&self.deadline) = None;
        }
        self.turns.fetch_add(1, Relaxed);
        self.runtime.enter();
        let mut served = false;
        let turn = loop {
            let more = self.runtime.run_some();
            let timeout = if more { Some(Duration::ZERO) } else { self.runtime.timeout() };
            if timeout == Some(Duration::ZERO) {
                // What the wait itself wakes is not seen in it.
                let ready = self.ready.len() > 0;
                self.runtime.take_events();
                self.runtime.expire_timers();
                served = true;
                if self.clock.now() >= end {
                    break Turn::OutOfTime;
                }
                if ready {
                    *lock(&self.deadline) = Some(self.clock.now());
                    break Turn::Served;
                }
            } else if !served && self.runtime.take_events() {
                self.runtime.expire_timers();
                served = true;
            } else {
                *lock(&self.deadline) = timeout.map(|timeout| self.clock.now() + timeout);
                break if served { Turn::Served } else { Turn::Idle };
            }
        };
        self.runtime.leave();
        self.turns.fetch_sub(1, Relaxed);
        turn
    }

    /// Polls our tasks; returns whether some are left.
    fn poll_tasks(&self, end: Duration) -> bool {
        while self.ready.run_one(&self.clock, POLL) {
            if self.clock.now() >= end {
                return self.ready.len() > 0;
            }
        }
        false
    }

    fn run(&self) {
        // Awake, even if GLib has not called `check` since the flag was armed.
        self.flag.disarm();
        let end = self.clock.now() + SLICE;
        let more = loop {
            let more = self.poll_tasks(end);
            // A task on tokio's own queue opened the loop that we are in.
            if self.turns.load(Relaxed) > 0 {
                break more;
            }
            let turn = self.turn(end);
            if more || turn == Turn::OutOfTime || self.clock.now() >= end {
                break true;
            }
            if turn == Turn::Idle && self.ready.len() == 0 {
                break false;
            }
        };
        lock(&self.backlog).set(more.then(|| self.clock.now()));
    }

    fn is_left(&self) -> bool {
        lock(&self.backlog).is_left()
    }

    /// Whether tokio's deadline has passed, or the backlog has waited long enough.
    fn is_due(&self) -> bool {
        self.wait() == Some(Duration::ZERO) || lock(&self.backlog).is_due(|| self.clock.now())
    }

    /// Called before the loop sleeps: whether a task is ready and it must not.
    fn must_not_sleep(&self) -> bool {
        self.flag.look_before_sleep(|| self.ready.len() > 0)
    }

    fn wait(&self) -> Option<Duration> {
        let counts = self.keeps_deadline || self.watching.load(Relaxed);
        let deadline = lock(&self.deadline).filter(|_| counts)?;
        Some(deadline.saturating_sub(self.clock.now()))
    }
}

struct Main(Arc<Shared>);

impl Callbacks for Main {
    fn prepare(&self, this: &Source) -> Prepare {
        let shared = &self.0;
        lock(&shared.backlog).pass();
        let left = shared.is_left();
        let wanted = !left && shared.turns.load(Relaxed) == 0;
        if shared.watching.swap(wanted, Relaxed) != wanted
            && !shared.leaves_descriptor
            && let Some(&tag) = shared.tag.get()
        {
            this.modify_fd(tag, if wanted { Events::IN } else { Events::empty() });
        }
        let due = shared.is_due();
        if lock(&shared.backlog).prepare(due, || shared.must_not_sleep()) {
            return Prepare::Ready;
        }
        Prepare::Wait(shared.wait())
    }

    fn check(&self, _this: &Source) -> bool {
        let shared = &self.0;
        shared.flag.disarm();
        shared.is_due() || (!shared.is_left() && shared.ready.len() > 0)
    }

    fn dispatch(&self, _this: &Source) -> ControlFlow<()> {
        self.0.run();
        ControlFlow::Continue(())
    }
}

/// Continues the work that was left.
struct Later(Arc<Shared>);

impl Callbacks for Later {
    fn prepare(&self, _this: &Source) -> Prepare {
        if self.0.is_left() { Prepare::Ready } else { Prepare::Wait(None) }
    }

    fn check(&self, _this: &Source) -> bool {
        self.0.is_left()
    }

    fn dispatch(&self, _this: &Source) -> ControlFlow<()> {
        self.0.run();
        ControlFlow::Continue(())
    }
}
