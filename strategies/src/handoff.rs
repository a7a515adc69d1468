//! `handoff`: a bridge between two threads.
//!
//! # Mechanism
//!
//! tokio runs on a thread of its own, GLib on this one.
//! Work for GLib crosses by a bounded crossbeam channel and one `GSource`; results come back
//! through futures.
//! Never `MainContext::invoke`: it runs the closure on the calling thread whenever nobody owns the
//! context at that moment (gmain.c 2.74.6, line 6362).
//!
//! # Under a nested loop
//!
//! tokio does not notice. The source may recurse, so a job that opens a nested loop does not keep
//! the other jobs out of it.
//!
//! # Timers
//!
//! tokio's, on its own thread.
//!
//! # Limits
//!
//! - What runs on tokio must be `Send`.
//! - Every result costs a hop between threads.
//! - A task cannot call GLib or GTK itself; it sends a job.
//!
//! # Prior art
//!
//! The tokio chapter of the gtk4-rs book and relm4 do this by hand, without cancellation,
//! back-pressure or shutdown.

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;

use glib::{MainContext, MainLoop};
use loopnest_core::executor::Panic;
use loopnest_core::protocol::handoff::{HandoffReceiver, HandoffSender, PushError, handoff};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use crate::source::{self, Callbacks, Prepare, Source, SourceRef};

/// Jobs that may wait for GLib before senders have to.
const CAPACITY: usize = 1024;

/// Jobs done in one dispatch before GLib's other sources get their turn.
const BATCH: usize = 64;

type Job = Box<dyn FnOnce() + Send>;

/// tokio on a thread of its own, with a way back to this thread's GLib context.
///
/// Make it on the thread that iterates the context.
/// Dropping it stops tokio, drops its tasks, and joins the thread; jobs not yet done are dropped
/// and whoever waits for them gets [`CallError::Gone`].
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
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Handoff {
    handle: Handle,
    glib: GlibHandle,
    context: MainContext,
    source: Source<Jobs>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Gets work done on the GLib thread, from any other.
#[derive(Clone)]
pub struct GlibHandle {
    jobs: HandoffSender<Job>,
    room: Arc<Semaphore>,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The [`Handoff`] was dropped before the job was done.
    #[error("the GLib side is gone")]
    Gone,
    /// The closure panicked.
    #[error("the closure panicked on the GLib thread")]
    Panicked(Panic),
}

impl Handoff {
    /// Starts tokio on a thread and attaches the way back to `context`.
    ///
    /// # Errors
    /// When the system gives no thread or no descriptors.
    pub fn new(context: &MainContext) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name("loopnest tokio".to_owned()).spawn(move || {
            // Ends when the sender is used or dropped.
            let _ = runtime.block_on(stopped);
        })?;
        let ring = context.clone();
        let (sender, receiver) = handoff(CAPACITY, move || ring.wakeup());
        let source = Source::new("loopnest handoff", Jobs(receiver));
        source.set_can_recurse(true);
        source.attach(context);
        Ok(Self {
            handle,
            glib: GlibHandle { jobs: sender, room: Arc::new(Semaphore::new(CAPACITY)) },
            context: context.clone(),
            source,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Starts a task on tokio's thread. Await the handle anywhere, also in `glib`'s own futures;
    /// `abort` cancels.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// A handle that gets work done on the GLib thread.
    pub fn glib(&self) -> GlibHandle {
        self.glib.clone()
    }

    /// tokio's handle.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs `future` on tokio's thread and the context on this one, until it is done.
    ///
    /// May be called from inside a callback; GLib goes on meanwhile.
    ///
    /// # Panics
    /// With the panic of `future`, or of a callback of a [`Source`].
    pub fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let main_loop = MainLoop::new(Some(&self.context), false);
        let quit = main_loop.clone();
        let (tx, mut rx) = oneshot::channel();
        let task = self.spawn(future);
        self.spawn(async move {
            // The result is there before the loop is told to end.
            drop(tx.send(task.await));
            quit_when_running(&quit);
        });
        source::run(&main_loop);
        match rx.try_recv() {
            Ok(Ok(output)) => output,
            Ok(Err(e)) if e.is_panic() => resume_unwind(e.into_panic()),
            _ => unreachable!("tokio runs for as long as this is borrowed"),
        }
    }
}

/// Quits the loop from another thread, also if it has not begun: a quit before that is forgotten
/// (gmain.c 2.74.6, line 4446), so it goes by way of the context.
fn quit_when_running(main_loop: &MainLoop) {
    let quit = main_loop.clone();
    glib::idle_source_new(None, glib::Priority::DEFAULT, move || {
        quit.quit();
        glib::ControlFlow::Break
    })
    .attach(Some(&main_loop.context()));
}

impl fmt::Debug for Handoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handoff").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl Drop for Handoff {
    fn drop(&mut self) {
        self.source.destroy();
        // New calls find it closed, and those that wait for room stop waiting.
        self.glib.room.close();
        while let Some(job) = self.source.callbacks().0.pop() {
            drop(job);
        }
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread only runs tokio, which keeps panics in their tasks.
            let _ = thread.join();
        }
    }
}

impl GlibHandle {
    /// Runs `f` on the GLib thread and gives its result.
    ///
    /// Waits for room while too many jobs are queued. Dropping the future before the job begins
    /// cancels it.
    ///
    /// # Errors
    /// When the GLib side is gone, or `f` panicked.
    pub async fn call<R: Send + 'static>(
        &self,
        f: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, CallError> {
        let Ok(room) = self.room.clone().acquire_owned().await else {
            return Err(CallError::Gone);
        };
        let (tx, rx) = oneshot::channel();
        let job: Job = Box::new(move || {
            drop(room);
            if tx.is_closed() {
                return;
            }
            // If nobody waits any more there is nobody to tell.
            drop(tx.send(catch_unwind(AssertUnwindSafe(f))));
        });
        match self.jobs.push(job) {
            Ok(()) => {}
            // There is room by the semaphore, so only a receiver that is gone refuses.
            Err(PushError::Full(_) | PushError::Gone(_)) => return Err(CallError::Gone),
        }
        match rx.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(panic)) => Err(CallError::Panicked(Panic::new(panic))),
            Err(_) => Err(CallError::Gone),
        }
    }
}

impl fmt::Debug for GlibHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlibHandle")
            .field("room", &self.room.available_permits())
            .finish_non_exhaustive()
    }
}

/// Ready when a job waits.
struct Jobs(HandoffReceiver<Job>);

impl Callbacks for Jobs {
    fn prepare(&self, _this: SourceRef<'_>) -> Prepare {
        if self.0.prepare() { Prepare::Ready } else { Prepare::Wait(None) }
    }

    fn check(&self, _this: SourceRef<'_>) -> bool {
        self.0.check()
    }

    fn dispatch(&self, _this: SourceRef<'_>) -> ControlFlow<()> {
        for _ in 0..BATCH {
            let Some(job) = self.0.pop() else { break };
            job();
        }
        ControlFlow::Continue(())
    }
}
