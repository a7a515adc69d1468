//! Tasks for the tests.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use loopnest_core::executor::{Executor, JoinError, JoinHandle};

/// Long enough for everything that is ready.
pub const LONG: Duration = Duration::from_secs(60);

/// An executor and the number of times it rang its host.
pub fn executor() -> (Rc<Executor>, Arc<AtomicUsize>) {
    let rings = Arc::new(AtomicUsize::new(0));
    let count = rings.clone();
    let executor = Executor::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    (Rc::new(executor), rings)
}

/// Polls a handle once.
pub fn result<T>(handle: &mut JoinHandle<T>) -> Option<Result<T, JoinError>> {
    match Pin::new(handle).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

/// A task that waits, and puts its waker into the slot when it is first polled.
pub fn waiting(executor: &Executor) -> (Waker, Rc<Cell<u32>>) {
    let (slot, polls) = (Rc::new(RefCell::new(None)), Rc::new(Cell::new(0)));
    let (waker, count) = (slot.clone(), polls.clone());
    executor.spawn_local(poll_fn(move |cx| {
        waker.replace(Some(cx.waker().clone()));
        count.set(count.get() + 1);
        Poll::<()>::Pending
    }));
    executor.run_slice(LONG);
    (slot.take().expect("the task was polled"), polls)
}

/// Yields once.
pub fn yield_now() -> impl Future<Output = ()> {
    let mut yielded = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Counts itself while it lives, and reports the thread on which it was dropped.
pub struct Alive {
    n: Arc<AtomicUsize>,
    dropped: Option<mpsc::Sender<ThreadId>>,
}

impl Alive {
    pub fn new(n: &Arc<AtomicUsize>) -> Self {
        n.fetch_add(1, Ordering::SeqCst);
        Self { n: n.clone(), dropped: None }
    }

    pub fn telling(n: &Arc<AtomicUsize>, dropped: &mpsc::Sender<ThreadId>) -> Self {
        let mut alive = Self::new(n);
        alive.dropped = Some(dropped.clone());
        alive
    }
}

impl Clone for Alive {
    fn clone(&self) -> Self {
        let mut alive = Self::new(&self.n);
        alive.dropped.clone_from(&self.dropped);
        alive
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.n.fetch_sub(1, Ordering::SeqCst);
        if let Some(dropped) = &self.dropped {
            dropped.send(thread::current().id()).expect("the test listens");
        }
    }
}

/// Runs a closure when it is dropped.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

pub fn live() -> Arc<AtomicUsize> {
    Arc::new(AtomicUsize::new(0))
}

/// Panics when it is dropped, silently.
pub fn panics_on_drop() -> OnDrop<impl FnMut()> {
    OnDrop(|| std::panic::resume_unwind(Box::new("planned")))
}
