//! Panics that were caught, and code of others that may panic where nothing must.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

/// The payload of a panic. `Sync`, unlike the payload itself, so that errors can contain it and
/// still be `Send` and `Sync`.
///
/// Dropping it never panics, even if the payload's destructor does.
pub struct Panic(Mutex<Option<Box<dyn Any + Send>>>);

impl Panic {
    /// Wraps the payload that `catch_unwind` returned.
    pub fn new(payload: Box<dyn Any + Send>) -> Self {
        Self(Mutex::new(Some(payload)))
    }

    /// The payload, for `downcast`.
    pub fn into_payload(mut self) -> Box<dyn Any + Send> {
        // Only a drop takes it too.
        self.take().unwrap_or_else(|| Box::new(()))
    }

    /// Resumes the panic.
    pub fn resume(self) -> ! {
        resume_unwind(self.into_payload())
    }

    fn take(&mut self) -> Option<Box<dyn Any + Send>> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Panic {
    fn drop(&mut self) {
        let payload = self.take();
        if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            // It may be no better, and so on without end.
            mem::forget(another);
        }
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Panic(..)")
    }
}

/// Runs foreign code, such as a destructor, and swallows its panic, which the panic hook has reported.
pub fn quietly(run: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(run)).map_err(Panic::new));
}

/// Awaits `future` with a waker that does not panic, for wakers that are kept in a list: one that
/// panics would keep the others from being woken.
pub async fn awaited_quietly<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut awaiter = Awaiter::default();
    poll_fn(|cx| future.as_mut().poll(&mut Context::from_waker(awaiter.quiet(cx.waker())))).await
}

/// A waker, and a wrapper of it that does not panic, for those who must not be panicked into: the
/// callbacks of C, and async-task, which aborts.
#[derive(Debug, Default)]
pub struct Awaiter(Option<(Waker, Waker)>);

impl Awaiter {
    /// The wrapper of this waker; the one of last time, if the waker is the same.
    pub fn quiet(&mut self, waker: &Waker) -> &Waker {
        let known = self.0.take().filter(|(theirs, _)| theirs.will_wake(waker));
        let wrap = || (waker.clone(), Arc::new(Quiet(Some(waker.clone()))).into());
        &self.0.insert(known.unwrap_or_else(wrap)).1
    }
}

/// Emptied only when it is dropped.
struct Quiet(Option<Waker>);

impl Wake for Quiet {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(waker) = &self.0 {
            quietly(|| waker.wake_by_ref());
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let waker = self.0.take();
        quietly(|| drop(waker));
    }
}
