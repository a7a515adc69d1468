//! The ideal: every nested loop runs everything that is not on the stack, nothing starves, and only
//! waiting and computing take time.
//!
//! It uses the same GMainContext as the models of the strategies, so it keeps GLib's rule that a
//! source is not dispatched while its own callback runs: a timer that opens a dialog does not tick
//! meanwhile. Priorities are left out, because they only order events of the same moment.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use super::base::Base;
use super::guest::Guest;
use super::tasks::{RunQueue, Tasks, lock};
use crate::loops::{BoxFuture, Canceller, Home};
use crate::model::clock::Clock;
use crate::model::context::Context;
use crate::model::fd::Pipe;
use crate::model::source::{Callbacks, Prepare, Source};

/// One source that can recurse, and a run queue.
pub(super) struct Ideal {
    tasks: Tasks,
    context: Context,
    clock: Clock,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    ready: RunQueue,
    /// The tasks that wait for something to read.
    readers: Mutex<Vec<(Pipe, Waker)>>,
}

impl Ideal {
    pub(super) fn new(base: &Base) -> Self {
        let shared = Arc::new(Shared::default());
        let source = base.context.source("ideal", Runs(shared.clone()));
        source.set_can_recurse(true);
        source.attach();
        Self {
            tasks: base.tasks.clone(),
            context: base.context.clone(),
            clock: base.clock.clone(),
            shared,
        }
    }
}

impl Guest for Ideal {
    fn spawn(&self, _home: Home, task: BoxFuture) -> Canceller {
        let (context, shared) = (self.context.clone(), Arc::downgrade(&self.shared));
        self.tasks.spawn(task, move |runnable| {
            if let Some(shared) = shared.upgrade() {
                shared.ready.push(runnable);
                context.wakeup();
            }
        })
    }

    fn wake_at(&self, deadline: Duration, waker: Waker) {
        self.clock.at(deadline, move || waker.wake());
    }

    fn wake_readable(&self, pipe: &Pipe, waker: Waker) {
        lock(&self.shared.readers).push((pipe.clone(), waker));
    }

    fn written(&self) {
        let mut readers = lock(&self.shared.readers);
        let ready = readers.extract_if(.., |(pipe, _)| !pipe.read_end().ready().is_empty());
        let ready: Vec<_> = ready.collect();
        drop(readers);
        ready.into_iter().for_each(|(_, waker)| waker.wake());
    }

    fn is_ideal(&self) -> bool {
        true
    }

    fn clear(&self) {
        let readers = std::mem::take(&mut *lock(&self.shared.readers));
        drop(readers);
        self.shared.ready.clear();
    }
}

struct Runs(Arc<Shared>);

impl Callbacks for Runs {
    fn prepare(&self, _this: &Source) -> Prepare {
        if self.0.ready.len() > 0 { Prepare::Ready } else { Prepare::Wait(None) }
    }

    fn check(&self, _this: &Source) -> bool {
        self.0.ready.len() > 0
    }

    fn dispatch(&self, this: &Source) -> ControlFlow<()> {
        while self.0.ready.run_one(this.context().clock(), Duration::ZERO) {}
        ControlFlow::Continue(())
    }
}
