//! A one-time signal, settable from any thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Set once, awaited by any number of tasks: clones are one signal, and each task awaits its own.
#[derive(Clone, Debug, Default)]
pub struct Signal(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    set: bool,
    wakers: Vec<Waker>,
}

impl Signal {
    /// Sets it and wakes all waiting tasks. Later calls do nothing.
    pub fn set(&self) {
        // Outside the lock, because a waker can run arbitrary code.
        let wakers = {
            let mut state = self.lock();
            state.set = true;
            std::mem::take(&mut state.wakers)
        };
        for waker in wakers {
            waker.wake();
        }
    }

    /// Whether it has been set.
    pub fn is_set(&self) -> bool {
        self.lock().set
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Future for Signal {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.set {
            return Poll::Ready(());
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}
