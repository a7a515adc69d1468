//! Awaiting a call that other code may cancel.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use loopnest_strategies::CallError;
use tokio::time::timeout;

use crate::call::{Call, End, Outcome, Point};
use crate::{lock, micros};

pub(crate) type Here = Pin<Box<dyn Future<Output = Result<Outcome, CallError>>>>;
pub(crate) type Elsewhere = Pin<Box<dyn Future<Output = Result<Outcome, CallError>> + Send>>;

/// A future that other code can drop while a task awaits it.
pub(crate) struct Slot<F>(Mutex<(Option<F>, Option<Waker>)>);

impl<F: Future + Unpin> Slot<F> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new((None, None))))
    }

    pub(crate) fn fill(&self, future: F) {
        lock(&self.0).0 = Some(future);
    }

    /// Drops it, and wakes the task that awaits it.
    pub(crate) fn clear(&self) {
        let (future, waker) = {
            let mut slot = lock(&self.0);
            (slot.0.take(), slot.1.take())
        };
        drop(future);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// `None` when it was dropped.
    pub(crate) fn poll(&self, cx: &mut std::task::Context<'_>) -> Poll<Option<F::Output>> {
        let mut slot = lock(&self.0);
        let Some(future) = &mut slot.0 else { return Poll::Ready(None) };
        let polled = Pin::new(future).poll(cx);
        match polled {
            Poll::Ready(output) => {
                slot.0 = None;
                Poll::Ready(Some(output))
            }
            Poll::Pending => {
                slot.1 = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Awaits the call, or cancels it from the task's side.
pub(crate) async fn drive<F: Future<Output = Result<Outcome, CallError>> + Unpin>(
    call: Arc<Call>,
    slot: Arc<Slot<F>>,
) {
    let wait = poll_fn(|cx| slot.poll(cx));
    let result = match call.plan.point {
        Point::Unpolled => None,
        Point::Polls(n) => {
            let mut left = n;
            poll_fn(|cx| match slot.poll(cx) {
                Poll::Pending if left == 0 => Poll::Ready(None),
                Poll::Pending => {
                    left -= 1;
                    // Makes the executor poll again in its next round.
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                ready => ready,
            })
            .await
        }
        Point::Timeout(us) => timeout(micros(us), wait).await.ok().flatten(),
        _ => wait.await,
    };
    slot.clear();
    let end = match result {
        None => End::Dropped,
        Some(Ok(outcome)) => End::Resolved(outcome),
        Some(Err(_)) => End::CallError,
    };
    lock(&call.ends).push(end);
}
