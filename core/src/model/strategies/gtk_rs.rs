//! `gtk-rs`: glib's own executor, each task a source, with tokio on its own thread.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Waker;
use std::time::Duration;

use async_task::Runnable;

use super::base::Base;
use super::fault::Fault;
use super::guest::Guest;
use super::jobs::Jobs;
use super::tape::Tape;
use super::tasks::{POLL, Tasks, lock, quietly};
use super::threads::TOKIO;
use super::worker::Worker;
use crate::loops::{BoxFuture, Canceller, Home, Job};
use crate::model::context::Context;
use crate::model::fd::Pipe;
use crate::model::source::{Callbacks, Source};

/// The panic message of glib's executor before it aborts.
const ENTERED: &str = "called `Result::unwrap()` on an `Err` value: EnterError";

/// glib's executor.
pub(super) struct GtkRs {
    tasks: Tasks,
    context: Context,
    tape: Arc<Tape>,
    /// A task is being polled: `futures_executor::enter()`.
    entered: Arc<AtomicBool>,
    worker: Worker,
    jobs: Jobs,
    drops_own_wake: bool,
}

impl GtkRs {
    pub(super) fn new(base: &Base) -> Self {
        Self {
            tasks: base.tasks.clone(),
            context: base.context.clone(),
            tape: base.tape.clone(),
            entered: Arc::default(),
            worker: Worker::new(base, TOKIO),
            jobs: Jobs::new(base),
            drops_own_wake: base.has(Fault::OwnWakeDropped),
        }
    }
}

impl Guest for GtkRs {
    fn spawn(&self, home: Home, task: BoxFuture) -> Canceller {
        if home == Home::Library {
            return self.worker.spawn(task);
        }
        let slot = Arc::new(Slot::default());
        let poll = Poll {
            slot: slot.clone(),
            entered: self.entered.clone(),
            tape: self.tape.clone(),
            drops_own_wake: self.drops_own_wake,
        };
        let source = self.context.source("task", poll);
        source.attach();
        let _ = slot.source.set(source);
        let slot = Arc::downgrade(&slot);
        let cancelled = slot.clone();
        let cancel = self.tasks.spawn(task, move |runnable| {
            let Some(slot) = slot.upgrade() else { return };
            *lock(&slot.ready) = Some(runnable);
            if let Some(source) = slot.source.get() {
                source.set_ready_time(Some(Duration::ZERO));
            }
        });
        // `JoinHandle::abort` destroys the source, and the future goes with it, at once.
        Box::new(move || {
            let slot = cancelled.upgrade();
            cancel();
            let Some(slot) = slot else { return };
            slot.source.get().into_iter().for_each(Source::destroy);
            let future = lock(&slot.ready).take();
            drop(future);
        })
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

    fn is_remote(&self, home: Home) -> bool {
        home == Home::Library
    }

    fn push(&self, job: Job) {
        self.jobs.push(job);
    }

    fn clear(&self) {
        self.worker.clear();
        self.jobs.clear();
    }
}

/// A task and its source.
#[derive(Default)]
struct Slot {
    ready: Mutex<Option<Runnable>>,
    source: OnceLock<Source>,
}

struct Poll {
    slot: Arc<Slot>,
    entered: Arc<AtomicBool>,
    tape: Arc<Tape>,
    drops_own_wake: bool,
}

impl Callbacks for Poll {
    fn dispatch(&self, this: &Source) -> ControlFlow<()> {
        this.set_ready_time(None);
        let Some(runnable) = lock(&self.slot.ready).take() else {
            return ControlFlow::Continue(());
        };
        if self.entered.swap(true, Relaxed) {
            self.tape.die(ENTERED);
            return ControlFlow::Break(());
        }
        this.context().clock().advance(POLL);
        quietly(|| runnable.run());
        self.entered.store(false, Relaxed);
        if self.drops_own_wake {
            this.set_ready_time(None);
        }
        ControlFlow::Continue(())
    }

    fn asks(&self) -> bool {
        false
    }
}
