//! Tasks of a model run: `async-task` with a queue, and a way to drop all of them at the end.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use async_task::{Runnable, Task};

use crate::loops::{BoxFuture, Canceller};
use crate::model::clock::Clock;

/// How long one poll of a task takes, so that floods of polls take time.
pub(super) const POLL: Duration = Duration::from_micros(100);

/// Locks, ignoring poison: a planned panic must not spoil the rest of the run.
pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Planned panics stay inside their task, as in every runtime.
pub(super) fn quietly<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

/// A condition that only the driver makes true: a timer has fired, or a descriptor is ready. A task
/// that is polled for another reason does not see it earlier.
#[derive(Default)]
pub(super) struct Driven {
    happened: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Driven {
    /// The waker that the driver gets.
    pub(super) fn waker(self: &Arc<Self>, cx: &Context<'_>) -> Waker {
        *lock(&self.waker) = Some(cx.waker().clone());
        Waker::from(self.clone())
    }

    pub(super) fn has_happened(&self) -> bool {
        self.happened.load(Relaxed)
    }
}

impl Wake for Driven {
    fn wake(self: Arc<Self>) {
        self.happened.store(true, Relaxed);
        let waker = lock(&self.waker).take();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// All tasks of a run, to drop those that wait for something that never comes.
#[derive(Clone, Default)]
pub(super) struct Tasks(Arc<Mutex<Vec<Arc<Keep>>>>);

impl Tasks {
    /// Makes a task and schedules it.
    pub(super) fn spawn(
        &self,
        future: BoxFuture,
        schedule: impl Fn(Runnable) + Send + Sync + 'static,
    ) -> Canceller {
        let (runnable, task) = async_task::spawn(future, schedule);
        let keep = Arc::new(Keep(Mutex::new(Some(task))));
        lock(&self.0).push(keep.clone());
        runnable.schedule();
        // Dropping the canceller must not stop the task.
        Box::new(move || drop(keep.take()))
    }

    /// Drops all tasks that have not ended.
    pub(super) fn clear(&self) {
        let keeps = std::mem::take(&mut *lock(&self.0));
        for keep in keeps {
            drop(keep.take());
        }
    }
}

/// A task that is detached when its handle is dropped.
struct Keep(Mutex<Option<Task<()>>>);

impl Keep {
    fn take(&self) -> Option<Task<()>> {
        lock(&self.0).take()
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        if let Some(task) = self.take() {
            task.detach();
        }
    }
}

/// Tasks that are ready, first come, first served.
#[derive(Default)]
pub(super) struct RunQueue(Mutex<VecDeque<Runnable>>);

impl RunQueue {
    pub(super) fn push(&self, runnable: Runnable) {
        lock(&self.0).push_back(runnable);
    }

    pub(super) fn pop(&self) -> Option<Runnable> {
        lock(&self.0).pop_front()
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.0).len()
    }

    /// Polls the first task; `false` if there is none. It takes `cost`.
    pub(super) fn run_one(&self, clock: &Clock, cost: Duration) -> bool {
        let Some(runnable) = self.pop() else { return false };
        clock.advance(cost);
        quietly(|| runnable.run());
        true
    }

    /// Drops its tasks, and those that this schedules.
    pub(super) fn clear(&self) {
        while let Some(runnable) = self.pop() {
            drop(runnable);
        }
    }
}
