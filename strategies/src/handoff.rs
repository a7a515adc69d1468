//! `handoff`: a bridge between two threads.
//!
//! # Mechanism
//!
//! tokio runs on its own thread, GLib on this one.
//! Work for GLib crosses through a bounded queue and one `GSource`; results come back through
//! futures.
//! [`JobQueue`] is this half by itself.
//!
//! # Under a nested loop
//!
//! tokio is not affected. The source can recurse, so if a job opens a nested loop, the other jobs
//! run inside it.
//!
//! # Timers
//!
//! tokio's, on its own thread.
//!
//! # Limits
//!
//! - Tasks must be `Send`.
//! - Every result costs a hop between threads.
//! - A task cannot call GLib or GTK itself; it sends a job.
//!
//! # Prior art
//!
//! The tokio chapter of the gtk4-rs book and relm4 do this without cancellation, back-pressure or
//! shutdown.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, pending};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use glib::{MainContext, MainLoop};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::task::JoinHandle;

use crate::advice;
use crate::error::SetupError;
use crate::jobs::{GlibHandle, JobQueue};
use crate::room;
use crate::source;

/// tokio on its own thread, with a way back to this thread's GLib context.
///
/// Create it on the thread that iterates the context.
/// Dropping it stops tokio, drops its tasks and joins the thread. It does not wait for running
/// `spawn_blocking` closures; [`shutdown_timeout`](Self::shutdown_timeout) does. Jobs that have not run are dropped, and the tasks that wait for them
/// get [`CallError::Gone`](crate::CallError::Gone).
///
/// ```
/// use loopnest_strategies::Handoff;
///
/// let handoff = Handoff::new(&glib::MainContext::default())?;
/// let glib = handoff.glib();
/// let title = handoff.block_on(async move {
///     // On tokio's thread; the closure runs on this one.
///     glib.call(|| glib::prgname().map_or(String::new(), |name| name.to_string())).await
/// });
/// assert!(title.is_ok());
/// # Ok::<(), loopnest_strategies::SetupError>(())
/// ```
pub struct Handoff {
    handle: Handle,
    context: MainContext,
    jobs: JobQueue,
    /// Tells the thread to stop, and until when it may wait for `spawn_blocking`.
    stop: Option<oneshot::Sender<Instant>>,
    thread: Option<thread::JoinHandle<()>>,
    /// Cloned for each task.
    tasks: Arc<Tasks>,
    stopped: Cell<bool>,
}

impl Handoff {
    /// Starts tokio on a thread and attaches the way back to `context`.
    ///
    /// ```
    /// # use loopnest_strategies::{Handoff, SetupError, glib};
    /// let handoff = Handoff::new(&glib::MainContext::default())?;
    /// # Ok::<(), SetupError>(())
    /// ```
    ///
    /// # Errors
    /// If another thread owns the context, or if the system has no threads or descriptors left.
    pub fn new(context: &MainContext) -> Result<Self, SetupError> {
        let jobs = JobQueue::new(context)?;
        let runtime = room::build(|| Builder::new_current_thread().enable_all().build())?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<Instant>();
        let thread = thread::Builder::new().name("loopnest tokio".to_owned()).spawn(move || {
            // Ends when the sender is used or dropped.
            let until = runtime.block_on(stopped).unwrap_or_else(|_| Instant::now());
            // If nobody asked, in the background, because a `spawn_blocking` closure may be waiting
            // for GLib.
            runtime.shutdown_timeout(until.saturating_duration_since(Instant::now()));
        });
        Ok(Self {
            handle,
            context: context.clone(),
            jobs,
            stop: Some(stop),
            thread: Some(thread.map_err(SetupError::Runtime)?),
            tasks: Arc::default(),
            stopped: Cell::default(),
        })
    }

    /// Starts a task on tokio's thread. You can await the handle anywhere, including in futures
    /// that glib runs; `abort` cancels the task.
    ///
    /// ```
    /// # use loopnest_strategies::{Handoff, glib::MainContext};
    /// # let handoff = Handoff::new(&MainContext::default())?;
    /// let task = handoff.spawn(async { 6 * 7 });
    /// assert_eq!(MainContext::default().block_on(task).expect("it does not panic"), 42);
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if self.stopped.get() {
            drop(future);
            let never = self.handle.spawn(pending());
            never.abort();
            return never;
        }
        let alive = Alive { tasks: Some(self.tasks.clone()), context: self.context.clone() };
        self.handle.spawn(async move {
            let mut alive = alive;
            let output = future.await;
            alive.has_ended();
            output
        })
    }

    /// Begins the end: [`spawn`](Self::spawn) takes no more tasks, and those that have begun go on.
    ///
    /// A spawned task is dropped at once, and its handle says that it was cancelled.
    /// tokio's handle still takes tasks, and [`block_on`](Self::block_on) still runs its future.
    /// Jobs are still done, but a loop that waits for silence finds it even while threads go on
    /// sending them, as [`Dispatch::stop`](crate::Dispatch::stop) says.
    ///
    /// ```
    /// # use loopnest_strategies::{Handoff, glib::MainContext};
    /// # let handoff = Handoff::new(&MainContext::default())?;
    /// handoff.stop();
    /// let late = handoff.spawn(async { 42 });
    /// assert!(MainContext::default().block_on(late).is_err_and(|error| error.is_cancelled()));
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn stop(&self) {
        self.stopped.set(true);
        self.jobs.quiet().ask();
    }

    /// [`stop`](Self::stop)s, runs the context until the tasks of [`spawn`](Self::spawn) have ended, and
    /// waits for `spawn_blocking` closures: for `timeout` in all. What is left then is dropped.
    ///
    /// Meanwhile jobs are done, but not while only closures are waited for. Where another thread owns
    /// the context only closures are waited for. A job that calls this, and that a task waits for, waits
    /// for itself, and so for the whole time.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use loopnest_strategies::{Handoff, glib::MainContext};
    /// # let handoff = Handoff::new(&MainContext::default())?;
    /// let glib = handoff.glib();
    /// let task = handoff.spawn(async move { glib.call(|| 42).await });
    /// handoff.shutdown_timeout(Duration::from_secs(10));
    /// assert!(task.is_finished());
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    ///
    /// # Panics
    /// If a callback of a [`Source`](source::Source) panics meanwhile, with that panic.
    pub fn shutdown_timeout(mut self, timeout: Duration) {
        self.stop();
        let end = source::far_or(timeout);
        {
            let _lifted = self.jobs.quiet().lift();
            source::run_until(&self.context, end, || Arc::strong_count(&self.tasks) == 1);
        }
        if let Some(stop) = self.stop.take() {
            // It fails only if the thread has ended.
            let _ = stop.send(end);
        }
    }

    /// Stops tokio and drops its tasks, and waits for no `spawn_blocking` closure: the same as
    /// dropping this.
    ///
    /// ```
    /// # use loopnest_strategies::{Handoff, glib::MainContext};
    /// # let handoff = Handoff::new(&MainContext::default())?;
    /// handoff.tokio_handle().spawn_blocking(|| std::thread::park());
    /// handoff.shutdown_background();
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn shutdown_background(self) {
        self.stop();
    }

    /// A handle for running work on the GLib thread.
    ///
    /// ```
    /// # use loopnest_strategies::{Handoff, glib::MainContext};
    /// # let handoff = Handoff::new(&MainContext::default())?;
    /// let glib = handoff.glib();
    /// let on_glib_thread = handoff.block_on(async move {
    ///     glib.call(|| MainContext::default().is_owner()).await
    /// });
    /// assert!(on_glib_thread.expect("the GLib side is there"));
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn glib(&self) -> GlibHandle {
        self.jobs.handle()
    }

    /// tokio's handle.
    ///
    /// ```
    /// # use loopnest_strategies::{Handoff, glib::MainContext};
    /// # let handoff = Handoff::new(&MainContext::default())?;
    /// let task = handoff.tokio_handle().spawn_blocking(|| 42);
    /// assert_eq!(handoff.block_on(task).expect("it does not panic"), 42);
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn tokio_handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs `future` on tokio's thread, and the context on this one, until `future` is done.
    ///
    /// May be called inside a callback; GLib keeps running meanwhile.
    ///
    /// ```
    /// # use loopnest_strategies::{Handoff, glib::MainContext};
    /// # let handoff = Handoff::new(&MainContext::default())?;
    /// let n = handoff.block_on(async {
    ///     tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    ///     42
    /// });
    /// assert_eq!(n, 42);
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    ///
    /// # Panics
    /// If `future` or a callback of a [`Source`](source::Source) panics, with that panic; if another
    /// thread owns the context.
    pub fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let owner = self.context.acquire();
        assert!(
            owner.is_ok(),
            "another thread runs the context, and only that thread can wait in it"
        );
        let main_loop = MainLoop::new(Some(&self.context), false);
        let quit = main_loop.clone();
        let (tx, mut rx) = oneshot::channel();
        let _lifted = self.jobs.quiet().lift();
        // Neither is a task that an end has to wait for.
        let task = self.handle.spawn(future);
        self.handle.spawn(async move {
            // Sends the result before it quits the loop.
            drop(tx.send(task.await));
            source::quit_when_running(&quit);
        });
        loop {
            source::run(&main_loop);
            match rx.try_recv() {
                Ok(Ok(output)) => return output,
                Ok(Err(e)) if e.is_panic() => resume_unwind(e.into_panic()),
                // A panic that a callback caught may end the loop before there is a result.
                Err(TryRecvError::Empty) => {}
                _ => unreachable!("tokio keeps running while this is borrowed"),
            }
        }
    }
}

static LOST: AtomicBool = AtomicBool::new(false);

/// The tasks of a bridge; as many clones as have not ended.
#[derive(Default)]
struct Tasks {
    /// The bridge is being dropped.
    end_begins: AtomicBool,
    /// Since then a task was dropped that had not ended.
    any_lost: AtomicBool,
}

/// A task that has not ended. A loop that waits for that is woken when it has.
struct Alive {
    /// Taken out when the task ends or is dropped.
    tasks: Option<Arc<Tasks>>,
    context: MainContext,
}

impl Alive {
    fn has_ended(&mut self) {
        drop(self.tasks.take());
        self.context.wakeup();
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        let Some(tasks) = &self.tasks else { return };
        if tasks.end_begins.load(Ordering::Relaxed) {
            tasks.any_lost.store(true, Ordering::Relaxed);
        }
        self.has_ended();
    }
}

impl fmt::Debug for Handoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handoff").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl Drop for Handoff {
    fn drop(&mut self) {
        // The loop is still running, as at the end of the callback that made this.
        let too_early = self.context.is_owner() && !self.jobs.quiet().has_begun();
        self.tasks.end_begins.store(true, Ordering::Relaxed);
        // First, so that tasks that wait for a job stop waiting before tokio is stopped.
        self.jobs.close();
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread only runs tokio, which keeps panics in their tasks.
            let _ = thread.join();
        }
        if too_early && self.tasks.any_lost.load(Ordering::Relaxed) && !thread::panicking() {
            advice::warn_once(
                &LOST,
                "a Handoff was dropped before its tasks had ended, and they are dropped with it: keep it \
                 until the main loop returns, for example in main; or call Handoff::stop or one of its \
                 shutdown functions first",
            );
        }
    }
}
