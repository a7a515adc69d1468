//! `gtk-rs`: the status quo, as a baseline.
//!
//! # Mechanism
//!
//! glib's own executor runs the tasks (`MainContext::spawn_local`), and a multi-threaded tokio
//! runtime runs beside it. The GLib thread has entered the runtime, so that tokio's sockets and
//! timers work in glib's futures. relm4 does the same.
//!
//! # Under a nested loop
//!
//! If a callback opened it, everything keeps running.
//! If a task opened it, the process aborts as soon as another task is polled: each poll calls
//! `futures_executor::enter().unwrap()`, which fails inside another poll, and the panic cannot
//! leave the `extern "C"` function (gtk-rs-core#739, gtk4-rs#2185).
//!
//! # Timers
//!
//! tokio's, each with a hop between threads.
//!
//! # Limits
//!
//! - A nested loop inside a task aborts the process.
//! - Each task is a source: a wake costs time in proportion to the number of tasks.
//!
//! # Prior art
//!
//! relm4 (`relm4/src/app.rs`), the tokio chapter of the gtk4-rs book.

use std::cell::OnceCell;
use std::future::Future;
use std::time::Duration;

use glib::MainContext;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::SetupError;
use crate::jobs::{GlibHandle, JobQueue};
use crate::room;

/// A tokio runtime beside glib's executor.
///
/// Dropping it stops tokio. It does not wait for running `spawn_blocking` closures;
/// [`shutdown_timeout`](Self::shutdown_timeout) does.
#[derive(Debug)]
pub struct GtkRs {
    /// Created on first use.
    jobs: OnceCell<JobQueue>,
    /// Taken out only when this is dropped.
    runtime: Option<Runtime>,
    context: MainContext,
}

impl GtkRs {
    /// Starts a runtime with one worker thread.
    ///
    /// ```
    /// # use loopnest_strategies::{GtkRs, SetupError, glib};
    /// let gtk_rs = GtkRs::new(&glib::MainContext::default())?;
    /// # Ok::<(), SetupError>(())
    /// ```
    ///
    /// # Errors
    /// If another thread owns the context, or if the system has no threads or descriptors left.
    pub fn new(context: &MainContext) -> Result<Self, SetupError> {
        let _owner = context.acquire().map_err(|_| SetupError::NotOwner)?;
        let runtime =
            room::build(|| Builder::new_multi_thread().worker_threads(1).enable_all().build())?;
        Ok(Self { jobs: OnceCell::new(), runtime: Some(runtime), context: context.clone() })
    }

    /// Runs `root` to completion on glib's executor, with the runtime entered.
    ///
    /// ```
    /// # use loopnest_strategies::{GtkRs, glib::MainContext};
    /// # let gtk_rs = GtkRs::new(&MainContext::default())?;
    /// let wait = std::time::Duration::from_millis(1);
    /// gtk_rs.block_on(async move { tokio::time::sleep(wait).await });
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    ///
    /// Does not return while a source of the context is always ready, because glib drains the
    /// context first (glib 0.22, `MainContext::block_on`).
    ///
    /// # Panics
    /// If another thread owns the context, or if `root` panics.
    pub fn block_on<F: Future>(&self, root: F) -> F::Output {
        let _entered = self.tokio_handle().enter();
        self.context.block_on(root)
    }

    /// A handle for running work on this thread from tokio's threads.
    ///
    /// ```
    /// # use loopnest_strategies::{GtkRs, glib::MainContext};
    /// # let gtk_rs = GtkRs::new(&MainContext::default())?;
    /// let glib = gtk_rs.glib();
    /// let task = gtk_rs.tokio_handle().spawn(async move { glib.call(|| 42).await });
    /// assert!(matches!(gtk_rs.block_on(task), Ok(Ok(42))));
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn glib(&self) -> GlibHandle {
        self.jobs.get_or_init(|| JobQueue::attached_to(&self.context)).handle()
    }

    /// tokio's handle.
    ///
    /// ```
    /// # use loopnest_strategies::{GtkRs, glib::MainContext};
    /// # let gtk_rs = GtkRs::new(&MainContext::default())?;
    /// let task = gtk_rs.tokio_handle().spawn(async { 42 });
    /// assert_eq!(gtk_rs.block_on(task).expect("it does not panic"), 42);
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn tokio_handle(&self) -> &Handle {
        match &self.runtime {
            Some(runtime) => runtime.handle(),
            None => unreachable!("taken out only when it is dropped"),
        }
    }

    /// Stops tokio, and waits for workers and `spawn_blocking` closures for at most `timeout`, as
    /// tokio's own does.
    ///
    /// ```
    /// # use loopnest_strategies::{GtkRs, glib::MainContext};
    /// # let gtk_rs = GtkRs::new(&MainContext::default())?;
    /// gtk_rs.shutdown_timeout(std::time::Duration::from_secs(1));
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    ///
    /// # Panics
    /// Inside the `block_on` of a runtime, as tokio's own does.
    pub fn shutdown_timeout(mut self, timeout: Duration) {
        // First, because nobody iterates the context now, and a worker may wait for that.
        drop(self.jobs.take());
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(timeout);
        }
    }

    /// Stops tokio and waits for nothing: the same as dropping this.
    ///
    /// ```
    /// # use loopnest_strategies::{GtkRs, glib::MainContext};
    /// # let gtk_rs = GtkRs::new(&MainContext::default())?;
    /// gtk_rs.shutdown_background();
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn shutdown_background(self) {}
}

impl Drop for GtkRs {
    fn drop(&mut self) {
        // tokio's own drop waits for `spawn_blocking`, and panics inside a `block_on`.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
