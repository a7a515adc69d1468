//! GAsyncResult calls as futures, with cancellation.
//!
//! An asynchronous GLib call is started with a callback and finished with a `GAsyncResult`.
//! gio's Rust bindings make one call of the two: a function that takes a `GCancellable` and a
//! closure for the result. Here that becomes something to await, on either side:
//!
//! - [`call`]: on the GLib thread. The result need not be `Send`. Unlike `gio::GioFuture` it says
//!   when the thread does not own the context instead of panicking, and it works in every
//!   executor: in [`Dispatch`](crate::Dispatch), in a task of [`Nested`](crate::Nested), in glib's
//!   own, and in a loop nested in any of these, as far as the strategy goes on there.
//! - [`GlibHandle::gasync`]: from any thread, in any tokio task. The call is started on the
//!   context's thread by a job, never by `MainContext::invoke`. Every strategy gives a handle
//!   (`glib`), and so does a bare [`JobQueue`](crate::JobQueue).
//!
//! # What cancellation guarantees
//!
//! Dropping the future cancels the `GCancellable`, and so do `tokio::time::timeout`, `select!` and
//! the end of the task.
//! A call that has not begun is not started.
//! One that has begun is told; its result, `G_IO_ERROR_CANCELLED` or whatever came first, is
//! dropped when the context is iterated next (GTask's contract: exactly one callback, in the
//! context of the start; gtask.c 2.74.6, line 1223), and only then is the data of its closure
//! freed. A context that nobody iterates any more keeps both.
//! Handlers of the `cancelled` signal run in the thread that drops the future
//! (`g_cancellable_cancel`).
//!
//! `tests/tests/gasync_cancel` holds every strategy to this with ten thousand calls.
//!
//! # Errors
//!
//! What the call itself has to say, such as a bus that died or a file that is not there, is in the
//! result that the closure hands to its [`Resolver`]. [`CallError`] is for when there is none.
//! A service that never answers has no end but a time-out: GDBus's own (25 s unless the call says
//! otherwise), or tokio's round the future.
//!
//! A panic of the closure that starts the call goes on in the task that polls [`call`], and is
//! [`CallError::Panicked`] for a task elsewhere: GLib's loop goes on.
//! One in the closure that gio calls back aborts the process, as with glib-rs alone.
//!
//! # Thread rules
//!
//! A GAsyncResult call belongs to the thread-default context of the thread that starts it, and its
//! callback runs there (`g_task_new`). That thread must own the context, and [`call`] gives
//! [`CallError::NotOwner`] where it does not.
//! gio's own functions are content when they can acquire it, and panic otherwise (gio 0.22,
//! `bus_get`). That is not enough: while nobody runs the context any thread can, and if another one
//! runs it afterwards the callback is in the wrong thread and aborts the process (glib-rs's
//! `ThreadGuard`).
//!
//! Every strategy owns its context for as long as `block_on` or a loop of the context runs, so its
//! tasks own it and other threads do not. Before and after that a thread that wants to make calls
//! acquires the context itself (`MainContext::acquire`, `MainContext::with_thread_default`); it has
//! to be the one that runs it later.
//!
//! A strategy on a context other than the default one needs that context to be the thread's
//! default while its tasks call gio (`MainContext::with_thread_default`); otherwise the calls are
//! for the default one, which the thread does not own. A job has its own context for a default,
//! always.
//!
//! # Under a nested loop
//!
//! The callback runs in whatever loop of the context runs. Whether somebody looks at the result
//! before that loop is closed is the strategy's doing: a task of `Nested` does not.
//! Tasks on other threads do not notice, with any strategy; the scenario `gasync-remote-in-dialog` of
//! the harness asks each.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use gio::Cancellable;
use gio::prelude::CancellableExt;
use glib::MainContext;
use loopnest_core::executor::Panic;
use tokio::sync::oneshot;

use crate::error::CallError;
use crate::jobs::GlibHandle;

/// Takes the result of a call, once. Dropping it unused ends the future with
/// [`CallError::Gone`].
pub struct Resolver<T>(Shared<T>);

/// Empty once there is a result. Its second owner is the job that starts the call: it has to have a
/// word when the resolver went with a panic.
type Shared<T> = Arc<Mutex<Option<oneshot::Sender<Result<T, CallError>>>>>;

fn finish<T>(shared: &Shared<T>, result: Result<T, CallError>) {
    let sender = shared.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(sender) = sender {
        // Not under the lock: it wakes, or drops the result.
        drop(sender.send(result));
    }
}

impl<T> Resolver<T> {
    /// Hands the result over. If the future is gone, so is the result.
    ///
    /// ```
    /// use loopnest_strategies::{gasync, glib::MainContext};
    ///
    /// let call = gasync::call(|_cancellable, done| done.resolve(42));
    /// assert_eq!(MainContext::default().block_on(call)?, 42);
    /// # Ok::<(), loopnest_strategies::CallError>(())
    /// ```
    pub fn resolve(self, result: T) {
        finish(&self.0, Ok(result));
    }
}

impl<T> fmt::Debug for Resolver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

/// Makes a future of a call that is started with a callback; see [the module](self).
///
/// The call is started when the future is polled first.
///
/// ```
/// use gio::prelude::*;
/// use loopnest_strategies::{Dispatch, gasync};
///
/// let dispatch = Dispatch::new(&glib::MainContext::default())?;
/// let file = gio::File::for_path("/proc/self/comm");
/// let (contents, _etag) = dispatch
///     .block_on(gasync::call(move |cancellable, done| {
///         file.load_contents_async(Some(cancellable), move |result| done.resolve(result));
///     }))?
///     .expect("a file that is always there");
/// assert!(!contents.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn call<T, F>(start: F) -> Call<T, F>
where
    F: FnOnce(&Cancellable, Resolver<T>),
{
    Call { start: Some(start), running: None }
}

/// A call on the GLib thread. Dropping it cancels.
#[must_use = "a call is started when it is polled"]
pub struct Call<T, F> {
    start: Option<F>,
    running: Option<Running<T>>,
}

// Nothing is pinned: the closure is moved out to be called.
impl<T, F> Unpin for Call<T, F> {}

impl<T, F> fmt::Debug for Call<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("started", &self.running.is_some()).finish()
    }
}

impl<T, F> Future for Call<T, F>
where
    F: FnOnce(&Cancellable, Resolver<T>),
{
    type Output = Result<T, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(start) = self.start.take() {
            // Not `acquire`, which any thread can while nobody runs the context; as soon as one
            // does, it would get the callback of a thread that is not it, and gio aborts then.
            if !MainContext::ref_thread_default().is_owner() {
                return Poll::Ready(Err(CallError::NotOwner));
            }
            let (running, resolver) = Running::new();
            start(&running.cancellable, resolver);
            self.running = Some(running);
        }
        match &mut self.running {
            Some(running) => running.poll(cx),
            None => Poll::Ready(Err(CallError::Gone)),
        }
    }
}

/// A call that was started, or is about to be.
struct Running<T> {
    cancellable: Cancellable,
    result: oneshot::Receiver<Result<T, CallError>>,
    over: bool,
}

impl<T> Running<T> {
    fn new() -> (Self, Resolver<T>) {
        let (tx, result) = oneshot::channel();
        let resolver = Resolver(Arc::new(Mutex::new(Some(tx))));
        (Self { cancellable: Cancellable::new(), result, over: false }, resolver)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, CallError>> {
        if self.over {
            return Poll::Ready(Err(CallError::Gone));
        }
        let result = std::task::ready!(Pin::new(&mut self.result).poll(cx));
        self.over = true;
        Poll::Ready(result.unwrap_or(Err(CallError::Gone)))
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        if !self.over {
            self.cancellable.cancel();
        }
    }
}

impl GlibHandle {
    /// Makes a future of a call that is started on the GLib thread; see [`gasync`](self).
    ///
    /// ```
    /// use gio::prelude::*;
    /// use loopnest_strategies::Handoff;
    ///
    /// let handoff = Handoff::new(&glib::MainContext::default())?;
    /// let glib = handoff.glib();
    /// let contents = handoff.block_on(async move {
    ///     // A tokio task on another thread.
    ///     glib.gasync(|cancellable, done| {
    ///         gio::File::for_path("/proc/self/comm")
    ///             .load_contents_async(Some(cancellable), move |result| done.resolve(result));
    ///     })
    ///     .await
    /// })?;
    /// assert!(contents.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`CallError::Gone`] when the GLib side is gone, before the call or during it;
    /// [`CallError::Panicked`] when `start` panicked.
    pub async fn gasync<T, F>(&self, start: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: FnOnce(&Cancellable, Resolver<T>) + Send + 'static,
    {
        let (mut running, resolver) = Running::new();
        let cancellable = running.cancellable.clone();
        let job = move || {
            // Dropped before the job began.
            if cancellable.is_cancelled() {
                return;
            }
            let shared = resolver.0.clone();
            let started = catch_unwind(AssertUnwindSafe(|| start(&cancellable, resolver)));
            if let Err(panic) = started {
                finish(&shared, Err(CallError::Panicked(Panic::new(panic))));
                cancellable.cancel();
            }
        };
        self.push(job).await.map_err(|_| CallError::Gone)?;
        let mut gone = pin!(self.gone());
        poll_fn(|cx| match running.poll(cx) {
            Poll::Pending => gone.as_mut().poll(cx).map(|()| Err(CallError::Gone)),
            result => result,
        })
        .await
    }
}
