//! tokio on its own thread: everything it does is an event of the clock.

use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use super::base::Base;
use super::tasks::{POLL, RunQueue, Tasks, lock, quietly};
use crate::loops::{BoxFuture, Canceller};
use crate::model::clock::{Clock, Thread};
use crate::model::fd::Pipe;

/// From a wake until the thread runs.
const HOP: Duration = Duration::from_micros(20);

/// Clones are the same thread.
#[derive(Clone)]
pub(super) struct Worker {
    tasks: Tasks,
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    thread: Thread,
    ready: RunQueue,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether it was woken and has not run since.
    coming: bool,
    readers: Vec<(Pipe, Waker)>,
}

impl Worker {
    pub(super) fn new(base: &Base, thread: Thread) -> Self {
        let inner = Inner {
            clock: base.clock.clone(),
            thread,
            ready: RunQueue::default(),
            state: Mutex::default(),
        };
        Self { tasks: base.tasks.clone(), inner: Arc::new(inner) }
    }

    /// Starts a task.
    pub(super) fn spawn(&self, task: BoxFuture) -> Canceller {
        let inner = Arc::downgrade(&self.inner);
        self.tasks.spawn(task, move |runnable| {
            if let Some(inner) = inner.upgrade() {
                inner.ready.push(runnable);
                inner.come(HOP);
            }
        })
    }

    /// Wakes at a time.
    pub(super) fn wake_at(&self, deadline: Duration, waker: Waker) {
        let deadline = Duration::from_millis(deadline.as_micros().div_ceil(1000) as u64);
        self.inner.clock.at_on(self.inner.thread, deadline, move || waker.wake());
    }

    /// Wakes once there is something to read.
    pub(super) fn wake_readable(&self, pipe: &Pipe, waker: Waker) {
        lock(&self.inner.state).readers.push((pipe.clone(), waker));
        self.written();
    }

    /// Something was written to a pipe.
    pub(super) fn written(&self) {
        if lock(&self.inner.state).readers.iter().any(|(pipe, _)| is_ready(pipe)) {
            self.inner.come(HOP);
        }
    }

    /// Drops what is queued and what waits.
    pub(super) fn clear(&self) {
        let readers = std::mem::take(&mut lock(&self.inner.state).readers);
        drop(readers);
        self.inner.ready.clear();
    }
}

fn is_ready(pipe: &Pipe) -> bool {
    !pipe.read_end().ready().is_empty()
}

impl Inner {
    /// Makes the thread run after a delay, unless it is already about to.
    fn come(self: &Arc<Self>, after: Duration) {
        if std::mem::replace(&mut lock(&self.state).coming, true) {
            return;
        }
        let inner = Arc::downgrade(self);
        self.clock.at_on(self.thread, self.clock.now() + after, move || {
            if let Some(inner) = inner.upgrade() {
                inner.run();
            }
        });
    }

    /// Polls each task that is ready once.
    fn run(self: &Arc<Self>) {
        let ready = {
            let mut state = lock(&self.state);
            state.readers.extract_if(.., |(pipe, _)| is_ready(pipe)).collect::<Vec<_>>()
        };
        ready.into_iter().for_each(|(_, waker)| waker.wake());
        let n = self.ready.len();
        for _ in 0..n {
            // An event takes no time; the cost of the polls is added below.
            if let Some(runnable) = self.ready.pop() {
                quietly(|| runnable.run());
            }
        }
        // Only now, so that everything woken or written meanwhile is seen here.
        let written = {
            let mut state = lock(&self.state);
            state.coming = false;
            state.readers.iter().any(|(pipe, _)| is_ready(pipe))
        };
        if self.ready.len() > 0 || written {
            self.come(POLL * u32::try_from(n.max(1)).unwrap_or(1));
        }
    }
}
