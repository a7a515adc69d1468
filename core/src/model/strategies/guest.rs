//! What the model of a strategy supplies: how tasks are spawned and polled, how it waits for timers
//! and descriptors, and what a block-on does.

use std::task::Waker;
use std::time::Duration;

use super::base::Base;
use crate::loops::{BoxFuture, Canceller, Home, Job, Refused};
use crate::model::fd::Pipe;

/// The async side of a strategy's model.
pub(super) trait Guest: Send + Sync {
    /// Starts a task.
    fn spawn(&self, home: Home, task: BoxFuture) -> Canceller;

    /// Wakes at a time.
    fn wake_at(&self, deadline: Duration, waker: Waker);

    /// Wakes once there is something to read.
    fn wake_readable(&self, pipe: &Pipe, waker: Waker);

    /// Something was written to a pipe. Does nothing in a model that polls descriptors.
    fn written(&self) {}

    /// Whether tasks that live in `home` are on another thread than GLib.
    fn is_remote(&self, home: Home) -> bool {
        let _ = home;
        false
    }

    /// Queues a job for the GLib thread, for tasks that are not on it.
    fn push(&self, job: Job) {
        job();
    }

    /// Whether it refuses a block-on here and now.
    fn refuses_block_on(&self) -> Option<Refused> {
        None
    }

    /// Runs both loops until the run is over.
    fn run(&self, base: &Base) {
        while base.clock.stuck().is_none() {
            base.context.iteration(true);
        }
    }

    /// Whether this is the ideal run, which has no priorities and no floods that take the whole
    /// thread, and in which a panic ends only its source.
    fn is_ideal(&self) -> bool {
        false
    }

    /// Drops what is queued.
    fn clear(&self);
}
