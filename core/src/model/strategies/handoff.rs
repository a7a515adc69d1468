//! `handoff`: tokio on a thread of its own; jobs for GLib through a queue and a source.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use super::Fault;
use super::host::{Base, Guest};
use super::tasks::{lock, quietly};
use super::worker::{TOKIO, Worker};
use crate::loops::{BoxFuture, Canceller, Home, Job};
use crate::model::{Callbacks, Context, Pipe, Prepare, Source};

/// A worker, and jobs for the GLib thread.
pub(super) struct Handoff {
    worker: Worker,
    jobs: Jobs,
}

impl Handoff {
    pub(super) fn new(base: &Base) -> Self {
        Self { worker: Worker::new(base, TOKIO), jobs: Jobs::new(base) }
    }
}

impl Guest for Handoff {
    fn spawn(&self, _home: Home, task: BoxFuture) -> Canceller {
        self.worker.spawn(task)
    }

    fn wake_at(&self, deadline: Duration, waker: Waker) {
        self.worker.wake_at(deadline, waker);
    }

    fn wake_readable(&self, pipe: &Pipe, waker: Waker) {
        self.worker.wake_readable(pipe, waker);
    }

    fn written(&self) {
        self.worker.written();
    }

    fn is_remote(&self, _home: Home) -> bool {
        true
    }

    fn push(&self, job: Job) {
        self.jobs.push(job);
    }

    fn clear(&self) {
        self.worker.clear();
        self.jobs.clear();
    }
}

/// Work for the GLib thread.
pub(super) struct Jobs {
    queue: Arc<Queue>,
    context: Context,
    wakes: bool,
}

#[derive(Default)]
struct Queue {
    jobs: Mutex<VecDeque<Job>>,
    armed: AtomicBool,
}

impl Jobs {
    pub(super) fn new(base: &Base) -> Self {
        let queue = Arc::new(Queue::default());
        let source = base.context.source("jobs", Runs(queue.clone()));
        source.set_can_recurse(!base.has(Fault::JobsCannotRecurse));
        source.attach();
        let wakes = !base.has(Fault::JobDoesNotWake);
        Self { queue, context: base.context.clone(), wakes }
    }

    pub(super) fn push(&self, job: Job) {
        lock(&self.queue.jobs).push_back(job);
        if self.queue.armed.swap(false, Relaxed) && self.wakes {
            self.context.wakeup();
        }
    }

    pub(super) fn clear(&self) {
        let jobs = std::mem::take(&mut *lock(&self.queue.jobs));
        drop(jobs);
    }
}

struct Runs(Arc<Queue>);

impl Callbacks for Runs {
    fn prepare(&self, _this: &Source) -> Prepare {
        if !lock(&self.0.jobs).is_empty() {
            return Prepare::Ready;
        }
        self.0.armed.store(true, Relaxed);
        Prepare::Wait(None)
    }

    fn check(&self, _this: &Source) -> bool {
        self.0.armed.store(false, Relaxed);
        !lock(&self.0.jobs).is_empty()
    }

    fn dispatch(&self, _this: &Source) -> ControlFlow<()> {
        loop {
            let job = lock(&self.0.jobs).pop_front();
            let Some(job) = job else { break };
            quietly(job);
        }
        ControlFlow::Continue(())
    }
}
