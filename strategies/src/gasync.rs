//! GAsyncResult calls as futures, with cancellation.
//!
//! An asynchronous GLib call is started with a callback and finished with a `GAsyncResult`.
//! gio's Rust bindings combine the two into one function that takes a `GCancellable` and a closure
//! for the result. Here that becomes a future, on either side:
//!
//! - [`call`]: on the GLib thread. The result need not be `Send`. Unlike `gio::GioFuture`, it
//!   returns an error instead of panicking if the thread does not own the context. It works in
//!   every executor: in [`Dispatch`](crate::Dispatch), in a task of [`Nested`](crate::Nested), in
//!   glib's own executor, and in a nested loop if the strategy runs tasks there.
//! - [`GlibHandle::gasync`]: from any thread, in any tokio task. A job starts the call on the
//!   context's thread, never `MainContext::invoke`. Every strategy has a method `glib` that returns
//!   a handle, and a [`JobQueue`](crate::JobQueue) on its own gives one too.
//!
//! # What cancellation guarantees
//!
//! Dropping the future cancels the `GCancellable`. `tokio::time::timeout`, `select!` and the end of
//! the task all drop it.
//! A call that has not begun is never started.
//! A call that has begun is notified. Its result (`G_IO_ERROR_CANCELLED`, or another that came
//! first) is dropped when the context is next iterated, and only then is its closure freed. This is
//! GTask's contract: exactly one callback, in the context of the start (gtask.c 2.74.6, line 1223).
//! If the context is never iterated again, both are kept.
//! The next call of that thread begins when the result was dropped, or 100 ms after the future was:
//! otherwise the next read of the same stream would find the last one outstanding.
//! What a dropped call had read is lost with its result; [`Call::cancel`] returns it.
//! Handlers of the `cancelled` signal run in the thread that drops the future
//! (`g_cancellable_cancel`).
//!
//! `tests/tests/gasync_cancel` checks this for every strategy with ten thousand calls.
//!
//! # Errors
//!
//! The call's own error, such as a lost bus connection or a missing file, is part of the result
//! that the closure passes to its [`Resolver`]. [`CallError`] means that there is no such result.
//! If a service never answers, only a timeout ends the call: GDBus's own (25 s by default), or one
//! of tokio's around the future.
//!
//! If the closure that starts the call panics, [`call`] panics in the task that polls it, and
//! [`GlibHandle::gasync`] returns [`CallError::Panicked`]; GLib's loop keeps running.
//! A panic in the closure that gio calls back aborts the process, as with glib-rs alone.
//!
//! # Thread rules
//!
//! A GAsyncResult call belongs to the thread-default context of the thread that starts it, and its
//! callback runs there (`g_task_new`). That thread must own the context; if it does not, [`call`]
//! returns [`CallError::NotOwner`].
//! gio's own functions only check that they can acquire the context, and panic otherwise (gio 0.22,
//! `bus_get`). That is not enough: while no thread runs the context, any thread can acquire it. If
//! another thread runs it afterwards, the callback is on the wrong thread and aborts the process
//! (glib-rs's `ThreadGuard`).
//!
//! With every strategy, the thread owns the context while `block_on` or a loop of the context runs,
//! so tasks can make calls there. Before and after that, a thread that makes calls must acquire the
//! context itself (`MainContext::acquire`, `MainContext::with_thread_default`), and must be the
//! thread that runs it later.
//!
//! If the strategy's context is not the default one, it must be the thread's default while tasks
//! call gio (`MainContext::with_thread_default`). Otherwise the calls use the global default
//! context, which the thread does not own. In a job, the job queue's context is always the thread's
//! default.
//!
//! # Under a nested loop
//!
//! The callback runs in the innermost running loop of the context. It depends on the strategy
//! whether the task sees the result before that loop is closed: a task of `Nested` does not.
//! Tasks on other threads are not affected, with any strategy; the harness tests this in the
//! scenario `gasync-remote-in-dialog`.

mod let_go;

use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread;

use gio::Cancellable;
use gio::prelude::CancellableExt;
use glib::MainContext;
use loopnest_core::executor::Panic;
use loopnest_core::panics::{Awaiter, quietly};
use tokio::sync::oneshot;

use self::let_go::{Look, Outstanding};
use crate::error::CallError;
use crate::jobs::GlibHandle;

/// Takes the result of a call, once. If it is dropped unused, the future ends with
/// [`CallError::Gone`].
pub struct Resolver<T>(Shared<T>);

/// The job that starts the call owns it too, so that it can report a panic in which the resolver was
/// dropped.
type Shared<T> = Arc<Mutex<Outcome<T>>>;

/// What became of a call.
struct Outcome<T> {
    /// Empty once there is a result.
    sender: Option<oneshot::Sender<Result<T, CallError>>>,
    /// Where it counts if the future is dropped, from its start on.
    began: Option<Arc<Outstanding>>,
    /// The future was dropped; as which number it counts, if it had begun.
    dropped: Option<Option<u64>>,
    /// A job runs the closure that starts the call, and has a look when that is over. Cleared if the
    /// resolver is dropped meanwhile in a panic.
    starting: bool,
}

fn with<T, R>(shared: &Shared<T>, f: impl FnOnce(&mut Outcome<T>) -> R) -> R {
    f(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))
}

/// gio has let go of the call.
fn finish<T>(shared: &Shared<T>, result: Result<T, CallError>) {
    let sender = with(shared, |outcome| {
        if let (Some(began), Some(Some(number))) = (outcome.began.take(), outcome.dropped) {
            began.end(number);
        }
        outcome.sender.take()
    });
    if let Some(sender) = sender {
        // Not under the lock: it wakes, or drops the result, and that may panic in a callback of gio.
        quietly(|| drop(sender.send(result)));
    }
}

impl<T> Resolver<T> {
    /// Completes the future with `result`. If the future is gone, the result is dropped.
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

    /// The call starts on this thread; `false` if the future is gone already.
    fn begins_here(&self) -> bool {
        with(&self.0, |outcome| {
            outcome.began = Outstanding::here().filter(|_| outcome.dropped.is_none());
            outcome.dropped.is_none()
        })
    }
}

impl<T> Drop for Resolver<T> {
    fn drop(&mut self) {
        // If it was not used. In a closure that panics the job says so.
        let by_job =
            thread::panicking() && with(&self.0, |outcome| mem::take(&mut outcome.starting));
        if !by_job {
            finish(&self.0, Err(CallError::Gone));
        }
    }
}

impl<T> fmt::Debug for Resolver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

/// Turns a call that takes a callback into a future; see [the module](self).
///
/// The call is started when the future is first polled.
///
/// ```
/// use gio::prelude::*;
/// use loopnest_strategies::{gasync, glib::MainContext};
///
/// let file = gio::File::for_path("/proc/self/comm");
/// let call = gasync::call(move |cancellable, done| {
///     file.load_contents_async(Some(cancellable), move |result| done.resolve(result));
/// });
/// // In a task of any strategy, or in glib's own executor.
/// let (contents, _etag) = MainContext::default().block_on(call)?.expect("a file that is always there");
/// assert!(!contents.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn call<T, F>(start: F) -> Call<T, F>
where
    F: FnOnce(&Cancellable, Resolver<T>),
{
    Call { start: Some(start), look: Look::default(), awaiter: Awaiter::default(), running: None }
}

/// A call on the GLib thread. Dropping it cancels the call.
#[must_use = "a call is started when it is polled"]
pub struct Call<T, F> {
    start: Option<F>,
    /// While it waits for those before it.
    look: Look,
    awaiter: Awaiter,
    running: Option<Running<T>>,
}

impl<T, F> Call<T, F> {
    /// Cancels the call and waits until gio has let go of it, with its result: the error that it was
    /// cancelled, or what came first, so that nothing is lost. [`CallError::Gone`] if it has not begun.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use gio::prelude::*;
    /// use loopnest_strategies::{Dispatch, gasync, glib};
    ///
    /// let dispatch = Dispatch::new(&glib::MainContext::default())?;
    /// let (stream, _writer) = std::os::unix::net::UnixStream::pair()?;
    /// let socket = gio::Socket::from_fd(stream.into())?.connection_factory_create_connection();
    /// dispatch.block_on(async move {
    ///     let input = socket.input_stream();
    ///     let mut read = gasync::call(move |cancellable, done| {
    ///         let priority = glib::Priority::DEFAULT;
    ///         input.read_bytes_async(16, priority, Some(cancellable), |r| done.resolve(r));
    ///     });
    ///     // By reference: a call that is dropped loses what was read at the last moment.
    ///     let in_time = tokio::time::timeout(Duration::from_millis(1), &mut read).await;
    ///     if in_time.is_err() {
    ///         let last = read.cancel().await.expect("it had begun");
    ///         assert!(last.is_err_and(|e| e.matches(gio::IOErrorEnum::Cancelled)));
    ///     }
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As the call itself.
    pub async fn cancel(mut self) -> Result<T, CallError> {
        self.start = None;
        let Some(mut running) = self.running.take() else { return Err(CallError::Gone) };
        running.cancellable.cancel();
        poll_fn(|cx| running.poll(cx)).await
    }
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
        if self.start.is_some() {
            // `acquire` is not enough: any thread can do that while no thread runs the context. If
            // another thread then runs it, the callback is on the wrong thread and aborts.
            if !MainContext::ref_thread_default().is_owner() {
                self.start = None;
                return Poll::Ready(Err(CallError::NotOwner));
            }
            if let_go::must_wait() {
                let waker = self.awaiter.quiet(cx.waker()).clone();
                self.look.later(waker);
                return Poll::Pending;
            }
        }
        if let Some(start) = self.start.take() {
            let (running, resolver) = Running::new();
            let _ = resolver.begins_here();
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
    shared: Shared<T>,
    result: oneshot::Receiver<Result<T, CallError>>,
    /// It is woken in a callback of gio, also when a resolver is dropped there.
    awaiter: Awaiter,
    over: bool,
}

impl<T> Running<T> {
    fn new() -> (Self, Resolver<T>) {
        let (tx, result) = oneshot::channel();
        let outcome = Outcome { sender: Some(tx), began: None, dropped: None, starting: false };
        let shared = Arc::new(Mutex::new(outcome));
        let resolver = Resolver(shared.clone());
        let cancellable = Cancellable::new();
        (Self { cancellable, shared, result, awaiter: Awaiter::default(), over: false }, resolver)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, CallError>> {
        if self.over {
            return Poll::Ready(Err(CallError::Gone));
        }
        let mut cx = Context::from_waker(self.awaiter.quiet(cx.waker()));
        let result = std::task::ready!(Pin::new(&mut self.result).poll(&mut cx));
        self.over = true;
        Poll::Ready(result.unwrap_or(Err(CallError::Gone)))
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        // Before it is cancelled, because its callback may then run at once on another thread.
        with(&self.shared, |outcome| {
            let counts = outcome.began.as_ref().filter(|_| outcome.sender.is_some());
            outcome.dropped = Some(counts.map(|began| began.begin()));
        });
        self.cancellable.cancel();
    }
}

impl GlibHandle {
    /// Starts a call on the GLib thread and returns its result; see [`gasync`](self).
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
    /// [`CallError::Gone`] if the GLib side is gone, before the call or during it;
    /// [`CallError::Panicked`] if `start` panicked.
    pub async fn gasync<T, F>(&self, start: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: FnOnce(&Cancellable, Resolver<T>) + Send + 'static,
    {
        let (mut running, resolver) = Running::new();
        let cancellable = running.cancellable.clone();
        let job = move || {
            // The future was dropped before the job began.
            if !resolver.begins_here() {
                return;
            }
            let shared = resolver.0.clone();
            with(&shared, |outcome| outcome.starting = true);
            let started = catch_unwind(AssertUnwindSafe(|| start(&cancellable, resolver)));
            let dropped = with(&shared, |outcome| !mem::take(&mut outcome.starting));
            if let Err(panic) = started {
                finish(&shared, Err(CallError::Panicked(Panic::new(panic))));
                cancellable.cancel();
            } else if dropped {
                // By another thread that panics.
                finish(&shared, Err(CallError::Gone));
            }
        };
        let job = move || let_go::run(job);
        self.push(job).await.map_err(|_| CallError::Gone)?;
        let mut gone = pin!(self.gone());
        poll_fn(|cx| match running.poll(cx) {
            Poll::Pending => gone.as_mut().poll(cx).map(|()| Err(CallError::Gone)),
            result => result,
        })
        .await
    }
}
