//! tokio's runtime of one thread, for hosts that may be anywhere on that thread's stack.
//!
//! tokio does not nest: inside a `block_on` it refuses another one with a panic. Where GLib's loop
//! runs inside somebody's `block_on`, a runtime is *held*. tokio publishes none of this, but leaves
//! signs:
//!
//! - A `block_on` of ours leaves a mark ([`RUNNING`]), and so do our tasks that are polled while a
//!   runtime is held ([`HELD`]).
//! - A *scheduler* on the stack takes wakers that are deferred, as `yield_now` does; without one they
//!   are woken at once. The `block_on` of a current-thread runtime has one, and so has a worker.
//! - On a worker, and wherever there is no scheduler, [`outside`] makes room: `block_in_place` works at
//!   the root of a multi-threaded `block_on`, in `Handle::block_on`, and where a runtime is merely
//!   entered. It needs the feature `rt-multi-thread`.
//!
//! Where no scheduler shows, or one of a multi-threaded runtime, and `block_in_place` is refused, only
//! tokio knows. Then it is asked, and its panic is caught and remembered for [`MEMORY`], because
//! nothing shows when it ends: the panic hook runs once in that time for each runtime, and with
//! `panic = "abort"` the process ends. So it is in a `LocalSet` inside a `block_on` that has no
//! scheduler; in a current-thread `block_on` inside which a multi-threaded runtime is entered, or which
//! a second thread calls meanwhile; and, without `rt-multi-thread`, inside multi-threaded runtimes.
//!
//! On a worker in which a current-thread runtime is entered, a runtime counts as held although
//! `block_in_place` would work: it looks like the `block_on` of that runtime.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use loopnest_core::executor::Panic;
use loopnest_core::panics::quietly;
use tokio::runtime::{Builder, EnterGuard, Handle, LocalRuntime, RuntimeFlavor};

use crate::error::SetupError;
use crate::room;

/// How long a refusal is remembered.
const MEMORY: Duration = Duration::from_secs(1);

thread_local! {
    /// How many `block_on`s of ours are on this thread's stack.
    static RUNNING: Cell<usize> = const { Cell::new(0) };
    /// How many times our tasks are polled while a runtime is held, on this thread's stack.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// A current-thread runtime. Dropping it drops its tasks, and does not wait for `spawn_blocking` unless
/// that was asked for.
pub(crate) struct Runtime {
    /// Taken out only when this is dropped.
    inner: Option<LocalRuntime>,
    /// Until when a refusal is remembered.
    refused: Cell<Option<Instant>>,
    /// Until when a drop waits for `spawn_blocking`.
    patience: Cell<Option<Instant>>,
}

/// tokio refused to run.
#[derive(Debug)]
pub(crate) struct IsHeld;

impl Runtime {
    /// Starts one that looks at its descriptors after so many polls of tasks, if not before.
    pub(crate) fn new(polls: u32) -> Result<Self, SetupError> {
        let mut builder = Builder::new_current_thread();
        builder.enable_all().event_interval(polls);
        Self::built(&mut builder)
    }

    /// Starts the one that `builder` builds.
    pub(crate) fn built(builder: &mut Builder) -> Result<Self, SetupError> {
        let inner = room::build(|| builder.build_local(Default::default()))?;
        Ok(Self { inner: Some(inner), refused: Cell::default(), patience: Cell::default() })
    }

    fn inner(&self) -> &LocalRuntime {
        match &self.inner {
            Some(runtime) => runtime,
            None => unreachable!("taken out only when it is dropped"),
        }
    }

    /// Lets a drop wait for `spawn_blocking` until then, where tokio allows that.
    pub(crate) fn wait_when_dropped(&self, until: Instant) {
        self.patience.set(Some(until));
    }

    /// Whether a task is left in tokio's own queue although a turn has ended.
    ///
    /// A turn ends in tokio's wait, and what tokio queues between the kernel's answer and the end of
    /// that wait stays where it is: nothing rings for it. Without `tokio_unstable` that is only what its
    /// timers wake, and these are due by the deadline that the turn has learned. With it, it is also
    /// what io-uring has completed (tokio 1.54, `runtime/io/driver.rs`, `turn`); there the queue can be
    /// looked at.
    pub(crate) fn has_queued(&self) -> bool {
        #[cfg(tokio_unstable)]
        return self.handle().metrics().worker_local_queue_depth(0) > 0;
        #[cfg(not(tokio_unstable))]
        false
    }

    /// tokio's handle.
    pub(crate) fn handle(&self) -> &Handle {
        self.inner().handle()
    }

    /// Enters it, so that tokio's sockets and timers work.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.inner().enter()
    }

    /// Starts a task on tokio's own queue.
    pub(crate) fn spawn_local<F>(&self, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.inner().spawn_local(future)
    }

    /// Runs `future` to its end.
    ///
    /// # Panics
    /// If `future` panics, and where the runtime is held.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut mark = None;
        let mut future = pin!(future);
        self.inner().block_on(poll_fn(|cx| {
            // Only here, because tokio may refuse the `block_on` itself.
            mark.get_or_insert_with(|| Mark::new(&RUNNING));
            future.as_mut().poll(cx)
        }))
    }

    /// Like [`block_on`](Self::block_on), but an error where tokio refuses. Call it inside
    /// [`try_outside`](Self::try_outside), which looks first.
    pub(crate) fn try_block_on<F: Future>(&self, future: F) -> Result<F::Output, IsHeld> {
        let mut future = pin!(future);
        let run = |begun: &Cell<bool>| {
            self.block_on(poll_fn(|cx| {
                begun.set(true);
                future.as_mut().poll(cx)
            }))
        };
        self.unless_refused(run)
    }

    /// Runs `f` where tokio can run: outside of the runtime on the stack, if that makes room.
    pub(crate) fn try_outside<R>(&self, f: impl FnOnce() -> R) -> Result<R, IsHeld> {
        if self.is_held() {
            return Err(IsHeld);
        }
        self.unless_refused(|begun| {
            outside(|| {
                begun.set(true);
                f()
            })
        })
    }

    /// Whether the runtime is held here.
    pub(crate) fn is_held(&self) -> bool {
        if RUNNING.get() > 0 || HELD.get() > 0 {
            return true;
        }
        let current = Handle::try_current().ok();
        let until = self.refused.get().filter(|until| Instant::now() < *until);
        self.refused.set(until);
        let single = |current: Handle| current.runtime_flavor() == RuntimeFlavor::CurrentThread;
        (until.is_some() && current.is_some()) || (current.is_some_and(single) && is_in_scheduler())
    }

    /// Lets tokio be asked at once.
    pub(crate) fn forget_refusal(&self) {
        self.refused.set(None);
    }

    /// When to ask tokio again, if it has refused.
    pub(crate) fn asks_again(&self) -> Option<Instant> {
        self.refused.get().filter(|_| RUNNING.get() == 0 && HELD.get() == 0)
    }

    /// Polls our tasks while the runtime is held, and marks the stack.
    pub(crate) fn while_held<R>(&self, poll: impl FnOnce() -> R) -> R {
        // A refusal is forgotten while this goes on, and then a loop in here asks again.
        let _mark = self.refused.get().is_none().then(|| Mark::new(&HELD));
        let _entered = self.enter();
        let mut poll = Some(poll);
        // The budget of the task on the stack still applies, and is never refilled: a channel would
        // return `Pending` and wake its task at once, for ever (gtk-rs-core#1251).
        let polled = pin!(poll_fn(|_| match poll.take() {
            Some(poll) => Poll::Ready(poll()),
            None => Poll::Pending,
        }));
        let polled = pin!(tokio::task::unconstrained(polled));
        match polled.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => unreachable!("it is ready at once"),
        }
    }

    /// Runs `run`; an error if it panics before it has begun, which is how tokio refuses.
    fn unless_refused<R>(&self, run: impl FnOnce(&Cell<bool>) -> R) -> Result<R, IsHeld> {
        let begun = Cell::new(false);
        catch_unwind(AssertUnwindSafe(|| run(&begun))).map_err(|payload| {
            if begun.get() {
                resume_unwind(payload);
            }
            drop(Panic::new(payload));
            self.refused.set(Instant::now().checked_add(MEMORY));
            IsHeld
        })
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // tokio's own drop waits for `spawn_blocking`, which panics inside a `block_on`.
        let patience =
            self.patience.get().map(|until| until.saturating_duration_since(Instant::now()));
        let waits = patience.filter(|patience| !patience.is_zero() && !self.is_held());
        let Some(runtime) = self.inner.take() else { return };
        match waits {
            Some(patience) => quietly(|| outside(|| runtime.shutdown_timeout(patience))),
            None => runtime.shutdown_background(),
        }
    }
}

/// Whether a `block_on` of ours is on this thread's stack.
pub(crate) fn is_running() -> bool {
    RUNNING.get() > 0
}

/// Runs `f` outside of the runtime on the stack, if there is one that makes room.
///
/// # Panics
/// Where there is one that does not, before `f` is called.
pub(crate) fn outside<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(feature = "rt-multi-thread")]
    if Handle::try_current().is_ok() {
        // Where nothing is on the stack it only calls `f`.
        return tokio::task::block_in_place(f);
    }
    f()
}

/// Whether a scheduler of tokio is on this thread's stack: it takes a waker that is deferred, and
/// without one the waker is woken at once.
fn is_in_scheduler() -> bool {
    thread_local! {
        // Always the same waker, because a scheduler keeps each that differs from its last.
        static PROBE: (Arc<Woken>, Waker) = {
            let woken = Arc::new(Woken::default());
            (woken.clone(), Waker::from(woken))
        };
    }
    let deferred = PROBE.try_with(|(woken, waker)| {
        woken.0.store(false, Ordering::Relaxed);
        let yielded = pin!(tokio::task::yield_now());
        let _: Poll<()> = yielded.poll(&mut Context::from_waker(waker));
        !woken.0.load(Ordering::Relaxed)
    });
    // While thread-locals are being destroyed there is none.
    deferred.unwrap_or(false)
}

/// Whether it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Counts what is on the stack, even while a panic unwinds it.
struct Mark(&'static std::thread::LocalKey<Cell<usize>>);

impl Mark {
    fn new(count: &'static std::thread::LocalKey<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
