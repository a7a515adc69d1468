//! `nested`: async drives GLib. It does not survive a nested loop: a dialog stalls every task.
//!
//! # Mechanism
//!
//! asyncio-glib's design: tokio owns the thread, and where it would wait for I/O it runs a GLib
//! main loop instead.
//! A source in the context watches tokio's epoll descriptor and has tokio's timeout as its ready
//! time. Its dispatch quits that main loop, and tokio continues.
//!
//! # Under a nested loop
//!
//! Nothing async happens: tokio is on the stack, waiting.
//! The source is still in the context. As soon as its descriptor is readable or its time has
//! passed, it is ready in every iteration, and each dispatch quits a loop that is not the one
//! running: a stall and a busy loop. [`dispatch`](crate::dispatch) does not fail this way.
//!
//! # Timers
//!
//! tokio's. Both tokio and GLib round the wait to milliseconds.
//!
//! # Limits
//!
//! - A nested loop stalls every task, and spins once a timer is due or a descriptor is ready.
//! - With [`WakeAfterDispatch::No`] a future completed by a GLib callback is not polled until
//!   something else ends the wait.
//! - `block_on` inside a callback panics: tokio does not nest.
//! - Linux only: it depends on `epoll_wait`.
//!
//! # Prior art
//!
//! asyncio-glib (2019), whose author documented the first two limits; slint's Node integration, the
//! same design with libuv.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use glib::{IOCondition, MainContext, MainLoop};
use loopnest_core::pace::TOKIO_POLLS;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::error::SetupError;
use crate::jobs::{GlibHandle, JobQueue};
use crate::runtime::{Runtime, outside};
use crate::source::{self, Callbacks, Prepare, Running, Source, SourceRef};
use crate::wait::{self, Driver, Wait};

/// tokio, with a GLib main loop in place of its wait.
///
/// **It does not survive nesting**: while a nested loop is open, no task runs, and the thread may
/// spin. Use [`Dispatch`](crate::Dispatch) if a dialog may open.
///
/// ```
/// use loopnest_strategies::{Nested, WakeAfterDispatch};
///
/// let nested = Nested::new(&glib::MainContext::default(), WakeAfterDispatch::Yes)?;
/// let answer = nested.block_on(async {
///     let (tx, rx) = tokio::sync::oneshot::channel();
///     glib::idle_add_once(move || tx.send(42).unwrap());
///     rx.await.unwrap()
/// });
/// assert_eq!(answer, 42);
/// # Ok::<(), loopnest_strategies::SetupError>(())
/// ```
pub struct Nested {
    /// Created on first use.
    jobs: OnceCell<JobQueue>,
    runtime: Runtime,
    selector: Rc<GlibSelector>,
}

/// Whether tokio's wait ends after every GLib dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeAfterDispatch {
    /// A future completed by a GLib callback is polled at once.
    Yes,
    /// A future completed by a GLib callback is not polled until something else ends the wait, as
    /// in the published asyncio-glib.
    No,
}

/// Waits by running the context.
struct GlibSelector {
    context: MainContext,
    main_loop: MainLoop,
    wake: WakeAfterDispatch,
    driver: Driver,
    /// The source in the context while a root future runs.
    source: RefCell<Option<Source<Ready>>>,
    /// Wakes the root future if a callback panics.
    root: RefCell<Option<Waker>>,
}

/// Ready when tokio's wait is over. Quits the selector's own loop, even if another one is running.
struct Ready {
    main_loop: MainLoop,
    /// tokio's deadline, if the source's ready time is not used for it.
    deadline: Cell<Option<Instant>>,
}

impl Nested {
    /// Creates a runtime that runs `context` while it waits.
    ///
    /// ```
    /// # use loopnest_strategies::{Nested, SetupError, WakeAfterDispatch, glib};
    /// let nested = Nested::new(&glib::MainContext::default(), WakeAfterDispatch::Yes)?;
    /// # Ok::<(), SetupError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Dispatch::new`](crate::Dispatch::new).
    pub fn new(context: &MainContext, wake: WakeAfterDispatch) -> Result<Self, SetupError> {
        let _owner = context.acquire().map_err(|_| SetupError::NotOwner)?;
        let runtime = Runtime::new(TOKIO_POLLS)?;
        let selector = Rc::new(GlibSelector {
            driver: Driver::of(&runtime)?,
            context: context.clone(),
            main_loop: MainLoop::new(Some(context), false),
            wake,
            source: RefCell::new(None),
            root: RefCell::new(None),
        });
        Ok(Self { jobs: OnceCell::new(), runtime, selector })
    }

    /// Runs `root` to completion, with both loops running.
    ///
    /// ```
    /// # use loopnest_strategies::{Nested, WakeAfterDispatch, glib::MainContext};
    /// # let nested = Nested::new(&MainContext::default(), WakeAfterDispatch::Yes)?;
    /// let (tx, rx) = tokio::sync::oneshot::channel();
    /// loopnest_strategies::glib::idle_add_once(move || drop(tx.send(42)));
    /// assert_eq!(nested.block_on(rx), Ok(42));
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    ///
    /// # Panics
    /// If `root` or a callback of a [`Source`] panics, with that panic; if another thread owns the
    /// context; and inside the `block_on` of a current-thread runtime or in a `LocalSet` inside a
    /// `block_on`, as tokio's own does.
    pub fn block_on<F: Future>(&self, root: F) -> F::Output {
        // As a `GMainLoop` does while it runs. Owning the context only during each iteration is not
        // enough: tasks are polled between iterations, and then another thread could take it.
        let owner = self.selector.context.acquire();
        assert!(
            owner.is_ok(),
            "another thread runs the context, and only that thread can wait in it"
        );
        let _attached = self.selector.attach();
        let _installed = wait::install(self.selector.clone());
        let running = Running::enter(&self.selector.main_loop);
        let mut root = pin!(root);
        let root = poll_fn(|cx| {
            self.selector.root.replace(Some(cx.waker().clone()));
            if source::panic_is_carried() {
                return Poll::Ready(None);
            }
            root.as_mut().poll(cx).map(Some)
        });
        let output = outside(|| self.runtime.block_on(root));
        running.leave();
        output.unwrap_or_else(|| unreachable!("only a carried panic ends the root early"))
    }

    /// Starts a task on this thread.
    ///
    /// ```
    /// # use loopnest_strategies::{Nested, WakeAfterDispatch, glib::MainContext};
    /// # let nested = Nested::new(&MainContext::default(), WakeAfterDispatch::Yes)?;
    /// let task = nested.spawn_local(async { 42 });
    /// assert_eq!(nested.block_on(task).expect("it does not panic"), 42);
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.runtime.spawn_local(future)
    }

    /// A handle for running work on this thread from any other thread. Any loop of the context does
    /// the work, including nested loops, in which tokio's tasks on this thread stall.
    ///
    /// ```
    /// # use loopnest_strategies::{Nested, WakeAfterDispatch, glib::MainContext};
    /// # let nested = Nested::new(&MainContext::default(), WakeAfterDispatch::Yes)?;
    /// let glib = nested.glib();
    /// let (tx, rx) = tokio::sync::oneshot::channel();
    /// std::thread::spawn(move || {
    ///     let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    ///     tx.send(runtime.block_on(glib.call(|| 42)))
    /// });
    /// let answer = nested.block_on(rx).expect("the thread answers");
    /// assert_eq!(answer.expect("the GLib side is there"), 42);
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn glib(&self) -> GlibHandle {
        self.jobs.get_or_init(|| JobQueue::attached_to(&self.selector.context)).handle()
    }

    /// tokio's handle.
    ///
    /// ```
    /// # use loopnest_strategies::{Nested, WakeAfterDispatch, glib::MainContext};
    /// # let nested = Nested::new(&MainContext::default(), WakeAfterDispatch::Yes)?;
    /// let task = nested.tokio_handle().spawn(async { 42 });
    /// assert_eq!(nested.block_on(task).expect("it does not panic"), 42);
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn tokio_handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Waits for `spawn_blocking` closures for at most `timeout`, and for none inside the `block_on` of a
    /// current-thread runtime. Then drops all tasks; they do not run meanwhile.
    ///
    /// ```
    /// # use loopnest_strategies::{Nested, WakeAfterDispatch, glib::MainContext};
    /// # let nested = Nested::new(&MainContext::default(), WakeAfterDispatch::Yes)?;
    /// let job = nested.tokio_handle().spawn_blocking(|| 42);
    /// nested.shutdown_timeout(std::time::Duration::from_secs(10));
    /// assert!(job.is_finished());
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn shutdown_timeout(self, timeout: Duration) {
        self.runtime.wait_when_dropped(source::far_or(timeout));
    }

    /// Drops all tasks and the runtime, and waits for nothing: the same as dropping this.
    ///
    /// ```
    /// # use loopnest_strategies::{Nested, WakeAfterDispatch, glib::MainContext};
    /// # let nested = Nested::new(&MainContext::default(), WakeAfterDispatch::Yes)?;
    /// nested.tokio_handle().spawn_blocking(|| std::thread::park());
    /// nested.shutdown_background();
    /// # Ok::<(), loopnest_strategies::SetupError>(())
    /// ```
    pub fn shutdown_background(self) {}
}

impl fmt::Debug for Nested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wake = self.selector.wake;
        f.debug_struct("Nested").field("wake_after_dispatch", &wake).finish_non_exhaustive()
    }
}

impl Wait for GlibSelector {
    fn driver(&self) -> &Driver {
        &self.driver
    }

    fn wait(&self, timeout: i32, kernel: &mut dyn FnMut(i32) -> i32) {
        if source::panic_is_carried() {
            // It was caught while a task was polled, and nothing else need end this wait.
        } else if timeout == 0 {
            // tokio is busy and only polls. GLib gets one iteration as well, and the deadline of an
            // earlier wait must not be what that iteration dispatches.
            self.arm(-1);
            self.context.iteration(false);
        } else {
            self.arm(timeout);
            if self.wake == WakeAfterDispatch::Yes {
                self.context.iteration(true);
                self.arm(-1);
            } else {
                self.main_loop.run();
            }
        }
        if source::panic_is_carried()
            && let Some(root) = self.root.take()
        {
            root.wake();
        }
        kernel(0);
    }
}

impl GlibSelector {
    /// Puts the source into the context until the guard is dropped. After that nothing drains the
    /// descriptor, and a ready source would make every other loop of the context spin.
    fn attach(&self) -> Attached<'_> {
        let ready = Ready { main_loop: self.main_loop.clone(), deadline: Cell::new(None) };
        let source = Source::new("loopnest nested", ready);
        source.add_fd(self.driver.watched.clone(), IOCondition::IN);
        source.attach(&self.context);
        Attached { selector: self, before: self.source.replace(Some(source)) }
    }

    /// Makes the source ready after `timeout` milliseconds; a negative timeout means never.
    ///
    /// asyncio-glib keeps the deadline after the wait, until the next wait sets another. This does
    /// the same with [`WakeAfterDispatch::No`].
    fn arm(&self, timeout: i32) {
        let timeout = u64::try_from(timeout).ok().map(Duration::from_millis);
        let source = self.source.borrow();
        let Some(source) = &*source else { return };
        if self.wake == WakeAfterDispatch::Yes {
            // Not the ready time: each change of it writes to the context's eventfd, and that alone
            // would end a wait that lasts one iteration (asyncio-glib#9).
            let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
            source.callbacks().deadline.set(deadline);
        } else {
            let at = timeout.map(|timeout| {
                let us = i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX);
                glib::monotonic_time().saturating_add(us)
            });
            source.as_ref().set_ready_time(at);
        }
    }
}

/// The source is in the context.
struct Attached<'a> {
    selector: &'a GlibSelector,
    before: Option<Source<Ready>>,
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        let source = self.selector.source.replace(self.before.take());
        drop(source);
    }
}

impl Ready {
    fn wait(&self) -> Option<Duration> {
        Some(self.deadline.get()?.saturating_duration_since(Instant::now()))
    }
}

impl Callbacks for Ready {
    fn prepare(&self, _this: SourceRef<'_>) -> Prepare {
        match self.wait() {
            Some(wait) if wait.is_zero() => Prepare::Ready,
            wait => Prepare::Wait(wait),
        }
    }

    fn check(&self, _this: SourceRef<'_>) -> bool {
        self.wait().is_some_and(|wait| wait.is_zero())
    }

    fn dispatch(&self, _this: SourceRef<'_>) -> ControlFlow<()> {
        self.main_loop.quit();
        ControlFlow::Continue(())
    }
}
