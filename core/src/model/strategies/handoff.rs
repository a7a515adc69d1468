//! `handoff`: tokio on its own thread; jobs for GLib cross through a queue and a source.

use std::task::Waker;
use std::time::Duration;

use super::base::Base;
use super::guest::Guest;
use super::jobs::Jobs;
use super::threads::TOKIO;
use super::worker::Worker;
use crate::loops::{BoxFuture, Canceller, Home, Job};
use crate::model::fd::Pipe;

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
