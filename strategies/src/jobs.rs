//! Work for the GLib thread from any other thread: a bounded queue and one `GSource`.
//!
//! It does not use `MainContext::invoke`, which runs the closure on the calling thread if no thread
//! owns the context at that moment (gmain.c 2.74.6, line 6362).
//!
//! The source can recurse, so if a job opens a nested loop, the other jobs run inside it.
//!
//! Most of the cost of a job is the two threads waking each other, which no queue can avoid. So one
//! dispatch does all waiting jobs, a loop that is awake is not rung, and room is given back in
//! batches.

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
use loopnest_core::panics::{awaited_quietly, quietly};
use loopnest_core::protocol::handoff::{HandoffReceiver, HandoffSender, handoff};
use tokio::sync::{Semaphore, oneshot};

use crate::error::{CallError, SetupError};
use crate::pace::{self, Backlog, Later, Work};
use crate::quiet::Quiet;
use crate::source::{Callbacks, Prepare, Source, SourceRef};

/// How many jobs can be queued before senders have to wait.
const CAPACITY: usize = 1024;

/// Room is given back for this many jobs at a time, because that takes a lock that senders need
/// too.
const BATCH: usize = 64;

pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// The receiving end. Create it on the thread that iterates the context, and keep it there.
///
/// Dropping it drops the jobs that have not run. Tasks that wait for one of them, or for a
/// GAsyncResult call that a job has started, get [`CallError::Gone`].
pub struct JobQueue {
    main: Source<MainCallbacks>,
    later: Later<Jobs>,
    handle: GlibHandle,
}

/// Runs work on the GLib thread from any other thread.
#[derive(Clone)]
pub struct GlibHandle {
    jobs: HandoffSender<Job>,
    room: Arc<Semaphore>,
    /// Never has a permit; closed with the queue.
    gone: Arc<Semaphore>,
}

impl JobQueue {
    /// Attaches a queue to `context`.
    ///
    /// ```
    /// use loopnest_strategies::{JobQueue, glib::MainContext};
    ///
    /// let context = MainContext::default();
    /// let jobs = JobQueue::new(&context)?;
    /// let glib = jobs.handle();
    /// // On any thread, in any executor. Here one thread does both.
    /// assert_eq!(context.block_on(glib.call(|| 42)).expect("the queue is there"), 42);
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    ///
    /// # Errors
    /// If another thread owns the context.
    pub fn new(context: &MainContext) -> Result<Self, SetupError> {
        let _owner = context.acquire().map_err(|_| SetupError::NotOwner)?;
        Ok(Self::attached_to(context))
    }

    /// Like [`new`](Self::new), without a look at who owns the context.
    pub(crate) fn attached_to(context: &MainContext) -> Self {
        let ring = context.clone();
        let (jobs, receiver) = handoff(move || ring.wakeup());
        let room = Arc::new(Semaphore::new(CAPACITY));
        let queue = Rc::new(Jobs {
            queue: receiver,
            backlog: Backlog::default(),
            context: context.clone(),
            room: room.clone(),
            owed: Cell::new(0),
            quiet: Quiet::new(context),
        });
        let main = Source::new("loopnest jobs", MainCallbacks(queue.clone()));
        main.set_can_recurse(true);
        main.attach(context);
        let later = pace::later("loopnest jobs, later", queue, context);
        let handle = GlibHandle { jobs, room, gone: Arc::new(Semaphore::new(0)) };
        Self { main, later, handle }
    }

    /// Takes no more jobs: [`GlibHandle::call`] gives [`CallError::Gone`], also to those that wait for
    /// room. Jobs that are queued still run, in any loop of the context.
    ///
    /// ```
    /// # use loopnest_strategies::{CallError, JobQueue, glib::MainContext};
    /// # let context = MainContext::default();
    /// # let jobs = JobQueue::new(&context)?;
    /// jobs.stop();
    /// let late = context.block_on(jobs.handle().call(|| 42));
    /// assert!(matches!(late, Err(CallError::Gone)));
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn stop(&self) {
        self.handle.room.close();
        self.quiet().ask();
    }

    /// The pace of its ending. Jobs are taken all the same.
    pub(crate) fn quiet(&self) -> &Quiet {
        &self.jobs().quiet
    }

    fn jobs(&self) -> &Jobs {
        &self.main.callbacks().0
    }

    /// Drops the queued jobs and accepts no more.
    pub(crate) fn close(&self) {
        self.main.destroy();
        self.later.destroy();
        // Ends new calls and those that wait.
        self.handle.room.close();
        self.handle.gone.close();
        while let Some(job) = self.jobs().queue.pop() {
            // One destructor that panics must not keep the others.
            quietly(|| drop(job));
        }
    }

    /// A handle for other threads.
    ///
    /// ```
    /// # use loopnest_strategies::{CallError, JobQueue, glib::MainContext};
    /// # let (context, jobs) = (MainContext::default(), JobQueue::new(&MainContext::default())?);
    /// let glib = jobs.handle();
    /// // A handle can outlive the queue.
    /// drop(jobs);
    /// assert!(matches!(context.block_on(glib.call(|| 42)), Err(CallError::Gone)));
    /// # Ok::<(), loopnest_strategies::SetupError>(())
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
    /// Runs `f` on the GLib thread and returns its result. Meanwhile the context is that thread's
    /// default, so that GAsyncResult calls started by `f` complete in it.
    ///
    /// Waits while too many jobs are queued. Dropping the future cancels the job if it has not
    /// begun.
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
    /// If the GLib side is gone, or `f` panicked.
    pub async fn call<R: Send + 'static>(
        &self,
        f: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, CallError> {
        let (tx, rx) = oneshot::channel();
        self.push(move || {
            if !tx.is_closed() {
                // Fails if the future was dropped meanwhile, and then the result is not needed.
                drop(tx.send(catch_unwind(AssertUnwindSafe(f)).map_err(Panic::new)));
            }
        })
        .await?;
        match rx.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(panic)) => Err(CallError::Panicked(panic)),
            Err(_) => Err(CallError::Gone),
        }
    }

    /// Queues a job once there is room.
    pub(crate) async fn push(&self, job: impl FnOnce() + Send + 'static) -> Result<(), CallError> {
        let room = match self.room.try_acquire() {
            Ok(room) => room,
            Err(_) => awaited_quietly(self.room.acquire()).await.map_err(|_| CallError::Gone)?,
        };
        // The other side gives the permit back when it takes the job out.
        room.forget();
        self.jobs.push(Box::new(job)).map_err(|_| CallError::Gone)
    }

    /// Completes when the GLib side is gone.
    pub(crate) async fn gone(&self) {
        // There is never a permit, so this ends only when the semaphore is closed.
        let _ = awaited_quietly(self.gone.acquire()).await;
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
    /// How many jobs were taken out without giving their room back yet.
    owed: Cell<usize>,
    quiet: Quiet,
}

impl Jobs {
    fn run_slice(&self) {
        let end = Instant::now() + SLICE;
        while let Some(job) = self.queue.pop() {
            self.owed.set(self.owed.get() + 1);
            if self.owed.get() >= BATCH {
                self.pay();
            }
            // The closure's own panic is its result. What is left are destructors and wakers, and they
            // must not end the source, and with it the other jobs.
            quietly(job);
            if Instant::now() >= end {
                break;
            }
        }
        self.pay();
    }

    /// Gives room back. If a job has a nested loop open, the slices in that loop do it too.
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
        debug_assert!(ran.is_ok(), "the thread that dispatches a source owns the context");
        let rests = self.quiet.slice_ended();
        self.backlog.set((self.queue.check() && !rests).then(Instant::now));
    }
}

/// Ready when a job is queued.
struct MainCallbacks(Rc<Jobs>);

impl Callbacks for MainCallbacks {
    fn prepare(&self, _this: SourceRef<'_>) -> Prepare {
        let Jobs { backlog, queue, quiet, .. } = &*self.0;
        if let Some(rest) = quiet.prepare() {
            return Prepare::Wait(Some(rest));
        }
        backlog.pass();
        if backlog.prepare(backlog.is_due(Instant::now), || queue.prepare()) {
            return Prepare::Ready;
        }
        Prepare::Wait(None)
    }

    fn check(&self, _this: SourceRef<'_>) -> bool {
        if self.0.quiet.is_resting() {
            return false;
        }
        let waits = self.0.queue.check() && !self.0.backlog.is_left();
        waits || self.0.backlog.is_due(Instant::now)
    }

    fn dispatch(&self, _this: SourceRef<'_>) -> ControlFlow<()> {
        self.0.run();
        ControlFlow::Continue(())
    }
}
