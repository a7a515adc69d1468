//! `dispatch`: GLib drives async.
//!
//! # Mechanism
//!
//! One `GSource` watches tokio's epoll descriptor and knows tokio's next deadline.
//! Its dispatch makes a *turn*: it runs tokio until tokio would park, then answers tokio's wait at
//! once and ends the turn. The timeout that tokio asked for gives the next deadline.
//! No thread, no polling, exact deadlines.
//!
//! The application's tasks are not on tokio's queue. They live in an
//! [`Executor`](loopnest_core::executor::Executor), a run queue that can be re-entered, and are
//! polled with the runtime entered, so that tokio's sockets and timers work in them.
//!
//! # Under a nested loop
//!
//! The source can recurse. A nested loop, opened by a callback or by one of our tasks, dispatches
//! it again: tokio keeps making turns and the other tasks keep running.
//! The exception is a nested loop opened by a task on tokio's *own* queue (`tokio::spawn` in a
//! library). It runs inside a turn, and tokio does not allow a second turn inside the first.
//! Then our tasks still run when GLib callbacks wake them, but tokio's I/O and timers wait until
//! the loop closes. Nothing spins, and a warning is given through GLib's log and `tracing`.
//!
//! # Inside another runtime
//!
//! Inside the `block_on` or a worker of a multi-threaded runtime, as under `#[tokio::main]`,
//! everything works: each slice is a `block_in_place`. It needs the feature `rt-multi-thread`.
//! Inside the `block_on` of another current-thread runtime tokio waits, as above.
//! In a few places tokio can only be asked by letting it panic: in a `LocalSet` inside a
//! multi-threaded `block_on`; in a current-thread `block_on` inside which a multi-threaded runtime is
//! entered, or which a second thread calls meanwhile; and, without `rt-multi-thread`, inside
//! multi-threaded runtimes. There tokio waits too; the panic is caught and the panic hook runs, once a
//! second; and **with `panic = "abort"` the process ends**. Afterwards tokio goes on within a second.
//!
//! # Timers
//!
//! tokio's: a millisecond wheel, never early. GLib gets the deadline as `prepare`'s timeout and not
//! through `g_source_set_ready_time`, because each change of a ready time writes to the context's
//! eventfd and costs another iteration.
//!
//! # Limits
//!
//! - tokio's I/O and timers stop in a nested loop opened by a task on tokio's own queue, or inside
//!   the `block_on` of another current-thread runtime, as above. A task of ours that calls `tokio::task::yield_now`
//!   there waits too, because tokio defers the wake to the scheduler that is on the stack.
//! - A loop that is run in another runtime's `on_thread_park` keeps that runtime from parking.
//! - What blocks the thread for a value that only a task can make waits for ever: tokio's
//!   `blocking_recv`, a `blocking_send` into a full channel, `Handle::block_on`, the `block_on` of
//!   another executor. In a callback use [`Dispatch::block_on`], in a task `await`.
//! - tokio's sockets, timers and `spawn` panic in callbacks and in glib's own futures, unless the guard
//!   of [`Dispatch::enter`] is kept.
//! - tokio's cooperative budget does not apply to our tasks: one that never waits keeps the thread.
//! - Linux only: it depends on `epoll_wait`.
//!
//! # Prior art
//!
//! smol-rs/smol#94, tokio#7348, tokio#2443; slint's Node integration (`uv_backend_fd`); node-gtk.

mod callbacks;
mod shared;
mod turn;

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use gio::prelude::*;
use glib::{MainContext, MainLoop};
use loopnest_core::executor::{Detached, JoinError, JoinHandle, Spawner};
use tokio::runtime::{EnterGuard, Handle};

use self::callbacks::MainCallbacks;
use self::shared::Shared;
use crate::advice::{self, OnPanic};
use crate::error::SetupError;
use crate::jobs::{GlibHandle, JobQueue};
use crate::pace::{self, Later};
use crate::runtime::is_running;
use crate::source::{self, Source};

/// tokio and an executor as sources of a GLib context.
///
/// Create it on the thread that iterates the context, and keep it there for as long as you need its
/// tasks to run. Any loop of that context runs them: `MainLoop::run`, `gtk::Application::run`,
/// `MainContext::iteration`, and every loop nested in these.
///
/// Dropping it drops all tasks and then the runtime. It does not wait for running `spawn_blocking`
/// closures; [`shutdown_timeout`](Self::shutdown_timeout) does. If it is dropped inside one of its own tasks, this happens at the end of that
/// dispatch.
///
/// While another thread iterates the context, no task runs.
///
/// ```
/// use std::time::Duration;
/// use loopnest_strategies::Dispatch;
///
/// let context = glib::MainContext::default();
/// let dispatch = Dispatch::new(&context)?;
/// let n = dispatch.block_on(async {
///     tokio::time::sleep(Duration::from_millis(1)).await;
///     42
/// });
/// assert_eq!(n, 42);
/// # Ok::<(), loopnest_strategies::SetupError>(())
/// ```
pub struct Dispatch {
    // Declared, and so dropped, in this order: no callbacks, then no tasks, then no runtime.
    main: Source<MainCallbacks>,
    _later: Later<Shared>,
    /// Created on first use.
    jobs: OnceCell<JobQueue>,
    shared: Rc<Shared>,
    context: MainContext,
    _advice: OnPanic,
}

impl Dispatch {
    /// Attaches a runtime and an executor to `context`.
    ///
    /// ```no_run
    /// use loopnest_strategies::{Dispatch, SetupError, glib};
    ///
    /// fn main() -> Result<(), SetupError> {
    ///     let dispatch = Dispatch::new(&glib::MainContext::default())?;
    ///     dispatch.spawn_local(async { println!("inside the main loop") });
    ///     // Or `application.run()`. Keep `dispatch` alive until it returns.
    ///     glib::MainLoop::new(None, false).run();
    ///     Ok(())
    /// }
    /// ```
    ///
    /// The first one puts a hook before the panic hook of the process. It adds advice to a panic of
    /// tokio's on this thread that says that there is no reactor, and leaves all else to the hook that
    /// was there.
    ///
    /// # Errors
    /// If another thread owns the context; inside the `block_on` of another current-thread runtime;
    /// if the system has no descriptors left for the runtime; or if this crate was linked into a
    /// library that is loaded at run time: see *Linking* in the crate's documentation.
    pub fn new(context: &MainContext) -> Result<Self, SetupError> {
        let _owner = context.acquire().map_err(|_| SetupError::NotOwner)?;
        let shared = Rc::new(Shared::new(context)?);
        let main = MainCallbacks::attach(shared.clone(), context);
        let later = pace::later("loopnest dispatch, later", shared.clone(), context);
        Ok(Self {
            main,
            _later: later,
            jobs: OnceCell::new(),
            shared,
            context: context.clone(),
            _advice: OnPanic::new(),
        })
    }

    /// Starts a task on this thread. It need not be `Send`, and can use tokio's sockets and timers.
    ///
    /// ```
    /// # use loopnest_strategies::{Dispatch, glib::MainContext};
    /// # let dispatch = Dispatch::new(&MainContext::default())?;
    /// // Not `Send`, like a widget.
    /// let name = std::rc::Rc::new("tick");
    /// let task = dispatch.spawn_local(async move {
    ///     tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    ///     name.len()
    /// });
    /// assert_eq!(dispatch.block_on(task).expect("it does not panic"), 4);
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.shared.executor.spawn_local(future)
    }

    /// A handle that starts tasks from any thread.
    ///
    /// ```
    /// # use loopnest_strategies::{Dispatch, glib::MainContext};
    /// # let dispatch = Dispatch::new(&MainContext::default())?;
    /// let spawner = dispatch.spawner();
    /// let task = std::thread::spawn(move || spawner.spawn(async { 42 })).join().expect("no panic");
    /// assert_eq!(dispatch.block_on(task).expect("it does not panic"), 42);
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn spawner(&self) -> Spawner {
        self.shared.executor.spawner()
    }

    /// A handle for running work on this thread from any other thread.
    ///
    /// ```
    /// # use loopnest_strategies::{Dispatch, glib::MainContext};
    /// # let dispatch = Dispatch::new(&MainContext::default())?;
    /// let glib = dispatch.glib();
    /// // A library with a runtime of its own would do this.
    /// let elsewhere = std::thread::spawn(move || {
    ///     let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    ///     runtime.block_on(glib.call(|| "done on the GLib thread"))
    /// });
    /// dispatch.block_on(async move {
    ///     while !elsewhere.is_finished() {
    ///         tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    ///     }
    ///     assert!(elsewhere.join().expect("no panic").is_ok());
    /// });
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn glib(&self) -> GlibHandle {
        let jobs = self.jobs.get_or_init(|| JobQueue::attached_to(&self.context));
        self.shared.quiet.pass_on(jobs.quiet());
        jobs.handle()
    }

    /// Makes tokio's sockets, timers and `spawn` work in every callback on this thread, and in glib's
    /// own futures, for as long as the guard lives. Without it they panic there, and a panic in a
    /// callback ends the process.
    ///
    /// One line in `main`, after [`new`](Self::new). Tasks of [`spawn_local`](Self::spawn_local) do not
    /// need it. A task that a callback starts with `tokio::spawn` is on tokio's own queue; see *Limits*
    /// in [the module](self).
    ///
    /// ```
    /// # use loopnest_strategies::{Dispatch, glib};
    /// # let dispatch = Dispatch::new(&glib::MainContext::default())?;
    /// let _tokio = dispatch.enter();
    /// let (tx, rx) = tokio::sync::oneshot::channel();
    /// // Or a button's.
    /// glib::idle_add_once(move || {
    ///     tokio::spawn(async move { tx.send(42) });
    /// });
    /// assert_eq!(dispatch.block_on(rx), Ok(42));
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    ///
    /// # Panics
    /// Dropping the guard does, if another one of tokio's was made after it on this thread and is still
    /// there.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.shared.runtime.enter()
    }

    /// tokio's handle, for libraries that need one.
    ///
    /// Do not call its `block_on` on this thread: only this thread drives the runtime, so that call
    /// would wait for ever. Use [`Dispatch::block_on`] instead.
    ///
    /// Tasks spawned through this handle live on tokio's own queue; see *Limits* in
    /// [the module](self).
    ///
    /// ```
    /// # use loopnest_strategies::{Dispatch, glib::MainContext};
    /// # let dispatch = Dispatch::new(&MainContext::default())?;
    /// // A library's `tokio::spawn` ends up on the same queue.
    /// let task = dispatch.tokio_handle().spawn(async { 42 });
    /// assert_eq!(dispatch.block_on(task).expect("it does not panic"), 42);
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn tokio_handle(&self) -> &Handle {
        self.shared.runtime.handle()
    }

    /// Runs the context until `future` is done.
    ///
    /// May be called inside a callback or a task; GLib and all other tasks keep running meanwhile.
    ///
    /// ```
    /// # use loopnest_strategies::{Dispatch, glib::MainContext};
    /// # let dispatch = Dispatch::new(&MainContext::default())?;
    /// let (tx, rx) = tokio::sync::oneshot::channel();
    /// // A callback completes what the future waits for.
    /// loopnest_strategies::glib::idle_add_once(move || drop(tx.send(42)));
    /// assert_eq!(dispatch.block_on(rx), Ok(42));
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    ///
    /// # Panics
    /// If `future` or a callback of a [`Source`] panics, with that panic; if another thread owns the
    /// context. Also where tokio waits (inside a task on tokio's own queue, in the `block_on` of
    /// another current-thread runtime, and as [the module](self) says), as tokio's own `block_on`
    /// does, because `future` could wait for ever there.
    pub fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        assert!(
            self.shared.can_turn(),
            "block_on inside a task spawned with tokio::spawn, or inside another runtime's block_on, \
             cannot run tokio's I/O and timers; call it from a callback or from a task of \
             Dispatch::spawn_local"
        );
        let owner = self.context.acquire();
        assert!(
            owner.is_ok(),
            "another thread runs the context, and only that thread can wait in it"
        );
        let _lifted = self.shared.quiet.lift();
        let main_loop = MainLoop::new(Some(&self.context), false);
        let result = Rc::new(RefCell::new(None));
        let (quit, slot) = (main_loop.clone(), result.clone());
        let task = self.shared.executor.spawn_last(future);
        let waiter = self.shared.executor.spawn_last(async move {
            slot.replace(Some(task.await));
            quit.quit();
        });
        // A panic that a callback caught may end the loop before there is a result.
        while result.borrow().is_none() {
            source::run(&main_loop);
        }
        drop(waiter);
        match result.take() {
            Some(Ok(output)) => output,
            Some(Err(JoinError::Panicked(panic))) => panic.resume(),
            _ => unreachable!("only the waiter quits the loop, or a panic that was resumed above"),
        }
    }

    /// Begins the end: from now on no task is taken, and those that have begun go on.
    ///
    /// A spawned task is dropped at once, and awaiting its handle gives [`JoinError::Cancelled`].
    /// tokio's own queue still takes tasks, and [`block_on`](Self::block_on) still runs its future.
    ///
    /// A loop that waits for silence then finds it, even while a task is always ready or another
    /// thread goes on waking: `while context.pending() { context.iteration(false); }` ends after a
    /// bounded number of iterations, and so do the last lines of `g_application_run`. For this the
    /// tasks rest for a millisecond after each slice of work, but not while `block_on` runs. What they
    /// give to GLib, such as idle callbacks, does not rest.
    ///
    /// For the default application this need not be called: see [`end_with`](Self::end_with).
    ///
    /// ```
    /// # use loopnest_strategies::{Dispatch, glib::MainContext};
    /// # let context = MainContext::default();
    /// # let dispatch = Dispatch::new(&context)?;
    /// dispatch.spawn_local(async {
    ///     loop {
    ///         tokio::task::yield_now().await;
    ///     }
    /// });
    /// dispatch.stop();
    /// while context.pending() {
    ///     context.iteration(false);
    /// }
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn stop(&self) {
        self.shared.executor.stop();
        self.shared.quiet.ask();
        if let Some(jobs) = self.jobs.get() {
            jobs.quiet().ask();
        }
    }

    /// Lets tasks rest, as after [`stop`](Self::stop), while `application` does not run: before its
    /// `startup`, after its `shutdown`, and where it only hands its arguments to another process. New
    /// tasks are taken all the same, and after a thousand rests there are no more.
    ///
    /// With the application that is the default one when this is made, or else in the first iteration
    /// after that, it happens by itself. An application that is made later and ends before its first
    /// iteration has to be tied by this.
    ///
    /// ```
    /// # use loopnest_strategies::{Dispatch, gio, glib};
    /// use gio::prelude::*;
    ///
    /// let dispatch = Dispatch::new(&glib::MainContext::default())?;
    /// let application = gio::Application::new(None, gio::ApplicationFlags::NON_UNIQUE);
    /// application.connect_activate(|_| {});
    /// dispatch.end_with(&application);
    /// dispatch.spawn_local(async {
    ///     loop {
    ///         tokio::task::yield_now().await;
    ///     }
    /// });
    /// application.run_with_args::<&str>(&[]);
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn end_with(&self, application: &impl IsA<gio::Application>) {
        self.shared.quiet.tie(application.upcast_ref());
    }

    /// [`stop`](Self::stop)s, runs the context until all tasks have ended, and waits for
    /// `spawn_blocking` closures: for `timeout` in all. What is left then is dropped.
    ///
    /// Tasks on tokio's own queue are not waited for; they run until the others have ended, and are
    /// dropped after the closures have. Where tokio waits (see [the module](self)) and where another
    /// thread owns the context, nothing is waited for. Who is called by one of the tasks, directly or
    /// in a nested loop that one has opened, waits for that task too, and so for the whole time.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use loopnest_strategies::{Dispatch, glib::MainContext};
    /// # let dispatch = Dispatch::new(&MainContext::default())?;
    /// let task = dispatch.spawn_local(async {
    ///     tokio::time::sleep(Duration::from_millis(1)).await;
    /// });
    /// dispatch.shutdown_timeout(Duration::from_secs(10));
    /// assert!(task.is_finished());
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    ///
    /// # Panics
    /// If a callback of a [`Source`] panics meanwhile, with that panic.
    pub fn shutdown_timeout(self, timeout: Duration) {
        self.stop();
        let end = source::far_or(timeout);
        let _lifted = self.shared.quiet.lift();
        if self.shared.can_turn() && source::run_until(&self.context, end, || self.n_tasks() == 0) {
            self.shared.runtime.wait_when_dropped(end);
        }
    }

    /// Drops all tasks and the runtime, and waits for nothing: the same as dropping this.
    ///
    /// ```
    /// # use loopnest_strategies::{Dispatch, glib::MainContext};
    /// # let dispatch = Dispatch::new(&MainContext::default())?;
    /// dispatch.tokio_handle().spawn_blocking(|| std::thread::park());
    /// dispatch.shutdown_background();
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn shutdown_background(self) {
        self.stop();
    }

    /// Whether the caller is inside a turn on this thread, and so in a task on tokio's own queue, or
    /// inside [`Nested::block_on`](crate::Nested::block_on). There tokio cannot make another turn, and
    /// [`block_on`](Self::block_on) panics.
    ///
    /// ```
    /// # use loopnest_strategies::{Dispatch, glib::MainContext};
    /// # let dispatch = Dispatch::new(&MainContext::default())?;
    /// let ours = dispatch.spawn_local(async { Dispatch::is_inside_library_task() });
    /// let library = dispatch.tokio_handle().spawn(async { Dispatch::is_inside_library_task() });
    /// let both = dispatch.block_on(async { (ours.await.unwrap(), library.await.unwrap()) });
    /// assert_eq!(both, (false, true));
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn is_inside_library_task() -> bool {
        is_running()
    }

    /// The number of tasks that have not ended, without those on tokio's own queue.
    ///
    /// ```
    /// # use loopnest_strategies::{Dispatch, glib::MainContext};
    /// # let dispatch = Dispatch::new(&MainContext::default())?;
    /// dispatch.spawn_local(std::future::pending::<()>());
    /// assert_eq!(dispatch.n_tasks(), 1);
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn n_tasks(&self) -> usize {
        self.shared.executor.n_tasks()
    }
}

impl Dispatch {
    /// Warns of a drop that comes too early, as at the end of the callback that made this: it has tasks
    /// that were never polled, or the loop is still running.
    fn warn_of_what_is_lost(&self) {
        let Detached { n, n_unpolled } = self.shared.executor.detached();
        let too_early = n_unpolled > 0 || (n > 0 && self.context.is_owner());
        if too_early && !self.shared.quiet.has_begun() && !thread::panicking() {
            advice::warn_once(
                &LOST,
                "a Dispatch was dropped before its tasks had ended, and they are dropped with it: keep \
                 it until the main loop returns, for example in main; or call Dispatch::stop or one of \
                 its shutdown functions first",
            );
        }
    }
}

static LOST: AtomicBool = AtomicBool::new(false);

impl fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatch").field("n_tasks", &self.n_tasks()).finish_non_exhaustive()
    }
}

impl Drop for Dispatch {
    fn drop(&mut self) {
        self.warn_of_what_is_lost();
        // The callbacks hold `shared` until GLib frees them, which a dispatch on the stack may
        // delay. The descriptor is about to be closed, so the watch on it must end now.
        self.main.destroy();
    }
}
