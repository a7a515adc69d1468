//! Work for the GLib thread, from any other: a queue with a bound and one `GSource`.
//!
//! Never `MainContext::invoke`: it runs the closure on the calling thread whenever nobody owns the
//! context at that moment (gmain.c 2.74.6, line 6362).
//!
//! The source may recurse, so a job that opens a nested loop does not keep the others out of it.
//!
//! What a job costs is the two threads waking each other, which no queue can spare. So one dispatch
//! does all jobs that wait, a loop that is awake is not rung, and room is given back in batches.

use std::cell::Cell;
use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use glib::MainContext;
use loopnest_core::executor::Panic;
use loopnest_core::pace::SLICE;
use loopnest_core::protocol::handoff::{HandoffReceiver, HandoffSender, handoff};
use tokio::sync::{Semaphore, oneshot};

use crate::error::CallError;
use crate::pace::{self, Backlog, Later, Work};
use crate::source::{Callbacks, Prepare, Source, SourceRef, carry_panic};

/// Jobs that may wait for GLib before senders have to.
const CAPACITY: usize = 1024;

/// Room is given back for so many jobs at a time, because it takes a lock that senders want too.
const BATCH: usize = 64;

pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// The GLib end: make it on the thread that iterates the context, and keep it there.
///
/// When it is dropped, jobs not yet done are dropped, and whoever waits for one, or for a
/// GAsyncResult call that one has started, gets an error.
pub struct JobQueue {
    main: Source<MainCallbacks>,
    later: Later<Jobs>,
    handle: GlibHandle,
}

/// Gets work done on the GLib thread, from any other.
#[derive(Clone)]
pub struct GlibHandle {
    jobs: HandoffSender<Job>,
    room: Arc<Semaphore>,
    /// Never has a permit; closed when the queue goes.
    gone: Arc<Semaphore>,
}

impl JobQueue {
    /// Attaches a queue to `context`.
    ///
    /// ```
    /// use loopnest_strategies::{JobQueue, glib::MainContext};
    ///
    /// let context = MainContext::default();
    /// let jobs = JobQueue::new(&context);
    /// let glib = jobs.handle();
    /// // On any thread, in any executor. Here the loop of this thread does both.
    /// assert_eq!(context.block_on(glib.call(|| 42)).expect("the queue is there"), 42);
    /// ```
    pub fn new(context: &MainContext) -> Self {
        let ring = context.clone();
        let (jobs, receiver) = handoff(move || ring.wakeup());
        let room = Arc::new(Semaphore::new(CAPACITY));
        let queue = Rc::new(Jobs {
            queue: receiver,
            backlog: Backlog::default(),
            context: context.clone(),
            room: room.clone(),
            owed: Cell::new(0),
        });
        let main = Source::new("loopnest jobs", MainCallbacks(queue.clone()));
        main.set_can_recurse(true);
        main.attach(context);
        let later = pace::later("loopnest jobs, later", queue, context);
        let handle = GlibHandle { jobs, room, gone: Arc::new(Semaphore::new(0)) };
        Self { main, later, handle }
    }

    /// Drops the jobs that wait and lets no more in.
    pub(crate) fn close(&self) {
        self.main.destroy();
        self.later.destroy();
        // New calls find it closed, and those that wait stop waiting.
        self.handle.room.close();
        self.handle.gone.close();
        while let Some(job) = self.main.callbacks().0.queue.pop() {
            drop(job);
        }
    }

    /// A handle for other threads.
    ///
    /// ```
    /// # use loopnest_strategies::{CallError, JobQueue, glib::MainContext};
    /// # let (context, jobs) = (MainContext::default(), JobQueue::new(&MainContext::default()));
    /// let glib = jobs.handle();
    /// // A handle may outlive the queue.
    /// drop(jobs);
    /// assert!(matches!(context.block_on(glib.call(|| 42)), Err(CallError::Gone)));
    /// ```
    pub fn handle(&self) -> GlibHandle {
        self.handle.clone()
    }
}

impl fmt::Debug for JobQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobQueue").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl Drop for JobQueue {
    fn drop(&mut self) {
        self.close();
    }
}

impl GlibHandle {
    /// Runs `f` on the GLib thread and gives its result. The context is the thread's default there,
    /// so that a GAsyncResult call which `f` starts comes back to it.
    ///
    /// Waits for room while too many jobs are queued. Dropping the future before the job begins
    /// cancels it.
    ///
    /// ```
    /// # use loopnest_strategies::{Handoff, glib::MainContext};
    /// # let handoff = Handoff::new(&MainContext::default())?;
    /// let glib = handoff.glib();
    /// let answer = handoff.block_on(async move { glib.call(|| "from the GLib thread").await });
    /// assert!(answer.is_ok());
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    ///
    /// # Errors
    /// When the GLib side is gone, or `f` panicked.
    pub async fn call<R: Send + 'static>(
        &self,
        f: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, CallError> {
        let (tx, rx) = oneshot::channel();
        self.push(move || {
            if !tx.is_closed() {
                // If nobody waits any more there is nobody to tell.
                drop(tx.send(catch_unwind(AssertUnwindSafe(f))));
            }
        })
        .await?;
        match rx.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(panic)) => Err(CallError::Panicked(Panic::new(panic))),
            Err(_) => Err(CallError::Gone),
        }
    }

    /// Queues a job once there is room.
    pub(crate) async fn push(&self, job: impl FnOnce() + Send + 'static) -> Result<(), CallError> {
        let Ok(room) = self.room.acquire().await else {
            return Err(CallError::Gone);
        };
        // Given back by the other side, when it takes the job out.
        room.forget();
        self.jobs.push(Box::new(job)).map_err(|_| CallError::Gone)
    }

    /// Completes when the GLib side is gone.
    pub(crate) async fn gone(&self) {
        // There never is a permit, so this ends with the semaphore.
        let _ = self.gone.acquire().await;
    }
}

impl fmt::Debug for GlibHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlibHandle")
            .field("room", &self.room.available_permits())
            .finish_non_exhaustive()
    }
}

struct Jobs {
    queue: HandoffReceiver<Job>,
    backlog: Backlog,
    context: MainContext,
    room: Arc<Semaphore>,
    /// Jobs taken out whose room was not given back yet.
    owed: Cell<usize>,
}

impl Jobs {
    fn run_slice(&self) {
        let end = Instant::now() + SLICE;
        while let Some(job) = self.queue.pop() {
            self.owed.set(self.owed.get() + 1);
            if self.owed.get() >= BATCH {
                self.pay();
            }
            if let Err(panic) = catch_unwind(AssertUnwindSafe(job)) {
                // The others' jobs must not end with the source.
                carry_panic(panic);
                break;
            }
            if Instant::now() >= end {
                break;
            }
        }
        self.pay();
    }

    /// Gives room back. A job may have a nested loop open; the slices there pay for it as well.
    fn pay(&self) {
        self.room.add_permits(self.owed.take());
    }
}

impl Work for Jobs {
    fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    fn run(&self) {
        // Once for all jobs of a slice: it takes the context's lock four times.
        let ran = self.context.with_thread_default(|| self.run_slice());
        debug_assert!(ran.is_ok(), "sources are dispatched by the owner of the context");
        self.backlog.set(self.queue.check().then(Instant::now));
    }
}

/// Ready when a job waits.
struct MainCallbacks(Rc<Jobs>);

impl Callbacks for MainCallbacks {
    fn prepare(&self, _this: SourceRef<'_>) -> Prepare {
        let Jobs { backlog, queue, .. } = &*self.0;
        backlog.pass();
        // What is due comes first: GLib does not call `check` after `Ready`, so the wake flag must
        // not be armed then.
        if backlog.is_due(Instant::now) || (!backlog.is_left() && queue.prepare()) {
            return Prepare::Ready;
        }
        Prepare::Wait(None)
    }

    fn check(&self, _this: SourceRef<'_>) -> bool {
        let waits = self.0.queue.check() && !self.0.backlog.is_left();
        waits || self.0.backlog.is_due(Instant::now)
    }

    fn dispatch(&self, _this: SourceRef<'_>) -> ControlFlow<()> {
        self.0.run();
        ControlFlow::Continue(())
    }
}
