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

use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::thread;

use glib::{MainContext, MainLoop};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::task::JoinHandle;

use crate::error::SetupError;
use crate::jobs::{GlibHandle, JobQueue};
use crate::source;

/// tokio on its own thread, with a way back to this thread's GLib context.
///
/// Create it on the thread that iterates the context.
/// Dropping it stops tokio, drops its tasks and joins the thread. It does not wait for running
/// `spawn_blocking` closures. Jobs that have not run are dropped, and the tasks that wait for them
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
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
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
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(SetupError::Runtime)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name("loopnest tokio".to_owned()).spawn(move || {
            // Ends when the sender is dropped.
            let _ = runtime.block_on(stopped);
            // In the background, because a `spawn_blocking` closure may be waiting for GLib.
            runtime.shutdown_background();
        });
        let thread = thread.map_err(SetupError::Runtime)?;
        Ok(Self { handle, context: context.clone(), jobs, stop: Some(stop), thread: Some(thread) })
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
        self.handle.spawn(future)
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
        let task = self.spawn(future);
        self.spawn(async move {
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

impl fmt::Debug for Handoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handoff").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl Drop for Handoff {
    fn drop(&mut self) {
        // First, so that tasks that wait for a job stop waiting before tokio is stopped.
        self.jobs.close();
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread only runs tokio, which keeps panics in their tasks.
            let _ = thread.join();
        }
    }
}
