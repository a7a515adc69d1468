//! The two sides of a model run: how GLib calls back, and which runtime a task lives on.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Waker;
use std::time::Duration;

use super::base::Base;
use super::guest::Guest;
use super::jobs::Jobs;
use super::tasks::{lock, quietly};
use super::threads::REMOTE;
use super::worker::Worker;
use crate::loops::{BoxFuture, Callback, Canceller, Home, Job};
use crate::model::fd::Pipe;
use crate::model::funcs::PRIORITY_DEFAULT;

/// GLib, the strategy's runtime, and another runtime if the program wants one.
pub(super) struct Sides {
    pub(super) base: Base,
    pub(super) guest: Arc<dyn Guest>,
    /// Created for the first task that lives there.
    remote: OnceLock<Remote>,
}

/// Another tokio, and its way to the GLib thread.
struct Remote {
    worker: Worker,
    jobs: Jobs,
}

impl Sides {
    pub(super) fn new(base: Base, guest: Arc<dyn Guest>) -> Self {
        Self { base, guest, remote: OnceLock::new() }
    }

    /// Starts a task where tasks of `home` live.
    pub(super) fn spawn(&self, home: Home, task: BoxFuture) -> Canceller {
        match self.remote(home) {
            Some(remote) => remote.worker.spawn(task),
            None => self.guest.spawn(home, task),
        }
    }

    pub(super) fn wake_at(&self, deadline: Duration, waker: Waker) {
        match self.polled_remotely() {
            Some(worker) => worker.wake_at(deadline, waker),
            None => self.guest.wake_at(deadline, waker),
        }
    }

    pub(super) fn wake_readable(&self, pipe: &Pipe, waker: Waker) {
        match self.polled_remotely() {
            Some(worker) => worker.wake_readable(pipe, waker),
            None => self.guest.wake_readable(pipe, waker),
        }
    }

    /// Something was written to a pipe.
    pub(super) fn written(&self) {
        self.guest.written();
        if let Some(remote) = self.remote.get() {
            remote.worker.written();
        }
    }

    /// Whether tasks of `home` are on another thread than GLib.
    pub(super) fn is_remote(&self, home: Home) -> bool {
        self.remote(home).is_some() || self.guest.is_remote(home)
    }

    /// Does a job on the GLib thread for a task of `home`; at once, if the task lives there.
    pub(super) fn push(&self, home: Home, job: Job) {
        match self.remote(home) {
            Some(remote) => remote.jobs.push(job),
            None if self.guest.is_remote(home) => self.guest.push(job),
            None => job(),
        }
    }

    /// A callback as GLib calls it: nothing can unwind through C.
    pub(super) fn called(
        &self,
        mut callback: Callback,
    ) -> impl Fn() -> ControlFlow<()> + Send + Sync + use<> {
        let (tape, ideal) = (self.base.tape.clone(), self.guest.is_ideal());
        // Locked while it runs; its source is blocked meanwhile.
        let callback = Mutex::new(move || {
            quietly(&mut callback).unwrap_or_else(|| {
                if !ideal {
                    tape.die("panic in a function that cannot unwind");
                }
                ControlFlow::Break(())
            })
        });
        move || (*lock(&callback))()
    }

    /// The priority that a source gets; the ideal run has none.
    pub(super) fn priority(&self, priority: i32) -> i32 {
        if self.guest.is_ideal() { PRIORITY_DEFAULT } else { priority }
    }

    /// Drops what is queued.
    pub(super) fn clear(&self) {
        self.guest.clear();
        if let Some(remote) = self.remote.get() {
            remote.worker.clear();
            remote.jobs.clear();
        }
    }

    /// The other tokio, if tasks of `home` live on it. In the ideal run all tasks live on one
    /// thread.
    fn remote(&self, home: Home) -> Option<&Remote> {
        (home == Home::Remote && !self.guest.is_ideal()).then(|| {
            self.remote.get_or_init(|| Remote {
                worker: Worker::new(&self.base, REMOTE),
                jobs: Jobs::new(&self.base),
            })
        })
    }

    /// The other tokio, if the caller is its thread: timers and descriptors are those of the
    /// runtime that polls.
    fn polled_remotely(&self) -> Option<&Worker> {
        let remote = self.remote.get().filter(|_| self.base.clock.thread() == REMOTE);
        remote.map(|remote| &remote.worker)
    }
}
