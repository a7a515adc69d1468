//! Awaiting a task, and why it has no result.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use async_task::{FallibleTask, Task};

use crate::panics::{Awaiter, Panic, quietly};
use crate::sync::{Arc, AtomicBool, Ordering};

/// What a task and its handle tell each other, and the executor.
pub(super) struct Marks {
    /// By the handle: the task is not to be polled again.
    pub(super) aborted: AtomicBool,
    /// By the handle: nobody awaits the task.
    pub(super) detached: AtomicBool,
    pub(super) polled: AtomicBool,
}

impl Marks {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            aborted: AtomicBool::new(false),
            detached: AtomicBool::new(false),
            polled: AtomicBool::new(false),
        })
    }
}

/// A result that may never be taken. async-task aborts the process if dropping it panics, so this
/// catches that panic.
pub(super) struct Output<T>(pub(super) Option<T>);

impl<T> Output<T> {
    fn take(mut self) -> Option<T> {
        self.0.take()
    }
}

impl<T> Drop for Output<T> {
    fn drop(&mut self) {
        let output = self.0.take();
        quietly(|| drop(output));
    }
}

/// Awaits a task. Dropping it detaches the task, which keeps running, as in tokio and glib.
pub struct JoinHandle<T> {
    /// Taken out only when this is dropped.
    task: Option<Joining<T>>,
    waker: Waker,
    marks: Arc<Marks>,
    /// async-task gets a wrapper of the waker of the task that awaits this.
    awaiter: Awaiter,
}

type Joining<T> = FallibleTask<Result<Output<T>, JoinError>>;

/// Why a task has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// It was cancelled, or its executor takes no more tasks or is gone.
    #[error("the task was cancelled")]
    Cancelled,
    /// It panicked.
    #[error("the task panicked")]
    Panicked(Panic),
}

impl JoinError {
    /// Whether the task was cancelled: aborted, or its executor is gone.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }

    /// Whether the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// What the panic carried.
    ///
    /// # Panics
    /// When the task was cancelled.
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        match self {
            Self::Panicked(panic) => panic.into_payload(),
            Self::Cancelled => panic!("the task was cancelled and did not panic"),
        }
    }
}

impl<T> JoinHandle<T> {
    pub(super) fn new(
        task: Task<Result<Output<T>, JoinError>>,
        waker: Waker,
        marks: Arc<Marks>,
    ) -> Self {
        Self { task: Some(task.fallible()), waker, marks, awaiter: Awaiter::default() }
    }

    /// Cancels the task, as tokio's handle does: it is not polled again, and its future is dropped on
    /// its own thread when it would be polled next.
    ///
    /// Awaiting the handle waits for that, and gives [`JoinError::Cancelled`]; or the output, if the
    /// task ended first.
    pub fn abort(&self) {
        self.marks.aborted.swap(true, Ordering::AcqRel);
        self.waker.wake_by_ref();
    }

    /// Whether the task has ended. An aborted task ends when its future is dropped.
    pub fn is_finished(&self) -> bool {
        self.task.as_ref().is_none_or(FallibleTask::is_finished)
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("is_finished", &self.is_finished()).finish()
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            self.marks.detached.store(true, Ordering::Relaxed);
            task.detach();
        }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(task) = &mut this.task else {
            return Poll::Ready(Err(JoinError::Cancelled));
        };
        let awaiter = this.awaiter.quiet(cx.waker());
        Pin::new(task).poll(&mut Context::from_waker(awaiter)).map(|output| match output {
            None => Err(JoinError::Cancelled),
            Some(Err(error)) => Err(error),
            Some(Ok(output)) => output.take().ok_or(JoinError::Cancelled),
        })
    }
}
